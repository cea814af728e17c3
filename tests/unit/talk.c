/*
 * The messages between roles: what is packed comes back, and nothing that
 * was cut short, made longer or spoiled is taken.
 */
#include "unit.h"

#include "discover_talk.h"
#include "frame.h"
#include "members.h"
#include "sync_talk.h"
#include "version_talk.h"

#include <sys/stat.h>
#include <unistd.h>

static const struct record sample = {
	.version = { .time = 1763809644123456001u, .node = 0x7f3a9c2b11d0e4f5, .n = 2 },
	.size = 5,
	.sha256 = { 1, 2, 3, 255 },
	.mtime = 1700000000,
};

static struct address address_of(const char *text)
{
	struct address a = { .len = 0 };

	CHECK(address_parse(str_of(text), &a, NULL) == 0);
	return a;
}

static struct member member_of(uint64_t id, const char *name)
{
	struct member m = { .id = id, .start = 3, .heartbeat = 77, .state = MEMBER_SUSPECT,
			    .protocol_min = 1, .protocol_max = 2 };

	member_set_name(&m, str_of(name));
	m.http = address_of("127.0.0.1:4720");
	m.discovery = address_of("[fe80::1:2]:4721");
	return m;
}

static bool same_member(const struct member *a, const struct member *b)
{
	return a->id == b->id && a->start == b->start && a->heartbeat == b->heartbeat &&
	       a->state == b->state && a->protocol_min == b->protocol_min &&
	       a->protocol_max == b->protocol_max && strcmp(a->name, b->name) == 0 &&
	       address_eq(&a->http, &b->http) && address_eq(&a->discovery, &b->discovery) &&
	       a->versions.len == b->versions.len;
}

/* Every message must refuse each of its own prefixes, and one byte too many. */
#define STRICT(bytes, call) \
	do { \
		struct str whole = buf_str(&(bytes)), cut; \
		for (cut = whole; cut.n-- > 0;) \
			CHECK((call) == -1); \
		buf_addc(&(bytes), '\0'); \
		cut = buf_str(&(bytes)); \
		CHECK((call) == -1); \
		buf_reset(&(bytes)); \
	} while (0)

static void test_frame(void)
{
	struct frame frame = { .type = 7, .id = 1ull << 63, .deadline_ms = 250, .body = STR("hello") };
	struct frame got = { .type = 0 };
	struct buf b = BUF_INIT;

	frame_pack(&b, &frame);
	CHECK(b.len == FRAME_HEADER_BYTES + 5);
	CHECK(frame_unpack(buf_str(&b), &got, NULL) == 0);
	CHECK(got.type == 7 && got.id == frame.id && got.deadline_ms == 250 && got.fd_count == 0);
	CHECK(str_eq(got.body, STR("hello")));
	b.data[2] = FRAME_PROTOCOL - 1;
	CHECK(frame_unpack(buf_str(&b), &got, NULL) == -1);
	b.data[2] = FRAME_PROTOCOL;
	b.data[0] = 'C';
	CHECK(frame_unpack(buf_str(&b), &got, NULL) == -1);
	b.data[0] = 'c';
	STRICT(b, frame_unpack(cut, &got, NULL));
	CHECK(got.id == frame.id);
	buf_clear(&b);
}

static void test_failed(void)
{
	struct err err = ERR_INIT, got = ERR_INIT;
	struct buf b = BUF_INIT;

	err_set(&err, ERR_CONFLICT, "put a/b: a is a file");
	frame_failed_pack(&b, &err);
	CHECK(frame_failed_unpack(buf_str(&b), &got) == -1);
	CHECK(got.kind == ERR_CONFLICT && strcmp(got.text, err.text) == 0);
	b.data[0] = 99;
	frame_failed_unpack(buf_str(&b), &got);
	CHECK(got.kind == ERR_INVALID);
	buf_clear(&b);
}

