/*
 * Homes and those who ask them, on a network that keeps what it is given:
 * how many messages a question costs, and what it is told when homes are
 * dead, stopped, behind, of another layout, or nobody's content is known.
 * What happens when everything happens at once is tests/sim's.
 */
#include "unit.h"

#include "check.h"
#include "container.h"
#include "mem.h"
#include "storing.h"

#include <netinet/in.h>

#define NODES 20
#define SLOTS 4096
#define CHECK_MS 250
#define STORE_MS 1000
#define GROUP 7
#define KEPT 16

struct packet {
	struct packet *next;
	int to;
	size_t n;
	char bytes[WIRE_PLAIN_BYTES + 400];
};

struct kept {
	struct str path;
	struct record record;
};

struct node {
	struct member member;
	bool stopped, failing;
	struct home home;
	struct asker asker;
	struct kept kept[KEPT];
	size_t kept_count;
	bool content;			/* of all of them */
	uint64_t commit_ms, way_ms;	/* its disk's time; the way to it and from it */
	uint64_t committing;		/* what its own asker gave it to keep; 0: nothing */
	uint64_t behind;		/* an epoch it was told of */
	uint64_t making;		/* a directory that its asker wants made; 0: none */
	struct version made;		/* the last one that was */
	unsigned made_count, made_everywhere;
};

static struct net {
	uint64_t now, random, sent;
	struct node nodes[NODES];
	int count;
	struct layout layout;
	struct packet *slots[SLOTS];
} net;

static const struct str the_path = { "a", 1 }, deep = { "docs/a", 6 }, docs = { "docs", 4 };
static const struct str docs_gate = { "docs/", 5 };

static struct node *node_of(uint64_t id)
{
	return &net.nodes[id - 100];
}

static struct record record_at(uint64_t time)
{
	return (struct record){ .version = { time, 100, 0 }, .size = 3 };
}

static struct record entry_at(uint64_t time, uint8_t flags)
{
	return (struct record){ .version = { time, 100, 0 }, .flags = flags | RECORD_DIRECTORY };
}

static void keep_at(struct node *node, struct str path, struct record record)
{
	for (size_t i = 0; i < node->kept_count; i++)
		if (record_eq(&node->kept[i].record, &record) && str_eq(node->kept[i].path, path))
			return;
	CHECK(node->kept_count < KEPT);
	node->kept[node->kept_count++] = (struct kept){ path, record };
}

static void keep(struct node *node, struct record record)
{
	keep_at(node, the_path, record);
}

/* The paths there are, so that they last. */
static struct str known(struct str path)
{
	const struct str paths[] = { the_path, deep, docs, docs_gate };

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (str_eq(path, paths[i]))
			return paths[i];
	CHECK(!"a path of this test");
	return the_path;
}

static bool is_gate_of(struct str gate, struct str path)
{
	return gate.n > 0 && gate.s[gate.n - 1] == '/' &&
	       str_eq((struct str){ gate.s, gate.n - 1 }, path_parent(path));
}

static int lookup(void *data, struct str path, struct version version, bool below,
		  struct home_found *ret)
{
	struct node *node = data;
	struct record *to;

	known(path);
	if (node->failing)
		return -1;
	*ret = (struct home_found){ .content = node->content };
	for (size_t i = 0; i < node->kept_count; i++) {
		const struct record *record = &node->kept[i].record;
		struct version v = record->version;
		bool newest = version_is_none(version), entry = record->flags & RECORD_DIRECTORY;

		if (is_gate_of(node->kept[i].path, path) && version_cmp(v, ret->gate) > 0)
			ret->gate = v;
		if (!str_eq(node->kept[i].path, path))
			continue;
		if (entry && version_cmp(v, ret->entry.version) > 0)
			ret->entry = *record;
		to = &ret->record;
		if ((entry && (newest || below)) || version_cmp(v, to->version) <= 0)
			continue;
		if (newest || (below ? version_cmp(v, version) < 0 : version_cmp(v, version) == 0))
			*to = *record;
	}
	ret->content = node->content && !version_is_none(ret->record.version);
	return 0;
}

/* the network: a millisecond each way */

static void post(int to, struct str bytes, uint64_t delay)
{
	struct packet *p = mem_new(1, sizeof *p), **slot;

	CHECK(bytes.n <= sizeof p->bytes);
	p->to = to;
	p->n = bytes.n;
	memcpy(p->bytes, bytes.s, bytes.n);
	for (slot = &net.slots[(net.now + 1 + delay) % SLOTS]; *slot != NULL; slot = &(*slot)->next)
		;
	*slot = p;
	net.sent++;
}

static void ask_send(void *data, const struct peer_target *to, struct str plain, unsigned attempt)
{
	(void)data;
	CHECK(attempt < 8);
	post((int)(to->id - 100), plain, node_of(to->id)->way_ms);
}

static uint64_t any_number(void *data)
{
	(void)data;
	return layout_mix(++net.random);
}

static uint64_t node_wall(void *data)
{
	struct node *node = data;

	return 1000 + node->member.id;
}

static void ask_behind(void *data, uint64_t epoch, uint64_t whose, const struct address *from)
{
	struct node *node = data;

	(void)whose;
	(void)from;
	node->behind = epoch;
}

