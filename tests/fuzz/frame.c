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
	struct sync_end end;
	struct sync_addresses addresses;
	struct str text;
	uint64_t number;

	if (sync_pull_unpack(body, &pull, NULL) == 0) {
		sync_pull_pack(out, &pull);
		same(out, body);
	}
	if (sync_list_unpack(body, &list, NULL) == 0) {
		sync_list_pack(out, &list);
		same(out, body);
	}
	if (sync_history_unpack(body, &text, NULL) == 0) {
		sync_history_pack(out, text);
		same(out, body);
	}
	if (sync_resolve_unpack(body, &text, NULL) == 0) {
		sync_resolve_pack(out, text);
		same(out, body);
	}
	if (sync_part_unpack(body, &number, NULL) == 0) {
		sync_part_pack(out, number);
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
		if (discover_members_unpack(frame.body, &members, NULL) == 0 &&
		    members.count > MEMBERS_MAX)
			abort();
	}
	members_clear(&members);
	buf_clear(&out);
	return 0;
}
