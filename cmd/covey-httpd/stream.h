/*
 * stream - content that another node holds, sent on while it arrives
 *
 * covey-syncd pulls it into a growing file, and stores it when its sha256
 * is right.  The last bytes of the answer are held back until then: when
 * it is not, or nobody has the content, the connection is cut.  As long as
 * nothing was sent, an older version that is here is answered instead.
 */
#ifndef COVEY_HTTPD_STREAM_H
#define COVEY_HTTPD_STREAM_H

#include "freshness.h"
#include "record.h"

#include <stdbool.h>

struct conn;
struct stream;

/* Answer a GET with this version; request.ask knows its holders. */
void stream_start(struct conn *, const struct record *);
/*
 * Only fetch this version; then done(conn, fd): an open file that holds it,
 * now done's, or -1.  (The store gets it a moment later.)  False: nobody has
 * it.  The connection is resumed behind done().
 */
bool stream_fetch(struct conn *, const struct record *, void (*done)(struct conn *, int));
void stream_free(struct stream *);			/* NULL is fine */

/* Whether the content is still on its way. */
bool stream_active(const struct conn *);
/* The output may not run ahead of it. */
void stream_limit_output(struct conn *);
void stream_cache_status(const struct conn *, struct cache_status *);

#endif
