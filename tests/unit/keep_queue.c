/*
 * What one keeper is asked, with keepers that take things at random, refuse
 * some, fail: in the end it has all, or it is known that something is
 * missed; and no more is remembered than may be.
 */
#include "unit.h"

#include "bulk.h"
#include "keep_queue.h"

#include <stdlib.h>
#include <time.h>

#define ITEMS 3000
#define BATCH 1000

static struct keep_queue q = KEEP_QUEUE_INIT;
static unsigned asked[ITEMS];		/* how often */
static bool has[ITEMS];
static size_t item_bytes;

static void add(unsigned from, unsigned to)
{
	struct keep_item item = { .record = { .size = 1 }, .type = STR_INIT };
	struct buf b = BUF_INIT;
	char path[8];

	for (unsigned i = from; i < to; i++) {
		snprintf(path, sizeof path, "%05u", i);
		item.path = str_of(path);
		item.record.version = (struct version){ .time = i + 1, .node = 1 };
		keep_item_pack(&b, &item);
	}
	item_bytes = b.len / (to - from);
	keep_queue_add(&q, buf_str(&b));
	buf_clear(&b);
}

static size_t remembered(void)
{
	return q.rest.len + q.again + (q.sent_again ? q.sent.len : 0);
}

/* The keeper looks at the batch, and pulls of it what it lacks and has room for. */
static uint64_t answer(unsigned room, bool (*can)(unsigned))
{
	struct str rest = buf_str(&q.sent);
	struct buf states = BUF_INIT;
	struct keep_item item;
	uint64_t wait;

	while (keep_item_next(&rest, &item) == 1) {
		unsigned i = (unsigned)item.record.version.time - 1;

		asked[i]++;
		pack_u8(&states, has[i] ? KEEP_HAVE : KEEP_PULLING);
		if (!has[i] && room > 0 && can(i)) {
			has[i] = true;
			room--;
		}
	}
	wait = keep_queue_answered(&q, buf_str(&states));
	CHECK(remembered() <= q.limit);
	buf_clear(&states);
	return wait;
}

static bool all(unsigned i)
{
	(void)i;
	return true;
}

static bool most(unsigned i)
{
	return i % 10 != 3;
}

static bool none(unsigned i)
{
	(void)i;
	return false;
}

static void begin(size_t limit)
{
	keep_queue_clear(&q);
	q.limit = limit;
	memset(asked, 0, sizeof asked);
	memset(has, 0, sizeof has);
}

/* Asked in pieces, by whoever minds that it is full: all arrives, nothing is missed. */
static void test_pieces(void)
{
	unsigned next = 0, rounds = 0;

	begin(40 * 1000);
	do {
		if (next < ITEMS && !inquiry_is_full(&q) && q.ready.len == 0) {
			add(next, next + 200);
			next += 200;
		}
		while (keep_queue_next(&q, BATCH))
			if (answer(5, all) > 0)
				break;
		keep_queue_due(&q);
		CHECK(!q.stuck && !q.missed);
	} while (++rounds < 10 * ITEMS && (next < ITEMS || !inquiry_is_over(&q)));
	CHECK(inquiry_is_over(&q));
	for (unsigned i = 0; i < ITEMS; i++)
		CHECK(has[i]);
}

/* What cannot be had is in nobody's way, and asked about ever more seldom. */
static void test_lost(void)
{
	uint64_t wait = 0, longest = 0;

	begin(1 << 20);
	add(0, ITEMS);
	for (unsigned steps = 0; longest < 30000 && steps < 100000; steps++) {
		if (wait > 0 || !keep_queue_next(&q, BATCH))
			keep_queue_due(&q);
		else if ((wait = answer(8, most)) > longest)
			longest = wait;
		if (!q.pausing)
			wait = 0;
	}
	CHECK(longest == 30000 && q.stuck && !q.missed && !inquiry_is_full(&q));
	CHECK(q.rest.len == ITEMS / 10 * item_bytes);
	for (unsigned i = 0; i < ITEMS; i++)
		CHECK(has[i] == most(i));
	/* while it waits for them, new ones are asked about at once */
	add(0, 1);
	CHECK(keep_queue_next(&q, BATCH) && answer(0, none) == 0 && !keep_queue_next(&q, BATCH));
}

/* More than may be remembered: that is known, and what was told of is asked about. */
static void test_limit(void)
{
	begin(100 * item_bytes + 1);
	add(0, 1000);
	while (keep_queue_next(&q, BATCH))
		answer(0, none);
	CHECK(q.missed && remembered() == 100 * item_bytes && inquiry_is_full(&q));
	for (unsigned i = 0; i < 1000; i++)
		CHECK(asked[i] == 1);
	keep_queue_due(&q);
	while (keep_queue_next(&q, BATCH))
		if (answer(1000, all) > 0)
			keep_queue_due(&q);
	keep_queue_due(&q);
	while (keep_queue_next(&q, BATCH))
		answer(0, none);
	CHECK(inquiry_is_over(&q) && q.missed && asked[100] == 1);
}

/* No answer: nobody waits for it, and all is asked about again. */
static void test_failed(void)
{
	uint64_t first;

	begin(1 << 20);
	add(0, 100);
	CHECK(keep_queue_next(&q, BATCH) && !keep_queue_next(&q, BATCH));
	first = keep_queue_failed(&q);
	CHECK(first > 0 && q.stuck && !q.missed && !inquiry_is_full(&q));
	CHECK(remembered() == 100 * item_bytes && !keep_queue_next(&q, BATCH));
	keep_queue_due(&q);
	CHECK(keep_queue_next(&q, BATCH) && keep_queue_failed(&q) > first);
	keep_queue_due(&q);
	for (unsigned i = 0; i < 1000 && !inquiry_is_over(&q); i++)
		if (!keep_queue_next(&q, BATCH) || answer(100, all) > 0)
			keep_queue_due(&q);
	CHECK(inquiry_is_over(&q) && !q.stuck && !q.missed && has[0] && has[99]);
}

/* Anything at all, in any order: never more than may be, and none is lost unsaid. */
static void test_random(unsigned seed)
{
	unsigned next = 0;

	srand(seed);
	begin((size_t)(20 + rand() % 200) * item_bytes);
	for (unsigned steps = 0; steps < 20000 && (next < ITEMS || !inquiry_is_over(&q)); steps++) {
		switch (rand() % 6) {
		case 0:
			if (next < ITEMS) {
				add(next, next + 50);
				next += 50;
			}
			break;
		case 1:
			keep_queue_due(&q);
			break;
		default:
			if (keep_queue_next(&q, BATCH) && rand() % 20 == 0)
				keep_queue_failed(&q);
			else if (q.sent.len > 0)
				answer((unsigned)rand() % 30, all);
		}
		CHECK(remembered() <= q.limit);
	}
	CHECK(inquiry_is_over(&q));
	for (unsigned i = 0; i < ITEMS; i++)
		if (!has[i] && !q.missed) {
			CHECK(!"it was asked about until the keeper had it");
			break;
		}
}

int main(void)
{
	unsigned seed = (unsigned)time(NULL);

	fprintf(stderr, "seed %u\n", seed);
	test_pieces();
	test_lost();
	test_limit();
	test_failed();
	for (unsigned i = 0; i < 20; i++)
		test_random(seed + i);
	keep_queue_clear(&q);
	return UNIT_RESULT();
}
