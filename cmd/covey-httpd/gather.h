/*
 * gather - the peers' indexes and histories, as texts in files
 */
#ifndef COVEY_HTTPD_GATHER_H
#define COVEY_HTTPD_GATHER_H

#include "call.h"
#include "sync_talk.h"

struct ask;
struct conn;

struct gather {
	struct call call;
	struct conn *conn;
	void (*done)(struct conn *);
	int *parts;			/* owned, and so are the descriptors */
	size_t count;
	uint32_t asked, answered;	/* peers */
	bool complete;			/* covey-syncd said that this was all */
};
#define GATHER_INIT { .call = CALL_INIT }

/* Ask covey-syncd (SYNC_LIST, SYNC_HISTORY); done(conn) is called later, whatever came,
 * and then the connection resumed.  Nobody waits long for peers that were silent in the
 * check of ask. */
void gather_start(struct gather *, struct conn *, const struct ask *ask, enum sync_talk,
		  struct str body, void (*done)(struct conn *));
void gather_end(struct gather *);	/* safe on GATHER_INIT */

/* Append the text of a part.  Any thread. */
int gather_read(int part, struct buf *ret);

#endif