/* It commits at once and answers when its disk has moved. */
static void handle(struct node *node, const struct wire *wire)
{
	struct buf packet = BUF_INIT;
	enum home_step step = home_receive(&node->home, wire, node_wall(node), &packet);
	uint64_t from = wire->sender.id, delay = node->way_ms;

	if (step == HOME_COMMIT) {
		keep_at(node, known(wire->store.path), wire->store.record);
		delay += node->commit_ms;
		step = home_stored(&node->home, from, &wire->store, &packet);
	}
	if (step == HOME_FETCH)
		node->behind = wire->type == WIRE_CHECK ? wire->check.epoch : wire->store.epoch;
	if (step == HOME_ANSWER)
		post((int)(from - 100), buf_str(&packet), delay);
	buf_clear(&packet);
}

static void deliver(struct packet *p)
{
	struct node *node = &net.nodes[p->to];
	struct wire wire;

	if (node->stopped)
		return;
	CHECK(wire_unpack((struct str){ p->bytes, p->n }, MEMBER_PROTOCOL, &wire) == 0);
	if (!wire_is_for(&wire, node->member.id, WIRE_VERSIONS))
		return;
	if (wire.type == WIRE_CHECK || wire.type == WIRE_STORE)
		handle(node, &wire);
	else
		asker_receive(&node->asker, &wire, net.now);
}

static void commit_own(struct node *node)
{
	uint64_t id = node->committing;

	node->committing = 0;
	if (id != 0)
		asker_committed(&node->asker, id, true, net.now);
}

static void make_own(struct node *node)
{
	struct record entry = entry_at(node->made.time, 0);
	uint64_t id = node->making;

	node->making = 0;
	if (id == 0)
		return;
	node->made_count++;
	keep_at(node, docs, entry);
	asker_made(&node->asker, id, &entry, net.now);
}

static void run(uint64_t ms)
{
	for (uint64_t end = net.now + ms; net.now < end; net.now++) {
		struct packet **slot = &net.slots[net.now % SLOTS], *p;

		while ((p = *slot) != NULL) {
			*slot = p->next;
			deliver(p);
			free(p);
		}
		for (int i = 0; i < net.count; i++)
			commit_own(&net.nodes[i]);
		for (int i = 0; i < net.count; i++)
			make_own(&net.nodes[i]);
		for (int i = 0; i < net.count; i++)
			for (int k = 0; k < 9 && net.nodes[i].asker.due != 0 &&
					net.nodes[i].asker.due <= net.now; k++)
				asker_tick(&net.nodes[i].asker, net.now);
	}
}

static void ask_commit(void *data, uint64_t id, const struct store_ask *ask)
{
	struct node *node = data;

	keep_at(node, known(ask->path), ask->record);
	node->committing = id;
}

static void ask_make(void *data, uint64_t id, const struct make_ask *ask)
{
	struct node *node = data;

	CHECK(str_eq(ask->path, docs) && ask->time > ask->above.time);
	node->making = id;
	node->made = (struct version){ ask->time, 100, 0 };
	if (version_is_none(ask->above))
		node->made.time = 1;
}

static void ask_made_end(void *data, uint64_t id, bool everywhere)
{
	struct node *node = data;

	(void)id;
	node->made_everywhere += everywhere;
}

static void tell_members(void)
{
	for (int k = 0; k < net.count; k++) {
		struct members list = MEMBERS_INIT;

		list.self = net.nodes[k].member.id;
		for (int i = 0; i < net.count; i++)
			members_add(&list, &net.nodes[i].member);
		asker_members(&net.nodes[k].asker, &list);
		members_clear(&list);
	}
}

static void tell_layout(int first, int end)
{
	for (int i = first; i < end; i++)
		asker_layout(&net.nodes[i].asker, &net.layout, net.now);
}

static void begin(int count)
{
	net = (struct net){ .now = 5000, .count = count,
			    .layout = { .lineage = 1, .epoch = 1, .homes = 3, .copies = 2,
					.keep_versions = 100 } };
	for (int i = 0; i < count; i++) {
		struct node *node = &net.nodes[i];
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(i + 1)) };

		node->member = (struct member){ .id = 100 + (uint64_t)i, .state = MEMBER_UP,
						.protocol_min = MEMBER_PROTOCOL,
						.protocol_max = MEMBER_PROTOCOL };
		memcpy(&node->member.versions.sa, &in, sizeof in);
		node->member.versions.len = sizeof in;
		layout_put(&net.layout, node->member.id, LAYOUT_A, 1, "");
		home_init(&node->home, GROUP, &node->member);
		node->home.lookup = lookup;
		asker_init(&node->asker, &node->home, CHECK_MS, STORE_MS);
		node->asker.send = ask_send;
		node->asker.commit = ask_commit;
		node->asker.make = ask_make;
		node->asker.made_end = ask_made_end;
		node->asker.behind = ask_behind;
		node->asker.random = any_number;
		node->asker.wall = node_wall;
		node->asker.data = node->home.data = node;
	}
	layout_seat(&net.layout);
	tell_members();
	tell_layout(0, count);
}

static void end(void)
{
	for (int i = 0; i < net.count; i++) {
		asker_clear(&net.nodes[i].asker);
		home_clear(&net.nodes[i].home);
	}
	for (int i = 0; i < SLOTS; i++) {
		for (struct packet *p = net.slots[i], *next; p != NULL; p = next) {
			next = p->next;
			free(p);
		}
	}
}

/* the homes of the path in their order, and a node that is none */

static struct node *home_of(struct str path, size_t i)
{
	struct layout_order order;

	layout_homes(&net.layout, LAYOUT_A, path_partition(path), &order);
	CHECK(i < order.count);
	return node_of(order.ids[i]);
}

static struct node *home_at(size_t i)
{
	return home_of(the_path, i);
}

