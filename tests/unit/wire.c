/* The UDP messages: what is packed comes back, the largest fits, nothing else is taken. */
#include "unit.h"

#include "file.h"
#include "wire.h"

static struct member member_of(uint64_t id)
{
	struct member m = { .id = id, .start = 1, .heartbeat = 2, .state = MEMBER_UP,
			    .protocol_min = MEMBER_PROTOCOL, .protocol_max = MEMBER_PROTOCOL };

	member_set_name(&m, STR("012345678901234567890123456789012345678901234567890123456789012"));
	CHECK(address_parse(STR("[2001:db8::1]:4720"), &m.http, NULL) == 0);
	m.discovery = m.versions = m.http;
	return m;
}

static void refuse_spoiled(const struct buf *packet)
{
	struct wire wire;
	struct buf longer = BUF_INIT;

	for (size_t n = 0; n < packet->len; n++)
		CHECK(wire_unpack((struct str){ packet->data, n }, MEMBER_PROTOCOL, &wire) == -1);
	buf_addstr(&longer, buf_str(packet));
	buf_addc(&longer, '\0');
	CHECK(wire_unpack(buf_str(&longer), MEMBER_PROTOCOL, &wire) == -1);
	longer.data[0] ^= 1;		/* a key opened it, whichever */
	CHECK(wire_unpack((struct str){ longer.data, packet->len }, MEMBER_PROTOCOL, &wire) == 0);
	buf_clear(&longer);
}

static void test_gossip(void)
{
	struct member sender = member_of(1), others[WIRE_MEMBERS_MAX];
	const struct member *list[WIRE_MEMBERS_MAX];
	size_t count = WIRE_MEMBERS_MAX;
	struct buf packet = BUF_INIT;
	struct wire wire;

	for (size_t i = 0; i < count; i++) {
		others[i] = member_of(100 + i);
		others[i].start = 5;
		others[i].nonce = 1 + i;
		others[i].spoke = (struct start){ 4, 40 + i };
		others[i].before = i == 0 ? (struct start){ 0, 0 } : (struct start){ 2, 0 };
		list[i] = &others[i];
	}
	wire_pack_sender(&packet, 7, &sender);
	wire_pack_to(&packet, 0, WIRE_DISCOVERY);
	wire_pack_gossip(&packet, true, 77, 5, list, &count);
	CHECK(count >= 3 && count < WIRE_MEMBERS_MAX);	/* the longest: not all fit */
	CHECK(packet.len <= WIRE_PLAIN_BYTES);
	CHECK(wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) == 0);
	CHECK(wire.type == WIRE_GOSSIP && wire.gossip.answer && wire.gossip.id == 77 &&
	      wire.gossip.count == count);
	CHECK(wire.sender.id == 1 && wire.gossip.members[count - 1].member.id == 100 + count - 1);
	CHECK(wire.sender.nonce == 0 && wire.sender.spoke.count == 0);
	for (size_t i = 0; i < count; i++) {
		const struct member *m = &wire.gossip.members[i].member;

		CHECK(m->nonce == others[i].nonce && start_eq(m->spoke, others[i].spoke) &&
		      start_eq(m->before, others[i].before));
	}
	refuse_spoiled(&packet);
	buf_clear(&packet);
}

/* Whatever a member's starts are, it can be read again. */
static void test_starts(void)
{
	static const uint64_t counts[] = { 0, 1, 4, 5, 6, UINT32_MAX, UINT64_MAX };
	struct member member = member_of(1), back;
	struct buf packed = BUF_INIT;

	member.nonce = 7;
	for (size_t i = 0; i < 7 * 7 * 7; i++) {
		struct unpack in;

		member.start = counts[i % 7];
		member.spoke = (struct start){ counts[i / 7 % 7], 8 };
		member.before = (struct start){ counts[i / 49], 9 };
		buf_reset(&packed);
		member_pack(&packed, &member);
		in = (struct unpack){ .rest = buf_str(&packed) };
		member_unpack(&in, &back);
		CHECK(unpack_end(&in) == 0 && back.id == 1);
		CHECK(back.spoke.count == 0 || start_eq(back.spoke, member.spoke));
		CHECK(back.before.count == 0 || start_eq(back.before, member.before));
	}
	buf_clear(&packed);
}

static void test_check(void)
{
	struct member sender = member_of(1);
	struct wire_check check = { .id = 99, .clock = 5, .version = { 4, 3, 2 } };
	struct buf packet = BUF_INIT;
	static char path[PATH_BYTES];
	struct wire wire;

	for (size_t i = 0; i < sizeof path; i++)
		path[i] = i % 200 == 199 ? '/' : 'x';
	check.path = (struct str){ path, sizeof path };
	wire_pack_sender(&packet, 7, &sender);
	wire_pack_to(&packet, 4, WIRE_VERSIONS);
	wire_pack(&packet, WIRE_CHECK, &check);
	CHECK(packet.len <= WIRE_PLAIN_BYTES);
	CHECK(wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) == 0);
	CHECK(wire.type == WIRE_CHECK && wire.check.id == 99 && wire.check.clock == 5);
	CHECK(version_cmp(wire.check.version, check.version) == 0);
	CHECK(str_eq(wire.check.path, check.path));
	refuse_spoiled(&packet);
	/* Another version is read as far as its sender, whatever follows. */
	for (int other = -1; other <= 1; other += 2) {
		CHECK(wire_unpack(buf_str(&packet), (uint8_t)(MEMBER_PROTOCOL + other), &wire) == 0);
		CHECK(wire.type == WIRE_OTHER && wire.sender.id == 1);
	}
	buf_reset(&packet);
	check.path = STR("a/../b");
	wire_pack_sender(&packet, 7, &sender);
	wire_pack_to(&packet, 4, WIRE_VERSIONS);
	wire_pack(&packet, WIRE_CHECK, &check);
	CHECK(wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) == -1);
	buf_clear(&packet);
}

