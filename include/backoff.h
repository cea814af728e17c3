/*
 * backoff - how long to rest after a failure: doubled each time, within bounds
 *
 * Whoever tries counts the failures since the last success; that count is
 * all the state there is.
 *
 *	timer_start(loop, &again, backoff_ms(AGAIN_MS, AGAIN_MAX_MS, failures++));
 *	...
 *	failures = 0;		it went well
 *
 * There is no jitter: no two nodes fail for one reason at one moment and
 * then ask one server, which is what jitter is for.
 */
#ifndef COVEY_BACKOFF_H
#define COVEY_BACKOFF_H

#include <stdint.h>

/* first_ms after no earlier failure, twice that after one, ..., never above max_ms. */
uint64_t backoff_ms(uint64_t first_ms, uint64_t max_ms, unsigned failures);

#endif
