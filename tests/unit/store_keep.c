/* store_keep - what is kept by age: from a day to more days than there have been since 1970 */
#include "digest.h"
#include "store_unit.h"

#define DAY_NS (UINT64_C(86400) * 1000000000)
#define NOW (UINT64_C(20787) * DAY_NS + 5)	/* 2026-11-30 */

static void limits(void)
{
	CHECK(prune_before(NOW, 0) == 0);
	CHECK(prune_before(NOW, 1) == NOW - DAY_NS);
	CHECK(prune_before(NOW, 20000) == NOW - 20000 * DAY_NS);
	CHECK(prune_before(NOW, 20787) == 5);
	CHECK(prune_before(NOW, 20788) == 0 && prune_before(NOW, 36500) == 0);
	CHECK(prune_before(NOW, 213504) == 0 && prune_before(NOW, UINT32_MAX) == 0);
	CHECK(prune_before(NOW, UINT64_MAX) == 0 && prune_before(0, 1) == 0);
	CHECK(prune_before(UINT64_MAX, 213503) == UINT64_MAX - 213503 * DAY_NS);
}

static void age(const char *path, uint64_t made, const char *body)
{
	struct commit c = { .clock = made };

	CHECK(commit(&c, path, body) == ERR_NONE && c.record.version.time == made);
}

static uint64_t contents(uint64_t days, bool only_counts)
{
	struct prune_rule rule = { .before = prune_before(NOW, days), .only_counts = only_counts };
	struct prune_count count = { .records = 0 };

	CHECK(store_prune(store, STR("f"), &rule, &count, &why) == 0 && count.records == 0);
	return count.contents;
}

static void ages(void)
{
	age("f", 1, "the first moment");
	age("f", NOW - 20001 * DAY_NS, "20,001 days");
	age("f", NOW - 19999 * DAY_NS, "19,999 days");
	age("f", NOW - 2 * DAY_NS, "two days");
	age("f", NOW - DAY_NS / 2, "half a day");
	age("f", NOW, "now");
	CHECK(contents(0, false) == 0 && contents(36500, false) == 0 && contents(20788, false) == 0);
	CHECK(contents(20000, true) == 2 && contents(20000, false) == 2);
	CHECK(contents(20000, false) == 0);
	CHECK(contents(1, true) == 2 && contents(1, false) == 2 && contents(1, false) == 0);
	CHECK(versions("f") == 6 && holds("f", "now"));
}

/* The sha256 that is wanted, or NULL; the body that is found, or "". */
static const char *older(struct version below, const char *wanted, uint64_t most)
{
	static char body[40];
	struct store_entry entry = STORE_ENTRY_INIT;
	uint8_t sha256[SHA256_BYTES];
	ssize_t n = 0;

	if (wanted != NULL)
		digest_of(wanted, strlen(wanted), sha256);
	if (store_older_content(store, STR("old"), below, wanted != NULL ? sha256 : NULL, most, &entry, &why) == 0)
		n = pread(entry.fd, body, sizeof body - 1, 0);
	else
		CHECK(why.kind == ERR_ABSENT && entry.fd < 0);
	body[n] = '\0';
	CHECK(n == 0 || entry.record.size == (uint64_t)n);
	store_entry_clear(&entry);
	return body;
}

/* Contents by which another is coded: the newest of those that are here and not too large, or a certain one. */
static void dictionaries(void)
{
	struct version first = { NOW - 50 * DAY_NS, store_node(store), 0 };
	struct prune_rule rule = { .before = NOW - 40 * DAY_NS };
	struct prune_count count = { .records = 0 };

	CHECK(strcmp(older(VERSION_NONE, NULL, 100), "") == 0);
	age("old", NOW - 50 * DAY_NS, "first");
	age("old", NOW - 30 * DAY_NS, "the second");
	age("old", NOW - 20 * DAY_NS, "");
	age("old", NOW - 10 * DAY_NS, "third");
	CHECK(strcmp(older(VERSION_NONE, NULL, 100), "third") == 0);
	first.time = NOW - 10 * DAY_NS;
	CHECK(strcmp(older(first, NULL, 100), "the second") == 0);
	CHECK(strcmp(older(first, NULL, 5), "first") == 0);
	CHECK(strcmp(older(first, NULL, 4), "") == 0);
	CHECK(strcmp(older(VERSION_NONE, "first", 100), "first") == 0);
	CHECK(strcmp(older(VERSION_NONE, "another", 100), "") == 0);
	CHECK(with_flags("old", RECORD_DELETED) == ERR_NONE);
	CHECK(strcmp(older(VERSION_NONE, NULL, 100), "third") == 0);
	CHECK(store_prune(store, STR("old"), &rule, &count, &why) == 0 && count.contents == 1);
	CHECK(strcmp(older(VERSION_NONE, "first", 100), "") == 0);
}

/* Counting takes nothing, and tells what then goes. */
static void counting(void)
{
	struct prune_rule rule = { .versions = 2, .only_counts = true };
	struct prune_count counted = { .records = 0 }, went = { .records = 0 };

	for (int i = 0; i < 5; i++)
		CHECK(put("dir/g", "four") == ERR_NONE);
	CHECK(with_flags("dir/gone", RECORD_DELETED) == ERR_NONE);
	CHECK(store_prune_all(store, &rule, NULL, NULL, &counted, &why) == 0);
	CHECK(versions("dir/g") == 5 && versions("f") == 6);
	rule.only_counts = false;
	CHECK(store_prune_all(store, &rule, NULL, NULL, &went, &why) == 0);
	CHECK(went.records == 7 && versions("dir/g") == 2 && versions("f") == 2);
	CHECK(counted.records == went.records && counted.bytes == went.bytes &&
	      counted.contents == went.contents);
}

int main(void)
{
	if (!open_store())
		return UNIT_RESULT();
	limits();
	ages();
	counting();
	dictionaries();
	close_store();
	return UNIT_RESULT();
}
