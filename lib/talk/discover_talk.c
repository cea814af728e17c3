/* discover_talk - the conversation on discover.sock: the group and its layout */
#include "discover_talk.h"

#include "message_table.h"

/* The one message that owns memory, and so has no table. */
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
		return err_set(err, ERR_INVALID, "read MEMBERS: malformed");
	}
	members_clear(ret);
	*ret = members;
	if (ret_offset != NULL)
		*ret_offset = offset;
	return 0;
}

MESSAGE_TABLE(discover_layout, struct layout, "LAYOUT", NULL,
	      VALUE(FIELD_LAYOUT, 0, struct layout, 0, 0));

MESSAGE_TABLE(discover_behind, struct discover_behind, "BEHIND", NULL,
	      U64(struct discover_behind, epoch), U64(struct discover_behind, node),
	      ADDRESS(struct discover_behind, from));

MESSAGE_TABLE(discover_synced, uint64_t, "SYNCED", NULL,
	      VALUE(FIELD_NUMBER, 8, uint64_t, 0, UINT64_MAX));

static bool change_is_sound(const void *from)
{
	const struct discover_change *change = from;

	return (change->what == CHANGE_ADOPT) == (change->lineage != 0) &&
	       (change->what == CHANGE_FORGET) == (change->node != 0);
}

MESSAGE_TABLE(discover_change, struct discover_change, "CHANGE", change_is_sound,
	      NUMBER(1, struct discover_change, what, CHANGE_SET, CHANGE_FORGET),
	      NUMBER(1, struct discover_change, homes, 0, LAYOUT_HOMES_MAX),
	      NUMBER(1, struct discover_change, copies, 0, LAYOUT_COPIES_MAX),
	      U32(struct discover_change, keep_versions), U32(struct discover_change, keep_days),
	      U32(struct discover_change, within_ms), U64(struct discover_change, lineage),
	      U64(struct discover_change, node));

const struct message *const discover_messages[] = {
	&discover_layout_message, &discover_behind_message, &discover_synced_message,
	&discover_change_message, NULL,
};
