/*
 * A simulated network under the gossip: loss, doubles, delay and with it
 * disorder, crashes, restarts, partitions.
 */
#include "unit.h"
#include "chance.h"

#include "gossip.h"
#include "mem.h"

#include <inttypes.h>
#include <netinet/in.h>

#define NODES 48
#define SLOTS 1024			/* ms of delay at most */

struct packet {
	struct packet *next;
	int from, to;			/* ports */
	size_t n;
	char bytes[WIRE_PLAIN_BYTES];
};

struct node {
	bool alive;
	int port;			/* where it is reached; its index at first */
	int side;			/* of a partition */
	uint8_t protocol;
	uint64_t id, start, next_round;
	uint64_t ahead;			/* ns: its wall clock, before the others */
	struct gossip gossip;
	uint64_t sent, answers_due;	/* in this round */
	bool rests;			/* what comes waits for the round */
	struct packet *waiting, **waiting_end;
	struct members remembered;	/* its disk */
};

static struct sim {
	uint64_t seed, now, trace;
	struct node nodes[NODES];
	struct packet *slots[SLOTS];
	struct packet *kept;		/* what an eavesdropper has */
	bool keep, partitioned;
	unsigned loss, doubles, delay;	/* %, %, ms */
	uint64_t ahead;			/* ns, of the wall clocks */
	uint64_t most_sent;		/* beyond what the rules allow: must stay 0 */
} sim;

static uint64_t node_random(void *data)
{
	(void)data;
	return draw();
}

static struct address address_at(int port)
{
	struct address a = { .len = 0 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(port + 1)),
				  .sin_addr.s_addr = htonl(0x7f000001) };

	memcpy(&a.sa, &in, sizeof in);
	a.len = sizeof in;
	return a;
}

static int port_of(const struct address *a)
{
	struct sockaddr_in in;

	memcpy(&in, &a->sa, sizeof in);
	return ntohs(in.sin_port) - 1;
}

static void post(int from, int to, struct str bytes, uint64_t delay)
{
	struct packet *p = mem_new(1, sizeof *p), **slot;

	p->from = from;
	p->to = to;
	p->n = bytes.n;
	memcpy(p->bytes, bytes.s, bytes.n);
	for (slot = &sim.slots[(sim.now + 1 + delay) % SLOTS]; *slot != NULL; slot = &(*slot)->next)
		;
	*slot = p;
}

static void node_send(void *data, const struct address *to, struct str plain)
{
	struct node *node = data;

	CHECK(plain.n <= WIRE_PLAIN_BYTES);
	node->sent++;
	if (sim.keep) {
		struct packet *p = mem_new(1, sizeof *p);

		p->from = node->port;
		p->to = port_of(to);
		p->n = plain.n;
		memcpy(p->bytes, plain.s, plain.n);
		p->next = sim.kept;
		sim.kept = p;
	}
	if (draw() % 100 < sim.loss)
		return;
	post(node->port, port_of(to), plain, draw() % (sim.delay + 1));
	if (draw() % 100 < sim.doubles)
		post(node->port, port_of(to), plain, draw() % (sim.delay + 1));
}

static struct node *at_port(int port)
{
	for (int i = 0; i < NODES; i++)
		if (sim.nodes[i].alive && sim.nodes[i].port == port)
			return &sim.nodes[i];
	return NULL;
}

static uint64_t node_wall(void *data)
{
	const struct node *node = data;

	return 1000000000000000000u + sim.now * 1000000 + sim.ahead + node->ahead;
}

static void start(int i, int seed_port)
{
	struct node *node = &sim.nodes[i];
	struct member self = { .id = node->id, .start = ++node->start, .protocol_min = node->protocol,
			       .protocol_max = node->protocol };
	struct address seed = address_at(seed_port < 0 ? 0 : seed_port);

	snprintf(self.name, sizeof self.name, "node%d", i);
	self.discovery = address_at(node->port);
	gossip_init(&node->gossip, &self, 7, sim.now);
	view_load(&node->gossip.view, &node->remembered, sim.now);
	node->gossip.send = node_send;
	node->gossip.random = node_random;
	node->gossip.wall = node_wall;
	node->gossip.data = node;
	gossip_seeds(&node->gossip, &seed, seed_port >= 0);
	node->alive = true;
	node->sent = node->answers_due = 0;
	node->waiting_end = &node->waiting;
	node->next_round = sim.now + draw() % GOSSIP_ROUND_MS;
}

