/*
 * Layouts: the published vectors of homes and keepers, what rendezvous
 * hashing promises, the packed form, and the counting of answers.
 *
 * The vectors, for other programs that want to know who keeps what:
 *
 *	mix(0) = e220a8397b1dcdaf	mix(1) = 910a2dec89025cc1
 *	path_hash("docs/a.pdf") = 7fb59a0516a9b03a
 *
 *	members 1 to 5 without regions, homes 3
 *		partition 0: 2 3 5	1: 1 4 2	2: 1 4 3	4095: 5 1 2
 *	the same, 1 to 3 in one region, 4 and 5 in another
 *		partition 0: 2 5 3	1: 1 4 2	2: 1 4 3	4095: 5 1 2
 *	members 0123456789abcdef 7f3a9c2b11d0e4f5 deadbeef fedcba9876543210, homes 3
 *		partition 0: fedcba9876543210 deadbeef 7f3a9c2b11d0e4f5
 *		partition 1: 7f3a9c2b11d0e4f5 deadbeef 0123456789abcdef
 *	members 1 to 5 of weight 1, keeping order
 *		docs/a.pdf: 2 5 1 4 3	docs/b.pdf: 4 2 3 1 5	x/y/z: 3 2 5 1 4
 *	the same, 1 with weight 4
 *		docs/a.pdf: 1 2 5 4 3	docs/b.pdf: 1 4 2 3 5	x/y/z: 1 3 2 5 4
 */
#include "unit.h"

#include "quorum.h"
#include "wire.h"

#include <stdlib.h>

static struct layout empty(void)
{
	struct layout layout = LAYOUT_NONE;

	layout.lineage = 7;
	layout.epoch = 1;
	layout.homes = 3;
	layout.copies = 2;
	layout.keep_versions = 100;
	return layout;
}

static struct layout with_members(unsigned count)
{
	struct layout layout = empty();

	for (unsigned i = 1; i <= count; i++)
		CHECK(layout_put(&layout, i, LAYOUT_A, 1, "") == 0);
	layout_seat(&layout);
	return layout;
}

/* vectors */

static bool order_is(const struct layout_order *order, const uint64_t *ids, size_t count)
{
	return order->count == count && memcmp(order->ids, ids, count * sizeof *ids) == 0;
}

static void homes_are(const struct layout *layout, unsigned partition, const uint64_t ids[3])
{
	struct layout_order order;

	layout_homes(layout, LAYOUT_A, partition, &order);
	CHECK(order_is(&order, ids, 3));
}

static void keepers_are(const struct layout *layout, const char *path, const uint64_t ids[5])
{
	struct layout_order order;

	layout_keepers(layout, str_of(path), &order);
	CHECK(order_is(&order, ids, 5));
}

static void test_vectors(void)
{
	struct layout five = with_members(5), regions = empty(), large = empty();

	CHECK(layout_mix(0) == UINT64_C(0xe220a8397b1dcdaf));
	CHECK(layout_mix(1) == UINT64_C(0x910a2dec89025cc1));
	CHECK(path_hash(STR("docs/a.pdf")) == UINT64_C(0x7fb59a0516a9b03a));
	homes_are(&five, 0, (uint64_t[]){ 2, 3, 5 });
	homes_are(&five, 1, (uint64_t[]){ 1, 4, 2 });
	homes_are(&five, 2, (uint64_t[]){ 1, 4, 3 });
	homes_are(&five, 4095, (uint64_t[]){ 5, 1, 2 });
	for (unsigned i = 1; i <= 5; i++)
		layout_put(&regions, i, LAYOUT_A, 1, i <= 3 ? "east" : "west");
	homes_are(&regions, 0, (uint64_t[]){ 2, 5, 3 });
	homes_are(&regions, 1, (uint64_t[]){ 1, 4, 2 });
	homes_are(&regions, 2, (uint64_t[]){ 1, 4, 3 });
	homes_are(&regions, 4095, (uint64_t[]){ 5, 1, 2 });
	layout_put(&large, UINT64_C(0x0123456789abcdef), LAYOUT_A, 1, "");
	layout_put(&large, UINT64_C(0x7f3a9c2b11d0e4f5), LAYOUT_A, 1, "");
	layout_put(&large, UINT64_C(0xdeadbeef), LAYOUT_A, 1, "");
	layout_put(&large, UINT64_C(0xfedcba9876543210), LAYOUT_A, 1, "");
	homes_are(&large, 0, (uint64_t[]){ UINT64_C(0xfedcba9876543210), UINT64_C(0xdeadbeef),
					   UINT64_C(0x7f3a9c2b11d0e4f5) });
	homes_are(&large, 1, (uint64_t[]){ UINT64_C(0x7f3a9c2b11d0e4f5), UINT64_C(0xdeadbeef),
					   UINT64_C(0x0123456789abcdef) });
	keepers_are(&five, "docs/a.pdf", (uint64_t[]){ 2, 5, 1, 4, 3 });
	keepers_are(&five, "docs/b.pdf", (uint64_t[]){ 4, 2, 3, 1, 5 });
	keepers_are(&five, "x/y/z", (uint64_t[]){ 3, 2, 5, 1, 4 });
	layout_put(&five, 1, LAYOUT_A, 4, "");
	keepers_are(&five, "docs/a.pdf", (uint64_t[]){ 1, 2, 5, 4, 3 });
	keepers_are(&five, "docs/b.pdf", (uint64_t[]){ 1, 4, 2, 3, 5 });
	keepers_are(&five, "x/y/z", (uint64_t[]){ 1, 3, 2, 5, 4 });
}

