/*
 * A simulated group that founds itself, grows, loses nodes and gets them
 * back: gossip and the layout agent as they are, over a network that loses,
 * doubles, delays and splits, on disks that take their time and keep or
 * forget what was being written when a node crashes.
 *
 * Checked all the while: one layout per lineage and epoch; each follows the
 * one before it lawfully; a joint one becomes set B alone only after a
 * majority of B's homes had their records.  And in the end, when messages
 * flow: one group, of all that want to be in it.
 */
#include "unit.h"
#include "chance.h"

#include "agent.h"
#include "gossip.h"
#include "mem.h"

#include <inttypes.h>
#include <netinet/in.h>

#define NODES 8
#define SLOTS 512			/* ms of delay at most */
#define KNOWN_MAX 4096			/* layouts that were ever used */
#define LINEAGES_MAX 32			/* that a node makes promises in */
#define KEPT_MAX 64			/* packets that somebody keeps, to send them again */

struct packet {
	struct packet *next;
	int from, to;
	size_t n;
	char bytes[WIRE_PLAIN_BYTES];
};

struct node {
	bool alive, guest;
	int side;
	uint64_t id, start, next_round;
	struct gossip gossip;
	struct agent agent;
	struct buf packet;
	uint64_t seeds;			/* bit i: node i is one */
	uint64_t answered;
	uint64_t synced_at;		/* ms; 0: nothing to sync */
	bool stuck;			/* it never gets through with that */
	/* being written; at 0: nothing is */
	struct layout next;
	uint64_t next_at;
	struct synod_promise promise;
	uint64_t vote_at;
	/* the disk */
	struct layout disk_layout;
	struct synod_promise disk_promises[LINEAGES_MAX];	/* by lineage */
	struct members remembered;
};

struct known {
	struct layout layout;
	bool synced[LAYOUT_MEMBERS_MAX];	/* of its members, while it was joint */
};

static struct sim {
	uint64_t now;
	unsigned loss, doubles, delay, write_ms;
	bool split;
	struct node nodes[NODES];
	int count;
	struct packet *slots[SLOTS];
	struct known *known;
	size_t known_count;
	bool patient;			/* an hour does not take too long */
	bool keeps;			/* each CHANGE is kept */
	struct packet *kept[KEPT_MAX];	/* owned */
	size_t kept_count;
} sim;

static uint64_t node_random(void *data)
{
	(void)data;
	return draw();
}

static uint64_t node_wall(void *data)
{
	(void)data;
	return UINT64_C(1000000000000000000) + sim.now * 1000000;
}

static struct address address_at(int port)
{
	struct address a = { .len = sizeof(struct sockaddr_in) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(port + 1)),
				  .sin_addr.s_addr = htonl(0x7f000001) };

	memcpy(&a.sa, &in, sizeof in);
	return a;
}

static int port_of(const struct address *a)
{
	struct sockaddr_in in;

	memcpy(&in, &a->sa, sizeof in);
	return ntohs(in.sin_port) - 1;
}

static int index_of(const struct node *node)
{
	return (int)(node - sim.nodes);
}

/* what must hold */

static struct known *find_known(uint64_t lineage, uint64_t epoch)
{
	for (size_t i = 0; i < sim.known_count; i++)
		if (sim.known[i].layout.lineage == lineage && sim.known[i].layout.epoch == epoch)
			return &sim.known[i];
	return NULL;
}

static bool had_majorities(const struct known *joint)
{
	for (unsigned p = 0; p < LAYOUT_PARTITIONS; p += 64) {
		struct layout_order homes;
		size_t count = 0;

		layout_homes(&joint->layout, LAYOUT_B, p, &homes);
		for (size_t i = 0; i < homes.count; i++)
			count += joint->synced[layout_find(&joint->layout, homes.ids[i]) -
					       joint->layout.members];
		if (count <= homes.count / 2)
			return false;
	}
	return true;
}

/* A node begins to use it. */
static void note(const struct layout *layout)
{
	struct known *same = find_known(layout->lineage, layout->epoch), *before;
	struct layout alone;

	if (same != NULL) {
		CHECK(layout_eq(&same->layout, layout));
		return;
	}
	CHECK(sim.known_count < KNOWN_MAX);
	if (sim.known_count == KNOWN_MAX)
		return;
	before = find_known(layout->lineage, layout->epoch - 1);
	CHECK(layout->epoch == 1 || before == NULL || synod_may_follow(&before->layout, layout));
	if (before != NULL && layout_is_joint(&before->layout)) {
		layout_single(&before->layout, LAYOUT_B, &alone);
		CHECK(!layout_eq(&alone, layout) || had_majorities(before));
	}
	sim.known[sim.known_count++] = (struct known){ .layout = *layout };
}

/* the network */

static void post(int from, int to, struct str bytes)
{
	struct packet *p = mem_new(1, sizeof *p), **slot;

	p->from = from;
	p->to = to;
	p->n = bytes.n;
	memcpy(p->bytes, bytes.s, bytes.n);
	for (slot = &sim.slots[(sim.now + 1 + below(sim.delay + 1)) % SLOTS]; *slot != NULL;
	     slot = &(*slot)->next)
		;
	*slot = p;
}

static void keep(int from, int to, struct str bytes)
{
	struct packet *p;
	struct wire wire;

	if (!sim.keeps || sim.kept_count == KEPT_MAX ||
	    wire_unpack(bytes, MEMBER_PROTOCOL, &wire) < 0 || wire.type != WIRE_CHANGE)
		return;
	p = sim.kept[sim.kept_count++] = mem_new(1, sizeof *p);
	p->from = from;
	p->to = to;
	p->n = bytes.n;
	memcpy(p->bytes, bytes.s, bytes.n);
}

