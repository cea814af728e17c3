/*
 * synod - agreeing on the next layout: single-decree Paxos
 *
 * (Lamport, "The Part-Time Parliament", 1998.)  The instance is the epoch
 * that is to be decided, of one lineage; the council of the layout before
 * it decides.  Each of its members is an acceptor:
 *
 *	PREPARE ballot		->	PROMISE {what it has accepted}	no lower ballot any more
 *	ACCEPT ballot, layout	->	ACCEPTED
 *	either			->	NACK {the greater ballot that it promised}
 *
 * What a majority of the council has accepted with one ballot is the
 * layout of that epoch, for ever.  An acceptor acts on the instance behind
 * its own epoch alone: an older one is answered with its layout, before a
 * later one it fetches the layouts that it lacks.  So what was begun under
 * one council never goes on under another.  Its promise is never about an
 * older instance than it was, also when it has been of another lineage.
 *
 * Acceptor: synod_hear() changes the promise; it must be on disk before the
 * answer leaves.  Proposer: synod_propose(), then synod_answer() for what
 * comes and synod_tick() at `due`; send() is called for each message, with
 * this node's own id too, which is asked first and alone: its promise keeps
 * a ballot from being used twice, also after a restart.
 *
 * Pure: time, randomness and the way out are the caller's.
 */
#ifndef COVEY_SYNOD_H
#define COVEY_SYNOD_H

#include "wire.h"

#define SYNOD_AGAIN_MS 100		/* a message that may be lost is sent again */
#define SYNOD_BALLOT_MS 1000		/* a ballot without a majority by then is given up */
#define SYNOD_WAIT_MS 400		/* at most, before the next one */
#define SYNOD_BALLOTS 6			/* then the proposer gives up */

/* What an acceptor keeps on its disk. */
struct synod_promise {
	uint64_t lineage, instance;	/* 0: nothing was promised yet */
	struct ballot promised;
	struct ballot accepted;		/* round 0: nothing */
	struct layout value;		/* what was accepted, or LAYOUT_NONE */
};
#define SYNOD_PROMISE_NONE ((struct synod_promise){ .instance = 0 })

enum synod_verdict {
	SYNOD_IGNORE,			/* not this node's business */
	SYNOD_REPLY,			/* *ret_type and *ret, when *promise is on disk */
	SYNOD_OLD,			/* answer with this node's layout */
	SYNOD_BEHIND,			/* fetch the sender's layout first */
};

/* What member `self` does with a PREPARE or an ACCEPT, having this layout and no newer one. */
enum synod_verdict synod_hear(struct synod_promise *, const struct layout *, uint64_t self,
			      enum wire_type, const struct wire_synod *, enum wire_type *ret_type,
			      struct wire_synod *ret);

/*
 * Whether this node has voted on, or lived through, a later epoch of that
 * layout's lineage than the one behind it: it is of that layout no more.
 */
bool synod_is_past(const struct synod_promise *, const struct layout *);

/* Whether the second may come right after the first: one step of a change, or back. */
bool synod_may_follow(const struct layout *, const struct layout *next);

enum synod_phase { SYNOD_IDLE, SYNOD_PREPARE, SYNOD_ACCEPT, SYNOD_PAUSE, SYNOD_DECIDED, SYNOD_FAILED };

struct synod_proposer {
	void (*send)(void *data, uint64_t to, enum wire_type, const struct wire_synod *);
	uint64_t (*random)(void *data);
	void *data;
	uint64_t self;
	enum synod_phase phase;
	uint64_t due;			/* ms: when synod_tick() has to be called; 0: not at all */
	struct layout value;		/* DECIDED: the layout of the epoch, not always one's own */
	/* private */
	struct layout base, wish;
	uint64_t council[LAYOUT_COUNCIL_MAX];	/* this node first */
	size_t council_count;
	unsigned answered;		/* bit i: council[i], in this phase */
	struct ballot ballot, accepted;
	uint64_t id, ballot_ends;
	unsigned ballots;
};

/*
 * Try to make wish the layout after base.  This node has a seat in base's
 * council.  known: its own promise, so that it begins above it.
 */
void synod_propose(struct synod_proposer *, const struct layout *base, const struct layout *wish,
		   const struct synod_promise *known, uint64_t now);
/* An answer, from its sender. */
void synod_answer(struct synod_proposer *, uint64_t from, enum wire_type,
		  const struct wire_synod *, uint64_t now);
void synod_tick(struct synod_proposer *, uint64_t now);
void synod_stop(struct synod_proposer *);	/* IDLE; what was begun may still be decided */
bool synod_is_busy(const struct synod_proposer *);

#endif
