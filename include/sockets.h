/*
 * sockets - the descriptors a role listens on: handed over, or opened
 *
 * systemd and `covey up` hand sockets over by name (LISTEN_FDS,
 * LISTEN_FDNAMES).  Each is compared with the configuration: one of
 * another kind or address is refused, and so is one beyond loopback
 * without `access: open`.  What was not handed over is opened.
 */
#ifndef COVEY_SOCKETS_H
#define COVEY_SOCKETS_H

#include "conf.h"
#include "service.h"

#define SOCKETS_MAX 4

struct sockets {
	struct {
		const char *name;	/* points into the role's table */
		int fd;			/* owned */
	} list[SOCKETS_MAX];
	size_t count;
	bool handed;			/* a supervisor listens on: idle exit loses nothing */
};
#define SOCKETS_INIT { .count = 0 }

/* run: the directory of the local ones, which are RUN/NAME.sock. */
int sockets_open(struct sockets *, const struct service_socket *wanted, const struct conf *,
		 const char *run, struct err *);
int sockets_fd(const struct sockets *, const char *name);	/* or -1 */
void sockets_clear(struct sockets *);				/* safe on SOCKETS_INIT */

#endif