static void test_newest(void)
{
	struct newest_ask ask = { .path = STR("docs/a.pdf"), .version = sample.version,
				  .purpose = NEWEST_ONE }, got_ask;
	struct newest_answer answer = { .record = sample, .type = STR("text/x"), .parent_known = true,
					.holders = { 5, 6 }, .holder_count = 2, .clock = 12, .epoch = 4,
					.certainty = CERTAINTY_UNDECIDED,
					.counts = { 2, 3, 2, 9 } };
	struct newest_answer got = { .holder_count = 0 };
	struct buf b = BUF_INIT;

	newest_ask_pack(&b, &ask);
	CHECK(newest_ask_unpack(buf_str(&b), &got_ask, NULL) == 0);
	CHECK(str_eq(got_ask.path, ask.path) && version_cmp(got_ask.version, ask.version) == 0);
	CHECK(got_ask.purpose == NEWEST_ONE);
	STRICT(b, newest_ask_unpack(cut, &got_ask, NULL));
	ask.path = STR("../etc");
	newest_ask_pack(&b, &ask);
	CHECK(newest_ask_unpack(buf_str(&b), &got_ask, NULL) == -1);
	buf_reset(&b);

	newest_answer_pack(&b, &answer);
	CHECK(newest_answer_unpack(buf_str(&b), &got, NULL) == 0);
	CHECK(record_eq(&got.record, &sample) && str_eq(got.type, answer.type) && got.parent_known);
	CHECK(got.holder_count == 2 && got.holders[0] == 5 && got.holders[1] == 6);
	CHECK(got.certainty == CERTAINTY_UNDECIDED && got.clock == 12 && got.epoch == 4);
	CHECK(got.counts.homes == 3 && got.counts.homes_answered == 2 && got.counts.peers == 9);
	STRICT(b, newest_answer_unpack(cut, &got, NULL));
	answer.counts.homes_answered = 4;
	newest_answer_pack(&b, &answer);
	CHECK(newest_answer_unpack(buf_str(&b), &got, NULL) == -1);
	buf_clear(&b);
}

static void test_store(void)
{
	struct store_ask ask = { .path = STR("docs/a.pdf"), .record = sample, .type = STR("text/x") };
	struct store_answer answer = { .confirmed = true, .counts = { 2, 3, 0, 0 },
				       .newest = sample.version, .epoch = 7 };
	struct store_ask got_ask;
	struct store_answer got;
	struct buf b = BUF_INIT;

	store_ask_pack(&b, &ask);
	CHECK(store_ask_unpack(buf_str(&b), &got_ask, NULL) == 0);
	CHECK(str_eq(got_ask.path, ask.path) && record_eq(&got_ask.record, &sample));
	STRICT(b, store_ask_unpack(cut, &got_ask, NULL));
	store_answer_pack(&b, &answer);
	CHECK(store_answer_unpack(buf_str(&b), &got, NULL) == 0);
	CHECK(got.confirmed && !got.all && !got.last && got.counts.homes == 3);
	CHECK(version_cmp(got.newest, sample.version) == 0 && got.epoch == 7);
	STRICT(b, store_answer_unpack(cut, &got, NULL));
	answer.confirmed = false;		/* and more to come */
	store_answer_pack(&b, &answer);
	CHECK(store_answer_unpack(buf_str(&b), &got, NULL) == -1);
	buf_clear(&b);
}

static void test_nodes(void)
{
	struct nodes_ask ask = { .path = STR("") }, got_ask = { .path = STR("x") };
	struct nodes_row row = { .id = 9, .name = STR("alpha"), .state = MEMBER_DOWN, .content = true,
				 .record = sample, .age_ms = 12 };
	struct nodes_row got = { .id = 0 };
	struct buf b = BUF_INIT;

	nodes_ask_pack(&b, &ask);
	CHECK(nodes_ask_unpack(buf_str(&b), &got_ask, NULL) == 0 && got_ask.path.n == 0);
	STRICT(b, nodes_ask_unpack(cut, &got_ask, NULL));
	row.http = address_of("[::1]:80");
	nodes_row_pack(&b, &row);
	CHECK(nodes_row_unpack(buf_str(&b), &got, NULL) == 0);
	CHECK(got.id == 9 && str_eq(got.name, row.name) && got.state == MEMBER_DOWN && got.content &&
	      !got.answered && got.age_ms == 12 && address_eq(&got.http, &row.http) &&
	      record_eq(&got.record, &sample));
	STRICT(b, nodes_row_unpack(cut, &got, NULL));
	buf_clear(&b);
}

static void test_members(void)
{
	struct members members = MEMBERS_INIT, got = MEMBERS_INIT;
	struct member a = member_of(1, "alpha"), z = member_of(2, "two words;\n\xff");
	struct buf b = BUF_INIT;

	CHECK(strcmp(z.name, "two?words???") == 0);
	members.self = 1;
	members_add(&members, &a);
	members_add(&members, &z);
	CHECK(members_asked(&members) == 1);
	discover_members_pack(&b, &members, 0);
	CHECK(discover_members_unpack(buf_str(&b), &got, NULL, NULL) == 0);
	CHECK(got.self == 1 && got.count == 2 && same_member(&got.list[0], &a) &&
	      same_member(&got.list[1], &z));
	CHECK(members_find(&got, 2) == &got.list[1] && members_find(&got, 3) == NULL);
	STRICT(b, discover_members_unpack(cut, &got, NULL, NULL));
	CHECK(got.count == 2);
	while (members.count < MEMBERS_MAX)
		members_add(&members, &a);
	for (size_t i = 0; i < MEMBERS_MAX; i++) {
		member_set_name(&members.list[i], STR("0123456789012345678901234567890123456789"
						      "01234567890123456789012"));
		members.list[i].http = members.list[i].versions = a.discovery;
	}
	discover_members_pack(&b, &members, 0);
	CHECK(b.len <= FRAME_BODY_BYTES);
	members_clear(&got);
	members_clear(&members);
	buf_clear(&b);
}

