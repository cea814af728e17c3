/*
 * work_inside - between judging a change (work.c), asking the group (work_ask.c),
 * committing (work_commit.c) and answering (work_answer.c)
 */
#ifndef COVEY_HTTPD_WORK_INSIDE_H
#define COVEY_HTTPD_WORK_INSIDE_H

#include "work.h"

/* What this node's store has at a name, of either kind. */
struct registers {
	struct record file, entry;
};
struct registers work_registers(const struct store_entry *);

/* work.c: what is here and what the group knows of the item; what stands, a file's record or none */
struct registers work_together(const struct item *, const struct registers *here);
struct record work_standing(const struct registers *);
/* work.c: whether that allows the request; -1 says why not */
int work_judge_cond(const struct conn *, const struct record *standing, struct err *);
int work_judge_kind(const struct item *, const struct work *, const struct registers *, struct err *);
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
