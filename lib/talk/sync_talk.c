/* sync_talk - the conversation on sync.sock: what the network has to give */
#include "sync_talk.h"

static int malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID, "read %s: malformed", what);
}

void sync_pull_pack(struct buf *buf, const struct sync_pull *pull)
{
	pack_str(buf, pull->path);
	pack_record(buf, &pull->record);
	pack_str(buf, pull->type);
	pack_u8(buf, (uint8_t)pull->holder_count);
	for (size_t i = 0; i < pull->holder_count; i++)
		pack_u64(buf, pull->holders[i]);
}

int sync_pull_unpack(struct str body, struct sync_pull *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct sync_pull pull = { .holder_count = 0 };

	pull.path = unpack_str(&in, PATH_BYTES);
	unpack_record(&in, &pull.record);
	pull.type = unpack_str(&in, RECORD_TYPE_MAX);
	pull.holder_count = unpack_u8(&in);
	if (pull.holder_count > HOLDERS_MAX)
		return malformed(err, "PULL");
	for (size_t i = 0; i < pull.holder_count; i++)
		pull.holders[i] = unpack_u64(&in);
	if (unpack_end(&in) < 0 || !record_is_live(&pull.record) ||
	    (pull.record.flags & RECORD_DIRECTORY))
		return malformed(err, "PULL");
	if (path_check(pull.path, err) < 0)
		return -1;
	*ret = pull;
	return 0;
}

void sync_progress_pack(struct buf *buf, uint64_t bytes)
{
	pack_u64(buf, bytes);
}

int sync_progress_unpack(struct str body, uint64_t *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	uint64_t bytes = unpack_u64(&in);

	if (unpack_end(&in) < 0)
		return malformed(err, "PROGRESS");
	*ret = bytes;
	return 0;
}

static void pack_nodes(struct buf *buf, const uint64_t *nodes, size_t count)
{
	pack_u8(buf, (uint8_t)count);
	for (size_t i = 0; i < count; i++)
		pack_u64(buf, nodes[i]);
}

static void unpack_nodes(struct unpack *in, uint64_t nodes[HOLDERS_MAX], size_t *ret_count)
{
	size_t count = unpack_u8(in);

	if (count > HOLDERS_MAX)
		in->failed = true;
	for (size_t i = 0; i < count && !in->failed; i++)
		nodes[i] = unpack_u64(in);
	*ret_count = in->failed ? 0 : count;
}

static void pack_list(struct buf *buf, const struct sync_list *list)
{
	pack_str(buf, list->path);
	pack_u64(buf, list->epoch);
	pack_nodes(buf, list->nodes, list->node_count);
}

static int unpack_list(struct str body, const char *what, struct sync_list *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct sync_list list;

	list.path = unpack_str(&in, PATH_BYTES);
	list.epoch = unpack_u64(&in);
	unpack_nodes(&in, list.nodes, &list.node_count);
	if (unpack_end(&in) < 0 || (list.epoch == 0 && list.node_count > 0))
		return malformed(err, what);
	if (path_check(list.path, err) < 0)
		return -1;
	*ret = list;
	return 0;
}

void sync_list_pack(struct buf *buf, const struct sync_list *list)
{
	pack_list(buf, list);
}

int sync_list_unpack(struct str body, struct sync_list *ret, struct err *err)
{
	return unpack_list(body, "LIST", ret, err);
}

void sync_history_pack(struct buf *buf, const struct sync_list *list)
{
	pack_list(buf, list);
}

int sync_history_unpack(struct str body, struct sync_list *ret, struct err *err)
{
	return unpack_list(body, "HISTORY", ret, err);
}

/* pushing */

static int check_file_path(struct str path, const char *what, struct err *err)
{
	if (path.n == 0)
		return malformed(err, what);
	return path_check(path, err);
}

void sync_push_pack(struct buf *buf, const struct sync_push *push)
{
	pack_str(buf, push->path);
	pack_record(buf, &push->record);
	pack_str(buf, push->type);
	pack_nodes(buf, push->keepers, push->keeper_count);
	pack_u8(buf, push->wanted);
}

int sync_push_unpack(struct str body, struct sync_push *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct sync_push push;

	push.path = unpack_str(&in, PATH_BYTES);
	unpack_record(&in, &push.record);
	push.type = unpack_str(&in, RECORD_TYPE_MAX);
	unpack_nodes(&in, push.keepers, &push.keeper_count);
	push.wanted = unpack_u8(&in);
	if (unpack_end(&in) < 0 || push.wanted == 0 || (!version_is_none(push.record.version) &&
				    !record_has_content(&push.record)))
		return malformed(err, "PUSH");
	if (check_file_path(push.path, "PUSH", err) < 0 || record_check_type(push.type, err) < 0)
		return -1;
	*ret = push;
	return 0;
}

void sync_token_pack(struct buf *buf, uint64_t token)
{
	pack_u64(buf, token);
}

int sync_token_unpack(struct str body, uint64_t *ret_token, struct err *err)
{
	struct unpack in = unpack_of(body);
	uint64_t token = unpack_u64(&in);

	if (unpack_end(&in) < 0)
		return malformed(err, "TOKEN");
	*ret_token = token;
	return 0;
}

