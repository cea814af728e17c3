/*
 * discoverd - what the files of covey-discoverd share
 *
 *	main.c		the role: start, rounds, good-bye
 *	network.c	the sockets of the gossip, and multicast
 *	carry.c		what covey-syncd does for this: packets by HTTP, DRAIN
 *	seeds.c		where to look for others first
 *	state.c		what outlives the process: members.ini, synod-LINEAGE.ini
 *	standing.c	what this node is to the group, which start it is, and how far its disk remembers
 *	settle.c	sockets, disk and timer around agent.h: layouts
 *	wishes.c	what people ask of the layout
 *	comings.c	the log's lines about who comes and goes
 *	watch.c		discover.sock
 *
 * What has to be on disk before it is told is written by a pool of one
 * thread, so that the loop never waits for the disk.
 */
#ifndef COVEY_DISCOVERD_H
#define COVEY_DISCOVERD_H

#include "agent.h"
#include "call.h"
#include "discover_talk.h"
#include "gossip.h"
#include "pool.h"
#include "sealed.h"
#include "serve.h"
#include "service.h"
#include "waking.h"

#define SEED_ADDRESSES 8

struct seed {
	char *text;			/* "host:port", as configured, without http://; owned */
	struct address addresses[SEED_ADDRESSES];	/* found so far */
	bool answered[SEED_ADDRESSES];	/* since the start */
	size_t count;
	bool numeric;			/* needs no resolving */
	bool http;			/* the addresses are of its HTTP */
	struct call call;		/* RESOLVE, while one is under way */
	struct timer again;
	struct discoverd *discoverd;
};

/* What is remembered of this node itself: state/standing.ini. */
struct node_standing {
	uint64_t self;			/* whose it is */
	uint64_t sequence;
	int64_t offset;			/* ns to add to the own clock */
	bool silent;			/* it forgot something */
	bool guest;			/* it was told to leave the layout */
	struct address ended_at;	/* where its last process said good-bye; len 0: it did not */
	struct starts starts;
};

/* What the pool writes for the agent. */
struct settling {
	struct job job;
	struct synod_promise promise;
	struct layout layout;
	uint64_t left;			/* the lineage of the layout before; 0: there was none */
	int rc;
	struct err err;
};

struct saving_members {
	struct discoverd *discoverd;
	struct job job;
	struct members members;		/* as they are being written; owned */
	bool busy, again, failed;	/* failed: and that was logged */
	int rc;
	struct err err;
};

struct discoverd {
	struct service *service;
	struct pool *pool;		/* one thread: what is written goes in order */
	struct gossip gossip;		/* with the view; its sockets may be missing: a group of one */
	struct seal_keys keys;
	struct buf packet;		/* the message being made */

	struct sealed_socket *unicast, *multicast;
	int multicast_fd;
	struct address multicast_address;
	struct timer announce;

	bool expects;			/* what is being sent should be answered */
	struct address carried_from;	/* the asker of a packet that came by HTTP; len 0: none */
	struct buf *carried;		/* its answer */
	struct path *paths;		/* where packets go; owned */
	struct call drain;
	bool drain_again;
	struct timer wake;		/* covey-syncd may have ended */
	uint64_t returns;		/* of the view, that syncd was told of */
	struct coming *comings;		/* what the log said of each peer; owned by comings.c */
	size_t coming_count;
	uint64_t comings_seen;		/* of the view's changes */

	struct seed *seeds;
	size_t seed_count;
	struct caller *sync;

	struct buf directory;		/* STORE/state */
	struct timer round, publish, farewell;
	uint64_t published;		/* the view's changes that all have been told of */
	int64_t published_offset;
	int farewells;			/* still to be said */
	struct saving_members saving;

	struct node_standing standing;	/* on disk, but for the offset */
	bool guest_wanted;		/* what standing.guest is about to be */
	bool unsure;			/* after the start: what others remember is not known yet */
	bool unsure_logged;
	struct waking waking;
	bool speak_wanted;		/* nothing speaks against it: on disk that it does, then it does */
	uint64_t raise_wanted;		/* a start of ours that others know, to count on from; or 0 */
	struct timer remember, sure;
	struct job remember_job;
	struct node_standing remembering;
	bool remember_busy;
	bool remember_failed;		/* the last time, and that was logged */
	int remember_rc;
	struct err remember_err;

	struct agent agent;		/* what this node does about layouts */
	struct settling promising, adopting;
	struct timer settle_due;

	struct wish *wishes;		/* that are not done yet */
	char waits[DISCOVER_WAITS_MAX + 1];	/* why leaving takes long, or empty */
	uint64_t waits_changes;
	struct timer wish_again;

	struct serve *serve;
	struct serve_request **watchers;
	size_t watcher_count;
};

