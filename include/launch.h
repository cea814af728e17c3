/*
 * launch - plays systemd for the roles of `covey up`
 *
 *	launch_new, launch_add for each role, loop_run, launch_free
 *
 * The sockets of all roles stay open here and are handed over by the
 * LISTEN_FDS protocol.  A role that is wanted at once is started at once;
 * any other waits until one of its sockets is readable:
 *
 *	WAITING -- a connection or datagram --> RUNNING
 *	RUNNING -- exit 0, not wanted at once --> WAITING
 *	RUNNING -- any other end --> RESTING -- back-off --> RUNNING
 *
 * Nothing sent to a socket is lost by that: the queue is the listener's,
 * and the listener is never closed.  A child dies with its parent.
 *
 * This is the one place of the libraries that forks.
 */
#ifndef COVEY_LAUNCH_H
#define COVEY_LAUNCH_H

#include "err.h"
#include "loop.h"

#include <stdbool.h>

struct launch;

#define LAUNCH_SOCKETS 24	/* of one role, at most */

struct launch_role {
	const char *program;	/* path; copied */
	const char *conf_file;	/* for -c; copied */
	const char *node;	/* whose role it is, for log.h; copied */
	bool at_once;		/* do not wait for a socket */
	size_t sockets;
	const char *names[LAUNCH_SOCKETS];	/* LISTEN_FDNAMES; string literals */
	int fds[LAUNCH_SOCKETS];	/* the launch's once launch_add() returned 0 */
};

/* tell is given a line for people about each role that ends unasked. */
struct launch *launch_new(struct loop *, void (*tell)(const char *line));

/* Watch the role's sockets, or start it. */
int launch_add(struct launch *, const struct launch_role *, struct err *);

/* SIGHUP to all that run: each looks at its files again (service.h). */
void launch_reload(struct launch *);

/*
 * SIGTERM to all; SIGKILL to what is left after grace_ms, or at a second
 * call.  The loop is stopped when the last is gone.
 */
void launch_stop(struct launch *, uint64_t grace_ms);

/* Ends what still runs at once, and closes the sockets.  NULL is fine. */
void launch_free(struct launch *);

#endif