static void free_packets(struct packet **list)
{
	for (struct packet *p = *list, *next; p != NULL; p = next) {
		next = p->next;
		free(p);
	}
	*list = NULL;
}

static void crash(int i)
{
	struct node *node = &sim.nodes[i];

	view_memory(&node->gossip.view, &node->remembered);
	gossip_clear(&node->gossip);
	free_packets(&node->waiting);
	node->alive = node->rests = false;
}

static void deliver(struct packet *p)
{
	struct node *node = at_port(p->to), *from = at_port(p->from);
	struct address source = address_at(p->from);
	struct wire wire;

	if (node == NULL || (sim.partitioned && from != NULL && from->side != node->side))
		return;
	if (wire_unpack((struct str){ p->bytes, p->n }, from ? from->protocol : MEMBER_PROTOCOL,
			&wire) < 0) {
		CHECK(!"a packet of ours is refused");
		return;
	}
	if (!wire_is_for(&wire, node->gossip.view.self.id, WIRE_DISCOVERY))
		return;
	if (wire.type == WIRE_GOSSIP && !wire.gossip.answer)
		node->answers_due++;
	gossip_receive(&node->gossip, &wire, &source, sim.now);
	if (node->gossip.view.outdone != 0) {
		node->start = node->gossip.view.outdone + 1;
		view_restart(&node->gossip.view, node->start);
	}
	sim.trace = sim.trace * 1099511628211u + p->n + (uint64_t)p->to * 31 + sim.now;
}

/* It is delivered, or waits at who rests. */
static void arrive(struct packet *p)
{
	struct node *node = at_port(p->to);

	if (node == NULL || !node->rests) {
		deliver(p);
		free(p);
		return;
	}
	p->next = NULL;
	*node->waiting_end = p;
	node->waiting_end = &p->next;
}

static void read_waiting(struct node *node)
{
	node->gossip.late = true;
	for (struct packet *p = node->waiting; p != NULL; p = p->next)
		deliver(p);
	node->gossip.late = false;
	free_packets(&node->waiting);
	node->waiting_end = &node->waiting;
}

static void run(uint64_t ms)
{
	for (uint64_t end = sim.now + ms; sim.now < end; sim.now++) {
		struct packet **slot = &sim.slots[sim.now % SLOTS], *p;

		while ((p = *slot) != NULL) {
			*slot = p->next;
			arrive(p);
		}
		for (int i = 0; i < NODES; i++) {
			struct node *node = &sim.nodes[i];
			uint64_t allowed = GOSSIP_TARGETS + 1 + node->gossip.seed_count;

			if (!node->alive || sim.now < node->next_round)
				continue;
			if (node->rests)
				read_waiting(node);
			if (node->sent > allowed + node->answers_due)
				sim.most_sent = node->sent;
			node->sent = node->answers_due = 0;
			node->next_round = sim.now + (node->rests ? GOSSIP_REST_MS : GOSSIP_ROUND_MS);
			gossip_round(&node->gossip, sim.now);
		}
	}
}

static void begin(uint64_t seed)
{
	chance = seed;
	sim = (struct sim){ .seed = seed, .now = 10000, .loss = 10, .doubles = 5, .delay = 150 };
	for (int i = 0; i < NODES; i++) {
		sim.nodes[i].port = i;
		sim.nodes[i].id = draw() | 1;
		sim.nodes[i].protocol = MEMBER_PROTOCOL;
	}
}


static void end(void)
{
	for (int i = 0; i < NODES; i++) {
		if (sim.nodes[i].alive)
			gossip_clear(&sim.nodes[i].gossip);
		members_clear(&sim.nodes[i].remembered);
		free_packets(&sim.nodes[i].waiting);
	}
	for (int i = 0; i < SLOTS; i++)
		free_packets(&sim.slots[i]);
	free_packets(&sim.kept);
	CHECK(sim.most_sent == 0);
}

/* What node i thinks of node j; 0: it does not know it. */
static int state(int i, int j)
{
	const struct view *view = &sim.nodes[i].gossip.view;

	for (size_t k = 0; k < view->count; k++)
		if (view->entries[k].member.id == sim.nodes[j].id)
			return (int)view->entries[k].member.state;
	return 0;
}

