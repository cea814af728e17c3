/*
 * storing - having a record kept by its homes
 *
 * The homes of the path's partition, this node among them.  The record and
 * its content, if it has one, must be durable somewhere already.
 *
 * A live name, a file's or a directory's, is settled when a majority has it
 * and the directory above stands for good: its entry is live at a majority
 * and above its gate, the greatest version at which somebody began to remove
 * it, and is settled itself.  Homes tell of the gate what they know after the
 * record is on their disk: who removes the directory lists it after its gate,
 * so he finds the name there, or the name's writer finds the gate.
 *
 *	1	a majority has the record; the greatest gate of its answers is g
 *	2	an entry of the directory above, greater than g, is known here
 *		to be settled: done.  The root needs none
 *	3	else CHECK that entry: live and greater than g, it will do; else
 *		READ the name: if nothing stands there nothing is to be settled.
 *		Else one is made here, just above g and all that was read.  It
 *		is stored as any live name (from 1), and known to be settled then
 *
 * What is stored late, from an outbox or written back, may have been deleted
 * and its directory removed since: an entry made for it would bring an empty
 * directory back, above a file that was put in its place.
 *
 * The end of an entry is stored when its gate, of the same version, is at a
 * majority of the homes of what is in the directory.  Each of these tells that
 * it has the gate when what stands there is settled above it.  So an end that
 * was made in another lineage, where its gate stayed, is brought to this one
 * as if the directory were removed anew, and ends none in which something stands.
 *
 * What is known to be settled is forgotten with each layout, and all that homes
 * of one lineage said with the next lineage.  The model is tests/model/rmdir.pml.
 *
 * done() is called once or twice, never from within storing_start():
 *	when it is settled, or when time is over or nobody is left to wait for,
 *	without that;
 *	when all homes have it as well, or time is over, if somebody was worth
 *	waiting for when it was settled.
 * The answer says whether it is the last.  A home with a newer layout ends nothing:
 * the record is stored again, by that.  Who cancels is not told any more;
 * the homes are asked to the end all the same.
 */
#ifndef COVEY_STORING_H
#define COVEY_STORING_H

#include "asker.h"

struct storing;

/* One who waits; embedded in what it belongs to. */
struct store_wait {
	void (*done)(struct store_wait *, const struct store_answer *);
	/* private */
	struct storing *storing;	/* NULL: not waiting */
};

/* What ask points to is copied.  wait NULL: nobody is told. */
void storing_start(struct asker *, struct store_wait *, const struct store_ask *, uint64_t now);
void storing_cancel(struct store_wait *);	/* safe when not waiting */

/* The directory's entry is known here to be settled, and is above the gate.  Of the root's always. */
bool storing_is_settled(const struct asker *, struct str directory, struct version gate);

/* For asker.c. */
void storing_forget_settled(struct asker *);
void storing_forget_all(struct asker *);

#endif
