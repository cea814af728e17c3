/*
 * index - what is below a directory, and the history of a path
 *
 * Both are gathered and settled by inventory.h, and rendered in the pool as
 * page, JSON or text.
 */
#ifndef COVEY_HTTPD_INDEX_H
#define COVEY_HTTPD_INDEX_H

struct index;

void index_free(struct index *);	/* NULL is fine; no job may be running */

#endif
