/*
 * Any bytes as a frame between roles, as a batch between nodes and as each
 * message that has a table: refused, or exactly what packing it again gives.
 */
#include "bulk.h"
#include "discover_talk.h"
#include "frame.h"
#include "sync_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define GROUP 0x4141414141414141	/* for the fuzzer to guess */

static void expect(bool condition)
{
	if (!condition)
		abort();
}

/* Compare what was packed with what was read, and empty it. */
static void expect_same(struct buf *packed, struct str read)
{
	expect(str_eq(buf_str(packed), read));
	buf_reset(packed);
}

/* Of a member's name only what terminals can show is kept, and of no layout nothing. */
static bool is_kept_whole(const struct message *message)
{
	for (const struct message_field *field = message->fields; field->kind != FIELD_END; field++)
		if (field->kind == FIELD_MEMBER || field->kind == FIELD_LAYOUT ||
		    (field->kind == FIELD_LIST && !is_kept_whole(field->row)))
			return false;
	return true;
}

static bool read_message(const struct message *message, struct str body, struct buf *packed)
{
	_Alignas(max_align_t) static char value[1 << 16];
	struct unpack in = unpack_of(body);

	expect(message->size <= sizeof value);
	memset(value, 0, message->size);
	message_read(&in, message, value);
	if (unpack_end(&in) < 0)
		return false;
	message_pack(packed, message, value);
	return true;
}

static void try_message(const struct message *message, struct str body, struct buf *out)
{
	struct buf again = BUF_INIT;

	if (!read_message(message, body, out))
		return;
	expect(read_message(message, buf_str(out), &again));
	expect_same(&again, is_kept_whole(message) ? body : buf_str(out));
	buf_reset(out);
	buf_clear(&again);
}

static void try_messages(struct str body, struct buf *out)
{
	static const struct message *const *const lists[] = { version_messages, sync_messages,
							      discover_messages };

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		for (const struct message *const *message = lists[i]; *message != NULL; message++)
			try_message(*message, body, out);
	for (size_t type = WIRE_GOSSIP; type < WIRE_TYPES; type++)
		try_message(wire_messages[type], body, out);
}

static void try_frame(struct str packet, struct buf *out)
{
	struct members members = MEMBERS_INIT;
	struct err err = ERR_INIT;
	struct frame frame;

	if (frame_unpack(packet, &frame, NULL) < 0)
		return;
	frame_pack(out, &frame);
	expect_same(out, packet);
	try_messages(frame.body, out);
	expect(frame_failed_unpack(frame.body, &err) == -1 && err.kind != ERR_NONE);
	if (discover_members_unpack(frame.body, &members, NULL, NULL) == 0)
		expect(members.count <= MEMBERS_MAX);
	members_clear(&members);
}

static void try_bulk(struct str plain, struct buf *out)
{
	struct str rest, before;
	struct keep_item item;
	struct take_item given;
	enum keep_state state;
	enum take_state taken;
	struct bulk bulk;

	if (bulk_unpack(plain, GROUP, &bulk) < 0)
		return;
	bulk_pack(out, &bulk);
	expect_same(out, plain);
	for (before = rest = bulk.body; keep_item_next(&rest, &item) == 1; before = rest) {
		before.n -= rest.n;
		keep_item_pack(out, &item);
		expect_same(out, before);
	}
	for (before = rest = bulk.body; take_item_next(&rest, &given) == 1; before = rest) {
		before.n -= rest.n;
		take_item_pack(out, &given);
		expect_same(out, before);
	}
	rest = bulk.body;
	while (keep_state_next(&rest, &state) == 1)
		expect(rest.n < bulk.body.n);
	rest = bulk.body;
	while (take_state_next(&rest, &taken) == 1)
		expect(rest.n < bulk.body.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str input = { (const char *)data, n };
	struct buf out = BUF_INIT;

	try_messages(input, &out);
	try_frame(input, &out);
	try_bulk(input, &out);
	buf_clear(&out);
	return 0;
}
