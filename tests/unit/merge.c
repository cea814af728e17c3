/*
 * Merging indexes and histories: registers, who is credited and what is
 * settled, spoiled texts, and random texts against a naive union.
 */
#include "unit.h"
#include "chance.h"

#include "mem.h"
#include "merge.h"

#include <inttypes.h>

static void add_row(struct buf *to, const char *name, enum listing_type type, uint64_t time)
{
	struct listing_row row = { .name = str_of(name), .type = type, .version = { time, 9, 0 } };

	if (type == LISTING_FILE)
		row.size = time;
	listing_text_row(to, &row);
}

static void add_version(struct buf *to, uint64_t time, bool here)
{
	struct history_row row = { .record = { .version = { time, 9, 0 }, .size = time }, .here = here };

	listing_text_version(to, &row);
}

/* The nodes 1, 2, 3 are the homes, 9 has the layout too; the last member is of another group. */
static struct merge_rule rule_of_three(void)
{
	struct layout layout = { .lineage = 1, .epoch = 7, .homes = 3, .copies = 2, .keep_versions = 9 };
	struct merge_rule rule = { .epoch = 7 };

	for (uint64_t id = 1; id <= 3; id++)
		layout_put(&layout, id, LAYOUT_A, 1, "");
	quorum_begin(&rule.homes);
	quorum_add(&rule.homes, &layout, 0);
	return rule;
}

/* Joint: the homes of set A are 1, 2, 3, of set B 3, 4, 5. */
static struct merge_rule rule_of_joint(void)
{
	struct layout layout = { .lineage = 1, .epoch = 7, .homes = 3, .copies = 2, .keep_versions = 9 };
	struct merge_rule rule = { .epoch = 7 };

	for (uint64_t id = 1; id <= 5; id++)
		layout_put(&layout, id,
			   (uint8_t)((id <= 3 ? LAYOUT_A : 0) | (id >= 3 ? LAYOUT_B : 0)), 1, "");
	quorum_begin(&rule.homes);
	quorum_add(&rule.homes, &layout, 0);
	return rule;
}

/* Answer i is of node i + 1, as a home of the rule's layout. */
static void answers_of(struct merge_answer *answers, const struct merge_rule *rule,
		       const struct buf *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		answers[i] = (struct merge_answer){ .node = i + 1, .epoch = rule->epoch,
						    .text = buf_str(&texts[i]) };
}

/* What nodes tell, and what is made of it. */
struct trial {
	struct merge_rule rule;
	struct buf texts[MERGE_TEXTS_MAX];	/* each a node's */
	struct merge_answer answers[MERGE_TEXTS_MAX];
	struct buf out;
	size_t spoiled;
	bool confirmed;
};

static void trial_answer(struct trial *t, size_t count)
{
	answers_of(t->answers, &t->rule, t->texts, count);
}

/* "name=type@entry/file " for each name, ? in front of one that is not settled; a register without is 0 */
static void trial_merge(struct trial *t, size_t count)
{
	static const char *const what[] = { [NAME_ABSENT] = "deleted", [NAME_FILE] = "file",
					    [NAME_DIRECTORY] = "directory" };
	struct merge_name name;
	struct merge merge;

	merge_init(&merge, &t->rule, t->answers, count);
	buf_reset(&t->out);
	buf_adds(&t->out, "");
	while (merge_listing(&merge, &name))
		buf_addf(&t->out, "%s%.*s=%s@%" PRIu64 "/%" PRIu64 " ",
			 name.row.confirmed ? "" : "?", STR_ARG(name.name),
			 what[record_name_kind(&name.row.file, &name.row.entry)],
			 name.row.entry.version.time, name.row.file.version.time);
	t->spoiled = merge.spoiled;
	t->confirmed = merge_confirmed(&merge);
	merge_clear(&merge);
}

static bool trial_told(const struct trial *t, const char *expected)
{
	if (str_eq(buf_str(&t->out), str_of(expected)))
		return true;
	fprintf(stderr, "got %.*s\n", STR_ARG(buf_str(&t->out)));
	return false;
}

