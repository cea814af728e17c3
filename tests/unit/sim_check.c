/*
 * A simulated network under the version check: loss, doubles, delay and
 * disorder, peers that write meanwhile, stop and come back.  All chance
 * comes from one seed, argv[1], which is printed.
 *
 * What is checked: a result is never older than what any node that
 * answered held when the reader came; a reader gets exactly one result, in
 * time; one check is in flight per path; messages are bounded; a peer that
 * stopped costs one time-out.
 */
#include "unit.h"

#include "answer.h"
#include "check.h"
#include "container.h"
#include "mem.h"

#include <inttypes.h>
#include <netinet/in.h>

#define PEERS 20
#define PATHS 4
#define SLOTS 1024
#define TIMEOUT 250
#define READERS 600

struct packet {
	struct packet *next;
	int to;				/* 0: the asker */
	size_t n;
	char bytes[WIRE_PLAIN_BYTES];
};

struct peer_node {
	struct member member;
	bool stopped, failing;
	uint64_t newest[PATHS];		/* time of the version; 0: none */
	bool content[PATHS];
};

struct reader {
	struct check_wait wait;
	uint64_t came;
	int path;
	uint64_t held[PEERS];		/* by each when the reader came */
	int results;
	bool cancelled;
};

static struct sim {
	uint64_t rng, now, trace;
	unsigned loss, doubles, delay;
	struct peer_node peers[PEERS];
	int peer_count;
	struct checks checks;
	struct packet *slots[SLOTS];
	struct reader readers[READERS];
	int reader_count;
	uint64_t sent, launched;
} sim;

static const char *const paths[PATHS] = { "a", "docs/b.pdf", "c", "d/e/f" };

static uint64_t rnd(void)
{
	uint64_t z = (sim.rng += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint64_t check_random(void *data)
{
	(void)data;
	sim.launched++;
	return rnd();
}

static uint64_t check_wall(void *data)
{
	(void)data;
	return 1000000000000000000u + sim.now * 1000000;
}

static void post(int to, struct str bytes)
{
	for (unsigned copies = rnd() % 100 < sim.doubles ? 2 : 1; copies > 0; copies--) {
		struct packet *p, **slot;

		if (rnd() % 100 < sim.loss)
			continue;
		p = mem_new(1, sizeof *p);
		p->to = to;
		p->n = bytes.n;
		memcpy(p->bytes, bytes.s, bytes.n);
		for (slot = &sim.slots[(sim.now + 1 + rnd() % (sim.delay + 1)) % SLOTS]; *slot != NULL;
		     slot = &(*slot)->next)
			;
		*slot = p;
	}
}

static void check_send(void *data, const struct address *to, struct str plain)
{
	struct sockaddr_in in;

	(void)data;
	CHECK(plain.n <= WIRE_PLAIN_BYTES);
	memcpy(&in, &to->sa, sizeof in);
	sim.sent++;
	post(ntohs(in.sin_port), plain);
}

static int path_of(struct str path)
{
	for (int i = 0; i < PATHS; i++)
		if (str_eq(path, str_of(paths[i])))
			return i;
	return 0;
}

static int lookup(void *data, struct str path, struct version version, struct answer_found *ret)
{
	struct peer_node *peer = data;
	int i = path_of(path);

	CHECK(version_is_none(version));
	if (peer->failing)
		return -1;
	*ret = (struct answer_found){ .content = peer->content[i] };
	if (peer->newest[i] != 0)
		ret->record = (struct record){ .version = { peer->newest[i], 77, 0 }, .size = 3 };
	return 0;
}

static void deliver(struct packet *p)
{
	struct wire wire;

	CHECK(wire_unpack((struct str){ p->bytes, p->n }, MEMBER_PROTOCOL, 7, &wire) == 0);
	sim.trace = sim.trace * 1099511628211u + p->n + (uint64_t)p->to * 31 + sim.now;
	if (p->to == 0) {
		checks_receive(&sim.checks, &wire, sim.now);
	} else if (!sim.peers[p->to - 1].stopped) {
		struct peer_node *peer = &sim.peers[p->to - 1];
		struct buf packet = BUF_INIT;

		wire_pack_sender(&packet, 7, &peer->member);
		if (answer_check(&wire, check_wall(NULL), lookup, peer, &packet))
			post(0, buf_str(&packet));
		buf_clear(&packet);
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
		while (sim.checks.due != 0 && sim.checks.due <= sim.now)
			checks_tick(&sim.checks, sim.now);
	}
}

static void members(void)
{
	struct members list = MEMBERS_INIT;
	struct member self = { .id = 999, .state = MEMBER_UP };

	list.self = 999;
	members_add(&list, &self);
	for (int i = 0; i < sim.peer_count; i++)
		members_add(&list, &sim.peers[i].member);
	checks_members(&sim.checks, &list);
	members_clear(&list);
}

static void begin(uint64_t seed, int peers, unsigned loss, unsigned delay)
{
	struct member self = { .id = 999, .state = MEMBER_UP, .protocol_min = 1, .protocol_max = 1 };

	sim = (struct sim){ .rng = seed, .now = 5000, .loss = loss, .doubles = loss / 2, .delay = delay,
			    .peer_count = peers };
	checks_init(&sim.checks, 7, &self, TIMEOUT);
	sim.checks.send = check_send;
	sim.checks.random = check_random;
	sim.checks.wall = check_wall;
	for (int i = 0; i < peers; i++) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(i + 1)) };
		struct member *member = &sim.peers[i].member;

		*member = (struct member){ .id = 100 + (uint64_t)i, .state = MEMBER_UP,
					   .protocol_min = 1, .protocol_max = 1 };
		memcpy(&member->versions.sa, &in, sizeof in);
		member->versions.len = sizeof in;
	}
	members();
}