static void send_plain(void *data, const struct address *to, struct str plain)
{
	struct node *node = data;

	CHECK(plain.n <= WIRE_PLAIN_BYTES);
	keep(index_of(node), port_of(to), plain);
	if (below(100) >= sim.loss)
		post(index_of(node), port_of(to), plain);
	if (below(100) < sim.doubles)
		post(index_of(node), port_of(to), plain);
}

static struct buf *begin_message(void *data, uint64_t to)
{
	struct node *node = data;

	buf_reset(&node->packet);
	wire_pack_sender(&node->packet, 7, &node->gossip.view.self);
	wire_pack_to(&node->packet, to, WIRE_DISCOVERY);
	return &node->packet;
}

static void send_message(void *data, const struct address *to, bool expects)
{
	struct node *node = data;

	(void)expects;
	send_plain(node, to, buf_str(&node->packet));
}

static void hurry(struct node *node)
{
	struct view *view = &node->gossip.view;

	view_beat(view);
	for (size_t i = 0; i < view->count; i++)
		if (view->entries[i].member.state == MEMBER_UP)
			gossip_announce(&node->gossip, &view->entries[i].member.discovery);
}

/* a node, as covey-discoverd is one: the disk and the timers around the agent */

static const struct layout *layout_of(const struct node *node)
{
	return agent_layout(&node->agent);
}

static void write_layout(void *data, const struct layout *layout)
{
	struct node *node = data;

	CHECK(node->next_at == 0);
	node->next = *layout;
	node->next_at = sim.now + 1 + below(sim.write_ms);
}

static void write_promise(void *data, const struct synod_promise *promise)
{
	struct node *node = data;

	CHECK(node->vote_at == 0);
	node->promise = *promise;
	node->vote_at = sim.now + 1 + below(sim.write_ms);
}

/* Where the promise of that lineage is, or is to be. */
static struct synod_promise *promise_of(struct node *node, uint64_t lineage)
{
	for (size_t i = 0; i < LINEAGES_MAX; i++) {
		struct synod_promise *promise = &node->disk_promises[i];

		if (promise->lineage == lineage || promise->lineage == 0)
			return promise;
	}
	CHECK(!"more lineages than a test has");
	return &node->disk_promises[0];
}

static void keep_promise(struct node *node)
{
	struct synod_promise *was = promise_of(node, node->promise.lineage);

	CHECK(node->promise.instance > was->instance ||
	      (node->promise.instance == was->instance &&
	       ballot_cmp(node->promise.promised, was->promised) >= 0));
	*was = node->promise;
}

static void layout_written(struct node *node)
{
	struct synod_promise *promise = promise_of(node, node->next.lineage);

	node->next_at = 0;
	if (synod_is_past(promise, &node->next)) {
		agent_written(&node->agent, false, promise, sim.now);
		return;
	}
	CHECK(node->next.lineage != node->disk_layout.lineage ||
	      node->next.epoch > node->disk_layout.epoch);
	node->disk_layout = node->next;
	note(&node->disk_layout);
	agent_written(&node->agent, true, promise, sim.now);
}

static void promise_written(struct node *node)
{
	node->vote_at = 0;
	keep_promise(node);
	agent_promised(&node->agent, true, sim.now);
}

static void used(void *data)
{
	struct node *node = data;
	const struct layout *layout = layout_of(node);

	node->synced_at = 0;
	if (layout_is_joint(layout) && layout_find(layout, node->id) != NULL)
		node->synced_at = sim.now + 1 + below(800);
	hurry(node);
}

static void say(void *data, bool warning, const char *text)
{
	(void)data;
	(void)warning;
	CHECK(text[0] != '\0');
}

static void step(struct node *node)
{
	struct council_seeds seeds = { .count = 0 };

	for (int i = 0; i < sim.count; i++) {
		seeds.count += node->seeds >> i & 1;
		seeds.answered += node->seeds >> i & node->answered >> i & 1;
	}
	agent_step(&node->agent, &seeds, sim.now);
}

static void start(int i)
{
	static const struct layout_numbers numbers = { 3, 2, 100, 0 };
	struct node *node = &sim.nodes[i];
	struct member self = { .id = node->id, .start = ++node->start, .protocol_min = MEMBER_PROTOCOL,
			       .protocol_max = MEMBER_PROTOCOL, .weight = 1 };
	struct address seeds[NODES];
	size_t count = 0;

	for (int k = 0; k < sim.count; k++)
		if (node->seeds >> k & 1)
			seeds[count++] = address_at(k);
	self.discovery = address_at(i);
	self.flags = node->guest ? MEMBER_GUEST : 0;
	gossip_init(&node->gossip, &self, 7, sim.now);
	view_load(&node->gossip.view, &node->remembered, sim.now);
	node->gossip.send = send_plain;
	node->gossip.random = node_random;
	node->gossip.wall = node_wall;
	node->gossip.data = node;
	gossip_seeds(&node->gossip, seeds, count);
	node->agent = (struct agent){ .view = &node->gossip.view, .data = node,
				      .message = begin_message, .send = send_message,
				      .write_promise = write_promise, .write_layout = write_layout,
				      .used = used, .say = say, .random = node_random };
	agent_init(&node->agent, &numbers, &node->disk_layout,
		   promise_of(node, node->disk_layout.lineage), sim.now);
	node->next_at = node->vote_at = node->synced_at = node->answered = 0;
	if (layout_is_joint(&node->disk_layout))
		node->synced_at = sim.now + 1 + below(800);
	node->next_round = sim.now;
	node->alive = true;
}