static void test_record(void)
{
	struct member sender = member_of(1);
	static char type[RECORD_TYPE_MAX];
	struct wire_record record = { .id = 99, .clock = 5, .content = true,
				      .record = { .version = { 1763809644123456001u, 3, 2 }, .size = 1 } };
	struct buf packet = BUF_INIT;
	struct wire wire;

	memset(type, 't', sizeof type);
	record.type = (struct str){ type, sizeof type };
	wire_pack_sender(&packet, 7, &sender);
	wire_pack_to(&packet, 4, WIRE_VERSIONS);
	wire_pack(&packet, WIRE_RECORD, &record);
	CHECK(packet.len <= WIRE_PLAIN_BYTES);
	CHECK(wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) == 0);
	CHECK(wire.type == WIRE_RECORD && wire.record.id == 99 && wire.record.content &&
	      version_is_none(wire.record.entry.version) &&
	      version_is_none(wire.record.gate) && record_eq(&wire.record.record, &record.record) &&
	      str_eq(wire.record.type, record.type));
	refuse_spoiled(&packet);
	buf_reset(&packet);
	record.record.version = VERSION_NONE;
	record.entry = (struct record){ .version = { 5, 6, 0 }, .flags = RECORD_DIRECTORY };
	record.gate = (struct version){ 7, 8, 0 };
	wire_pack_sender(&packet, 7, &sender);
	wire_pack_to(&packet, 4, WIRE_VERSIONS);
	wire_pack(&packet, WIRE_RECORD, &record);
	CHECK(wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) == 0);
	CHECK(version_is_none(wire.record.record.version) &&
	      record_eq(&wire.record.entry, &record.entry) &&
	      version_cmp(wire.record.gate, record.gate) == 0);
	buf_reset(&packet);
	record.entry.flags = 0;		/* that is no directory's */
	wire_pack_sender(&packet, 7, &sender);
	wire_pack_to(&packet, 4, WIRE_VERSIONS);
	wire_pack(&packet, WIRE_RECORD, &record);
	CHECK(wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) < 0);
	buf_clear(&packet);
}

/* Whom a message is for: a receiver and a role, or, of gossip alone, whoever reads it. */
static void test_receiver(void)
{
	struct member sender = member_of(1);
	struct wire_want want = { .id = 5, .lineage = 6, .epoch = 7 };
	struct wire_check check = { .id = 99, .path = STR("a") };
	size_t count = 0, sender_bytes;
	struct buf packet = BUF_INIT;
	struct wire wire;

	wire_pack_sender(&packet, 7, &sender);
	sender_bytes = packet.len;
	wire_pack_to(&packet, 4, WIRE_DISCOVERY);
	CHECK(packet.len == sender_bytes + WIRE_TO_BYTES);
	wire_pack(&packet, WIRE_WANT, &want);
	CHECK(wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) == 0 && wire.want.id == 5);
	CHECK(wire.receiver == 4 && wire_is_for(&wire, 4, WIRE_DISCOVERY));
	CHECK(!wire_is_for(&wire, 5, WIRE_DISCOVERY) && !wire_is_for(&wire, 4, WIRE_VERSIONS));
	wire_set_receiver(&packet, sender_bytes, 5);
	CHECK(wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) == 0 &&
	      wire_is_for(&wire, 5, WIRE_DISCOVERY));
	wire_set_receiver(&packet, sender_bytes, 0);
	CHECK(wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) == -1);
	packet.len = sender_bytes;
	wire_pack_to(&packet, 4, WIRE_DISCOVERY);	/* a question about versions */
	wire_pack(&packet, WIRE_CHECK, &check);
	CHECK(wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) == -1);
	packet.len = sender_bytes;
	wire_pack_to(&packet, 0, WIRE_DISCOVERY);
	wire_pack_gossip(&packet, false, 1, 2, NULL, &count);
	CHECK(wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) == 0 &&
	      wire_is_for(&wire, 4, WIRE_DISCOVERY));
	buf_clear(&packet);
}

/* What the fuzzer begins with is read: else it would not get behind the reading for long. */
static void test_seeds(void)
{
	static const char *const names[] = { "check", "child", "entry", "gate", "gone", "gossip", "record",
					     "store", "stored" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct buf path = BUF_INIT, packet = BUF_INIT;
		struct wire wire;

		buf_addf(&path, "tests/fuzz/corpus/packet/%s", names[i]);
		CHECK(file_read(path.data, WIRE_PLAIN_BYTES, &packet, NULL) == 0 &&
		      wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) == 0);
		buf_clear(&path);
		buf_clear(&packet);
	}
}

int main(void)
{
	test_gossip();
	test_starts();
	test_check();
	test_record();
	test_receiver();
	test_seeds();
	return UNIT_RESULT();
}