/* How many of the living among the first n nodes do not think so of node j. */
static int dissent(int n, int j, enum member_state expected)
{
	int count = 0;

	for (int i = 0; i < n; i++)
		if (i != j && sim.nodes[i].alive && state(i, j) != (int)expected)
			count++;
	return count;
}

static int all_up(int n)
{
	int count = 0;

	for (int j = 0; j < n; j++)
		count += dissent(n, j, MEMBER_UP);
	return count;
}

/* Everybody joins by one seed, some through others. */
static void join(int n)
{
	for (int i = 0; i < n; i++) {
		start(i, i == 0 ? -1 : (int)(draw() % (uint64_t)i));
		run(draw() % 300);
	}
	run(12000);
	CHECK(all_up(n) == 0);
}

static void test_crash_and_return(int n)
{
	int dead = (int)(draw() % (uint64_t)n);

	join(n);
	crash(dead);
	run(n > 20 ? 5900 : 5000);	/* the last word takes a while around a large group */
	CHECK(dissent(n, dead, MEMBER_UP) == n - 1);
	CHECK(n > 20 || dissent(n, dead, MEMBER_SUSPECT) == 0);
	run(4000);
	CHECK(dissent(n, dead, MEMBER_DOWN) == 0);
	for (int j = 0; j < n; j++)
		CHECK(j == dead || dissent(n, j, MEMBER_UP) == 0);
	run(20000);
	start(dead, -1);		/* it remembers, and needs no seed */
	run(5000);
	CHECK(all_up(n) == 0);
	end();
}

static void test_leave(int n)
{
	join(n);
	if (n == 2)
		sim.loss = 0;		/* nobody else could pass on what the only peer missed */
	gossip_leave(&sim.nodes[1].gossip, false);
	gossip_leave(&sim.nodes[1].gossip, false);
	crash(1);
	run(4000);
	CHECK(dissent(n, 1, MEMBER_STOPPED) == 0);
	run(15000);
	CHECK(dissent(n, 1, MEMBER_STOPPED) == 0);
	start(1, -1);
	run(4000);
	CHECK(all_up(n) == 0);
	end();
}

static void test_partition(int n)
{
	join(n);
	for (int i = 0; i < n; i++)
		sim.nodes[i].side = i % 2;
	sim.partitioned = true;
	run(12000);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
			CHECK(i == j || state(i, j) == (i % 2 == j % 2 ? MEMBER_UP : MEMBER_DOWN));
	sim.partitioned = false;
	run(15000);
	CHECK(all_up(n) == 0);
	end();
}

/* Old packets, all of them and several times, bring nobody back. */
static void test_replay(int n)
{
	uint64_t changes[NODES];
	int64_t ahead[NODES];
	uint64_t dead;

	join(n);
	dead = sim.nodes[0].gossip.view.self.id;
	sim.loss = 0;			/* a packet that comes for the first time is no replay */
	run(1000);
	sim.keep = true;
	run(5000);
	sim.keep = false;
	crash(0);
	run(9000);
	CHECK(dissent(n, 0, MEMBER_DOWN) == 0);
	for (int i = 1; i < n; i++) {
		changes[i] = sim.nodes[i].gossip.view.changes;
		ahead[i] = view_entry(&sim.nodes[i].gossip.view, dead)->ahead;
	}
	for (struct packet *p = sim.kept; p != NULL; p = p->next)
		for (int i = 1; i < n; i++)
			post(p->from, i, (struct str){ p->bytes, p->n }, draw() % 900);
	for (int k = 0; k < 20; k++) {
		run(100);
		CHECK(dissent(n, 0, MEMBER_DOWN) == 0);
	}
	for (int i = 1; i < n; i++) {
		CHECK(sim.nodes[i].gossip.view.changes == changes[i]);
		/* nor do they tell what time it is */
		CHECK(view_entry(&sim.nodes[i].gossip.view, dead)->ahead == ahead[i]);
	}
	end();
}

