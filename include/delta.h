/*
 * delta - a stored content coded (coding.h), and what that has saved, counted by all processes of a node
 *
 * The counts are in a tally of the run directory (tally.h), which several
 * processes have open at once; any thread raises them.
 */
#ifndef COVEY_DELTA_H
#define COVEY_DELTA_H

#include "err.h"
#include "store.h"

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

/*
 * The first `size` bytes of `from`, coded by another content, which is open, or (its fd is -1)
 * by nothing, into a file without a name that is the caller's.  ERR_FULL: nothing has to be
 * coded, so that takes none of the room that is to stay free.  Between coding_enter() and coding_leave().
 */
int delta_encode(struct store *, int from, uint64_t size, const struct store_entry *by, int *ret_fd,
		 uint64_t *ret_size, struct err *);

#endif