static struct node *guest(void)
{
	for (int i = 0; i < net.count; i++) {
		struct node *node = &net.nodes[i];

		if (node != home_at(0) && node != home_at(1) && node != home_at(2))
			return node;
	}
	return &net.nodes[0];
}

/* questions */

struct reader {
	struct check_wait wait;
	int results;
	uint64_t at;
	struct newest_answer answer;
	size_t rows;
};

static void got(struct check_wait *wait, const struct check_result *result)
{
	struct reader *reader = CONTAINER_OF(wait, struct reader, wait);

	reader->results++;
	reader->at = net.now;
	reader->answer = result->answer;
	reader->rows = result->row_count;
}

static void start_at(struct reader *reader, struct node *node, struct str path,
		     enum check_purpose purpose, uint64_t time)
{
	struct version version = { time, time != 0 ? 100 : 0, 0 };

	*reader = (struct reader){ .wait.done = got };
	check_start(&node->asker, &reader->wait, path, purpose, version, net.now);
	CHECK(reader->results == 0);
}

static void start(struct reader *reader, struct node *node, enum check_purpose purpose,
		  uint64_t time)
{
	start_at(reader, node, the_path, purpose, time);
}

/* How long it took, ms. */
static uint64_t ask_at(struct reader *reader, struct node *node, struct str path,
		       enum check_purpose purpose, uint64_t time)
{
	uint64_t from = net.now;

	start_at(reader, node, path, purpose, time);
	while (reader->results == 0 && net.now < from + 3000)
		run(1);
	CHECK(reader->results == 1);
	return reader->at - from;
}

static uint64_t ask(struct reader *reader, struct node *node, enum check_purpose purpose,
		    uint64_t time)
{
	return ask_at(reader, node, the_path, purpose, time);
}

struct writer {
	struct store_wait wait;
	int results;
	struct store_answer first, second;
};

static void stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct writer *writer = CONTAINER_OF(wait, struct writer, wait);

	if (writer->results++ == 0)
		writer->first = *answer;
	writer->second = *answer;
}

static void store_at(struct writer *writer, struct node *node, struct str path,
		     struct record record)
{
	struct store_ask ask = { .path = path, .record = record };

	*writer = (struct writer){ .wait.done = stored };
	keep_at(node, path, record);
	storing_start(&node->asker, &writer->wait, &ask, net.now);
	CHECK(writer->results == 0);
}

static void store(struct writer *writer, struct node *node, uint64_t time)
{
	store_at(writer, node, the_path, record_at(time));
}

/* cases */

/* A question costs its homes, however many nodes there are. */
static void test_messages(void)
{
	static const int sizes[] = { 3, 10, 20 };

	for (size_t i = 0; i < 3; i++) {
		struct reader reader;

		begin(sizes[i]);
		CHECK(ask(&reader, &net.nodes[1], CHECK_READ, 0) <= 3);
		run(300);
		CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
		CHECK(version_is_none(reader.answer.record.version) && reader.answer.epoch == 1);
		CHECK(reader.answer.counts.homes == 3 && reader.answer.counts.homes_answered >= 2);
		CHECK(net.sent <= 6);
		end();
	}
}

