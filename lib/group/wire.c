/* wire - what nodes say to each other by UDP, before it is sealed */
#include "wire.h"

enum record_bit { RECORD_HAS_CONTENT = 1, RECORD_HAS_DIRECTORY = 2 };

void pack_record(struct buf *buf, const struct record *record)
{
	uint8_t bytes[RECORD_BYTES] = { 0 };

	if (!version_is_none(record->version))
		record_pack(bytes, record);
	pack_bytes(buf, bytes, sizeof bytes);
}

void unpack_record(struct unpack *in, struct record *ret)
{
	static const uint8_t none[RECORD_BYTES];
	uint8_t bytes[RECORD_BYTES];
	struct record record = { .version = VERSION_NONE };

	unpack_bytes(in, bytes, sizeof bytes);
	if (memcmp(bytes, none, sizeof none) != 0 &&
	    record_unpack(bytes, sizeof bytes, &record, NULL) < 0)
		in->failed = true;
	*ret = record;
}

void pack_version(struct buf *buf, struct version version)
{
	pack_u64(buf, version.time);
	pack_u64(buf, version.node);
	pack_u16(buf, version.n);
}

struct version unpack_version(struct unpack *in)
{
	struct version version;

	version.time = unpack_u64(in);
	version.node = unpack_u64(in);
	version.n = unpack_u16(in);
	return version;
}

void wire_pack_sender(struct buf *buf, uint64_t group, const struct member *sender)
{
	pack_u64(buf, group);
	member_pack(buf, sender);
}

void wire_pack_check(struct buf *buf, const struct wire_check *check)
{
	pack_u8(buf, WIRE_CHECK);
	pack_u64(buf, check->id);
	pack_u64(buf, check->clock);
	pack_version(buf, check->version);
	pack_str(buf, check->path);
}

void wire_pack_record(struct buf *buf, const struct wire_record *record)
{
	pack_u8(buf, WIRE_RECORD);
	pack_u64(buf, record->id);
	pack_u64(buf, record->clock);
	pack_u8(buf, (uint8_t)((record->content ? RECORD_HAS_CONTENT : 0) |
			       (record->directory ? RECORD_HAS_DIRECTORY : 0)));
	pack_record(buf, &record->record);
	pack_str(buf, record->type);
}

void wire_pack_gossip(struct buf *buf, bool answer, const struct member *const *members,
		      size_t *count)
{
	size_t packed = 0, count_at;

	pack_u8(buf, WIRE_GOSSIP);
	pack_u8(buf, answer);
	count_at = buf->len;
	pack_u8(buf, 0);
	while (packed < *count && packed < WIRE_MEMBERS_MAX) {
		size_t was = buf->len;

		member_pack(buf, members[packed]);
		if (buf->len > WIRE_PLAIN_BYTES) {
			buf->len = was;
			break;
		}
		packed++;
	}
	buf->data[count_at] = (char)packed;
	*count = packed;
}

static void unpack_gossip(struct unpack *in, struct wire_gossip *ret)
{
	uint8_t answer = unpack_u8(in);

	ret->answer = answer == 1;
	ret->count = unpack_u8(in);
	if (answer > 1 || ret->count > WIRE_MEMBERS_MAX)
		in->failed = true;
	for (size_t i = 0; i < ret->count && !in->failed; i++)
		member_unpack(in, &ret->members[i]);
}

static void unpack_check(struct unpack *in, struct wire_check *ret)
{
	ret->id = unpack_u64(in);
	ret->clock = unpack_u64(in);
	ret->version = unpack_version(in);
	ret->path = unpack_str(in, PATH_BYTES);
	if (!in->failed && path_check(ret->path, NULL) < 0)
		in->failed = true;
}

static void unpack_answer(struct unpack *in, struct wire_record *ret)
{
	uint8_t flags;

	ret->id = unpack_u64(in);
	ret->clock = unpack_u64(in);
	flags = unpack_u8(in);
	ret->content = flags & RECORD_HAS_CONTENT;
	ret->directory = flags & RECORD_HAS_DIRECTORY;
	unpack_record(in, &ret->record);
	ret->type = unpack_str(in, RECORD_TYPE_MAX);
	if (flags > (RECORD_HAS_CONTENT | RECORD_HAS_DIRECTORY))
		in->failed = true;
}

int wire_unpack(struct str plain, uint8_t protocol, uint64_t group, struct wire *ret)
{
	struct unpack in = unpack_of(plain);
	uint64_t of = unpack_u64(&in);
	uint8_t type;

	member_unpack(&in, &ret->sender);
	if (in.failed)
		return -1;
	if (protocol != MEMBER_PROTOCOL) {
		ret->type = WIRE_OTHER;
		return 0;
	}
	type = unpack_u8(&in);
	if (of != group)
		return -1;
	if (type == WIRE_GOSSIP)
		unpack_gossip(&in, &ret->gossip);
	else if (type == WIRE_CHECK)
		unpack_check(&in, &ret->check);
	else if (type == WIRE_RECORD)
		unpack_answer(&in, &ret->record);
	else
		return -1;
	ret->type = (enum wire_type)type;
	return unpack_end(&in);
}
