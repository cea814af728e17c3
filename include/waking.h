/*
 * waking - what a start does about what others remember of its node
 *
 * A start that has a layout says nothing as a home until one of the others in
 * that has told what it remembers.  One that may act alone waits WAKING_SURE_MS
 * for somebody who tells of a later layout, no longer: it may be a copy of a disk
 * from before the group grew, but the others may be gone for good, and nobody
 * else can decide to go on without them.  Then
 *
 *	SILENCE		others remember what its disk does not know (starts.h),
 *			or a sequence beyond what a careless disk may lose: it
 *			answers as no home until the node is renewed
 *	SPEAK		nobody remembers anything: it answers.  Where the process
 *			before it said no good-bye that may still run, and this
 *			be a copy of its disk: so long WAKING_SURE_MS pass first
 *	RAISE		others know a later start of this node.  Who speaks counts
 *			on above its copy, by which the copy hears of it; who does
 *			not lets the other be while that lives, and says nothing,
 *			unless the other is silent for good and it is not itself
 *
 * SPEAK is to be on disk before anybody hears of it.  RAISE is told at once,
 * however slow the disk is: a count promises nothing, and after a crash this
 * node counts on once more.  That it spoke by that count, which silences the
 * copy for good, is told when it is on disk.
 *
 * Calling sequence: waking_begin() at the start, waking_recognized() when one
 * of the layout's others has told what it remembers of this node, and after
 * anything that was heard, and when due, waking_step().
 *
 * Pure: `now` is a parameter, ms on any clock that does not go back.
 */
#ifndef COVEY_WAKING_H
#define COVEY_WAKING_H

#include "layout.h"
#include "view.h"

#define WAKING_SURE_MS 2000
#define WAKING_RAISE_MS 500		/* two nodes with one id outdo each other no faster */
#define WAKING_BEHIND_MAX 2		/* saves of the sequence that a careless disk may lose */

enum waking_act { WAKING_REST, WAKING_SILENCE, WAKING_SPEAK, WAKING_RAISE };

struct waking {
	bool silent;			/* for good */
	bool ended_well;		/* the process before this one did, at this address: it runs no more */
	bool recognized;
	uint64_t waits;			/* ms: since when, for whoever may still run */
	uint64_t heard;			/* ms: when last recognized */
	uint64_t raised;		/* ms: when last; 0: never */
};

struct waking_step {
	enum waking_act act;
	const char *why;		/* SILENCE */
	uint64_t above;			/* RAISE: count on from above this */
	bool waited;			/* REST: for WAKING_SURE_MS, and it may not speak yet */
	uint64_t due;			/* ms: when to step again at the latest; 0: never */
};

void waking_begin(struct waking *, bool silent, bool ended_well, uint64_t now);
void waking_recognized(struct waking *, uint64_t now);
/* Another process that is this node, lives, may speak and outdoes it: one that does not speak waits for its end. */
bool waking_has_rival(const struct view *, uint64_t now);

/*
 * view->self is as on disk, the layout and the sequence too (at the start that
 * was raised by one).
 */
void waking_step(struct waking *, const struct view *, const struct layout *, uint64_t sequence,
		 uint64_t now, struct waking_step *ret);

#endif
