/* discover_talk - the conversation on discover.sock: the group and its layout */
#include "discover_talk.h"

static int malformed(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID, "read %s: malformed", what);
}

void discover_members_pack(struct buf *buf, const struct members *members, int64_t offset)
{
	pack_u64(buf, members->self);
	pack_u64(buf, (uint64_t)offset);
	pack_u16(buf, (uint16_t)members->count);
	for (size_t i = 0; i < members->count; i++)
		member_pack(buf, &members->list[i]);
}

int discover_members_unpack(struct str body, struct members *ret, int64_t *ret_offset,
			    struct err *err)
{
	struct unpack in = unpack_of(body);
	struct members members = MEMBERS_INIT;
	int64_t offset;
	size_t count;

	members.self = unpack_u64(&in);
	offset = (int64_t)unpack_u64(&in);
	count = unpack_u16(&in);
	for (size_t i = 0; i < count && i < MEMBERS_MAX && !in.failed; i++) {
		struct member member;

		member_unpack(&in, &member);
		members_add(&members, &member);
	}
	if (unpack_end(&in) < 0) {
		members_clear(&members);
		return malformed(err, "MEMBERS");
	}
	members_clear(ret);
	*ret = members;
	if (ret_offset != NULL)
		*ret_offset = offset;
	return 0;
}

void discover_layout_pack(struct buf *buf, const struct layout *layout)
{
	layout_pack(buf, layout);
}

int discover_layout_unpack(struct str body, struct layout *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct layout layout;

	layout_unpack(&in, &layout);
	if (unpack_end(&in) < 0)
		return malformed(err, "LAYOUT");
	*ret = layout;
	return 0;
}

void discover_behind_pack(struct buf *buf, const struct discover_behind *behind)
{
	pack_u64(buf, behind->epoch);
	pack_u64(buf, behind->node);
	pack_address(buf, &behind->from);
}

int discover_behind_unpack(struct str body, struct discover_behind *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct discover_behind behind;

	behind.epoch = unpack_u64(&in);
	behind.node = unpack_u64(&in);
	unpack_address(&in, &behind.from);
	if (unpack_end(&in) < 0)
		return malformed(err, "BEHIND");
	*ret = behind;
	return 0;
}

void discover_synced_pack(struct buf *buf, uint64_t epoch)
{
	pack_u64(buf, epoch);
}

int discover_synced_unpack(struct str body, uint64_t *ret_epoch, struct err *err)
{
	struct unpack in = unpack_of(body);
	uint64_t epoch = unpack_u64(&in);

	if (unpack_end(&in) < 0)
		return malformed(err, "SYNCED");
	*ret_epoch = epoch;
	return 0;
}

void discover_change_pack(struct buf *buf, const struct discover_change *change)
{
	pack_u8(buf, (uint8_t)change->what);
	pack_u8(buf, change->homes);
	pack_u8(buf, change->copies);
	pack_u32(buf, change->keep_versions);
	pack_u32(buf, change->keep_days);
	pack_u32(buf, change->within_ms);
	pack_u64(buf, change->lineage);
	pack_u64(buf, change->node);
}

int discover_change_unpack(struct str body, struct discover_change *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct discover_change change;
	uint8_t what = unpack_u8(&in);

	change.homes = unpack_u8(&in);
	change.copies = unpack_u8(&in);
	change.keep_versions = unpack_u32(&in);
	change.keep_days = unpack_u32(&in);
	change.within_ms = unpack_u32(&in);
	change.lineage = unpack_u64(&in);
	change.node = unpack_u64(&in);
	if (unpack_end(&in) < 0 || what < CHANGE_SET || what > CHANGE_FORGET ||
	    (what == CHANGE_ADOPT) != (change.lineage != 0) ||
	    (what == CHANGE_FORGET) != (change.node != 0) ||
	    change.homes > LAYOUT_HOMES_MAX || change.copies > LAYOUT_COPIES_MAX)
		return malformed(err, "CHANGE");
	change.what = what;
	*ret = change;
	return 0;
}
