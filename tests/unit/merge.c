/*
 * Merging indexes and histories: the rules one by one, spoiled texts, and
 * random texts against a naive union.
 */
#include "unit.h"
#include "chance.h"

#include "mem.h"
#include "merge.h"

#include <inttypes.h>

static void add_row(struct buf *to, const char *name, enum listing_type type, uint64_t time)
{
	struct listing_row row = { .name = str_of(name), .type = type, .version = { time, 9, 0 } };

	if (time == 0)
		row.version = VERSION_NONE;
	if (type == LISTING_FILE)
		row.size = time;
	listing_text_row(to, &row);
}

static void add_version(struct buf *to, uint64_t time, bool here)
{
	struct history_row row = { .record = { .version = { time, 9, 0 }, .size = time }, .here = here };

	listing_text_version(to, &row);
}

/* "name:type:time " for each row */
static void merged(struct buf *to, const struct buf *texts, size_t count, size_t *ret_spoiled)
{
	struct str slices[MERGE_TEXTS_MAX];
	struct listing_row row;
	struct merge merge;

	for (size_t i = 0; i < count; i++)
		slices[i] = buf_str(&texts[i]);
	merge_init(&merge, slices, count);
	buf_reset(to);
	while (merge_listing(&merge, &row))
		buf_addf(to, "%.*s:%s:%" PRIu64 " ", STR_ARG(row.name), listing_type_name(row.type),
			 row.version.time);
	*ret_spoiled = merge.spoiled;
	merge_clear(&merge);
}

#define EXPECT(texts, count, expected, bad) \
	do { \
		size_t spoiled; \
		merged(&out, texts, count, &spoiled); \
		CHECK(spoiled == (bad)); \
		CHECK(out.data != NULL && strcmp(out.data, expected) == 0); \
		if (out.data != NULL && strcmp(out.data, expected) != 0) \
			fprintf(stderr, "got %s\n", out.data); \
		for (size_t k = 0; k < (count); k++) \
			buf_reset(&(texts)[k]); \
	} while (0)

static void test_rules(void)
{
	struct buf t[3] = { BUF_INIT, BUF_INIT, BUF_INIT }, out = BUF_INIT;

	add_row(&t[0], "a", LISTING_FILE, 5);
	add_row(&t[0], "c", LISTING_FILE, 5);
	add_row(&t[1], "a", LISTING_FILE, 7);
	add_row(&t[1], "b", LISTING_DELETED, 2);
	add_row(&t[2], "c", LISTING_DELETED, 6);
	EXPECT(t, 3, "a:file:7 b:deleted:2 c:deleted:6 ", 0);

	/* A directory stands against a newer file, falls to a newer deletion, and rises after it. */
	add_row(&t[0], "d", LISTING_DIRECTORY, 3);
	add_row(&t[0], "e", LISTING_DIRECTORY, 3);
	add_row(&t[0], "f", LISTING_DIRECTORY, 3);
	add_row(&t[0], "g", LISTING_DIRECTORY, 0);
	add_row(&t[0], "h", LISTING_DIRECTORY, 3);
	add_row(&t[1], "d", LISTING_FILE, 9);
	add_row(&t[1], "e", LISTING_DELETED, 9);
	add_row(&t[1], "f", LISTING_DELETED, 2);
	add_row(&t[1], "g", LISTING_DELETED, 9);
	add_row(&t[1], "h", LISTING_DELETED, 5);
	add_row(&t[2], "g", LISTING_DIRECTORY, 4);
	add_row(&t[2], "h", LISTING_FILE, 8);
	EXPECT(t, 3,
	       "d:directory:3 e:deleted:9 f:directory:3 g:directory:4 h:file:8 ", 0);
	for (int i = 0; i < 3; i++)
		buf_clear(&t[i]);
	buf_clear(&out);
}

static void test_spoiled(void)
{
	struct buf t[2] = { BUF_INIT, BUF_INIT }, out = BUF_INIT;

	add_row(&t[0], "a", LISTING_FILE, 5);
	add_row(&t[0], "z", LISTING_FILE, 5);
	add_row(&t[1], "b", LISTING_FILE, 5);
	add_row(&t[1], "a", LISTING_FILE, 9);
	EXPECT(t, 2, "a:file:5 b:file:5 z:file:5 ", 1);

	add_row(&t[0], "a", LISTING_FILE, 5);
	add_row(&t[1], "b", LISTING_FILE, 5);
	add_row(&t[1], "c", LISTING_FILE, 5);
	t[1].len--;
	EXPECT(t, 2, "a:file:5 b:file:5 ", 1);

	add_row(&t[0], "m", LISTING_FILE, 5);
	add_row(&t[0], "m", LISTING_FILE, 6);
	buf_adds(&t[1], "\n");
	EXPECT(t, 2, "m:file:5 ", 2);
	buf_clear(&t[0]);
	buf_clear(&t[1]);
	buf_clear(&out);
}

#define NAMES 40

static void test_random(void)
{
	struct buf texts[MERGE_TEXTS_MAX] = { BUF_INIT }, out = BUF_INIT, expected = BUF_INIT;
	uint64_t newest[NAMES] = { 0 };
	size_t count = 1 + below(MERGE_TEXTS_MAX), spoiled;

	for (size_t i = 0; i < count; i++) {
		for (int n = 0; n < NAMES; n++) {
			char name[] = { (char)('A' + n), '\0' };
			uint64_t time = 1 + below(1000);

			if (below(3) != 0)
				continue;
			add_row(&texts[i], name, LISTING_FILE, time);
			if (time > newest[n])
				newest[n] = time;
		}
	}
	for (int n = 0; n < NAMES; n++)
		if (newest[n] > 0)
			buf_addf(&expected, "%c:file:%" PRIu64 " ", 'A' + n, newest[n]);
	merged(&out, texts, count, &spoiled);
	CHECK(spoiled == 0 && str_eq(buf_str(&out), buf_str(&expected)));
	for (size_t i = 0; i < count; i++)
		buf_clear(&texts[i]);
	buf_clear(&out);
	buf_clear(&expected);
}

static void test_history(void)
{
	struct buf t[2] = { BUF_INIT, BUF_INIT };
	struct history_row row;
	struct merge merge;
	static const struct {
		uint64_t time;
		bool here;
	} expected[] = { { 9, true }, { 7, true }, { 5, false }, { 3, true } };
	size_t n = 0;

	add_version(&t[0], 9, true);
	add_version(&t[0], 7, false);
	add_version(&t[0], 5, false);
	add_version(&t[1], 7, true);
	add_version(&t[1], 3, true);
	add_version(&t[1], 4, true);	/* out of order: not taken */
	merge_init(&merge, (struct str[]){ buf_str(&t[0]), buf_str(&t[1]) }, 2);
	while (merge_history(&merge, &row)) {
		CHECK(n < 4 && row.record.version.time == expected[n].time);
		CHECK(n < 4 && row.here == expected[n].here);
		n++;
	}
	CHECK(n == 4 && merge.spoiled == 1);
	merge_clear(&merge);
	buf_clear(&t[0]);
	buf_clear(&t[1]);
}

int main(int argc, char **argv)
{
	if (!chance_begin(argc, argv, 20261123, NULL))
		return 64;
	test_rules();
	test_spoiled();
	test_history();
	for (int i = 0; i < 500; i++)
		test_random();
	return UNIT_RESULT();
}
