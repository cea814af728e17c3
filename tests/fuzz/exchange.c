/* Any bytes as what homes ask each other: refused, or exactly what packing it again gives. */
#include "exchange.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void pack_partitions(struct buf *out, const struct exchange *in)
{
	uint16_t *partitions = mem_new(in->count + 1, sizeof *partitions);

	for (size_t i = 0; i < in->count; i++)
		partitions[i] = (uint16_t)exchange_partition(in, i);
	exchange_pack_digests(out, partitions, in->count);
	free(partitions);
}

static void pack_digests(struct buf *out, const struct exchange *in)
{
	struct exchange_digest *digests = mem_new(in->count + 1, sizeof *digests);

	for (size_t i = 0; i < in->count; i++)
		digests[i] = exchange_digest(in, i);
	exchange_pack_digests_are(out, digests, in->count);
	free(digests);
}

static void pack_buckets(struct buf *out, const struct exchange *in)
{
	struct digests digests;

	exchange_buckets(in, &digests);
	exchange_pack_buckets_are(out, in->partition, &digests);
}

static void pack_rows(struct buf *out, const struct exchange *in)
{
	struct str list = in->list;
	struct exchange_row row;
	size_t count = 0;

	exchange_begin_rows(out, in->partition);
	for (; exchange_next_row(&list, &row); count++)
		if (!exchange_add_row(out, &row))
			abort();
	if (count != in->count)
		abort();
	exchange_end_rows(out, in->more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str body = { (const char *)data, n };
	struct buf out = BUF_INIT;
	struct exchange in;

	if (exchange_unpack(body, &in) < 0)
		return 0;
	if (in.kind == EXCHANGE_DIGESTS)
		pack_partitions(&out, &in);
	else if (in.kind == EXCHANGE_DIGESTS_ARE)
		pack_digests(&out, &in);
	else if (in.kind == EXCHANGE_BUCKETS)
		exchange_pack_buckets(&out, in.partition);
	else if (in.kind == EXCHANGE_BUCKETS_ARE)
		pack_buckets(&out, &in);
	else if (in.kind == EXCHANGE_RECORDS)
		exchange_pack_records(&out, &in.ask);
	else
		pack_rows(&out, &in);
	if (!str_eq(buf_str(&out), body))
		abort();
	buf_clear(&out);
	return 0;
}