static void end(void)
{
	for (int i = 0; i < SLOTS; i++) {
		for (struct packet *p = sim.slots[i], *next; p != NULL; p = next) {
			next = p->next;
			free(p);
		}
	}
	checks_clear(&sim.checks);
}

/* readers */

static void got(struct check_wait *wait, const struct check_result *result)
{
	struct reader *reader = CONTAINER_OF(wait, struct reader, wait);
	uint64_t newest = result->newest != NULL ? result->newest->record.version.time : 0;
	uint32_t answered = 0;

	reader->results++;
	CHECK(sim.now - reader->came <= 2 * TIMEOUT + 2);
	CHECK(result->row_count <= CHECK_PEERS_MAX);
	for (size_t i = 0; i < result->row_count; i++) {
		const struct check_row *row = &result->rows[i];

		answered += row->answered;
		if (row->answered)
			CHECK(newest >= reader->held[row->id - 100]);
	}
	CHECK(answered == result->answered && result->answered <= result->asked);
	for (size_t i = 0; i < result->holder_count; i++)
		CHECK(sim.peers[result->holders[i] - 100].newest[reader->path] >= newest);
}

static struct reader *read_path(int path)
{
	struct reader *reader = &sim.readers[sim.reader_count++];

	*reader = (struct reader){ .came = sim.now, .path = path, .wait.done = got };
	for (int i = 0; i < sim.peer_count; i++)
		reader->held[i] = sim.peers[i].newest[path];
	check_start(&sim.checks, &reader->wait, str_of(paths[path]), VERSION_NONE, sim.now);
	CHECK(reader->results == 0);
	return reader;
}

static void all_answered(void)
{
	for (int i = 0; i < sim.reader_count; i++)
		CHECK(sim.readers[i].results == !sim.readers[i].cancelled);
}

static void maybe_write(void)
{
	struct peer_node *peer = &sim.peers[rnd() % (uint64_t)sim.peer_count];
	int path = (int)(rnd() % PATHS);

	peer->newest[path] += 1 + rnd() % 1000;	/* a node's newest only grows */
	peer->content[path] = rnd() % 4 != 0;
}

