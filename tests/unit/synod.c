/*
 * Agreeing on one layout: rules one by one, then duelling proposers under
 * loss, doubles, delay, and crashes that keep the disk.  At most one value is
 * ever decided for an epoch, whoever asks, however often.
 */
#include "unit.h"
#include "chance.h"

#include "mem.h"
#include "synod.h"

#include <inttypes.h>

#define LINEAGE 77

static uint64_t random_number(void *data)
{
	(void)data;
	return draw();
}

/* A layout of members 1 to n, all of them in set A. */
static struct layout layout_of(uint64_t epoch, unsigned n)
{
	struct layout layout = LAYOUT_NONE;

	layout.lineage = LINEAGE;
	layout.epoch = epoch;
	layout.homes = 3;
	layout.copies = 2;
	layout.keep_versions = 100;
	for (unsigned i = 1; i <= n; i++)
		layout_put(&layout, i, LAYOUT_A, 1, "");
	layout_seat(&layout);
	return layout;
}

/* The same with a number to tell it by. */
static struct layout wish_of(const struct layout *base, uint32_t number)
{
	struct layout wish = *base;

	wish.epoch++;
	wish.keep_versions = 1000 + number;
	return wish;
}

/* the rules, one by one */

static void test_acceptor(void)
{
	struct layout base = layout_of(5, 3), wish = wish_of(&base, 1);
	struct synod_promise promise = SYNOD_PROMISE_NONE;
	struct wire_synod asked = { .id = 9, .lineage = LINEAGE, .instance = 6, .ballot = { 2, 1 } };
	struct wire_synod answer;
	enum wire_type type;

	CHECK(synod_hear(&promise, &base, 3, WIRE_PREPARE, &asked, &type, &answer) == SYNOD_REPLY);
	CHECK(type == WIRE_PROMISE && answer.id == 9 && answer.accepted.round == 0 &&
	      answer.value.epoch == 0);
	CHECK(promise.instance == 6 && ballot_cmp(promise.promised, asked.ballot) == 0);
	asked.value = wish;
	CHECK(synod_hear(&promise, &base, 3, WIRE_ACCEPT, &asked, &type, &answer) == SYNOD_REPLY);
	CHECK(type == WIRE_ACCEPTED && layout_eq(&promise.value, &wish));
	/* A lower ballot is refused with the greater one, by round and then by node. */
	asked.ballot = (struct ballot){ 1, 3 };
	CHECK(synod_hear(&promise, &base, 3, WIRE_ACCEPT, &asked, &type, &answer) == SYNOD_REPLY);
	CHECK(type == WIRE_NACK && answer.ballot.round == 2 && answer.ballot.node == 1);
	asked.ballot = (struct ballot){ 2, 2 };
	CHECK(synod_hear(&promise, &base, 3, WIRE_PREPARE, &asked, &type, &answer) == SYNOD_REPLY);
	CHECK(type == WIRE_PROMISE && answer.accepted.round == 2 && answer.accepted.node == 1 &&
	      layout_eq(&answer.value, &wish));
}

static void test_not_ours(void)
{
	struct layout base = layout_of(5, 7), wish = wish_of(&base, 1), wrong = layout_of(6, 6);
	struct synod_promise promise = SYNOD_PROMISE_NONE;
	struct wire_synod asked = { .lineage = LINEAGE, .instance = 5, .ballot = { 1, 1 },
				    .value = wish };
	struct wire_synod answer;
	enum wire_type type;

	CHECK(synod_hear(&promise, &base, 1, WIRE_ACCEPT, &asked, &type, &answer) == SYNOD_OLD);
	asked.instance = 7;
	CHECK(synod_hear(&promise, &base, 1, WIRE_ACCEPT, &asked, &type, &answer) == SYNOD_BEHIND);
	asked.instance = 6;
	CHECK(synod_hear(&promise, &base, 6, WIRE_ACCEPT, &asked, &type, &answer) == SYNOD_IGNORE);
	CHECK(synod_hear(&promise, &base, 8, WIRE_ACCEPT, &asked, &type, &answer) == SYNOD_IGNORE);
	asked.value = wrong;		/* somebody went without a joint layout */
	CHECK(synod_hear(&promise, &base, 1, WIRE_ACCEPT, &asked, &type, &answer) == SYNOD_IGNORE);
	asked.value = wish;
	asked.lineage++;
	CHECK(synod_hear(&promise, &base, 1, WIRE_ACCEPT, &asked, &type, &answer) == SYNOD_IGNORE);
	asked.lineage--;
	asked.ballot.round = 0;
	CHECK(synod_hear(&promise, &base, 1, WIRE_ACCEPT, &asked, &type, &answer) == SYNOD_IGNORE);
	CHECK(promise.instance == 0);
}

