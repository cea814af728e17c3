/*
 * view - the members of the group, as this node has heard of them
 *
 * Every member raises a counter with each beat and its start count with
 * each start, and only it does: the greater (start, nonce, heartbeat) is the
 * newer word, whoever brings it, and only a newer word changes anything.
 * So packets may be lost, doubled, reordered or replayed.  Whether a
 * member is up each node judges by itself: by when it last heard a newer
 * word.  The exceptions are STOPPED and LEFT, which a member says of itself.
 *
 * The greatest sequence that a member ever told, and its last start that
 * spoke (starts.h), stay remembered, and are told on, whatever it says
 * later: so a disk that forgot is found out.
 *
 * Of two processes of one start, of a disk and its copy, the newer word is the
 * member's; the other's stays remembered for a while, for the one that asks.
 *
 * A member whose address another, living one has taken counts as left
 * (a node that was formatted anew).  One that has left or is forgotten makes
 * room when there are MEMBERS_MAX; else the caller drops who is long gone.
 *
 * Pure: `now` is a parameter, ms on any clock that does not go back.
 */
#ifndef COVEY_VIEW_H
#define COVEY_VIEW_H

#include "member.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIEW_SUSPECT_MS 2500		/* without a newer word */
#define VIEW_DOWN_MS 6000

struct view_entry {
	struct member member;		/* state is this node's judgement */
	uint64_t heard;			/* ms: when its word last got newer */
	int64_t ahead;			/* ns that its clock is ahead of this node's */
	bool clock_known;
	bool other_key;			/* what it sends does not open; this and the next are the caller's to say */
	uint64_t opened;		/* ms: when something from it opened; 0: never */
	struct member overtaken;	/* the last word of another process of one start; id 0: none */
	uint64_t overtaken_heard;	/* ms: when that last got newer */
};

struct view {
	struct member self;
	struct view_entry *entries;	/* the others; owned */
	size_t count;
	uint64_t changes;		/* grows when something people see changes */
	uint64_t returns;		/* grows when a member is up that was not, or was unknown */
	uint64_t outdone;		/* a start of ours that others know and we do not, or 0 */
	bool forgotten;			/* others know a start of ours that spoke, and we do not */
	uint64_t recalled;		/* the greatest sequence of ours that others know */
	struct member twin;		/* the newest word of another process with our id; id 0: none */
	uint64_t twin_heard;		/* ms: when that last got newer */
	uint64_t ticked;		/* ms: the last view_tick() */
};

void view_init(struct view *, const struct member *self, uint64_t now);
void view_clear(struct view *);

/* What was known before this start; members that were up have time to show again. */
void view_load(struct view *, const struct members *, uint64_t now);

/* One more heartbeat of this node. */
void view_beat(struct view *);
/* Count on from a start of ours that others remember: as in view->self.start. */
void view_restart(struct view *, uint64_t start);
/* Another process with our id may live: its word got newer lately. */
bool view_may_live_twice(const struct view *, uint64_t now);

/*
 * A word about a member.  direct: it comes from the member itself; else
 * its state is what somebody else thinks.  True when it was news.
 */
bool view_hear(struct view *, const struct member *, bool direct, uint64_t now);

/* Another process than the one that asks, of its id and start, that may live; NULL: none is known. */
const struct member *view_overtaken(const struct view *, const struct member *asker, uint64_t now);

/* A member said what time it is: so far ahead of this node's clock. */
void view_clock(struct view *, uint64_t id, int64_t ahead);
/* What to add to this node's clock to have the lower median of all that are up; `last` while alone. */
int64_t view_offset(const struct view *, int64_t last);

/* Judge who is suspect or down.  To be called every VIEW_SUSPECT_MS / 4 or oftener. */
void view_tick(struct view *, uint64_t now);

/* One of the others that is not up: nobody is to be shown it any more, until it says a newer word. */
void view_forget(struct view *, uint64_t id);

/* One of the others; NULL: never heard of. */
struct view_entry *view_entry(const struct view *, uint64_t id);
/* Any member, this node too; NULL: never heard of. */
const struct member *view_member(const struct view *, uint64_t id);
/* All members, this node first; but for those that are forgotten. */
void view_members(const struct view *, struct members *ret);
/* The same with those, for view_load(). */
void view_memory(const struct view *, struct members *ret);

#endif
