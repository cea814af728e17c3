/* bulk - what homes and keepers tell each other in batches, before it is sealed */
#include "bulk.h"

#include "message_table.h"
#include "wire.h"

MESSAGE_TABLE(bulk, struct bulk, "batch", NULL,
	      U64(struct bulk, group), U64(struct bulk, sender), U64(struct bulk, receiver),
	      CONSTANT(1, WIRE_SYNC), U64(struct bulk, id), U64(struct bulk, lineage),
	      U64(struct bulk, epoch), NUMBER(1, struct bulk, type, BULK_SYNC, BULK_TAKEN),
	      REST(struct bulk, body));

MESSAGE_TABLE(keep_item, struct keep_item, "item of KEEP", NULL,
	      RECORD(struct keep_item, record, FILE_RECORD), TYPE(struct keep_item, type),
	      PATH(struct keep_item, path, 1));

MESSAGE_TABLE(take_item, struct take_item, "item of TAKE", NULL,
	      RECORD(struct take_item, record, FILE_RECORD), TYPE(struct take_item, type),
	      PATH(struct take_item, path, 1), TEXT(struct take_item, content, 0, TAKE_CONTENT_MAX));

int bulk_unpack(struct str plain, uint64_t self, struct bulk *ret)
{
	struct bulk bulk;

	if (message_unpack(plain, &bulk_message, &bulk, NULL) < 0 ||
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
	if (question->type == BULK_TAKE)
		return answer->type == BULK_TAKEN ? BULK_COUNTS : BULK_NOTHING;
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

/* The next byte, if it is one of 1 to most: 1, 0 at the end, -1. */
static int state_next(struct str *body, uint8_t most, uint8_t *ret)
{
	if (body->n == 0)
		return 0;
	*ret = (uint8_t)body->s[0];
	if (*ret < 1 || *ret > most)
		return -1;
	body->s++;
	body->n--;
	return 1;
}

int keep_state_next(struct str *body, enum keep_state *ret)
{
	uint8_t state;
	int rc = state_next(body, KEEP_FULL, &state);

	if (rc > 0)
		*ret = (enum keep_state)state;
	return rc;
}

int take_item_next(struct str *body, struct take_item *ret)
{
	return message_next(body, &take_item_message, ret);
}

int take_state_next(struct str *body, enum take_state *ret)
{
	uint8_t state;
	int rc = state_next(body, TAKE_NOT, &state);

	if (rc > 0)
		*ret = (enum take_state)state;
	return rc;
}
