/*
 * pulling - what the two halves of PULL share: pulling.c fetches, askers.c tells
 */
#ifndef COVEY_PULLING_H
#define COVEY_PULLING_H

#include "syncd.h"

#include "pull.h"

struct waiter;

struct pulling {
	struct syncd *daemon;
	struct pulling *next, *prev;
	struct waiter *waiters;
	struct buf path;
	struct record record;
	struct buf type;
	uint32_t keep;			/* versions, of the layout; 0: all */
	struct pull steps;
	struct fetch fetch;
	uint64_t asked;			/* node that fetch goes to */
	struct timer wait;		/* before asking */
	struct timer progress;		/* before telling again; askers.c */
	struct stage *stage;
	struct job job;
	void (*then)(struct pulling *);	/* when the job is done */
	int present;			/* descriptor of a content that was here already, or -1 */
	struct buf filling;		/* bytes that arrived */
	struct buf writing;		/* bytes with the job */
	uint64_t readable;		/* bytes in the stage */
	uint64_t told;			/* of them the askers know */
	bool running;			/* counts against RUNNING_MAX */
	bool working;			/* a job is under way */
	bool asking;			/* a fetch is under way, or about to be */
	bool doubted;			/* whom it goes to may not be there: it is not waited for long */
	bool right;			/* of the check */
	bool verified;
	bool given_up;
	bool failed;			/* the job; err says why */
	struct err err;
};

/* askers.c */

void askers_progress_due(struct timer *);		/* p->progress fires it */
void askers_add(struct pulling *, struct serve_request *);
void askers_progress(struct pulling *);		/* now, and again when there is more */
void askers_new_stage(struct pulling *);	/* what they know of is worth nothing */
void askers_done(struct pulling *);		/* tell all, and forget them */
void askers_failed(struct pulling *, const struct err *);
void askers_left(struct pulling *);		/* this process leaves: they ask the next one */
void askers_put_off(struct serve_request *);	/* the same of one, while this process finishes others */
void askers_put_off_all(struct pulling *);

/* pulling.c: nobody waits for it any more */
void pulling_unwanted(struct pulling *);

#endif
