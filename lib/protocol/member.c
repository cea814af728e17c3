/* member - one node of the group, as this node sees it */
#include "member.h"

#include "mem.h"

#include <netinet/in.h>

static const struct {
	enum member_state state;
	const char *name;
} states[] = {
	{ MEMBER_UP, "up" },
	{ MEMBER_SUSPECT, "suspect" },
	{ MEMBER_DOWN, "down" },
	{ MEMBER_LEFT, "left" },
	{ MEMBER_INCOMPATIBLE, "incompatible" },
	{ MEMBER_STOPPED, "stopped" },
	{ MEMBER_FORGOTTEN, "forgotten" },
};
#define STATES (sizeof states / sizeof states[0])

const char *member_state_name(enum member_state state)
{
	for (size_t i = 0; i < STATES; i++)
		if (states[i].state == state)
			return states[i].name;
	return "unknown";
}

int member_state_parse(struct str text, enum member_state *ret)
{
	for (size_t i = 0; i < STATES; i++) {
		if (str_eq(text, str_of(states[i].name))) {
			*ret = states[i].state;
			return 0;
		}
	}
	return -1;
}

bool member_is_gone(enum member_state state)
{
	return state == MEMBER_LEFT || state == MEMBER_STOPPED || state == MEMBER_FORGOTTEN;
}

bool member_is_away(enum member_state state)
{
	return member_is_gone(state) || state == MEMBER_DOWN;
}

const char *member_silence(const struct member *member)
{
	if (member->flags & MEMBER_FORGOT)
		return "its disk does not know what others remember of this node: it was put back "
		       "from a copy, or is one; stop it and say covey node renew";
	if (member->flags & MEMBER_SILENT)
		return "it has just started, and waits until another home has told what it remembers "
		       "of it, or another process with its id is gone";
	return NULL;
}

int member_cmp_age(const struct member *a, const struct member *b)
{
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->nonce != b->nonce)
		return a->nonce < b->nonce ? -1 : 1;
	if (a->heartbeat != b->heartbeat)
		return a->heartbeat < b->heartbeat ? -1 : 1;
	return 0;
}

void member_set_name(struct member *member, struct str name)
{
	size_t n = name.n < MEMBER_NAME_MAX ? name.n : MEMBER_NAME_MAX;

	for (size_t i = 0; i < n; i++) {
		char c = name.s[i];

		member->name[i] = c > ' ' && c <= '~' && c != ';' ? c : '?';
	}
	memset(member->name + n, 0, sizeof member->name - n);
}

static bool is_region(struct str region)
{
	for (size_t i = 0; i < region.n; i++) {
		char c = region.s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '-' || c == '_'))
			return false;
	}
	return region.n <= MEMBER_REGION_MAX;
}

int member_set_region(struct member *member, struct str region)
{
	if (!is_region(region))
		return -1;
	memset(member->region, 0, sizeof member->region);
	if (region.n > 0)
		memcpy(member->region, region.s, region.n);
	return 0;
}

/* One byte of family (0, 4 or 6), the address, the port. */
void pack_address(struct buf *buf, const struct address *address)
{
	if (address->len != 0 && address->sa.ss_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, &address->sa, sizeof in);
		pack_u8(buf, 4);
		pack_bytes(buf, &in.sin_addr, sizeof in.sin_addr);
		pack_bytes(buf, &in.sin_port, sizeof in.sin_port);
	} else if (address->len != 0 && address->sa.ss_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, &address->sa, sizeof in6);
		pack_u8(buf, 6);
		pack_bytes(buf, &in6.sin6_addr, sizeof in6.sin6_addr);
		pack_bytes(buf, &in6.sin6_port, sizeof in6.sin6_port);
	} else {
		pack_u8(buf, 0);
	}
}

void unpack_address(struct unpack *in, struct address *ret)
{
	struct address address;
	uint8_t family = unpack_u8(in);

	memset(&address, 0, sizeof address);
	if (family == 4) {
		struct sockaddr_in in4 = { .sin_family = AF_INET };

		unpack_bytes(in, &in4.sin_addr, sizeof in4.sin_addr);
		unpack_bytes(in, &in4.sin_port, sizeof in4.sin_port);
		memcpy(&address.sa, &in4, sizeof in4);
		address.len = sizeof in4;
	} else if (family == 6) {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

		unpack_bytes(in, &in6.sin6_addr, sizeof in6.sin6_addr);
		unpack_bytes(in, &in6.sin6_port, sizeof in6.sin6_port);
		memcpy(&address.sa, &in6, sizeof in6);
		address.len = sizeof in6;
	} else if (family != 0) {
		in->failed = true;
	}
	if (in->failed)
		memset(&address, 0, sizeof address);
	*ret = address;
}

/* Packed among the flags. */
#define STARTS 64			/* its starts follow */
#define SYNCED 128			/* for this epoch */
#define FLAGS (MEMBER_GUEST | MEMBER_SILENT | MEMBER_FORGOT | MEMBER_OTHER_KEY)