/* Nor when it was dropped since, a week later, and nothing of it is remembered. */
static void test_replay_week(int n)
{
	join(n);
	sim.loss = 0;
	sim.keep = true;
	run(5000);
	sim.keep = false;
	crash(0);
	run(12000);
	sim.ahead = (GOSSIP_FORGET_S - 60) * 1000000000;
	run(60000);
	CHECK(dissent(n, 0, 0) == 0);
	for (struct packet *p = sim.kept; p != NULL; p = p->next)
		for (int i = 1; i < n; i++)
			post(p->from, i, (struct str){ p->bytes, p->n }, draw() % 900);
	for (int k = 0; k < 20; k++) {
		run(100);
		CHECK(dissent(n, 0, 0) == 0);
	}
	end();
}

/* One whose clock is far from the others' is met all the same. */
static void test_far_clock(int n)
{
	sim.nodes[draw() % (uint64_t)n].ahead = GOSSIP_FORGET_S * 50 * 1000000000;
	for (int i = 0; i < n; i++)
		start(i, i == 0 ? -1 : 0);
	run(40000);		/* each is asked for a proof in turn */
	CHECK(all_up(n) == 0);
	end();
}

/* A node is formatted anew: another id at the same address. */
static void test_replaced(int n)
{
	uint64_t old;

	join(n);
	crash(1);
	members_clear(&sim.nodes[1].remembered);
	old = sim.nodes[1].id;
	sim.nodes[1].id = draw() | 1;
	sim.nodes[1].start = 0;
	start(1, 0);
	run(8000);
	CHECK(all_up(n) == 0);
	sim.nodes[1].id = old;
	CHECK(dissent(n, 1, MEMBER_LEFT) == 0);
	end();
}

static void test_moved(int n)
{
	struct address to = address_at(NODES + 3);

	join(n);
	crash(1);
	sim.nodes[1].port = NODES + 3;
	start(1, -1);
	run(5000);
	CHECK(all_up(n) == 0);
	for (int i = 0; i < n; i++) {
		const struct view *view = &sim.nodes[i].gossip.view;

		for (size_t k = 0; k < view->count; k++)
			CHECK(view->entries[k].member.id != sim.nodes[1].id ||
			      address_eq(&view->entries[k].member.discovery, &to));
	}
	end();
}

static void test_incompatible(int n)
{
	sim.nodes[n].protocol = MEMBER_PROTOCOL + 1;
	join(n);
	start(n, 0);
	run(8000);
	CHECK(dissent(n, n, MEMBER_INCOMPATIBLE) == 0);
	CHECK(all_up(n) == 0);
	crash(n);
	run(9000);
	CHECK(dissent(n, n, MEMBER_DOWN) == 0);
	end();
}

/* A store restored from a copy has forgotten how often it started. */
static void test_restored(int n)
{
	join(n);
	crash(1);
	run(1000);
	start(1, -1);
	run(1000);
	crash(1);
	sim.nodes[1].start = 0;
	run(8000);
	start(1, -1);
	run(5000);
	CHECK(all_up(n) == 0);
	CHECK(sim.nodes[1].start > 2);
	end();
}

/* However many members there are, who starts with an older word is told of its newest at once. */
static void test_forgetful(uint64_t seed)
{
	struct node *node = &sim.nodes[0];
	struct member forgetful = { .id = 1000, .start = 1, .heartbeat = 1,
				    .protocol_min = MEMBER_PROTOCOL,
				    .protocol_max = MEMBER_PROTOCOL,
				    .discovery = address_at(1) };
	struct member word = forgetful;
	struct wire wire = { .sender = forgetful, .type = WIRE_GOSSIP, .gossip.clock = node_wall(node) };
	bool told = false;

	begin(seed);
	start(0, -1);
	word.start = 37;
	word.heartbeat = 5000;
	word.sequence = 50;
	view_hear(&node->gossip.view, &word, false, sim.now);
	for (int i = 2; i < NODES; i++) {
		word.id = 1000 + (uint64_t)i;
		word.discovery = address_at(i);
		view_hear(&node->gossip.view, &word, false, sim.now);
	}
	sim.keep = true;
	gossip_receive(&node->gossip, &wire, &forgetful.discovery, sim.now);
	CHECK(sim.kept != NULL && wire_unpack((struct str){ sim.kept->bytes, sim.kept->n },
					      MEMBER_PROTOCOL, &wire) == 0);
	for (size_t i = 0; i < wire.gossip.count; i++)
		told |= wire.gossip.members[i].member.id == 1000 && wire.gossip.members[i].member.sequence == 50;
	CHECK(told);
	end();
}

