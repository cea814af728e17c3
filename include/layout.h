/*
 * layout - who keeps what: the numbered agreement of a group
 *
 * A layout names the members that share the records and contents of the
 * group.  From it every node computes, without asking anybody, the same
 *
 *	homes of a partition	the first `homes` members in rendezvous order:
 *				each knows every record of its partitions
 *	keepers of a path	the first `copies` members in rendezvous order of
 *				the path: each keeps the content of its versions
 *
 * both from distinct regions first.  Layouts of one lineage are numbered by
 * epochs, one each, agreed on by the council of the one before (synod.h).
 * While the members change a layout is joint: then every question needs a
 * majority of the homes in set A and in set B (joint consensus: Ongaro and
 * Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014).
 *
 * Where a majority of the council is lost for good people can force a layout
 * of what is left.  It begins a lineage of its own, and says as long as that
 * lasts which one it left at which epoch.
 *
 * Rendezvous hashing is Thaler and Ravishankar's, "Using Name-Based Mappings
 * to Increase Hit Rates", 1998: the score of a member for a key is
 * layout_mix(layout_mix(key) ^ id), the greatest score is first, ties go to
 * the smaller id.  For a keeper of weight w it is the greatest of the w
 * scores of layout_mix(key) ^ layout_mix(id + i), i = 0..w-1, so that a
 * member's share grows with its weight.  tests/unit/layout.c has vectors.
 *
 * A struct layout may be copied by assignment.  No sockets, no clocks.
 */
#ifndef COVEY_LAYOUT_H
#define COVEY_LAYOUT_H

#include "member.h"
#include "path.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAYOUT_MEMBERS_MAX 64		/* so that a layout fits one packet; more nodes are guests */
#define LAYOUT_HOMES_MAX 7
#define LAYOUT_COPIES_MAX 7
#define LAYOUT_REGIONS_MAX 8		/* names; members of further regions count as without */
#define LAYOUT_COUNCIL_MAX 5
#define LAYOUT_PARTITIONS PARTITIONS
#define LAYOUT_PACKED_MAX 900		/* bytes of a packed layout */

enum layout_set { LAYOUT_A = 1, LAYOUT_B = 2 };

struct layout_member {
	uint64_t id;
	uint8_t sets;			/* of enum layout_set; not 0 */
	bool council;			/* decides about the next layout; of set A */
	uint8_t weight;			/* 1 to MEMBER_WEIGHT_MAX */
	uint8_t region;			/* in regions; 0: none */
};

struct layout {
	uint64_t lineage;		/* random, made at founding; forced: layout_force(); 0: no layout */
	uint64_t epoch;			/* from 1 */
	uint64_t left_lineage, left_epoch;	/* what the lineage was forced away from; 0: it was founded */
	uint8_t homes, copies;
	uint32_t keep_versions;		/* of a path; at least 1 */
	uint32_t keep_days;		/* of contents; 0: for ever */
	struct layout_member members[LAYOUT_MEMBERS_MAX];	/* sorted by id */
	size_t count;
	char regions[LAYOUT_REGIONS_MAX + 1][MEMBER_REGION_MAX + 1];	/* [0] is "" */
	size_t region_count;		/* without [0] */
};
/* What people choose of it.  0: as it is (keep_days: UINT32_MAX). */
struct layout_numbers {
	uint8_t homes, copies;
	uint32_t keep_versions, keep_days;
};

#define LAYOUT_NONE ((struct layout){ .epoch = 0 })

bool layout_is_joint(const struct layout *);
bool layout_is_solo(const struct layout *);	/* of one member, that is not about to change */
/* NULL: not a member. */
const struct layout_member *layout_find(const struct layout *, uint64_t id);
size_t layout_members(const struct layout *, enum layout_set);	/* how many */
bool layout_has_seat(const struct layout *, uint64_t id);	/* in the council */
bool layout_eq(const struct layout *, const struct layout *);

/*
 * Add a member or change it (sets, weight, region name).  0, or -1: there is
 * no room for it.  Its place in the council is layout_seat()'s to give.
 */
int layout_put(struct layout *, uint64_t id, uint8_t sets, uint8_t weight, const char *region);
void layout_remove(struct layout *, uint64_t id);
/* Give the council's seats: those of set A that had one keep it, then the smallest ids. */
void layout_seat(struct layout *);
/* The layout of the next epoch with this set alone; *ret may not be the first. */
void layout_single(const struct layout *, enum layout_set, struct layout *ret);
/*
 * Make it the first of a new lineage, which leaves this one.  The new number
 * is BLAKE2b of the lineage and epoch left and of the ids of its members (8
 * bytes each, in network order; the first 8 bytes of 16, made odd): who forces
 * the same of the same makes the same.  Its members are in set A alone.
 */
void layout_force(struct layout *);

/* The mixer of splitmix64. */
uint64_t layout_mix(uint64_t);

/* Members in order, best first. */
struct layout_order {
	uint64_t ids[LAYOUT_MEMBERS_MAX];
	size_t count;
};

/* The homes of a partition in one set: at most layout->homes. */
void layout_homes(const struct layout *, enum layout_set, unsigned partition,
		  struct layout_order *ret);
/*
 * All members in a path's keeping order; the first layout_copies() are its
 * keepers.  Of set B while joint: there the content will be looked for.
 */
void layout_keepers(const struct layout *, struct str path, struct layout_order *ret);
/* It is among those: a member, while joint of set B. */
bool layout_may_keep(const struct layout *, uint64_t id);
/* min(copies, members) */
size_t layout_copies(const struct layout *);
/* What this node makes has to be on so many disks besides its own, which counts if it is no member, too. */
size_t layout_copies_beside(const struct layout *, uint64_t id);
bool layout_keeps(const struct layout *, struct str path, uint64_t id);

/* At most LAYOUT_PACKED_MAX bytes; LAYOUT_NONE packs too.  Unpacking judges it whole. */
void layout_pack(struct buf *, const struct layout *);
void layout_unpack(struct unpack *, struct layout *ret);

#endif
