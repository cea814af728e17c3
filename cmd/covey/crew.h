/*
 * crew - many requests under way at once: threads, each with a client of its own
 *
 *	crew_open, crew_add, crew_run; then crew_add and crew_run again, or crew_close
 *
 * A task runs on some thread, and may add others.  Those that were added
 * last run first, so that what waits stays little where a tree is walked.
 * When a node gives no answer what is left is not tried.
 */
#ifndef COVEY_CMD_CREW_H
#define COVEY_CMD_CREW_H

#include "client.h"

struct crew;

struct task {
	int (*run)(struct task *, struct client *);	/* the exit status; everything is told */
	void (*free)(struct task *);	/* after run, or without: the crew's own was called */
	bool file;		/* counts in the line of progress */
	uint64_t bytes;		/* that it brought; set by run */
	struct task *next;	/* the crew's */
};

/* To the node that --node names; name is for the line of progress. */
int crew_open(struct crew **ret, const char *url, const char *name, struct err *);
void crew_close(struct crew *);		/* NULL is fine */

void crew_add(struct crew *, struct task *);	/* the crew's from now on */

/* Until there is none left; the worst exit status of all so far. */
int crew_run(struct crew *);

/* The worse of two exit statuses: what may pass, 75, is better than what stays; of others the first. */
int status_worse(int, int);

#endif
