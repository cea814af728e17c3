/*
 * Any bytes as a packet of the network: as it comes they do not open, and
 * were they opened, they are refused or leave view and checks in order.
 */
#include "check.h"
#include "gossip.h"
#include "seal.h"

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

static void to_gossip(const struct wire *wire)
{
	static const struct member self = { .id = SELF, .start = 5, .protocol_min = 1, .protocol_max = 1 };
	struct address from = { .len = 0 };
	struct gossip gossip;
	uint64_t changes;

	gossip_init(&gossip, &self, 0, 1000);
	gossip.send = no_send;
	gossip.random = counted;
	gossip.wall = counted;
	gossip_receive(&gossip, wire, &from, 1000);
	expect(gossip.view.count < MEMBERS_MAX);
	for (size_t i = 0; i < gossip.view.count; i++)
		expect(gossip.view.entries[i].member.id != SELF);
	changes = gossip.view.changes;
	gossip_receive(&gossip, wire, &from, 1000);
	expect(gossip.view.changes == changes);	/* a replay changes nothing */
	gossip_round(&gossip, 1500);
	gossip_round(&gossip, 9000);
	gossip_clear(&gossip);
}

static void no_result(struct check_wait *wait, const struct check_result *result)
{
	(void)wait;
	expect(result->answered <= result->asked && result->holder_count <= result->answered);
}

static void to_checks(const struct wire *wire)
{
	struct member list[] = { { .id = SELF, .state = MEMBER_UP }, wire->sender };
	struct members members = { .self = SELF, .list = list, .count = 2 };
	struct check_wait wait = { .done = no_result };
	struct checks checks;

	checks_init(&checks, 0, &list[0], 250);
	checks.send = no_send;
	checks.random = checks.wall = counted;
	checks_members(&checks, &members);
	check_start(&checks, &wait, STR("a"), VERSION_NONE, 1000);
	for (int i = 0; i < 16; i++)
		checks_receive(&checks, wire, 1001);
	checks_tick(&checks, 2000);
	expect(wait.check == NULL);
	checks_clear(&checks);
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
	for (uint8_t protocol = 1; protocol <= 2; protocol++) {
		if (wire_unpack(plain, protocol, 0, &wire) < 0)
			continue;
		to_gossip(&wire);
		to_checks(&wire);
	}
	return 0;
}