void sync_more_pack(struct buf *buf, uint64_t token, uint64_t bytes)
{
	pack_u64(buf, token);
	pack_u64(buf, bytes);
}

int sync_more_unpack(struct str body, uint64_t *ret_token, uint64_t *ret_bytes, struct err *err)
{
	struct unpack in = unpack_of(body);
	uint64_t token = unpack_u64(&in), bytes = unpack_u64(&in);

	if (unpack_end(&in) < 0)
		return malformed(err, "PUSH_MORE");
	*ret_token = token;
	*ret_bytes = bytes;
	return 0;
}

void sync_name_pack(struct buf *buf, const struct sync_name *name)
{
	pack_u64(buf, name->token);
	pack_record(buf, &name->record);
	pack_str(buf, name->type);
}

int sync_name_unpack(struct str body, struct sync_name *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct sync_name name;

	name.token = unpack_u64(&in);
	unpack_record(&in, &name.record);
	name.type = unpack_str(&in, RECORD_TYPE_MAX);
	if (unpack_end(&in) < 0 || !record_has_content(&name.record))
		return malformed(err, "PUSH_NAME");
	if (record_check_type(name.type, err) < 0)
		return -1;
	*ret = name;
	return 0;
}

void sync_have_pack(struct buf *buf, const struct sync_have *have)
{
	pack_nodes(buf, have->nodes, have->count);
}

int sync_have_unpack(struct str body, struct sync_have *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct sync_have have;

	unpack_nodes(&in, have.nodes, &have.count);
	if (unpack_end(&in) < 0)
		return malformed(err, "HAVE");
	*ret = have;
	return 0;
}

void sync_carry_pack(struct buf *buf, const struct sync_carry *carry)
{
	pack_address(buf, &carry->http);
	pack_u8(buf, (uint8_t)carry->to);
	pack_str(buf, carry->packet);
}

int sync_carry_unpack(struct str body, struct sync_carry *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct sync_carry carry;
	uint8_t to;

	unpack_address(&in, &carry.http);
	to = unpack_u8(&in);
	carry.packet = unpack_str(&in, WIRE_LONG_BYTES);
	if (unpack_end(&in) < 0 || carry.http.len == 0 || to < SYNC_TO_VERSIONS ||
	    to > SYNC_TO_DISCOVERY)
		return malformed(err, "CARRY");
	carry.to = (enum sync_to)to;
	*ret = carry;
	return 0;
}

void sync_part_pack(struct buf *buf, const struct sync_part *part)
{
	pack_u64(buf, part->node);
	pack_u64(buf, part->epoch);
	pack_version(buf, part->gate);
}

int sync_part_unpack(struct str body, struct sync_part *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct sync_part part;

	part.node = unpack_u64(&in);
	part.epoch = unpack_u64(&in);
	part.gate = unpack_version(&in);
	if (unpack_end(&in) < 0)
		return malformed(err, "PART");
	*ret = part;
	return 0;
}

void sync_compare_pack(struct buf *buf, unsigned partition)
{
	pack_u16(buf, (uint16_t)partition);
}

int sync_compare_unpack(struct str body, unsigned *ret_partition, struct err *err)
{
	struct unpack in = unpack_of(body);
	uint16_t partition = unpack_u16(&in);

	if (unpack_end(&in) < 0 || partition >= PARTITIONS)
		return malformed(err, "COMPARE");
	*ret_partition = partition;
	return 0;
}

void sync_end_pack(struct buf *buf, const struct sync_end *end)
{
	pack_u32(buf, end->asked);
	pack_u32(buf, end->answered);
	pack_u8(buf, end->stale);
}

int sync_end_unpack(struct str body, struct sync_end *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct sync_end end;
	uint8_t stale;

	end.asked = unpack_u32(&in);
	end.answered = unpack_u32(&in);
	stale = unpack_u8(&in);
	end.stale = stale == 1;
	if (unpack_end(&in) < 0 || end.answered > end.asked || stale > 1)
		return malformed(err, "END");
	*ret = end;
	return 0;
}

void sync_resolve_pack(struct buf *buf, struct str name)
{
	pack_str(buf, name);
}

int sync_resolve_unpack(struct str body, struct str *ret_name, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct str name = unpack_str(&in, RESOLVE_NAME_MAX);

	if (unpack_end(&in) < 0 || name.n == 0 || memchr(name.s, '\0', name.n) != NULL)
		return malformed(err, "RESOLVE");
	*ret_name = name;
	return 0;
}

void sync_addresses_pack(struct buf *buf, const struct sync_addresses *addresses)
{
	pack_u8(buf, (uint8_t)addresses->count);
	for (size_t i = 0; i < addresses->count; i++)
		pack_address(buf, &addresses->list[i]);
}

int sync_addresses_unpack(struct str body, struct sync_addresses *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct sync_addresses addresses = { .count = unpack_u8(&in) };

	if (addresses.count > RESOLVE_ADDRESSES_MAX)
		return malformed(err, "ADDRESSES");
	for (size_t i = 0; i < addresses.count; i++)
		unpack_address(&in, &addresses.list[i]);
	if (unpack_end(&in) < 0)
		return malformed(err, "ADDRESSES");
	*ret = addresses;
	return 0;
}
