/*
 * pull - a pull asks the right holder, and believes no lie
 *
 * Fixed stories first, then random ones: holders of every kind of
 * character, content compared byte by byte.  Argument: the seed.
 */
#include "pull.h"

#include "chance.h"
#include "unit.h"

#include <stdio.h>
#include <time.h>

#define SIZE_MAX_BYTES 300000
#define STEPS_MAX 3000

static uint8_t content[SIZE_MAX_BYTES];	/* what the version really holds */
static uint8_t stage[SIZE_MAX_BYTES + 1];

static const struct version wanted = { 1000, 7, 0 };

static struct record record_of(uint64_t size)
{
	return (struct record){ .version = wanted, .size = size };
}

static struct str etag_of(char to[VERSION_TEXT + 2], struct version v)
{
	char text[VERSION_TEXT];

	snprintf(to, VERSION_TEXT + 2, "\"%s\"", version_format(text, v));
	return str_of(to);
}

static void begin(struct pull *p, uint64_t size, size_t holders)
{
	struct record record = record_of(size);

	pull_begin(p, &record);
	for (size_t i = 0; i < holders; i++)
		pull_add(p, i + 1, false);
}

static void fail(struct pull *p, enum err_kind kind)
{
	struct err err = ERR_INIT;

	err_set(&err, kind, "test: failed");
	pull_end(p, &err);
}

/* An honest 200 or 206 of which n bytes arrive. */
static int give(struct pull *p, uint64_t offset, size_t n)
{
	char text[VERSION_TEXT + 2], range[80];
	struct err err;
	size_t drop;

	snprintf(range, sizeof range, "bytes %llu-%llu/%llu", (unsigned long long)offset,
		 (unsigned long long)p->size - 1, (unsigned long long)p->size);
	if (pull_head(p, offset ? 206 : 200, p->size - offset, etag_of(text, wanted),
		      offset ? str_of(range) : (struct str)STR_INIT, &err) < 0)
		return -1;
	return pull_body(p, n, &drop, &err);
}

static void test_order(void)
{
	struct record record = record_of(10);
	struct pull_ask ask;
	struct pull p;

	pull_begin(&p, &record);
	CHECK(pull_next(&p, &ask) == PULL_FAILED);
	CHECK(p.why.kind == ERR_AWAY);
	pull_add(&p, 11, true);
	pull_add(&p, 12, false);
	pull_add(&p, 12, false);
	pull_add(&p, 13, false);
	CHECK(p.count == 3);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 12 && ask.offset == 0);
	fail(&p, ERR_ABSENT);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 13 && ask.wait_ms == 0);
	fail(&p, ERR_TIMEOUT);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 11);
	fail(&p, ERR_AWAY);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 11 && ask.wait_ms > 0);
	fail(&p, ERR_AWAY);
	CHECK(pull_next(&p, &ask) == PULL_FAILED && p.why.kind == ERR_AWAY);
}

static void test_resume(void)
{
	struct pull_ask ask;
	struct pull p;

	begin(&p, 1000, 2);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 1);
	CHECK(give(&p, 0, 400) == 0);
	fail(&p, ERR_AWAY);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 2 && ask.offset == 400);
	CHECK(!ask.restart);
	fail(&p, ERR_ABSENT);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 1 && ask.offset == 400);
	CHECK(!ask.restart && ask.wait_ms > 0);
	CHECK(give(&p, 400, 600) == 0);
	pull_end(&p, NULL);
	CHECK(pull_next(&p, &ask) == PULL_CHECK);
	pull_checked(&p, true);
	CHECK(pull_next(&p, &ask) == PULL_DONE);
}

