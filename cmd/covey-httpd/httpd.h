/*
 * httpd - the HTTP handler's process: one worker per thread, one pool
 *
 * Worker 0 runs on the service's own loop; the others on threads of
 * theirs.  Worker 0 accepts and deals the connections out; a connection
 * stays with its worker.  What blocks (commits, listings) runs in the pool.
 *
 *	main			the process: who accepts, and the workers
 *	loop/			conn: a connection, bytes in, answers out; ask: what a
 *				request waits for most, the group's word on a path
 *	request, handlers.h	what a request asks for, and who answers it
 *	hosts			by which names this node may be asked
 *	budget			memory of bodies on their way in
 *	floods, source		what is done against who wants more than his share
 *	door			who asks, and whether they may
 *	group			what is known of the group; signatures of its nodes
 *	https			certificates; loop/handshake: what comes before the first request
 *	answer			what answers have in common
 *	get			a file, its content from another node, too
 *	index, inventory	a directory's names, a path's versions
 *	names			an index, told while it is read
 *	pages			/.covey/
 *	write			all that changes the store
 */
#ifndef COVEY_HTTPD_H
#define COVEY_HTTPD_H

#include "batch.h"
#include "budget.h"
#include "call.h"
#include "conf.h"
#include "delta.h"
#include "floods.h"
#include "list.h"
#include "loop.h"
#include "mime.h"
#include "pool.h"
#include "service.h"
#include "source.h"
#include "store.h"
#include "unopened.h"
#include "wal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct conn;
struct door;
struct door_rules;
struct group;
struct hosts;
struct https;
struct httpd;

#define WORKERS_MAX 16
#define LISTENERS_MAX (2 * CONF_LISTENS_MAX + 1)

/* How a client came. */
enum listener_kind {
	LISTENER_TCP,
	LISTENER_UNIX,
	LISTENER_HTTPS,		/* TCP, too, over which TLS is spoken */
};

struct listener {
	struct httpd *httpd;
	enum listener_kind kind;
	struct watch watch;
};

/* A client that has come. */
struct arrival {
	enum listener_kind kind;
	struct source source;
	bool late;			/* there were limits.connections already */
	bool crowded;			/* its source had limits.per_source already */
};

/* What outlives the process, in node.run (tally.h). */
struct kept {
	struct answers {		/* by what they said; of a worker, in a cache line of its own */
		atomic_uint_least64_t confirmed, unconfirmed;
		uint64_t rest[6];
	} answers[WORKERS_MAX];
	struct notices {		/* of writes (write.c) */
		atomic_bool unconfirmed;	/* the log said so */
		atomic_uint_least64_t last;	/* ms since the boot: when that was seen last */
		atomic_bool nearly_full;	/* the log said so */
	} notices;
	struct flood_counts floods;
};

#define SWEEP_MS 1000			/* between two sweeps of a cache */

struct worker {
	struct httpd *httpd;
	struct loop *loop;
	pthread_t thread;		/* not of worker 0 */
	atomic_uint count;		/* connections, also those on their way here */
	struct list lines;		/* its connections */
	struct list idle;		/* those that are answered all they asked, longest first */
	atomic_uint_least64_t idle_since;	/* ms, of the first; UINT64_MAX: there is none */
	struct list handshakes;		/* those of them that shake hands, the oldest first (loop/handshake.h) */
	struct list spare;		/* struct conn that serve none */
	struct task stop;		/* hasten what is idle, finish the rest */
	struct task pulse;		/* shows that this worker's loop runs */
	atomic_bool pulse_due;		/* it was posted, and has not run yet */
	/* Other roles of this node; NULL without a group key. */
	struct caller *version, *sync, *discover;
	struct list questions;		/* for covey-versiond, at the end of this round (ask.h) */
	struct timer ask;
	struct list commits;		/* jobs of small writes, for the next batch, at the end of this round */
	struct timer commit;
	struct list writes;		/* whose requests are over, and that go on (write.c) */
	struct call drain;		/* covey-syncd is told that the outbox has something */
	bool drain_again;
	struct answers *answers;	/* this worker's */
	struct store_cache *cache;	/* of the versions that are read here */
	struct door_rules *rules;	/* this worker's hold of who may do what; or NULL */
	struct timer sweep;		/* of the cache, every second as long as it holds anything */
	bool sweeping;			/* that timer runs */
	time_t date_second;		/* what date[] says */
	char date[32];
};

/*
 * What was confirmed to a reader, for Cache-Control: max-age=N (get.c).  By the
 * path's hash, and a new path takes the place of an old one: what is not there
 * is asked for again.  Any thread.
 */
struct recent {
	pthread_mutex_t mutex;
	struct recent_place {
		uint64_t hash;		/* of the path; two paths of one hash (64 bits) would share an Age */
		struct version newest;	/* the file's at that moment, which decided what stood there */
		uint64_t ms;		/* clock_boot_ms(); 0: nothing here */
	} places[4096];
};

/* For people: log and status. */
#define HTTPD_LOST_RECORDS "the files in tree/ have lost their extended attributes, and with them their " \
	"versions, as by plain cp or tar: nothing is served; covey adopt makes versions of them, a backup " \
	"that has the attributes brings back the old ones"

struct httpd {
	struct service *service;
	const struct conf *conf;
	struct store *store;
	struct loop *loop;		/* worker 0's */
	struct pool *pool;
	struct batch *commits;		/* of small files, in the pool */
	struct worker *workers;
	unsigned worker_count;
	struct kept *kept;
	atomic_uint connections;
	struct sources *sources;	/* of them */
	struct hosts *hosts;
	struct flood_log flood_log;
	struct budget buffers;		/* of bodies on their way in */
	atomic_uint form_files;		/* files of forms that are open, none of them small, */
	unsigned form_files_most;	/* at most so many */
	atomic_uint lists;		/* that were begun */
	atomic_uint waiting;		/* writes that wait because their clients prefer it */
	atomic_bool draining;		/* to stop: every answer that begins now is its connection's last */
	struct recent recent;
	struct mime *mime;
	char *state_directory;		/* STORE/state */
	bool grouped;			/* a group key is configured */
	struct group *group;		/* what is known of it (group.h), or NULL */
	struct door *door;		/* who may do what */
	struct outbox *outbox;		/* of this process; NULL without a group */
	struct wal *wal;		/* of this process; NULL where it serves one connection */
	struct delta_counts *delta;	/* what coding has saved */
	struct unopened *unopened;	/* what no key of this node opens */
	struct https *https;		/* what TLS is spoken by (https.h); NULL: it is not */
	atomic_uint coded;		/* coded contents on their way to clients */
	atomic_uint replicating;	/* writes on their way to homes and keepers */
	atomic_uint asked;		/* peers that the last check counted */
	uint64_t started_ms;
	/* worker 0's alone */
	struct listener listeners[LISTENERS_MAX];
	size_t listener_count;
	struct task room;		/* a connection closed: accept again */
	struct timer retry;		/* the same when the system was out of something */
	atomic_bool paused;		/* nobody accepts */
	atomic_bool room_posted;
	unsigned turn;			/* which worker is next */
	uint64_t status_due;		/* ms, the loop's clock: the status is not told before */
	struct timer telling;		/* the status, while the process stops */
};

void httpd_conn_closed(struct worker *, const struct source *);	/* from any worker: a connection is gone */

#endif
