/*
 * escape - names of any bytes inside JSON, HTML and quoted strings
 *
 * Names in the store need not be UTF-8.  Where text must be, each byte
 * that is not part of a well-formed sequence becomes U+FFFD; the exact
 * name travels percent-encoded beside it (pct.h).
 */
#ifndef COVEY_ESCAPE_H
#define COVEY_ESCAPE_H

#include "buf.h"
#include "str.h"

void escape_json(struct buf *, struct str);	/* with its quotes (RFC 8259, section 7) */
void escape_html(struct buf *, struct str);	/* for text and for quoted attributes */

#endif
