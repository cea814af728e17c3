/*
 * loop - one thread's events: descriptors, timers, and tasks from other threads
 *
 * Calling sequence: loop_new(), start watches and timers, loop_run() until
 * something calls loop_stop(), loop_free().  A watch, timer or task is
 * embedded in what it belongs to (container.h) and owned by it; it must be
 * stopped before its memory goes.  Stopping one from within any callback
 * is safe: an event already fetched for it is not delivered.
 *
 * Everything but loop_post() and loop_stop() is for the loop's own thread,
 * unless the loop has a guard: then it is for whoever holds that.
 */
#ifndef COVEY_LOOP_H
#define COVEY_LOOP_H

#include "err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;

struct watch {
	int fd;				/* not owned */
	void (*ready)(struct watch *, uint32_t events);	/* EPOLLIN, ... */
	struct loop *loop;		/* set while started */
	uint32_t events;
};

struct timer {
	void (*fire)(struct timer *);	/* once; start it again to repeat */
	struct loop *loop;		/* set while running */
	uint64_t due;			/* ms, monotonic */
	size_t place;			/* in the loop's heap */
};

struct task {
	void (*run)(struct task *);
	struct task *next;
};

struct loop *loop_new(struct err *);	/* NULL on failure */
void loop_free(struct loop *);		/* NULL is fine */
int loop_run(struct loop *, struct err *);
void loop_stop(struct loop *);		/* from any thread; loop_run() returns 0 */
uint64_t loop_now(const struct loop *);	/* ms, monotonic, as of this round */

/*
 * From now on the loop's thread, which holds the mutex, lets go of it while it
 * waits for events, and only then.  So all callbacks hold it, and any thread
 * that does may use the loop and what lives on it, but for starting or changing
 * a watch of what epoll cannot watch: for that the wait does not end.
 */
void loop_guard(struct loop *, pthread_mutex_t *);

/* Run the task once on the loop's thread, from any thread, in order. */
void loop_post(struct loop *, struct task *);

/*
 * watch->fd and ->ready are set by the caller.  events may hold EPOLLET.
 * What epoll cannot watch (a regular file) is always ready, as with poll(2).
 */
int watch_start(struct loop *, struct watch *, uint32_t events, struct err *);
void watch_change(struct watch *, uint32_t events);
void watch_stop(struct watch *);	/* safe when not started; closes nothing */

/* timer->fire is set by the caller.  Starting a running timer moves it. */
void timer_start(struct loop *, struct timer *, uint64_t after_ms);
void timer_stop(struct timer *);	/* safe when not running */

/*
 * Block the signals in this thread (and those it starts later), and call
 * on_signal on the loop instead.  Once per loop; the list ends with 0.
 * SIGPIPE is ignored from then on: sendfile() has no flag against it.
 */
int loop_signals(struct loop *, const int *signals, void (*on_signal)(int, void *), void *data,
		 struct err *);

#endif
