/*
 * scrub_file - scrub.ini: how far this node has read its contents again
 *
 * covey-syncd writes it, whole and atomically, every minute of a round, so
 * that a restart goes on from there; covey-httpd tells of it.
 *
 *	[round]
 *	last = 1795420800	when the last whole one ended, s since 1970
 *	began = 1798012800	the one under way; 0: none is
 *	position = docs/a.pdf	that it has reached: percent-encoded, in as
 *				many such lines as it takes, together one path
 *	[total]
 *	bytes = 5368709120	read since the first round, by covey-syncd
 *	bad = 1			copies that were set aside, by whomever
 */
#ifndef COVEY_SCRUB_FILE_H
#define COVEY_SCRUB_FILE_H

#include "buf.h"
#include "err.h"

#include <stdint.h>

struct scrub_file {
	uint64_t last, began;
	struct buf position;		/* decoded */
	uint64_t bytes, bad;
};
#define SCRUB_FILE_INIT { .position = BUF_INIT }
void scrub_file_clear(struct scrub_file *);

/* When the last whole round ended, s since 1970; 0: never.  One that is later than now counts as that. */
static inline uint64_t scrub_file_last(const struct scrub_file *scrub, uint64_t now)
{
	return scrub->last <= now ? scrub->last : 0;
}

/* Reads DIRECTORY/scrub.ini (DIRECTORY: STORE/state).  ERR_ABSENT: there is none. */
int scrub_file_load(const char *directory, struct scrub_file *ret, struct err *);
int scrub_file_save(const char *directory, const struct scrub_file *, struct err *);

#endif