/* What was promised about one epoch says nothing about the next. */
static void test_next_instance(void)
{
	struct layout base = layout_of(5, 3), next = layout_of(6, 3);
	struct synod_promise promise = { .lineage = LINEAGE, .instance = 6, .promised = { 9, 2 },
					 .accepted = { 9, 2 }, .value = wish_of(&base, 1) };
	struct wire_synod asked = { .lineage = LINEAGE, .instance = 7, .ballot = { 1, 1 } };
	struct wire_synod answer;
	enum wire_type type;

	CHECK(synod_hear(&promise, &next, 1, WIRE_PREPARE, &asked, &type, &answer) == SYNOD_REPLY);
	CHECK(type == WIRE_PROMISE && answer.accepted.round == 0);
}

/* Back in a lineage with an older layout than it had, it votes on nothing that it has behind it. */
static void test_past_instance(void)
{
	struct layout base = layout_of(5, 3), next = layout_of(6, 3);
	struct synod_promise promise = { .lineage = LINEAGE, .instance = 7, .promised = { 1, 2 } };
	struct wire_synod asked = { .lineage = LINEAGE, .instance = 6, .ballot = { 9, 1 } };
	struct wire_synod answer;
	enum wire_type type;

	CHECK(synod_hear(&promise, &base, 1, WIRE_PREPARE, &asked, &type, &answer) == SYNOD_IGNORE);
	asked.value = wish_of(&base, 1);
	CHECK(synod_hear(&promise, &base, 1, WIRE_ACCEPT, &asked, &type, &answer) == SYNOD_IGNORE);
	CHECK(promise.instance == 7 && promise.promised.round == 1);
	CHECK(synod_is_past(&promise, &base) && !synod_is_past(&promise, &next));
	promise.lineage++;
	CHECK(!synod_is_past(&promise, &base));
	CHECK(synod_hear(&promise, &base, 1, WIRE_PREPARE, &asked, &type, &answer) == SYNOD_REPLY);
	CHECK(promise.lineage == LINEAGE && promise.instance == 6);
}

static void test_may_follow(void)
{
	struct layout single = layout_of(5, 4), joint, next;

	joint = wish_of(&single, 0);
	CHECK(synod_may_follow(&single, &joint));	/* other numbers */
	joint.epoch++;
	CHECK(!synod_may_follow(&single, &joint));
	joint = single;
	joint.epoch++;
	joint.members[0].sets = LAYOUT_A;
	for (size_t i = 1; i < joint.count; i++)
		joint.members[i].sets = LAYOUT_A | LAYOUT_B;
	layout_put(&joint, 9, LAYOUT_B, 1, "");
	CHECK(synod_may_follow(&single, &joint));
	joint.homes = 4;				/* not together with other members */
	CHECK(!synod_may_follow(&single, &joint));
	joint.homes = 3;
	layout_single(&joint, LAYOUT_B, &next);
	CHECK(synod_may_follow(&joint, &next));
	next.homes = 4;
	CHECK(!synod_may_follow(&joint, &next));
	layout_single(&joint, LAYOUT_A, &next);
	CHECK(synod_may_follow(&joint, &next));
	layout_remove(&next, 2);
	CHECK(!synod_may_follow(&joint, &next));
	next = single;
	next.epoch++;
	next.homes = 4;					/* never at once */
	CHECK(!synod_may_follow(&single, &next));
	for (size_t i = 0; i < next.count; i++)
		next.members[i].sets = LAYOUT_A | LAYOUT_B;
	CHECK(synod_may_follow(&single, &next));
	next.homes = 5;
	CHECK(!synod_may_follow(&single, &next));
}