/* what rendezvous hashing promises; ids as random as real ones */

static uint64_t id_of(unsigned i)
{
	return layout_mix(UINT64_C(0x636f766579) + i);
}

static struct layout random_members(unsigned count, unsigned regions)
{
	static const char *const names[] = { "", "a", "b", "c", "d" };
	struct layout layout = empty();

	for (unsigned i = 0; i < count; i++)
		layout_put(&layout, id_of(i), LAYOUT_A, 1, names[regions ? 1 + i % regions : 0]);
	layout_seat(&layout);
	return layout;
}

static bool holds(const struct layout_order *order, uint64_t id)
{
	for (size_t i = 0; i < order->count; i++)
		if (order->ids[i] == id)
			return true;
	return false;
}

/* Whoever put them in, in whatever order, and whatever was there in between. */
static void test_same_everywhere(void)
{
	struct layout a = random_members(20, 3), b = empty();
	struct layout_order x, y;

	layout_put(&b, 5, LAYOUT_A, 1, "gone");
	for (unsigned i = 20; i-- > 0;)
		layout_put(&b, id_of(i), LAYOUT_A, 1, i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c");
	layout_remove(&b, 5);
	layout_seat(&b);
	CHECK(layout_eq(&a, &b));
	for (unsigned p = 0; p < LAYOUT_PARTITIONS; p++) {
		layout_homes(&a, LAYOUT_A, p, &x);
		layout_homes(&b, LAYOUT_A, p, &y);
		CHECK(order_is(&x, y.ids, y.count));
	}
}

static void test_distinct_regions(void)
{
	struct layout layout = random_members(12, 3);
	struct layout_order order;

	for (unsigned p = 0; p < LAYOUT_PARTITIONS; p++) {
		unsigned seen = 0;

		layout_homes(&layout, LAYOUT_A, p, &order);
		for (size_t i = 0; i < order.count; i++)
			seen |= 1u << layout_find(&layout, order.ids[i])->region;
		CHECK(order.count == 3 && seen == (1u << 1 | 1u << 2 | 1u << 3));
	}
	layout.homes = 7;		/* more than regions: two of each before three of any */
	for (unsigned p = 0; p < LAYOUT_PARTITIONS; p += 16) {
		unsigned used[4] = { 0 };

		layout_homes(&layout, LAYOUT_A, p, &order);
		for (size_t i = 0; i < order.count; i++)
			used[layout_find(&layout, order.ids[i])->region]++;
		CHECK(used[1] >= 2 && used[2] >= 2 && used[3] >= 2);
	}
}

/* Who joins takes its share, and nothing else moves; who leaves gives its own away. */
static void test_few_moves(void)
{
	struct layout ten = random_members(10, 0), eleven = random_members(11, 0);
	struct layout_order before, after;
	unsigned moved = 0;

	for (unsigned p = 0; p < LAYOUT_PARTITIONS; p++) {
		layout_homes(&ten, LAYOUT_A, p, &before);
		layout_homes(&eleven, LAYOUT_A, p, &after);
		moved += holds(&after, id_of(10));
		for (size_t i = 0; i < after.count; i++)
			CHECK(after.ids[i] == id_of(10) || holds(&before, after.ids[i]));
	}
	/* 3 of 11 of all partitions, more or less. */
	CHECK(moved > LAYOUT_PARTITIONS * 3 / 11 * 8 / 10);
	CHECK(moved < LAYOUT_PARTITIONS * 3 / 11 * 12 / 10);
}

/* The homes of k + 1 are those of k and one more: majorities of both meet. */
static void test_homes_by_one(void)
{
	struct layout layout = random_members(9, 2);
	struct layout_order more, fewer;

	for (uint8_t k = 1; k < LAYOUT_HOMES_MAX; k++) {
		for (unsigned p = 0; p < LAYOUT_PARTITIONS; p += 8) {
			layout.homes = k;
			layout_homes(&layout, LAYOUT_A, p, &fewer);
			layout.homes = k + 1;
			layout_homes(&layout, LAYOUT_A, p, &more);
			CHECK(more.count == k + 1u && order_is(&fewer, more.ids, k));
		}
	}
}

static void test_weights(void)
{
	static const uint8_t weights[4] = { 1, 2, 4, 8 };
	struct layout layout = empty();
	unsigned first[4] = { 0 };

	for (unsigned i = 0; i < 4; i++)
		layout_put(&layout, id_of(i), LAYOUT_A, weights[i], "");
	for (unsigned n = 0; n < 15000; n++) {
		struct layout_order order;
		char path[32];

		snprintf(path, sizeof path, "dir/file%u", n);
		layout_keepers(&layout, str_of(path), &order);
		for (unsigned i = 0; i < 4; i++)
			first[i] += order.ids[0] == id_of(i);
		CHECK(order.count == 4);
	}
	for (unsigned i = 0; i < 4; i++)
		CHECK(abs((int)first[i] - 1000 * weights[i]) < 100 + 30 * weights[i]);
}

static void test_keeps(void)
{
	struct layout layout = random_members(6, 0);
	struct layout_order order;

	layout_keepers(&layout, STR("a/b"), &order);
	CHECK(layout_copies(&layout) == 2);
	for (size_t i = 0; i < order.count; i++)
		CHECK(layout_keeps(&layout, STR("a/b"), order.ids[i]) == (i < 2));
	layout.copies = 7;
	CHECK(layout_copies(&layout) == 6);
	/* While joint the content goes where it will be looked for. */
	layout.copies = 2;
	for (size_t i = 0; i < layout.count; i++)
		layout.members[i].sets |= layout.members[i].id == order.ids[0] ? 0 : LAYOUT_B;
	CHECK(!layout_keeps(&layout, STR("a/b"), order.ids[0]));
	CHECK(layout_keeps(&layout, STR("a/b"), order.ids[1]));
	CHECK(layout_keeps(&layout, STR("a/b"), order.ids[2]));
	CHECK(!layout_may_keep(&layout, order.ids[0]) && layout_may_keep(&layout, order.ids[5]));
}

static void test_copies_beside(void)
{
	struct layout layout = random_members(2, 0);
	uint64_t member = layout.members[0].id, guest = ~member;

	layout.copies = 1;
	CHECK(layout_copies_beside(&layout, member) == 0 && layout_copies_beside(&layout, guest) == 0);
	layout.copies = 2;
	CHECK(layout_copies_beside(&layout, member) == 1 && layout_copies_beside(&layout, guest) == 1);
	layout.copies = 3;
	CHECK(layout_copies_beside(&layout, member) == 1 && layout_copies_beside(&layout, guest) == 2);
	layout = LAYOUT_NONE;
	CHECK(layout_copies_beside(&layout, member) == 0 && !layout_may_keep(&layout, member));
}

/* seats and sets */

static void test_seats(void)
{
	struct layout layout = with_members(4), alone;

	for (size_t i = 0; i < 4; i++)
		CHECK(layout.members[i].council);
	for (unsigned i = 10; i < 14; i++)
		layout_put(&layout, i, LAYOUT_A, 1, "");
	layout_put(&layout, 0x8000, LAYOUT_B, 1, "");
	layout_seat(&layout);
	CHECK(layout_find(&layout, 10)->council && !layout_find(&layout, 11)->council);
	/* Who has a seat keeps it, though a smaller id comes. */
	layout_remove(&layout, 2);
	layout_put(&layout, 5, LAYOUT_A, 1, "");
	layout_put(&layout, 6, LAYOUT_A, 1, "");
	layout_seat(&layout);
	CHECK(layout_find(&layout, 10)->council && layout_find(&layout, 5)->council &&
	      !layout_find(&layout, 6)->council);
	CHECK(layout_is_joint(&layout));
	layout_single(&layout, LAYOUT_B, &alone);
	CHECK(alone.epoch == 2 && alone.count == 1 && alone.members[0].id == 0x8000 &&
	      alone.members[0].council && alone.members[0].sets == LAYOUT_A);
	CHECK(layout_is_solo(&alone) && !layout_is_solo(&layout) && !layout_is_joint(&alone));
}

static void test_full(void)
{
	struct layout layout = with_members(LAYOUT_MEMBERS_MAX);

	CHECK(layout_put(&layout, 1000, LAYOUT_A, 1, "") == -1);
	CHECK(layout_put(&layout, 1, LAYOUT_A, 3, "") == 0);
	CHECK(layout.count == LAYOUT_MEMBERS_MAX && layout_find(&layout, 1)->weight == 3);
}

/* the packed form */

static struct layout largest(void)
{
	struct layout layout = empty();

	for (unsigned i = 0; i < LAYOUT_MEMBERS_MAX; i++) {
		char region[MEMBER_REGION_MAX + 1];

		snprintf(region, sizeof region, "region-%08u", i % LAYOUT_REGIONS_MAX);
		layout_put(&layout, id_of(i), LAYOUT_A | LAYOUT_B, MEMBER_WEIGHT_MAX, region);
	}
	layout_seat(&layout);
	return layout;
}

static void come_back(const struct layout *layout)
{
	struct buf packed = BUF_INIT;
	struct unpack in;
	struct layout back;

	layout_pack(&packed, layout);
	CHECK(packed.len <= LAYOUT_PACKED_MAX);
	in = unpack_of(buf_str(&packed));
	layout_unpack(&in, &back);
	CHECK(unpack_end(&in) == 0 && layout_eq(layout, &back));
	for (size_t n = 0; n < packed.len; n++) {
		in = unpack_of((struct str){ packed.data, n });
		layout_unpack(&in, &back);
		CHECK(in.failed && back.epoch == 0);
	}
	buf_clear(&packed);
}

static bool is_taken(const struct layout *layout)
{
	struct buf packed = BUF_INIT;
	struct unpack in;
	struct layout back;
	int rc;

	layout_pack(&packed, layout);
	in = unpack_of(buf_str(&packed));
	layout_unpack(&in, &back);
	rc = unpack_end(&in);
	buf_clear(&packed);
	return rc == 0;
}

static void test_packed(void)
{
	struct layout none = LAYOUT_NONE, layout = largest(), bad;

	come_back(&none);
	come_back(&layout);
	layout = with_members(3);
	come_back(&layout);
	CHECK(is_taken(&layout));
	bad = layout;
	bad.members[1].id = 1;			/* twice */
	CHECK(!is_taken(&bad));
	bad = layout;
	bad.members[0].sets = 0;
	CHECK(!is_taken(&bad));
	bad = layout;
	bad.members[0].weight = MEMBER_WEIGHT_MAX + 1;
	CHECK(!is_taken(&bad));
	bad = layout;
	bad.members[0].region = 1;
	CHECK(!is_taken(&bad));
	bad = layout;
	bad.members[0].sets = LAYOUT_B;		/* with a seat */
	CHECK(!is_taken(&bad));
	bad = layout;
	for (size_t i = 0; i < bad.count; i++)
		bad.members[i].council = false;
	CHECK(!is_taken(&bad));
	bad = layout;
	bad.homes = LAYOUT_HOMES_MAX + 1;
	CHECK(!is_taken(&bad));
	bad = layout;
	bad.epoch = 0;
	CHECK(!is_taken(&bad));
}

/* Of the same the same, and it names what it left as long as it lasts. */
static void test_forced(void)
{
	struct layout left = with_members(2), layout, other, next, bad;

	left.lineage = 7;
	left.epoch = 3;
	layout = other = left;
	layout_force(&layout);
	CHECK(layout.lineage == UINT64_C(0x2a84df262a99bc25) && layout.epoch > left.epoch);
	CHECK(layout.left_lineage == 7 && layout.left_epoch == 3);
	CHECK(is_taken(&layout));
	come_back(&layout);
	layout_force(&other);
	CHECK(layout_eq(&layout, &other));
	other = left;
	layout_remove(&other, 2);
	layout_force(&other);
	CHECK(other.lineage != layout.lineage && other.epoch == layout.epoch);
	other = left;
	other.epoch++;
	layout_force(&other);
	CHECK(other.lineage != layout.lineage);
	layout_single(&layout, LAYOUT_A, &next);
	CHECK(next.left_lineage == 7 && next.left_epoch == 3 && next.epoch == layout.epoch + 1);
	bad = layout;
	bad.left_lineage = 0;
	CHECK(!is_taken(&bad) && !layout_eq(&layout, &bad));
	bad = layout;
	bad.left_lineage = bad.lineage;
	CHECK(!is_taken(&bad));
}

/* The longest sender and the largest layout, in the message that holds most. */
static void test_fits_packet(void)
{
	struct member sender = { .id = 1, .state = MEMBER_UP, .protocol_min = MEMBER_PROTOCOL, .protocol_max = MEMBER_PROTOCOL };
	struct wire_synod promise = { .lineage = 7, .instance = 1, .ballot = { 1, 1 },
				      .accepted = { 1, 1 }, .value = largest() };
	struct buf packet = BUF_INIT;
	struct wire wire;

	memset(sender.name, 'n', MEMBER_NAME_MAX);
	memset(sender.region, 'r', MEMBER_REGION_MAX);
	CHECK(address_parse(STR("[2001:db8::1]:4720"), &sender.http, NULL) == 0);
	sender.discovery = sender.versions = sender.http;
	wire_pack_sender(&packet, 7, &sender);
	wire_pack_to(&packet, 2, WIRE_DISCOVERY);
	wire_pack(&packet, WIRE_PROMISE, &promise);
	CHECK(packet.len <= WIRE_PLAIN_BYTES);
	CHECK(wire_unpack(buf_str(&packet), MEMBER_PROTOCOL, &wire) == 0);
	CHECK(wire.type == WIRE_PROMISE && layout_eq(&wire.synod.value, &promise.value));
	buf_clear(&packet);
}

/* counting */

static void test_quorum(void)
{
	struct layout layout = with_members(5);
	uint64_t homes[QUORUM_HOMES_MAX];
	uint32_t answered, of;
	struct quorum quorum;

	quorum_begin(&quorum);
	CHECK(!quorum_reached(&quorum) && !quorum_all(&quorum));
	quorum_add(&quorum, &layout, 0);	/* 2 3 5 */
	CHECK(quorum_homes(&quorum, homes) == 3 && homes[0] == 2 && homes[2] == 5);
	quorum_answered(&quorum, 2);
	quorum_answered(&quorum, 2);
	quorum_answered(&quorum, 1);
	CHECK(!quorum_reached(&quorum));
	quorum_answered(&quorum, 5);
	CHECK(quorum_reached(&quorum) && !quorum_all(&quorum));
	quorum_tell(&quorum, &answered, &of);
	CHECK(answered == 2 && of == 3);
	quorum_answered(&quorum, 3);
	CHECK(quorum_all(&quorum));
}

/* Joint: a majority of both sets, and an answer counts in each that its sender is in. */
static void test_joint_quorum(void)
{
	struct layout layout = empty();
	struct quorum quorum;
	uint32_t answered, of;

	for (unsigned i = 1; i <= 3; i++)
		layout_put(&layout, i, i == 3 ? LAYOUT_A | LAYOUT_B : LAYOUT_A, 1, "");
	for (unsigned i = 4; i <= 5; i++)
		layout_put(&layout, i, LAYOUT_B, 1, "");
	quorum_begin(&quorum);
	quorum_add(&quorum, &layout, 9);
	quorum_answered(&quorum, 1);
	quorum_answered(&quorum, 2);
	CHECK(!quorum_reached(&quorum));
	quorum_tell(&quorum, &answered, &of);
	CHECK(answered == 0 && of == 3);
	quorum_answered(&quorum, 4);
	CHECK(!quorum_reached(&quorum));
	quorum_answered(&quorum, 3);
	CHECK(quorum_reached(&quorum) && !quorum_all(&quorum));
}

/* Fewer members than homes: of two a majority is both. */
static void test_small_quorum(void)
{
	struct layout layout = with_members(2);
	struct quorum quorum;

	quorum_begin(&quorum);
	quorum_add(&quorum, &layout, 0);
	quorum_answered(&quorum, 1);
	CHECK(!quorum_reached(&quorum));
	quorum_answered(&quorum, 2);
	CHECK(quorum_reached(&quorum));
	layout = LAYOUT_NONE;
	quorum_begin(&quorum);
	quorum_add(&quorum, &layout, 0);
	quorum_answered(&quorum, 1);
	CHECK(!quorum_reached(&quorum));
}

int main(void)
{
	test_vectors();
	test_same_everywhere();
	test_distinct_regions();
	test_few_moves();
	test_homes_by_one();
	test_weights();
	test_keeps();
	test_copies_beside();
	test_seats();
	test_full();
	test_packed();
	test_forced();
	test_fits_packet();
	test_quorum();
	test_joint_quorum();
	test_small_quorum();
	return UNIT_RESULT();
}
