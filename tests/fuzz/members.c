/* Any bytes as members.ini: refused, or a view that a frame can carry. */
#include "members.h"

#include "discover_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str text = { (const char *)data, n };
	struct members members = MEMBERS_INIT, again = MEMBERS_INIT;
	struct buf packed = BUF_INIT;

	if (members_parse(text, "members.ini", &members, NULL) == 0) {
		if (members.count > MEMBERS_MAX || members_asked(&members) > members.count)
			abort();
		discover_members_pack(&packed, &members, 0);
		if (discover_members_unpack(buf_str(&packed), &again, NULL, NULL) < 0 ||
		    again.count != members.count)
			abort();
	}
	members_clear(&members);
	members_clear(&again);
	buf_clear(&packed);
	return 0;
}
