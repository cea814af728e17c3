/* holdings, surplus: what is asked of whom, and what answers come to */
#include "unit.h"

#include "holdings.h"
#include "seal.h"
#include "surplus.h"
#include "wire.h"

static struct layout layout_of(size_t members)
{
	struct layout layout = { .lineage = 1, .epoch = 1, .homes = 3, .copies = 2, .keep_versions = 10 };

	for (uint64_t id = 1; id <= members; id++)
		layout_put(&layout, id, LAYOUT_A, 1, "");
	return layout;
}

static struct version at(uint64_t time)
{
	return (struct version){ time, 9, 0 };
}

static struct record file_at(uint64_t time)
{
	return (struct record){ .version = at(time), .size = 1, .sha256 = { 1 } };
}

/* A home's store: what it knows of "d/new", "d/gone" and of all other names. */
struct known {
	uint64_t newest, gone, others;
	bool dumb;			/* it can tell nothing of "d/new" */
};

static int newest(void *data, struct str path, struct record *ret, char type[RECORD_TYPE_MAX + 1])
{
	const struct known *known = data;

	if (str_eq(path, STR("d/new"))) {
		if (known->dumb)
			return -1;
		*ret = file_at(known->newest);
		snprintf(type, RECORD_TYPE_MAX + 1, "text/x");
	} else if (str_eq(path, STR("d/gone"))) {
		*ret = (struct record){ .version = at(known->gone), .flags = RECORD_DELETED };
	} else {
		*ret = file_at(known->others);
	}
	return 0;
}

struct told {
	struct buf text;
};

static void note(void *data, const struct holdings_newer *n)
{
	struct told *told = data;

	buf_addf(&told->text, "%.*s %u%s %.*s;", STR_ARG(n->path), (unsigned)n->record.version.time,
		 n->record.flags & RECORD_DELETED ? "!" : "", STR_ARG(n->type));
}

/* The next is asked, if there is one, and answers from what it knows; who it was, or 0. */
static uint64_t ask(struct holdings *h, struct known *known, struct told *told)
{
	struct buf question = BUF_INIT, answer = BUF_INIT;
	uint64_t peer = 0;

	if (holdings_next(h, &peer, &question)) {
		CHECK(question.len > 0 && question.len <= 56u << 10);
		CHECK(holdings_answer(buf_str(&question), newest, known, &answer) == 0);
		CHECK(answer.len <= SEAL_LONG_PLAIN_BYTES);
		holdings_answered(h, buf_str(&answer), note, told);
	}
	buf_clear(&question);
	buf_clear(&answer);
	return peer;
}

static void add_three(struct holdings *h, const struct layout *layout)
{
	holdings_begin(h, layout);
	holdings_add(h, STR("d/gone"), at(5));
	holdings_add(h, STR("d/new"), at(5));
	holdings_add(h, STR("d/same"), at(5));
}

/* A majority of three is two; what one told the other need not tell again. */
static void majority(void)
{
	struct layout layout = layout_of(6);
	struct holdings h = HOLDINGS_INIT;
	struct known first = { 7, 6, 5, false }, second = { 8, 6, 4, false };
	struct told told = { BUF_INIT };
	uint64_t a, b;

	add_three(&h, &layout);
	CHECK(h.item_count == 3 && holdings_open(&h) == 3);
	a = ask(&h, &first, &told);
	CHECK(str_eq(buf_str(&told.text), STR("d/gone 6! ;d/new 7 text/x;")));
	CHECK(holdings_open(&h) == 3);
	buf_reset(&told.text);
	b = ask(&h, &second, &told);
	CHECK(str_eq(buf_str(&told.text), STR("d/new 8 text/x;")));
	CHECK(a != 0 && b != 0 && a != b && holdings_open(&h) == 0);
	CHECK(ask(&h, &second, &told) == 0);
	holdings_clear(&h);
	buf_clear(&told.text);
}

