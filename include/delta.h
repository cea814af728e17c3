/*
 * delta - what coding contents (coding.h) has saved, counted by all processes of a node
 *
 * The counts are in a tally of the run directory (tally.h), which several
 * processes have open at once; any thread raises them.
 */
#ifndef COVEY_DELTA_H
#define COVEY_DELTA_H

#include "err.h"

#include <stdatomic.h>
#include <stdint.h>

enum delta_way {
	DELTA_ANSWER,			/* contents that were asked for here, by clients and by nodes */
	DELTA_PULL,			/* that this node asked others for */
	DELTA_PUSH,			/* that this node gave to keepers */
	DELTA_WAYS,
};

struct delta_counts {
	struct {
		atomic_uint_least64_t contents, saved;	/* how many went coded, and bytes that therefore did not */
	} ways[DELTA_WAYS];
	atomic_uint_least64_t again;	/* were pulled or pushed coded, and had to go as they are after all */
};

/* Never NULL, as tally_open(). */
struct delta_counts *delta_open(const char *run, struct err *why);
void delta_close(struct delta_counts *);	/* NULL is fine */
void delta_count(struct delta_counts *, enum delta_way, uint64_t size, uint64_t coded);

#endif
