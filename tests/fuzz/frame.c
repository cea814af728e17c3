/*
 * Any bytes as a frame between roles: the frame and every message in it
 * are refused, or are exactly what packing them again gives.
 */
#include "discover_talk.h"
#include "frame.h"
#include "sync_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Compare what was packed with the body, and empty it. */
static void same(struct buf *packed, struct str body)
{
	if (!str_eq(buf_str(packed), body))
		abort();
	buf_reset(packed);
}

static void versions(struct str body, struct buf *out)
{
	struct newest_ask ask;
	struct newest_answer answer;
	struct store_ask store;
	struct store_answer stored;
	struct nodes_ask nodes;
	struct nodes_row row;

	if (newest_ask_unpack(body, &ask, NULL) == 0) {
		newest_ask_pack(out, &ask);
		same(out, body);
	}
	if (newest_answer_unpack(body, &answer, NULL) == 0) {
		newest_answer_pack(out, &answer);
		same(out, body);
	}
	if (store_ask_unpack(body, &store, NULL) == 0) {
		store_ask_pack(out, &store);
		same(out, body);
	}
	if (store_answer_unpack(body, &stored, NULL) == 0) {
		store_answer_pack(out, &stored);
		same(out, body);
	}
	if (nodes_ask_unpack(body, &nodes, NULL) == 0) {
		nodes_ask_pack(out, &nodes);
		same(out, body);
	}
	if (nodes_row_unpack(body, &row, NULL) == 0) {
		nodes_row_pack(out, &row);
		same(out, body);
	}
}

static void sync(struct str body, struct buf *out)
{
	struct sync_pull pull;
	struct sync_list list;
	struct sync_part part;
	struct sync_end end;
	struct sync_push push;
	struct sync_name name;
	struct sync_have have;
	struct sync_carry carry;
	struct sync_addresses addresses;
	struct str text;
	uint64_t number;
	unsigned partition;

	if (sync_pull_unpack(body, &pull, NULL) == 0) {
		sync_pull_pack(out, &pull);
		same(out, body);
	}
	if (sync_list_unpack(body, &list, NULL) == 0) {
		sync_list_pack(out, &list);
		same(out, body);
	}
	if (sync_push_unpack(body, &push, NULL) == 0) {
		sync_push_pack(out, &push);
		same(out, body);
	}
	if (sync_name_unpack(body, &name, NULL) == 0) {
		sync_name_pack(out, &name);
		same(out, body);
	}
	if (sync_have_unpack(body, &have, NULL) == 0) {
		sync_have_pack(out, &have);
		same(out, body);
	}
	if (sync_carry_unpack(body, &carry, NULL) == 0) {
		sync_carry_pack(out, &carry);
		same(out, body);
	}
	if (sync_resolve_unpack(body, &text, NULL) == 0) {
		sync_resolve_pack(out, text);
		same(out, body);
	}
	if (sync_part_unpack(body, &part, NULL) == 0) {
		sync_part_pack(out, &part);
		same(out, body);
	}
	if (sync_compare_unpack(body, &partition, NULL) == 0) {
		sync_compare_pack(out, partition);
		same(out, body);
	}
	if (sync_progress_unpack(body, &number, NULL) == 0) {
		sync_progress_pack(out, number);
		same(out, body);
	}
	if (sync_end_unpack(body, &end, NULL) == 0) {
		sync_end_pack(out, &end);
		same(out, body);
	}
	if (sync_addresses_unpack(body, &addresses, NULL) == 0) {
		sync_addresses_pack(out, &addresses);
		same(out, body);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str packet = { (const char *)data, n };
	struct members members = MEMBERS_INIT;
	struct err err = ERR_INIT;
	struct buf out = BUF_INIT;
	struct frame frame;

	if (frame_unpack(packet, &frame, NULL) == 0) {
		frame_pack(&out, &frame);
		same(&out, packet);
		versions(frame.body, &out);
		sync(frame.body, &out);
		if (frame_failed_unpack(frame.body, &err) != -1 || err.kind == ERR_NONE)
			abort();
		if (discover_members_unpack(frame.body, &members, NULL, NULL) == 0 &&
		    members.count > MEMBERS_MAX)
			abort();
	}
	members_clear(&members);
	buf_clear(&out);
	return 0;
}
