/*
 * check - asking which version of a path is the newest
 *
 * READ, WRITE and BELOW ask the path's homes (version_talk.h says what for).
 * A check goes through these states:
 *
 *	asking	all homes are asked, this node among them; those that stay
 *		silent again after 20, 60, 180 ms and so on.  A majority ends it:
 *		WRITE is confirmed; so are READ and BELOW if a majority holds
 *		the newest version that anybody told (this node's own counts
 *		into that even when it is no home), or, of READ, if the entry hides it.
 *	storing	else the newest is stored at the homes that are behind, when
 *		its content is durable somewhere: at a majority, confirmed.
 *		When its content was found nowhere: undecided, as soon as
 *		every home that can be waited for has answered.  If all have
 *		(answered == homes), it was never confirmed: ask BELOW it.
 *
 * Before all that the directory's newest record, the entry, which homes alone
 * tell of, is stored at a majority if only a minority told it, for whatever
 * purpose: then the check begins again, or ends, if no more is to be known.
 * What is stored so and live has its directories above confirmed afterwards
 * (storing.h); nobody waits for that.
 *
 * Reading at a majority and writing back what only a minority holds is the
 * shared register of Attiya, Bar-Noy and Dolev, "Sharing Memory Robustly in
 * Message-Passing Systems", 1995; a writer asks first (WRITE), then stores
 * above what it heard, as in Lynch and Shvartsman's of many writers, "Robust
 * Emulation of Shared Memory Using Dynamic Quorum-Acknowledged Broadcasts", 1997.
 *
 * Where this node holds an older version and is no home, READ that was
 * confirmed has it keep the newer record.
 *
 * A majority that is slow (CHECK waits ASKER_SHORT_WAIT_MS and two round trips)
 * or cannot be had is no reason to know nothing: up to PEERS_ASKED_MAX live
 * nodes are asked for what they know, beside the homes.  Time over, or
 * nobody left to wait for: unconfirmed, the newest of all answers.
 *
 * A home that has a newer layout ends nothing: the check begins again when
 * this node has that layout, too.
 *
 * ONE asks the path's homes and keepers and the version's origin for one
 * version, then the others; HOLDERS asks these as well, and waits for all;
 * LOOK asks all live nodes what they have of the path and waits for them, so
 * that a person can see who has what.
 *
 * One check is in flight per path, purpose and version; who comes after it
 * was sent might miss what was written since, and joins the next one.
 *
 * Every wait ends within two times timeouts.check (or four of the slowest
 * home's measured round trip, if that is longer), each newer layout counted anew.
 */
#ifndef COVEY_CHECK_H
#define COVEY_CHECK_H

#include "asker.h"
#include "list.h"

#define CHECK_ROWS_MAX (2 * LAYOUT_HOMES_MAX + PEERS_ASKED_MAX)

enum check_purpose {
	CHECK_READ = NEWEST_READ,
	CHECK_WRITE = NEWEST_WRITE,
	CHECK_ONE = NEWEST_ONE,
	CHECK_BELOW = NEWEST_BELOW,
	CHECK_HOLDERS = NEWEST_HOLDERS,
	CHECK_LOOK,
};

struct check_row {			/* another node that was asked */
	uint64_t id;
	bool answered;			/* what follows is known */
	bool counted;			/* it answered as a home */
	bool content;
	struct record record;		/* version none: it knows nothing */
	struct record entry;		/* as in struct home_found, and so is gate */
	struct version gate;
	char type[RECORD_TYPE_MAX + 1];
	uint64_t clock;			/* ns: its own */
	uint64_t at;			/* ms: when it answered */
	unsigned order;			/* 0 answered first */
};

/* Slices point into what is good until done() returns. */
struct check_result {
	struct newest_answer answer;	/* all that version.sock tells; of ONE, HOLDERS and LOOK, unconfirmed */
	const struct check_row *rows;	/* of those asked */
	size_t row_count;
	bool own_known;			/* what this node has is known */
	const struct home_found *own;
};

/* One who waits for a result; embedded in what it belongs to. */
struct check_wait {
	/* The wait is over then. */
	void (*done)(struct check_wait *, const struct check_result *);
	/* private */
	struct check *check;		/* NULL: not waiting */
	struct link link;		/* in the check's waits */
};

/* path is copied; version is none but for ONE, HOLDERS and BELOW. */
void check_start(struct asker *, struct check_wait *, struct str path, enum check_purpose,
		 struct version, uint64_t now);
void check_cancel(struct check_wait *);	/* safe when not waiting */

#endif