static unsigned asked_whom;		/* bit i: node i + 1 */

static void note_asked(void *data, uint64_t to, enum wire_type type, const struct wire_synod *body)
{
	(void)data;
	(void)type;
	(void)body;
	asked_whom |= 1u << (to - 1);
}

/* Or a node that forgot its ballot in a crash could use it again, for another layout. */
static void test_own_promise_first(void)
{
	struct layout base = layout_of(5, 3), wish = wish_of(&base, 1);
	struct synod_promise promise = SYNOD_PROMISE_NONE;
	struct synod_proposer p = { .send = note_asked, .random = random_number, .self = 2 };
	struct wire_synod asked = { .lineage = LINEAGE, .instance = 6 }, answer;
	enum wire_type type;

	synod_propose(&p, &base, &wish, &promise, 1000);
	CHECK(asked_whom == 2);
	synod_tick(&p, 1000 + SYNOD_AGAIN_MS);
	CHECK(asked_whom == 2 && p.phase == SYNOD_PREPARE);
	asked.id = p.id;
	asked.ballot = p.ballot;
	CHECK(synod_hear(&promise, &base, 2, WIRE_PREPARE, &asked, &type, &answer) == SYNOD_REPLY);
	synod_answer(&p, 2, type, &answer, 1200);
	CHECK(asked_whom == 7);
	synod_answer(&p, 9, type, &answer, 1200);	/* no seat, no vote */
	CHECK(p.phase == SYNOD_PREPARE);
	synod_answer(&p, 1, type, &answer, 1200);
	CHECK(p.phase == SYNOD_ACCEPT);
	/* Started again, it begins above what it had promised. */
	synod_propose(&p, &base, &wish, &promise, 2000);
	CHECK(p.ballot.round == 2);
}

/* duels */

#define NODES 5
#define MESSAGES 256

struct vote {
	uint64_t at;			/* ms; 0: free */
	unsigned from, to;
	enum wire_type type;
	struct wire_synod body;
};

struct node {
	struct synod_promise promise, disk;
	struct synod_proposer proposer;
	uint64_t written_at;		/* 0: its disk rests */
	struct vote answer;		/* that waits for the disk */
};

static struct duel {
	struct layout base, decided;
	uint64_t now;
	unsigned loss, doubles, delay;
	uint32_t wishes;
	size_t decisions;
	struct node nodes[NODES];
	struct vote messages[MESSAGES];
} *duel;

static void post(const struct vote *message)
{
	for (size_t i = 0; i < MESSAGES; i++) {
		if (duel->messages[i].at != 0)
			continue;
		duel->messages[i] = *message;
		duel->messages[i].at = duel->now + 1 + below(duel->delay);
		return;
	}
}

static void send_one(const struct vote *message)
{
	if (message->from == message->to) {
		post(message);
		return;
	}
	if (below(100) >= duel->loss)
		post(message);
	if (below(100) < duel->doubles)
		post(message);
}

static void propose_to(void *data, uint64_t to, enum wire_type type, const struct wire_synod *body)
{
	struct vote message = { .from = (unsigned)((struct node *)data - duel->nodes),
				   .to = (unsigned)to - 1, .type = type, .body = *body };

	send_one(&message);
}

static void begin_node(unsigned i)
{
	struct node *node = &duel->nodes[i];

	node->promise = node->disk;
	node->written_at = 0;
	node->proposer = (struct synod_proposer){ .send = propose_to, .random = random_number,
						  .data = node, .self = i + 1 };
}

static void look(struct node *node)
{
	if (node->proposer.phase == SYNOD_DECIDED) {
		CHECK(duel->decisions == 0 || layout_eq(&duel->decided, &node->proposer.value));
		duel->decided = node->proposer.value;
		duel->decisions++;
	}
	if (node->proposer.phase == SYNOD_DECIDED || node->proposer.phase == SYNOD_FAILED)
		synod_stop(&node->proposer);
}

