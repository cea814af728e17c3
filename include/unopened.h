/*
 * unopened - what claims to be of the group and no key of this node opens, counted by all processes of a node
 *
 * The counts are in a tally of the run directory (tally.h), which several
 * processes have open at once; any thread raises them.
 */
#ifndef COVEY_UNOPENED_H
#define COVEY_UNOPENED_H

#include "err.h"

#include <stdatomic.h>
#include <stdint.h>

enum unopened_by {
	UNOPENED_DISCOVERY,		/* packets by UDP, to covey-discoverd */
	UNOPENED_VERSIONS,		/* the same, to covey-versiond */
	UNOPENED_HTTP,			/* signed requests, and sealed messages in their bodies */
	UNOPENED_WAYS,
};

struct unopened {
	atomic_uint_least64_t counts[UNOPENED_WAYS];
};

/* Never NULL, as tally_open(). */
struct unopened *unopened_open(const char *run, struct err *why);
void unopened_close(struct unopened *);		/* NULL is fine */
void unopened_count(struct unopened *, enum unopened_by);
uint64_t unopened_of(const struct unopened *, enum unopened_by);

#endif
