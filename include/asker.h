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
#include "peers.h"
#include "version_talk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASKER_BUCKETS 256
#define ASKER_SHORT_WAIT_MS 40

struct phase;
struct check;
struct parent;
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
	struct phase *by_id[ASKER_BUCKETS];
	struct list running;		/* struct phase */
	struct check *by_path[ASKER_BUCKETS];
	uint64_t now;			/* ms: of the last call */
	struct list parents;	/* storing.c's, and so is: */
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

/* A RECORD, STORED or STALE that was opened and is for this node, by whichever way it came. */
void asker_receive(struct asker *, const struct wire *, uint64_t now);
void asker_committed(struct asker *, uint64_t id, bool on_disk, uint64_t now);
/* NULL: it could not be made. */
void asker_made(struct asker *, uint64_t id, const struct record *, uint64_t now);
void asker_tick(struct asker *, uint64_t now);

#endif
