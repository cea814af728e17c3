/*
 * upload - a file on its way to a node
 *
 * A regular file is read twice: its digest goes ahead, so that the node
 * stores nothing when what arrives is not what was read.
 */
#ifndef COVEY_CMD_UPLOAD_H
#define COVEY_CMD_UPLOAD_H

#include "client.h"

#include <sys/stat.h>

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
void upload_fill(struct exchange *, const struct upload *);	/* target and type are the caller's to set before */
void upload_clear(struct upload *);

/* The sha256 of all that can be read from there; file is for the error. */
int upload_sha256(int fd, const char *file, uint8_t ret[32], struct err *);

#endif
