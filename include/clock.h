/*
 * clock - what time it is, how long it took, and how long ago it was
 *
 * Protocol steps never read a clock; they are given the time, so that a
 * simulator can drive them.
 */
#ifndef COVEY_CLOCK_H
#define COVEY_CLOCK_H

#include <stdint.h>

uint64_t clock_wall_ns(void);		/* since 1970, UTC; may jump */
uint64_t clock_mono_ms(void);		/* never goes back; for time-outs */
uint64_t clock_mono_us(void);		/* the same, to measure */
uint64_t clock_boot_ms(void);		/* the same, and goes on while the machine sleeps; for ages */

#endif
