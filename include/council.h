/*
 * council - how layouts come into being and change
 *
 * From the newest layout on its disk, from the view and the time each node
 * judges what to do now:
 *
 *	FOUND	no group is to be found: be one
 *	FETCH	somebody has a newer layout, or one of another group: ask for it
 *	PROPOSE	a seat in the council: this should be the next layout (synod.h)
 *
 * Founding: without seeds after COUNCIL_SILENCE_MS alone; else when every
 * seed has answered, and none belongs to a group, the smallest id founds
 * at once.  A node whose seeds do not answer waits for them.
 *
 * A group of one member is solo.  Unless it was forced it gives itself up for
 * any larger group of the same key that it meets, and for a solo one whose
 * member has the smaller id; but for none of whose council no majority is up and
 * still there.  Two others stay apart; people have to know.
 *
 * A forced layout (layout_force()) leaves the lineage that it comes from.  A
 * node of that lineage follows it when it has seen no majority of its own
 * council for COUNCIL_DEAD_MS; a guest, or one that the layout names as a
 * member because whoever forced it saw it up, after COUNCIL_NAMED_MS.  All
 * others stay apart from it, whatever their size, until a person wants a node to
 * go over (council_want).  What only one side knows it brings along: the
 * caller's.
 *
 * A single layout is followed by a joint one when a guest wants to be a home,
 * a member wants to be a guest (so it leaves), was away for COUNCIL_DEAD_MS, or
 * another node lives at its address.  A joint one is followed by set B alone
 * when for each partition a majority of B's homes has all records, and those
 * that leave have handed over what they keep; or by set A alone when the former
 * cannot be for COUNCIL_STUCK_MS, or when who was to leave wants to stay.  Of
 * the council the live member with the smallest id proposes, the others somewhat
 * later.
 *
 * Changing `homes` goes by steps of one, each through a joint layout of the
 * same members, so that there is no majority without somebody who knows.
 * For the same reason a member gets another region by leaving and joining.
 *
 *	council_init, council_told(layout on disk)
 *	council_step()...		at its `due`, and whenever the view changed
 *	council_meet(layout heard of)	whether to take it
 *	council_want(lineage)		a person wants this node to be of that one
 *
 * Pure: `now` is a parameter, ms on any clock that does not go back.
 */
#ifndef COVEY_COUNCIL_H
#define COVEY_COUNCIL_H

#include "layout.h"
#include "view.h"

#define COUNCIL_SILENCE_MS 2000
#define COUNCIL_SMALL 5			/* fewer members: who joins need not wait */
#define COUNCIL_SMALL_MS 200		/* for others that join at the same time */
#define COUNCIL_COLLECT_MS 10000
#define COUNCIL_RANK_MS 1500		/* between the tries of one member and the next */
#define COUNCIL_UNFINISHED_MS 2000	/* a layout that somebody began to agree on is finished by others */
#define COUNCIL_STUCK_MS 30000
#define COUNCIL_BACK_MS 3000		/* after which who was to leave may stay: that it wants to is not old news */
#define COUNCIL_SLOW_MS 600000		/* the same while all that is needed are up */
#define COUNCIL_BARRED_MS 60000		/* a change that was given up is not tried again; doubled each time */
#define COUNCIL_DEAD_MS 3600000
#define COUNCIL_ASKED_MS 3000		/* how long a person's wish is remembered; it is told again and again */
#define COUNCIL_NAMED_MS 2000
#define COUNCIL_HAD 16			/* layouts of late whose numbers are remembered */

struct council_seeds {
	size_t count, answered;		/* this node itself left out */
};

enum council_act { COUNCIL_REST, COUNCIL_FOUND, COUNCIL_FETCH, COUNCIL_PROPOSE };

struct council_step {
	enum council_act act;
	uint64_t due;			/* ms: to be called again by then; 0: when something changes */
	struct layout layout;		/* FOUND (its lineage is the caller's to choose), PROPOSE */
	uint64_t from;			/* FETCH: a member */
	const char *why;		/* PROPOSE: for people */
};

enum council_meeting { COUNCIL_KEEP, COUNCIL_ADOPT, COUNCIL_APART };

struct council {
	uint64_t self;
	struct layout_numbers founding;	/* all given */
	struct layout layout;		/* the newest on disk */
	/* private */
	uint64_t began;			/* ms: since then without a group */
	uint64_t stepped, fetched;	/* ms: the last step, the last FETCH */
	uint64_t foreign_since;		/* ms: when another group was first seen; 0: none */
	uint64_t joiners_since;		/* ms: when somebody wanted to join; 0: nobody does */
	uint64_t lost_ms;		/* how long no majority of the council was seen */
	uint64_t offer;			/* a lineage that left this one; 0: none was met */
	bool offer_names;		/* this node as a member; or it is a guest here */
	uint64_t wanted, wanted_until;	/* a lineage to go over to; ms */
	uint64_t wish_since, unfinished_since;
	uint64_t joint_since, joint_moved;
	size_t joint_synced;		/* of set B */
	bool joint_ready;
	struct layout_numbers asked;
	uint64_t asked_until;
	uint64_t dead_ms[LAYOUT_MEMBERS_MAX];	/* of layout.members: how long each was seen away */
	struct council_barred {
		uint64_t id, until, wait;
	} barred[LAYOUT_MEMBERS_MAX];
	size_t barred_count;
	struct council_had {		/* of single layouts of this lineage that were used here */
		uint64_t epoch;
		struct layout_numbers numbers;
	} had[COUNCIL_HAD];
	size_t had_count;
};

void council_init(struct council *, uint64_t self, const struct layout_numbers *founding,
		  uint64_t now);
/* This layout is on disk now. */
void council_told(struct council *, const struct layout *, uint64_t now);
/* What a layout that was heard of means. */
enum council_meeting council_meet(struct council *, const struct view *,
				  const struct layout *theirs);
/* A person wants this node to go over to that lineage: told again and again, as council_ask() is. */
void council_want(struct council *, uint64_t lineage, uint64_t now);
/*
 * Whether the layout, or one before it from that epoch on, had these numbers:
 * another wish may have been fulfilled since.
 */
bool council_agreed(const struct council *, const struct layout_numbers *, uint64_t since);
/* A person wants them of the layout after this one: forgotten with the next council_told(); NULL: no more. */
void council_ask(struct council *, const struct layout_numbers *, uint64_t now);
/* accepted: what this node has accepted for the next epoch (synod.h), or NULL. */
void council_step(struct council *, const struct view *, const struct council_seeds *,
		  const struct layout *accepted, uint64_t now, struct council_step *ret);
/*
 * The layout of those members that are up and of this lineage, when the
 * majority of the council is lost for good: the first of a lineage of its own.
 * 0, or -1: it is not lost, or this is no member.  Whatever only others knew
 * is lost, unless they come over.
 */
int council_force(const struct council *, const struct view *, struct layout *ret, struct err *);

#endif
