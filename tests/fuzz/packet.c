/*
 * Any bytes as a packet of the network: as it comes they do not open, and
 * were they opened, they are refused or leave view, home and asker in order.
 */
#include "check.h"
#include "gossip.h"
#include "seal.h"
#include "storing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define SELF 1
#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static void no_send(void *data, const struct address *to, struct str plain)
{
	(void)data;
	(void)to;
	expect(plain.n <= WIRE_PLAIN_BYTES);
}

static uint64_t counted(void *data)
{
	static uint64_t n;

	(void)data;
	return ++n % 16;	/* so that the fuzzer can guess the ids */
}

/* Late enough for a member to have been silent for long. */
static uint64_t wall(void *data)
{
	return UINT64_C(1800000000) * 1000000000 + counted(data);
}

/* Of a node of which a packet tells twice, the older word may count once the newer one is a week old. */
static bool tells_twice(const struct wire *wire)
{
	const struct wire_gossip *told = &wire->gossip;

	for (size_t i = 0; wire->type == WIRE_GOSSIP && i < told->count; i++)
		for (size_t j = 0; j < i; j++)
			if (told->members[i].member.id == told->members[j].member.id)
				return true;
	return false;
}

static void to_gossip(const struct wire *wire)
{
	static const struct member self = { .id = SELF, .start = 5, .protocol_min = MEMBER_PROTOCOL,
					   .protocol_max = MEMBER_PROTOCOL };
	struct address from = { .len = 0 };
	struct gossip gossip;
	uint64_t changes;

	gossip_init(&gossip, &self, 0, 1000);
	gossip.send = no_send;
	gossip.random = counted;
	gossip.wall = wall;
	gossip_receive(&gossip, wire, &from, 1000);
	expect(gossip.view.count < MEMBERS_MAX);
	for (size_t i = 0; i < gossip.view.count; i++) {
		const struct member *member = &gossip.view.entries[i].member;

		expect(member->id != SELF);
		expect(member->seen <= 1800000000);
	}
	changes = gossip.view.changes;
	gossip_receive(&gossip, wire, &from, 1000);
	/* a replay changes nothing */
	expect(gossip.view.changes == changes || tells_twice(wire));
	gossip_round(&gossip, 1500);
	gossip_round(&gossip, 9000);
	gossip_clear(&gossip);
}

static void no_result(struct check_wait *wait, const struct check_result *result)
{
	const struct newest_answer *answer = &result->answer;

	(void)wait;
	expect(answer->counts.peers_answered <= answer->counts.peers);
	expect(answer->holder_count <= answer->counts.peers_answered);
	expect(answer->certainty != CERTAINTY_CONFIRMED || answer->epoch == 1);
}

static void no_end(struct store_wait *wait, const struct store_answer *answer)
{
	(void)wait;
	expect(!answer->all || answer->confirmed);
	expect(answer->confirmed || answer->last);
}

static int nothing_here(void *data, struct str path, struct version version, bool below,
			struct home_found *ret)
{
	(void)data;
	(void)version;
	(void)below;
	expect(path_check_record(path, NULL) == 0);
	*ret = (struct home_found){ .content = false };
	return 0;
}

static void no_question(void *data, const struct peer_target *to, struct str plain, unsigned attempt)
{
	(void)data;
	(void)to;
	expect(plain.n <= WIRE_PLAIN_BYTES && attempt < 9);
}

static void no_commit(void *data, uint64_t id, const struct store_ask *ask)
{
	(void)data;
	(void)id;
	expect(!version_is_none(ask->record.version));
}

static void no_make(void *data, uint64_t id, const struct make_ask *ask)
{
	(void)data;
	(void)id;
	expect(ask->path.n > 0);
}

static void no_made_end(void *data, uint64_t id, bool everywhere)
{
	(void)data;
	(void)id;
	(void)everywhere;
}

static void no_fetch(void *data, uint64_t epoch, uint64_t node, const struct address *from)
{
	(void)data;
	(void)node;
	(void)from;
	expect(epoch > 1);
}

static void begin_home(struct home *home, struct asker *asker, const struct wire *wire)
{
	static const struct member self = { .id = SELF, .state = MEMBER_UP };
	struct layout layout = { .lineage = 1, .epoch = 1, .homes = 3, .copies = 2,
				 .keep_versions = 1 };
	struct member list[] = { self, wire->sender };
	struct members members = { .self = SELF, .list = list, .count = 2 };

	home_init(home, 0, &self);
	home->lookup = nothing_here;
	asker_init(asker, home, 250, 1000);
	asker->send = no_question;
	asker->commit = no_commit;
	asker->make = no_make;
	asker->made_end = no_made_end;
	asker->behind = no_fetch;
	asker->random = asker->wall = counted;
	layout_put(&layout, SELF, LAYOUT_A, 1, "");
	layout_put(&layout, wire->sender.id, LAYOUT_A, 1, "");
	asker_members(asker, &members);
	asker_layout(asker, &layout, 1000);
}

static void to_asker(const struct wire *wire)
{
	struct check_wait wait = { .done = no_result };
	struct store_wait store = { .done = no_end };
	struct store_ask ask = { .path = STR("a"), .record = { .version = { 1, 1, 0 } } };
	struct buf packet = BUF_INIT;
	struct asker asker;
	struct home home;

	begin_home(&home, &asker, wire);
	check_start(&asker, &wait, STR("a"), CHECK_READ, VERSION_NONE, 1000);
	storing_start(&asker, &store, &ask, 1000);
	for (int i = 0; i < 16; i++)
		asker_receive(&asker, wire, 1001);
	if (home_receive(&home, wire, 1, &packet) == HOME_COMMIT)
		expect(home_stored(&home, wire->sender.id, &wire->store, &packet) == HOME_ANSWER);
	for (int i = 0; i < 9 && asker.due != 0; i++)
		asker_tick(&asker, 9000);
	expect(wait.check == NULL && store.storing == NULL);
	buf_clear(&packet);
	asker_clear(&asker);
	home_clear(&home);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct seal_keys keys;
	struct str plain = { (const char *)data, n };
	struct sealed sealed;
	struct wire wire;

	if (keys.count == 0)
		expect(seal_keys_parse(STR(KEY), &keys, NULL) == 0);
	expect(seal_open(&keys, plain, &sealed) < 0);
	if (n > WIRE_PLAIN_BYTES)
		return 0;
	for (uint8_t protocol = MEMBER_PROTOCOL - 1; protocol <= MEMBER_PROTOCOL; protocol++) {
		if (wire_unpack(plain, protocol, &wire) < 0 ||
		    !wire_is_for(&wire, SELF, wire.role))
			continue;
		to_gossip(&wire);
		to_asker(&wire);
	}
	return 0;
}
