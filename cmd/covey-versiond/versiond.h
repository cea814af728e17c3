/*
 * versiond - what the files of covey-versiond share
 *
 *	main.c		the role
 *	group.c		the network, and what is known of the group
 *	answer.c	messages of other nodes, and records kept as a home
 *	local.c		version.sock: requests of this node's programs
 *	surveys.c	of these, SYNC: the digests and records that homes compare
 *	lookup.c	what this node's store has
 *	stats.c		counters
 *
 * Messages are dispatched in answer_message(), requests in local.c.
 * Everything belongs to the loop's thread, but for what surveys.c keeps.
 */
#ifndef COVEY_VERSIOND_H
#define COVEY_VERSIOND_H

#include "asker.h"
#include "batch.h"
#include "call.h"
#include "check.h"
#include "courier.h"
#include "keyring.h"
#include "outbox.h"
#include "pool.h"
#include "sealed.h"
#include "serve.h"
#include "service.h"
#include "storing.h"
#include "unopened.h"
#include "view_client.h"
#include "wal.h"

#include <stdatomic.h>

#define COMPLAIN_MS 10000		/* between two lines about a disk that fails */

struct answers;
struct lookups;
struct surveys;

enum { STATS_RECEIVED, STATS_SENT };

/* Kept in node.run, so that it goes on where the last process left. */
struct stats {
	struct {
		uint64_t messages, bytes;	/* sealed */
	} traffic[2][2][WIRE_TYPES];	/* by UDP, by HTTP; received, sent */
	uint64_t checks[CERTAINTY_UNCONFIRMED + 1];	/* by how they ended */
	uint64_t stores[2];		/* by confirmed */
	uint64_t commits, refused;	/* as a home: kept, could not be kept */
	uint64_t behind;		/* others had a newer layout */
	uint64_t write_backs;		/* of asker.h, as far as they were counted in */
};

struct versiond {
	struct service *service;
	struct member self;
	struct seal_keys keys;
	struct keyring keyring;
	struct unopened *unopened;
	struct sealed_socket *socket;	/* NULL: a group of one without a key */
	struct home home;
	struct asker asker;
	struct timer tick;
	struct buf answer;		/* the one being made */
	struct caller *sync;		/* covey-syncd */
	struct courier *courier;
	struct list ways;		/* to each peer that was ever asked, or answered; group.c's */
	struct stats *stats;		/* stats.c's */
	uint64_t write_backs_told;	/* of asker.write_backs, those in stats */

	struct view_client *view;	/* NULL: in no group */
	uint64_t random;		/* the last question's id is made of it */

	struct pool *pool;		/* commits, and waiting for others' */
	struct pool *survey_pool;	/* one thread */
	struct batch *records;		/* commits of others' records, in the pool */
	struct surveys *surveys;	/* of that thread */
	size_t jobs;			/* in both */
	size_t syncs;			/* of these, in the latter */
	struct lookups *lookups;	/* lookup.c's memory */
	atomic_uint_least64_t complain_at;	/* ms: a line about a disk that takes nothing is due */
	struct outbox *outbox;		/* of directories made here; NULL: in no group */
	struct wal *wal;		/* of records that are kept here; NULL: in no group */
	struct answers *answers;	/* answer.c's memory; NULL: in no group */

	struct serve *serve;
	struct timer leave;
	bool late;			/* STOP_MS have passed: open requests are not waited for */
	bool stopping, stopped;		/* stopped: nothing is begun any more */
};

/* main.c */
void versiond_submit(struct versiond *, struct pool *, struct job *);
void versiond_returned(struct versiond *);	/* by done() of each job, and at each request's end */

/* group.c */
int group_start(struct versiond *, struct err *);	/* without a key: nothing to do */
void group_stop(struct versiond *);
/* After anything that may have given the asker something to do. */
void group_schedule(struct versiond *);
uint64_t group_clock(const struct versiond *);
void group_send(struct versiond *, const struct address *, struct str plain);	/* by UDP */
/* CARRY on version.sock: a packet that came by HTTP. */
int group_carried(struct versiond *, struct serve_request *, struct str packet, struct err *);
/* That node, there, has a newer layout: covey-discoverd is told. */
void group_behind(struct versiond *, uint64_t epoch, uint64_t node,
		  const struct address *discovery);

/* lookup.c */
struct lookups *lookup_new(void);
void lookup_rest(struct lookups *);	/* what was looked up is looked up again: its memory goes */
void lookup_free(struct lookups *);	/* NULL is fine */
home_lookup lookup_find;			/* data is the struct versiond */
/* A lookup of this path would wait: a directory is coming or going, or a writer died. */
bool lookup_would_wait(struct versiond *, struct str path);
/* Who waits in the pool until it would not. */
struct lookup_wait {
	struct job job;
	struct versiond *versiond;
	struct str path;		/* its owner's */
	unsigned waits;
	bool in_vain;			/* nobody wants to know any more */
	void (*then)(struct lookup_wait *, bool unblocked);	/* false: in vain, or often enough */
};
void lookup_when_unblocked(struct lookup_wait *);	/* then() is called at once, or later on the loop */

/* answer.c */
/* In the pool: jobs of records to be kept, as one (batch.h). */
void answer_keep_records(struct job **, size_t count);
void answers_start(struct versiond *);	/* sets the asker's commit, make and made_end */
void answers_stop(struct versiond *);	/* when nothing runs any more; safe when not started */
/* A message from `from`, or else one that came in the request, which it ends. */
void answer_message(struct versiond *, const struct wire *, const struct address *from,
		    struct serve_request *);
/* Questions that wait for other nodes' answers wait no more. */
void answers_cut_walks(struct versiond *);

/* local.c */
int local_start(struct versiond *, struct err *);
void local_stop(struct versiond *);
/* The last answer to a request. */
void local_reply(struct versiond *, struct serve_request *, uint8_t type, struct str body);
void local_fail(struct versiond *, struct serve_request *, const struct err *);
void local_ended(struct versiond *);	/* after that, and when nothing else keeps the process any more */

/* surveys.c */
struct surveys *surveys_new(struct store *);
void surveys_free(struct surveys *);	/* NULL is fine */
int surveys_ask(struct versiond *, struct serve_request *, struct str body, struct err *);

/* stats.c */
void stats_open(struct versiond *);
void stats_close(struct versiond *);
void stats_count(struct versiond *, bool http, int direction, enum wire_type, size_t bytes);
void stats_count_sent(struct versiond *, bool http, struct str plain);
void stats_print(struct versiond *, struct buf *);

#endif
