/* What homes ask each other: what is packed comes back; nothing cut, longer or out of order is taken. */
#include "unit.h"

#include "exchange.h"
#include "seal.h"

#define ID (1ull << 63)

static const struct record sample = {
	.version = { .time = 1763809644123456001u, .node = 0x7f3a9c2b11d0e4f5, .n = 2 },
	.size = 5,
	.sha256 = { 1, 2, 3, 255 },
};

/* Whole it is taken; no prefix of it is, nor one byte more. */
static struct exchange taken(struct buf *b, enum exchange_kind kind)
{
	struct exchange exchange;

	buf_addc(b, '\0');
	CHECK(exchange_unpack(buf_str(b), &exchange) == -1);
	b->len--;
	for (size_t n = 0; n < b->len; n++)
		CHECK(exchange_unpack((struct str){ b->data, n }, &exchange) == -1);
	CHECK(exchange_unpack(buf_str(b), &exchange) == 0);
	CHECK(exchange.kind == kind);
	return exchange;
}

static void test_digests(void)
{
	const uint16_t partitions[] = { 0, 4095, 17 }, beyond[] = { PARTITIONS };
	const struct exchange_digest digests[] = { { 4095, UINT64_MAX }, { 3, 0 } };
	struct buf b = BUF_INIT;
	struct exchange got;

	exchange_pack_digests(&b, partitions, 3);
	got = taken(&b, EXCHANGE_DIGESTS);
	CHECK(got.count == 3 && exchange_partition(&got, 1) == 4095);
	CHECK(exchange_partition(&got, 2) == 17);
	buf_reset(&b);
	exchange_pack_digests_are(&b, digests, 2);
	got = taken(&b, EXCHANGE_DIGESTS_ARE);
	CHECK(got.count == 2 && exchange_digest(&got, 0).digest == UINT64_MAX);
	CHECK(exchange_digest(&got, 1).partition == 3);
	buf_reset(&b);
	exchange_pack_digests(&b, beyond, 1);
	CHECK(exchange_unpack(buf_str(&b), &got) == -1);
	buf_clear(&b);
}

/* All partitions in one message, both ways. */
static void test_all(void)
{
	static uint16_t partitions[PARTITIONS];
	static struct exchange_digest digests[PARTITIONS];
	struct buf b = BUF_INIT;
	struct exchange got;

	for (unsigned i = 0; i < PARTITIONS; i++) {
		partitions[i] = (uint16_t)i;
		digests[i] = (struct exchange_digest){ i, i * 3 };
	}
	exchange_pack_digests(&b, partitions, PARTITIONS);
	CHECK(exchange_unpack(buf_str(&b), &got) == 0 && got.count == PARTITIONS);
	buf_reset(&b);
	exchange_pack_digests_are(&b, digests, PARTITIONS);
	CHECK(exchange_unpack(buf_str(&b), &got) == 0);
	CHECK(exchange_digest(&got, PARTITIONS - 1).digest == 3 * (PARTITIONS - 1));
	buf_clear(&b);
}

static void test_buckets(void)
{
	struct digests digests = { .buckets = { [0] = 1, [255] = UINT64_MAX } }, same;
	struct exchange_ask ask = { .partition = 12, .buckets = { [1] = 4 }, .after = STR("a/b"),
				    .version = sample.version };
	struct buf b = BUF_INIT;
	struct exchange got;

	exchange_pack_buckets(&b, 4000);
	CHECK(taken(&b, EXCHANGE_BUCKETS).partition == 4000);
	buf_reset(&b);
	exchange_pack_buckets_are(&b, 4000, &digests);
	got = taken(&b, EXCHANGE_BUCKETS_ARE);
	exchange_buckets(&got, &same);
	CHECK(got.partition == 4000 && memcmp(&same, &digests, sizeof same) == 0);
	buf_reset(&b);
	exchange_pack_records(&b, &ask);
	got = taken(&b, EXCHANGE_RECORDS);
	CHECK(got.ask.partition == 12 && str_eq(got.ask.after, ask.after) &&
	      version_cmp(got.ask.version, ask.version) == 0);
	CHECK(exchange_wants(&got.ask, 10) && !exchange_wants(&got.ask, 9) &&
	      !exchange_wants(&got.ask, 2));
	buf_clear(&b);
}

