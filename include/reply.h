/*
 * reply - answers: status line, header fields, and errors whole (RFC 9112, section 4; RFC 9457)
 *
 *	reply_start(out, 200, date);
 *	reply_length(out, size);
 *	reply_field(out, "ETag", tag);
 *	reply_end(out);
 *	... the body
 *
 * Everything is appended to a buf.  A value can not break out of its line:
 * control characters in it become spaces.
 */
#ifndef COVEY_REPLY_H
#define COVEY_REPLY_H

#include "buf.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

#define REPLY_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

void reply_start(struct buf *, int status, struct str date);	/* Date; empty: no field */
void reply_field(struct buf *, const char *name, struct str value);
void reply_fieldf(struct buf *, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void reply_length(struct buf *, uint64_t bytes);	/* Content-Length */
void reply_end(struct buf *);

/* A whole answer that says what went wrong: one plain line, a problem document or a page. */
struct reply_error {
	int status;
	struct str detail;	/* a sentence; any bytes */
	struct str date;	/* the Date field's value, or empty */
	struct str fields;	/* more field lines, each with its CR LF (Allow, Version-State), or empty */
	bool json;		/* application/problem+json: the client accepts it (Vary says that it counts) */
	bool page;		/* else HTML: a browser asks, */
	struct str path, node;	/* for this path, which is below a directory, or unknown: empty; this node */
	bool head;		/* the answer to a HEAD: without its body */
	bool close;		/* Connection: close */
};
void reply_error(struct buf *, const struct reply_error *);

#endif
