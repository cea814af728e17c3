/*
 * starts - which start of a node is this, and does its disk know the last one?
 *
 * A start has a count and a nonce, a random number that no other start has;
 * both are on disk before the node says anything.  A start *speaks* once it
 * may answer as a home, and that too is on disk before anybody hears of it.
 * What a node says of itself has its start, the last one that spoke, and the
 * one that spoke before that.  Others keep the last that spoke, and tell it
 * on, whatever the node says later (view.c):
 *
 *	the node	forgot, when others know a start that spoke and that its
 *			disk does not know: the disk was put back, or copied
 *	others		doubt the last that spoke, when another spoke at the same
 *			count, or when it names as the one before itself what is
 *			not what they know.  A doubted one no disk knows.
 *
 * Starts that never spoke promised nothing: however many wrote their nonce
 * and died, no later one is blamed.  Who missed some is no witness of them.
 * Whoever is forced to count on from above (starts_raise) stays the same
 * start, and goes on speaking: its nonce shows a copy of its disk that the
 * first still runs.  That it spoke by the new count is for starts_speak().
 *
 * What one start did and its own disk lost again, a nonce cannot show.
 *
 * Pure.
 */
#ifndef COVEY_STARTS_H
#define COVEY_STARTS_H

#include <stdbool.h>
#include <stdint.h>

struct start {
	uint64_t count;			/* the how manieth; 0: none */
	uint64_t nonce;			/* 0 with a count: doubted */
};

/* What a node knows of itself: on its disk, and part of what it says. */
struct starts {
	struct start now;
	struct start spoke;		/* the last that did; now, when this one speaks */
	struct start before;		/* that spoke before that one */
};

/* The next start; nonce is not 0. */
void starts_begin(struct starts *, uint64_t nonce);
/* Count on from above this. */
void starts_raise(struct starts *, uint64_t count);
/* This start speaks, by its present count. */
void starts_speak(struct starts *);
bool starts_speaks(const struct starts *);		/* by whatever count */

bool start_eq(struct start, struct start);

#endif