/* What came in a coding, and is worth nothing: the same one from zero, before those that were not asked. */
static void test_again(void)
{
	struct pull_ask ask;
	struct pull p;

	begin(&p, 1000, 3);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 1);
	fail(&p, ERR_ABSENT);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 2);
	pull_again(&p);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 2 && ask.offset == 0 && !ask.restart);
	CHECK(give(&p, 0, 400) == 0);
	pull_again(&p);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 2 && ask.offset == 0 && ask.restart && ask.wait_ms == 0);
	CHECK(give(&p, 0, 1000) == 0);
	pull_end(&p, NULL);
	CHECK(pull_next(&p, &ask) == PULL_CHECK);
	pull_again(&p);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 2 && ask.restart);
	CHECK(give(&p, 0, 1000) == 0);
	pull_end(&p, NULL);
	CHECK(pull_next(&p, &ask) == PULL_CHECK);
	pull_checked(&p, false);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 3 && ask.offset == 0);
}

/* One that was silent, and may have had to code: the others come first. */
static void test_once_more(void)
{
	struct pull_ask ask;
	struct pull p;

	begin(&p, 1000, 2);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 1);
	fail(&p, ERR_TIMEOUT);
	pull_once_more(&p);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 2 && ask.wait_ms == 0);
	fail(&p, ERR_ABSENT);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 1 && ask.offset == 0);
	fail(&p, ERR_TIMEOUT);
	CHECK(pull_next(&p, &ask) == PULL_FAILED && p.why.kind == ERR_TIMEOUT);
}

/* A version has one tag more for each coding, of this version alone. */
static void test_coded_tag(void)
{
	char tag[2 * VERSION_TEXT], text[VERSION_TEXT];
	struct version other = { 1000, 7, 1 };
	struct pull_ask ask;
	struct err err;
	struct pull p;

	begin(&p, 1000, 1);
	CHECK(pull_next(&p, &ask) == PULL_ASK);
	snprintf(tag, sizeof tag, "\"%s;dcz-00\"", version_format(text, wanted));
	CHECK(pull_head_coded(&p, str_of(tag), &err) == 0);
	CHECK(pull_head(&p, 200, UINT64_MAX, str_of(tag), (struct str)STR_INIT, &err) < 0);	/* it is as it is */
	snprintf(tag, sizeof tag, "\"%s;dcz-00\"", version_format(text, other));
	CHECK(pull_head_coded(&p, str_of(tag), &err) < 0);
	snprintf(tag, sizeof tag, "\"%s1\"", version_format(text, wanted));
	CHECK(pull_head_coded(&p, str_of(tag), &err) < 0);
	snprintf(tag, sizeof tag, "\"%s\"", version_format(text, wanted));
	CHECK(pull_head_coded(&p, str_of(tag), &err) < 0);
}

static void test_heads(void)
{
	static const struct { int status; uint64_t length; const char *range; bool other, fine; } t[] = {
		{ 200, 1000, "", false, true },
		{ 200, UINT64_MAX, "", false, true },
		{ 200, 999, "", false, false },
		{ 200, 1000, "", true, false },
		{ 206, 600, "bytes 400-999/1000", false, true },
		{ 206, 600, "bytes 400-999/1000", true, false },
		{ 206, 1000, "bytes 400-999/1000", false, false },
		{ 206, 600, "bytes 401-999/1000", false, false },
		{ 206, 600, "bytes 400-998/1000", false, false },
		{ 206, 600, "bytes 400-999/1001", false, false },
		{ 206, 600, "bytes 400-999/*", false, false },
		{ 206, 600, "", false, false },
		{ 416, 0, "", false, false },
		{ 302, 0, "", false, false },
		{ 504, 0, "", false, false },
	};
	struct version other = { 1001, 7, 0 };
	char text[VERSION_TEXT + 2];
	struct pull_ask ask;
	struct err err;
	struct pull p;

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		begin(&p, 1000, 1);
		pull_next(&p, &ask);
		give(&p, 0, 400);
		fail(&p, ERR_AWAY);
		CHECK(pull_next(&p, &ask) == PULL_ASK && ask.offset == 400);
		CHECK((pull_head(&p, t[i].status, t[i].length,
				 etag_of(text, t[i].other ? other : wanted),
				 str_of(t[i].range), &err) == 0) == t[i].fine);
		if (t[i].fine)
			CHECK(p.skip == (t[i].status == 200 ? 400 : 0));
	}
}

