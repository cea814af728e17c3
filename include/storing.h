/*
 * storing - having a record kept by its homes
 *
 * The homes of the path's partition, this node among them.  The record and
 * its content, if it has one, must be durable somewhere already.
 *
 * A live record, a file's or a directory's, is confirmed when a majority has it
 * and its parent, the directory above, stands: the parent's entry is live,
 * confirmed itself, and above the parent's gate, the greatest version at which
 * somebody began to remove it.  A home tells the gate that it knows after the
 * record is on its disk.  Who removes the directory lists it after its gate is
 * stored: so either he finds the name there, or the name's writer is told of the
 * gate.
 *
 *	1	a majority has the record; the greatest gate of its answers is g
 *	2	an entry of the parent above g is known here to be confirmed: done.
 *		The root needs none
 *	3	else CHECK that entry: one that is live and above g will do
 *	4	else READ the name: if nothing stands there, no parent is needed
 *	5	else make an entry here, just above g and all that was read, and
 *		store it as any live record (from 1)
 *
 * What is stored late, from an outbox or written back, may have been deleted
 * and its directory removed since: without step 4 an entry would bring an empty
 * directory back, above a file that was put in its place.
 *
 * The end of an entry is stored once its gate, of the same version, is at a
 * majority of the homes of what is in the directory.  A home tells that it has
 * the gate when what stands there is confirmed above it (gate_confirm.h).  So an
 * end that was made in another lineage, where its gate stayed, removes the
 * directory anew in this one, and ends no directory in which something stands.
 *
 * Which parents stand is forgotten with each layout, and what the homes of one
 * lineage said with the next lineage.  Who looks after directories whose record may
 * have been lost (`anew`) does not rely on it.  The model is tests/model/rmdir.pml.
 *
 * done() is called once or twice, never from within storing_start():
 *	when the record is confirmed; or, without that, when time is over or
 *	nobody is left to wait for;
 *	once more when all homes have it or time is over, if somebody was worth
 *	waiting for when it was confirmed.
 * The answer says whether it is the last.  A home with a newer layout ends
 * nothing: the record is stored again, by that layout.  Who cancels is told
 * nothing more; the homes are asked to the end all the same.
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

/* The directory is known here to stand, by an entry above the gate.  The root always does. */
bool storing_parent_known(const struct asker *, struct str directory, struct version gate);

#endif