/* What was being written is on the disk or is not. */
static void crash(int i)
{
	struct node *node = &sim.nodes[i];

	if (!node->alive)
		return;
	if (node->vote_at != 0 && below(2))
		keep_promise(node);
	if (node->next_at != 0 && below(2) &&
	    !synod_is_past(promise_of(node, node->next.lineage), &node->next)) {
		node->disk_layout = node->next;
		note(&node->disk_layout);
	}
	view_members(&node->gossip.view, &node->remembered);
	gossip_clear(&node->gossip);
	buf_clear(&node->packet);
	node->alive = false;
}

static void set_up_disk(struct node *node)
{
	node->id = draw() | 1;
	node->start = 0;
	node->disk_layout = LAYOUT_NONE;
	memset(node->disk_promises, 0, sizeof node->disk_promises);
	members_clear(&node->remembered);
}

static void deliver(const struct packet *p)
{
	struct node *node = &sim.nodes[p->to];
	struct address source = address_at(p->from);
	struct wire wire;

	if (!node->alive || (sim.split && sim.nodes[p->from].side != node->side))
		return;
	CHECK(wire_unpack((struct str){ p->bytes, p->n }, MEMBER_PROTOCOL, &wire) == 0);
	if (!wire_is_for(&wire, node->id, WIRE_DISCOVERY))
		return;
	node->answered |= UINT64_C(1) << p->from;
	gossip_receive(&node->gossip, &wire, &source, sim.now);
	agent_hear(&node->agent, &wire, &source, sim.now);
	step(node);
}

/* It has pulled from a majority of set A, asked at this epoch. */
static void sync(struct node *node)
{
	const struct layout *layout = layout_of(node);
	size_t answered = 0;

	if (!layout_is_joint(layout) || layout_find(layout, node->id) == NULL)
		return;
	for (int i = 0; i < sim.count; i++) {
		const struct node *other = &sim.nodes[i];
		const struct layout_member *place = layout_find(layout, other->id);

		answered += place != NULL && place->sets & LAYOUT_A && other->alive &&
			    layout_of(other)->lineage == layout->lineage &&
			    layout_of(other)->epoch == layout->epoch &&
			    !(sim.split && other->side != node->side);
	}
	node->synced_at = sim.now + 500;
	if (node->stuck || answered <= layout_members(layout, LAYOUT_A) / 2)
		return;
	node->synced_at = 0;
	agent_synced(&node->agent, layout->epoch);
	find_known(layout->lineage, layout->epoch)
		->synced[layout_find(layout, node->id) - layout->members] = true;
	hurry(node);
}

static void tick(struct node *node)
{
	if (node->next_at != 0 && sim.now >= node->next_at) {
		layout_written(node);
		step(node);
	}
	if (node->vote_at != 0 && sim.now >= node->vote_at) {
		promise_written(node);
		step(node);
	}
	if (node->synced_at != 0 && sim.now >= node->synced_at)
		sync(node);
	if (sim.now >= node->next_round) {
		node->next_round = sim.now + GOSSIP_ROUND_MS;
		gossip_round(&node->gossip, sim.now);
		step(node);
	} else if (node->agent.due != 0 && sim.now >= node->agent.due) {
		step(node);
	}
}

static void run(uint64_t ms)
{
	for (uint64_t end = sim.now + ms; sim.now < end; sim.now++) {
		struct packet **slot = &sim.slots[sim.now % SLOTS], *p;

		while ((p = *slot) != NULL) {
			*slot = p->next;
			deliver(p);
			free(p);
		}
		for (int i = 0; i < sim.count; i++)
			if (sim.nodes[i].alive)
				tick(&sim.nodes[i]);
	}
}

static void begin(uint64_t seed, int count)
{
	struct known *known = sim.known;

	chance = seed * 1000003;
	sim = (struct sim){ .now = 10000, .doubles = 5, .delay = 1,
			    .write_ms = 10, .count = count, .known = known };
	for (int i = 0; i < count; i++)
		set_up_disk(&sim.nodes[i]);
}

static void end(void)
{
	for (int i = 0; i < sim.count; i++) {
		crash(i);
		members_clear(&sim.nodes[i].remembered);
	}
	for (int i = 0; i < SLOTS; i++) {
		for (struct packet *p = sim.slots[i], *next; p != NULL; p = next) {
			next = p->next;
			free(p);
		}
	}
	while (sim.kept_count > 0)
		free(sim.kept[--sim.kept_count]);
}

/* All that are alive use one single layout, of all that want to be members. */
static bool is_settled(void)
{
	const struct layout *layout = NULL;
	size_t members = 0;

	for (int i = 0; i < sim.count; i++) {
		const struct node *node = &sim.nodes[i];

		if (!node->alive)
			continue;
		if (layout == NULL)
			layout = layout_of(node);
		if (layout_of(node)->epoch == 0 ||
		    !layout_eq(layout, layout_of(node)) ||
		    (layout_find(layout, node->id) != NULL) == node->guest)
			return false;
		members += !node->guest;
	}
	return layout != NULL && !layout_is_joint(layout) && layout->count == members;
}

/* 0: not within that time. */
static uint64_t settle(uint64_t within)
{
	uint64_t began = sim.now;

	while (sim.now - began < within) {
		run(50);
		if (is_settled())
			return sim.now - began;
	}
	return 0;
}

/* scenarios */

static void set_guest(struct node *node, bool guest)
{
	node->guest = guest;
	node->gossip.view.self.flags = guest ? MEMBER_GUEST : 0;
}

static void seed_all(void)
{
	for (int i = 0; i < sim.count; i++)
		sim.nodes[i].seeds = ((UINT64_C(1) << sim.count) - 1) & ~(UINT64_C(1) << i);
}

/* Each lists all: a group within 3 s on a good network. */
static void test_together(void)
{
	seed_all();
	for (int i = 0; i < sim.count; i++) {
		start(i);
		run(below(100));
	}
	CHECK(settle(3000) != 0);
}