/* A holder that ignores Range: what is there already is dropped, in pieces of any size. */
static void test_skip(void)
{
	struct pull_ask ask;
	struct err err;
	struct pull p;
	size_t drop;

	begin(&p, 1000, 1);
	pull_next(&p, &ask);
	give(&p, 0, 400);
	fail(&p, ERR_AWAY);
	pull_next(&p, &ask);
	CHECK(give(&p, 0, 300) == 0 && p.have == 400);
	CHECK(pull_body(&p, 300, &drop, &err) == 0 && drop == 100 && p.have == 600);
	CHECK(pull_body(&p, 401, &drop, &err) == -1 && err.kind == ERR_CORRUPT);
	CHECK(pull_body(&p, 400, &drop, &err) == 0 && drop == 0 && p.have == 1000);
}

/* Two gave, the sum is wrong: each alone; the liar is found out. */
static void test_blame(void)
{
	struct pull_ask ask;
	struct pull p;

	begin(&p, 1000, 2);
	pull_next(&p, &ask);
	give(&p, 0, 400);
	fail(&p, ERR_AWAY);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 2);
	give(&p, 400, 600);
	pull_end(&p, NULL);
	CHECK(pull_next(&p, &ask) == PULL_CHECK);
	pull_checked(&p, false);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.offset == 0 && ask.restart);
	CHECK(ask.node == 1);
	give(&p, 0, 500);
	fail(&p, ERR_AWAY);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 2 && ask.offset == 0 && ask.restart);
	give(&p, 0, 1000);
	pull_end(&p, NULL);
	CHECK(pull_next(&p, &ask) == PULL_CHECK);
	pull_checked(&p, false);
	CHECK(pull_next(&p, &ask) == PULL_ASK && ask.node == 1 && ask.restart);
	CHECK(p.holders[1].out && !p.holders[0].out);
}

static void test_empty(void)
{
	struct pull_ask ask;
	struct pull p;

	begin(&p, 0, 2);
	CHECK(pull_next(&p, &ask) == PULL_CHECK);
	pull_checked(&p, false);
	CHECK(pull_next(&p, &ask) != PULL_DONE);
	CHECK(pull_next(&p, &ask) == PULL_FAILED);
	begin(&p, 0, 0);
	CHECK(pull_next(&p, &ask) == PULL_CHECK);
	pull_checked(&p, true);
	CHECK(pull_next(&p, &ask) == PULL_DONE);
}

/* The random part: a peer is one of these, for a whole story. */
enum character { HONEST, ABSENT, SILENT, FLAKY, NO_RANGE, WRONG_BYTES, LIES_AND_BREAKS, WRONG_LENGTH,
		 OTHER_VERSION, SHORT, LONG, STALLS, CHARACTERS };

static uint64_t dice(uint64_t n)
{
	return n ? draw() % n : 0;
}

/* Deliver bytes [from, to) of the content, as they are or spoilt.  -1: the pull wants no more. */
static int deliver(struct pull *p, uint64_t from, uint64_t to, bool spoil, struct err *err)
{
	while (from < to) {
		size_t n = 1 + (size_t)dice(to - from < 50000 ? to - from : 50000), drop;
		uint64_t at = p->have;

		if (n > to - from)
			n = (size_t)(to - from);
		if (pull_body(p, n, &drop, err) < 0)
			return -1;
		memcpy(stage + at, content + from + drop, n - drop);
		stage[at] ^= (uint8_t)(spoil && n > drop);
		from += n;
	}
	return 0;
}