static void trial_forget(struct trial *t)
{
	for (size_t i = 0; i < MERGE_TEXTS_MAX; i++)
		buf_reset(&t->texts[i]);
}

static void trial_clear(struct trial *t)
{
	for (size_t i = 0; i < MERGE_TEXTS_MAX; i++)
		buf_clear(&t->texts[i]);
	buf_clear(&t->out);
}

static void test_registers(void)
{
	struct trial t = { .rule = rule_of_three() };

	/* The newest of each register, whoever has it. */
	add_row(&t.texts[0], "a", LISTING_FILE, 5);
	add_row(&t.texts[0], "c", LISTING_FILE, 5);
	add_row(&t.texts[1], "a", LISTING_FILE, 7);
	add_row(&t.texts[1], "b", LISTING_DELETED, 2);
	add_row(&t.texts[2], "c", LISTING_DELETED, 6);
	/* A directory stands against a newer file, until its entry ends; a file above the end stands. */
	add_row(&t.texts[0], "d", LISTING_DIRECTORY, 3);
	add_row(&t.texts[0], "e", LISTING_DIRECTORY, 3);
	add_row(&t.texts[0], "f", LISTING_DIRECTORY, 3);
	add_row(&t.texts[0], "h", LISTING_DIRECTORY, 3);
	add_row(&t.texts[0], "h", LISTING_FILE, 4);
	add_row(&t.texts[1], "d", LISTING_FILE, 9);
	add_row(&t.texts[1], "e", LISTING_ENDED, 9);
	add_row(&t.texts[1], "e", LISTING_FILE, 8);
	add_row(&t.texts[1], "f", LISTING_ENDED, 2);
	add_row(&t.texts[1], "h", LISTING_ENDED, 5);
	add_row(&t.texts[2], "h", LISTING_FILE, 8);
	trial_answer(&t, 3);
	trial_merge(&t, 3);
	CHECK(t.spoiled == 0 && t.confirmed);
	CHECK(trial_told(&t, "?a=file@0/7 ?b=deleted@0/2 ?c=deleted@0/6 ?d=directory@3/9 "
			     "?e=deleted@9/8 ?f=directory@3/0 ?h=file@5/8 "));
	trial_clear(&t);
}

/* Settled is what a majority of every set told; absence counts as older. */
static void test_settled(void)
{
	struct trial t = { .rule = rule_of_three() };

	add_row(&t.texts[0], "a", LISTING_FILE, 5);
	add_row(&t.texts[1], "a", LISTING_FILE, 5);
	add_row(&t.texts[0], "b", LISTING_DELETED, 6);
	add_row(&t.texts[1], "b", LISTING_FILE, 5);
	add_row(&t.texts[0], "c", LISTING_DIRECTORY, 6);
	add_row(&t.texts[1], "c", LISTING_DIRECTORY, 6);
	add_row(&t.texts[1], "c", LISTING_FILE, 7);
	add_row(&t.texts[1], "d", LISTING_DELETED, 7);
	add_row(&t.texts[0], "e", LISTING_ENDED, 8);
	add_row(&t.texts[1], "e", LISTING_ENDED, 8);
	add_row(&t.texts[1], "e", LISTING_FILE, 7);
	trial_answer(&t, 3);
	trial_merge(&t, 2);
	CHECK(t.confirmed);
	CHECK(trial_told(&t, "a=file@0/5 ?b=deleted@0/6 c=directory@6/7 ?d=deleted@0/7 e=deleted@8/7 "));
	/* The third has nothing: what two of three told stays settled. */
	trial_merge(&t, 3);
	CHECK(trial_told(&t, "a=file@0/5 ?b=deleted@0/6 c=directory@6/7 ?d=deleted@0/7 e=deleted@8/7 "));
	/* One alone is no majority: nothing is confirmed, nothing settled. */
	trial_merge(&t, 1);
	CHECK(!t.confirmed);
	CHECK(trial_told(&t, "?a=file@0/5 ?b=deleted@0/6 ?c=directory@6/0 ?e=deleted@8/0 "));
	trial_forget(&t);

	/* Joint: a majority of each set. */
	t.rule = rule_of_joint();
	add_row(&t.texts[0], "a", LISTING_FILE, 5);
	add_row(&t.texts[1], "a", LISTING_FILE, 5);
	add_row(&t.texts[2], "b", LISTING_FILE, 5);
	add_row(&t.texts[3], "b", LISTING_FILE, 5);
	for (int i = 1; i < 4; i++)
		add_row(&t.texts[i], "c", LISTING_FILE, 5);
	trial_answer(&t, 5);
	trial_merge(&t, 5);
	CHECK(t.confirmed);
	CHECK(trial_told(&t, "?a=file@0/5 ?b=file@0/5 c=file@0/5 "));
	trial_merge(&t, 3);
	CHECK(!t.confirmed);
	trial_clear(&t);
}