static void deliver(const struct vote *m)
{
	struct node *node = &duel->nodes[m->to];
	struct vote answer = { .from = m->to, .to = m->from };

	if (m->type != WIRE_PREPARE && m->type != WIRE_ACCEPT) {
		synod_answer(&node->proposer, m->from + 1, m->type, &m->body, duel->now);
		look(node);
		return;
	}
	if (node->written_at != 0)
		return;
	if (synod_hear(&node->promise, &duel->base, m->to + 1, m->type, &m->body, &answer.type,
		       &answer.body) == SYNOD_REPLY) {
		node->answer = answer;
		node->written_at = duel->now + 1 + below(30);
	}
}

static void tick(unsigned i)
{
	struct node *node = &duel->nodes[i];

	if (node->written_at != 0 && duel->now >= node->written_at) {
		node->written_at = 0;
		node->disk = node->promise;
		send_one(&node->answer);
	}
	synod_tick(&node->proposer, duel->now);
	look(node);
}

static void disturb(void)
{
	unsigned i = below(NODES);
	struct node *node = &duel->nodes[i];
	struct layout wish;

	if (below(3) == 0) {		/* a crash: what was being written is there or not */
		if (node->written_at != 0 && below(2))
			node->disk = node->promise;
		begin_node(i);
	} else if (!synod_is_busy(&node->proposer)) {
		wish = wish_of(&duel->base, ++duel->wishes);
		synod_propose(&node->proposer, &duel->base, &wish, &node->promise, duel->now);
	}
}

static void run(uint64_t ms, unsigned disturb_every)
{
	for (uint64_t end = duel->now + ms; duel->now < end; duel->now++) {
		for (size_t i = 0; i < MESSAGES; i++) {
			struct vote message;

			if (duel->messages[i].at == 0 || duel->messages[i].at > duel->now)
				continue;
			message = duel->messages[i];
			duel->messages[i].at = 0;
			deliver(&message);
		}
		for (unsigned i = 0; i < NODES; i++)
			tick(i);
		if (disturb_every != 0 && below(disturb_every) == 0)
			disturb();
	}
}

/* 1: decided in the turmoil. */
static unsigned one_duel(uint64_t seed)
{
	struct layout wish;
	unsigned early;

	*duel = (struct duel){ .base = layout_of(5, NODES), .now = 1000 };
	chance = seed * 1000003;
	duel->loss = below(40);
	duel->doubles = below(30);
	duel->delay = 1 + below(400);
	for (unsigned i = 0; i < NODES; i++)
		begin_node(i);
	run(4000, 20 + below(200));
	early = duel->decisions > 0;
	/* Left in peace, one proposer gets through: with what was decided, if anything was. */
	duel->loss = 0;
	duel->delay = 20;
	for (unsigned i = 0; i < NODES; i++)
		begin_node(i);
	run(1000, 0);
	wish = wish_of(&duel->base, ++duel->wishes);
	synod_propose(&duel->nodes[0].proposer, &duel->base, &wish, &duel->nodes[0].promise,
		      duel->now);
	duel->decisions = early;
	run(8000, 0);
	CHECK(duel->decisions == early + 1u);
	return early;
}

static void test_duels(uint64_t seed, uint64_t seeds)
{
	unsigned early = 0;

	for (uint64_t i = 0; i < seeds; i++) {
		int before = unit_failures;

		early += one_duel(seed + i);
		if (unit_failures != before)
			fprintf(stderr, "duel with seed %" PRIu64 "\n", seed + i);
	}
	CHECK(seeds == 1 || (early > 0 && early < seeds));
}

int main(int argc, char **argv)
{
	uint64_t seeds = 150;

	if (!chance_begin(argc, argv, 20261123, &seeds))
		return 64;
	duel = mem_new(1, sizeof *duel);
	test_acceptor();
	test_not_ours();
	test_next_instance();
	test_past_instance();
	test_may_follow();
	test_own_promise_first();
	test_duels(chance, argc == 2 ? 1 : seeds);
	free(duel);
	return UNIT_RESULT();
}
