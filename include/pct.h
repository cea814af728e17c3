/*
 * pct - percent-encoding of paths and queries (RFC 3986, section 2.1)
 *
 * Names are any bytes; encoded they are ASCII without spaces, so that
 * they survive a URL, a line of text and a terminal, and come back exact.
 */
#ifndef COVEY_PCT_H
#define COVEY_PCT_H

#include "buf.h"
#include "str.h"

/* Append text with all but unreserved characters and '/' encoded. */
void pct_encode(struct buf *, struct str);

/* The same with '/' encoded too: one component of a path, or a query's value. */
void pct_encode_component(struct buf *, struct str);

/* Append the bytes meant.  -1 (nothing appended) on a bad escape; NUL is the caller's to refuse. */
int pct_decode(struct buf *, struct str);

#endif