/* Who is credited: a home, at this epoch, that knows of the gate, once. */
static void test_credit(void)
{
	struct trial t = { .rule = rule_of_three() };
	struct merge_rule none = { .epoch = 0 };

	for (int i = 0; i < 3; i++)
		add_row(&t.texts[i], "a", LISTING_FILE, 5);
	trial_answer(&t, 3);
	CHECK(merge_credits(&t.rule, &t.answers[0]) && !merge_credits(&none, &t.answers[0]));
	t.answers[0].epoch = 6;		/* of another layout */
	t.answers[1].epoch = 0;		/* as no home */
	CHECK(!merge_credits(&t.rule, &t.answers[0]) && !merge_credits(&t.rule, &t.answers[1]));
	trial_merge(&t, 3);
	CHECK(!t.confirmed && trial_told(&t, "?a=file@0/5 "));

	trial_answer(&t, 3);
	t.answers[1].node = t.answers[2].node = 4;	/* no home; what it knows is merged all the same */
	buf_reset(&t.texts[2]);
	add_row(&t.texts[2], "b", LISTING_FILE, 5);
	t.answers[2].text = buf_str(&t.texts[2]);
	trial_merge(&t, 3);
	CHECK(!t.confirmed && trial_told(&t, "?a=file@0/5 ?b=file@0/5 "));

	trial_answer(&t, 2);
	t.answers[1].node = 1;			/* the same home twice */
	trial_merge(&t, 2);
	CHECK(!t.confirmed);

	/* A directory that is to be removed: only who knows of that. */
	trial_answer(&t, 2);
	t.rule.gate = (struct version){ 8, 9, 0 };
	t.answers[0].gate = (struct version){ 9, 1, 0 };
	t.answers[1].gate = (struct version){ 8, 8, 9 };
	trial_merge(&t, 2);
	CHECK(!t.confirmed);
	t.answers[1].gate = t.rule.gate;
	trial_merge(&t, 2);
	CHECK(t.confirmed);
	trial_clear(&t);
}

static void test_spoiled(void)
{
	struct trial t = { .rule = rule_of_three() };

	add_row(&t.texts[0], "a", LISTING_FILE, 5);
	add_row(&t.texts[0], "z", LISTING_FILE, 5);
	add_row(&t.texts[1], "b", LISTING_FILE, 5);
	add_row(&t.texts[1], "a", LISTING_FILE, 9);
	trial_answer(&t, 2);
	trial_merge(&t, 2);
	CHECK(t.spoiled == 1 && !t.confirmed && trial_told(&t, "?a=file@0/5 ?b=file@0/5 ?z=file@0/5 "));
	trial_forget(&t);

	add_row(&t.texts[0], "a", LISTING_FILE, 5);
	add_row(&t.texts[1], "b", LISTING_FILE, 5);
	add_row(&t.texts[1], "c", LISTING_FILE, 5);
	t.texts[1].len--;
	trial_answer(&t, 2);
	trial_merge(&t, 2);
	CHECK(t.spoiled == 1 && !t.confirmed && trial_told(&t, "?a=file@0/5 ?b=file@0/5 "));
	/* Of one that counts for nothing it is no harm. */
	trial_answer(&t, 3);
	t.answers[1].node = 9;
	trial_merge(&t, 3);
	CHECK(t.spoiled == 1 && t.confirmed);
	trial_forget(&t);

	/* The same register twice, or the file's before its entry. */
	add_row(&t.texts[0], "m", LISTING_FILE, 5);
	add_row(&t.texts[0], "m", LISTING_DELETED, 6);
	add_row(&t.texts[1], "m", LISTING_FILE, 5);
	add_row(&t.texts[1], "m", LISTING_DIRECTORY, 6);
	add_row(&t.texts[2], "m", LISTING_ENDED, 6);
	add_row(&t.texts[2], "m", LISTING_DIRECTORY, 7);
	trial_answer(&t, 3);
	trial_merge(&t, 3);
	CHECK(t.spoiled == 3 && !t.confirmed);
	trial_clear(&t);
}

