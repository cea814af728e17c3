/* bulk - what homes and keepers tell each other in batches, before it is sealed */
#include "bulk.h"

#include "wire.h"

void bulk_pack(struct buf *buf, const struct bulk *bulk)
{
	pack_u64(buf, bulk->group);
	pack_u64(buf, bulk->sender);
	pack_u64(buf, bulk->receiver);
	pack_u8(buf, WIRE_SYNC);
	pack_u64(buf, bulk->id);
	pack_u64(buf, bulk->lineage);
	pack_u64(buf, bulk->epoch);
	pack_u8(buf, (uint8_t)bulk->type);
	buf_addstr(buf, bulk->body);
}

int bulk_unpack(struct str plain, uint64_t group, uint64_t self, struct bulk *ret)
{
	struct unpack in = unpack_of(plain);
	uint8_t role, type;

	ret->group = unpack_u64(&in);
	ret->sender = unpack_u64(&in);
	ret->receiver = unpack_u64(&in);
	role = unpack_u8(&in);
	ret->id = unpack_u64(&in);
	ret->lineage = unpack_u64(&in);
	ret->epoch = unpack_u64(&in);
	type = unpack_u8(&in);
	ret->type = (enum bulk_type)type;
	ret->body = in.rest;
	if (in.failed || ret->group != group || ret->sender == 0 || ret->receiver != self ||
	    role != WIRE_SYNC)
		return -1;
	return type >= BULK_SYNC && type <= BULK_NEWEST_ARE ? 0 : -1;
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

void keep_item_pack(struct buf *buf, const struct keep_item *item)
{
	pack_record(buf, &item->record);
	pack_str(buf, item->type);
	pack_str(buf, item->path);
}

int keep_item_next(struct str *body, struct keep_item *ret)
{
	struct unpack in = unpack_of(*body);

	if (body->n == 0)
		return 0;
	unpack_record(&in, &ret->record);
	ret->type = unpack_str(&in, RECORD_TYPE_MAX);
	ret->path = unpack_str(&in, PATH_BYTES);
	if (in.failed || !record_has_content(&ret->record) || ret->path.n == 0 ||
	    path_check(ret->path, NULL) < 0 || record_check_type(ret->type, NULL) < 0)
		return -1;
	*body = in.rest;
	return 1;
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
