/*
 * versiond - what the files of covey-versiond share
 *
 *	main.c		the role
 *	group.c		the network, and what is known of the group
 *	look.c		what this node's store has
 *	answer.c	other nodes' questions
 *	inside.c	what stands in a directory whose gate is kept here
 *	carry.c		packets that travel by HTTP
 *	talk.c		version.sock: requests of this node's programs
 *	nodes.c		of these, NODES
 *	sync.c		of these, SYNC
 *	surveys.c	the digests and records that SYNC tells of
 *	stats.c		counters
 *
 * Everything belongs to the loop's thread, but for what surveys.c keeps.
 */
#ifndef COVEY_VERSIOND_H
#define COVEY_VERSIOND_H

#include "asker.h"
#include "call.h"
#include "check.h"
#include "outbox.h"
#include "pool.h"
#include "sealed.h"
#include "serve.h"
#include "service.h"
#include "storing.h"
#include "view_client.h"

#include <stdatomic.h>

#define COMPLAIN_MS 10000		/* between two lines about a disk that fails */

struct carrier;
struct looks;
struct surveys;

enum { STATS_RECEIVED, STATS_SENT };

/* Kept in node.run, so that it goes on where the last process left. */
struct stats {
	struct {
		uint64_t messages, bytes;	/* sealed */
	} udp[2][WIRE_TYPES], http[2][WIRE_TYPES];
	uint64_t checks[STANDING_UNCONFIRMED + 1];	/* by how they ended */
	uint64_t stores[2];		/* by settled */
	uint64_t commits, refused;	/* as a home: kept, could not be kept */
	uint64_t behind;		/* others had a newer layout */
	uint64_t write_backs;		/* of asker.h, as far as they were counted in */
};

/* What stands in the directory was settled above a gate, by this layout. */
#define INSIDE_SETTLED 64		/* that are remembered */
struct inside_settled {
	struct buf directory;		/* owned */
	struct version gate;		/* none: nothing is */
	uint64_t lineage, epoch;
};

struct versiond {
	struct service *service;
	struct member self;
	struct seal_keys keys;
	struct sealed_socket *socket;	/* NULL: a group of one without a key */
	struct home home;
	struct asker asker;
	struct timer tick;
	struct buf answer;		/* the one being made */
	struct carrier *carrier;
	struct stats *stats;		/* stats.c's */
	uint64_t write_backs_told;	/* of asker.write_backs, those in stats */

	struct view_client *view;	/* NULL: in no group */
	struct call behind;
	uint64_t behind_epoch;		/* what discoverd was told of last */
	uint64_t behind_told;		/* ms: when */
	uint64_t random;		/* the last question's id is made of it */

	struct pool *pool;		/* commits, and waiting for others' */
	struct pool *survey_pool;	/* one thread */
	struct surveys *surveys;	/* of that thread */
	size_t jobs;			/* in both */
	size_t syncs;			/* of these, in the latter */
	struct looks *looks;		/* look.c's memory */
	atomic_uint_least64_t complain_at;	/* ms: a line about a disk that takes nothing is due */
	struct outbox *outbox;		/* of directories made here; NULL: in no group */
	struct making *making;		/* of these, which not all homes know yet; answer.c's */
	struct inside *insides;		/* under way; inside.c's */
	struct inside_settled settled[INSIDE_SETTLED];	/* the same */
	size_t settled_next;

	struct serve *serve;
	struct timer leave;
	bool late;			/* stopping for long enough: no request is waited for */
	bool stopping, stopped;		/* stopped: nothing new is begun any more */
};

/* main.c */
void versiond_submit(struct versiond *, struct pool *, struct job *);
void versiond_returned(struct versiond *);	/* by done() of each job, and at each request's end */

/* group.c */
int group_start(struct versiond *, struct err *);	/* without a key: nothing to do */
void group_stop(struct versiond *);
/* After anything that may have given the asker something to do. */
void group_stir(struct versiond *);
uint64_t group_clock(const struct versiond *);
/* A packet that was opened; its answers, and what else is for the asker. */
void group_heard(struct versiond *, const struct wire *);
void group_behind(struct versiond *, uint64_t epoch, uint64_t node,
		  const struct address *discovery);

/* look.c */
struct looks *looks_new(void);
void looks_free(struct looks *);	/* NULL is fine */
home_lookup look_up;			/* data is the struct versiond */
/* A lookup of this path would wait: a directory is coming or going, or a writer died. */
bool look_would_wait(struct versiond *, struct str path);
/* On a pool's thread: returns when it would not, for the moment. */
void look_await(struct versiond *, struct str path);

/* answer.c */
struct question;
/* A CHECK or STORE from `from`, or else one that came in the request. */
void answer_question(struct versiond *, const struct wire *, const struct address *from,
		     struct serve_request *);
void answer_gone(struct question *);	/* nobody waits any more */
/* As asker.commit, asker.make and asker.made_end. */
void answer_commit(void *data, uint64_t id, const struct store_ask *);
void answer_make(void *data, uint64_t id, const struct make_ask *);
void answer_made_end(void *data, uint64_t id, bool everywhere);
void answer_stop(struct versiond *);	/* when nothing runs any more */

/* inside.c */
/* This disk has the gate.  done(false): it may not be told yet that it has. */
void inside_settle(struct versiond *, struct str gate_path, struct version gate,
		   void (*done)(void *data, bool settled), void *data);
void inside_forget(struct versiond *);	/* what was settled; at the end */
void inside_cut(struct versiond *);	/* who waits for other nodes' answers waits no more */

/* carry.c */
struct carrier *carrier_new(struct versiond *);
void carrier_free(struct carrier *);	/* NULL is fine */
/* As asker.send. */
void carry_send(void *data, const struct peer_target *, struct str plain, unsigned attempt);
void carry_heard_udp(struct carrier *, uint64_t id);
/* CARRY on version.sock: a packet that came by HTTP. */
int carry_request(struct versiond *, struct serve_request *, struct str packet, struct err *);
/* CARRIED, and the end of the request; empty: nothing to say. */
void carry_reply(struct versiond *, struct serve_request *, struct str plain);

/* talk.c */
int talk_start(struct versiond *, struct err *);
void talk_stop(struct versiond *);
/* A request that ended, or whose asker is gone. */
void talk_ended(struct versiond *);
/* What request->data points to, for when the asker is gone. */
struct talk_waiting {
	void (*gone)(struct talk_waiting *);
};

/* nodes.c */
int nodes_request(struct versiond *, struct serve_request *, struct str body, struct err *);

/* surveys.c: for the survey pool's one thread */
struct exchange_ask;
struct digests;
struct surveys *surveys_new(struct store *);
void surveys_free(struct surveys *);	/* NULL is fine */
/* At the beginning of each job, for all that it asks. */
int surveys_begin(struct surveys *, uint64_t epoch, uint32_t keep, struct err *);
/* Good until the next call. */
int surveys_digests(struct surveys *, unsigned partition, const struct digests **ret,
		    uint64_t *ret_sum, struct err *);
/* Append EXCHANGE_RECORDS_ARE. */
int surveys_rows(struct surveys *, const struct exchange_ask *, struct buf *, struct err *);

/* sync.c */
int sync_request(struct versiond *, struct serve_request *, struct str body, struct err *);

/* stats.c */
void stats_open(struct versiond *);
void stats_close(struct versiond *);
void stats_count(struct versiond *, bool http, int direction, enum wire_type, size_t bytes);
void stats_count_sent(struct versiond *, bool http, struct str plain);
void stats_print(struct versiond *, struct buf *);

#endif
