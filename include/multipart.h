/*
 * multipart - forms with files, as they arrive (RFC 7578, RFC 2046 section 5.1)
 *
 *	if (multipart_start(&form, content_type, &refusal) < 0) ...
 *	for each piece of the body:
 *		while ((event = multipart_next(&form, &input, &piece, &refusal)) != MULTIPART_MORE)
 *			MULTIPART_PART: form.name, .filename, .type are those of a new part
 *			MULTIPART_CONTENT: piece belongs to it; use it before the next call
 *			MULTIPART_PART_END: it was whole
 *			MULTIPART_REFUSED: answer refusal.status
 *	at the end of the body: form.done, or it was cut off (400)
 *
 * File names: browsers and curl write a quote as %22 (and CR, LF as %0D,
 * %0A), older curl as \"; a backslash before anything else is a plain one.
 * filename* (RFC 8187, UTF-8 only) goes before filename.  Of a name with
 * slashes only what follows the last counts.
 */
#ifndef COVEY_MULTIPART_H
#define COVEY_MULTIPART_H

#include "buf.h"
#include "head.h"

#include <stdbool.h>
#include <stdint.h>

#define MULTIPART_BOUNDARY_BYTES 70
#define MULTIPART_HEAD_BYTES 8192	/* of the fields of one part; more is refused: 431 */

enum multipart_event {
	MULTIPART_REFUSED = -1,
	MULTIPART_MORE,			/* the input is used up */
	MULTIPART_PART,
	MULTIPART_CONTENT,
	MULTIPART_PART_END,
};

struct multipart {
	struct buf name;		/* of the form's field */
	struct buf filename;		/* any bytes but '/'; may be empty: a form sent without a file */
	bool has_filename;
	struct buf type;		/* the part's Content-Type, or empty */
	bool done;			/* the last part has ended; what follows does not count */
	/* private */
	uint8_t state;
	size_t matched;			/* bytes of the delimiter that the input ended with */
	size_t delimiter_n;
	char delimiter[4 + MULTIPART_BOUNDARY_BYTES];	/* CR LF - - boundary */
	struct buf head;		/* the part's field lines so far */
	size_t line;			/* where the unfinished one begins */
	bool has_disposition;
};
#define MULTIPART_INIT { .done = false }

/* The boundary is a parameter of the Content-Type.  Any earlier form is cleared. */
int multipart_start(struct multipart *, struct str content_type, struct refusal *);
/* Takes bytes off the front of *input. */
enum multipart_event multipart_next(struct multipart *, struct str *input, struct str *ret_piece,
				    struct refusal *);
void multipart_clear(struct multipart *);	/* safe on MULTIPART_INIT */

#endif
