/*
 * syncd - what the parts of covey-syncd share
 *
 *	main.c		the role: requests in, idle exit, stopping
 *	worker.c	threads: waiting, cutting, asking covey-versiond
 *	peers.c		who is where, and who did not answer lately
 *	pulling.c	PULL: one content on its way
 *	askers.c	those who wait for it
 *	gather.c	LIST, HISTORY: one question to many at once
 *	pushing.c	PUSH: one content to its keepers
 *	push_ask.c	what is asked about pushes
 *	drain.c		DRAIN: the outbox, until everybody has what is in it
 *	drain_read.c	reading it
 *	drained.c	one entry of it
 *	syncing.c	the records of this home, from the others
 *	exchanging.c	from one of them
 *	comparing.c	COMPARE: homes are told that they differ
 *	keeping.c	the contents: have the keepers got them?
 *	keeper.c	has one of them?
 *	keep_in.c	have we?
 *	holding.c	what is held outside this home's partitions: is it the newest?
 *	directories.c	do the directories stand that something is in?
 *	prune.c		what is to be forgotten
 *	scrub.c		what is to be read again
 *	lost.c		LOST: what was bad and is to be had again
 *	owing.c		what a node knows that came over from another group
 *	post.c		a sealed message to another node
 *	carry.c		CARRY: one of another role
 *	bulk.c		BULK: batches that come
 *	resolve.c	RESOLVE: names to addresses
 *
 * Jobs are threads that wait for the disk, for covey-versiond and for other
 * nodes, and read from top to bottom (struct worker).  What they share is
 * guarded by one mutex, struct syncd's lock, which a thread holds but while it
 * waits.  The loop, which accepts requests and hears of the member view, holds
 * it as well while it runs callbacks, so that a thread with the lock may use
 * the loop, answer requests and start calls.
 *
 * Threads so far: scrub, prune, directories, lost, owing.  The others are
 * still callbacks on the loop, which leave the disk to a pool.
 */
#ifndef COVEY_SYNCD_H
#define COVEY_SYNCD_H

#include "bulk.h"
#include "call.h"
#include "fetch.h"
#include "keep_file.h"
#include "layout.h"
#include "pool.h"
#include "serve.h"
#include "service.h"
#include "sync_talk.h"

#include <pthread.h>
#include <stdatomic.h>

struct peers;
struct pulling;
struct gathering;
struct carrying;
struct bulking;
struct comparing;
struct pushing;
struct drain;
struct syncing;
struct pruner;
struct keeping;
struct keep_asked;
struct holding;
struct directories;
struct scrubber;
struct lost;
struct owing;

/* Whoever waits for an answer: what serve_request.data points to. */
struct asker {
	struct serve_request *request;
	void (*gone)(struct asker *);	/* it went away; request is no more */
};

/* One job on a thread of its own; a part of the struct that the job is about. */
struct worker {
	void (*run)(struct worker *);	/* all of it, with the lock held; set by whoever starts it */
	void (*release)(struct worker *);	/* after it; NULL: somebody else frees it */
	bool own;			/* nobody asked for it: it is cut as soon as the process is to stop */
	/* worker.c's */
	struct syncd *daemon;
	struct worker *next, *prev;
	struct job job;
	pthread_cond_t wake;
	bool woken;
	atomic_bool cut;
};

struct syncd {
	pthread_mutex_t lock;		/* of all that follows, and of all that it points to */
	struct worker *workers;		/* a list: under way, or waiting for a thread */
	size_t asked;			/* of them, those that somebody asked for */
	struct pool *rounds;		/* threads of those jobs that go on as long as the process */
	struct service *service;
	struct loop *loop;
	struct store *store;
	struct pool *disk;		/* what waits for the disk, and hashing */
	struct pool *names;		/* what waits for name servers, which may take long */
	struct fetcher *fetcher;
	struct serve *serve;
	struct seal_keys keys;		/* none: a group of one */
	struct sign_keys sign;
	struct caller *version;		/* covey-versiond */
	struct peers *peers;
	struct pulling *pulls;		/* a list, newest first */
	struct gathering *gatherings;
	struct carrying *carryings;
	struct bulking *bulkings;
	struct comparing *comparings;
	struct pushing *pushes;
	struct drain *drain;
	struct syncing *syncing;	/* NULL: a group of one */
	struct keeping *keeping;	/* NULL: a group of one */
	struct holding *holding;	/* NULL: a group of one */
	struct directories *directories;	/* NULL: a group of one */
	struct pruner *prune;
	struct scrubber *scrub;
	struct lost *lost;		/* NULL: a group of one */
	struct owing *owing;		/* the same */
	unsigned keeps_asked;		/* KEEPs that came and are being looked at */
	unsigned resolving;		/* names on their way */
	uint64_t check_ms;		/* timeouts.check: so long is waited for who is sick */
	uint64_t first_byte_ms;		/* timeouts.pull: a peer answers within it, or is sick */
	uint64_t stall_ms;		/* silence in mid-transfer */
	uint64_t push_ms;		/* timeouts.push: a keeper answers within it */
	struct timer leave;
	bool stopping;			/* nothing is begun by itself any more, and no pull */
	bool leaving;			/* nor for others: who has no answer asks the next process */
};

