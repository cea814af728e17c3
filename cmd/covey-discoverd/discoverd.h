/*
 * discoverd - what the files of covey-discoverd share
 *
 *	main.c		the role: start, rounds, good-bye, and what the log says of members
 *	network.c	the ways to other nodes: UDP, HTTP, multicast, seeds
 *	local.c		discover.sock: the view for this node's programs, and changes of the layout
 *	layouts.c	what this node agreed to: the disk and the timer around agent.h
 *	memory.c	what else this node remembers across its starts
 *
 * What has to be on disk before it is told is written by a pool of one
 * thread, so that the loop never waits for the disk.
 */
#ifndef COVEY_DISCOVERD_H
#define COVEY_DISCOVERD_H

#include "agent.h"
#include "call.h"
#include "courier.h"
#include "discover_talk.h"
#include "gossip.h"
#include "keyring.h"
#include "pool.h"
#include "sealed.h"
#include "serve.h"
#include "service.h"
#include "unopened.h"
#include "waking.h"

/* Which start of this node this is, and what it is to the group: state/standing.ini. */
struct incarnation {
	uint64_t self;			/* whose it is */
	uint64_t sequence;
	int64_t offset;			/* ns to add to the own clock */
	bool silent;			/* it forgot something */
	bool guest;			/* it was told to leave the layout */
	struct address ended_at;	/* where its last process said good-bye; len 0: it did not */
	struct starts starts;
};

/* What the pool writes for the agent. */
struct layout_write {
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
	struct keyring keyring;
	struct unopened *unopened;
	struct buf packet;		/* the message being made */

	struct sealed_socket *unicast, *multicast;
	int multicast_fd;
	struct address multicast_address;
	struct timer announce;

	bool expects;			/* what is being sent should be answered */
	struct address carried_from;	/* the asker of a packet that came by HTTP; len 0: none */
	struct buf *carried;		/* its answer */
	struct courier *courier;	/* NULL: a group of one without a key */
	struct list ways;		/* where packets go; network.c's */
	struct call drain;
	bool drain_again;
	struct timer wake;		/* to start covey-syncd, which may have ended */
	uint64_t returns;		/* of the view, that syncd was told of */
	struct logged_state *logged;	/* what the log said of each peer; owned by main.c */
	size_t logged_count;
	uint64_t logged_changes;	/* of the view's changes: those that were looked at */

	struct seed *seeds;		/* owned; network.c's */
	size_t seed_count;
	struct caller *sync;

	struct timer round, publish, farewell;
	uint64_t stirred;		/* ms: when something happened last */
	uint64_t stirred_changes;	/* of the view's changes: those that were looked at */
	bool rests;			/* what comes by UDP is read once in a round */
	uint64_t published;		/* the view's changes that all have been told of */
	int64_t published_offset;
	int farewells;			/* still to be said */
	struct saving_members saving;

	struct incarnation incarnation;	/* on disk, but for the offset */
	bool guest_wanted;		/* what incarnation.guest will be when it is on disk */
	bool unsure;			/* since the start nobody has told what it remembers of this node */
	bool unsure_logged;
	struct waking waking;
	bool speak_wanted;		/* may speak as a home, as soon as that is on disk */
	uint64_t raise_wanted;		/* a start of ours that others know, to count on from; or 0 */
	struct timer remember, sure;
	struct job remember_job;
	struct incarnation remembering;
	bool remember_busy;
	bool remember_failed;		/* the last time, and that was logged */
	int remember_rc;
	struct err remember_err;

	struct agent agent;		/* what this node does about layouts */
	struct layout_write promising, adopting;
	struct timer layouts_due;

	struct list changes;		/* that are not done yet; local.c's */
	char waits[DISCOVER_WAITS_MAX + 1];	/* what leaving waits for, or empty */
	uint64_t waits_changes;
	struct timer changes_due;

	struct serve *serve;
	struct serve_request **watchers;
	size_t watcher_count;
};

/* network.c */
int network_start(struct discoverd *, struct err *);	/* sets how gossip and the agent send */
void network_stop(struct discoverd *);
void network_rest(struct discoverd *, bool);	/* whether what comes by UDP waits for network_read() */
void network_read(struct discoverd *);		/* at rest: what has come since the last round */
void network_count_seeds(const struct discoverd *, struct council_seeds *ret);
/* A packet that came by HTTP: its answer into *ret, sealed, or nothing. */
void network_carried(struct discoverd *, struct str packet, struct buf *ret);

/* memory.c */
/* What was left on disk; own: the address of this process.  What a start has to write is written. */
int memory_load(struct discoverd *, const struct address *own, struct members *ret, struct err *);
void memory_start(struct discoverd *);
void memory_stop(struct discoverd *);
void memory_end(struct discoverd *);		/* the last thing that it does, after the good-bye */
void memory_save_members(struct discoverd *);	/* soon; logs what fails */
void memory_check(struct discoverd *);		/* does somebody remember more than this node? */
void memory_heard(struct discoverd *, const struct wire *);	/* the same, after a message */
/* From soon on, and after each start, until it is told otherwise; others hear of it when it is on disk. */
void memory_guest(struct discoverd *, bool guest);
int64_t memory_offset(const struct discoverd *);	/* ns: the group's clock less this node's */

/* layouts.c */
/* What the last process of this identity agreed to; *ret_forgot: it cannot be read. */
void layouts_load(struct discoverd *, bool *ret_forgot);
/* Those of another node: its promises go, unless it is not known whose they are; its layout is set aside. */
int layouts_forget(const struct discoverd *, bool promises, struct err *);
void layouts_start(struct discoverd *);
void layouts_stop(struct discoverd *);
void layouts_step(struct discoverd *);		/* after anything that may change what is to be done */

/* local.c */
int local_start(struct discoverd *, struct err *);
void local_stop(struct discoverd *);
void local_publish_members(struct discoverd *);	/* to all who watch */
void local_publish_layout(struct discoverd *);

/* main.c */
void discoverd_changed(struct discoverd *);	/* after anything that may have changed the view */
void discoverd_stir(struct discoverd *);	/* something happens: no rest for a while */
void discoverd_hurry(struct discoverd *);	/* what this node is has changed: tell others now */
void discoverd_leave(struct discoverd *);	/* say good-bye, and no more */
void discoverd_drain(struct discoverd *);	/* DRAIN: peers or the layout have changed */
void discoverd_unwatched(struct discoverd *);	/* a role watches no more: covey-syncd may have ended */

#endif