#define NAMES 40

static void test_random(void)
{
	struct trial t = { .rule = { .epoch = 0 } };
	struct buf expected = BUF_INIT;
	uint64_t newest[NAMES] = { 0 };
	size_t count = 1 + below(MERGE_TEXTS_MAX);

	for (size_t i = 0; i < count; i++) {
		for (int n = 0; n < NAMES; n++) {
			char name[] = { (char)('A' + n), '\0' };
			uint64_t time = 1 + below(1000);

			if (below(3) != 0)
				continue;
			add_row(&t.texts[i], name, LISTING_FILE, time);
			if (time > newest[n])
				newest[n] = time;
		}
	}
	for (int n = 0; n < NAMES; n++)
		if (newest[n] > 0)
			buf_addf(&expected, "?%c=file@0/%" PRIu64 " ", 'A' + n, newest[n]);
	trial_answer(&t, count);
	trial_merge(&t, count);
	CHECK(t.spoiled == 0 && !t.confirmed && trial_told(&t, expected.len > 0 ? expected.data : ""));
	trial_clear(&t);
	buf_clear(&expected);
}

/* The end of a window is the first name behind which somebody tells nothing, whoever that is. */
static void test_window(void)
{
	struct trial t = { .rule = rule_of_three() };
	struct merge merge;

	add_row(&t.texts[0], "a", LISTING_FILE, 5);
	add_row(&t.texts[0], "c", LISTING_ENDED, 5);
	add_row(&t.texts[0], "c", LISTING_FILE, 4);
	add_row(&t.texts[1], "a", LISTING_FILE, 5);
	add_row(&t.texts[1], "b", LISTING_FILE, 5);
	add_row(&t.texts[1], "d", LISTING_FILE, 5);
	trial_answer(&t, 2);
	trial_merge(&t, 2);
	CHECK(trial_told(&t, "a=file@0/5 ?b=file@0/5 ?c=deleted@5/4 ?d=file@0/5 "));
	t.answers[0].upto = STR("c");
	trial_merge(&t, 2);
	CHECK(t.confirmed && trial_told(&t, "a=file@0/5 ?b=file@0/5 ?c=deleted@5/4 "));
	t.answers[1].upto = STR("d");
	merge_init(&merge, &t.rule, t.answers, 2);
	CHECK(str_eq(merge_upto(&merge), STR("c")));
	merge_clear(&merge);
	/* One that is not credited might know of what is behind, too. */
	trial_answer(&t, 3);
	t.answers[2].node = 9;
	t.answers[2].upto = STR("b");
	trial_merge(&t, 3);
	CHECK(t.confirmed && trial_told(&t, "a=file@0/5 ?b=file@0/5 "));
	t.answers[2].upto = STR("B");
	trial_merge(&t, 3);
	CHECK(t.confirmed && trial_told(&t, ""));
	trial_clear(&t);
}

/* The rows of a text behind a name, as many names as a window has; *upto: where it ends. */
static struct str window_of(const struct buf *text, struct str after, size_t limit, struct buf *to, struct buf *upto)
{
	struct str rest = buf_str(text), line;
	struct buf name = BUF_INIT;
	struct listing_row row;
	size_t count = 0;

