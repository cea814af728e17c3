/*
 * Which start is this?  Random schedules of one node and its peers: however
 * it is killed, cut off, and forgotten by them, an honest one is never
 * silent for good; one whose disk was put back or copied always is.
 */
#include "unit.h"
#include "chance.h"

#include "waking.h"

#define PEERS 4
#define SELF 1

/* What outlives a process. */
struct disk {
	struct starts starts;
	bool silent, ended;
	uint64_t sequence;
};

struct node {
	bool alive;
	struct disk disk, standing, remembering;	/* on disk, as the process knows it, being written */
	bool writing, speak_wanted;
	unsigned stalls;			/* rounds of meet() until its disk writes again */
	uint64_t above;				/* to be counted on from; 0: nothing is */
	struct view view;
	struct waking waking;
};

static struct layout layout;			/* that all of them have */

struct peer {
	struct view view;
	struct members saved;
};

static uint64_t now;
static struct peer peers[PEERS];
static size_t peer_count;

static struct member member_of(uint64_t id, unsigned port)
{
	struct member m = { .id = id, .start = 1, .heartbeat = 1, .state = MEMBER_UP, .nonce = draw() | 1,
			    .protocol_min = MEMBER_PROTOCOL, .protocol_max = MEMBER_PROTOCOL };
	char text[32];

	snprintf(text, sizeof text, "127.0.0.1:%u", port);
	CHECK(address_parse(str_of(text), &m.discovery, NULL) == 0);
	return m;
}

/* the node, as covey-discoverd does it */

/* What is on disk; the count is told at once. */
static void show(struct node *node)
{
	struct member *self = &node->view.self;
	const struct disk *s = &node->standing;
	bool silent = s->silent || !starts_speaks(&s->starts);

	self->flags = (uint8_t)((silent ? MEMBER_SILENT : 0) | (s->silent ? MEMBER_FORGOT : 0));
	self->sequence = silent ? 0 : (uint32_t)s->sequence;
	self->nonce = s->starts.now.nonce;
	self->spoke = s->starts.spoke;
	self->before = s->starts.before;
}

static void start(struct node *node, unsigned port)
{
	struct member self = member_of(SELF, port);
	struct disk *s = &node->standing;
	bool ended = node->disk.ended;

	*s = node->disk;
	s->ended = false;
	s->sequence++;
	starts_begin(&s->starts, draw() | 1);
	node->disk = *s;
	node->writing = node->speak_wanted = false;
	node->above = 0;
	self.start = s->starts.now.count;
	view_init(&node->view, &self, now);
	waking_begin(&node->waking, s->silent, ended, now);
	show(node);
	node->alive = true;
}

static void die(struct node *node)
{
	node->alive = false;
	if (node->writing && below(2))
		node->disk = node->remembering;
	view_clear(&node->view);
}

static void stop(struct node *node)
{
	node->writing = false;
	die(node);
	node->disk = node->standing;
	node->disk.ended = true;
}

static bool has_wishes(const struct node *node)
{
	const struct disk *s = &node->standing;

	return node->above >= s->starts.now.count || node->disk.silent != s->silent ||
	       (node->speak_wanted && !s->silent && !start_eq(s->starts.spoke, s->starts.now));
}

static void write_wishes(struct node *node)
{
	struct disk *s = &node->remembering;

	if (node->writing)
		return;
	*s = node->standing;
	s->sequence++;
	if (node->above >= s->starts.now.count)
		starts_raise(&s->starts, node->above);
	if (node->speak_wanted && !s->silent)
		starts_speak(&s->starts);
	node->writing = true;
}

static void written(struct node *node)
{
	struct disk was = node->standing;

	node->writing = false;
	node->disk = node->standing = node->remembering;
	if (was.silent && !node->remembering.silent) {
		node->standing.silent = true;
		node->standing.starts.spoke = was.starts.spoke;
		node->standing.starts.before = was.starts.before;
	}
	show(node);
	if (has_wishes(node))
		write_wishes(node);
}

static void think(struct node *node)
{
	struct waking_step step;

	waking_step(&node->waking, &node->view, &layout, node->standing.sequence, now, &step);
	if (step.act == WAKING_REST)
		return;
	node->standing.silent = node->standing.silent || step.act == WAKING_SILENCE;
	node->speak_wanted = node->speak_wanted || step.act == WAKING_SPEAK;
	if (step.act == WAKING_RAISE) {
		node->above = step.above;
		view_restart(&node->view, step.above + 1);
	}
	show(node);
	write_wishes(node);
}