/* One after the other, with one seed each, the first with none. */
static void test_in_turn(void)
{
	for (int i = 0; i < sim.count; i++) {
		sim.nodes[i].seeds = i > 0 ? UINT64_C(1) << below((unsigned)i) : 0;
		start(i);
		if (below(2))
			run(below(6000));
	}
	CHECK(settle(30000) != 0);
}

/* Solo groups that meet become one, whoever founded first, and however long packets take. */
static void test_solo_groups(void)
{
	sim.delay = below(2) ? 1 : 400;
	for (int i = 0; i < sim.count; i++) {
		sim.nodes[i].side = i;
		start(i);
	}
	sim.split = true;
	run(4000);
	for (int i = 0; i < sim.count; i++) {
		CHECK(layout_of(&sim.nodes[i])->epoch == 1);
		crash(i);
		sim.nodes[i].seeds = i > 0 ? 1 : 0;
		start(i);
	}
	sim.split = false;
	CHECK(settle(60000) != 0);
}

static void test_guest(void)
{
	sim.nodes[sim.count - 1].guest = sim.count > 1;
	test_together();
}

static void test_leave(void)
{
	struct node *leaver = &sim.nodes[below((unsigned)sim.count)];

	test_together();
	if (sim.count == 1)
		return;
	leaver->guest = true;
	leaver->gossip.view.self.flags = MEMBER_GUEST;
	CHECK(settle(10000) != 0);
}

/* Who is to leave and cannot, because what it keeps is not taken over, may stay. */
static void test_leave_taken_back(void)
{
	struct agent_wish wish = { .kind = AGENT_LEAVE }, back = { .kind = AGENT_JOIN };
	struct node *leaver = &sim.nodes[below((unsigned)sim.count)];
	char progress[200];

	test_together();
	if (sim.count < 3)
		return;
	leaver->stuck = true;
	set_guest(leaver, true);
	run(20000 + below(3) * COUNCIL_SLOW_MS);
	CHECK(!agent_wish(&leaver->agent, &wish, sim.now, progress));
	CHECK(layout_is_joint(layout_of(leaver)));
	set_guest(leaver, false);
	CHECK(settle(30000) != 0);
	CHECK(agent_wish(&leaver->agent, &back, sim.now, progress));
	leaver->stuck = false;
}

/* A disk is lost: another id at the same address takes the place at once. */
static void test_replaced(void)
{
	int lost = (int)below((unsigned)sim.count);

	test_together();
	if (sim.count < 3)
		return;
	crash(lost);
	run(below(8000));
	set_up_disk(&sim.nodes[lost]);
	start(lost);
	CHECK(settle(30000) != 0);
	CHECK(layout_of(&sim.nodes[lost])->count == (size_t)sim.count);
}

/* Who stays away for COUNCIL_DEAD_MS is no member any more, and is one again when it returns. */
static void test_dead(void)
{
	int dead = (int)below((unsigned)sim.count);

	test_together();
	if (sim.count < 3)
		return;
	crash(dead);
	run(COUNCIL_DEAD_MS - 60000);
	CHECK(!is_settled());
	CHECK(settle(120000) != 0);
	start(dead);
	CHECK(settle(30000) != 0);
}

/* Who dies before it has its records is given up, and tried again when it is back. */
static void test_way_back(void)
{
	begin(chance, 2);
	start(0);
	CHECK(settle(5000) != 0);
	sim.nodes[1].seeds = 1;
	start(1);
	while (!layout_is_joint(layout_of(&sim.nodes[0])))
		run(1);
	crash(1);
	CHECK(settle(COUNCIL_STUCK_MS - 2000) == 0);
	CHECK(settle(5000) != 0);
	CHECK(layout_is_solo(layout_of(&sim.nodes[0])) &&
	      layout_of(&sim.nodes[0])->epoch == 3);
	start(1);
	CHECK(settle(COUNCIL_BARRED_MS - 30000) == 0);
	CHECK(settle(60000) != 0);
}

/* A person at node i waits for these numbers; whether it has them in time. */
static bool wish(int i, const struct layout_numbers *numbers, uint64_t within)
{
	struct agent_wish wish = { .kind = AGENT_SET, .numbers = *numbers };
	char progress[200];

	for (uint64_t end = sim.now + within; sim.now < end; run(AGENT_WISH_MS)) {
		if (agent_wish(&sim.nodes[i].agent, &wish, sim.now, progress))
			return true;
		step(&sim.nodes[i]);
	}
	return false;
}

/* By whatever node; each step of `homes` is a joint layout. */
static void test_numbers(void)
{
	const struct layout_numbers wanted = { 6, 1, 7, 9 };
	uint64_t epoch;

	test_together();
	epoch = layout_of(&sim.nodes[0])->epoch;
	CHECK(wish((int)below((unsigned)sim.count), &wanted, 60000) && settle(5000) != 0);
	CHECK(layout_of(&sim.nodes[0])->epoch == epoch + 1 + 3 * 2);
}

/* Two people want different numbers at once: each has them, once, and what came second stays. */
static void test_two_wishes(void)
{
	struct agent_wish wishes[2] = {
		{ .kind = AGENT_SET, .numbers = { 0, 0, 5, UINT32_MAX } },
		{ .kind = AGENT_SET, .numbers = { 0, 0, 7, UINT32_MAX } },
	};
	bool done[2] = { false, false };
	char progress[200];
	uint64_t epoch;

	test_together();
	if (sim.count < 2)
		return;
	epoch = layout_of(&sim.nodes[0])->epoch;
	for (int i = 0; i < 80; i++) {
		if (!done[i % 2])
			done[i % 2] = agent_wish(&sim.nodes[i % 2].agent, &wishes[i % 2], sim.now,
						 progress);
		step(&sim.nodes[i % 2]);
		run(AGENT_WISH_MS / 2);
	}
	CHECK(done[0] && done[1] && settle(5000) != 0);
	CHECK(layout_of(&sim.nodes[0])->epoch == epoch + 2);
}