static void test_members_file(void)
{
	char directory[] = "/var/tmp/covey-unit-XXXXXX";
	struct members members = MEMBERS_INIT, got = MEMBERS_INIT;
	struct member a = member_of(1, "alpha"), z = member_of(UINT64_MAX, "");
	struct buf file = BUF_INIT;

	CHECK(mkdtemp(directory) != NULL);
	CHECK(members_load(directory, &got, NULL) == 0 && got.count == 0 && got.self == 0);
	z.state = MEMBER_LEFT;
	a.spoke = (struct start){ 7, 8 };
	a.before = (struct start){ 5, 6 };	/* who tells others of it has to know both */
	members.self = 1;
	members_add(&members, &a);
	members_add(&members, &z);
	CHECK(members_save(directory, &members, NULL) == 0);
	CHECK(members_load(directory, &got, NULL) == 0);
	CHECK(got.self == 1 && got.count == 2);
	CHECK(got.count == 2 && same_member(&got.list[0], &a) && same_member(&got.list[1], &z));
	CHECK(start_eq(got.list[0].spoke, a.spoke) && start_eq(got.list[0].before, a.before));
	buf_addf(&file, "%s/members.ini", directory);
	CHECK(truncate(file.data, 40) == 0);
	CHECK(members_load(directory, &got, NULL) == -1);
	CHECK(got.count == 2);
	unlink(file.data);
	rmdir(directory);
	buf_clear(&file);
	members_clear(&got);
	members_clear(&members);
}

static void test_pull(void)
{
	struct sync_pull pull = { .path = STR("a"), .record = sample, .type = STR("x/y"),
				  .holders = { 4 }, .holder_count = 1 };
	struct sync_pull got = { .holder_count = 0 };
	struct buf b = BUF_INIT;

	sync_pull_pack(&b, &pull);
	CHECK(sync_pull_unpack(buf_str(&b), &got, NULL) == 0);
	CHECK(str_eq(got.path, pull.path) && record_eq(&got.record, &sample) &&
	      got.holder_count == 1 && got.holders[0] == 4 && str_eq(got.type, pull.type));
	STRICT(b, sync_pull_unpack(cut, &got, NULL));
	pull.record.version = VERSION_NONE;
	sync_pull_pack(&b, &pull);
	CHECK(sync_pull_unpack(buf_str(&b), &got, NULL) == -1);
	buf_clear(&b);
}

static void test_lists(void)
{
	struct sync_list list = { .path = STR("docs") }, got_list;
	struct sync_part part = { .node = 44, .epoch = 5, .gate = { 7, 8, 9 } }, got_part;
	unsigned partition;
	struct sync_end end = { .asked = 3, .answered = 1, .stale = true }, got_end;
	uint64_t n;
	struct buf b = BUF_INIT;

	sync_list_pack(&b, &list);
	CHECK(sync_list_unpack(buf_str(&b), &got_list, NULL) == 0);
	CHECK(str_eq(got_list.path, list.path));
	STRICT(b, sync_list_unpack(cut, &got_list, NULL));
	list.epoch = 5;
	list.nodes[0] = 9;
	list.node_count = 1;
	sync_list_pack(&b, &list);
	CHECK(sync_list_unpack(buf_str(&b), &got_list, NULL) == 0 && got_list.epoch == 5);
	CHECK(got_list.node_count == 1 && got_list.nodes[0] == 9);
	STRICT(b, sync_list_unpack(cut, &got_list, NULL));
	sync_part_pack(&b, &part);
	CHECK(sync_part_unpack(buf_str(&b), &got_part, NULL) == 0 && got_part.node == 44 &&
	      got_part.epoch == 5 && version_cmp(got_part.gate, part.gate) == 0);
	STRICT(b, sync_part_unpack(cut, &got_part, NULL));
	sync_compare_pack(&b, PARTITIONS - 1);
	CHECK(sync_compare_unpack(buf_str(&b), &partition, NULL) == 0 && partition == PARTITIONS - 1);
	STRICT(b, sync_compare_unpack(cut, &partition, NULL));
	sync_compare_pack(&b, PARTITIONS);
	CHECK(sync_compare_unpack(buf_str(&b), &partition, NULL) < 0);
	buf_reset(&b);
	sync_progress_pack(&b, 1ull << 40);
	CHECK(sync_progress_unpack(buf_str(&b), &n, NULL) == 0 && n == 1ull << 40);
	STRICT(b, sync_progress_unpack(cut, &n, NULL));
	sync_end_pack(&b, &end);
	CHECK(sync_end_unpack(buf_str(&b), &got_end, NULL) == 0 && got_end.asked == 3 &&
	      got_end.answered == 1 && got_end.stale);
	STRICT(b, sync_end_unpack(cut, &got_end, NULL));
	buf_clear(&b);
}