static void test_storm(uint64_t seed)
{
	begin(seed, 1 + (int)(seed % PEERS), 15, 60);
	while (sim.reader_count < READERS) {
		struct reader *reader;

		if (rnd() % 3 == 0)
			maybe_write();
		if (rnd() % 50 == 0)
			sim.peers[rnd() % (uint64_t)sim.peer_count].stopped ^= true;
		if (rnd() % 80 == 0)
			sim.peers[rnd() % (uint64_t)sim.peer_count].failing ^= true;
		reader = read_path((int)(rnd() % PATHS));
		if (rnd() % 10 == 0) {
			check_cancel(&reader->wait);
			reader->cancelled = true;
		}
		run(rnd() % 12);
	}
	run(2 * TIMEOUT + 5);
	all_answered();
	CHECK(sim.checks.running == NULL);
	CHECK(sim.sent <= sim.launched * CHECK_PEERS_MAX * 4);
	end();
}

/* However many come at once, one check is in flight and one waits. */
static void test_join(uint64_t seed)
{
	begin(seed, 3, 0, 4);
	for (int i = 0; i < 100; i++)
		read_path(1);
	CHECK(sim.launched == 1 && sim.sent == 3);
	run(50);
	all_answered();
	CHECK(sim.launched == 2 && sim.sent == 6);
	end();
}

static uint64_t time_of_read(void)
{
	struct reader *reader = read_path(0);
	uint64_t from = sim.now;

	while (reader->results == 0 && sim.now < from + 1000)
		run(1);
	return sim.now - from;
}

/* A peer that stopped costs one time-out, and is trusted again when it answers. */
static void test_sick(uint64_t seed)
{
	begin(seed, 3, 0, 0);
	CHECK(time_of_read() <= 4);
	sim.peers[0].stopped = true;
	CHECK(time_of_read() >= TIMEOUT);
	for (int i = 0; i < 5; i++)
		CHECK(time_of_read() <= 4);
	sim.peers[0].stopped = false;
	CHECK(time_of_read() <= 4);	/* asked nevertheless, and it answers, if too late */
	run(10);
	sim.peers[0].stopped = true;
	CHECK(time_of_read() >= TIMEOUT);
	end();
}

static void test_away(uint64_t seed)
{
	begin(seed, 2, 0, 0);
	for (int i = 0; i < 2; i++) {
		sim.peers[i].stopped = true;
		sim.peers[i].member.state = MEMBER_DOWN;
	}
	members();
	CHECK(time_of_read() <= CHECK_A_LITTLE_MS + 1);
	CHECK(time_of_read() <= 1);
	sim.peers[0].stopped = sim.peers[1].stopped = false;
	sim.peers[0].member.state = MEMBER_UP;
	members();
	sim.peers[0].newest[0] = 5;
	CHECK(time_of_read() <= 4);
	CHECK(checks_asked(&sim.checks) == 2);
	sim.peers[1].member.state = MEMBER_LEFT;
	members();
	CHECK(checks_asked(&sim.checks) == 1);
	end();
}

/* With all peers sick but up, a little waiting finds the one that has recovered. */
static void test_alone(uint64_t seed)
{
	struct reader *reader;

	begin(seed, 1, 0, 0);
	sim.peers[0].stopped = true;
	CHECK(time_of_read() >= TIMEOUT);
	CHECK(time_of_read() <= CHECK_A_LITTLE_MS + 1);
	sim.peers[0].stopped = false;
	sim.peers[0].newest[0] = 9;
	reader = read_path(0);
	run(5);
	CHECK(reader->results == 1);
	end();
}

static void test_same_again(uint64_t seed)
{
	uint64_t trace;

	test_storm(seed);
	trace = sim.trace;
	test_storm(seed);
	CHECK(sim.trace == trace && trace != 0);
}

int main(int argc, char **argv)
{
	uint64_t seed = 20261123;

	if (argc > 1 && str_u64(str_of(argv[1]), UINT64_MAX, &seed) < 0)
		return 64;
	fprintf(stderr, "seed %" PRIu64 "\n", seed);
	for (uint64_t i = 0; i < (argc > 1 ? 1 : 30); i++)
		test_storm(seed + i);
	test_join(seed);
	test_sick(seed);
	test_away(seed);
	test_alone(seed);
	test_same_again(seed);
	return UNIT_RESULT();
}