/* Everybody gets all that was kept, and has time to do what it wants. */
static void replay(void)
{
	for (size_t i = 0; i < sim.kept_count; i++)
		for (int to = 0; to < sim.count; to++)
			post(sim.kept[i]->from, to, (struct str){ sim.kept[i]->bytes, sim.kept[i]->n });
	run(COUNCIL_ASKED_MS + 500);
}

/* All but node i start again, and remember nobody; node i is away. */
static void forget(int i)
{
	crash(i);
	for (int k = 0; k < sim.count; k++) {
		crash(k);
		members_clear(&sim.nodes[k].remembered);
		if (k != i)
			start(k);
	}
	run(1000);
}

/* What was wanted once and set back since stays so, whoever sends the old packets again. */
static void test_replayed(void)
{
	const struct layout_numbers one = { 0, 1, 1, UINT32_MAX }, two = { 0, 2, 100, UINT32_MAX };
	int asker = (int)below((unsigned)sim.count);
	uint64_t epoch;

	test_together();
	sim.keeps = true;
	CHECK(wish(asker, &one, 30000));
	CHECK(wish(asker, &two, 30000) && settle(5000) != 0);
	if (sim.count > 2 && below(2)) {
		forget(asker);
		replay();
		start(asker);
		CHECK(settle(20000) != 0);
	}
	epoch = layout_of(&sim.nodes[0])->epoch;
	replay();
	CHECK(layout_of(&sim.nodes[0])->epoch == epoch && layout_of(&sim.nodes[0])->copies == 2);
}

/* The same of what was given up: its epoch is still the one that is used. */
static void test_replayed_later(void)
{
	const struct layout_numbers one = { 0, 1, 1, UINT32_MAX };
	uint64_t epoch;
	int asker;

	test_together();
	if (sim.count < 2)
		return;
	epoch = layout_of(&sim.nodes[0])->epoch;
	asker = (int)below((unsigned)sim.count);
	for (int i = 0; i < sim.count; i++)
		sim.nodes[i].side = i;
	sim.split = sim.keeps = true;
	CHECK(!wish(asker, &one, 2000));
	run(COUNCIL_ASKED_MS + SYNOD_BALLOTS * (SYNOD_BALLOT_MS + SYNOD_WAIT_MS));
	sim.split = sim.keeps = false;
	run(5000);
	replay();
	CHECK(settle(10000) != 0 && layout_of(&sim.nodes[0])->epoch == epoch);
}

/* Everybody wants other numbers, for so long, or until one has had its own decided: which, or -1. */
static int want_own(uint64_t ms, bool until_decided)
{
	for (uint64_t end = sim.now + ms; sim.now < end; run(1)) {
		for (int i = 0; i < sim.count; i++) {
			struct layout_numbers own = { 0, 0, (uint32_t)(2 + i), UINT32_MAX };
			const struct agent *agent = &sim.nodes[i].agent;

			if (!sim.nodes[i].alive)
				continue;
			if (until_decided && agent->proposer.phase == SYNOD_DECIDED)
				return i;
			if (sim.now % 250 == 0)
				council_ask(&sim.nodes[i].agent.council, &own, sim.now);
		}
	}
	return -1;
}

/*
 * Proposers with different wishes, of which one dies or is cut off when a
 * majority has accepted its layout: the others agree on no other.
 */
static void test_rivals(void)
{
	begin(chance, 3 + (int)below(3));
	test_together();
	sim.delay = 1 + below(20);
	for (int k = 0; k < 8; k++) {
		int cut = (int)below((unsigned)sim.count), decided;

		for (int i = 0; i < sim.count; i++)
			sim.nodes[i].side = i == cut;
		sim.split = true;
		decided = want_own(8000, true);
		if (decided >= 0) {
			crash(decided);
			sim.split = false;
			want_own(below(9000), false);
			start(decided);
		}
		sim.split = false;
		CHECK(settle(20000) != 0);
	}
}

/* What the layout of node b means for node a. */
static enum council_meeting meeting(int a, int b)
{
	struct agent *agent = &sim.nodes[a].agent;

	return council_meet(&agent->council, agent->view, layout_of(&sim.nodes[b]));
}

/* Two groups of two with one key: none gives itself up. */
static void test_apart(void)
{
	uint64_t lineages[2];

	begin(chance, 4);
	sim.split = true;
	for (int i = 0; i < 4; i++) {
		sim.nodes[i].side = i / 2;
		sim.nodes[i].seeds = UINT64_C(1) << (i ^ 1);
		start(i);
	}
	run(10000);
	lineages[0] = layout_of(&sim.nodes[0])->lineage;
	lineages[1] = layout_of(&sim.nodes[2])->lineage;
	CHECK(lineages[0] != 0 && lineages[1] != 0 && lineages[0] != lineages[1]);
	crash(3);
	sim.nodes[3].seeds = 1 | 4;
	sim.split = false;
	start(3);
	run(30000);
	for (int i = 0; i < 4; i++) {
		CHECK(layout_of(&sim.nodes[i])->lineage == lineages[i / 2]);
		CHECK(layout_of(&sim.nodes[i])->count == 2);
		CHECK(meeting(i, i ^ 2) == COUNCIL_APART);
	}
}

