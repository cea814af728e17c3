/*
 * work_inside - between asking the group (work_ask.c) and changing the store (work.c)
 */
#ifndef COVEY_HTTPD_WORK_INSIDE_H
#define COVEY_HTTPD_WORK_INSIDE_H

#include "work.h"

static inline bool work_is_directory(const struct record *r)
{
	return record_is_live(r) && r->flags & RECORD_DIRECTORY;
}

static inline bool work_is_file(const struct record *r)
{
	return record_is_live(r) && !(r->flags & RECORD_DIRECTORY);
}

/* work.c: whether the newest version allows the request; -1 says why not */
int work_judge_cond(const struct conn *, const struct record *newest, struct err *);
int work_judge_kind(const struct work *, const struct record *newest, bool directory, struct err *);
/* All is known: commit in the pool, then answer. */
void work_submit(struct conn *);

#endif
