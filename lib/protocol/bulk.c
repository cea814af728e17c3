/* bulk - what homes and keepers tell each other in batches, before it is sealed */
#include "bulk.h"

#include "message_table.h"
#include "wire.h"

MESSAGE_TABLE(bulk, struct bulk, "batch", NULL,
	      U64(struct bulk, group), U64(struct bulk, sender), U64(struct bulk, receiver),
	      CONSTANT(1, WIRE_SYNC), U64(struct bulk, id), U64(struct bulk, lineage),
	      U64(struct bulk, epoch), NUMBER(1, struct bulk, type, BULK_SYNC, BULK_NEWEST_ARE),
	      REST(struct bulk, body));

MESSAGE_TABLE(keep_item, struct keep_item, "item of KEEP", NULL,
	      RECORD(struct keep_item, record, FILE_RECORD), TYPE(struct keep_item, type),
	      PATH(struct keep_item, path, 1));

int bulk_unpack(struct str plain, uint64_t group, uint64_t self, struct bulk *ret)
{
	struct bulk bulk;

	if (message_unpack(plain, &bulk_message, &bulk, NULL) < 0 || bulk.group != group ||
	    bulk.sender == 0 || bulk.receiver != self)
		return -1;
	*ret = bulk;
	return 0;
}

void bulk_pack(struct buf *buf, const struct bulk *bulk)
{
	message_pack(buf, &bulk_message, bulk);
}

struct bulk bulk_answer(const struct bulk *question)
{
	return (struct bulk){ .sender = question->receiver, .receiver = question->sender,
			      .id = question->id };
}

enum bulk_verdict bulk_judge(const struct bulk *question, const struct bulk *answer)
{
	bool same_lineage = answer->lineage == question->lineage;

	if (answer->sender != question->receiver || answer->receiver != question->sender ||
	    answer->id != question->id)
		return BULK_NOTHING;
	if (question->type == BULK_KEEP)
		return answer->type == BULK_KEPT ? BULK_COUNTS : BULK_NOTHING;
	if ((question->type != BULK_SYNC && question->type != BULK_NEWEST) || !same_lineage)
		return BULK_NOTHING;
	if (answer->type == BULK_STALE && answer->epoch > question->epoch)
		return BULK_NEWER;
	if (answer->type != (question->type == BULK_SYNC ? BULK_SYNCED : BULK_NEWEST_ARE))
		return BULK_NOTHING;
	return answer->epoch == question->epoch ? BULK_COUNTS : BULK_NOTHING;
}

int keep_item_next(struct str *body, struct keep_item *ret)
{
	return message_next(body, &keep_item_message, ret);
}

int keep_state_next(struct str *body, enum keep_state *ret)
{
	uint8_t state;

	if (body->n == 0)
		return 0;
	state = (uint8_t)body->s[0];
	if (state < KEEP_HAVE || state > KEEP_FULL)
		return -1;
	*ret = (enum keep_state)state;
	body->s++;
	body->n--;
	return 1;
}
