/*
 * work_inside - between judging a change (work.c), asking the group (work_ask.c),
 * committing (work_commit.c) and answering (work_answer.c)
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
/* work.c: If-Match or the like, in a group. */
bool work_is_update(const struct work *);
/* work_ask.c: -1: an update, and there are others, or may be. */
int work_judge_alone(const struct conn *, struct err *);
/* work_ask.c: one part is done; the last one leads to the commit. */
void work_ready(struct conn *);

/* work_commit.c, in the pool: work_ready() and work_committed() follow on the loop */
void work_stage(struct conn *);
void work_commit(struct conn *);
/* The item's body is in its stage, on disk, and its digests are right.  Blocks. */
int work_complete_stage(struct work *, struct item *, struct err *);

/* work_answer.c: the change is here, or could not be made */
void work_committed(struct conn *);

#endif
