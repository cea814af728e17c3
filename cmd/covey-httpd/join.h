/*
 * join - one index or history out of this node's and the gathered ones
 */
#ifndef COVEY_HTTPD_JOIN_H
#define COVEY_HTTPD_JOIN_H

#include "gather.h"
#include "listing_text.h"
#include "store.h"

struct join_rows {
	struct listing_row *rows;	/* owned; sorted by the bytes of name */
	size_t count;
	bool more;			/* names follow beyond the limit */
	char **names;			/* owned: what the rows point into */
};
#define JOIN_ROWS_INIT { .rows = NULL }

struct join_page {
	struct str after;		/* names after it; s NULL: all */
	size_t limit;			/* rows; 0: no limit */
	bool deleted;			/* tombstones too */
};

/* Of a listing alone; of it (with its tombstones) and what peers have.  Blocks on the disk. */
void join_local(struct join_rows *, const struct listing *);
void join_listing(struct join_rows *, const struct listing *, const struct gather *,
		  const struct join_page *);
void join_rows_clear(struct join_rows *);

struct join_versions {
	struct history_row *rows;	/* owned; newest first */
	size_t count;
	char **types;			/* owned: what the rows point into */
};
#define JOIN_VERSIONS_INIT { .rows = NULL }

void join_history(struct join_versions *, const struct history *, const struct gather *);
void join_versions_clear(struct join_versions *);

#endif
