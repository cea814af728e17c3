/*
 * batch - jobs that are cheaper together, on the threads of a pool
 *
 * Whoever takes the next job takes all that wait, up to a number, and works on
 * them as one; then each job's done() runs on its loop, as a pool's (pool.h),
 * but of those that work() has given to somebody else, for which it leaves
 * NULL.  What comes meanwhile waits, and is the next batch: the busier, the
 * larger.
 */
#ifndef COVEY_BATCH_H
#define COVEY_BATCH_H

#include "pool.h"

struct batch;

/* At most so many threads at once, each with at most so many jobs at a time. */
struct batch *batch_new(struct pool *, unsigned threads, size_t most,
			void (*work)(struct job **, size_t count));
/* All jobs of the list, which is empty then; of a job home and done count. */
void batch_submit(struct batch *, struct list *jobs);
void batch_free(struct batch *);	/* after pool_free(); NULL is fine */

#endif