#define NONE UINT32_MAX			/* for how far back a start is: there is none */

static bool is_synced(const struct member *member)
{
	return member->epoch != 0 && member->synced == member->epoch;
}

/* How far before a later one; its count, or 0 where that cannot be said. */
static uint64_t pack_start(struct buf *buf, struct start start, uint64_t later)
{
	bool none = start.count == 0 || start.count > later || later - start.count >= NONE;

	pack_u32(buf, none ? NONE : (uint32_t)(later - start.count));
	pack_u64(buf, none ? 0 : start.nonce);
	return none ? 0 : start.count;
}

static struct start unpack_start(struct unpack *in, uint64_t later)
{
	uint32_t back = unpack_u32(in);
	uint64_t nonce = unpack_u64(in);

	if (back == NONE && nonce == 0)
		return (struct start){ 0, 0 };
	if (back >= later)
		in->failed = true;
	return (struct start){ later - back, nonce };
}

void member_pack(struct buf *buf, const struct member *member)
{
	uint64_t spoke;

	pack_u64(buf, member->id);
	pack_u64(buf, member->start);
	pack_u64(buf, member->heartbeat);
	pack_u8(buf, (uint8_t)member->state);
	pack_u8(buf, member->protocol_min);
	pack_u8(buf, member->protocol_max);
	pack_str(buf, str_of(member->name));
	pack_address(buf, &member->http);
	pack_address(buf, &member->discovery);
	pack_address(buf, &member->versions);
	pack_u64(buf, member->lineage);
	pack_u32(buf, member->epoch);
	pack_u32(buf, member->sequence);
	pack_u8(buf, (uint8_t)(member->flags | (member->nonce != 0 ? STARTS : 0) |
			       (is_synced(member) ? SYNCED : 0)));
	pack_u8(buf, member->weight);
	pack_str(buf, str_of(member->region));
	if (member->nonce == 0)
		return;
	pack_u64(buf, member->nonce);
	spoke = pack_start(buf, member->spoke, member->start);
	pack_start(buf, member->before, spoke);
}

/* What it says for the layout's sake. */
static void unpack_standing(struct unpack *in, struct member *ret)
{
	uint8_t flags;

	ret->lineage = unpack_u64(in);
	ret->epoch = unpack_u32(in);
	ret->sequence = unpack_u32(in);
	flags = unpack_u8(in);
	ret->flags = flags & FLAGS;
	ret->synced = flags & SYNCED ? ret->epoch : 0;
	ret->weight = unpack_u8(in);
	if (member_set_region(ret, unpack_str(in, MEMBER_REGION_MAX)) < 0 ||
	    ret->weight > MEMBER_WEIGHT_MAX || flags & ~(FLAGS | STARTS | SYNCED) ||
	    (flags & SYNCED && ret->epoch == 0))
		in->failed = true;
	if (!(flags & STARTS))
		return;
	ret->nonce = unpack_u64(in);
	ret->spoke = unpack_start(in, ret->start);
	ret->before = unpack_start(in, ret->spoke.count);
	if (ret->nonce == 0)
		in->failed = true;
}

void member_unpack(struct unpack *in, struct member *ret)
{
	struct member member;
	uint8_t state;

	memset(&member, 0, sizeof member);
	member.id = unpack_u64(in);
	member.start = unpack_u64(in);
	member.heartbeat = unpack_u64(in);
	state = unpack_u8(in);
	member.protocol_min = unpack_u8(in);
	member.protocol_max = unpack_u8(in);
	member_set_name(&member, unpack_str(in, MEMBER_NAME_MAX));
	unpack_address(in, &member.http);
	unpack_address(in, &member.discovery);
	unpack_address(in, &member.versions);
	unpack_standing(in, &member);
	if (member.id == 0 || state < MEMBER_UP || state > MEMBER_FORGOTTEN ||
	    member.protocol_min > member.protocol_max)
		in->failed = true;
	member.state = (enum member_state)state;
	if (in->failed)
		memset(&member, 0, sizeof member);
	*ret = member;
}

void members_clear(struct members *members)
{
	free(members->list);
	*members = (struct members)MEMBERS_INIT;
}

void members_add(struct members *members, const struct member *member)
{
	members->list = mem_resize(members->list, members->count + 1, sizeof *members->list);
	members->list[members->count++] = *member;
}

const struct member *members_find(const struct members *members, uint64_t id)
{
	for (size_t i = 0; i < members->count; i++)
		if (members->list[i].id == id)
			return &members->list[i];
	return NULL;
}

size_t members_asked(const struct members *members)
{
	size_t asked = 0;

	for (size_t i = 0; i < members->count; i++)
		if (members->list[i].id != members->self && members->list[i].state != MEMBER_LEFT)
			asked++;
	return asked;
}

bool members_met(const struct members *members)
{
	for (size_t i = 0; i < members->count; i++)
		if (members->list[i].id != members->self)
			return true;
	return false;
}
