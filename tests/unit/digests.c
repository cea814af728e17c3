/* Digests: equal exactly when the records are, whatever the order; vectors, since nodes compare them. */
#include "unit.h"
#include "chance.h"

#include "digests.h"

#include <stdlib.h>
#include <sodium.h>
#include <time.h>

static struct record record_of(uint64_t time)
{
	return (struct record){ .version = { .time = time, .node = 9 }, .size = 3, .sha256 = { 1 } };
}

static void add(struct digests *digests, unsigned number)
{
	struct record record = record_of(1000 + number);
	char path[40];

	snprintf(path, sizeof path, "docs/file%u", number);
	digests_add(digests, str_of(path), &record);
}

/* Checked against Python's hashlib. */
static void test_vectors(void)
{
	struct digests digests = { .buckets = { 0 } };
	struct record record = record_of(1763809644123456001u);

	CHECK(digests_sum(&digests) == 0);
	CHECK(digests_bucket(STR("docs/a.pdf")) == 58);
	digests_add(&digests, STR("docs/a.pdf"), &record);
	CHECK(digests.buckets[digests_bucket(STR("docs/a.pdf"))] == UINT64_C(0x8a07559476744894));
	CHECK(digests_sum(&digests) == UINT64_C(0xa5d8b84fdc7ad42c));

	digests = (struct digests){ .buckets = { 0 } };
	record.version.n = 7;
	record.made = record.version.time + 5;
	digests_add(&digests, STR("docs/a.pdf"), &record);
	CHECK(digests_sum(&digests) == UINT64_C(0xfaf0ed7f9ac1ffec));
}

static void test_order(void)
{
	struct digests a = { .buckets = { 0 } }, b = { .buckets = { 0 } };
	unsigned order[1000];

	for (unsigned i = 0; i < 1000; i++) {
		add(&a, i);
		order[i] = i;
	}
	for (unsigned i = 999; i > 0; i--) {
		unsigned k = below(i + 1), swap = order[i];

		order[i] = order[k];
		order[k] = swap;
	}
	for (unsigned i = 0; i < 1000; i++)
		add(&b, order[i]);
	CHECK(memcmp(&a, &b, sizeof a) == 0 && digests_sum(&a) == digests_sum(&b));
}

/* Whatever differs shows in the sum, and in no other bucket than the path's. */
static void test_differences(void)
{
	struct digests base = { .buckets = { 0 } }, other;
	struct record record = record_of(5000), changed;
	unsigned used = 0;

	for (unsigned i = 0; i < 1000; i++)
		add(&base, i);
	for (unsigned i = 0; i < DIGESTS_BUCKETS; i++)
		used += base.buckets[i] != 0;
	CHECK(used > 200);		/* 1000 paths spread over them */
	digests_add(&base, STR("x"), &record);
	for (int what = 0; what < 4; what++) {
		changed = record;
		changed.version.time += what == 0;
		changed.version.node += what == 1;
		changed.version.n += what == 2;
		changed.flags = what == 3 ? RECORD_BLIND : 0;
		other = base;
		other.buckets[digests_bucket(STR("x"))] = 0;
		digests_add(&other, STR("x"), &changed);
		CHECK(digests_sum(&other) != digests_sum(&base));
	}
	other = base;
	digests_add(&other, STR("y"), &record);
	for (unsigned i = 0; i < DIGESTS_BUCKETS; i++)
		CHECK((other.buckets[i] != base.buckets[i]) == (i == digests_bucket(STR("y"))));
}

int main(int argc, char **argv)
{
	if (!chance_begin(argc, argv, (uint64_t)time(NULL), NULL))
		return 64;
	if (sodium_init() < 0)
		return 1;
	test_vectors();
	test_order();
	test_differences();
	return UNIT_RESULT();
}
