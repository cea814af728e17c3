/*
 * write - a change to the store on behalf of a request, from its head to its answer
 *
 *	write_new, write_add...		what is to be written: one item per path
 *	write_upload			a body comes (upload.h)
 *	write_grown...			more of it is in its stage
 *	write_start			it is there, or there is none
 *	write_end			the request is over
 *
 * The steps stand one below the other in write.c.  A write outlives its
 * request while homes and keepers that were not needed for the answer are
 * still on their way to have it.  It belongs to its worker's loop; what
 * blocks is done in the pool.
 */
#ifndef COVEY_HTTPD_WRITE_H
#define COVEY_HTTPD_WRITE_H

#include "loop/ask.h"
#include "list.h"
#include "pool.h"
#include "store.h"

struct conn;
struct replicate;

#define SHA512_BYTES 64

enum write_kind { WRITE_FILE, WRITE_DELETE, WRITE_MKDIR, WRITE_RMDIR };

/* One path and what becomes of it. */
struct write_item {
	struct buf path;
	struct stage *stage;		/* owned; not synced yet; NULL: `small` has the body */
	struct buf small;
	int copy_fd;			/* owned: a file that has the body instead; or -1 */
	char type[RECORD_TYPE_MAX + 1];
	struct commit commit;		/* fixed: the version, if it is chosen already */
	struct replicate *replicate;	/* owned; from a large body's beginning, or from the commit; or NULL */
	/* private */
	struct record group_file;	/* the file's newest that the group knows */
	struct record group_entry;	/* the directory's */
	bool entry_known;		/* a majority of its homes said what the entry is */
	bool unanswered;		/* no majority said anything: what this node has forbids nothing */
	uint64_t clock;			/* ns: the group's; 0: not known */
	bool replaced;			/* a file stood there, as far as was known */
	struct record existing;		/* of a directory that was there already; or what a peer pushes */
};

/* The digests of a Repr-Digest or Content-Digest. */
struct body_digests {
	bool has_256, has_512;
	uint8_t sha256[SHA256_BYTES], sha512[SHA512_BYTES];
};

/* What a step of a job comes to: the next one follows at once, or when something has come. */
enum outcome { GO_ON, WAIT };

/* The steps, in their order; write_run() says what each is. */
enum write_step {
	WRITE_ASK_EARLY,
	WRITE_JUDGE_EARLY,
	WRITE_RECEIVE,
	WRITE_STAGE,
	WRITE_ASK,
	WRITE_TAKE,
	WRITE_COMMIT,
	WRITE_REPLICATE,
	WRITE_JUDGE,
	WRITE_ANSWER,
	WRITE_ANSWERED,
};

struct write {
	struct conn *conn;		/* NULL: its request is over */
	struct worker *worker;
	enum write_kind kind;
	struct write_item *items;	/* owned */
	size_t count;
	uint32_t mtime;			/* the client's, or 0 */
	struct body_digests repr, content;	/* what the (only) body must have */
	bool form;			/* a browser's form: answered 303 */
	/* private */
	enum write_step step;		/* the next one */
	struct link link;		/* of the worker's whose requests are over */
	struct job job;
	struct timer timer;		/* until homes are asked again, or the client waits no longer */
	uint64_t until;			/* ms, loop's clock: the client waits; 0: that has not begun */
	struct ask ask;
	size_t asking;			/* which item is being asked about */
	struct str parent;		/* which directory above it; s NULL: the path itself */
	unsigned tries;			/* to ask homes of which no majority answered */
	uint64_t alone_epoch;		/* of the layout of this node alone that an update was judged in */
	bool unconfirmed;		/* some answer was, or became so */
	uint32_t peers, peers_answered;	/* of the least sure answer */
	bool staging, staged;		/* the pool has the bodies; it has had them */
	int stage_result;		/* the pool's while staging */
	struct err stage_err;
	int result;			/* -1: it is refused, err says why */
	struct err err;
	bool existed;			/* nothing had to be done: the directory was there */
	size_t started, open;		/* items that are replicated, and of them those not confirmed yet */
};

struct write *write_new(struct conn *, enum write_kind);
struct write_item *write_add(struct write *, struct str path);	/* good until the next one is added */
void write_upload(struct write *);
void write_grown(struct write *);	/* of one raw body */
void write_start(struct write *);
/* The end of a directory's entry, at a version that was chosen for it (rmdir.h). */
void write_entry_end(struct write *, struct version);
void write_end(struct write *);		/* NULL is fine; no job may be running */
void write_free_all(struct worker *);	/* when the process ends: those whose requests are over */

/* The item's body is in its stage, on disk, and its digests are right.  Blocks. */
int write_stage_item(struct write *, struct write_item *, struct err *);

#endif
