/*
 * confine - a process that gives up what of the file system it does not need, by Landlock (landlock(7))
 *
 *	confine_new, confine_read and confine_write for each place, confine_enter
 *
 * From then on this thread, and those that it starts, open, make, remove and
 * run nothing beyond these places, whatever their user may; what is open
 * already stays open, and sockets can still be connected to.  A process that is
 * so confined cannot look into others either (ptrace).  A place is what its path
 * leads to at this moment, with all below it: what is put there later in its
 * stead is another one.
 *
 * A kernel that has no Landlock, or not enough of it to rename and link between
 * directories (before Linux 5.19), confines nobody: that is told, and no error.
 * Nor does a sanitized build, whose reports would be lost; it says nothing.
 */
#ifndef COVEY_CONFINE_H
#define COVEY_CONFINE_H

#include "err.h"

struct confine;

/* NULL: this process cannot be confined, and *why says why.  The other functions take NULL and do nothing. */
struct confine *confine_new(struct err *why);
void confine_free(struct confine *);

/* A file, or a directory with all below it; one that is not there is left out. */
void confine_read(struct confine *, const char *path);
void confine_write(struct confine *, const char *path);	/* read, too; also make, rename and remove in it */
void confine_scratch(struct confine *, const char *path);	/* read, too, and make files without a name in it */

/* 0, or -1 and nothing has changed. */
int confine_enter(struct confine *, struct err *);

/* Nobody but root reads this process' memory from now on, and there is no core of it; not in a sanitized build. */
void confine_memory(void);

#endif
