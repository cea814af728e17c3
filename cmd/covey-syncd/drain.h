/*
 * drain - what the two halves of DRAIN share: drain.c the outbox, drained.c one entry
 */
#ifndef COVEY_DRAIN_H
#define COVEY_DRAIN_H

#include "pushing.h"

#include "call.h"

struct drained {
	struct drained *next, *prev;
	struct drain *drain;
	struct outbox_mark mark;
	struct buf path;
	struct version version;
	uint64_t due;			/* loop's ms */
	uint64_t back_off;		/* ms; 0: not tried yet */
	uint64_t kicks;			/* of the drain, when it was last tried */
	bool running;
	/* while running */
	struct job job;
	struct call call;
	struct pushing *pushing;	/* or NULL */
	struct store_entry entry;	/* what is to be told */
	struct buf storing;		/* whose record is being stored: path's, then those above */
	struct record record;		/* of storing */
	char type[RECORD_TYPE_MAX + 1];
	bool away;			/* somebody who has to have it is not up */
	bool absent;			/* there is nothing to be done, or not yet */
	bool told_once;			/* of the two answers of STORE */
	bool all_stored, all_pushed;
	bool done;
	struct err err;			/* why it is to be tried again */
};

#define DRAIN_RUNNING_MAX 64

struct drain {
	struct syncd *daemon;
	struct outbox_reader *reader;
	struct drained *first, *last;	/* oldest first */
	size_t count, running;
	uint64_t kicks;			/* how often it was worth trying everything at once */
	struct timer tick, read;
	struct job job;			/* reading */
	struct drained *found, *found_last;
	size_t found_count;
	bool reading, read_again;
	bool more;			/* in the outbox than are known */
	uint64_t parked;		/* forgotten until somebody returns */
	bool want_all, reread;		/* read all of the outbox: next; now */
	struct outbox_mark kept[DRAIN_RUNNING_MAX];	/* of those running when all is read */
	size_t kept_count;
	bool stopping;
};

/* drained.c: take the steps; then drain_over() */
void drained_run(struct drained *);
void drained_cut(struct drained *);	/* what waits for others; a job goes on */
void drained_free(struct drained *);

/* drain.c: done, or why not */
void drain_over(struct drained *);

#endif