	buf_reset(to);
	buf_reset(upto);
	while (str_cut(&rest, '\n', &line) && line.n > 0) {
		CHECK(listing_text_parse_row(line, &name, &row, NULL) == 0);
		if (str_cmp(row.name, after) <= 0)
			continue;
		if (count++ == limit)
			break;
		buf_reset(upto);
		buf_addstr(upto, row.name);
		listing_text_row(to, &row);
	}
	if (count <= limit)
		buf_reset(upto);
	buf_clear(&name);
	return buf_str(to);
}

/* Windows of any size, one behind the other, tell what the whole does. */
static void test_windows(void)
{
	struct trial t = { .rule = rule_of_three() };
	struct buf texts[3] = { BUF_INIT, BUF_INIT, BUF_INIT }, uptos[3] = { BUF_INIT, BUF_INIT, BUF_INIT };
	struct buf whole = BUF_INIT, told = BUF_INIT, after = BUF_INIT;
	size_t windows = 0;

	for (int i = 0; i < 3; i++)
		for (int n = 0; n < NAMES; n++)
			if (below(4) > 0)
				add_row(&t.texts[i], (char[]){ (char)('A' + n), '\0' },
					below(3) > 0 ? LISTING_FILE : LISTING_DELETED, 1 + below(2));
	trial_answer(&t, 3);
	trial_merge(&t, 3);
	buf_addstr(&whole, buf_str(&t.out));
	buf_adds(&told, "");
	do {
		struct merge merge;

		for (size_t i = 0; i < 3; i++) {
			t.answers[i].text = window_of(&t.texts[i], buf_str(&after), 1 + below(10), &texts[i], &uptos[i]);
			t.answers[i].upto = buf_str(&uptos[i]);
		}
		trial_merge(&t, 3);
		buf_addstr(&told, buf_str(&t.out));
		merge_init(&merge, &t.rule, t.answers, 3);
		CHECK(merge_upto(&merge).n == 0 || str_cmp(merge_upto(&merge), buf_str(&after)) > 0);
		buf_reset(&after);
		buf_addstr(&after, merge_upto(&merge));
		merge_clear(&merge);
	} while (after.len > 0 && windows++ < NAMES);
	CHECK(windows < NAMES && str_eq(buf_str(&told), buf_str(&whole)));
	for (size_t i = 0; i < 3; i++) {
		buf_clear(&texts[i]);
		buf_clear(&uptos[i]);
	}
	buf_clear(&whole);
	buf_clear(&told);
	buf_clear(&after);
	trial_clear(&t);
}

static void test_history(void)
{
	struct buf t[3] = { BUF_INIT, BUF_INIT, BUF_INIT };
	struct merge_rule rule = rule_of_three();
	struct merge_answer answers[3];
	struct merge_version version;
	struct merge merge;
	static const struct {
		uint64_t time;
		bool here, settled;
	} expected[] = { { 9, true, false }, { 7, true, true }, { 5, false, false }, { 3, true, true } };
	size_t n = 0;

	add_version(&t[0], 9, true);
	add_version(&t[0], 7, false);
	add_version(&t[0], 5, false);
	add_version(&t[0], 3, false);
	add_version(&t[1], 7, true);
	add_version(&t[1], 3, true);
	answers_of(answers, &rule, t, 2);
	merge_init(&merge, &rule, answers, 2);
	while (merge_history(&merge, &version)) {
		CHECK(n < 4 && version.row.file.version.time == expected[n].time);
		CHECK(n < 4 && version.here == expected[n].here);
		CHECK(n < 4 && version.row.confirmed == expected[n].settled);
		n++;
	}
	CHECK(n == 4 && merge.spoiled == 0 && merge_confirmed(&merge));
	merge_clear(&merge);

	add_version(&t[1], 4, true);	/* out of order: not taken */
	answers[1].text = buf_str(&t[1]);
	merge_init(&merge, &rule, answers, 2);
	for (n = 0; merge_history(&merge, &version); n++)
		;
	CHECK(n == 4 && merge.spoiled == 1 && !merge_confirmed(&merge));
	merge_clear(&merge);
	for (int i = 0; i < 3; i++)
		buf_clear(&t[i]);
}

