/*
 * serve - answering other roles of this node
 *
 * A struct serve accepts connections on a SOCK_SEQPACKET listener.  For
 * every frame the role's request() is called with a struct serve_request that
 * lives until the role ends it, at once or at any later time:
 *
 *	request(serve, request, frame)
 *	serve_reply... serve_end
 *
 * When the asker goes away, or cancels (call.h), gone() is called for each of
 * its requests that has not ended: the request's own, which whoever keeps the
 * request sets, and then the role's.  The request is no more when they
 * return, and must not be ended.  A client that sends what is no frame, or does not read its
 * answers, is dropped: its requests are gone.
 */
#ifndef COVEY_SERVE_H
#define COVEY_SERVE_H

#include "frame.h"
#include "list.h"
#include "loop.h"

#include <stddef.h>
#include <stdint.h>

struct serve;

struct serve_request {
	struct serve *serve;
	uint64_t due;			/* ms, loop's clock: the asker waits no longer; 0: without end */
	void *data;			/* of who keeps it, and */
	void (*gone)(struct serve_request *);	/* told that its asker is gone; NULL: nothing to do */
	/* private */
	uint64_t id;
	struct serve_client *client;
	struct link link;		/* in its client's list */
};

struct serve_role {
	/* frame is good until request() returns; descriptors still in it are closed. */
	void (*request)(struct serve *, struct serve_request *, struct frame *);
	void (*gone)(struct serve *, struct serve_request *);	/* NULL: nothing to do */
};

/* The listener stays the caller's. */
struct serve *serve_new(struct loop *, int listener, const struct serve_role *, void *data,
			struct err *);
void serve_free(struct serve *);	/* NULL is fine; open requests are gone */
void *serve_data(const struct serve *);
size_t serve_requests(const struct serve *);	/* how many have not ended */
void serve_quiesce(struct serve *);	/* accept no further connections */

/* Descriptors stay the caller's.  Never ends the request, and never calls gone() by itself. */
void serve_reply(struct serve_request *, uint8_t type, struct str body, const int *fds,
		 size_t fd_count);
/* Without any reply, before the server leaves: the asker asks its successor (call.h). */
void serve_end(struct serve_request *);
/* FRAME_FAILED with what err says, and the end. */
void serve_fail(struct serve_request *, const struct err *);

#endif
