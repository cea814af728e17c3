/*
 * transfer - the content of a file on its way to a node, or from one
 */
#ifndef COVEY_CMD_TRANSFER_H
#define COVEY_CMD_TRANSFER_H

#include "client.h"

#include <sys/stat.h>
#include <time.h>

/*
 * An upload.  A regular file is read twice: its digest goes ahead, so that
 * the node stores nothing when what arrives is not what was read.
 */
struct upload {
	const char *file;	/* as named by the caller; "-" is standard input */
	int fd;			/* owned, unless it is standard input */
	struct stat st;
	bool regular;		/* sha256 is that of the whole file */
	uint8_t sha256[32];
	struct buf target, digest, mtime, type;	/* the latter three are header lines */
};
#define UPLOAD_INIT { .fd = -1 }

int upload_open(struct upload *, const char *file, struct err *);
/* Target and type are the caller's to set before.  0 with the answer; else the exit status, after it was told. */
int upload_send(struct upload *, struct client *, const struct write *, struct exchange *);
void upload_clear(struct upload *);

/* The sha256 of all that can be read from there; file is for the error. */
int upload_sha256(int fd, const char *file, uint8_t ret[32], struct err *);

/*
 * A download: one version's content, whole and checked, or not at all.
 *
 * Into a file it goes by way of FILE.VERSION.part beside it, which is
 * renamed when all is there and its digest is right.  A part that an
 * earlier try left is continued when the node still has that version as
 * the one asked for.  The file's time is that of the version, to the
 * second, as Last-Modified has it.  Into a pipe the content goes as it
 * comes; a transfer that breaks off is continued where it was.
 */
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