/* The question of a row that is not settled, and what answers make of it. */
static void test_settling(void)
{
	struct merge_rule rule = rule_of_three(), joint = rule_of_joint();
	struct newest_answer answer = { .certainty = CERTAINTY_UNCONFIRMED, .epoch = 7,
					.counts = { .homes = 3, .homes_answered = 2 } };
	struct merge_row row = { .file = { .version = { 5, 9, 0 } } };
	struct newest_ask ask;

	merge_question(&row, &ask);
	CHECK(ask.purpose == NEWEST_READ && version_is_none(ask.version));
	CHECK(!merge_answered(&row, &rule, &answer));
	answer.certainty = CERTAINTY_CONFIRMED;
	answer.record.version = (struct version){ 6, 9, 0 };
	answer.entry.version = (struct version){ 4, 9, 0 };
	CHECK(merge_answered(&row, &rule, &answer) && row.confirmed && row.file.version.time == 6 &&
	      row.entry.version.time == 4);

	/* What all homes told of, and nobody has, was never confirmed: what is below it counts. */
	row.confirmed = false;
	answer.certainty = CERTAINTY_UNDECIDED;
	CHECK(!merge_answered(&row, &rule, &answer) && !row.confirmed);
	answer.counts.homes_answered = 3;
	CHECK(!merge_answered(&row, &joint, &answer) && !row.confirmed);
	CHECK(merge_answered(&row, &rule, &answer) && !row.confirmed);
	merge_question(&row, &ask);
	CHECK(ask.purpose == NEWEST_BELOW && ask.version.time == 6 && ask.version.n == 0);
	answer.epoch = 8;
	CHECK(!merge_answered(&row, &rule, &answer));

	/* A version: the newest up to it is asked for; it is there, or was never confirmed. */
	answer = (struct newest_answer){ .certainty = CERTAINTY_CONFIRMED, .epoch = 7,
					 .record = { .version = { 5, 9, 2 } },
					 .counts = { .homes = 3, .homes_answered = 2 } };
	row = (struct merge_row){ .version = true, .file = { .version = { 5, 9, 2 } } };
	merge_question(&row, &ask);
	CHECK(ask.purpose == NEWEST_BELOW && ask.version.time == 5 && ask.version.n == 3);
	CHECK(merge_answered(&row, &rule, &answer) && row.confirmed && !row.gone);
	answer.record.version.n = 1;
	CHECK(merge_answered(&row, &rule, &answer) && row.confirmed && row.gone);
	row.confirmed = row.gone = false;
	answer.record.version.n = 2;
	answer.certainty = CERTAINTY_UNDECIDED;
	CHECK(!merge_answered(&row, &rule, &answer) && !row.confirmed);
	answer.counts.homes_answered = 3;
	CHECK(merge_answered(&row, &rule, &answer) && row.confirmed && row.gone);

	/* Of a directory the entry is. */
	row = (struct merge_row){ .version = true,
				  .file = { .version = { 5, 9, 0 }, .flags = RECORD_DIRECTORY } };
	merge_question(&row, &ask);
	CHECK(ask.purpose == NEWEST_READ && version_is_none(ask.version));
	CHECK(merge_answered(&row, &rule, &answer) && row.confirmed && row.gone);
	answer.entry.version = (struct version){ 5, 9, 0 };
	CHECK(merge_answered(&row, &rule, &answer) && row.confirmed && !row.gone);
}

/* One row of "a", which home 1 alone told as a file at 5; homes are credited as they know of the gate. */
static struct merge_row told_by_one(const struct merge_rule *rule, size_t gates, enum listing_type type)
{
	struct buf t[3] = { BUF_INIT, BUF_INIT, BUF_INIT };
	struct merge_answer answers[3];
	struct merge_name name;
	struct merge merge;

