/*
 * member - one node of the group, as this node sees it
 *
 * Where it is reached, how often it started, and whether it answers.  The
 * state decides whom to ask first and nothing else: members that have not
 * left all count as asked, whether they are up or not.
 *
 * What a member says of itself for the layout's sake (layout.h) travels
 * along: its group's lineage and epoch, its region and weight, whether it
 * wants to be a home, how far its disk remembers, and which start it is.
 *
 * A struct member may be copied by assignment.  Its packed form has the
 * same bounds everywhere: on the network, between roles, in members.ini.
 */
#ifndef COVEY_MEMBER_H
#define COVEY_MEMBER_H

#include "pack.h"
#include "sock.h"
#include "starts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMBERS_MAX 300			/* members in one view; it then fits one frame */
#define MEMBER_NAME_MAX 63		/* bytes of a name */
#define MEMBER_PROTOCOL 4		/* what this release speaks, on UDP */
#define MEMBER_REGION_MAX 15		/* bytes of a region: letters, digits, . - _ */
#define MEMBER_WEIGHT_MAX 16

enum member_state {
	MEMBER_UP = 1,
	MEMBER_SUSPECT,			/* not heard of for a few seconds */
	MEMBER_DOWN,
	MEMBER_LEFT,			/* gone for good: it left the layout and ended, or another has its address */
	MEMBER_INCOMPATIBLE,		/* alive, and speaks no protocol of ours */
	MEMBER_STOPPED,			/* said good-bye, and will come back */
	MEMBER_FORGOTTEN,		/* gone, and somebody said that it is to be forgotten: shown to nobody */
};

enum member_flag {
	MEMBER_GUEST = 1,		/* node.home: no */
	MEMBER_SILENT = 2,		/* it gives no answers as a home: it has just started, or */
	MEMBER_FORGOT = 4,		/* its disk forgot something, and it stays so */
	MEMBER_OTHER_KEY = 8,		/* only within a node: it cannot open what this member sends */
};

struct member {
	uint64_t id;
	uint64_t start;			/* how often it has started; kept on its disk */
	uint64_t heartbeat;		/* beats since that start */
	enum member_state state;
	uint8_t protocol_min, protocol_max;
	char name[MEMBER_NAME_MAX + 1];	/* for people; printable, may repeat */
	struct address http, discovery, versions;	/* len 0: none */
	uint64_t lineage;		/* of the group it has joined or founded; 0: none yet */
	uint32_t epoch;			/* of the newest layout it has; 0: none */
	uint32_t synced;		/* the same, when it has all its records for it; else 0 */
	uint32_t sequence;		/* only grows; kept on its disk: how far that remembers; 0: silent */
	uint8_t flags;			/* enum member_flag */
	uint8_t weight;			/* 1 to MEMBER_WEIGHT_MAX; 0: not said */
	char region[MEMBER_REGION_MAX + 1];
	uint64_t nonce;			/* of this start (starts.h); 0: not said */
	struct start spoke, before;	/* its last start that spoke as a home, and the one before */
	uint64_t seen;			/* s since 1970, by this node's clock: its last word; not packed */
};

/* "up", "suspect", "down", "left", "incompatible", "stopped", "forgotten" */
const char *member_state_name(enum member_state);
int member_state_parse(struct str, enum member_state *ret);
/* Nobody is there, by its own word or for good. */
bool member_is_gone(enum member_state);
bool member_is_away(enum member_state);		/* the same, or for all that is known */

/* Why it is silent, and what is to be done, in words; NULL: it is not. */
const char *member_silence(const struct member *);

/*
 * Newer is what has the greater (start, nonce, heartbeat): <0, 0, >0.  Of two
 * processes at one count, of a disk and its copy, so one is seen for good.
 */
int member_cmp_age(const struct member *, const struct member *);

/* What neither terminals nor INI files can mistake, at most MEMBER_NAME_MAX bytes; others become '?'. */
void member_set_name(struct member *, struct str);
/* 0, or -1: no region. */
int member_set_region(struct member *, struct str);

/* A failed reader gives a member of zeros. */
void member_pack(struct buf *, const struct member *);
void member_unpack(struct unpack *, struct member *ret);

/* An address in at most 19 bytes; len 0 is allowed. */
void pack_address(struct buf *, const struct address *);
void unpack_address(struct unpack *, struct address *ret);

/* All that this node knows, itself first.  May be moved by assignment. */
struct members {
	uint64_t self;			/* id; 0: nothing is known yet */
	struct member *list;		/* owned */
	size_t count;			/* with this node; 0 while nothing is known */
};
#define MEMBERS_INIT { .self = 0, .list = NULL, .count = 0 }

void members_clear(struct members *);		/* safe on MEMBERS_INIT */
void members_add(struct members *, const struct member *);
const struct member *members_find(const struct members *, uint64_t id);	/* NULL: unknown */
/* How many others have not left: the N of "peers=A/N". */
size_t members_asked(const struct members *);
/* Whether others were ever met, even if all have left: if not, this is a group of one. */
bool members_met(const struct members *);

#endif
