/*
 * Every message byte by byte: what tests/unit/messages.expected says.
 *
 * Of each message one sample is packed, read and packed again; then each of its
 * bytes is changed in turn, and what is refused is summed up in a number.  Of each
 * seed of the fuzzers the decoders that take it are named.  So whatever changes
 * on the wire, or in what is taken from it, changes a line.  And no table lets
 * a message have more than its struct has room for.
 *
 * Run with an argument, the lines of this build go to standard output.
 */
#include "unit.h"

#include "bulk.h"
#include "discover_talk.h"
#include "exchange.h"
#include "file.h"
#include "frame.h"
#include "mem.h"
#include "sync_talk.h"

#include <dirent.h>

#define GROUP 7
#define CORPUS "tests/fuzz/corpus"

static struct buf lines = BUF_INIT;

/* decoders: 0 with the message packed again, or -1 */

typedef int decode(struct str, struct buf *again);

#define DECODER(name, type) \
	static int decode_##name(struct str body, struct buf *again) \
	{ \
		type value; \
		if (name##_unpack(body, &value, NULL) < 0) \
			return -1; \
		name##_pack(again, &value); \
		return 0; \
	}
#define NUMBER_DECODER(name, type) \
	static int decode_##name(struct str body, struct buf *again) \
	{ \
		type value; \
		if (name##_unpack(body, &value, NULL) < 0) \
			return -1; \
		name##_pack(again, value); \
		return 0; \
	}

DECODER(newest_ask, struct newest_ask)
DECODER(newest_answer, struct newest_answer)
DECODER(store_ask, struct store_ask)
DECODER(store_answer, struct store_answer)
DECODER(nodes_ask, struct nodes_ask)
DECODER(nodes_row, struct nodes_row)
DECODER(sync_pull, struct sync_pull)
DECODER(sync_list, struct sync_list)
DECODER(sync_part, struct sync_part)
DECODER(sync_end, struct sync_end)
DECODER(sync_push, struct sync_push)
DECODER(sync_more, struct sync_more)
DECODER(sync_name, struct sync_name)
DECODER(sync_have, struct sync_have)
DECODER(sync_carry, struct sync_carry)
DECODER(sync_addresses, struct sync_addresses)
DECODER(discover_layout, struct layout)
DECODER(discover_behind, struct discover_behind)
DECODER(discover_change, struct discover_change)
NUMBER_DECODER(sync_progress, uint64_t)
NUMBER_DECODER(sync_token, uint64_t)
NUMBER_DECODER(sync_compare, unsigned)
NUMBER_DECODER(sync_resolve, struct str)
NUMBER_DECODER(discover_synced, uint64_t)

static int decode_members(struct str body, struct buf *again)
{
	struct members members = MEMBERS_INIT;
	int64_t offset;

	if (discover_members_unpack(body, &members, &offset, NULL) < 0)
		return -1;
	discover_members_pack(again, &members, offset);
	members_clear(&members);
	return 0;
}

static int decode_failed(struct str body, struct buf *again)
{
	struct err err = ERR_INIT;

	frame_failed_unpack(body, &err);
	if (err.kind == ERR_INVALID && strcmp(err.text, "read answer: malformed failure") == 0)
		return -1;
	frame_failed_pack(again, &err);
	return 0;
}

static int decode_frame(struct str body, struct buf *again)
{
	struct frame frame;

	if (frame_unpack(body, &frame, NULL) < 0)
		return -1;
	frame_pack(again, &frame);
	return 0;
}

static int decode_bulk(struct str body, struct buf *again)
{
	struct unpack in = unpack_of(body);
	struct bulk bulk;
	uint64_t receiver;

	unpack_u64(&in);
	unpack_u64(&in);
	receiver = unpack_u64(&in);
	if (bulk_unpack(body, receiver, &bulk) < 0)
		return -1;
	bulk_pack(again, &bulk);
	return 0;
}

static int decode_keep_items(struct str body, struct buf *again)
{
	struct keep_item item;
	int rc;

	if (body.n == 0)
		return -1;
	while ((rc = keep_item_next(&body, &item)) == 1)
		keep_item_pack(again, &item);
	return rc;
}

static int decode_take_items(struct str body, struct buf *again)
{
	struct take_item item;
	int rc;

	if (body.n == 0)
		return -1;
	while ((rc = take_item_next(&body, &item)) == 1)
		take_item_pack(again, &item);
	return rc;
}

static int decode_exchange(struct str body, struct buf *again)
{
	static struct exchange_digest digests[PARTITIONS];
	static uint16_t partitions[PARTITIONS];
	struct exchange_row row;
	struct digests buckets;
	struct exchange in;

	if (exchange_unpack(body, &in) < 0)
		return -1;
	switch (in.kind) {
	case EXCHANGE_DIGESTS:
		for (size_t i = 0; i < in.count; i++)
			partitions[i] = (uint16_t)exchange_partition(&in, i);
		exchange_pack_digests(again, partitions, in.count);
		return 0;
	case EXCHANGE_DIGESTS_ARE:
		for (size_t i = 0; i < in.count; i++)
			digests[i] = exchange_digest(&in, i);
		exchange_pack_digests_are(again, digests, in.count);
		return 0;
	case EXCHANGE_BUCKETS:
		exchange_pack_buckets(again, in.partition);
		return 0;
	case EXCHANGE_BUCKETS_ARE:
		exchange_buckets(&in, &buckets);
		exchange_pack_buckets_are(again, in.partition, &buckets);
		return 0;
	case EXCHANGE_RECORDS:
		exchange_pack_records(again, &in.ask);
		return 0;
	case EXCHANGE_RECORDS_ARE:
		exchange_begin_rows(again, in.partition);
		while (exchange_next_row(&in.list, &row))
			exchange_add_row(again, &row);
		exchange_end_rows(again, in.more);
		return 0;
	}
	return -1;
}

static void pack_gossip(struct buf *to, const struct wire_gossip *gossip)
{
	const struct member *list[WIRE_MEMBERS_MAX];
	struct member members[WIRE_MEMBERS_MAX];
	size_t count = gossip->count;

	for (size_t i = 0; i < count; i++) {
		members[i] = gossip->members[i].member;
		members[i].seen = gossip->clock / 1000000000 - gossip->members[i].silent_s;
		list[i] = &members[i];
	}
	wire_pack_gossip(to, gossip->answer, gossip->id, gossip->clock, list, &count);
}

static void pack_wire(struct buf *to, uint64_t group, const struct wire *wire)
{
	wire_pack_sender(to, group, &wire->sender);
	if (wire->type == WIRE_OTHER)
		return;
	wire_pack_to(to, wire->receiver, wire->role);
	if (wire->type == WIRE_GOSSIP)
		pack_gossip(to, &wire->gossip);
	else
		wire_pack(to, wire->type, &wire->gossip);
}

static int decode_wire(struct str body, struct buf *again)
{
	struct unpack in = unpack_of(body);
	uint64_t group = unpack_u64(&in);
	struct wire wire;

	if (wire_unpack(body, MEMBER_PROTOCOL, &wire) < 0)
		return -1;
	pack_wire(again, group, &wire);
	return 0;
}

static int decode_other_wire(struct str body, struct buf *again)
{
	struct unpack in = unpack_of(body);
	uint64_t group = unpack_u64(&in);
	struct wire wire;

	if (wire_unpack(body, MEMBER_PROTOCOL + 1, &wire) < 0)
		return -1;
	pack_wire(again, group, &wire);
	return 0;
}

static const struct {
	const char *name;
	decode *decode;
} decoders[] = {
	{ "frame", decode_frame },
	{ "failed", decode_failed },
	{ "newest_ask", decode_newest_ask },
	{ "newest_answer", decode_newest_answer },
	{ "store_ask", decode_store_ask },
	{ "store_answer", decode_store_answer },
	{ "nodes_ask", decode_nodes_ask },
	{ "nodes_row", decode_nodes_row },
	{ "sync_pull", decode_sync_pull },
	{ "sync_progress", decode_sync_progress },
	{ "sync_list", decode_sync_list },
	{ "sync_part", decode_sync_part },
	{ "sync_end", decode_sync_end },
	{ "sync_resolve", decode_sync_resolve },
	{ "sync_addresses", decode_sync_addresses },
	{ "sync_push", decode_sync_push },
	{ "sync_token", decode_sync_token },
	{ "sync_more", decode_sync_more },
	{ "sync_name", decode_sync_name },
	{ "sync_have", decode_sync_have },
	{ "sync_carry", decode_sync_carry },
	{ "sync_compare", decode_sync_compare },
	{ "members", decode_members },
	{ "layout", decode_discover_layout },
	{ "behind", decode_discover_behind },
	{ "synced", decode_discover_synced },
	{ "change", decode_discover_change },
	{ "wire", decode_wire },
	{ "other_wire", decode_other_wire },
	{ "bulk", decode_bulk },
	{ "keep_items", decode_keep_items },
	{ "take_items", decode_take_items },
	{ "exchange", decode_exchange },
};
#define DECODERS (sizeof decoders / sizeof decoders[0])

static decode *decoder_of(const char *name)
{
	for (size_t i = 0; i < DECODERS; i++)
		if (strcmp(decoders[i].name, name) == 0)
			return decoders[i].decode;
	abort();
}

/* samples */

/* Every byte replaced by others, and every prefix: FNV-1a of what is taken. */
static uint64_t spoil(decode *take, struct str message)
{
	static const uint8_t others[] = { 0, 1, 2, 3, 5, 6, 8, 15, 16, 17, 64, 127, 128, 255 };
	uint64_t hash = 0xcbf29ce484222325;
	char *bytes = mem_copy(message.s, message.n);
	struct buf again = BUF_INIT;

	for (size_t i = 0; i < message.n; i++) {
		struct str spoiled = { bytes, message.n };

		for (size_t k = 0; k < sizeof others; k++) {
			int rc;

			bytes[i] = (char)others[k];
			buf_reset(&again);
			rc = take(spoiled, &again);
			hash = (hash ^ (rc < 0 ? 0 : str_eq(buf_str(&again), spoiled) ? 1 : 2)) *
			       0x100000001b3;
		}
		bytes[i] = message.s[i];
		spoiled.n = i;
		buf_reset(&again);
		hash = (hash ^ (take(spoiled, &again) == 0)) * 0x100000001b3;
	}
	buf_clear(&again);
	free(bytes);
	return hash;
}

static void put_sample(const char *decoder, const char *what, struct buf *message)
{
	decode *take = decoder_of(decoder);
	struct buf again = BUF_INIT;
	bool same = take(buf_str(message), &again) == 0 && str_eq(buf_str(&again), buf_str(message));

	buf_addf(&lines, "sample %s %s %016llx %s ", decoder, what,
		 (unsigned long long)spoil(take, buf_str(message)), same ? "same" : "refused");
	for (size_t i = 0; i < message->len; i++)
		buf_addf(&lines, "%02x", (unsigned char)message->data[i]);
	buf_addc(&lines, '\n');
	buf_reset(message);
	buf_clear(&again);
}

#define SAMPLE(name, what, ...) \
	do { \
		const struct name value = { __VA_ARGS__ }; \
		name##_pack(&b, &value); \
		put_sample(#name, what, &b); \
	} while (0)

static const struct record file = {
	.version = { 1763809644123456001u, 0x7f3a9c2b11d0e4f5, 2 },
	.size = 5, .sha256 = { 1, 2, 3, 255 }, .mtime = 1700000000,
};
static const struct record entry = {
	.version = { 1763809644123456002u, 0x7f3a9c2b11d0e4f6, 0 }, .flags = RECORD_DIRECTORY,
};
static const struct record ended = {
	.version = { 1763809644123456003u, 9, 0 }, .flags = RECORD_DIRECTORY | RECORD_DELETED,
};
static const struct record gone = { .version = { 3, 4, 5 }, .flags = RECORD_DELETED };
static const struct record child = {
	.version = { 1763809644123456001u, 0x7f3a9c2b11d0e4f5, 1ull << 40 },
	.size = 6, .sha256 = { 9 }, .mtime = 1700000001, .made = 1763809644123456077u,
};

static struct address address_of(const char *text)
{
	struct address a = { .len = 0 };

	CHECK(address_parse(str_of(text), &a, NULL) == 0);
	return a;
}

static struct member member_of(uint64_t id)
{
	struct member m = { .id = id, .start = 300, .heartbeat = 77, .state = MEMBER_SUSPECT,
			    .protocol_min = 2, .protocol_max = 3, .lineage = 11, .epoch = 12,
			    .synced = 12, .sequence = 13, .flags = MEMBER_GUEST | MEMBER_FORGOT,
			    .weight = 4, .nonce = 14, .spoke = { 299, 15 }, .before = { 7, 16 } };

	member_set_name(&m, STR("alpha"));
	CHECK(member_set_region(&m, STR("eu.1")) == 0);
	m.http = address_of("127.0.0.1:4720");
	m.discovery = address_of("[fe80::1:2]:4721");
	return m;
}

static struct layout layout_of(void)
{
	struct layout l = { .lineage = 11, .epoch = 12, .left_lineage = 13, .left_epoch = 14,
			    .homes = 3, .copies = 2, .keep_versions = 100, .keep_days = 30 };

	layout_put(&l, 21, LAYOUT_A, 1, "");
	layout_put(&l, 22, LAYOUT_A | LAYOUT_B, 2, "eu.1");
	layout_put(&l, 23, LAYOUT_B, 16, "us");
	layout_seat(&l);
	return l;
}

static void sample_talk(void)
{
	struct buf b = BUF_INIT;

	SAMPLE(newest_ask, "read", .path = STR("docs/a.pdf"), .purpose = NEWEST_READ);
	SAMPLE(newest_ask, "one", .path = STR("d/,"), .version = { 1, 2, 3 }, .purpose = NEWEST_ONE);
	SAMPLE(newest_ask, "holders", .path = STR("x"), .version = { 1, 2, VERSION_N_MAX },
	       .purpose = NEWEST_HOLDERS);
	SAMPLE(newest_ask, "root", .purpose = NEWEST_READ);
	SAMPLE(newest_ask, "upward", .path = STR("a/../b"), .purpose = NEWEST_READ);
	SAMPLE(newest_ask, "read_of_version", .path = STR("x"), .version = { 1, 2, 3 },
	       .purpose = NEWEST_READ);
	SAMPLE(newest_answer, "full", .certainty = CERTAINTY_UNDECIDED, .record = file,
	       .type = STR("text/x"), .entry = entry, .parent_known = true, .holders = { 31, 32, 33 },
	       .holder_count = 3, .counts = { 1, 2, 3, 4 }, .clock = 41, .epoch = 42);
	SAMPLE(newest_answer, "none", .certainty = CERTAINTY_CONFIRMED);
	SAMPLE(newest_answer, "ended", .certainty = CERTAINTY_UNCONFIRMED, .record = gone, .entry = ended);
	SAMPLE(newest_answer, "child", .certainty = CERTAINTY_CONFIRMED, .record = child);
	SAMPLE(newest_answer, "entry_of_file", .certainty = CERTAINTY_CONFIRMED, .entry = file);
	SAMPLE(newest_answer, "counts", .certainty = CERTAINTY_CONFIRMED, .counts = { 2, 1, 0, 0 });
	SAMPLE(store_ask, "file", .path = STR("docs/a"), .record = file, .type = STR("text/x"));
	SAMPLE(store_ask, "entry", .path = STR("docs"), .record = entry, .anew = true);
	SAMPLE(store_ask, "no_record", .path = STR("docs"));
	SAMPLE(store_ask, "root", .record = entry);
	SAMPLE(store_ask, "gate", .path = STR("docs/,"), .record = gone);
	SAMPLE(store_ask, "type", .path = STR("docs"), .record = file, .type = STR("te\nxt"));
	SAMPLE(store_answer, "confirmed", .confirmed = true, .all = true, .counts = { 1, 2, 3, 4 },
	       .newest = { 5, 6, 7 }, .epoch = 8);
	SAMPLE(store_answer, "last", .last = true);
	SAMPLE(store_answer, "neither", .all = true);
	SAMPLE(nodes_ask, "path", .path = STR("docs/a"));
	SAMPLE(nodes_ask, "root", .path = STR(""));
	SAMPLE(nodes_row, "full", .id = 9, .name = STR("alpha"), .http = address_of("[::1]:80"),
	       .state = MEMBER_DOWN, .roles = NODE_HOME | NODE_GUEST, .answered = true, .record = file,
	       .type = STR("text/x"), .content = true, .entry = entry, .age_ms = 1234);
	SAMPLE(nodes_row, "none", .id = 9, .state = MEMBER_UP);
	buf_clear(&b);
}

static void sample_numbers(struct buf *b)
{
	sync_progress_pack(b, 1ull << 40);
	put_sample("sync_progress", "bytes", b);
	sync_token_pack(b, 77);
	put_sample("sync_token", "token", b);
	sync_more_pack(b, &(struct sync_more){ 77, 1ull << 33 });
	put_sample("sync_more", "bytes", b);
	sync_compare_pack(b, PARTITIONS - 1);
	put_sample("sync_compare", "partition", b);
	sync_compare_pack(b, PARTITIONS);
	put_sample("sync_compare", "beyond", b);
	sync_resolve_pack(b, STR("alpha.example:4721"));
	put_sample("sync_resolve", "name", b);
	sync_resolve_pack(b, STR(""));
	put_sample("sync_resolve", "empty", b);
	discover_synced_pack(b, 12);
	put_sample("synced", "epoch", b);
}

static void sample_sync(void)
{
	struct buf b = BUF_INIT;

	SAMPLE(sync_pull, "full", .path = STR("docs/a"), .record = file, .type = STR("x/y"),
	       .holders = { 4, 5 }, .holder_count = 2);
	SAMPLE(sync_pull, "gone", .path = STR("docs/a"), .record = gone);
	SAMPLE(sync_pull, "entry", .path = STR("docs/a"), .record = entry);
	SAMPLE(sync_pull, "gate", .path = STR("docs/,"), .record = file);
	SAMPLE(sync_list, "full", .path = STR("docs"), .epoch = 5, .nodes = { 9, 8 }, .node_count = 2);
	SAMPLE(sync_list, "all", .path = STR(""));
	SAMPLE(sync_list, "window", .path = STR("docs"), .epoch = 5, .nodes = { 9 }, .node_count = 1,
	       .window = { .after = STR("a\xff"), .limit = 4096, .directories = true, .age = 7 });
	SAMPLE(sync_list, "no_name", .path = STR("docs"), .window = { .after = STR("a/b"), .limit = 1 });
	SAMPLE(sync_list, "no_epoch", .path = STR("docs"), .nodes = { 9 }, .node_count = 1);
	SAMPLE(sync_part, "full", .node = 44, .epoch = 5, .gate = { 7, 8, 9 }, .upto = STR("a.txt"));
	SAMPLE(sync_part, "whole", .node = 44, .epoch = 5);
	SAMPLE(sync_part, "no_name", .node = 44, .upto = STR("a/b"));
	SAMPLE(sync_end, "full", .asked = 3, .answered = 1, .stale = true);
	SAMPLE(sync_end, "more", .asked = 1, .answered = 3);
	SAMPLE(sync_addresses, "two", .list = { address_of("10.0.0.1:1"), address_of("[::1]:2") },
	       .count = 2);
	SAMPLE(sync_push, "full", .path = STR("a"), .record = file, .type = STR("text/x"),
	       .keepers = { 7, 8 }, .keeper_count = 2, .wanted = 1);
	SAMPLE(sync_push, "begin", .path = STR("a"), .keepers = { 7 }, .keeper_count = 1, .wanted = 255);
	SAMPLE(sync_push, "none_wanted", .path = STR("a"), .record = file);
	SAMPLE(sync_push, "gone", .path = STR("a"), .record = gone, .wanted = 1);
	SAMPLE(sync_push, "root", .record = file, .wanted = 1);
	SAMPLE(sync_name, "full", .token = 6, .record = child, .type = STR("text/x"));
	SAMPLE(sync_name, "gone", .token = 6, .record = gone);
	SAMPLE(sync_have, "two", .nodes = { 8, 9 }, .count = 2);
	SAMPLE(sync_carry, "full", .http = address_of("127.0.0.1:1"), .to = SYNC_TO_DISCOVERY,
	       .packet = STR("sealed"));
	SAMPLE(sync_carry, "nowhere", .to = SYNC_TO_VERSIONS, .packet = STR("sealed"));
	sample_numbers(&b);
	buf_clear(&b);
}

static void sample_discover(void)
{
	struct discover_behind behind = { .epoch = 5, .node = 6, .from = address_of("[::1]:2") };
	struct discover_change change = { .what = CHANGE_SET, .homes = 1, .copies = 2,
					  .keep_versions = 3, .keep_days = 4, .within_ms = 5 };
	struct member list[] = { member_of(1), member_of(2) };
	struct members members = { .self = 1, .list = list, .count = 2 };
	struct layout layout = layout_of();
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT;

	list[1].nonce = 0;
	discover_members_pack(&b, &members, -5);
	put_sample("members", "two", &b);
	discover_layout_pack(&b, &layout);
	put_sample("layout", "joint", &b);
	layout = LAYOUT_NONE;
	discover_layout_pack(&b, &layout);
	put_sample("layout", "none", &b);
	discover_behind_pack(&b, &behind);
	put_sample("behind", "full", &b);
	discover_change_pack(&b, &change);
	put_sample("change", "set", &b);
	change = (struct discover_change){ .what = CHANGE_ADOPT, .lineage = 7 };
	discover_change_pack(&b, &change);
	put_sample("change", "adopt", &b);
	change = (struct discover_change){ .what = CHANGE_FORGET, .node = 8 };
	discover_change_pack(&b, &change);
	put_sample("change", "forget", &b);
	err_set(&err, ERR_CONFLICT, "put a/b: a is a file");
	frame_failed_pack(&b, &err);
	put_sample("failed", "conflict", &b);
	frame_pack(&b, &(struct frame){ .type = 7, .id = 1ull << 63, .deadline_ms = 250,
					.body = STR("hello") });
	put_sample("frame", "hello", &b);
	buf_clear(&b);
}

static void put_wire(const char *what, struct wire *wire)
{
	struct buf b = BUF_INIT;

	wire->sender = member_of(1);
	wire->receiver = 2;
	wire->role = wire->type >= WIRE_CHECK && wire->type <= WIRE_STALE ? WIRE_VERSIONS : WIRE_DISCOVERY;
	pack_wire(&b, GROUP, wire);
	put_sample("wire", what, &b);
	buf_clear(&b);
}

static void sample_wire(void)
{
	struct wire w;

	w = (struct wire){ .type = WIRE_GOSSIP,
			   .gossip = { true, 5, 1763809644123456001u, 2,
				       { { member_of(3), 10 }, { member_of(4), 0 } } } };
	w.gossip.members[1].member.nonce = 0;
	put_wire("gossip", &w);
	w = (struct wire){ .type = WIRE_CHECK,
			   .check = { 1, 2, 3, true, { 4, 5, 6 }, STR("docs/a") } };
	put_wire("check", &w);
	w.check = (struct wire_check){ .id = 1, .path = STR("docs/a") };
	put_wire("check_newest", &w);
	w.check.below = true;
	put_wire("check_below_none", &w);
	w = (struct wire){ .type = WIRE_RECORD,
			   .record = { 1, 2, 3, true, file, STR("text/x"), entry, { 4, 5, 6 } } };
	put_wire("record", &w);
	w.record = (struct wire_record){ .id = 1, .record = child, .entry = gone };
	put_wire("record_entry_of_file", &w);
	w = (struct wire){ .type = WIRE_STORE, .store = { 1, 2, file, STR("text/x"), STR("docs/a") } };
	put_wire("store", &w);
	w.store.record = gone;
	put_wire("store_type_of_gone", &w);
	w.store = (struct wire_store){ 1, 2, gone, STR_INIT, STR("docs/,") };
	put_wire("store_gate", &w);
	w = (struct wire){ .type = WIRE_STORED, .stored = { 1, 2, { 3, 4, 5 }, { 6, 7, 8 } } };
	put_wire("stored", &w);
	w = (struct wire){ .type = WIRE_STALE, .stale = { 1, 2 } };
	put_wire("stale", &w);
	w = (struct wire){ .type = WIRE_WANT, .want = { 1, 2, 3 } };
	put_wire("want", &w);
	w = (struct wire){ .type = WIRE_LAYOUT, .layout = { 1, layout_of() } };
	put_wire("layout", &w);
	for (unsigned type = WIRE_PREPARE; type <= WIRE_NACK; type++) {
		w = (struct wire){ .type = (enum wire_type)type,
				   .synod = { 1, 11, 12, { 2, 3 }, { 4, 5 }, layout_of() } };
		put_wire("synod", &w);
	}
	w.synod.value = LAYOUT_NONE;
	put_wire("nack", &w);
	w.synod.value = layout_of();
	w.synod.instance++;
	put_wire("synod_of_another_epoch", &w);
	w = (struct wire){ .type = WIRE_CHANGE, .change = { 1, 2, { 3, 4, 5, 6 } } };
	put_wire("change", &w);
}

static void put_exchange(const char *what, struct buf *b)
{
	put_sample("exchange", what, b);
}

static void sample_exchange(void)
{
	struct exchange_ask ask = { .partition = 3, .buckets = { 1, 2, 128 }, .version = { 4, 5, 6 },
				    .after = STR("docs/a") };
	struct exchange_row row = { .path = STR("docs/a"), .record = file, .type = STR("text/x"),
				    .content = true };
	struct exchange_digest digests[] = { { 1, 2 }, { PARTITIONS - 1, 1ull << 60 } };
	uint16_t partitions[] = { 1, PARTITIONS - 1 };
	struct digests buckets = { .buckets = { 1, 2, [255] = 3 } };
	struct buf b = BUF_INIT;

	exchange_pack_digests(&b, partitions, 2);
	put_exchange("digests", &b);
	exchange_pack_digests_are(&b, digests, 2);
	put_exchange("digests_are", &b);
	exchange_pack_buckets(&b, 5);
	put_exchange("buckets", &b);
	exchange_pack_buckets_are(&b, 5, &buckets);
	put_exchange("buckets_are", &b);
	exchange_pack_records(&b, &ask);
	put_exchange("records", &b);
	exchange_begin_rows(&b, 6);
	exchange_add_row(&b, &row);
	row = (struct exchange_row){ .path = STR("docs/b"), .record = gone };
	exchange_add_row(&b, &row);
	exchange_end_rows(&b, true);
	put_exchange("records_are", &b);
	exchange_begin_rows(&b, 6);
	exchange_end_rows(&b, false);
	put_exchange("no_records", &b);
	buf_clear(&b);
}

static void sample_bulk(void)
{
	struct keep_item item = { .record = file, .type = STR("text/x"), .path = STR("docs/a") };
	struct bulk bulk = { GROUP, 1, 2, 3, 4, 5, BULK_SYNC, STR("body") };
	struct buf b = BUF_INIT;

	bulk_pack(&b, &bulk);
	put_sample("bulk", "sync", &b);
	keep_item_pack(&b, &item);
	item = (struct keep_item){ .record = child, .path = STR("docs/b") };
	keep_item_pack(&b, &item);
	put_sample("keep_items", "two", &b);
	item.record = gone;
	keep_item_pack(&b, &item);
	put_sample("keep_items", "gone", &b);
	take_item_pack(&b, &(struct take_item){ .record = file, .type = STR("text/x"), .path = STR("docs/a"),
						.content = STR("hello") });
	take_item_pack(&b, &(struct take_item){ .record = child, .path = STR("docs/b") });
	put_sample("take_items", "two", &b);
	buf_clear(&b);
}

/* the fuzzers' seeds */

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void put_takers(struct str bytes)
{
	for (size_t i = 0; i < DECODERS; i++) {
		struct buf again = BUF_INIT;

		if (decoders[i].decode(bytes, &again) == 0)
			buf_addf(&lines, " %s%s", decoders[i].name,
				 str_eq(buf_str(&again), bytes) ? "" : "(packed otherwise)");
		buf_clear(&again);
	}
}

static void put_seed(const char *fuzzer, const char *name)
{
	struct buf path = BUF_INIT, bytes = BUF_INIT;
	struct frame frame;

	buf_addf(&path, CORPUS "/%s/%s", fuzzer, name);
	CHECK(file_read(path.data, 1u << 20, &bytes, NULL) == 0);
	buf_addf(&lines, "seed %s/%s:", fuzzer, name);
	put_takers(buf_str(&bytes));
	if (frame_unpack(buf_str(&bytes), &frame, NULL) == 0) {
		buf_addstr(&lines, STR("; in the frame:"));
		put_takers(frame.body);
	}
	buf_addc(&lines, '\n');
	buf_clear(&path);
	buf_clear(&bytes);
}

static void put_seeds(void)
{
	static const char *const fuzzers[] = { "council", "exchange", "holdings", "message", "packet" };

	for (size_t i = 0; i < sizeof fuzzers / sizeof fuzzers[0]; i++) {
		struct buf directory = BUF_INIT;
		struct dirent **list;
		int count;

		buf_addf(&directory, CORPUS "/%s", fuzzers[i]);
		count = scandir(directory.data, &list, NULL, by_name);
		CHECK(count > 2);
		for (int k = 0; k < count; k++) {
			if (list[k]->d_name[0] != '.')
				put_seed(fuzzers[i], list[k]->d_name);
			free(list[k]);
		}
		if (count >= 0)
			free(list);
		buf_clear(&directory);
	}
}

/* The first difference is told, and no other: a line more or less moves all that follow. */
static void compare(void)
{
	struct buf expected = BUF_INIT;
	struct str rest, now = buf_str(&lines), was_line, now_line = STR_INIT;
	bool same = true;

	CHECK(file_read("tests/unit/messages.expected", 1u << 20, &expected, NULL) == 0);
	rest = buf_str(&expected);
	while (same && str_cut(&rest, '\n', &was_line)) {
		same = str_cut(&now, '\n', &now_line) && str_eq(was_line, now_line);
		if (!same)
			fprintf(stderr, "expected %.*s\n     not %.*s\n", STR_ARG(was_line), STR_ARG(now_line));
	}
	CHECK(same && now.n == 0);
	buf_clear(&expected);
}

/* tables: what is read has room in the struct, whatever the message says */

static bool fits(uint64_t number, size_t bytes)
{
	return bytes >= sizeof number || number >> (8 * bytes) == 0;
}

static void check_table(const struct message *message)
{
	for (const struct message_field *f = message->fields; f->kind != FIELD_END; f++) {
		bool right = f->at + f->size <= message->size;

		if (f->kind == FIELD_NUMBER)
			right = right && fits(f->max, f->bytes) && f->min <= f->max &&
				(f->size == 0 ? f->min == f->max : fits(f->max, f->size));
		if (f->kind == FIELD_LIST) {
			right = right && fits(f->max, f->bytes) &&
				f->max * f->row->size <= f->size;
			check_table(f->row);
		}
		if (!right)
			fprintf(stderr, "%s: field %td\n", message->name, f - message->fields);
		CHECK(right);
	}
}

static void check_tables(void)
{
	static const struct message *const *const talks[] = { version_messages, sync_messages,
							      discover_messages };

	for (size_t i = 0; i < sizeof talks / sizeof *talks; i++)
		for (const struct message *const *message = talks[i]; *message != NULL; message++)
			check_table(*message);
	for (size_t type = 0; type < WIRE_TYPES; type++)
		if (wire_messages[type] != NULL)
			check_table(wire_messages[type]);
	check_table(&bulk_message);
	check_table(&keep_item_message);
	check_table(&take_item_message);
}

int main(int argc, char **argv)
{
	(void)argv;
	sample_talk();
	sample_sync();
	sample_discover();
	sample_wire();
	sample_exchange();
	sample_bulk();
	put_seeds();
	check_tables();
	if (argc > 1)
		fwrite(lines.data, 1, lines.len, stdout);
	else
		compare();
	buf_clear(&lines);
	return UNIT_RESULT();
}