static void test_push(void)
{
	struct sync_push push = { .path = STR("a"), .record = sample, .type = STR("text/x"),
				  .keepers = { 7, 8 }, .keeper_count = 2, .wanted = 1 }, got_push;
	struct sync_name name = { .token = 6, .record = sample }, got_name;
	struct sync_have have = { .nodes = { 8 }, .count = 1 }, got_have;
	struct sync_carry carry = { .to = SYNC_TO_DISCOVERY, .packet = STR("sealed") }, got_carry;
	struct sync_more more = { .token = 6, .bytes = 1ull << 33 }, got_more;
	uint64_t token;
	struct buf b = BUF_INIT;

	sync_push_pack(&b, &push);
	CHECK(sync_push_unpack(buf_str(&b), &got_push, NULL) == 0);
	CHECK(got_push.keeper_count == 2 && got_push.keepers[1] == 8 && str_eq(got_push.path, push.path));
	STRICT(b, sync_push_unpack(cut, &got_push, NULL));
	sync_token_pack(&b, 6);
	CHECK(sync_token_unpack(buf_str(&b), &token, NULL) == 0 && token == 6);
	STRICT(b, sync_token_unpack(cut, &token, NULL));
	sync_more_pack(&b, &more);
	CHECK(sync_more_unpack(buf_str(&b), &got_more, NULL) == 0 && got_more.bytes == 1ull << 33);
	STRICT(b, sync_more_unpack(cut, &got_more, NULL));
	sync_name_pack(&b, &name);
	CHECK(sync_name_unpack(buf_str(&b), &got_name, NULL) == 0);
	CHECK(got_name.token == 6 && record_eq(&got_name.record, &sample));
	STRICT(b, sync_name_unpack(cut, &got_name, NULL));
	sync_have_pack(&b, &have);
	CHECK(sync_have_unpack(buf_str(&b), &got_have, NULL) == 0 && got_have.nodes[0] == 8);
	STRICT(b, sync_have_unpack(cut, &got_have, NULL));
	CHECK(address_parse(STR("127.0.0.1:4720"), &carry.http, NULL) == 0);
	sync_carry_pack(&b, &carry);
	CHECK(sync_carry_unpack(buf_str(&b), &got_carry, NULL) == 0);
	CHECK(got_carry.to == SYNC_TO_DISCOVERY && str_eq(got_carry.packet, carry.packet));
	STRICT(b, sync_carry_unpack(cut, &got_carry, NULL));
	buf_clear(&b);
}

static void test_resolve(void)
{
	struct sync_addresses addresses = { .count = 2 }, got;
	struct str name;
	struct buf b = BUF_INIT;

	sync_resolve_pack(&b, STR("alpha.example:4721"));
	CHECK(sync_resolve_unpack(buf_str(&b), &name, NULL) == 0 &&
	      str_eq(name, STR("alpha.example:4721")));
	STRICT(b, sync_resolve_unpack(cut, &name, NULL));
	addresses.list[0] = address_of("10.0.0.1:4721");
	addresses.list[1] = address_of("[2001:db8::1]:4721");
	sync_addresses_pack(&b, &addresses);
	CHECK(sync_addresses_unpack(buf_str(&b), &got, NULL) == 0 && got.count == 2 &&
	      address_eq(&got.list[0], &addresses.list[0]) &&
	      address_eq(&got.list[1], &addresses.list[1]));
	STRICT(b, sync_addresses_unpack(cut, &got, NULL));
	buf_clear(&b);
}

int main(void)
{
	test_frame();
	test_failed();
	test_newest();
	test_store();
	test_push();
	test_nodes();
	test_members();
	test_members_file();
	test_pull();
	test_lists();
	test_resolve();
	return UNIT_RESULT();
}
