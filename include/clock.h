/*
 * clock - the two clocks: what time it is, and how long it took
 *
 * Protocol steps never read a clock; they are given the time, so that a
 * simulator can drive them.
 */
#ifndef COVEY_CLOCK_H
#define COVEY_CLOCK_H

#include <stdint.h>

uint64_t clock_wall_ns(void);		/* since 1970, UTC; may jump */
uint64_t clock_mono_ms(void);		/* never goes back; for time-outs */

#endif