	add_row(&t[0], "a", type, 5);
	answers_of(answers, rule, t, 3);
	for (size_t i = 0; i < gates; i++)
		answers[i].gate = rule->gate;
	merge_init(&merge, rule, answers, 3);
	CHECK(merge_confirmed(&merge) && merge_listing(&merge, &name) && !name.row.confirmed);
	merge_clear(&merge);
	buf_clear(&t[0]);
	return name.row;
}

/* Of a directory that is to be removed: who asks others is not told what the listed homes told. */
static void test_gate(void)
{
	struct merge_rule rule = rule_of_three();
	struct newest_answer nothing = { .certainty = CERTAINTY_CONFIRMED, .epoch = 7,
					 .counts = { .homes = 3, .homes_answered = 3 } };
	struct newest_answer lost = nothing, newer = nothing;
	struct merge_row row = told_by_one(&rule, 0, LISTING_FILE);

	/* Without a gate it is as readers are told. */
	CHECK(merge_answered(&row, &rule, &nothing) && row.confirmed &&
	      version_is_none(row.file.version));

	rule.gate = (struct version){ 8, 9, 0 };
	lost.certainty = CERTAINTY_UNDECIDED;
	lost.record.version = (struct version){ 5, 9, 0 };
	newer.record = (struct record){ .version = { 6, 9, 0 }, .flags = RECORD_DELETED };
	row = told_by_one(&rule, 2, LISTING_FILE);
	CHECK(merge_answered(&row, &rule, &nothing) && row.confirmed && row.file.version.time == 5);
	row = told_by_one(&rule, 2, LISTING_FILE);
	CHECK(merge_answered(&row, &rule, &lost) && row.confirmed && row.file.version.time == 5);
	row = told_by_one(&rule, 2, LISTING_DIRECTORY);
	CHECK(merge_answered(&row, &rule, &newer) && row.confirmed && row.entry.version.time == 5);
	row = told_by_one(&rule, 2, LISTING_DELETED);
	CHECK(!merge_answered(&row, &rule, &nothing) && !row.confirmed);
	row = told_by_one(&rule, 2, LISTING_FILE);
	CHECK(merge_answered(&row, &rule, &newer) && row.confirmed && row.file.version.time == 6);

	/* Every home told, and knows of the gate. */
	row = told_by_one(&rule, 3, LISTING_FILE);
	CHECK(merge_answered(&row, &rule, &nothing) && row.confirmed &&
	      version_is_none(row.file.version));
	row = told_by_one(&rule, 3, LISTING_FILE);
	CHECK(merge_answered(&row, &rule, &lost) && !row.confirmed && row.below.time == 5);
}

/* What is asked for to learn of the greatest n of a node, and of the greatest version. */
static void test_greatest(void)
{
	struct merge_row row = { .version = true, .file = { .version = { 5, 9, VERSION_N_MAX } } };
	struct newest_ask ask;

	merge_question(&row, &ask);
	CHECK(ask.purpose == NEWEST_BELOW && ask.version.time == 5 && ask.version.node == 10 &&
	      ask.version.n == 0);
	row.file.version.node = UINT64_MAX;
	merge_question(&row, &ask);
	CHECK(ask.purpose == NEWEST_BELOW && ask.version.time == 6 && ask.version.node == 0 &&
	      ask.version.n == 0);
	row.file.version.time = UINT64_MAX;
	merge_question(&row, &ask);
	CHECK(ask.purpose == NEWEST_READ && version_is_none(ask.version));
}

int main(int argc, char **argv)
{
	if (!chance_begin(argc, argv, 20261123, NULL))
		return 64;
	test_registers();
	test_settled();
	test_credit();
	test_spoiled();
	test_window();
	test_history();
	test_settling();
	test_gate();
	test_greatest();
	for (int i = 0; i < 500; i++) {
		test_random();
		test_windows();
	}
	return UNIT_RESULT();
}
