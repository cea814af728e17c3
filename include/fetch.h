/*
 * fetch - asking other nodes by HTTP, many at once on one loop
 *
 * A fetch is one request of one target to one node:
 *
 *	FETCH_GET	what that node itself has: every one says Cache-Control: only-if-cached
 *	FETCH_POST	a small body, given whole
 *	FETCH_PUT	a body read from a descriptor: one that is whole and brings no
 *			trailer by its length, else while it grows, chunked, and
 *			fields that are only known at its end, in the trailer
 *
 * HTTP/1.1 alone: no redirects are followed, no proxy is used whatever the
 * environment says, nothing is decoded, and connections are kept for the
 * next fetch.
 *
 * A request that names its `node` is signed for it (sign.h), and so is its
 * trailer, and only an answer that this node has signed for this very request is
 * one: whoever else has the address now, or had something recorded, has not
 * answered (ERR_AWAY).  With `whole` the answer's body has to be signed at
 * its end as well.  A peer that finds the time of the request wrong says its
 * own in the Covey-Time of its 403; then the request is signed by that clock
 * and made once more, and the difference is remembered for the next.
 *
 * Calling sequence: fetcher_new(); fill a struct fetch and fetch_start()
 * it; then on the loop's thread
 *
 *	head	once, when the final response's header has come
 *	body	any number of times; never while paused
 *	end	once; the fetch may then be started again or its memory go
 *
 * and to a FETCH_PUT fetch_more() as its body grows, fetch_last() when that
 * is whole; available and last may also be set before it starts.
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
#include "sign.h"
#include "sock.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

struct fetcher;			/* one loop's transfers and connections */
struct transfer;

struct fetcher *fetcher_new(struct loop *, struct err *);	/* NULL on failure */
void fetcher_free(struct fetcher *);	/* NULL is fine; cancels what runs */
/* What is signed with, as this node; until then nothing is.  The keys must stay. */
void fetcher_keys(struct fetcher *, const struct sign_keys *, uint64_t self);

#define FETCH_LENGTH_UNKNOWN UINT64_MAX
#define FETCH_FIELDS_MAX 8		/* that one request or trailer brings */

/* What the callbacks may look at; the slices last for the call. */
struct fetch_head {
	int status;			/* 200, 404, ... never 1xx */
	uint64_t length;		/* bytes of this body, or FETCH_LENGTH_UNKNOWN */
	struct str etag;		/* as written, with its quotes; empty: none, or more than one */
	struct str content_range;	/* as written; the same */
};

enum fetch_method { FETCH_GET, FETCH_POST, FETCH_PUT };

struct fetch {
	/* in; what these point to needs to last only until fetch_start() returns */
	enum fetch_method method;
	const struct address *peer;
	struct str target;		/* "/docs/a%20b.pdf?version=..." */
	uint64_t offset;		/* GET; above 0: ask by Range for the bytes from there on */
	const struct sign_part *fields;	/* more of the header */
	size_t field_count;
	uint64_t node;			/* who is asked; 0: whoever is there, unsigned */
	bool whole;			/* with node: the body of a 200 is to be signed, too */
	struct str content;		/* POST */
	int fd;				/* PUT; from its first byte; stays the caller's, open until the end */
	uint64_t available;		/* PUT: bytes of it that may be sent */
	bool last;			/* PUT: there will be no more */
	const struct sign_part *trailer;	/* with last: as for fetch_last() */
	size_t trailer_count;
	uint64_t first_byte_ms;		/* from the start, or the end of PUT's body, to the head; then ERR_TIMEOUT */
	uint64_t stall_ms;		/* without a byte of body, not while paused or for want of it; then ERR_TIMEOUT */
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

/* Both are safe when the fetch is over. */
void fetch_more(struct fetch *, uint64_t available);
void fetch_last(struct fetch *, const struct sign_part *trailer, size_t count);

/* Within head(): a field of the response, if there is exactly one; else empty. */
struct str fetch_field(const struct fetch *, const char *name);

#endif