static int head_of(struct pull *p, enum character c, uint64_t from, struct err *err)
{
	char text[VERSION_TEXT + 2], range[80];
	struct version v = wanted;
	uint64_t length = p->size - from;

	if (c == OTHER_VERSION)
		v.n++;
	if (c == WRONG_LENGTH)
		length += 1 + dice(100);
	if (c == SHORT || c == LONG)
		length = UINT64_MAX;
	snprintf(range, sizeof range, "bytes %llu-%llu/%llu", (unsigned long long)from,
		 (unsigned long long)p->size - 1, (unsigned long long)p->size);
	return pull_head(p, from ? 206 : 200, length, etag_of(text, v),
			 from ? str_of(range) : (struct str)STR_INIT, err);
}

/* One exchange.  NULL when the response came whole. */
static struct err *exchange(struct pull *p, enum character c, uint64_t offset, struct err *err)
{
	uint64_t from = c == NO_RANGE ? 0 : offset, to = p->size;
	bool spoil = c == WRONG_BYTES || c == LIES_AND_BREAKS;

	err_set(err, c == SILENT || c == STALLS ? ERR_TIMEOUT : ERR_AWAY, "test: gone");
	if (c == SILENT || (c == FLAKY && dice(4) == 0))
		return err;
	if (c == ABSENT) {
		err_set(err, ERR_ABSENT, "test: 404");
		return err;
	}
	if (head_of(p, c, from, err) < 0)
		return err;
	if (c == FLAKY || c == LIES_AND_BREAKS || c == STALLS || c == SHORT)
		to = from + dice(to - from);
	if (c == LONG)
		to += 1 + dice(1000);
	if (deliver(p, from, to, spoil, err) < 0)
		return err;
	return c == FLAKY || c == LIES_AND_BREAKS || c == STALLS ? err : NULL;
}

static bool story(void)
{
	enum character who[PULL_HOLDERS_MAX];
	size_t count = 1 + (size_t)dice(PULL_HOLDERS_MAX);
	uint64_t size = dice(8) ? dice(SIZE_MAX_BYTES) : 0;
	struct record record = record_of(size);
	enum pull_step step = PULL_ASK;
	bool can = false;
	struct pull_ask ask;
	struct pull p;
	unsigned steps = 0;

	pull_begin(&p, &record);
	for (size_t i = 0; i < count; i++) {
		who[i] = (enum character)dice(CHARACTERS);
		can = can || who[i] == HONEST || who[i] == NO_RANGE;
		pull_add(&p, i, dice(4) == 0);
	}
	while (steps++ < STEPS_MAX && (step = pull_next(&p, &ask)) != PULL_DONE && step != PULL_FAILED) {
		struct err err;

		if (step == PULL_CHECK) {
			pull_checked(&p, memcmp(stage, content, size) == 0);
			continue;
		}
		CHECK(ask.offset <= size && !(ask.restart && ask.offset));
		pull_end(&p, exchange(&p, who[ask.node], ask.offset, &err));
	}
	CHECK(steps < STEPS_MAX);
	CHECK(step != PULL_DONE || memcmp(stage, content, size) == 0);
	CHECK(step == PULL_DONE || !can);
	return step == PULL_DONE;
}

int main(int argc, char **argv)
{
	unsigned good = 0, stories = 3000;

	if (!chance_begin(argc, argv, (uint64_t)time(NULL), NULL))
		return 64;
	test_order();
	test_resume();
	test_again();
	test_once_more();
	test_coded_tag();
	test_heads();
	test_skip();
	test_blame();
	test_empty();
	for (size_t i = 0; i < SIZE_MAX_BYTES; i++)
		content[i] = (uint8_t)dice(256);
	for (unsigned i = 0; i < stories; i++)
		good += story();
	printf("%u of %u random pulls succeeded\n", good, stories);
	CHECK(good > stories / 4 && good < stories);
	return UNIT_RESULT();
}
