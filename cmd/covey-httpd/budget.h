/*
 * budget - the memory of bodies on their way in, of all workers together
 *
 * A body that gets no more of it goes to the disk sooner, in smaller pieces.
 * The first piece of each is counted, and granted up to twice the whole; who
 * comes then is told to come again.
 */
#ifndef COVEY_HTTPD_BUDGET_H
#define COVEY_HTTPD_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget {
	uint64_t most;			/* bytes */
	atomic_uint_least64_t used;
};

/* most, or a part of what this process may have: by its control group, and its limits. */
void budget_init(struct budget *, uint64_t most);

bool budget_take(struct budget *, size_t bytes);		/* false: there is not so much */
bool budget_take_first(struct budget *, size_t bytes);
void budget_give(struct budget *, size_t bytes);
bool budget_is_ample(const struct budget *);			/* less than half of it is taken */

#endif
