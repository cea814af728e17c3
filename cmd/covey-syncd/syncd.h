/*
 * syncd - what the parts of covey-syncd share
 *
 *	main.c		the role: requests in, idle exit, stopping
 *	worker.c	threads: waiting, cutting, asking covey-versiond and other nodes
 *	peers.c		who is where, and who did not answer lately
 *	post.c		sealed messages: to other nodes, CARRY, and from them, BULK
 *	requests.c	LIST, HISTORY, RESOLVE
 *	pull.c		PULL: one content on its way, and those who wait for it
 *	push.c		PUSH: one content to its keepers
 *	give.c		small ones together, those for one keeper in one message
 *	delta.c		which of both go coded, and by what
 *	drain.c		DRAIN: the outbox, until everybody has what is in it
 *	sync.c		the records of this home, from the others; COMPARE
 *	keep.c		the contents: have their keepers got them, and have we?
 *	holding.c	what is held outside this home's partitions: is it the newest?
 *	directories.c	do the directories stand that something is in?
 *	prune.c		what is to be forgotten
 *	scrub.c		what is to be read again, and what was bad: LOST
 *
 * Each job is a thread that waits for the disk, for covey-versiond and for
 * other nodes, and reads from top to bottom (struct worker).  What they share is
 * guarded by one mutex, struct syncd's lock, which a thread holds but while it
 * waits.  The loop, which accepts requests and hears of the member view, holds
 * it as well while it runs callbacks: a thread with the lock may use the loop,
 * answer requests and start calls.
 */
#ifndef COVEY_SYNCD_H
#define COVEY_SYNCD_H

#include "bulk.h"
#include "call.h"
#include "coding.h"
#include "delta.h"
#include "fetch.h"
#include "keep_file.h"
#include "keyring.h"
#include "layout.h"
#include "list.h"
#include "pace.h"
#include "pool.h"
#include "serve.h"
#include "service.h"
#include "sync_talk.h"
#include "unopened.h"

#include <pthread.h>
#include <stdatomic.h>

struct peers;
struct push_peers;
struct drain;
struct merging;
struct syncing;
struct keeping;
struct lost;
struct holding;
struct directories;
struct pruner;
struct scrubber;

/* Threads at most, beyond which jobs wait for their turn. */
#define PULL_THREADS 64
#define PUSH_THREADS 256
#define ENTRY_THREADS 64		/* entries of the outbox */
#define ASK_THREADS 256			/* what others ask for: each ends within seconds */
#define NAME_THREADS 2			/* name servers may take long */
#define HASH_THREADS 4			/* beside pulls of large contents */
#define CODE_THREADS (CODING_AT_ONCE + 1)	/* beside pushes; one that finds no coder free is soon done */

/* One job on a thread of its own; a part of the struct that the job is about. */
struct worker {
	void (*run)(struct worker *);	/* all of it, with the lock held */
	void (*release)(struct worker *);	/* after it; NULL: somebody else frees it */
	bool own;			/* nobody asked for it: it is cut as soon as the process is to stop */
	struct syncd *daemon;
	/* worker.c's */
	struct link link;		/* in workers */
	struct job job;
	struct fetch_set *fetches;	/* that it waits for at the moment, or NULL */
	pthread_cond_t wake;
	bool woken;
	atomic_bool cut;
};

/* Whoever waits for an answer. */
struct asker {
	struct serve_request *request;	/* NULL: it went away, or has its answer */
};

/* A job that somebody waits for; when he goes away, it is cut.  The first part of its struct. */
struct asked {
	struct worker worker;
	struct asker asker;
	struct buf text;		/* what was asked, as far as the job wants it */
};

/*
 * Upkeep: a job that goes on as long as the process.  Its struct begins with
 * its worker.  What else it hears of is a function here, or NULL.
 */
struct upkeep {
	bool in_group;			/* a group of one has none */
	struct worker *(*make)(struct syncd *);	/* all but run and own is set */
	void (*run)(struct worker *);
	void (*clear)(struct syncd *);	/* of what its struct holds, before that is freed */
	void (*returned)(struct syncd *, uint64_t id);	/* a member is up again */
	void (*lost)(struct syncd *);	/* one is not any more */
	void (*relaid)(struct syncd *);	/* there is another layout */
	bool (*busy)(const struct syncd *);	/* the process is not to leave */
};
extern const struct upkeep drain_upkeep, prune_upkeep, scrub_upkeep, keep_upkeep, directories_upkeep,
	sync_upkeep, holding_upkeep, lost_upkeep, merge_upkeep;
#define UPKEEPS 9

