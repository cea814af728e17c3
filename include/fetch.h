/*
 * fetch - asking other nodes by HTTP, from threads that wait
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
 * environment says, nothing is decoded by itself, and connections are kept for the
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
 * A set is what one thread waits for, any number of fetches at once:
 *
 *	fetch_open
 *	fetch_start...			each a struct fetch, filled by the caller
 *	fetch_wait			one that is over, in fetch->err how it went; or NULL
 *	fetch_close			what is still under way is cancelled
 *
 * Within fetch_wait() head() is called when the final response's header has
 * come, then body() with what came at once, FETCH_BODY_MAX bytes at most.
 * Either may take its time, which holds the peers of the set back and is no
 * silence of theirs, or stop the transfer: it fills *err and returns -1.
 * Neither starts, cancels or feeds a fetch of the set.  Between two waits the
 * thread may start others, cancel, and tell of a FETCH_PUT's body that it has
 * grown (fetch_more) or is whole (fetch_last).  A set is for one thread, but
 * for fetch_wake(); a struct fetcher is for all.
 */
#ifndef COVEY_FETCH_H
#define COVEY_FETCH_H

#include "err.h"
#include "sign.h"
#include "sock.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

struct fetcher;			/* keys, clocks of peers, and connections that are kept */
struct fetch_set;
struct transfer;

struct fetcher *fetcher_new(struct err *);	/* NULL on failure */
void fetcher_free(struct fetcher *);		/* NULL is fine; all sets are closed */
/*
 * What is signed with, as this node; until then nothing is.  Before the first
 * fetch, and again with other keys for the same node, from any thread.
 */
void fetcher_keys(struct fetcher *, const struct sign_keys *, uint64_t self);

#define FETCH_LENGTH_UNKNOWN UINT64_MAX
#define FETCH_FIELDS_MAX 8		/* that one request or trailer brings */
#define FETCH_BODY_MAX (128u * 1024)	/* bytes; more of a body is not held for the caller */

/* What head() may look at; the slices last for the call. */
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
	uint64_t stall_ms;		/* without a byte, not for want of PUT's body; then ERR_TIMEOUT */
	int (*head)(struct fetch *, const struct fetch_head *, struct err *);	/* NULL: any will do */
	int (*body)(struct fetch *, const void *, size_t n, struct err *);	/* NULL: it is thrown away */
	/* out */
	uint64_t pace;			/* PUT: bytes per second that the network took; 0: not known */
	bool pace_least;		/* at least: there may not have been more to send */
	struct err err;			/* kind ERR_NONE: the response came whole */
	/* private */
	struct transfer *transfer;	/* NULL: not running */
};

struct fetch_set *fetch_open(struct fetcher *, struct err *);	/* NULL: the system has no descriptors */
void fetch_close(struct fetch_set *);	/* NULL is fine */
int fetch_start(struct fetch_set *, struct fetch *, struct err *);
/* Until due (ms, monotonic; UINT64_MAX: without end), or a wake. */
struct fetch *fetch_wait(struct fetch_set *, uint64_t due);
void fetch_wake(struct fetch_set *);	/* any thread: fetch_wait() returns NULL soon, or next time at once */
void fetch_cancel(struct fetch *);	/* safe when not running */

/* Both are safe when the fetch is over. */
void fetch_more(struct fetch *, uint64_t available);
void fetch_last(struct fetch *, const struct sign_part *trailer, size_t count);

/* Within head(): a field of the response, if there is exactly one; else empty. */
struct str fetch_field(const struct fetch *, const char *name);

#endif