static void test_rows(void)
{
	struct exchange_row row = { .path = STR("docs/a"), .record = sample, .type = STR("x/y"),
				    .content = true }, got;
	struct exchange_row root = { .record = { .version = { 4, 5, 0 },
						 .flags = RECORD_DIRECTORY } };
	struct exchange_row gate = { .path = STR("docs/"), .record = { .version = { 4, 5, 0 },
								       .flags = RECORD_DELETED } };
	struct buf b = BUF_INIT;
	struct exchange page;
	struct str list;

	exchange_begin_rows(&b, 8);
	CHECK(exchange_add_row(&b, &root) && exchange_add_row(&b, &gate) &&
	      exchange_add_row(&b, &row));
	row.record.version.n++;
	CHECK(exchange_add_row(&b, &row));
	exchange_end_rows(&b, true);
	page = taken(&b, EXCHANGE_RECORDS_ARE);
	CHECK(page.count == 4 && page.more && page.partition == 8);
	CHECK(exchange_follows(&page, &(struct exchange_ask){ .partition = 8 }));
	CHECK(!exchange_follows(&page, &(struct exchange_ask){ .version = sample.version,
							       .after = row.path }));
	list = page.list;
	CHECK(exchange_next_row(&list, &got) && got.path.n == 0 && !got.content);
	CHECK(exchange_next_row(&list, &got) && str_eq(got.path, gate.path));
	CHECK(exchange_next_row(&list, &got) && record_eq(&got.record, &sample) && got.content &&
	      str_eq(got.type, row.type) && str_eq(got.path, row.path));
	CHECK(exchange_next_row(&list, &got) && got.record.version.n == 3);
	CHECK(!exchange_next_row(&list, &got));
	buf_clear(&b);
}

static void test_wrong_rows(void)
{
	struct exchange_row row = { .path = STR("docs/a"), .record = sample };
	struct buf b = BUF_INIT;
	struct exchange page;

	exchange_begin_rows(&b, 8);
	exchange_end_rows(&b, true);		/* more behind nothing would never end */
	CHECK(exchange_unpack(buf_str(&b), &page) == -1);
	buf_reset(&b);
	exchange_begin_rows(&b, 8);
	exchange_add_row(&b, &row);
	exchange_add_row(&b, &row);		/* not ascending */
	exchange_end_rows(&b, false);
	CHECK(exchange_unpack(buf_str(&b), &page) == -1);
	buf_reset(&b);
	row.path = STR("a/../b");
	exchange_begin_rows(&b, 8);
	exchange_add_row(&b, &row);
	exchange_end_rows(&b, false);
	CHECK(exchange_unpack(buf_str(&b), &page) == -1);
	buf_clear(&b);
}

/* A page is filled to its bound, and not beyond. */
static void test_full_page(void)
{
	struct exchange_row row = { .path = STR("docs/a"), .record = sample };
	struct buf b = BUF_INIT;
	struct exchange page;
	size_t count = 0;

	exchange_begin_rows(&b, 8);
	while (exchange_add_row(&b, &row)) {
		row.record.version.time++;
		count++;
	}
	exchange_end_rows(&b, true);
	CHECK(b.len <= EXCHANGE_BYTES && b.len > EXCHANGE_BYTES - 100);
	CHECK(EXCHANGE_BYTES + 64 < SEAL_LONG_PLAIN_BYTES);
	CHECK(exchange_unpack(buf_str(&b), &page) == 0 && page.count == count && page.more);
	buf_clear(&b);
}

int main(void)
{
	test_digests();
	test_all();
	test_buckets();
	test_rows();
	test_wrong_rows();
	test_full_page();
	return UNIT_RESULT();
}