struct syncd {
	pthread_mutex_t lock;		/* of all that follows, and of all that it points to */
	struct list workers;		/* under way, or waiting for a thread */
	size_t asked;			/* of them, those that are not its own */
	struct pool *rounds;		/* threads of upkeep */
	struct worker *upkeep[UPKEEPS];	/* main.c's; NULL: not started */
	struct pool *pull_threads, *push_threads, *entries, *exchanges, *asks, *names, *hashers, *coders;
	struct service *service;
	struct loop *loop;
	struct store *store;
	struct fetcher *fetcher;
	struct serve *serve;
	struct seal_keys keys;		/* none: a group of one */
	struct keyring keyring;
	struct unopened *unopened;
	struct caller *version;		/* covey-versiond */
	struct peers *peers;
	struct list pulls, pushes;
	struct push_peers *push_peers;	/* how pushes to each went */
	enum conf_delta delta;		/* whether contents go coded */
	struct pace pace;		/* how fast they go to each */
	struct delta_counts *counts;	/* what that has saved */
	struct list givers;
	struct drain *drain;
	struct pruner *prune;
	struct scrubber *scrub;
	struct syncing *syncing;	/* NULL: a group of one; the same of those that follow */
	struct keeping *keeping;
	struct holding *holding;
	struct directories *directories;
	struct lost *lost;
	struct merging *merging;
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

/*
 * main.c.  All functions here want the lock, unless they say otherwise; those
 * of a job let go of it while they wait.
 */

/* Nothing is under way any more; ends a stop that waits for it. */
void syncd_rest(struct syncd *);
void syncd_returned(struct syncd *, uint64_t id);	/* a member is up again */
void syncd_lost(struct syncd *);	/* one is not any more */
void syncd_relaid(struct syncd *);	/* there is another layout */
/* A path that is not the root's, whose target would be an index. */
int check_file_path(struct str path, struct err *);

/* worker.c */

#define NEVER UINT64_MAX		/* ms, monotonic */

/* run, release and own are set. */
void worker_start(struct syncd *, struct worker *, struct pool *);
void worker_wake(struct worker *);	/* what it waits for may have come */
void worker_cut(struct worker *);	/* it is to end: it waits no more */
bool worker_is_cut(struct worker *);	/* without the lock, too */
void workers_cut(struct syncd *, bool own);	/* all that are its own, or all that are not */

/* Within the job: until it is woken or cut, or this time (ms, monotonic).  False: it is cut. */
bool worker_wait(struct worker *, uint64_t due);
/* The same until this time has come, which may change meanwhile; and it is so long from now on. */
bool worker_wait_until(struct worker *, const uint64_t *due);
void worker_set_due(struct worker *, uint64_t *due, uint64_t ms);
/* As fetch_wait(); NULL as well when it is woken or cut. */
struct fetch *worker_await(struct worker *, struct fetch_set *, uint64_t due);
/*
 * Ask covey-versiond, and take the first answer, or the one of which is_last()
 * is true.  0 when it is of the wanted type, its body in *ret; or -1.
 */
int worker_ask_versiond(struct worker *, uint8_t type, struct str body, uint64_t patience_ms,
			bool (*is_last)(struct str body), uint8_t wanted, struct buf *ret,
			struct err *);

/* release may be set; without it the text is cleared, and the struct freed. */
void asked_start(struct syncd *, struct asked *, void (*run)(struct worker *), struct serve_request *,
		 struct pool *);
/* The end of the request, if anybody still waits: with an answer, why not, or none (serve_end). */
void asker_answer(struct asker *, uint8_t type, struct str body);
void asker_fail(struct asker *, const struct err *);
void asker_end(struct asker *);
void request_done(struct serve_request *);	/* DONE, and the end */

/* peers.c */

void peers_start(struct syncd *);	/* waits a moment for covey-discoverd's view */
void peers_free(struct peers *);		/* NULL is fine */
const struct members *peers_view(const struct peers *);
const struct layout *peers_layout(const struct peers *);
/* As bits: the partitions of which this node is the first home that is up; of set B, the homes to be, while joint. */
void peers_first_home_of(const struct peers *, uint8_t ret[PARTITIONS / 8]);
static inline bool partition_is_in(const uint8_t set[PARTITIONS / 8], unsigned partition)
{
	return set[partition / 8] >> partition % 8 & 1;
}
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

/* post.c */

struct post {			/* one that goes, and its answer */
	struct fetch fetch;
	struct buf answer;		/* owned by whoever has the message */
};

/* A question to this node, by the present layout, with a new id; the body is to be set. */
struct bulk bulk_ask(const struct syncd *, uint64_t node, enum bulk_type);
/* Ask within a set; and then, when that is over: does the answer count?  *ret points into plain. */
int bulk_start(const struct syncd *, struct fetch_set *, struct post *, const struct bulk *question,
	       uint64_t patience_ms, struct err *);
bool bulk_judged(struct syncd *, const struct bulk *question, const struct post *,
		 const struct err *how, struct buf *plain, struct bulk *ret);
/* Both: 0 when the answer counts.  Not beyond *due, which may change meanwhile (ms, monotonic; NULL: without end). */
int bulk_exchange(struct worker *, const struct bulk *question, uint64_t patience_ms,
		  const uint64_t *due, struct buf *plain, struct bulk *ret);	/* a TAKE, too */

/* One that came, and is answered by a job. */
struct bulk_job {
	struct asked asked;		/* with the message */
	struct bulk bulk;		/* which points into it */
};

/* The answer to this one, of this type. */
void bulk_reply(struct syncd *, struct asker *, const struct bulk *question, enum bulk_type,
		struct str body);

/* The requests, in several files: 0 when it was taken, or -1. */

typedef int request_fn(struct syncd *, struct serve_request *, struct frame *, struct err *);

request_fn request_list, request_carry, request_resolve, request_bulk;
request_fn request_pull, request_push, request_push_begin, request_push_more, request_push_name;
request_fn request_push_drop, request_drain, request_compare, request_lost;

/* pull.c */

/* So that it is here: from its keepers, this node, or whoever made it.  False: too many are under way. */
bool pull_kept(struct syncd *, const struct keep_item *, uint64_t node);
/* Somebody has a part of a content that is not whole: asked again, he would have to begin anew. */
bool pull_has_waiters(const struct syncd *);
/* The process is to stop: what has not begun is for the next one. */
void pull_begin_no_more(struct syncd *);
void pull_stop(struct syncd *);		/* give up all that is not verified */

/* give.c */

/* True: it is taken, with its descriptor; what keepers do not take together is pushed. */
bool give_start(struct syncd *, struct serve_request *, const struct sync_push *, int fd);
void givers_free(struct syncd *);

/* push.c */

/* A push that is answered to the request; NULL: nobody waits. */
void push_start(struct syncd *, struct serve_request *, const struct sync_push *, int fd);
void push_took(struct syncd *, uint64_t id, uint64_t ms);	/* a keeper took a content */
uint64_t push_patience_ms(const struct syncd *, uint64_t id);	/* after that it is slow, for a small content */
bool push_is_late(const struct syncd *, uint64_t id);	/* one failed lately: it is to be tried after others */

/* Of its keepers some are being given it, and each other one that is up has it. */
bool push_is_under_way(const struct syncd *, const struct sync_push *);
/* Within a job; true when every keeper has it, or is never to have it. */
bool push_to_all(struct worker *, const struct sync_push *, int fd);
void push_forgive(struct syncd *, uint64_t id);	/* it is up again: pushes that failed do not count */

/* delta.c */

/* Whether a content of this size is to go to this node, or to come from it, coded. */
bool delta_pays(struct syncd *, uint64_t node, uint64_t size);
void delta_note_sent(struct syncd *, uint64_t node, const struct fetch *);	/* a PUT that is over */
void delta_went_again(struct syncd *);	/* one went coded to no avail */
/* The newest content of the path below this version (none: of all) that can be a dictionary.  Without the lock. */
int dictionary_find(struct syncd *, struct str path, struct version below, struct store_entry *ret);

/* A content, coded. */
struct coded_content {
	int fd;				/* owned: a file; or -1: it is not */
	uint64_t size;			/* of that */
	enum coding coding;
	struct version by;		/* of CODING_DCZ */
};
#define CODED_CONTENT_INIT { .fd = -1 }
/* From an open file; lets go of the lock meanwhile.  Where it is not worth it, or cannot be done just now, there is none. */
void coded_content_make(struct syncd *, struct coded_content *, struct str path, const struct record *, int fd);
void coded_content_clear(struct coded_content *);	/* safe on CODED_CONTENT_INIT */

/* sync.c */

/* COMPARE of another node; 0 when the request was taken, or -1. */
int compare_told(struct syncd *, struct serve_request *, const struct bulk *, struct err *);

/* keep.c */

void keep_run(struct worker *);		/* KEEP of another node: a bulk_job */
void keep_ask_all(struct syncd *);	/* all keepers are to be asked, soon */
/* This node is to be in the layout no more: its contents have to be taken over first. */
bool keep_leaves(const struct layout *, uint64_t self);

/* directories.c */

void directories_begin(struct syncd *);	/* a round, soon: of another layout, or of what others brought */

/* prune.c */

/* By which it keeps: the layout's, or for an hour those before they were lowered; all: UINT32_MAX, 0. */
struct keep_numbers prune_numbers(struct pruner *);

#endif
