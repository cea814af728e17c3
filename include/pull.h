/*
 * pull - whom to ask for a version's content, from where on, and what to believe
 *
 * The steps of one pull, without sockets, clocks or disks: events go in,
 * decisions come out, so that every order of misfortune can be tested.
 *
 * What holds:
 * - No holder is asked again that had it not, or was caught lying.
 * - A holder that gave bytes and broke off is asked again, some times, after
 *   everybody else.  What it gave is kept and the next one goes on from there.
 * - Bytes of several holders that do not add up to the sha256 accuse nobody:
 *   from then on one holder alone must give all bytes, from zero.
 *   Bytes of one holder that do not add up rule that holder out.
 * - So every pull ends, and what it accepts has the record's size and sha256.
 *
 * Calling sequence: pull_begin(); then, until pull_next() says otherwise
 * than PULL_ASK, do what it says (after ask.wait_ms, with an empty stage if
 * ask.restart) and tell: pull_head(), pull_body() for each piece,
 * pull_end().  At PULL_CHECK compare the digest and tell pull_checked().
 */
#ifndef COVEY_PULL_H
#define COVEY_PULL_H

#include "err.h"
#include "record.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PULL_HOLDERS_MAX 16

struct pull_holder {
	uint64_t node;
	bool sick;		/* did not answer lately: asked after the healthy */
	bool out;		/* not to be asked again */
	bool tried;		/* asked since the last start from zero */
	bool gave;		/* it has given bytes, some time */
	unsigned broken;	/* failures since it last gave much */
};

struct pull {
	struct version version;
	uint64_t size;			/* of the whole content */
	uint64_t have;			/* bytes accepted so far */
	uint64_t skip;			/* bytes to drop: the holder began before `have` */
	uint64_t gained;		/* bytes accepted from this answer */
	struct pull_holder holders[PULL_HOLDERS_MAX];
	size_t count;
	size_t current;			/* who is being asked */
	uint32_t sources;		/* bit i: bytes of holder i are among `have` */
	bool one_holder;		/* bytes of several are not to be joined any more */
	bool restart;			/* what was accepted before is worth nothing */
	bool done;			/* verified */
	bool lost;			/* nothing could be right: no bytes, and another sha256 */
	struct err why;			/* the last failure */
};

enum pull_step {
	PULL_ASK,		/* a holder */
	PULL_CHECK,		/* all bytes are there: do they have the right digest? */
	PULL_DONE,		/* they have */
	PULL_FAILED,		/* nobody is left; pull->why is the last reason */
};

struct pull_ask {
	uint64_t node;
	uint64_t offset;	/* first byte wanted */
	uint32_t wait_ms;	/* before asking */
	bool restart;		/* throw away what there is, offset is 0 */
};

void pull_begin(struct pull *, const struct record *);
/* Another holder, after those there are; beyond PULL_HOLDERS_MAX and doubles are ignored. */
void pull_add(struct pull *, uint64_t node, bool sick);

enum pull_step pull_next(struct pull *, struct pull_ask *ret);

/* The holder's answer: may its body be taken?  -1: stop the transfer, then pull_end() with *err. */
int pull_head(struct pull *, int status, uint64_t length, struct str etag,
	      struct str content_range, struct err *);
/* The same of a 200 in a coding, whose length says nothing; bytes of the content follow. */
int pull_head_coded(struct pull *, struct str etag, struct err *);
/* n bytes came.  *ret_drop of them, from the front, are not new.  -1 as above. */
int pull_body(struct pull *, size_t n, size_t *ret_drop, struct err *);
/* The transfer is over: whole (NULL), or for this reason.  Of one that was stopped for no fault of the holder's nothing is told. */
void pull_end(struct pull *, const struct err *);
/*
 * Instead of pull_end() or pull_checked(), where the one that was asked gave all there
 * is, in a coding, and that is worth nothing: it is asked next, from zero.
 */
void pull_again(struct pull *);
/* After pull_end() of one that was silent, and may just have had to code it: it is asked once more, as the last. */
void pull_once_more(struct pull *);
/* The digest of all bytes was right, or not. */
void pull_checked(struct pull *, bool right);

#endif
