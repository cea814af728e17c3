/*
 * pool - threads for what blocks, so that loops never do
 *
 * A job runs once on some thread of the pool, then its done() runs on the
 * loop it came from.  Jobs start in the order they came; of those that have
 * the same key one at a time, so that jobs which would only wait for each
 * other, as writers of one path do, occupy one thread and not all.  The pool
 * starts threads as they are needed, up to its size, and makes do with those
 * that the system grants; while that is none, a job runs where it is submitted.
 * A thread that has had nothing to do for some seconds ends.
 */
#ifndef COVEY_POOL_H
#define COVEY_POOL_H

#include "err.h"
#include "list.h"
#include "loop.h"

struct pool;

struct job {
	void (*work)(struct job *);	/* on a thread of the pool */
	void (*done)(struct job *);	/* on home's thread; NULL: nothing follows, and work() may free the job */
	struct loop *home;
	uint64_t key;			/* 0: none */
	struct task task;		/* the pool's */
	struct link link;		/* in the pool's */
};

struct pool *pool_new(unsigned threads);
/* Start a thread, unless one runs; from now on one stays.  -1: the system has none; jobs run all the same, but hold up the loop. */
int pool_start(struct pool *, struct err *);
void pool_submit(struct pool *, struct job *);	/* embedded; the caller's until done() */
void job_finish(struct job *);		/* by whoever did its work, on any thread: done() follows */
void pool_free(struct pool *);		/* waits for running and queued jobs */

#endif
