/* answer - telling others which version of a path this node has */
#include "answer.h"

bool answer_check(const struct wire *wire, uint64_t clock, answer_lookup *lookup, void *data,
		  struct buf *packet)
{
	const struct wire_check *check = &wire->check;
	struct answer_found found = { .content = false };
	struct wire_record answer;

	if (wire->type != WIRE_CHECK || lookup(data, check->path, check->version, &found) < 0)
		return false;
	answer = (struct wire_record){ .id = check->id, .clock = clock, .content = found.content,
				       .directory = found.directory, .record = found.record,
				       .type = str_of(found.type) };
	wire_pack_record(packet, &answer);
	return true;
}
