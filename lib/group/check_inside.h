/*
 * check_inside - one check, and what its answers say
 *
 * check.c asks and decides what to do next; check_sum.c reads the answers.
 */
#ifndef COVEY_CHECK_INSIDE_H
#define COVEY_CHECK_INSIDE_H

#include "check.h"
#include "phase.h"

struct check {
	struct phase phase;
	struct check *path_next;	/* in its bucket */
	struct check *after;		/* starts when this is over; NULL: nobody waits for it */
	struct check_wait *waits;
	char *path;			/* owned */
	size_t path_bytes;
	enum check_purpose purpose;
	struct version version;
	uint64_t hash;
	bool storing;			/* the second state */
	bool widened;			/* everybody is asked */
	uint64_t widen_at;		/* ms */
	struct quorum knowing;		/* who knows the directory above */
	struct check_row rows[CHECK_ROWS_MAX];
	size_t row_count;
	unsigned answered;
	bool own_known;
	struct home_found own;
};

struct newest {
	const struct record *record;	/* NULL: nobody knows any */
	const char *type;
};

/* Of all that was told, and what this node has. */
struct newest check_newest(const struct check *);
/* The homes that said they hold it, at this epoch. */
struct quorum check_holding(const struct check *, const struct record *newest);
/* Its content is durable somewhere, as far as anybody told. */
bool check_is_safe(const struct check *, const struct record *newest);
void check_sum_up(const struct check *, enum standing, struct check_result *ret);

static inline uint64_t check_self(const struct check *check)
{
	return check->phase.asker->home->self.id;
}

/* This node's own answer is one of a home. */
static inline bool check_own_counts(const struct check *check)
{
	return check->own_known && !check->phase.asker->home->silent;
}

#endif
