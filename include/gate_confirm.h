/*
 * gate_confirm - may a home tell that it has a gate?
 *
 * Who removes a directory lists it after its gate, and finds what stands
 * there.  Who brings its end from another group, or from an outbox, does not:
 * so a home tells that it has a gate only when the directory stands above that
 * gate, or nothing that may have been acknowledged stands in it here.
 *
 *	name	one that stands here, in order; none: done
 *	read	it is read as any reader would (check.h): what was deleted is
 *		nothing any more.  What only a minority has, and whose content is
 *		nowhere, is passed over for what is below it if every home
 *		answered and told of this gate: a majority that keeps it from now
 *		on tells its writer so.  What is not sure is not told of: whoever
 *		stores the gate asks again
 *	store	what stands is stored as by any writer (storing.h), which makes
 *		the directory's entry above the gate: done.  Else the next name
 *
 * The caller gives the names, since only he can wait for a disk.
 */
#ifndef COVEY_GATE_CONFIRM_H
#define COVEY_GATE_CONFIRM_H

#include "buf.h"
#include "check.h"
#include "storing.h"

struct gate_confirm {				/* embedded in what it belongs to */
	/* Find the next name that stands here, and call gate_confirm_found(). */
	void (*next)(struct gate_confirm *);
	/* It is over: the gate may be told of, or may not. */
	void (*done)(struct gate_confirm *, bool confirmed);
	struct buf directory;		/* owned */
	struct buf name;		/* owned; the whole path of the last name; empty: none yet */
	/* private */
	struct asker *asker;
	struct version gate;
	struct check_wait check;
	struct store_wait store;
};

/* next and done are set.  Calls next, or nothing. */
void gate_confirm_start(struct gate_confirm *, struct asker *, struct str gate_path, struct version gate);
/* path, all of it, is copied; empty: there is no other. */
void gate_confirm_found(struct gate_confirm *, struct str path, uint64_t now);
/* Safe after done(), where it does nothing. */
void gate_confirm_clear(struct gate_confirm *);

#endif
