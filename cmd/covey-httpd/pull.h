/*
 * pull - a version's content, from another node that has it (get.c)
 *
 * covey-syncd writes what comes into a growing file, and stores it when its
 * sha256 is right.  An answer may be sent from the file while it grows; its
 * last bytes are held back until the sha256 is right.  When it is wrong, or
 * no node has the content any more, the connection is cut.
 *
 *	pull_start	done() is called once, later, never from within
 *	pull_end	with its request, or before the next pull of the same
 */
#ifndef COVEY_HTTPD_PULL_H
#define COVEY_HTTPD_PULL_H

#include "record.h"

#include <stdbool.h>

struct conn;

enum pull_until {
	PULL_BEGUN,		/* enough has come to begin an answer */
	PULL_WHOLE,		/* all has come, and is verified; the store gets it a moment later */
};

/*
 * Pull this version of the request's path from the nodes that request.ask
 * names, its keepers, and whoever has read it once.  done(conn, fd) gets an
 * open file, which is its own then, or -1: no node gives the content.  The
 * connection is resumed behind done().  -1: there is nobody to ask.
 */
int pull_start(struct conn *, const struct record *, struct str type, enum pull_until,
	       void (*done)(struct conn *, int fd));
void pull_end(struct conn *);		/* no pull is fine */

#endif