static void test_store(void)
{
	struct writer writer;
	struct reader reader;

	begin(10);
	store(&writer, guest(), 50);
	run(10);
	CHECK(writer.results == 2 && writer.first.confirmed && !writer.first.all && writer.second.last);
	CHECK(writer.second.all);
	CHECK(net.sent == 6);
	guest()->content = true;
	ask(&reader, home_at(1), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	CHECK(reader.answer.record.version.time == 50);
	end();
}

static void test_one_home_dead(void)
{
	struct writer writer;
	struct reader reader;

	begin(5);
	home_at(0)->stopped = true;
	for (int i = 0; i < 5; i++) {
		store(&writer, guest(), 50 + (uint64_t)i);
		run(5);
		CHECK(writer.results == 1 && writer.first.confirmed);
		CHECK(writer.second.last == (i > 0));	/* it is sick by then */
		CHECK(ask(&reader, guest(), CHECK_READ, 0) <= 5);
		CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
		CHECK(reader.answer.record.version.time == 50 + (uint64_t)i);
		run(STORE_MS + 10);
		CHECK(writer.second.last && !writer.second.all);
	}
	end();
}

/* However long is waited for it, it is asked again as long. */
static void test_home_late(void)
{
	struct writer writer;

	begin(5);
	guest()->asker.store_ms = 30 * STORE_MS;
	home_at(0)->stopped = true;
	store(&writer, guest(), 50);
	run(3 * STORE_MS);
	CHECK(writer.results == 1 && writer.first.confirmed && !writer.first.last);
	home_at(0)->stopped = false;
	run(3 * STORE_MS);
	CHECK(writer.results == 2 && writer.second.all && writer.second.last);
	end();
}

static void test_two_homes_dead(void)
{
	struct writer writer;
	struct reader reader;

	begin(5);
	home_at(0)->stopped = home_at(2)->stopped = true;
	guest()->content = true;
	store(&writer, guest(), 50);
	CHECK(ask(&reader, home_at(1), CHECK_READ, 0) >= CHECK_MS - 1);
	CHECK(reader.answer.certainty == CERTAINTY_UNCONFIRMED);
	CHECK(reader.answer.record.version.time == 50 && reader.answer.holder_count == 1);
	CHECK(reader.answer.counts.homes_answered == 1 && reader.answer.counts.homes == 3);
	run(STORE_MS);
	CHECK(writer.results == 1 && !writer.first.confirmed && writer.second.last);
	CHECK(ask(&reader, home_at(1), CHECK_READ, 0) <= ASKER_SHORT_WAIT_MS + 8);
	home_at(0)->stopped = home_at(2)->stopped = false;
	ask(&reader, home_at(1), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	end();
}

/* A minority has it: a read stores it where it is missing, before it tells. */
static void test_write_back(void)
{
	struct reader reader;

	begin(5);
	keep(home_at(1), record_at(70));
	home_at(1)->content = true;
	home_at(2)->stopped = true;
	ask(&reader, guest(), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED && reader.answer.holder_count == 1);
	CHECK(reader.answer.record.version.time == 70);
	CHECK(home_at(0)->kept_count == 1);
	ask(&reader, guest(), CHECK_WRITE, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	end();
	begin(3);			/* the reader itself is the home that lacks it */
	keep(home_at(1), record_at(70));
	home_at(1)->content = true;
	home_at(2)->stopped = true;
	ask(&reader, home_at(0), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED && home_at(0)->kept_count == 1);
	end();
}

static void test_content_unknown(void)
{
	struct reader reader;

	begin(5);
	keep(home_at(1), record_at(70));
	keep(home_at(1), record_at(60));
	keep(home_at(0), record_at(60));
	ask(&reader, guest(), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_UNDECIDED);
	CHECK(reader.answer.record.version.time == 70 && reader.answer.counts.homes_answered == 3);
	CHECK(home_at(0)->kept_count == 1 && home_at(2)->kept_count == 0);
	ask(&reader, guest(), CHECK_BELOW, 70);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	CHECK(reader.answer.record.version.time == 60);
	CHECK(ask(&reader, guest(), CHECK_ONE, 60) <= CHECK_MS);
	CHECK(reader.answer.record.version.time == 60);
	ask(&reader, guest(), CHECK_ONE, 61);
	CHECK(version_is_none(reader.answer.record.version));
	end();
}

/* One version's holders, whoever they are: found ones do not end the search. */
static void test_holders(void)
{
	struct reader reader;

	begin(8);
	for (int i = 0; i < 2; i++) {
		keep(i == 0 ? guest() : home_at(0), record_at(60));
		(i == 0 ? guest() : home_at(0))->content = true;
	}
	keep(home_at(1), record_at(60));
	keep(home_at(1), record_at(70));
	CHECK(ask(&reader, home_at(1), CHECK_HOLDERS, 60) <= 3);
	CHECK(reader.answer.record.version.time == 60 && reader.answer.holder_count == 2);
	guest()->stopped = true;
	CHECK(ask(&reader, home_at(1), CHECK_HOLDERS, 60) >= CHECK_MS - 1);
	CHECK(reader.answer.holder_count == 1 && reader.answer.certainty == CERTAINTY_UNCONFIRMED);
	end();
}

static void test_own_counts(void)
{
	struct reader reader;

	begin(5);			/* a writer that is no home, and was not heard */
	keep(guest(), record_at(80));
	guest()->content = true;
	ask(&reader, guest(), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	CHECK(reader.answer.record.version.time == 80);
	CHECK(home_at(0)->kept_count + home_at(1)->kept_count + home_at(2)->kept_count >= 2);
	end();
}

/* However many come at once, one is in flight and one waits. */
static void test_join(void)
{
	struct reader readers[100];

	begin(3);
	for (int i = 0; i < 100; i++)
		start(&readers[i], &net.nodes[0], CHECK_READ, 0);
	CHECK(net.sent == 2);
	check_cancel(&readers[50].wait);
	run(50);
	for (int i = 0; i < 100; i++)
		CHECK(readers[i].results == (i != 50));
	CHECK(net.sent == 8);
	end();
}

static struct layout next_layout(uint64_t without)
{
	struct layout layout = net.layout;

	layout.epoch++;
	layout_remove(&layout, without);
	layout_seat(&layout);
	return layout;
}

/* The asker is behind: it hears STALE, learns the layout and begins again. */
static void test_fence(void)
{
	struct reader reader;
	struct writer writer;

	begin(5);
	net.layout = next_layout(net.nodes[4].member.id);
	tell_layout(1, 5);
	start(&reader, &net.nodes[0], CHECK_READ, 0);
	store(&writer, &net.nodes[0], 30);
	run(10);
	CHECK(reader.results == 0 && writer.results == 0 && net.nodes[0].behind == 2);
	tell_layout(0, 1);
	run(10);
	CHECK(reader.results == 1 && reader.answer.epoch == 2);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	CHECK(writer.results >= 1 && writer.first.confirmed && writer.first.epoch == 2);
	end();
	begin(5);			/* the homes are behind: they say nothing and fetch */
	net.layout = next_layout(guest()->member.id);
	asker_layout(&guest()->asker, &net.layout, net.now);
	start(&reader, guest(), CHECK_READ, 0);
	run(5);
	CHECK(reader.results == 0 && home_at(0)->behind == 2 && home_at(1)->behind == 2);
	tell_layout(0, 5);
	run(40);
	CHECK(reader.results == 1 && reader.answer.certainty == CERTAINTY_CONFIRMED);
	end();
}

/* Three old homes and three new ones. */
static void begin_joint(void)
{
	begin(6);
	net.layout.epoch++;
	for (int i = 0; i < 6; i++)
		layout_put(&net.layout, net.nodes[i].member.id, i < 3 ? LAYOUT_A : LAYOUT_B, 1, "");
	layout_seat(&net.layout);
	tell_layout(0, 6);
}

/* While a layout is joint, a majority of one of its sets is none. */
static void test_joint(void)
{
	struct reader reader;

	begin_joint();
	net.nodes[3].stopped = net.nodes[4].stopped = true;
	ask(&reader, &net.nodes[0], CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_UNCONFIRMED);
	CHECK(reader.answer.counts.homes_answered == 1 && reader.answer.counts.homes == 3);
	net.nodes[4].stopped = false;
	ask(&reader, &net.nodes[0], CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	end();
}

/* What a majority of the old homes has may have been confirmed: it is not passed over. */
static void test_joint_content_unknown(void)
{
	struct reader reader;

	begin_joint();
	keep(&net.nodes[0], record_at(70));
	keep(&net.nodes[1], record_at(70));
	ask(&reader, &net.nodes[0], CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	CHECK(reader.answer.record.version.time == 70);
	CHECK(net.nodes[3].kept_count + net.nodes[4].kept_count + net.nodes[5].kept_count >= 2);
	end();
}

/* Other groups, silent homes and homes that cannot tell confirm nothing. */
static void test_no_answer(void)
{
	struct reader reader;

	begin(3);
	home_at(0)->home.silent = home_at(1)->failing = true;
	ask(&reader, home_at(2), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_UNCONFIRMED);
	CHECK(reader.answer.counts.homes_answered == 1 && reader.answer.counts.peers_answered == 1);
	home_at(1)->failing = false;
	ask(&reader, home_at(2), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	ask(&reader, home_at(0), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	home_at(2)->stopped = true;
	ask(&reader, home_at(0), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_UNCONFIRMED);
	end();
	begin(3);
	net.layout.lineage = 2;
	tell_layout(1, 3);
	ask(&reader, &net.nodes[0], CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_UNCONFIRMED);
	end();
}

static void test_alone(void)
{
	struct reader reader;
	struct writer writer;

	begin(1);
	CHECK(ask(&reader, &net.nodes[0], CHECK_READ, 0) <= 1);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED && net.sent == 0);
	store(&writer, &net.nodes[0], 9);
	run(2);
	CHECK(writer.results == 1 && writer.second.last && writer.first.confirmed && writer.first.all);
	end();
	begin(2);			/* in no group yet */
	net.layout = LAYOUT_NONE;
	home_clear(&net.nodes[0].home);
	home_init(&net.nodes[0].home, GROUP, &net.nodes[0].member);
	net.nodes[0].home.lookup = lookup;
	net.nodes[0].home.data = &net.nodes[0];
	keep(&net.nodes[1], record_at(5));
	CHECK(ask(&reader, &net.nodes[0], CHECK_READ, 0) <= 3);
	CHECK(reader.answer.certainty == CERTAINTY_UNCONFIRMED && reader.answer.counts.homes == 0);
	CHECK(reader.answer.record.version.time == 5);
	store(&writer, &net.nodes[0], 9);
	run(2);
	CHECK(writer.results == 1 && writer.second.last && !writer.first.confirmed);
	end();
}

static void test_look(void)
{
	struct reader reader;

	begin(10);
	net.nodes[7].stopped = true;
	CHECK(ask(&reader, &net.nodes[0], CHECK_LOOK, 0) >= CHECK_MS - 1);
	CHECK(reader.rows == 9 && reader.answer.counts.peers_answered == 8);
	CHECK(ask(&reader, &net.nodes[0], CHECK_LOOK, 0) <= 3);
	end();
}

/* Far away: the waits follow the round trips that were measured. */
static void test_far(void)
{
	struct writer writer;
	struct reader reader;

	begin(3);
	for (size_t i = 0; i < 3; i++)
		home_at(i)->way_ms = 150;
	for (int i = 0; i < 6; i++) {
		ask(&reader, home_at(0), CHECK_READ, 0);
		run(400);
	}
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	for (int i = 0; i < 30; i++)
		ask(&reader, home_at(0), CHECK_READ, 0);
	net.sent = 0;
	CHECK(ask(&reader, home_at(0), CHECK_READ, 0) <= 310);
	CHECK(net.sent <= 4);		/* nothing is asked again */
	end();
	begin(3);
	home_at(1)->commit_ms = home_at(2)->commit_ms = 1500;
	for (size_t i = 0; i < 80; i++)
		peers_measured(&home_at(0)->asker.peers, home_at(1 + i % 2)->member.id, 400);
	store(&writer, home_at(0), 9);
	run(1510);
	CHECK(writer.results > 0 && writer.first.confirmed);
	end();
}

/* Who was stopped for minutes, and answers late, is no reason to wait for minutes. */
static void test_stopped_once(void)
{
	struct reader reader;

	begin(2);
	home_at(1)->stopped = true;
	CHECK(ask(&reader, home_at(0), CHECK_READ, 0) >= CHECK_MS - 1);
	peers_heard_late(&home_at(0)->asker.peers, home_at(1)->member.id,
			 home_at(0)->asker.peers.list[0].sick_of, net.now + 600000);
	CHECK(!home_at(0)->asker.peers.list[0].sick);
	CHECK(ask(&reader, home_at(0), CHECK_READ, 0) <= PEERS_RTT_MAX_MS / 2);
	home_at(1)->stopped = false;
	ask(&reader, home_at(0), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	end();
}

/* Who is asked so often that each answer comes after the next question is not sick for ever. */
static void test_asked_often(void)
{
	struct peers *peers;
	const struct peer *peer;
	uint64_t id;

	begin(2);
	peers = &home_at(0)->asker.peers;
	peer = &peers->list[0];
	id = peer->id;
	for (uint64_t question = 1; question <= 3; question++)
		peers_silent(peers, id, question, net.now + question);
	peers_heard_late(peers, id, 1, net.now + 4);
	CHECK(!peer->sick);
	/* The answer to the first may be lost. */
	for (uint64_t question = 4; question <= 5; question++)
		peers_silent(peers, id, question, net.now + (question - 4) * PEERS_RTT_MAX_MS);
	peers_heard_late(peers, id, 5, net.now + PEERS_RTT_MAX_MS + 4);
	CHECK(!peer->sick);
	/* Who was away until now was sent the newest alone. */
	for (uint64_t question = 6; question <= 9; question++)
		peers_silent(peers, id, question, net.now + question);
	peers_heard_late(peers, id, 8, net.now + 10);
	CHECK(peer->sick);
	peers_heard_late(peers, id, 9, net.now + 11);
	CHECK(!peer->sick);
	end();
}

/* directories */

/* At how many homes of docs the entry of this time is. */
/* How many of its homes have the record. */
static int homes_with(struct str path, struct record record)
{
	int count = 0;

	for (size_t i = 0; i < 3; i++) {
		const struct node *home = home_of(path, i);

		for (size_t k = 0; k < home->kept_count; k++)
			count += str_eq(home->kept[k].path, path) &&
				 record_eq(&home->kept[k].record, &record);
	}
	return count;
}

static int entries_at(uint64_t time)
{
	return homes_with(docs, entry_at(time, 0));
}

/* Who stores a name settles the directory above, and remembers it. */
static void test_settle(void)
{
	struct node *node;
	struct writer writer;
	struct reader reader;
	uint64_t sent;

	begin(10);
	node = guest();
	ask_at(&reader, node, deep, CHECK_WRITE, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED && !reader.answer.parent_known);
	store_at(&writer, node, deep, record_at(50));
	run(20);
	CHECK(writer.first.confirmed && writer.second.all && writer.second.last);
	CHECK(node->made_count == 1 && node->made_everywhere == 1 && entries_at(1) == 3);
	ask_at(&reader, node, deep, CHECK_WRITE, 0);
	CHECK(reader.answer.parent_known);
	run(300);
	sent = net.sent;
	store_at(&writer, node, deep, record_at(60));
	run(20);
	CHECK(writer.second.all && net.sent - sent <= 6 && node->made_count == 1);
	/* another node finds it there */
	store_at(&writer, home_of(deep, 0), deep, record_at(70));
	run(20);
	CHECK(writer.first.confirmed && home_of(deep, 0)->made_count == 0);
	end();
}

/* Somebody has begun to remove the directory: its entry has to be above that. */
static void test_gate(void)
{
	struct record gate = { .version = { 40, 100, 0 }, .flags = RECORD_DELETED };
	struct node *node;
	struct writer writer;
	struct reader reader;

	begin(6);
	node = guest();
	store_at(&writer, node, deep, record_at(50));
	run(20);
	CHECK(writer.first.confirmed && entries_at(1) == 3);
	for (size_t i = 0; i < 2; i++)
		keep_at(home_of(deep, i), docs_gate, gate);
	ask_at(&reader, node, deep, CHECK_WRITE, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED && !reader.answer.parent_known);
	store_at(&writer, node, deep, record_at(60));
	run(20);
	CHECK(writer.first.confirmed && entries_at(41) == 3 && node->made_count == 2);
	/* and one who has not heard of the gate learns of it by storing */
	store_at(&writer, home_of(deep, 2), deep, record_at(70));
	run(20);
	CHECK(writer.first.confirmed && home_of(deep, 2)->made_count == 0);
	/* a deletion, a gate and the end of a directory need nothing above them */
	store_at(&writer, node, docs, entry_at(90, RECORD_DELETED));
	run(20);
	CHECK(writer.first.confirmed && node->made_count == 2);
	end();
}

/*
 * What is stored late was deleted meanwhile, its directory removed, and a file
 * put in its place: that needs no directory, and gets none.
 */
static void test_stored_late(void)
{
	struct record gone = { .version = { 60, 100, 0 }, .flags = RECORD_DELETED };
	struct record gate = { .version = { 70, 100, 0 }, .flags = RECORD_DELETED };
	struct node *node;
	struct writer writer, other;
	struct reader reader;

	begin(6);
	node = guest();
	for (size_t i = 0; i < 3; i++) {
		if (i > 0)		/* one has missed the deletion */
			keep_at(home_of(deep, i), deep, gone);
		if (i > 0)
			keep_at(home_of(deep, i), docs_gate, gate);
		keep_at(home_of(docs, i), docs, entry_at(70, RECORD_DELETED));
		keep_at(home_of(docs, i), docs, record_at(80));
	}
	store_at(&writer, node, deep, record_at(50));
	store_at(&other, node, deep, record_at(50));
	run(30);
	CHECK(writer.first.confirmed && writer.second.all && other.first.confirmed);
	CHECK(node->made_count == 0);
	ask_at(&reader, node, docs, CHECK_READ, 0);
	CHECK(record_name_kind(&reader.answer.record, &reader.answer.entry) == NAME_FILE);
	/* that is not remembered of the directory: what is alive in it needs one */
	store_at(&writer, node, deep, record_at(90));
	run(30);
	CHECK(writer.first.confirmed && node->made_count == 1);
	ask_at(&reader, node, docs, CHECK_READ, 0);
	CHECK(record_name_kind(&reader.answer.record, &reader.answer.entry) == NAME_DIRECTORY);
	end();
}

/* What is put while the name is read for an older version of it is not judged by that reading. */
static void test_stored_meanwhile(void)
{
	struct record gone = { .version = { 60, 100, 0 }, .flags = RECORD_DELETED };
	struct writer late, fresh;
	struct reader reader;

	for (uint64_t after = 0; after < 20; after++) {
		struct node *node;

		begin(6);
		node = guest();
		home_of(deep, 2)->stopped = true;
		keep_at(home_of(deep, 1), deep, gone);
		for (size_t i = 0; i < 3; i++)
			keep_at(home_of(docs, i), docs, entry_at(70, RECORD_DELETED));
		store_at(&late, node, deep, record_at(50));
		run(after);
		store_at(&fresh, node, deep, record_at(90));
		run(50);
		CHECK(late.first.confirmed && fresh.first.confirmed && node->made_count == 1);
		ask_at(&reader, node, docs, CHECK_READ, 0);
		CHECK(record_is_live(&reader.answer.entry));
		end();
	}
}

/*
 * While an entry is made for what is stored late that is deleted, the directory
 * is made and removed by others, and a file put in its place: it stays.
 */
static void test_made_meanwhile(void)
{
	struct record gone = { .version = { 60, 100, 0 }, .flags = RECORD_DELETED };
	struct writer writer;
	struct reader reader;
	unsigned made = 0;

	for (uint64_t after = 0; after < 20; after++) {
		struct node *node;

		begin(6);
		node = guest();
		for (size_t i = 0; i < 3; i++)
			keep_at(home_of(docs, i), docs, entry_at(40, RECORD_DELETED));
		store_at(&writer, node, deep, record_at(50));
		run(after);
		for (size_t i = 0; i < 3; i++) {
			keep_at(home_of(deep, i), deep, gone);
			keep_at(home_of(docs, i), docs, entry_at(70, RECORD_DELETED));
			keep_at(home_of(docs, i), docs, record_at(80));
		}
		run(50);
		made += node->made_count;
		ask_at(&reader, node, docs, CHECK_READ, 0);
		CHECK(record_name_kind(&reader.answer.record, &reader.answer.entry) == NAME_FILE);
		end();
	}
	CHECK(made > 0);
}

/* Nobody is asked to end an entry before a majority of those who tell what is inside has its gate. */
static void test_end_behind_gate(void)
{
	struct record end_of_docs = entry_at(90, RECORD_DELETED);
	struct record gate = { .version = { 90, 100, 0 }, .flags = RECORD_DELETED };
	struct writer writer;

	begin(6);
	home_of(deep, 0)->stopped = home_of(deep, 1)->stopped = true;
	store_at(&writer, guest(), docs, end_of_docs);
	run(STORE_MS + 10);
	CHECK(writer.results == 1 && writer.first.last && !writer.first.confirmed);
	CHECK(homes_with(docs, end_of_docs) == 0);
	home_of(deep, 0)->stopped = home_of(deep, 1)->stopped = false;
	store_at(&writer, guest(), docs, end_of_docs);
	run(STORE_MS + 10);
	CHECK(writer.first.confirmed && homes_with(docs, end_of_docs) == 3);
	CHECK(homes_with(docs_gate, gate) == 3);
	end();
}

/* Where the group's lineage is another one by then the gate is stored there first, too. */
static void test_end_in_other_lineage(void)
{
	struct record end_of_docs = entry_at(90, RECORD_DELETED);
	struct record gate = { .version = { 90, 100, 0 }, .flags = RECORD_DELETED };
	struct writer writer;

	begin(6);
	store_at(&writer, guest(), docs, end_of_docs);
	for (int i = 0; i < 20 && homes_with(docs, end_of_docs) == 0; i++)
		run(1);
	CHECK(writer.results == 0 && homes_with(docs, end_of_docs) > 0);
	CHECK(homes_with(docs_gate, gate) > 1);
	for (int i = 0; i < 6; i++)
		net.nodes[i].kept_count = 0;
	net.layout.lineage = 2;
	net.layout.epoch += 1000;
	tell_layout(0, 6);
	home_of(deep, 0)->stopped = home_of(deep, 1)->stopped = true;
	run(STORE_MS + 50);
	CHECK(writer.results == 1 && !writer.first.confirmed && homes_with(docs, end_of_docs) == 0);
	end();
}

/* What the homes of a lineage keep says nothing of those of the next. */
static void test_other_lineage(void)
{
	struct writer writer;

	begin(5);
	home_at(2)->stopped = true;
	store(&writer, guest(), 50);
	run(5);
	CHECK(writer.results == 1 && writer.first.confirmed && !writer.second.last);
	for (int i = 0; i < 5; i++)
		net.nodes[i].stopped = &net.nodes[i] != guest();
	net.layout.lineage = 2;
	net.layout.epoch += 1000;
	tell_layout(0, 5);
	run(STORE_MS + 10);
	CHECK(writer.results == 2 && writer.second.last && !writer.second.confirmed && !writer.second.all);
	end();
}

/* With the homes of its entry away a name is not settled, though its own homes have it. */
static void test_unsettled_above(void)
{
	struct node *node;
	struct writer writer;
	size_t stopped = 0;

	begin(10);
	node = home_of(deep, 0);
	for (size_t i = 0; i < 3; i++)
		if (home_of(docs, i) != home_of(deep, 0) && home_of(docs, i) != home_of(deep, 1) &&
		    home_of(docs, i) != home_of(deep, 2)) {
			home_of(docs, i)->stopped = true;
			stopped++;
		}
	CHECK(stopped >= 2);
	store_at(&writer, node, deep, record_at(50));
	run(STORE_MS + 10);
	CHECK(writer.results == 1 && !writer.first.confirmed && writer.second.last);
	for (int i = 0; i < 10; i++)
		net.nodes[i].stopped = false;
	store_at(&writer, node, deep, record_at(50));
	run(CHECK_MS);
	CHECK(writer.first.confirmed && entries_at(1) >= 2);
	end();
}

/* What a minority tells of an entry is at a majority before it is told. */
static void test_entry_write_back(void)
{
	static const enum check_purpose purposes[] = { CHECK_READ, CHECK_WRITE };
	struct reader reader;

	for (size_t i = 0; i < 2; i++) {
		begin(6);
		keep_at(home_of(docs, 1), docs, entry_at(30, 0));
		keep_at(home_of(docs, 2), docs, entry_at(20, RECORD_DELETED));
		home_of(docs, 0)->stopped = true;
		ask_at(&reader, home_of(docs, 2), docs, purposes[i], 0);
		CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
		CHECK(reader.answer.entry.version.time == 30 && entries_at(30) == 2);
		home_of(docs, 1)->stopped = true;
		home_of(docs, 0)->stopped = false;
		ask_at(&reader, home_of(docs, 0), docs, purposes[i], 0);
		CHECK(reader.answer.entry.version.time == 30);
		end();
	}
}

/* A file's record and its directory's are two: the newest of each is told. */
static void test_registers(void)
{
	struct reader reader;

	begin(5);
	for (size_t i = 0; i < 3; i++) {
		keep(home_at(i), record_at(70));
		keep_at(home_at(i), the_path, entry_at(60, 0));
	}
	ask(&reader, guest(), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	CHECK(reader.answer.record.version.time == 70 && reader.answer.entry.version.time == 60);
	CHECK(record_name_kind(&reader.answer.record, &reader.answer.entry) == NAME_DIRECTORY);
	for (size_t i = 0; i < 3; i++)
		keep_at(home_at(i), the_path, entry_at(65, RECORD_DELETED));
	ask(&reader, guest(), CHECK_READ, 0);
	CHECK(record_name_kind(&reader.answer.record, &reader.answer.entry) == NAME_FILE);
	/* who is no home has no say in what is a directory */
	keep_at(guest(), the_path, entry_at(90, 0));
	ask(&reader, guest(), CHECK_READ, 0);
	CHECK(reader.answer.entry.version.time == 65);
	/* an entry hides a file whose content nobody has: that needs not be found */
	keep_at(home_at(0), the_path, record_at(80));
	for (size_t i = 0; i < 3; i++)
		keep_at(home_at(i), the_path, entry_at(85, 0));
	CHECK(ask(&reader, guest(), CHECK_READ, 0) <= 5);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED && reader.answer.entry.version.time == 85);
	end();
}

/* Whatever gossip says of its homes, they are asked while the layout has them. */
static void test_said_to_have_left(void)
{
	struct reader reader;

	begin(5);
	for (size_t i = 0; i < 3; i++)
		home_at(i)->member.state = MEMBER_LEFT;
	tell_members();
	CHECK(asker_peers(&guest()->asker) == (home_at(0) == guest() ? 2 : 1));
	keep(home_at(1), record_at(70));
	keep(home_at(2), record_at(70));
	ask(&reader, guest(), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	CHECK(reader.answer.record.version.time == 70);
	CHECK(reader.answer.counts.peers_answered <= reader.answer.counts.peers);
	end();
}

/* Another node is where a home was, and answers everything that comes there. */
static void test_tenant(void)
{
	struct reader reader;
	struct node *tenant;
	struct member other;

	begin(5);
	tenant = home_at(0);
	other = tenant->member;
	other.id = 99;
	home_clear(&tenant->home);
	home_init(&tenant->home, GROUP, &other);
	tenant->home.lookup = lookup;
	tenant->home.data = tenant;
	home_layout(&tenant->home, &net.layout);
	ask(&reader, guest(), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED);
	CHECK(reader.answer.counts.homes_answered == 2);
	home_at(1)->stopped = true;
	ask(&reader, guest(), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_UNCONFIRMED);
	CHECK(reader.answer.counts.homes_answered == 1);
	end();
}

/* A home that was where this node is now is not to be found there. */
static void test_own_address(void)
{
	struct reader reader;

	begin(3);
	home_at(1)->member.versions = home_at(0)->member.versions;
	tell_members();
	net.sent = 0;
	ask(&reader, home_at(0), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_CONFIRMED && net.sent == 2);
	home_at(2)->stopped = true;
	ask(&reader, home_at(0), CHECK_READ, 0);
	CHECK(reader.answer.certainty == CERTAINTY_UNCONFIRMED);
	end();
}

int main(void)
{
	test_messages();
	test_store();
	test_one_home_dead();
	test_home_late();
	test_two_homes_dead();
	test_write_back();
	test_content_unknown();
	test_holders();
	test_own_counts();
	test_join();
	test_fence();
	test_joint();
	test_joint_content_unknown();
	test_no_answer();
	test_alone();
	test_look();
	test_far();
	test_stopped_once();
	test_asked_often();
	test_settle();
	test_gate();
	test_stored_late();
	test_stored_meanwhile();
	test_made_meanwhile();
	test_end_behind_gate();
	test_end_in_other_lineage();
	test_other_lineage();
	test_unsettled_above();
	test_entry_write_back();
	test_registers();
	test_said_to_have_left();
	test_tenant();
	test_own_address();
	return UNIT_RESULT();
}