/* What a node answers to that question tells of the process of this nonce. */
static bool tells_of(struct node *node, const struct member *asker, uint64_t nonce)
{
	struct wire wire = { .sender = *asker, .type = WIRE_GOSSIP, .gossip.clock = node_wall(node) };
	bool told = false;

	free_packets(&sim.kept);
	sim.keep = true;
	gossip_receive(&node->gossip, &wire, &asker->discovery, sim.now);
	sim.keep = false;
	CHECK(sim.kept != NULL && wire_unpack((struct str){ sim.kept->bytes, sim.kept->n },
					      MEMBER_PROTOCOL, &wire) == 0);
	for (size_t i = 0; i < wire.gossip.count; i++)
		told |= wire.gossip.members[i].member.id == asker->id &&
			wire.gossip.members[i].member.nonce == nonce;
	return told;
}

/* Of a disk and its copy, started alike: the one that others see hears of the other, while that lives. */
static void test_twins(uint64_t seed)
{
	struct node *node = &sim.nodes[0];
	struct member other = { .id = 1000, .start = 5, .heartbeat = 50, .nonce = 10,
				.protocol_min = MEMBER_PROTOCOL, .protocol_max = MEMBER_PROTOCOL,
				.discovery = address_at(1) };
	struct member seen = other;

	begin(seed);
	start(0, -1);
	seen.nonce = 20;
	seen.heartbeat = 1;
	seen.discovery = address_at(2);
	CHECK(!tells_of(node, &other, seen.nonce));
	CHECK(tells_of(node, &seen, other.nonce));
	seen.heartbeat = 40;
	CHECK(tells_of(node, &seen, other.nonce));
	CHECK(tells_of(node, &other, seen.nonce));
	run(VIEW_DOWN_MS + GOSSIP_ROUND_MS);
	CHECK(!tells_of(node, &seen, other.nonce));
	end();
}

/* An answer counts for a question of this start. */
static void test_answers(uint64_t seed)
{
	struct gossip *gossip = &sim.nodes[0].gossip;
	struct wire wire = { .type = WIRE_GOSSIP, .gossip = { .answer = true } };

	begin(seed);
	start(0, -1);
	CHECK(!gossip_is_answer(gossip, &wire));	/* nothing was asked, nor is that an answer */
	start(1, 0);
	run(5000);
	CHECK(gossip->id != 0 && !gossip_is_answer(gossip, &wire));
	wire.gossip.id = gossip->id;
	CHECK(gossip_is_answer(gossip, &wire));
	wire.gossip.answer = false;
	CHECK(!gossip_is_answer(gossip, &wire));
	end();
}

/* Gone for a week it is dropped by all at once, and not met again through one that was away. */
static void test_week(int n)
{
	int away = n - 1;

	if (n < 4)
		n = 4, away = 3;
	join(n);
	gossip_leave(&sim.nodes[1].gossip, false);
	gossip_leave(&sim.nodes[1].gossip, false);
	crash(1);
	run(15000);			/* until its last packet has come */
	CHECK(dissent(n, 1, MEMBER_STOPPED) == 0);
	sim.ahead = (GOSSIP_FORGET_S - 60) * 1000000000;
	run(2000);
	CHECK(dissent(n, 1, MEMBER_STOPPED) == 0);
	crash(away);
	run(8000);
	CHECK(dissent(n, away, MEMBER_DOWN) == 0);
	run(45000);
	CHECK(dissent(n, 1, 0) == 0 && dissent(n, away, MEMBER_DOWN) == 0);
	start(away, -1);
	run(6000);
	CHECK(dissent(n, 1, 0) == 0 && dissent(n, away, MEMBER_UP) == 0);
	start(1, -1);
	run(6000);
	CHECK(all_up(n) == 0);
	end();
}

/* Nor does one bring it back that was away before it went, and takes it for alive. */
static void test_week_away(int n)
{
	uint64_t returns[NODES];
	int away = n - 1;

	if (n < 4)
		n = 4, away = 3;
	join(n);
	crash(away);
	run(1000);
	crash(1);
	run(12000);
	sim.ahead = (GOSSIP_FORGET_S - 60) * 1000000000;
	run(60000);
	CHECK(dissent(n, 1, 0) == 0);
	for (int i = 0; i < n; i++)
		returns[i] = sim.nodes[i].gossip.view.returns;
	start(away, 0);
	CHECK(state(away, 1) == MEMBER_UP);
	run(12000);
	for (int i = 0; i < n; i++)
		if (i != 1 && i != away)	/* the one that came back is all that did */
			CHECK(sim.nodes[i].gossip.view.returns == returns[i] + 1);
	CHECK(dissent(n, 1, 0) == 0);
	end();
}

