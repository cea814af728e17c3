/* discover_talk - the conversation on discover.sock: who is in the group */
#include "discover_talk.h"

void discover_members_pack(struct buf *buf, const struct members *members)
{
	pack_u64(buf, members->self);
	pack_u16(buf, (uint16_t)members->count);
	for (size_t i = 0; i < members->count; i++)
		member_pack(buf, &members->list[i]);
}

int discover_members_unpack(struct str body, struct members *ret, struct err *err)
{
	struct unpack in = unpack_of(body);
	struct members members = MEMBERS_INIT;
	size_t count;

	members.self = unpack_u64(&in);
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
	return 0;
}
