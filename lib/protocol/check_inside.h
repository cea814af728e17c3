/*
 * check_inside - one check, and what its parts want of each other
 *
 *	check.c		checks, the readers who wait for them, one in flight per path
 *	check_ask.c	the first state: asking
 *	check_whom.c	whom to ask
 *	check_judge.c	what to do next, by the answers so far and the time
 *	check_store.c	the second state: storing at those behind
 *	check_sum.c	what the answers say
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
	bool widened;			/* everybody is asked */
	uint64_t widen_at;		/* ms */
	struct store_ask storing;	/* what is stored; its slices are the check's */
	unsigned entries;		/* how often it was the entry */
	struct check_row rows[CHECK_ROWS_MAX];
	size_t row_count;
	unsigned answered;
	bool own_known;
	struct home_found own;
};

static inline struct str check_path(const struct check *check)
{
	return (struct str){ check->path, check->path_bytes };
}

/* The others ask for what is known, whoever knows it. */
static inline bool check_asks_homes(const struct check *check)
{
	return check->purpose == CHECK_READ || check->purpose == CHECK_WRITE ||
	       check->purpose == CHECK_BELOW;
}

static inline uint64_t check_self(const struct check *check)
{
	return check->phase.asker->home->self.id;
}

/* This node's own answer is one of a home. */
static inline bool check_own_counts(const struct check *check)
{
	return check->own_known && !check->phase.asker->home->silent;
}

/* The check is over: all who wait are told, and its memory goes.  True, as a step wants it. */
bool check_finish(struct check *, enum standing, uint64_t now);
/* Over without a word; a phase_kind's forget(). */
void check_forget(struct phase *);

/* Ask, for the first time or again. */
void check_ask(struct check *, struct asker *, uint64_t now);
/* The same for a new layout; a phase_kind's restart(). */
void check_restart(struct phase *, uint64_t now);

/* Those its purpose wants, each with a row. */
void check_add_wanted(struct check *);
/* Beside them, everybody else. */
void check_add_everybody(struct check *);

enum verdict { GO_ON, ASK_EVERYBODY, STORE_ENTRY, STORE_IT, CONFIRMED, UNSETTLED, UNCONFIRMED };

enum verdict check_judge(const struct check *, uint64_t now);
/* ms: when another verdict may be due though nobody answers. */
uint64_t check_look_again_at(const struct check *, uint64_t now);

/* From now on it stores the newest of what was told: the file's, or the entry. */
void check_store(struct check *, uint64_t now);
void check_store_entry(struct check *, uint64_t now);
/* Nothing but the entry is to be known. */
bool check_wants_entry_alone(const struct check *);

struct newest {
	const struct record *record;	/* NULL: nobody knows any */
	const char *type;
};

/* Of all that was told, and what this node has. */
struct newest check_newest(const struct check *);
/* The newest entry that homes told, as far as a majority did; else anybody's.  Version none: none. */
struct record check_entry(const struct check *);
/* The homes that said they hold it, at this epoch. */
struct quorum check_holding(const struct check *, const struct record *newest);
struct quorum check_holding_entry(const struct check *, const struct record *entry);
/* Its content is durable somewhere, as far as anybody told. */
bool check_is_safe(const struct check *, const struct record *newest);
void check_sum_up(const struct check *, enum standing, struct check_result *ret);

#endif