/* Who is up is not forgotten; who is down, and forgotten at one node, is so at all, until it speaks. */
static void test_forget(int n)
{
	join(n);
	view_forget(&sim.nodes[0].gossip.view, sim.nodes[1].id);
	CHECK(state(0, 1) == MEMBER_UP);
	crash(1);
	run(12000);
	CHECK(dissent(n, 1, MEMBER_DOWN) == 0);
	view_forget(&sim.nodes[0].gossip.view, sim.nodes[1].id);
	run(8000);
	CHECK(dissent(n, 1, MEMBER_FORGOTTEN) == 0);
	if (n > 2) {
		crash(2);
		start(2, -1);
		run(4000);
		CHECK(dissent(n, 1, MEMBER_FORGOTTEN) == 0);
	}
	start(1, -1);
	run(6000);
	CHECK(all_up(n) == 0);
	end();
}

static bool clock_moved(int n)
{
	for (int i = 0; i < n; i++)
		if (sim.nodes[i].gossip.clock_moved)
			return true;
	return false;
}

/* Nobody is suspected, and nobody's clock, who rests; and who does not answer is found out while all do. */
static void test_rest(int n)
{
	int some = (int)(draw() % (uint64_t)n);
	uint64_t changes;

	n = n > GOSSIP_RESTING_MAX ? GOSSIP_RESTING_MAX : n;
	some %= n;
	for (int i = 0; i < n; i++)
		sim.nodes[i].ahead = draw() % 1000000000000;
	join(n);
	for (int i = 0; i < n; i++)
		sim.nodes[i].rests = true;
	run(2000);
	changes = sim.nodes[some].gossip.view.changes;
	run(600000);
	CHECK(sim.nodes[some].gossip.view.changes == changes);
	CHECK(all_up(n) == 0 && !clock_moved(n));
	sim.nodes[some].ahead += draw() % 2 ? 2500000000 : (uint64_t)-2500000000;
	run(3 * GOSSIP_REST_MS);
	CHECK(clock_moved(n));
	crash(some);
	run(VIEW_DOWN_MS + 3 * GOSSIP_REST_MS);
	CHECK(dissent(n, some, MEMBER_DOWN) == 0);
	start(some, -1);
	run(4 * GOSSIP_REST_MS);
	CHECK(all_up(n) == 0);
	end();
}

static void each_seed(uint64_t seed)
{
	static void (*const tests[])(int) = { test_crash_and_return, test_leave,   test_partition,
					      test_replay,	    test_replaced, test_moved,
					      test_incompatible,     test_restored, test_week,    test_week_away,
					      test_forget,	     test_replay_week, test_far_clock, test_rest };

	for (size_t t = 0; t < sizeof tests / sizeof tests[0]; t++) {
		int before = unit_failures;

		begin(seed + t * 1000003);
		tests[t](2 + (int)(draw() % 9));
		if (unit_failures != before)
			fprintf(stderr, "scenario %zu with seed %" PRIu64 "\n", t, seed);
	}
}

static void test_large(uint64_t seed)
{
	begin(seed);
	sim.loss = 3;
	test_crash_and_return(40);
}

static void test_same_again(uint64_t seed)
{
	uint64_t trace;

	begin(seed);
	test_partition(5);
	trace = sim.trace;
	begin(seed);
	test_partition(5);
	CHECK(sim.trace == trace && trace != 0);
}

int main(int argc, char **argv)
{
	uint64_t seed;

	if (!chance_begin(argc, argv, 20261123, NULL))
		return 64;
	seed = chance;
	for (uint64_t i = 0; i < (argc > 1 ? 1 : 8); i++)
		each_seed(seed + i);
	for (uint64_t i = 0; i < 20; i++)
		test_forgetful(seed + i);
	test_answers(seed);
	test_twins(seed);
	test_large(seed);
	test_same_again(seed);
	return UNIT_RESULT();
}
