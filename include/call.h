/*
 * call - asking another role of this node
 *
 * A struct caller is one persistent connection to a role's socket, made
 * when it is needed and made again when it broke.  Any number of calls
 * share it, told apart by their request ids.
 *
 *	caller_new
 *	call_start	answer(call, frame)...	call_finish, or answer(call, NULL)
 *	caller_free
 *
 * answer() is called for every frame that arrives for the call, until the
 * call is finished.  The asker finishes it, from answer() or at any other
 * time, when it has what it wants; or answer(call, NULL) says that it is
 * over: the time has passed, or the other side is gone (after one retry, if
 * nothing had been answered).  Then call_finish() is not needed.  answer()
 * is never called from within call_start().
 *
 * A struct call is embedded in what it belongs to (container.h) and may go
 * once it is over.  All of it belongs to the loop's thread.
 *
 * An asker that no longer waits has one way to say so: call_cancel(), or the
 * end of its connection, which is all the other side sees of an asker that
 * dies.  There serve.h tells whoever keeps the request by its gone().
 *
 * A struct asking is the same for a thread that has no loop, as a tool has
 * none: it waits in asking_next() where a call is called back, and its
 * connection is its own, so that its end is the cancelling.  There are two
 * because a loop must not wait and a tool has nothing to wait in.
 */
#ifndef COVEY_CALL_H
#define COVEY_CALL_H

#include "frame.h"
#include "list.h"
#include "loop.h"
#include "message.h"

#include <stdbool.h>
#include <stdint.h>

struct caller;

struct caller *caller_new(struct loop *, const char *socket_path);
void caller_free(struct caller *);	/* NULL is fine; its calls end without answer() */

struct call {
	/* Descriptors that are still in the frame afterwards are closed. */
	void (*answer)(struct call *, struct frame *);	/* set by the asker */
	/* private */
	struct caller *caller;		/* NULL while not under way */
	struct link link;		/* in the caller's list */
	struct timer timer;
	uint64_t id;
	struct buf packet;		/* the request */
	int fd;				/* descriptor that goes with it, owned, or -1 */
	bool sent, answered, retried;
};
#define CALL_INIT { .caller = NULL, .packet = BUF_INIT, .fd = -1 }

/* timeout_ms 0: without end.  call->answer is set before. */
void call_start(struct caller *, struct call *, uint8_t type, struct str body, uint64_t timeout_ms);
/* The same with a descriptor, which stays the caller's; -1: none. */
void call_start_with(struct caller *, struct call *, uint8_t type, struct str body, int fd,
		     uint64_t timeout_ms);
/* The same with a message for the body, packed by its table (message.h). */
void call_start_message(struct caller *, struct call *, uint8_t type, const struct message *,
			const void *from, uint64_t timeout_ms);
void call_finish(struct call *);	/* safe when it is over, and on CALL_INIT */
/* The same, and the other side is told that nobody waits: for what costs it much. */
void call_cancel(struct call *);
/* An answer() for what is only told: any answer is its end. */
void call_answered(struct call *, struct frame *);

/* One request, its answers in turn. */
struct asking {
	int fd;
	uint64_t id;
	uint64_t due;			/* ms, monotonic; 0: never */
	char *room;			/* owned */
};
#define ASKING_INIT { .fd = -1, .room = NULL }

int asking_start(struct asking *, const char *socket_path, uint8_t type, struct str body,
		 uint64_t timeout_ms, struct err *);
/* The next answer, or -1: ERR_TIMEOUT, ERR_AWAY.  *ret is good until the next call. */
int asking_next(struct asking *, struct frame *ret, struct err *);
void asking_end(struct asking *);	/* safe on ASKING_INIT */

#endif
