/*
 * storing - having a record kept by its homes
 *
 * The homes of the path's partition, and for a directory's record those of
 * the directory's own partition as well; this node among them.  The record
 * and its content, if it has one, must be durable somewhere already.
 *
 * done() is called once or twice, never from within storing_start():
 *	when a majority has it (settled), or when time is over or nobody is left
 *	to wait for, without one;
 *	when all homes have it, or time is over, if the first was settled and
 *	not all.
 * `last` tells which is the last.  A home with a newer layout ends nothing:
 * the record is stored again, by that.  Who cancels is not told any more;
 * the homes are asked to the end all the same.
 */
#ifndef COVEY_STORING_H
#define COVEY_STORING_H

#include "asker.h"

struct storing;

/* One who waits; embedded in what it belongs to. */
struct store_wait {
	void (*done)(struct store_wait *, const struct store_answer *, bool last);
	/* private */
	struct storing *storing;	/* NULL: not waiting */
};

/* What ask points to is copied. */
void storing_start(struct asker *, struct store_wait *, const struct store_ask *, uint64_t now);
void storing_cancel(struct store_wait *);	/* safe when not waiting */

#endif