/* A group of one meets a guest of a group that is away: it stays until that is back. */
static void test_orphan(void)
{
	uint64_t lineage;

	begin(chance, 4);
	sim.split = true;
	for (int i = 0; i < 4; i++)
		sim.nodes[i].side = i == 3;
	sim.nodes[2].guest = true;
	sim.nodes[1].seeds = sim.nodes[2].seeds = 1;
	for (int i = 0; i < 4; i++)
		start(i);
	run(10000);
	lineage = layout_of(&sim.nodes[3])->lineage;
	CHECK(layout_of(&sim.nodes[2])->count == 2 && layout_is_solo(layout_of(&sim.nodes[3])));
	crash(0);
	crash(1);
	crash(3);
	run(2 * VIEW_DOWN_MS);
	sim.nodes[3].seeds = 4;
	sim.split = false;
	start(3);
	run(20000);
	CHECK(meeting(3, 2) == COUNCIL_KEEP && layout_of(&sim.nodes[3])->lineage == lineage);
	start(0);
	start(1);
	CHECK(settle(30000) != 0 && layout_of(&sim.nodes[3])->lineage != lineage);
}

/* A person wants node i to be of that lineage; whether it is in time. */
static bool go_over(int i, uint64_t lineage, uint64_t within)
{
	struct agent_wish wish = { .kind = AGENT_ADOPT, .lineage = lineage };
	char progress[200];

	for (uint64_t end = sim.now + within; sim.now < end; run(AGENT_WISH_MS)) {
		if (agent_wish(&sim.nodes[i].agent, &wish, sim.now, progress))
			return true;
		step(&sim.nodes[i]);
	}
	agent_wish_end(&sim.nodes[i].agent, &wish, NULL);
	return false;
}

static bool force(int i, struct layout *ret)
{
	return agent_force(&sim.nodes[i].agent, sim.now, ret, NULL) == 0;
}

static uint64_t lineage_of(int i)
{
	return layout_of(&sim.nodes[i])->lineage;
}

/*
 * The council is lost for good: two survivors say so, and have made one group.
 * Who returns then is apart, until it has seen no majority for long, or a
 * person brings it over.
 */
static void test_force(void)
{
	struct layout forced, again;
	uint64_t left, epoch;

	test_together();
	CHECK(!force(0, &forced));
	left = lineage_of(0);
	epoch = layout_of(&sim.nodes[0])->epoch;
	for (int i = 2; i < 5; i++)
		crash(i);
	run(10000);
	CHECK(force(0, &forced) && force(1, &again) && layout_eq(&forced, &again));
	CHECK(forced.lineage != left && forced.left_lineage == left && forced.left_epoch == epoch);
	CHECK(forced.epoch > epoch && forced.count == 2 && settle(5000) != 0);
	start(2);
	run(20000);
	CHECK(lineage_of(2) == left && lineage_of(0) == forced.lineage);
	CHECK(meeting(2, 0) == COUNCIL_APART);
	CHECK(meeting(0, 2) == COUNCIL_APART);
	CHECK(go_over(2, forced.lineage, 2000) && settle(20000) != 0);
	CHECK(layout_of(&sim.nodes[2])->left_lineage == left);
	start(3);
	start(4);
	run(20000);
	CHECK(lineage_of(3) == left && lineage_of(4) == left);
	if (!sim.patient)
		return;
	run(COUNCIL_DEAD_MS - 60000);
	CHECK(lineage_of(3) == left && lineage_of(4) == left);
	run(90000);
	CHECK(settle(30000) != 0);
}

/* One of a half forces while the other does not see yet that the rest is away. */
static void test_force_named(void)
{
	struct layout forced;

	begin(chance, 4);
	test_together();
	for (int i = 2; i < 4; i++)
		crash(i);
	run(VIEW_SUSPECT_MS + below(6000));
	if (!force(0, &forced))
		return;			/* it does not see it either */
	CHECK(settle(30000) != 0 && lineage_of(1) == forced.lineage);
}

/* A guest of a lost group follows at once. */
static void test_force_guest(void)
{
	struct layout forced;

	begin(chance, 4);
	sim.nodes[1].guest = true;
	test_together();
	for (int i = 2; i < 4; i++)
		crash(i);
	run(10000);
	CHECK(force(0, &forced) && forced.count == 1);
	CHECK(settle(30000) != 0 && lineage_of(1) == forced.lineage);
}

/* Two halves that were both forced stay apart; nodes are brought over one by one. */
static void test_force_halves(void)
{
	struct layout one, other, third = LAYOUT_NONE;
	uint64_t left;

	begin(chance, 5);
	test_together();
	left = lineage_of(0);
	for (int i = 0; i < 5; i++)
		sim.nodes[i].side = i / 2;
	sim.split = true;
	run(10000);
	CHECK(force(0, &one) && force(2, &other));
	CHECK(one.lineage != other.lineage && other.left_lineage == left);
	if (below(2)) {			/* a group of one, and apart like any */
		CHECK(force(4, &third) && third.count == 1);
		left = third.lineage;
	}
	run(5000);
	sim.split = false;
	run(40000);
	for (int i = 0; i < 4; i++)
		CHECK(lineage_of(i) == (i < 2 ? one.lineage : other.lineage));
	CHECK(lineage_of(4) == left);
	CHECK(meeting(0, 2) == COUNCIL_APART);
	CHECK(agent_can_adopt(&sim.nodes[4].agent, one.lineage + 2, NULL) == -1);
	for (int i = 2; i < 5; i++)
		CHECK(go_over(i, one.lineage, 2000));
	CHECK(settle(60000) != 0);
}

