/*
 * asker - this node's questions to homes, and to others when these are away
 *
 * What is being asked is check.h (which version is the newest?) and storing.h
 * (keep this record); here is what they share: the layout they go by, whom
 * they can reach, the packets that come back and the time that passes.
 *
 *	asker_init		then the callbacks are set
 *	asker_members, asker_layout	now and whenever they change
 *	check_start, storing_start	done() is called later, never from within
 *	asker_receive, asker_tick	as packets come and time passes: due says when
 *	asker_clear
 *
 * This node is asked as well: its answers come from home->lookup(), its
 * layout is home->layout.  Where it has to keep a record as a home does, it
 * is told by commit() and answers with asker_committed().  Where a directory
 * has to be made that others are to know, it is told by make(), answers with
 * asker_made(), and is told once more by made_end() whether all homes know it.
 *
 * All answers counted together carry one epoch.  When the layout changes
 * everything that is being asked is asked anew.
 *
 * A peer that lets a question pass is sick until it answers again: it is
 * asked after the others, and waited for only when a majority needs it.
 *
 * Pure: time (ms on any clock that does not go back), randomness and the way
 * out are the caller's.
 */
#ifndef COVEY_ASKER_H
#define COVEY_ASKER_H

#include "home.h"
#include "list.h"
#include "member.h"
#include "version_talk.h"

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

#define ASKER_BUCKETS 256
#define ASKER_SHORT_WAIT_MS 40

struct known_parent;

/* An entry to be made: live, and above all that the homes told; not where more is known here. */
struct make_ask {
	struct str path;
	struct version above;		/* what they told; a live one that is here and above this is as good */
	uint64_t time;			/* ns; above that */
};

struct asker {
	/*
	 * Send this packet, sealed.  attempt is 0 at first, and grows as the
	 * peer stays silent.  A STORE may be longer than WIRE_PLAIN_BYTES:
	 * it has to go by HTTP, and what UDP leaves unanswered had better.
	 */
	void (*send)(void *data, const struct peer_target *to, struct str plain, unsigned attempt);
	/* Keep this record durably here, then asker_committed(id), later; id 0: nobody waits. */
	void (*commit)(void *data, uint64_t id, const struct store_ask *);
	/* Make a directory durably here, then asker_made(id), later. */
	void (*make)(void *data, uint64_t id, const struct make_ask *);
	/* What was made with this id is at all its homes; or somebody has to repeat it. */
	void (*made_end)(void *data, uint64_t id, bool everywhere);
	/* This node, there, has a layout of this epoch, which is newer: fetch it. */
	void (*behind)(void *data, uint64_t epoch, uint64_t node, const struct address *discovery);
	uint64_t (*random)(void *data);
	uint64_t (*wall)(void *data);	/* ns since 1970, by the group's clock as far as it is known */
	void *data;
	uint64_t due;			/* ms: when asker_tick() has something to do; 0: nothing */
	uint64_t write_backs;		/* checks that stored what was missing; grows */
	/* private */
	struct home *home;
	uint64_t check_ms, store_ms;
	struct peers peers;
	struct buf packet;
	struct list by_id[ASKER_BUCKETS];	/* struct phase */
	struct list running;		/* struct phase */
	struct list by_path[ASKER_BUCKETS];	/* struct check */
	uint64_t now;			/* ms: of the last call */
	struct list parents;		/* storing.c's, and so is: */
	struct known_parent *known_parents;	/* owned; NULL: nothing yet */
};

/* home stays the caller's; timeouts.check and timeouts.store are the least that is waited. */
void asker_init(struct asker *, struct home *home, uint64_t check_ms, uint64_t store_ms);
void asker_clear(struct asker *);		/* those who wait get no done() */

/* The view; what a peer was known to be sick of stays known. */
void asker_members(struct asker *, const struct members *);
/* Tells home as well (home_layout()). */
void asker_layout(struct asker *, const struct layout *, uint64_t now);
/* How many others have not left: 0 is a group of one. */
size_t asker_peers(const struct asker *);
/* A peer, to be asked alone; false: it cannot be reached. */
bool peers_target(const struct peers *, uint64_t id, struct peer_target *ret);
/* It was asked that at that time, and has not answered yet. */
void peers_silent(struct peers *, uint64_t id, uint64_t question, uint64_t asked);
/* It answered that, too late. */
void peers_heard_late(struct peers *, uint64_t id, uint64_t question, uint64_t now);
/* It took so long, ms, to answer since it was asked first. */
void peers_measured(struct peers *, uint64_t id, uint64_t ms);

/* A RECORD, STORED or STALE that was opened and is for this node, by whichever way it came. */
void asker_receive(struct asker *, const struct wire *, uint64_t now);
void asker_committed(struct asker *, uint64_t id, bool on_disk, uint64_t now);
/* NULL: it could not be made. */
void asker_made(struct asker *, uint64_t id, const struct record *, uint64_t now);
void asker_tick(struct asker *, uint64_t now);

#endif