/* network.c */
uint64_t network_random(void *);	/* of gossip and the agent */
int network_start(struct discoverd *, struct err *);
void network_stop(struct discoverd *);
/* Begin a message to this node in d->packet; what is packed behind it goes out. */
struct buf *network_message(struct discoverd *, uint64_t receiver);
void network_send(struct discoverd *, const struct address *);
void network_ask(struct discoverd *, const struct address *);	/* the same, and an answer is due */
void network_seal(const struct discoverd *, struct str plain, struct buf *ret);
/* A message from there, however it came. */
void network_hear(struct discoverd *, const struct wire *, const struct address *from);
/* A member's discovery; NULL: not known. */
const struct address *network_address(const struct discoverd *, uint64_t id);

/* carry.c */
void carry_start(struct discoverd *);
void carry_stop(struct discoverd *);
/* A message goes there by UDP; expects: an answer should come soon.  It goes by HTTP too when none does. */
void carry_sent(struct discoverd *, const struct address *, struct str plain, bool expects);
bool carry_only(const struct discoverd *, const struct address *);	/* UDP is not spoken there */
void carry_heard(struct discoverd *, const struct wire *, const struct address *from);	/* by UDP */
/* A packet that came by HTTP: its answer into *ret, sealed, or nothing. */
void carry_receive(struct discoverd *, struct str packet, struct buf *ret);
void carry_poke(struct discoverd *);		/* DRAIN: peers or the layout have changed */
void carry_unwatched(struct discoverd *);	/* a role watches no more: covey-syncd may have ended */

/* seeds.c */
int seeds_start(struct discoverd *, struct err *);
void seeds_stop(struct discoverd *);
void seeds_heard(struct discoverd *, const struct address *from);	/* it answered */
/* How a seed is reached by HTTP; false: no seed is there, or it is not known. */
bool seeds_http(const struct discoverd *, const struct address *seed, struct address *ret,
		bool *ret_only);
void seeds_count(const struct discoverd *, struct council_seeds *ret);

/* state.c */
int state_load(struct discoverd *, struct members *ret, struct err *);
/* What another node's identity agreed to, in this store: nobody's. */
int state_forget_agreements(const struct discoverd *, struct err *);
/* Its layout is not used any more; the numbers in it are remembered. */
int state_set_layout_aside(const struct discoverd *, struct err *);
/* 1: those of the layout set aside; 0: there is none; -1. */
int state_numbers_before(const struct discoverd *, struct layout_numbers *ret, struct err *);
void state_save_members(struct discoverd *);	/* soon; logs what fails */
void state_last_members(struct discoverd *);	/* at once, when nothing else runs any more */
int state_save_promise(const struct discoverd *, const struct synod_promise *, struct err *);
/* What this node promised in that lineage, or SYNOD_PROMISE_NONE. */
int state_load_promise(const struct discoverd *, uint64_t lineage, struct synod_promise *ret,
		       struct err *);

/* standing.c */
/* And the layout and the promise that go with it; own: the address of this process. */
int standing_load(struct discoverd *, const struct address *own, struct err *);
void standing_start(struct discoverd *);
void standing_stop(struct discoverd *);
void standing_end(struct discoverd *);		/* the last thing that it does, after the good-bye */
void standing_check(struct discoverd *);	/* does somebody remember more than this node? */
void standing_heard(struct discoverd *, const struct wire *);	/* the same, after a message */
/* From soon on, and after each start, until it is told otherwise; others hear of it when it is on disk. */
void standing_guest(struct discoverd *, bool guest);
int64_t standing_offset(const struct discoverd *);

/* settle.c */
void settle_start(struct discoverd *);
void settle_stop(struct discoverd *);
void settle_step(struct discoverd *);		/* after anything that may change what is to be done */
void settle_receive(struct discoverd *, const struct wire *, const struct address *from);
void settle_fetch(struct discoverd *, uint64_t from, const struct address *);
void settle_synced(struct discoverd *, uint64_t epoch);
const struct layout *settle_layout(const struct discoverd *);

/* wishes.c */
void wishes_ask(struct discoverd *, struct serve_request *, const struct discover_change *);
void wishes_wait(struct discoverd *, struct str why);	/* leaving takes long, or (empty) no more */
void wishes_gone(struct discoverd *, const struct serve_request *);
void wishes_end(struct discoverd *);

/* comings.c */
void comings_start(struct discoverd *);		/* what was known before is no news */
void comings_log(struct discoverd *);		/* after the view may have changed */
void comings_end(struct discoverd *);

/* watch.c */
int watch_serve(struct discoverd *, struct err *);
void watch_publish(struct discoverd *);		/* tell all who watch: the members */
void watch_publish_layout(struct discoverd *);
void watch_end(struct discoverd *);

/* main.c */
void discoverd_changed(struct discoverd *);	/* after anything that may have changed the view */
void discoverd_hurry(struct discoverd *);	/* what this node is has changed: tell others now */
void discoverd_leave(struct discoverd *);	/* say good-bye, and no more */

#endif
