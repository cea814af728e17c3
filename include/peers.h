/*
 * peers - whom to ask, in which order, and how long each is worth waiting for
 *
 * Worth waiting for, to the end, are the members that are up.  One that
 * let a question pass without answering is sick until it answers again,
 * late or early.  Members that are suspect or down, and not known to be
 * sick, are waited for a little: the view may be wrong.  Those that are
 * sick are asked last and not waited for, unless there is nobody better:
 * then those among them that are up are waited for a little as well.
 *
 * What gossip says decides whom to ask first and how long to wait, never
 * whether a home is asked: one that has left, or whose address another node
 * has, is asked by peers_target() as long as a layout has it, and is passed
 * over by peers_choose() alone.  Nobody is asked at this node's own address.
 *
 * Round trips are measured and smoothed per peer, from nothing on: one that
 * was long once is soon forgotten.
 */
#ifndef COVEY_PEERS_H
#define COVEY_PEERS_H

#include "member.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEERS_ASKED_MAX 16
#define PEERS_RTT_MAX_MS 2000		/* what takes longer was no way, but a stopped process */

struct peer {
	uint64_t id;
	struct address versions, http;
	enum member_state state;
	bool sick;
	uint64_t sick_of;		/* id of a question it has not answered: the first in a while */
	uint64_t sick_asked;		/* ms: when it was asked that */
	uint64_t last_of, last_asked;	/* the same of the newest question it has not answered */
	uint32_t rtt8;			/* eighths of ms */
};

/* All members but this node. */
struct peers {
	struct peer *list;		/* owned */
	size_t count;
};
#define PEERS_INIT { .list = NULL, .count = 0 }

enum peer_wait { PEER_WAIT_FULL, PEER_WAIT_SHORT, PEER_WAIT_NONE };

/* Best first. */
enum peer_rank { PEER_UP, PEER_DOUBTFUL, PEER_SICK, PEER_SICK_AND_AWAY };

struct peer_target {
	uint64_t id;
	struct address versions, http;	/* one of them may have len 0 */
	uint32_t rtt_ms;		/* 0: less, or not measured */
	enum peer_rank rank;
	enum peer_wait wait;
};

void peers_clear(struct peers *);
/* The view; what a peer was known to be sick of stays known until it comes back. */
void peers_set(struct peers *, const struct members *);

size_t peers_count(const struct peers *);	/* that have not left */

/* Of those, best first, the same order for the same hash on every node; how many. */
size_t peers_choose(const struct peers *, uint64_t hash, struct peer_target ret[PEERS_ASKED_MAX]);
/* One of them, as if asked alone; false: it cannot be reached. */
bool peers_target(const struct peers *, uint64_t id, struct peer_target *ret);
enum peer_wait peers_wait(enum peer_rank, enum peer_rank best);

/* It was asked at that time and has not answered yet. */
void peers_silent(struct peers *, uint64_t id, uint64_t question, uint64_t asked);
/* It answered a question, in time or late. */
void peers_heard(struct peers *, uint64_t id);
void peers_heard_late(struct peers *, uint64_t id, uint64_t question, uint64_t now);
/* It took so long, ms, to answer since it was asked first. */
void peers_measured(struct peers *, uint64_t id, uint64_t ms);

#endif
