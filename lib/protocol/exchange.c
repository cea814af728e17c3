/* exchange - what homes ask each other to have the same records */
#include "exchange.h"

#define DIGEST_BYTES 10			/* partition u16, digest u64 */

enum mark { MARK_END, MARK_ROW, MARK_MORE };	/* before each row, and behind the last */

int exchange_order(struct str path, struct version version, struct str other,
		   struct version of_other)
{
	int order = str_cmp(path, other);

	return order != 0 ? order : version_cmp(version, of_other);
}

/* packing */

static void pack_head(struct buf *buf, enum exchange_kind kind)
{
	pack_u8(buf, (uint8_t)kind);
}

void exchange_pack_digests(struct buf *buf, const uint16_t *partitions, size_t count)
{
	pack_head(buf, EXCHANGE_DIGESTS);
	pack_u16(buf, (uint16_t)count);
	for (size_t i = 0; i < count; i++)
		pack_u16(buf, partitions[i]);
}

void exchange_pack_digests_are(struct buf *buf, const struct exchange_digest *list,
			       size_t count)
{
	pack_head(buf, EXCHANGE_DIGESTS_ARE);
	pack_u16(buf, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		pack_u16(buf, (uint16_t)list[i].partition);
		pack_u64(buf, list[i].digest);
	}
}

void exchange_pack_buckets(struct buf *buf, unsigned partition)
{
	pack_head(buf, EXCHANGE_BUCKETS);
	pack_u16(buf, (uint16_t)partition);
}

void exchange_pack_buckets_are(struct buf *buf, unsigned partition,
			       const struct digests *digests)
{
	pack_head(buf, EXCHANGE_BUCKETS_ARE);
	pack_u16(buf, (uint16_t)partition);
	for (size_t i = 0; i < DIGESTS_BUCKETS; i++)
		pack_u64(buf, digests->buckets[i]);
}

void exchange_pack_records(struct buf *buf, const struct exchange_ask *ask)
{
	pack_head(buf, EXCHANGE_RECORDS);
	pack_u16(buf, (uint16_t)ask->partition);
	pack_bytes(buf, ask->buckets, sizeof ask->buckets);
	pack_version(buf, ask->version);
	pack_str(buf, ask->after);
}

void exchange_begin_rows(struct buf *buf, unsigned partition)
{
	pack_head(buf, EXCHANGE_RECORDS_ARE);
	pack_u16(buf, (uint16_t)partition);
}

bool exchange_add_row(struct buf *buf, const struct exchange_row *row)
{
	size_t was = buf->len;

	pack_u8(buf, MARK_ROW);
	pack_str(buf, row->path);
	pack_record(buf, &row->record);
	pack_str(buf, row->type);
	pack_u8(buf, row->content);
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

static struct str unpack_path(struct unpack *in)
{
	struct str path = unpack_str(in, PATH_BYTES);

	if (!in->failed && path_check_record(path, NULL) < 0)
		in->failed = true;
	return path;
}

static void unpack_row(struct unpack *in, struct exchange_row *ret)
{
	uint8_t content;

	ret->path = unpack_path(in);
	unpack_record(in, &ret->record);
	ret->type = unpack_str(in, RECORD_TYPE_MAX);
	content = unpack_u8(in);
	ret->content = content == 1;
	if (content > 1 || version_is_none(ret->record.version) ||
	    (ret->path.n == 0 && !(ret->record.flags & RECORD_DIRECTORY)) ||
	    record_check_type(ret->type, NULL) < 0 ||
	    (ret->type.n > 0 && !record_has_content(&ret->record)))
		in->failed = true;
}

bool exchange_next_row(struct str *list, struct exchange_row *ret)
{
	struct unpack in = unpack_of(*list);

	if (unpack_u8(&in) != MARK_ROW)
		return false;
	unpack_row(&in, ret);
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
		unpack_row(in, &row);
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

static void unpack_ask(struct unpack *in, struct exchange_ask *ret)
{
	ret->partition = unpack_partition(in);
	unpack_bytes(in, ret->buckets, sizeof ret->buckets);
	ret->version = unpack_version(in);
	ret->after = unpack_path(in);
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
		unpack_ask(&in, &ret->ask);
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
