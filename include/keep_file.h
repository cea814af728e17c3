/*
 * keep_file - keep.ini: by which numbers this node prunes
 *
 * That is the layout's keep.versions and keep.days; but when they were
 * lowered, or a group was founded or joined whose numbers are lower, what
 * goes by them cannot be had back.  So a node goes on with those before for
 * an hour, of its own time: the seconds it runs are counted, so that no
 * clock that is set, no restart and no absence shortens it.  Numbers that
 * are raised count at once, and whatever is lower than the ones that count
 * waits an hour from when it was told first.
 *
 * covey-syncd writes it, whole and atomically, when a number changes and
 * every minute of the hour; covey-httpd tells of it, and covey prune ends
 * the hour.  It stays when the node is renewed; a node that is recovered from
 * a backup begins the hour anew.
 *
 *	[keep]
 *	versions = 300		by these it prunes; 0: not known, nothing goes
 *	days = 0
 *	[lowered]		absent: those are the layout's
 *	versions = 100
 *	days = 0
 *	left = 3540		s that are left of the hour
 *	goes_versions = 200	then, as counted when they were told; absent:
 *	goes_contents = 0	not counted yet
 *	goes_bytes = 9200
 *
 * Pure but for load, save and restart.
 */
#ifndef COVEY_KEEP_FILE_H
#define COVEY_KEEP_FILE_H

#include "err.h"

#include <stdbool.h>
#include <stdint.h>

#define KEEP_WAIT_S 3600

struct keep_numbers {
	uint32_t versions;		/* of a path; 0: none are known */
	uint32_t days;			/* of contents; 0: for ever */
};

struct keep_file {
	struct keep_numbers now;	/* by which it prunes */
	struct keep_numbers lowered;	/* the layout's, while they wait; versions 0: none do */
	uint32_t left;			/* s */
	bool counted;			/* what goes by them */
	uint64_t versions, contents, bytes;	/* of records; of contents whose record stays; of both */
};
#define KEEP_FILE_INIT { .left = 0 }

/* Reads DIRECTORY/keep.ini (DIRECTORY: STORE/state).  No file is success with KEEP_FILE_INIT. */
int keep_file_load(const char *directory, struct keep_file *ret, struct err *);
int keep_file_save(const char *directory, const struct keep_file *, struct err *);

/*
 * Of a file that came here with the state of another node: an hour that was
 * under way begins anew, and what goes then is counted anew.  A file that
 * cannot be read stays as it is.
 */
int keep_file_restart(const char *directory, struct err *);

/* The layout has these.  Whether that is news. */
bool keep_told(struct keep_file *, struct keep_numbers);
/* So long has it run since.  Whether the hour is over: now has the lowered ones. */
bool keep_passed(struct keep_file *, uint64_t seconds);

#endif
