/*
 * peers - whom to ask, in which order, and how long each is worth waiting for
 *
 * Worth waiting for, to the end, are the members that are up.  One that
 * let a question pass without answering is sick until it answers again,
 * late or early.  Members that are suspect or down, and not known to be
 * sick, are waited for a little: the view may be wrong.  Those that are
 * sick are asked last and not waited for, unless there is nobody better:
 * then those among them that are up are waited for a little as well.
 */
#ifndef COVEY_PEERS_H
#define COVEY_PEERS_H

#include "member.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEERS_ASKED_MAX 16

struct peer {
	uint64_t id;
	struct address versions;
	enum member_state state;
	bool sick;
	uint64_t sick_of;		/* id of a question it has not answered */
};

/* Members that have not left, without this node. */
struct peers {
	struct peer *list;		/* owned */
	size_t count;
};
#define PEERS_INIT { .list = NULL, .count = 0 }

enum peer_worth { PEER_ALL, PEER_A_LITTLE, PEER_NOTHING };

struct peer_target {
	uint64_t id;
	struct address address;
	enum peer_worth worth;
};

void peers_clear(struct peers *);
/* The view; what a peer was known to be sick of stays known until it comes back. */
void peers_set(struct peers *, const struct members *);

/* Best first, the same order for the same hash on every node; how many. */
size_t peers_choose(const struct peers *, uint64_t hash, struct peer_target ret[PEERS_ASKED_MAX]);

void peers_silent(struct peers *, uint64_t id, uint64_t question);
/* It answered a question, in time or late. */
void peers_heard(struct peers *, uint64_t id);
void peers_heard_late(struct peers *, uint64_t id, uint64_t question);

#endif
