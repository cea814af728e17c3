/* exchange - what homes ask each other to have the same records */
#include "exchange.h"

#include "message_table.h"

#define DIGEST_BYTES 10			/* partition u16, digest u64 */

enum mark { MARK_END, MARK_ROW, MARK_MORE };	/* before each row, and behind the last */

ROW_TABLE(ask, struct exchange_ask, "RECORDS", NULL,
	  NUMBER(2, struct exchange_ask, partition, 0, PARTITIONS - 1),
	  BYTES(struct exchange_ask, buckets), VERSION(struct exchange_ask, version),
	  RECORD_PATH(struct exchange_ask, after, 0));

/* Only the root, a directory, has an empty path. */
static bool row_is_sound(const void *from)
{
	const struct exchange_row *row = from;

	return (row->path.n > 0 || row->record.flags & RECORD_DIRECTORY) &&
	       (row->type.n == 0 || record_has_content(&row->record));
}

ROW_TABLE(row, struct exchange_row, "row of RECORDS_ARE", row_is_sound,
	  RECORD_PATH(struct exchange_row, path, 0), RECORD(struct exchange_row, record, SOME_RECORD),
	  TYPE(struct exchange_row, type), BOOL(struct exchange_row, content));

int exchange_order(struct str path, struct version version, struct str other,
		   struct version of_other)
{
	int order = str_cmp(path, other);

	return order != 0 ? order : version_cmp(version, of_other);
}

/* packing */

void exchange_pack_digests(struct buf *buf, const uint16_t *partitions, size_t count)
{
	pack_u8(buf, EXCHANGE_DIGESTS);
	pack_u16(buf, (uint16_t)count);
	for (size_t i = 0; i < count; i++)
		pack_u16(buf, partitions[i]);
}

void exchange_pack_digests_are(struct buf *buf, const struct exchange_digest *list,
			       size_t count)
{
	pack_u8(buf, EXCHANGE_DIGESTS_ARE);
	pack_u16(buf, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		pack_u16(buf, (uint16_t)list[i].partition);
		pack_u64(buf, list[i].digest);
	}
}

void exchange_pack_buckets(struct buf *buf, unsigned partition)
{
	pack_u8(buf, EXCHANGE_BUCKETS);
	pack_u16(buf, (uint16_t)partition);
}

void exchange_pack_buckets_are(struct buf *buf, unsigned partition,
			       const struct digests *digests)
{
	pack_u8(buf, EXCHANGE_BUCKETS_ARE);
	pack_u16(buf, (uint16_t)partition);
	for (size_t i = 0; i < DIGESTS_BUCKETS; i++)
		pack_u64(buf, digests->buckets[i]);
}

void exchange_pack_records(struct buf *buf, const struct exchange_ask *ask)
{
	pack_u8(buf, EXCHANGE_RECORDS);
	message_pack(buf, &ask_message, ask);
}

void exchange_begin_rows(struct buf *buf, unsigned partition)
{
	pack_u8(buf, EXCHANGE_RECORDS_ARE);
	pack_u16(buf, (uint16_t)partition);
}

bool exchange_add_row(struct buf *buf, const struct exchange_row *row)
{
	size_t was = buf->len;

	pack_u8(buf, MARK_ROW);
	message_pack(buf, &row_message, row);
	if (buf->len < EXCHANGE_BYTES)		/* the end fits behind it */
		return true;
	buf->len = was;
	return false;
}

void exchange_end_rows(struct buf *buf, bool more)
{
	pack_u8(buf, more ? MARK_MORE : MARK_END);
}

/* unpacking */

static unsigned unpack_partition(struct unpack *in)
{
	unsigned partition = unpack_u16(in);

	if (partition >= PARTITIONS)
		in->failed = true;
	return partition;
}

bool exchange_next_row(struct str *list, struct exchange_row *ret)
{
	struct unpack in = unpack_of(*list);

	if (unpack_u8(&in) != MARK_ROW)
		return false;
	message_read(&in, &row_message, ret);
	*list = in.rest;
	return true;
}

/* Rows in order, so that a reader that asks behind the last one comes to an end. */
static void judge_rows(struct unpack *in, struct exchange *ret)
{
	struct exchange_row row, last = { .path = STR_INIT };
	uint8_t mark;

	ret->partition = unpack_partition(in);
	ret->list = in->rest;
	while ((mark = unpack_u8(in)) == MARK_ROW && !in->failed) {
		message_read(in, &row_message, &row);
		if (ret->count > 0 && exchange_order(row.path, row.record.version, last.path,
						     last.record.version) <= 0)
			in->failed = true;
		last = row;
		ret->count++;
	}
	ret->more = mark == MARK_MORE;
	if (mark > MARK_MORE || (ret->more && ret->count == 0))
		in->failed = true;
}

static void judge_list(struct unpack *in, struct exchange *ret)
{
	ret->count = unpack_u16(in);
	ret->list = in->rest;
	if (ret->count > PARTITIONS)
		in->failed = true;
	for (size_t i = 0; i < ret->count && !in->failed; i++) {
		unpack_partition(in);
		if (ret->kind == EXCHANGE_DIGESTS_ARE)
			unpack_u64(in);
	}
}

static void judge_buckets(struct unpack *in, struct exchange *ret)
{
	ret->partition = unpack_partition(in);
	ret->list = in->rest;
	for (size_t i = 0; i < DIGESTS_BUCKETS; i++)
		unpack_u64(in);
}

int exchange_unpack(struct str body, struct exchange *ret)
{
	struct unpack in = unpack_of(body);

	*ret = (struct exchange){ .kind = (enum exchange_kind)unpack_u8(&in) };
	switch (ret->kind) {
	case EXCHANGE_DIGESTS:
	case EXCHANGE_DIGESTS_ARE:
		judge_list(&in, ret);
		break;
	case EXCHANGE_BUCKETS:
		ret->partition = unpack_partition(&in);
		break;
	case EXCHANGE_BUCKETS_ARE:
		judge_buckets(&in, ret);
		break;
	case EXCHANGE_RECORDS:
		message_read(&in, &ask_message, &ret->ask);
		break;
	case EXCHANGE_RECORDS_ARE:
		judge_rows(&in, ret);
		break;
	default:
		return -1;
	}
	return body.n <= EXCHANGE_BYTES ? unpack_end(&in) : -1;
}

bool exchange_follows(const struct exchange *records, const struct exchange_ask *ask)
{
	struct str list = records->list;
	struct exchange_row row;

	return version_is_none(ask->version) || !exchange_next_row(&list, &row) ||
	       exchange_order(row.path, row.record.version, ask->after, ask->version) > 0;
}

/* lists of one size */

static struct unpack at(const struct exchange *exchange, size_t offset)
{
	return unpack_of((struct str){ exchange->list.s + offset, exchange->list.n - offset });
}

unsigned exchange_partition(const struct exchange *exchange, size_t i)
{
	struct unpack in = at(exchange, i * sizeof(uint16_t));

	return unpack_u16(&in);
}

struct exchange_digest exchange_digest(const struct exchange *exchange, size_t i)
{
	struct unpack in = at(exchange, i * DIGEST_BYTES);
	struct exchange_digest digest;

	digest.partition = unpack_u16(&in);
	digest.digest = unpack_u64(&in);
	return digest;
}

void exchange_buckets(const struct exchange *exchange, struct digests *ret)
{
	struct unpack in = at(exchange, 0);

	for (size_t i = 0; i < DIGESTS_BUCKETS; i++)
		ret->buckets[i] = unpack_u64(&in);
}
