/*
 * gossip - how views spread: each round, tell a few members what is known
 *
 * A round, every GOSSIP_ROUND_MS, raises this node's heartbeat and sends
 * its own entry and those of others to a few members; each answers with
 * its own.  A group of up to 4 nodes is told whole.  Members thought dead
 * and seeds are asked too, seldom while others are alive, so that a node
 * that returns, or the other half of a partition, is found again.
 *
 * With what is told of a member goes how long ago its last word came.  Who is
 * gone or down for GOSSIP_FORGET_S, and is no member of the layout, is
 * dropped, by all at the same time, and is not met again through one that
 * was away meanwhile, nor by what was recorded of it: a stranger whose clock is
 * days away has to answer a fresh question before it is met.
 *
 * Per round at most GOSSIP_TARGETS messages, one to a stranger and one per
 * seed go out, and one for each message that came in and asks for an answer.
 *
 * A small group in which nothing happens may rest: its nodes read what came
 * once in a round of GOSSIP_REST_MS, before they tell, and so wake up for
 * that alone.  What is read so late says nothing exact of the teller's clock.
 *
 * That what is told at random reaches everybody is from Demers et al.,
 * "Epidemic Algorithms for Replicated Database Maintenance", 1987; that
 * heartbeats are counters which spread in this way, from van Renesse, Minsky
 * and Hayden, "A Gossip-Style Failure Detection Service", 1998.
 *
 * Pure: time, randomness and the way out are the caller's.  Messages are
 * plain; the caller seals and sends them, in send().
 */
#ifndef COVEY_GOSSIP_H
#define COVEY_GOSSIP_H

#include "view.h"
#include "wire.h"

#define GOSSIP_ROUND_MS 500
#define GOSSIP_REST_MS (VIEW_SUSPECT_MS / 4)	/* as seldom as view_tick() may come */
#define GOSSIP_TARGETS 4		/* members told in one round */
#define GOSSIP_RESTING_MAX 5		/* nodes; of more a word would take too many rounds to get around */
#define GOSSIP_SEEDS_MAX 64		/* addresses, of all seeds together */
#define GOSSIP_FORGET_S (UINT64_C(7) * 24 * 3600)

struct gossip {
	struct view view;
	uint64_t group;			/* of the key that seals; the caller's to change */
	void (*send)(void *data, const struct address *, struct str plain);
	uint64_t (*random)(void *data);
	uint64_t (*wall)(void *data);	/* ns since 1970 */
	bool (*belongs)(void *data, uint64_t id);	/* to the layout; NULL: nobody does */
	void *data;
	struct address seeds[GOSSIP_SEEDS_MAX];
	size_t seed_count;
	uint64_t round;			/* rounds so far */
	uint64_t id;			/* random, of this start's questions; 0: none was asked yet */
	struct address stranger;	/* to be asked in the next round, for a proof; len 0: none */
	uint64_t proofs[2];		/* random, of this round's such question and the one's before */
	struct buf packet;		/* the one being made */
	bool late;			/* the caller's: what is received has waited, for up to GOSSIP_REST_MS */
	bool clock_moved;		/* of what came late this says that it must not: the caller's to take back */
};

/* send, random, wall and data are set by the caller, before or after. */
void gossip_init(struct gossip *, const struct member *self, uint64_t group, uint64_t now);
void gossip_clear(struct gossip *);

/* All seeds' addresses, as far as they are known by now. */
void gossip_seeds(struct gossip *, const struct address *, size_t count);

void gossip_round(struct gossip *, uint64_t now);
/* A message that was opened; from is where an answer goes. */
void gossip_receive(struct gossip *, const struct wire *, const struct address *from,
		    uint64_t now);
/* It answers a question of this start: it is no recorded one. */
bool gossip_is_answer(const struct gossip *, const struct wire *);
/* Tell whoever listens there, and expect no answer: for multicast. */
void gossip_announce(struct gossip *, const struct address *);
/* Say good-bye to all; for_good: this node left the layout, too. */
void gossip_leave(struct gossip *, bool for_good);

#endif
