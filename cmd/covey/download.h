/*
 * download - one version's content, whole and checked, or not at all
 *
 * Into a file it goes by way of FILE.VERSION.part beside it, which is
 * renamed when all is there and its digest is right.  A part that an
 * earlier try left is continued, when the node still has that version as
 * the one asked for.  Its time is then that of the version, to the second,
 * as Last-Modified has it.  Into a pipe it goes as it comes; a transfer
 * that breaks off is continued where it was.
 */
#ifndef COVEY_CMD_DOWNLOAD_H
#define COVEY_CMD_DOWNLOAD_H

#include "client.h"

#include <time.h>

struct download_to {
	const char *file;	/* NULL: into out as it comes */
	int dir;		/* file's name is in there; AT_FDCWD: it is a path */
	int out;
	bool terminal;		/* out is one: what is no text is refused */
	bool fresh;		/* no earlier try can have left a part */
	bool many;		/* one of many: no progress of its own is shown */
	const char *version;	/* what is expected, and the file's time if it is that; NULL: not known */
	struct timespec time;
};

/* Whether a file of this name is taken for what an earlier try left. */
bool download_is_part(const char *name);

/* Fetch target.  The exit status; everything is told.  what names it for people. */
int download(struct client *, struct str target, const char *what, const struct download_to *);

#endif
