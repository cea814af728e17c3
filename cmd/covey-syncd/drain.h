/*
 * drain - what the parts of DRAIN share: drain.c what is tried when,
 * drain_read.c the outbox, drained.c one entry
 */
#ifndef COVEY_DRAIN_H
#define COVEY_DRAIN_H

#include "pushing.h"

#include "call.h"

#define DRAIN_RUNNING_MAX 64
#define DRAIN_BACK_OFFS 4		/* lengths of a pause: 1, 2, 4, 8 s */

/* What an entry is in; in each the first is due first. */
enum drain_list {
	DRAIN_NEW,			/* never tried */
	DRAIN_AGAIN,			/* read once more */
	DRAIN_RUNNING,
	DRAIN_RESTING,			/* the first of DRAIN_BACK_OFFS */
	DRAIN_LISTS = DRAIN_RESTING + DRAIN_BACK_OFFS,
};

struct drained {
	struct drained *next, *prev;
	struct drain *drain;
	enum drain_list list;
	struct outbox_mark mark;
	struct buf path;
	struct version version;
	uint64_t due;			/* loop's ms */
	unsigned tries;			/* since it was worth trying at once */
	bool first;			/* never tried before: it came from DRAIN_NEW */
	uint64_t kicks;			/* of the drain, when it was last tried */
	/* while running */
	struct job job;
	struct call call;
	struct pushing *pushing;	/* or NULL */
	struct store_entry entry;	/* what is to be told */
	uint64_t epoch;			/* of the layout that told the keepers */
	bool away;			/* somebody who has to have it is not up */
	bool absent;			/* there is nothing to be done, or not yet */
	bool all_stored, all_pushed;
	bool done;
	struct err err;			/* why it is to be tried again */
};

struct drained_list {
	struct drained *first, *last;
	size_t count;
};

/* One of the two readers, and what its job found; the job's while it runs. */
struct drain_reader {
	struct outbox_reader *outbox;
	struct drained_list found;
	size_t room;			/* for so many more */
	bool more;			/* there are than there was room for */
};

struct drain {
	struct syncd *daemon;
	struct drained_list lists[DRAIN_LISTS];
	size_t running_again;		/* of those running, not for the first time */
	uint64_t kicks;			/* how often it was worth trying everything at once */
	uint64_t parked;		/* forgotten until somebody returns */
	uint64_t missed;		/* forgotten for want of room: to be read once more */
	struct timer tick, read;
	/* reading */
	struct job job;
	struct drain_reader new_ones, again;
	bool reading, read_again;
	bool want_all, reread;		/* read all of the outbox once more: next; now */
	bool rereading;			/* that is not through yet */
	uint64_t reread_since;		/* loop's ms */
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
void drain_put(struct drain *, struct drained *, enum drain_list);
void drain_forget(struct drained *);	/* one that is in a list */
void drain_tick(struct drain *);	/* something may be due */
void drain_tell_status(const struct drain *);

/* drain_read.c */
void drain_read(struct drain *);
void drain_read_more(struct drain *);	/* if there is room now for what there was none */
void drain_read_begin(struct drain *);
void drain_read_free(struct drain *);

#endif
