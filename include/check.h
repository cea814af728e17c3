/*
 * check - asking all peers which version of a path they have
 *
 * The asker's steps.  A check asks every member that has not left, at most
 * CHECK_PEERS_MAX, all at once, and again those that stay silent, 20, 60
 * and 180 ms later.  It is over when every peer that is worth waiting for
 * has answered, or when the time-out has passed.
 *
 * Whom to ask and wait for is peers.h; a little is CHECK_A_LITTLE_MS.
 *
 * One check is in flight per path (and version); who comes after it was
 * sent might miss what was written since, and joins the next one.
 *
 *	checks_init		then send, random, wall, data are set by the caller
 *	checks_members		now and whenever the view changes
 *	check_start		done() is called later, never from within
 *	checks_receive, checks_tick	as packets come and time passes
 *	checks_clear
 *
 * Pure: time, randomness and the way out are the caller's.
 */
#ifndef COVEY_CHECK_H
#define COVEY_CHECK_H

#include "peers.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECK_PEERS_MAX PEERS_ASKED_MAX
#define CHECK_A_LITTLE_MS 40

struct check_row {			/* one peer that was asked */
	uint64_t id;
	bool answered;			/* what follows is known */
	bool content, directory;
	struct record record;		/* version none: it knows nothing */
	char type[RECORD_TYPE_MAX + 1];
	uint64_t at;			/* ms: when it answered */
	unsigned order;			/* 0 answered first */
};

struct check_result {
	const struct check_row *rows;
	size_t row_count;
	const struct check_row *newest;	/* of the answers; NULL: nobody knows any */
	bool directory;			/* somebody has a directory there */
	uint64_t holders[CHECK_PEERS_MAX];	/* that have the newest one's content, quickest first */
	size_t holder_count;
	uint32_t asked;			/* members that have not left */
	uint32_t answered;
};

/* One who waits for a result; embedded in what it belongs to. */
struct check_wait {
	/* Good until it returns; the wait is over then. */
	void (*done)(struct check_wait *, const struct check_result *);
	/* private */
	struct check *check;		/* NULL: not waiting */
	struct check_wait *next, *prev;
};

struct check;

#define CHECK_BUCKETS 256

struct checks {
	void (*send)(void *data, const struct address *, struct str plain);
	uint64_t (*random)(void *data);
	uint64_t (*wall)(void *data);	/* ns since 1970, for the peers to know */
	void *data;
	uint64_t due;			/* ms: when checks_tick() has something to do; 0: nothing */
	/* private */
	uint64_t timeout_ms;
	struct buf sender;		/* the packed start of every packet */
	struct buf packet;
	struct peers peers;
	struct check *by_path[CHECK_BUCKETS];
	struct check *by_id[CHECK_BUCKETS];
	struct check *running;		/* in flight, a list */
};

void checks_init(struct checks *, uint64_t group, const struct member *self, uint64_t timeout_ms);
void checks_clear(struct checks *);	/* waits end without done() */

/* The view; what a peer was known to be sick of stays known. */
void checks_members(struct checks *, const struct members *);
/* How many will be asked: 0 is a group of one. */
size_t checks_asked(const struct checks *);

/* path is copied; version none asks for the newest. */
void check_start(struct checks *, struct check_wait *, struct str path, struct version,
		 uint64_t now);
void check_cancel(struct check_wait *);	/* safe when not waiting */

void checks_receive(struct checks *, const struct wire *, uint64_t now);
void checks_tick(struct checks *, uint64_t now);

#endif
