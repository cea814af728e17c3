/*
 * fetch - asking other nodes by HTTP, many at once on one loop
 *
 * A fetch is one GET of one target from one node.  Every request says
 * Cache-Control: only-if-cached, for a node only ever asks another for
 * what that one has itself.  HTTP/1.1 alone: no redirects are followed, no
 * proxy is used whatever the environment says, nothing is decoded, and
 * connections are kept for the next fetch.
 *
 * Calling sequence: fetcher_new(); fill a struct fetch and fetch_start()
 * it; then on the loop's thread
 *
 *	head	once, when the final response's header has come
 *	body	any number of times; never while paused
 *	end	once; the fetch may then be started again or its memory go
 *
 * head and body may stop the transfer: they fill *err and return -1, and
 * end is told that error.  After fetch_cancel() none of the three comes.
 * Cancelling, pausing and resuming is safe from within any callback,
 * starting a fetch from within end or outside of callbacks.
 */
#ifndef COVEY_FETCH_H
#define COVEY_FETCH_H

#include "err.h"
#include "loop.h"
#include "sock.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

struct fetcher;			/* one loop's transfers and connections */
struct transfer;

struct fetcher *fetcher_new(struct loop *, struct err *);	/* NULL on failure */
void fetcher_free(struct fetcher *);	/* NULL is fine; cancels what runs */

#define FETCH_LENGTH_UNKNOWN UINT64_MAX

/* What the callbacks may look at; the slices last for the call. */
struct fetch_head {
	int status;			/* 200, 404, ... never 1xx */
	uint64_t length;		/* bytes of this body, or FETCH_LENGTH_UNKNOWN */
	struct str etag;		/* as written, with its quotes; empty: none, or more than one */
	struct str content_range;	/* as written; the same */
};

struct fetch {
	/* in; peer and target need to last only until fetch_start() returns */
	const struct address *peer;
	struct str target;		/* "/docs/a%20b.pdf?version=..." */
	uint64_t offset;		/* above 0: ask by Range for the bytes from there on */
	uint64_t first_byte_ms;		/* from the start to the head; then ERR_TIMEOUT */
	uint64_t stall_ms;		/* without a byte of body while not paused; then ERR_TIMEOUT */
	int (*head)(struct fetch *, const struct fetch_head *, struct err *);
	int (*body)(struct fetch *, const void *, size_t n, struct err *);
	void (*end)(struct fetch *, const struct err *);	/* NULL: the response came whole */
	/* private */
	struct transfer *transfer;	/* NULL: not running */
};

int fetch_start(struct fetcher *, struct fetch *, struct err *);
void fetch_cancel(struct fetch *);	/* safe when not running */
void fetch_pause(struct fetch *);	/* no body until fetch_resume(); the peer is held back */
void fetch_resume(struct fetch *);

#endif
