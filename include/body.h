/*
 * body - where the body of a request ends (RFC 9112, sections 6 and 7)
 *
 *	if (body_start(&body, &head, max_body, &refusal) < 0)
 *		answer and close: it is too large
 *	for each piece of input:
 *		while ((r = body_next(&body, &input, &piece, &refusal)) > 0)
 *			use piece, which points into the input
 *		r == -1: answer refusal.status and close
 *		if (body.done)
 *			what is left in input is the next request
 *
 * Chunks are decoded; their extensions are checked and forgotten.  Trailer
 * fields are kept for body_trailer(), within bounds.
 */
#ifndef COVEY_BODY_H
#define COVEY_BODY_H

#include "head.h"

#define BODY_TRAILER_BYTES 8192		/* more is refused: 431 */
#define BODY_EXTENSION_BYTES 16384	/* of chunk extensions beyond the bytes of content; more is refused: 400 */

struct body {
	bool done;		/* the body is complete */
	uint64_t received;	/* bytes of content so far */
	struct buf trailers;	/* lines, each with its CR LF; whole once the body is done */
	/* private */
	uint64_t limit;
	uint64_t left;		/* bytes of content until the end of the body or chunk */
	uint64_t extension;	/* bytes of chunk extensions so far */
	uint8_t state;
	uint8_t digits;		/* of the chunk size so far */
	size_t line;		/* where the unfinished one begins */
};
#define BODY_INIT { .done = false, .trailers = BUF_INIT }

/* max is in bytes, 0: none.  -1 (413) when the length that was announced is above. */
int body_start(struct body *, const struct head *, uint64_t max, struct refusal *);

/* Take bytes off the front of *input: 1 with a piece of content, 0 when none is left, or -1. */
int body_next(struct body *, struct str *input, struct str *ret_piece, struct refusal *);

/* A trailer field, once the body is done; s is NULL when absent.  Points into the body. */
struct str body_trailer(const struct body *, enum field);

/* All of them in turn, *rest being buf_str(&body->trailers) at first; false at the end. */
bool body_trailer_next(struct str *rest, struct head_field *ret);

void body_clear(struct body *);		/* safe on BODY_INIT */

#endif
