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

void sync_list_pack(struct buf *buf, const struct sync_list *list)
{
	pack_str(buf, list->path);
	pack_u8(buf, list->deleted);
}

int sync_list_unpack(struct str body, struct sync_list *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct str path = unpack_str(&in, PATH_BYTES);
	uint8_t deleted = unpack_u8(&in);

	if (unpack_end(&in) < 0 || deleted > 1)
		return malformed(err, "LIST");
	if (path_check(path, err) < 0)
		return -1;
	ret->path = path;
	ret->deleted = deleted == 1;
	return 0;
}

void sync_history_pack(struct buf *buf, struct str path)
{
	pack_str(buf, path);
}

int sync_history_unpack(struct str body, struct str *ret_path, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct str path = unpack_str(&in, PATH_BYTES);

	if (unpack_end(&in) < 0)
		return malformed(err, "HISTORY");
	if (path_check(path, err) < 0)
		return -1;
	*ret_path = path;
	return 0;
}

void sync_part_pack(struct buf *buf, uint64_t node)
{
	pack_u64(buf, node);
}

int sync_part_unpack(struct str body, uint64_t *ret_node, struct err *err)
{
	struct unpack in = unpack_of(body);
	uint64_t node = unpack_u64(&in);

	if (unpack_end(&in) < 0)
		return malformed(err, "PART");
	*ret_node = node;
	return 0;
}

void sync_end_pack(struct buf *buf, const struct sync_end *end)
{
	pack_u32(buf, end->asked);
	pack_u32(buf, end->answered);
}

int sync_end_unpack(struct str body, struct sync_end *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct sync_end end;

	end.asked = unpack_u32(&in);
	end.answered = unpack_u32(&in);
	if (unpack_end(&in) < 0 || end.answered > end.asked)
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