/* messages */

static void hear_all(struct view *view, const struct view *of)
{
	const struct member *twin = view_overtaken(of, &view->self, now);

	view_hear(view, &of->self, true, now);
	for (size_t i = 0; i < of->count; i++)
		view_hear(view, &of->entries[i].member, false, now);
	if (twin != NULL)
		view_hear(view, twin, false, now);
}

static void exchange(struct node *node, struct peer *peer, unsigned loss)
{
	view_beat(&node->view);
	if (below(100) < loss)
		return;
	hear_all(&peer->view, &node->view);
	view_beat(&peer->view);
	if (below(100) < loss)
		return;
	hear_all(&node->view, &peer->view);
	if (view_entry(&peer->view, SELF) != NULL)
		waking_recognized(&node->waking, now);
	think(node);
}

static void gossip(struct peer *a, struct peer *b)
{
	if (a == b)
		return;
	view_beat(&a->view);
	hear_all(&b->view, &a->view);
}

static void peer_start(struct peer *peer, uint64_t id, bool remembers)
{
	struct member self = member_of(id, (unsigned)id);

	self.start = peer->view.self.start + 1;
	view_clear(&peer->view);
	view_init(&peer->view, &self, now);
	if (remembers)
		view_load(&peer->view, &peer->saved, now);
}

/* schedules */

/* These have the seats in the council, and SELF and another are its homes. */
static void agree(uint8_t self_sets, uint8_t other_sets)
{
	layout = LAYOUT_NONE;
	layout.homes = 3;
	layout_put(&layout, SELF, self_sets, 1, "");
	layout_put(&layout, 100, other_sets, 1, "");
	layout_seat(&layout);
}

static void begin(struct node *node)
{
	*node = (struct node){ .alive = false };
	now = 100000;
	agree(LAYOUT_A, LAYOUT_A);
	peer_count = 1 + below(PEERS);
	for (size_t i = 0; i < peer_count; i++) {
		peers[i] = (struct peer){ .saved = MEMBERS_INIT };
		peer_start(&peers[i], 100 + i, false);
	}
}

static void end(struct node *node)
{
	if (node->alive)
		die(node);
	for (size_t i = 0; i < peer_count; i++) {
		view_clear(&peers[i].view);
		members_clear(&peers[i].saved);
	}
}

static struct peer *any_peer(void)
{
	return &peers[below((unsigned)peer_count)];
}

static void pass(uint64_t ms)
{
	now += ms;
	for (size_t i = 0; i < peer_count; i++)
		view_tick(&peers[i].view, now);
}

static void disk_turns(struct node *node)
{
	if (!node->alive)
		return;
	if (node->stalls > 0) {
		node->stalls--;
		return;
	}
	for (unsigned w = 0; w < 3 && node->writing; w++)
		written(node);
}

/* Everybody hears everybody, for so long. */
static void meet(struct node *node, struct node *twin, unsigned rounds)
{
	for (unsigned r = 0; r < rounds; r++) {
		for (size_t i = 0; i < peer_count; i++) {
			for (size_t k = 0; k < peer_count; k++)
				gossip(&peers[i], &peers[k]);
			if (node->alive)
				exchange(node, &peers[i], 0);
			if (twin != NULL && twin->alive)
				exchange(twin, &peers[i], 0);
		}
		pass(500);
		disk_turns(node);
		if (twin != NULL)
			disk_turns(twin);
	}
}

static void peer_does(struct peer *peer)
{
	switch (below(4)) {
	case 0:
		view_members(&peer->view, &peer->saved);
		break;
	case 1:
		peer_start(peer, peer->view.self.id, below(3) > 0);
		break;
	default:
		gossip(peer, any_peer());
		break;
	}
}

static void something(struct node *node, bool peers_too)
{
	if (!node->alive) {
		start(node, 9);
		if (below(4) == 0)
			die(node);	/* it never said a word */
		return;
	}
	switch (below(16)) {
	case 0:
		die(node);
		break;
	case 1:
		stop(node);
		break;
	case 2:
	case 3:
		pass(below(3000));
		think(node);
		break;
	case 4:
	case 5:
	case 6:
		if (node->writing)
			written(node);
		break;
	case 7:
	case 8:
		if (peers_too)
			peer_does(any_peer());
		break;
	case 9:
		node->view.self.heartbeat += below(100);
		write_wishes(node);	/* the half minute */
		break;
	default:
		exchange(node, any_peer(), 30);
		break;
	}
}