/* The same members force once more what they left again after it had changed: it is another group. */
static void test_force_again(void)
{
	const struct layout_numbers wanted = { 0, 0, 7, UINT32_MAX };
	struct layout forced, again;
	uint64_t left;

	begin(chance, 5);
	test_together();
	left = lineage_of(0);
	for (int i = 0; i < 5; i++)
		sim.nodes[i].side = i > 1;
	sim.split = true;
	run(10000);
	CHECK(force(0, &forced));
	run(5000);
	CHECK(wish(0, &wanted, 10000));
	run(3000);
	sim.split = false;
	run(10000);
	CHECK(go_over(0, left, 5000) && go_over(1, left, 5000));
	sim.split = true;
	run(10000);
	CHECK(force(0, &again) && again.lineage == forced.lineage);
	run(3000);
	CHECK(lineage_of(0) == left);
	CHECK(force(0, &again) && again.lineage != forced.lineage);
	run(3000);
	CHECK(lineage_of(0) == again.lineage && lineage_of(1) == again.lineage);
}

/* A member that has gone over and dies there is replaced at its address; while it is up it is not. */
static void test_replaced_abroad(void)
{
	struct node *abroad = &sim.nodes[4];
	struct layout forced;
	uint64_t was;

	begin(chance, 5);
	test_together();
	was = abroad->id;
	for (int i = 0; i < 5; i++)
		sim.nodes[i].side = i / 3;
	sim.split = true;
	run(10000);
	CHECK(force(3, &forced));
	run(5000);
	sim.split = false;
	run(20000);
	CHECK(lineage_of(0) != forced.lineage && lineage_of(4) == forced.lineage);
	CHECK(layout_find(layout_of(&sim.nodes[0]), was) != NULL);
	crash(4);
	set_up_disk(abroad);
	abroad->disk_layout = *layout_of(&sim.nodes[0]);
	start(4);
	run(40000);
	CHECK(layout_find(layout_of(&sim.nodes[0]), was) == NULL);
	CHECK(layout_find(layout_of(&sim.nodes[0]), abroad->id) != NULL);
	CHECK(layout_find(layout_of(&sim.nodes[0]), sim.nodes[3].id) != NULL);
}

/* What a node promised before it went over, it goes by when it is back. */
static void test_come_back(void)
{
	const struct layout_numbers wanted = { 0, 0, 7, UINT32_MAX };
	struct node *node = &sim.nodes[0];
	struct synod_promise promised;
	struct layout one, other;

	begin(chance, 4);
	test_together();
	for (int i = 0; i < 4; i++)
		sim.nodes[i].side = i / 2;
	sim.split = true;
	run(10000);
	CHECK(force(0, &one) && force(2, &other));
	run(3000);
	sim.split = false;
	run(10000);
	CHECK(go_over(1, other.lineage, 5000));
	set_guest(node, true);
	run(5000);			/* nobody else votes on that */
	set_guest(node, false);
	promised = *promise_of(node, one.lineage);
	CHECK(promised.instance == one.epoch + 1 && promised.promised.round > 0);
	CHECK(go_over(0, other.lineage, 5000) && settle(60000) != 0);
	CHECK(wish(2, &wanted, 10000) && settle(10000) != 0);
	CHECK(node->agent.acceptor.promise.lineage == other.lineage);
	CHECK(lineage_of(3) == other.lineage);
	crash(3);
	set_up_disk(&sim.nodes[3]);	/* somebody has to be of the other one */
	sim.nodes[3].disk_layout = one;
	start(3);
	CHECK(go_over(0, one.lineage, 10000));
	CHECK(node->agent.acceptor.promise.instance == promised.instance &&
	      ballot_cmp(node->agent.acceptor.promise.promised, promised.promised) >= 0);
}

/* Nobody is of a layout again that it had a newer one of, whoever still has that. */
static void test_come_back_late(void)
{
	const struct layout_numbers wanted = { 0, 0, 7, UINT32_MAX };
	struct node *node = &sim.nodes[0];
	struct layout one, other, newer;

	begin(chance, 4);
	test_together();
	for (int i = 0; i < 4; i++)
		sim.nodes[i].side = i / 2;
	sim.split = true;
	run(10000);
	CHECK(force(0, &one) && force(2, &other));
	run(3000);
	CHECK(wish(0, &wanted, 10000));
	run(3000);
	newer = *layout_of(node);
	CHECK(newer.epoch == one.epoch + 1);
	sim.split = false;
	run(10000);
	CHECK(go_over(0, other.lineage, 5000) && go_over(1, other.lineage, 5000));
	CHECK(promise_of(node, one.lineage)->instance == newer.epoch + 1);
	if (below(2)) {			/* it knows after a restart, too */
		crash(0);
		start(0);
	}
	crash(3);
	set_up_disk(&sim.nodes[3]);
	sim.nodes[3].disk_layout = one;
	start(3);
	CHECK(!go_over(0, one.lineage, 10000) && lineage_of(0) == other.lineage);
	crash(3);
	sim.nodes[3].disk_layout = newer;
	start(3);
	CHECK(go_over(0, one.lineage, 10000) && layout_eq(layout_of(node), &newer));
}

/* Nodes go over and come back while both sides decide: what they promised stays promised. */
static void test_wander(void)
{
	struct layout layouts[2];

	begin(chance, 4);
	test_together();
	for (int i = 0; i < 4; i++)
		sim.nodes[i].side = i / 2;
	sim.split = true;
	run(10000);
	CHECK(force(0, &layouts[0]) && force(2, &layouts[1]));
	run(5000);
	sim.split = false;
	for (int k = 0; k < 40; k++) {
		int i = (int)below(4);

		go_over(i, layouts[below(2)].lineage, below(1500));
		i = (int)below(4);
		set_guest(&sim.nodes[i], !sim.nodes[i].guest);
		if (below(4) == 0) {
			crash(i);
			start(i);
		}
		run(below(2000));
	}
}

