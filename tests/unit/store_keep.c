/* store_keep - what is kept by age: from a day to more days than there have been since 1970 */
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
	close_store();
	return UNIT_RESULT();
}
