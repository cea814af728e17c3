/*
 * lock - one writer per path, across threads and processes
 *
 * A lock is a byte of a lock file, held by an open description of its own
 * (F_OFD_SETLKW), so that threads exclude each other as processes do.  The
 * kernel drops it when its holder dies.  The byte's number may be a hash:
 * two names that share one only wait for each other.
 *
 * Nobody takes a second lock while holding one, so nobody waits in a circle.
 */
#ifndef COVEY_LOCK_H
#define COVEY_LOCK_H

#include "err.h"

#include <stdbool.h>
#include <stdint.h>

struct lock {
	int fd;			/* owned; -1: not held */
};
#define LOCK_INIT { .fd = -1 }

/* Waits as long as it takes.  The file is made when absent. */
int lock_take(struct lock *, int dir, const char *file, uint32_t byte, struct err *);
/* The same, but only if nobody holds it: false then, and on any failure. */
bool lock_try(struct lock *, int dir, const char *file, uint32_t byte);
/* Somebody holds it now; false also on any failure. */
bool lock_is_held(int dir, const char *file, uint32_t byte);
void lock_release(struct lock *);	/* safe on LOCK_INIT, and leaves it behind */

#endif
