/*
 * phase - one question to several nodes, and who has answered it
 *
 * What check.c and storing.c share of asker.c; they embed a phase in what they
 * ask for.
 *
 *	phase_begin		a new question, with a new id, of the present layout
 *	phase_add_homes, phase_add	whom to ask
 *	phase_ask		ask them; then kind->answer() and kind->step() are called
 *	phase_end		nothing more is expected
 *
 * kind->step() is called after each answer and when phase.due has come.
 */
#ifndef COVEY_PHASE_H
#define COVEY_PHASE_H

#include "asker.h"
#include "quorum.h"

#define PHASE_PEERS_MAX (QUORUM_HOMES_MAX + PEERS_ASKED_MAX)

struct phase;

struct phase_kind {
	/* Append the question; epoch 0: not as to a home. */
	void (*question)(struct phase *, uint64_t epoch, struct buf *);
	/* peers[i] answered, not with STALE.  False: that is not an answer to this question. */
	bool (*answer)(struct phase *, size_t i, const struct wire *, uint64_t now);
	/* This node's disk has the record.  False: it does not count as a home that has it.  May be NULL. */
	bool (*kept)(struct phase *);
	/* Is it over?  Sets phase.due if not.  True: done() was called, or the phase is gone. */
	bool (*step)(struct phase *, uint64_t now);
	/* The layout has changed. */
	void (*restart)(struct phase *, uint64_t now);
	void (*forget)(struct phase *);
	unsigned pace;			/* times the usual wait before asking again */
};

struct phase_peer {
	struct peer_target target;
	bool home;			/* asked by epoch, too */
	bool answered;			/* as well as it can: nothing more is expected */
	bool stale;			/* it has a newer layout */
	unsigned asked_times;
	uint64_t asked;			/* ms: first */
};

struct phase {
	const struct phase_kind *kind;
	struct asker *asker;
	struct link by_id, running;	/* in the asker's lists */
	uint64_t id, epoch;
	uint64_t sent, deadline;	/* ms */
	uint64_t short_wait;		/* ms after sent: how long the doubtful are waited for */
	uint64_t due;			/* ms */
	size_t repeats;
	bool asks_peers;		/* the silent are asked as no homes, too */
	bool stale;			/* a newer layout exists */
	bool committing;		/* this node is about to keep the record */
	struct phase_peer peers[PHASE_PEERS_MAX];
	size_t count;
	struct quorum quorum;		/* who has answered as a home */
};

/* Of those that have not left, best first, the same order for the same hash on every node; how many. */
size_t peers_choose(const struct peers *, uint64_t hash, struct peer_target ret[PEERS_ASKED_MAX]);

/* timeout_ms is the least: round trips to homes may make it longer (phase_add_homes). */
void phase_begin(struct phase *, struct asker *, const struct phase_kind *, uint64_t timeout_ms,
		 uint64_t now);
/* The homes in phase.quorum that have not answered, but this node. */
void phase_add_homes(struct phase *);
/* Another one, or one that is asked already: where it is, or PHASE_PEERS_MAX: no room. */
size_t phase_add(struct phase *, const struct peer_target *);
/* Those that were not asked yet. */
void phase_ask(struct phase *, uint64_t now);
void phase_ask_peers(struct phase *, uint64_t now);	/* those that did not answer: not as homes */
void phase_end(struct phase *, uint64_t now);

/* ms until which somebody is worth waiting for; 0: nobody. */
uint64_t phase_until(const struct phase *);
/* The earlier of that and of asking again; never less than now. */
uint64_t phase_next(const struct phase *, uint64_t now);
void phase_set_due(struct phase *, uint64_t due);
/* A majority can be had from those that are well. */
bool phase_is_likely(const struct phase *);

/*
 * To have a record kept: the question is a STORE, peers[i] counts as a home
 * that keeps it once it said STORED (false: that is no such answer), and this
 * node, where it is to keep the record, once that is on its disk.
 */
void phase_pack_store(const struct phase *, uint64_t epoch, const struct store_ask *, struct buf *);
bool phase_stored(struct phase *, size_t i, const struct wire *);
void phase_commit(struct phase *, const struct store_ask *);

/* Which directories are known to stand, and those that are just being asked for as well. */
void storing_forget_parents(struct asker *);
void storing_forget_all(struct asker *);

#endif