static void random_fault(void)
{
	int i = (int)below((unsigned)sim.count);

	switch (below(6)) {
	case 0:
		crash(i);
		break;
	case 1:
		crash(i);
		start(i);
		break;
	case 2:
		sim.split = true;
		for (int k = 0; k < sim.count; k++)
			sim.nodes[k].side = (int)below(2);
		break;
	case 3:
		sim.split = false;
		break;
	case 4:
		if (sim.nodes[i].alive) {
			sim.nodes[i].guest = !sim.nodes[i].guest;
			sim.nodes[i].gossip.view.self.flags ^= MEMBER_GUEST;
		}
		break;
	default:
		if (!sim.nodes[i].alive)
			start(i);
		break;
	}
}

/* How many groups of more than one member there are, by what the nodes use. */
static size_t larger_groups(void)
{
	uint64_t lineages[NODES];
	size_t count = 0;

	for (int i = 0; i < sim.count; i++) {
		const struct layout *layout = &sim.nodes[i].disk_layout;
		bool seen = layout->epoch == 0 || layout_is_solo(layout);

		for (size_t k = 0; k < count; k++)
			seen = seen || lineages[k] == layout->lineage;
		if (!seen)
			lineages[count++] = layout->lineage;
	}
	return count;
}

static void test_chaos(void)
{
	sim.loss = below(25);
	sim.doubles = below(20);
	sim.delay = 1 + below(300);
	sim.write_ms = 1 + below(60);
	if (below(2))
		seed_all();
	for (int i = 0; i < sim.count; i++) {
		if (sim.nodes[i].seeds == 0 && i > 0)
			sim.nodes[i].seeds = UINT64_C(1) << below((unsigned)i);
		start(i);
	}
	for (int k = 0; k < 40; k++) {
		run(below(4000));
		random_fault();
	}
	sim.split = false;
	sim.loss = 0;
	for (int i = 0; i < sim.count; i++) {
		if (!sim.nodes[i].alive)
			start(i);
		sim.nodes[i].guest = false;
		sim.nodes[i].gossip.view.self.flags = 0;
	}
	if (larger_groups() < 2)
		CHECK(settle(2 * COUNCIL_DEAD_MS) != 0 || larger_groups() > 1);
}

/* Who has forgotten something cannot say that it has all records, whatever it says. */
static void test_forgetful(void)
{
	static const struct layout_numbers numbers = { .homes = 3, .copies = 2, .keep_versions = 9 };
	struct layout joint = { .lineage = 7, .epoch = 2, .homes = 3, .copies = 2,
				.keep_versions = 9 };
	struct member members[3];
	struct council_seeds seeds = { .count = 0 };
	struct council council;
	struct council_step next;
	struct view view;

	for (uint64_t id = 1; id <= 3; id++) {
		layout_put(&joint, id, id == 3 ? LAYOUT_B : LAYOUT_A | LAYOUT_B, 1, "");
		members[id - 1] = (struct member){ .id = id, .start = 1, .heartbeat = 1,
						   .state = MEMBER_UP, .protocol_min = MEMBER_PROTOCOL,
						   .protocol_max = MEMBER_PROTOCOL, .lineage = 7, .epoch = 2,
						   .synced = id < 3 ? 2 : 0 };
	}
	layout_seat(&joint);
	view_init(&view, &members[0], 1000);
	view_hear(&view, &members[2], true, 1000);
	members[1].flags = MEMBER_SILENT;
	view_hear(&view, &members[1], true, 1000);
	council_init(&council, 1, &numbers, 1000);
	council_told(&council, &joint, 1000);
	for (uint64_t now = 1000; now < 3000; now += 500) {
		council_step(&council, &view, &seeds, NULL, now, &next);
		CHECK(next.act == COUNCIL_REST);
	}
	members[1].flags = 0;
	members[1].heartbeat++;
	view_hear(&view, &members[1], true, 3000);
	council_step(&council, &view, &seeds, NULL, 3000, &next);
	CHECK(next.act == COUNCIL_PROPOSE && next.layout.epoch == 3);
	view_clear(&view);
}

static void test_force_soon(void)
{
	begin(chance, 5);
	test_force();
}

static void each_seed(uint64_t seed)
{
	static void (*const tests[])(void) = { test_together, test_in_turn, test_solo_groups,
					       test_guest,    test_leave,   test_leave_taken_back, test_replaced,
					       test_way_back, test_numbers, test_two_wishes, test_replayed, test_replayed_later,
					       test_rivals,   test_rivals,  test_apart,    test_orphan,   test_force_soon,
					       test_force_named, test_force_guest, test_force_halves, test_come_back,
					       test_come_back_late, test_force_again, test_replaced_abroad,
					       test_wander,
					       test_chaos,    test_chaos,   test_chaos };

	for (size_t t = 0; t < sizeof tests / sizeof tests[0]; t++) {
		int before = unit_failures;

		begin(seed + t * 7919, 1 + (int)((seed + t) % NODES));
		tests[t]();
		end();
		if (unit_failures != before)
			fprintf(stderr, "scenario %zu with seed %" PRIu64 "\n", t, seed);
	}
}

int main(int argc, char **argv)
{
	uint64_t seeds = 6, seed;

	if (!chance_begin(argc, argv, 20261123, &seeds))
		return 64;
	seed = chance;
	sim.known = mem_new(KNOWN_MAX, sizeof *sim.known);
	test_forgetful();
	for (uint64_t i = 0; i < (argc == 2 ? 1 : seeds); i++)
		each_seed(seed + i);
	begin(seed, 3);
	test_dead();
	end();
	begin(seed, 5);
	sim.patient = true;
	test_force();
	end();
	free(sim.known);
	return UNIT_RESULT();
}
