/*
 * chance - for tests that draw their cases: NAME [SEED [COUNT]]
 *
 * All chance comes from the seed, which is printed: the same one gives the
 * same run again.  What COUNT counts is the test's to say.
 */
#ifndef COVEY_CHANCE_H
#define COVEY_CHANCE_H

#include "str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static uint64_t chance;			/* where the sequence is; at first the seed */

/* The next number of the sequence that *state is at. */
static inline uint64_t chance_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* Any number, and one below n. */
static inline uint64_t draw(void)
{
	return chance_next(&chance);
}

static inline unsigned below(unsigned n)
{
	return (unsigned)(draw() % n);
}

/* seed and *count are what they are unless given.  False: wrong usage. */
static inline bool chance_begin(int argc, char **argv, uint64_t seed, uint64_t *count)
{
	chance = seed;
	if (argc > 3 || (argc > 1 && str_u64(str_of(argv[1]), UINT64_MAX, &chance) < 0) ||
	    (argc > 2 && (count == NULL || str_u64(str_of(argv[2]), UINT32_MAX, count) < 0)))
		return false;
	fprintf(stderr, "seed %llu\n", (unsigned long long)chance);
	return true;
}

#endif