/* Who failed, or could not tell, is no part of it; late ones are the last. */
static void without_some(void)
{
	struct layout layout = layout_of(6);
	struct layout_order homes;
	struct holdings h = HOLDINGS_INIT;
	struct known knows = { 7, 6, 5, false }, dumb = { 7, 6, 5, true };
	struct told told = { BUF_INIT };
	struct buf question = BUF_INIT;
	uint64_t peer;

	layout_homes(&layout, LAYOUT_A, path_partition(STR("d/x")), &homes);
	add_three(&h, &layout);
	holdings_late(&h, homes.ids[0]);
	CHECK(ask(&h, &knows, &told) == homes.ids[1]);
	CHECK(holdings_next(&h, &peer, &question) && peer == homes.ids[2]);
	holdings_failed(&h);
	CHECK(ask(&h, &knows, &told) == homes.ids[0] && holdings_open(&h) == 0);

	add_three(&h, &layout);
	CHECK(ask(&h, &knows, &told) == homes.ids[0] && ask(&h, &dumb, &told) == homes.ids[1]);
	CHECK(holdings_open(&h) == 3 && ask(&h, &dumb, &told) == homes.ids[2]);
	CHECK(holdings_open(&h) == 3 && ask(&h, &knows, &told) == 0);
	holdings_clear(&h);
	buf_clear(&told.text);
	buf_clear(&question);
}

/* Both sets' majorities while joint. */
static void joint(void)
{
	struct layout layout = layout_of(6);
	struct holdings h = HOLDINGS_INIT;
	struct known knows = { 7, 6, 5, false };
	struct told told = { BUF_INIT };
	struct quorum quorum;
	size_t asked = 0;
	uint64_t peer;

	for (uint64_t id = 1; id <= 12; id++)
		layout_put(&layout, id, id <= 6 ? LAYOUT_A : LAYOUT_B, 1, "");
	add_three(&h, &layout);
	quorum_begin(&quorum);
	quorum_add(&quorum, &layout, path_partition(STR("d/x")));
	while ((peer = ask(&h, &knows, &told)) != 0) {
		CHECK(!quorum_reached(&quorum));
		quorum_answered(&quorum, peer);
		asked++;
	}
	CHECK(quorum_reached(&quorum) && asked >= 4 && holdings_open(&h) == 0);
	holdings_clear(&h);
	buf_clear(&told.text);
}

/* More than a message holds, and answers that are longer than the questions. */
static void many(void)
{
	struct layout layout = layout_of(5);
	struct holdings h = HOLDINGS_INIT;
	struct known same = { 7, 6, 5, false }, later = { 7, 6, 9, false };
	struct told told = { BUF_INIT };
	unsigned asked = 0;
	char path[40];

	for (int round = 0; round < 2; round++) {
		holdings_begin(&h, &layout);
		for (unsigned i = 0; i < 20000; i++) {
			snprintf(path, sizeof path, "d%u/file%u", i / 500, i);
			holdings_add(&h, str_of(path), at(5));
		}
		buf_reset(&told.text);
		for (asked = 0; asked < 10000 && ask(&h, round == 0 ? &same : &later, &told) != 0;)
			asked++;
		CHECK(holdings_open(&h) == 0);
		CHECK(round == 0 ? told.text.len == 0 && asked < 40 : asked < 80);
	}
	asked = 0;
	for (size_t i = 0; i < told.text.len; i++)
		asked += told.text.data[i] == ';';
	CHECK(asked == 20000);		/* each once */
	holdings_clear(&h);
	buf_clear(&told.text);
}

/* What is no answer to it counts for nobody, and nobody is asked for ever. */
static void malformed(void)
{
	static const char *const bad[] = { "", "\3", "\1", "\0", "\0\0\1", "\0\2\3" };
	static const size_t sizes[] = { 0, 1, 1, 1, 3, 3 };
	struct layout layout = layout_of(5);
	struct holdings h = HOLDINGS_INIT;
	struct told told = { BUF_INIT };
	struct buf question = BUF_INIT;
	uint64_t peer;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		unsigned asked = 0;

		add_three(&h, &layout);
		while (holdings_next(&h, &peer, &question)) {
			buf_reset(&question);
			holdings_answered(&h, (struct str){ bad[i], sizes[i] }, note, &told);
			asked++;
		}
		CHECK(asked == 3 && holdings_open(&h) == 3 && told.text.len == 0);
	}
	CHECK(holdings_answer(STR("no items"), newest, NULL, &question) == -1);
	holdings_clear(&h);
	buf_clear(&question);
}