static inline void syncd_lock(struct syncd *d)
{
	pthread_mutex_lock(&d->lock);
}

static inline void syncd_unlock(struct syncd *d)
{
	pthread_mutex_unlock(&d->lock);
}

/* Nothing is under way any more; ends a stop that waits for it. */
void syncd_rest(struct syncd *);
void syncd_returned(struct syncd *, uint64_t id);	/* a member is up again */
void syncd_lost(struct syncd *);	/* one is not any more */
void syncd_relaid(struct syncd *);	/* there is another layout */

/* worker.c, with the lock, which is let go of while a thread waits */

#define NEVER UINT64_MAX		/* ms, monotonic */

void worker_start(struct syncd *, struct worker *, struct pool *);
void worker_wake(struct worker *);	/* what it waits for may have come */
void worker_cut(struct worker *);	/* it is to end: it waits no more */
bool worker_is_cut(struct worker *);	/* may be asked without the lock */
void workers_cut(struct syncd *, bool own);	/* all that are its own, or all that are not */
/* Until it is woken or cut, or this time (ms, monotonic).  False: it is cut. */
bool worker_wait(struct worker *, uint64_t due);
/*
 * Ask covey-versiond, and take the first answer, or the one of which is_last()
 * is true.  0 when it is of the wanted type, its body in *ret; or -1.
 */
int worker_ask_versiond(struct worker *, uint8_t type, struct str body, uint64_t patience_ms,
			bool (*is_last)(struct str body), uint8_t wanted, struct buf *ret,
			struct err *);

/* peers.c */

void peers_start(struct syncd *);	/* waits a moment for covey-discoverd's view */
void peers_free(struct peers *);		/* NULL is fine */
const struct members *peers_view(const struct peers *);
const struct layout *peers_layout(const struct peers *);
/* This node is the partition's first home that is up: of set B, which will be the homes, while joint. */
bool peers_first_home(const struct peers *, unsigned partition);
/* Tell covey-discoverd, until it has heard, that this node has all records for the joint layout. */
void peers_synced(struct peers *, uint64_t epoch);
/* Why leaving takes long: covey-discoverd is told when it is another reason; "": it does not. */
void peers_waits(struct peers *, const char *why);
/* A peer has the layout of this epoch: covey-discoverd is told when it is newer. */
void peers_behind(struct peers *, uint64_t id, uint64_t epoch);
/* Where it serves HTTP; NULL: not known, or it speaks no protocol of ours. */
const struct address *peers_http(const struct peers *, uint64_t id);
void peers_note(struct peers *, uint64_t id, const struct err *how);	/* NULL: it answered */
bool peers_up(const struct peers *, uint64_t id);
bool peers_sick(const struct peers *, uint64_t id);	/* better asked after the others */
/* How pushes to it went. */
void peers_push_done(struct peers *, uint64_t id, uint64_t ms);
void peers_push_failed(struct peers *, uint64_t id);
uint64_t peers_push_ms(const struct peers *, uint64_t id);	/* the usual; 0: not known */
bool peers_push_late(const struct peers *, uint64_t id);	/* to be tried after the others */

/* pulling.c */

void pulling_ask(struct syncd *, struct serve_request *, const struct sync_pull *);
/* For nobody: so that it is here.  False: too many are under way. */
bool pulling_want(struct syncd *, const struct sync_pull *);
/* Somebody has a part of a content that is not whole: asked again, he would have to begin anew. */
bool pulling_passes(const struct syncd *);
/* The process is to stop: what has not begun is for the next one. */
void pulling_begin_no_more(struct syncd *);
void pulling_stop(struct syncd *);	/* give up all; syncd_rest() when the last is gone */

/* gather.c */

/* target: "/docs/?...", of a LIST or HISTORY. */
void gather_ask(struct syncd *, struct serve_request *, const struct sync_list *,
		struct str target);
void gather_stop(struct syncd *);

/* post.c */

struct posting {
	void (*done)(struct posting *, const struct err *);	/* NULL: answer is the answer */
	struct buf answer;
	struct fetch fetch;
};

/* done is set; it may be called from within.  to: "versions", "discovery" or "sync". */
void posting_start(struct syncd *, struct posting *, const struct address *, const char *to,
		   struct str message, uint64_t patience_ms);
void posting_clear(struct posting *);	/* done is not called any more */

/* carry.c */

void carry_ask(struct syncd *, struct serve_request *, const struct sync_carry *);
void carry_stop(struct syncd *);

/* bulk.c */