static bool is_doubted(void)
{
	for (size_t i = 0; i < peer_count; i++) {
		const struct view_entry *entry = view_entry(&peers[i].view, SELF);

		if (entry != NULL && entry->member.spoke.count != 0 && entry->member.spoke.nonce == 0)
			return true;
	}
	return false;
}

static void test_honest(void)
{
	struct node node;

	begin(&node);
	for (int i = 0; i < 300; i++) {
		something(&node, true);
		if (node.disk.silent || (node.alive && node.standing.silent) || is_doubted()) {
			CHECK(!"an honest node falls silent");
			break;
		}
	}
	if (!node.alive)
		start(&node, 9);
	meet(&node, NULL, 30);
	CHECK(!node.standing.silent && starts_speaks(&node.standing.starts) && node.view.self.flags == 0);
	end(&node);
}

/* The greatest count of a start that spoke which a peer knows. */
static uint64_t known(void)
{
	uint64_t most = 0;

	for (size_t i = 0; i < peer_count; i++) {
		const struct view_entry *entry = view_entry(&peers[i].view, SELF);

		if (entry != NULL && entry->member.spoke.count > most)
			most = entry->member.spoke.count;
	}
	return most;
}

/* Put back to what it was before the last start that spoke; true when there was such a one. */
static bool test_put_back(void)
{
	struct node node;
	struct disk copy;
	bool knew;

	begin(&node);
	for (unsigned i = 0; i < 20 + below(60); i++)
		something(&node, false);
	copy = node.disk;
	for (unsigned i = 0; i < 20 + below(60); i++)
		something(&node, false);
	if (node.alive)
		die(&node);
	knew = known() > copy.starts.spoke.count;
	node.disk = copy;
	if (knew) {
		/* Some peer may hear of it only after it spoke to another. */
		start(&node, 9);
		for (unsigned i = 0; i < below(12); i++)
			exchange(&node, any_peer(), 30);
		pass(below(4000));
		think(&node);
		if (node.writing && below(2))
			written(&node);
		if (below(3) == 0) {
			die(&node);
			start(&node, 9);
		}
		meet(&node, NULL, 30);
		CHECK(node.standing.silent && node.disk.silent);
		CHECK((node.view.self.flags & MEMBER_FORGOT) != 0);
	}
	end(&node);
	return knew;
}

/*
 * A copy of a running node's disk: that one goes on, however long its disk
 * takes to write, the copy is silent, also after it is gone.
 */
static void test_copied(void)
{
	struct node node, copy = { .alive = false };
	unsigned since = 0;

	begin(&node);
	for (unsigned i = 0; i < below(100); i++)
		something(&node, true);
	if (!node.alive)
		start(&node, 9);
	meet(&node, NULL, 30);
	CHECK(starts_speaks(&node.standing.starts));
	copy.disk = node.disk;
	node.stalls = below(60);
	start(&copy, 10);
	for (unsigned i = 0; i < 100; i++) {
		meet(&node, &copy, 1);
		CHECK((node.view.self.flags & MEMBER_SILENT) == 0);
		CHECK((copy.view.self.flags & MEMBER_SILENT) != 0);
		/* After its start it lets the other be. */
		CHECK(since++ < 24 || view_entry(&peers[0].view, SELF)->member.nonce ==
					      node.standing.starts.now.nonce);
		if (below(40) == 0) {
			die(&copy);
			start(&copy, 10);
			since = 0;
		}
	}
	CHECK(copy.standing.silent && copy.disk.silent);
	die(&copy);
	meet(&node, NULL, 10);
	CHECK(node.view.self.flags == 0 && !is_doubted());
	start(&copy, 10);
	meet(&copy, NULL, 30);		/* alone, too */
	CHECK(copy.standing.silent);
	end(&node);
	die(&copy);
}

static bool speaks(const struct node *node)
{
	return (node->view.self.flags & MEMBER_SILENT) == 0;
}

