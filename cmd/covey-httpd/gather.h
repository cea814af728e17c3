/*
 * gather - indexes and histories of other nodes, as texts in files
 *
 * Asked are the homes of the path, of one layout epoch: when a majority of
 * them has answered (this node's store counts, if it is one) it is
 * confirmed, and nobody waits for the rest.  Otherwise every member is
 * asked that could answer.
 */
#ifndef COVEY_HTTPD_GATHER_H
#define COVEY_HTTPD_GATHER_H

#include "call.h"
#include "quorum.h"
#include "sync_talk.h"

struct ask;
struct conn;

struct gather {
	int *parts;			/* owned, and so are the descriptors */
	size_t count;
	uint32_t asked, answered;	/* peers */
	bool complete;			/* covey-syncd said that this was all */
	bool confirmed;			/* of a majority of the homes, */
	uint64_t epoch;			/* of this layout; this node's store has to be of it too */
	/* private */
	struct call call;
	struct conn *conn;
	void (*done)(struct conn *);
	struct quorum quorum;
	enum sync_talk type;
	bool silent;			/* the peers were, just now: nobody waits long */
	unsigned tries;			/* of the homes; 0: all members are asked */
	struct timer again;
};
#define GATHER_INIT { .call = CALL_INIT }

/*
 * Ask (SYNC_LIST, SYNC_HISTORY) about the request's path.  True: there is
 * nobody to ask; false: done(conn) is called later, whatever came, and then
 * the connection resumed.
 */
bool gather_start(struct gather *, struct conn *, const struct ask *, enum sync_talk,
		  void (*done)(struct conn *));
void gather_end(struct gather *);	/* safe on GATHER_INIT */

/* Append the text of a part.  Any thread. */
int gather_read(int part, struct buf *ret);

#endif
