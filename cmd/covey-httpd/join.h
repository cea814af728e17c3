/*
 * join - one index or history out of those of several nodes
 *
 * Of a name the newest version of any node counts; a name that is a
 * directory on some node is one.  A line that cannot be read is left out:
 * it can only come from a peer of another mind.
 */
#ifndef COVEY_HTTPD_JOIN_H
#define COVEY_HTTPD_JOIN_H

#include "listing_text.h"
#include "store.h"

struct join_rows {
	struct listing_row *rows;	/* owned; sorted by the bytes of name */
	size_t count;
	char **names;			/* owned: what the rows of peers point into */
	size_t name_count;
};
#define JOIN_ROWS_INIT { .rows = NULL }

/* The listing must stay as long as the rows. */
void join_rows_add(struct join_rows *, const struct listing *);
void join_rows_add_text(struct join_rows *, struct str text);
/* Sort, and leave one row per name; tombstones only when they are wanted. */
void join_rows_finish(struct join_rows *, bool with_deleted);
void join_rows_clear(struct join_rows *);

struct join_versions {
	struct history_row *rows;	/* owned; newest first */
	size_t count;
};
#define JOIN_VERSIONS_INIT { .rows = NULL }

/* The history, or the text, must stay as long as the rows. */
void join_versions_add(struct join_versions *, const struct history *);
void join_versions_add_text(struct join_versions *, struct str text);
void join_versions_finish(struct join_versions *);
void join_versions_clear(struct join_versions *);

#endif