/* A record that is not newer, or a directory's, is no answer. */
static void untrue(void)
{
	struct layout layout = layout_of(5);
	struct record told_records[] = { file_at(5), file_at(6) };
	struct holdings h = HOLDINGS_INIT;
	struct told told = { BUF_INIT };
	struct buf question = BUF_INIT, answer = BUF_INIT;
	uint64_t peer;

	told_records[1] = (struct record){ .version = at(6), .flags = RECORD_DIRECTORY };
	for (size_t i = 0; i < 2; i++) {
		add_three(&h, &layout);
		CHECK(holdings_next(&h, &peer, &question));
		pack_u8(&answer, 1);
		pack_record(&answer, &told_records[i]);
		pack_str(&answer, STR(""));
		pack_u16(&answer, 0);
		holdings_answered(&h, buf_str(&answer), note, &told);
		CHECK(told.text.len == 0);
		buf_reset(&question);
		buf_reset(&answer);
	}
	holdings_clear(&h);
	buf_clear(&question);
	buf_clear(&answer);
}

/* surplus: "d/a" at a node that is none of its keepers */

static size_t taken(struct surplus *s)
{
	struct keep_item item;
	size_t count = 0;

	while (surplus_take(s, &item))
		count++;
	return count;
}

static void answer_keep(struct surplus *s, uint8_t state)
{
	struct buf question = BUF_INIT, states = BUF_INIT;
	struct keep_item item;
	struct str rest;
	uint64_t peer;

	CHECK(surplus_next(s, &peer, &question));
	rest = buf_str(&question);
	while (keep_item_next(&rest, &item) == 1) {
		CHECK(layout_keeps(&s->layout, item.path, peer));
		pack_u8(&states, state);
	}
	if (state != 0)
		surplus_answered(s, buf_str(&states));
	else
		surplus_failed(s);
	buf_clear(&question);
	buf_clear(&states);
}

static void surplus(void)
{
	struct layout layout = layout_of(6);
	struct keep_item item = { .record = file_at(5), .type = STR(""), .path = STR("d/a") };
	struct buf question = BUF_INIT;
	struct surplus s = SURPLUS_INIT;
	uint64_t peer;

	for (uint8_t first = 0; first <= KEEP_FULL; first++) {
		surplus_begin(&s, &layout);
		surplus_add(&s, &item);
		answer_keep(&s, first);
		if (first == KEEP_HAVE)
			answer_keep(&s, KEEP_HAVE);
		CHECK(!surplus_next(&s, &peer, &question));
		CHECK(taken(&s) == (first == KEEP_HAVE));
	}
	/* One of the two is not enough, nor is an answer that is too short. */
	surplus_begin(&s, &layout);
	surplus_add(&s, &item);
	answer_keep(&s, KEEP_HAVE);
	CHECK(taken(&s) == 0);
	surplus_begin(&s, &layout);
	surplus_add(&s, &item);
	CHECK(surplus_next(&s, &peer, &question));
	surplus_answered(&s, STR(""));
	CHECK(!surplus_next(&s, &peer, (buf_reset(&question), &question)) && taken(&s) == 0);
	surplus_clear(&s);
	buf_clear(&question);
}

static void many_spares(void)
{
	struct layout layout = layout_of(6);
	struct keep_item item = { .record = file_at(5), .type = STR("text/x") };
	struct buf question = BUF_INIT, states = BUF_INIT;
	struct surplus s = SURPLUS_INIT;
	uint64_t peer;
	char path[40];

	surplus_begin(&s, &layout);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(path, sizeof path, "d/file%u", i);
		item.path = str_of(path);
		surplus_add(&s, &item);
	}
	while (surplus_next(&s, &peer, &question)) {
		struct str rest = buf_str(&question);
		struct keep_item of;

		CHECK(question.len <= 56u << 10);
		while (keep_item_next(&rest, &of) == 1)
			pack_u8(&states, str_eq(of.path, STR("d/file7")) ? KEEP_PULLING : KEEP_HAVE);
		surplus_answered(&s, buf_str(&states));
		buf_reset(&question);
		buf_reset(&states);
	}
	CHECK(taken(&s) == 2999);
	surplus_clear(&s);
	buf_clear(&question);
	buf_clear(&states);
}

int main(void)
{
	majority();
	without_some();
	joint();
	many();
	malformed();
	untrue();
	surplus();
	many_spares();
	return UNIT_RESULT();
}