/* It crashes with its copy beside it, and starts again: at most one of the two speaks. */
static void test_crashed_beside_copy(void)
{
	struct node node, copy = { .alive = false };
	bool spoke = false;

	begin(&node);
	start(&node, 9);
	meet(&node, NULL, 30);
	copy.disk = node.disk;
	node.stalls = below(60);
	start(&copy, 10);
	meet(&node, &copy, 1 + below(6));
	die(&node);
	start(&node, 9);
	for (unsigned i = 0; i < 60; i++) {
		meet(&node, &copy, 1);
		CHECK(!speaks(&node) || !speaks(&copy));
		spoke = spoke || speaks(&copy);
	}
	die(&copy);
	meet(&node, NULL, 40);
	CHECK(spoke || speaks(&node));
	end(&node);
}

/*
 * It is away for long enough that its copy, which is silent for good, counts on
 * above it.  When it starts again it speaks, though the copy still runs.
 */
static void test_started_beside_silent_copy(void)
{
	struct node node, copy = { .alive = false };

	begin(&node);
	start(&node, 9);
	meet(&node, NULL, 30);
	copy.disk = node.disk;
	start(&copy, 10);
	meet(&node, &copy, 30);
	CHECK(copy.standing.silent);
	if (below(2))
		stop(&node);
	else
		die(&node);
	meet(&copy, NULL, 20);
	start(&node, 9);
	meet(&node, &copy, 40);
	CHECK(speaks(&node) && copy.standing.silent);
	end(&node);
	die(&copy);
}

/* It stopped, its copy was started, and it comes back before that may speak, or just after. */
static void test_stopped_beside_copy(void)
{
	struct node node, copy = { .alive = false };

	begin(&node);
	start(&node, 9);
	meet(&node, NULL, 30);
	stop(&node);
	copy.disk = node.disk;
	copy.disk.ended = false;	/* not at this address */
	start(&copy, 10);
	meet(&copy, NULL, below(6));
	start(&node, 9);
	for (unsigned i = 0; i < 100; i++) {
		exchange(below(2) ? &node : &copy, any_peer(), 20);
		gossip(any_peer(), any_peer());
		pass(below(100));
		disk_turns(&node);
		disk_turns(&copy);
		CHECK(!speaks(&node) || !speaks(&copy));
	}
	end(&node);
	die(&copy);
}

/* The others never come back: who decides alone goes on after a while, who does not waits. */
static void test_others_gone(void)
{
	struct waking_step step;
	struct node node;

	begin(&node);
	for (int alone = 0; alone < 2; alone++) {
		agree(LAYOUT_A | LAYOUT_B, alone ? LAYOUT_B : LAYOUT_A | LAYOUT_B);
		start(&node, 9);
		pass(WAKING_SURE_MS - 1);
		waking_step(&node.waking, &node.view, &layout, node.standing.sequence, now, &step);
		CHECK(step.act == WAKING_REST && !step.waited && step.due == now + 1);
		pass(1);
		waking_step(&node.waking, &node.view, &layout, node.standing.sequence, now, &step);
		CHECK(step.act == (alone ? WAKING_SPEAK : WAKING_REST) && step.waited == !alone);
		die(&node);
	}
	end(&node);
}

/* Both spoke, one while the other was cut off: what each promised the other does not know. */
static void test_both_spoke(void)
{
	struct node node, copy = { .alive = false };

	begin(&node);
	start(&node, 9);
	meet(&node, NULL, 30);
	copy.disk = node.disk;
	start(&copy, 10);
	meet(&copy, NULL, 30);
	CHECK(starts_speaks(&copy.standing.starts));
	meet(&node, &copy, 60);
	CHECK(node.standing.silent);
	end(&node);
	die(&copy);
}

int main(int argc, char **argv)
{
	uint64_t rounds = 800, put_back = 0;

	if (!chance_begin(argc, argv, 20261129, &rounds))
		return 64;
	test_others_gone();
	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t seed = chance;
		int before = unit_failures;

		test_honest();
		put_back += test_put_back();
		test_copied();
		test_crashed_beside_copy();
		test_started_beside_silent_copy();
		test_stopped_beside_copy();
		test_both_spoke();
		if (unit_failures != before) {
			fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
			break;
		}
	}
	CHECK(put_back * 4 > rounds);
	return UNIT_RESULT();
}
