/*
 * keep_queue - KEEP to one keeper: what it is asked next, and what it has not yet
 *
 * Items (bulk.h) are asked about in batches, one at a time, in passes:
 *
 *	new ones	each once
 *	what it had not	the same batch again as long as some of it has come,
 *			filled up: that is what the keeper is pulling; then the
 *			next one
 *	all asked	a pause before those that are left, longer when nothing
 *			has come
 *
 * What it has not is remembered up to a limit.  Beyond that it is missed:
 * all has to be begun anew when this is over.  Whoever adds half as much as
 * the limit, and only while it is not full, misses nothing, unless the
 * keeper is stuck: it does not answer, or nothing comes for long.  Nobody
 * else should wait for that.
 *
 * Calling sequence:
 *
 *	keep_queue_add
 *	keep_queue_next			a batch
 *	keep_queue_answered, _failed	how it went; a pause, perhaps, then
 *	keep_queue_due			when it is over
 *	keep_queue_next			...until there is none
 *
 * Pure: no sockets, no clock.
 */
#ifndef COVEY_KEEP_QUEUE_H
#define COVEY_KEEP_QUEUE_H

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>

#define KEEP_QUEUE_LIMIT (512u << 10)	/* bytes: some thousand items, but half a thousand of the longest */

struct keep_queue {
	size_t limit;			/* bytes remembered of what it has not */
	struct buf ready;		/* to be asked about in this pass */
	size_t again;			/* so many of its bytes, the first, not for the first time */
	struct buf sent;		/* the batch under way */
	bool sent_again;		/* was ready's first */
	struct buf rest;		/* asked about in this pass, and it has not */
	uint64_t pause_ms;		/* of the last pass; 0: none yet */
	bool pausing;
	bool come;			/* in this pass, what it had not before */
	bool stuck;
	bool missed;
};
#define KEEP_QUEUE_INIT { .limit = KEEP_QUEUE_LIMIT }

void keep_queue_clear(struct keep_queue *);		/* all but the limit is forgotten */

void keep_queue_add(struct keep_queue *, struct str items);
/* The next batch, of max bytes or one item more; it stays in ->sent.  False: none now. */
bool keep_queue_next(struct keep_queue *, size_t max);
/*
 * states: the body of KEPT; what is missing in it the keeper has not.
 * Returns how many ms to wait before keep_queue_due(); 0: nothing to wait for,
 * or somebody waits already.
 */
uint64_t keep_queue_answered(struct keep_queue *, struct str states);
uint64_t keep_queue_failed(struct keep_queue *);	/* no answer */
void keep_queue_due(struct keep_queue *);

bool inquiry_is_full(const struct keep_queue *);	/* add nothing now: some of it is on its way */
bool inquiry_is_over(const struct keep_queue *);	/* it has all that it was asked about */

#endif