int bulk_asked(struct syncd *, struct serve_request *, struct str packet, struct err *);
void bulk_stop(struct syncd *);
/* A question to this node, by the present layout, with a new id; the body is to be set. */
struct bulk bulk_ask(const struct syncd *, uint64_t node, enum bulk_type);
void bulk_seal(const struct syncd *, const struct bulk *, struct buf *to);
/* *ret points into plain.  0, or -1: not for us. */
int bulk_open(const struct syncd *, struct str packet, struct buf *plain, struct bulk *ret);
/* The answer to this one, of this type. */
void bulk_reply(struct syncd *, struct serve_request *, const struct bulk *question,
		enum bulk_type, struct str body);

/* push_ask.c: 0 when the request was taken, or -1 */

int push_ask(struct syncd *, struct serve_request *, struct frame *, struct err *);
int push_begin(struct syncd *, struct serve_request *, struct frame *, struct err *);
int push_more(struct syncd *, struct serve_request *, struct frame *, struct err *);
int push_name(struct syncd *, struct serve_request *, struct frame *, struct err *);
int push_drop(struct syncd *, struct serve_request *, struct frame *, struct err *);
void push_stop(struct syncd *);

/* drain.c */

void drain_start(struct syncd *);
void drain_free(struct drain *);	/* NULL is fine */
void drain_now(struct drain *);		/* what did not get through might now */
void drain_look(struct drain *);	/* there is something in the outbox */
bool drain_busy(const struct drain *);	/* something is in the outbox */
void drain_stop(struct drain *);	/* begin nothing more; syncd_rest() when it rests */
bool drain_rests(const struct drain *);

/* syncing.c */

void syncing_start(struct syncd *);
void syncing_free(struct syncing *);	/* NULL is fine */
void syncing_returned(struct syncing *);
void syncing_lost(struct syncing *);
void syncing_relaid(struct syncing *);
/* The homes of the partition differ: they are to be compared now. */
void syncing_compare(struct syncing *, unsigned partition);
void syncing_stop(struct syncing *);
bool syncing_rests(const struct syncing *);

/* comparing.c: 0 when the request was taken, or -1 */

int compare_ask(struct syncd *, struct serve_request *, struct frame *, struct err *);
int compare_told(struct syncd *, struct serve_request *, const struct bulk *, struct err *);
void compare_stop(struct syncd *);

/* keeping.c */

void keeping_start(struct syncd *);
void keeping_free(struct keeping *);	/* NULL is fine */
void keeping_returned(struct keeping *, uint64_t id);
void keeping_relaid(struct keeping *);	/* and whenever all keepers are to be asked */
void keeping_stop(struct keeping *);
bool keeping_rests(const struct keeping *);
/* This node is to be in the layout no more: its contents have to be taken over first. */
bool keeping_leaves(const struct layout *, uint64_t self);

/* holding.c */

void holding_start(struct syncd *);
void holding_free(struct holding *);	/* NULL is fine */
void holding_relaid(struct holding *);
void holding_stop(struct holding *);
bool holding_rests(const struct holding *);

/* keep_in.c */

/* plain, to which bulk points, is taken over. */
void keep_asked(struct syncd *, struct serve_request *, struct buf *plain, const struct bulk *);
/*
 * As if a node had sent KEEP to itself.  told() with the body of KEPT comes
 * later, and the returned is no more; unless that is forgotten.
 */
struct keep_asked *keep_own(struct syncd *, struct str items,
			    void (*told)(void *data, struct str states), void *data);
void keep_own_forget(struct keep_asked *);
/* Pull it, from its keepers, the sender, or whoever made it.  False: too many are under way. */
bool keep_pull(struct syncd *, const struct keep_item *, uint64_t sender);

/* directories.c */

void directories_start(struct syncd *);
void directories_relaid(struct directories *);	/* and whenever others have brought records */

/* prune.c */

void prune_start(struct syncd *);
void prune_free(struct pruner *);	/* NULL is fine */
void prune_relaid(struct pruner *);
/* By which it keeps: the layout's, or for an hour those before they were lowered; all: UINT32_MAX, 0. */
struct keep_numbers prune_numbers(struct pruner *);
bool prune_busy(const struct pruner *);	/* an hour is being counted */

/* scrub.c */

void scrub_start(struct syncd *);
void scrub_free(struct scrubber *);	/* NULL is fine */
bool scrub_busy(const struct scrubber *);	/* a round is under way, or due */

/* lost.c: NULL is fine for all */

void lost_start(struct syncd *);
void lost_free(struct lost *);
void lost_add(struct lost *, const struct keep_item *);
void lost_now(struct lost *);		/* what could not be had might be now */
int lost_ask(struct syncd *, struct serve_request *, struct frame *, struct err *);	/* 0: taken */

/* owing.c */
void owing_start(struct syncd *);
void owing_relaid(struct owing *);	/* there is another layout */

/* resolve.c */

void resolve_ask(struct syncd *, struct serve_request *, struct str name);

#endif
