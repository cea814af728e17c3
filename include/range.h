/*
 * range - parts of a representation (RFC 9110, section 14)
 *
 * Several ranges are answered in the order asked for, unless some overlap
 * or lie so close that a part's header would cost more than the gap: then
 * they are merged and sorted.  More than RANGES_MAX parts are nobody's
 * honest wish: the whole is answered, as the RFC allows.
 *
 *	switch (range_parse(field, size, &ranges)) ...
 *	one range: 206, Content-Range: range_content()
 *	several: 206, Content-Type: multipart/byteranges; boundary=B,
 *	    Content-Length: range_length(), then for each range_part() and
 *	    its bytes, and range_end() at last
 */
#ifndef COVEY_RANGE_H
#define COVEY_RANGE_H

#include "buf.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

#define RANGES_MAX 16

struct range {
	uint64_t from;		/* first byte */
	uint64_t length;	/* at least 1 */
};

struct ranges {
	size_t count;
	struct range range[RANGES_MAX];
};

enum range_verdict {
	RANGE_WHOLE,		/* no usable Range field: 200 with all of it */
	RANGE_PARTIAL,		/* 206 */
	RANGE_UNSATISFIABLE,	/* 416, with range_content_none() */
};

/* field is the value of Range (s NULL: absent); size that of the representation.  *ret is set for 206. */
enum range_verdict range_parse(struct str field, uint64_t size, struct ranges *ret);

void range_content(struct buf *, const struct range *, uint64_t size);	/* "bytes 0-4/10" */
void range_content_none(struct buf *, uint64_t size);			/* for 416: with a star for the range */

/* multipart/byteranges: what stands before the bytes of one part, behind the last, and how long all is. */
void range_part(struct buf *, const struct range *, uint64_t size, struct str type,
		struct str boundary);
void range_end(struct buf *, struct str boundary);
uint64_t range_length(const struct ranges *, uint64_t size, struct str type, struct str boundary);

/*
 * The Content-Range of an upload: 0 with the size of the whole when the
 * upload is the whole ("bytes 0-9/10"), else -1: a part is refused (400).
 */
int range_upload(struct str field, uint64_t *ret_size);

#endif
