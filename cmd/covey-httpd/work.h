/*
 * work - changes to the store on behalf of a request
 *
 *	work_new
 *	work_add...	what is to be committed: one item per path
 *	work_run	ask the group about each path, commit, answer
 *
 * Between: work_welcome() tells before a body is read whether the request
 * would be accepted.
 */
#ifndef COVEY_HTTPD_WORK_H
#define COVEY_HTTPD_WORK_H

#include "ask.h"
#include "pool.h"
#include "store.h"

struct conn;
struct push;
struct settle;

#define SHA512_BYTES 64

enum work_kind { WORK_FILE, WORK_DELETE, WORK_MKDIR, WORK_RMDIR /* in a group of one; else rmdir.h */ };

/* One path and what becomes of it. */
struct item {
	struct buf path;
	struct stage *stage;		/* owned; not synced yet; NULL: `small` has the body */
	struct buf small;
	int copy;			/* owned: a file that has the body instead; or -1 */
	char type[RECORD_TYPE_MAX + 1];
	struct commit commit;
	bool staged;			/* the body is complete, and its digests are right */
	struct record theirs;		/* the file's newest that the group knows */
	struct record their_entry;	/* the directory's */
	bool sure;			/* a majority said so, of the entry at least */
	bool doubtful;			/* no majority said anything: nothing known here forbids it */
	uint64_t clock;			/* ns: the group's; 0: not known */
	bool replaced;			/* a file stood there, as far as was known */
	struct record existing;		/* of a directory that was there already */
	struct push *push;		/* of a large body, begun while it came; or NULL */
	struct settle *settle;		/* while homes and keepers are waited for */
};

/* The digests of a Repr-Digest or Content-Digest. */
struct wanted {
	bool has_256, has_512;
	uint8_t sha256[SHA256_BYTES], sha512[SHA512_BYTES];
};

struct work {
	struct conn *conn;
	enum work_kind kind;
	struct item *items;		/* owned */
	size_t count;
	uint32_t mtime;			/* the client's, or 0 */
	struct wanted repr, content;	/* digests that the (only) body must have */
	bool form;			/* a browser's form: answered 303 */
	/* private */
	struct job job;
	struct ask ask;
	bool staging;			/* the pool has it */
	bool asked_all;			/* of the group all is known that will be */
	size_t asking;			/* which item is being asked about */
	struct str ancestor;		/* which directory above it; s NULL: the path itself */
	void (*welcome)(struct conn *);
	uint64_t alone;			/* epoch of the layout of this node alone that an update was judged in */
	bool unconfirmed;		/* some answer was, or became so */
	uint32_t asked, answered;	/* peers, of the least sure answer */
	bool existed;			/* nothing had to be done: the directory was there */
	size_t started, open;		/* items that are being settled, and are not yet */
	uint64_t until;			/* ms, loop's clock: the client waits; 0: that has not begun */
	struct timer timer;		/* until then, or until the homes are asked again */
	bool answered_it;		/* the client does not wait any more */
	int result, stage_result;
	struct err err, stage_err;	/* stage_ is the pool's while staging */
};

int wanted_parse(struct wanted *, struct str field);	/* adds what the field says; -1 malformed */
struct work *work_new(struct conn *, enum work_kind);
void work_free(struct work *);		/* NULL is fine */
struct item *work_add(struct work *, struct str path);	/* good until the next one is added */

/*
 * When the request would be accepted, as far as can be told before its
 * body, welcome(conn) is called, at once or later.  Otherwise it is answered.
 */
void work_welcome(struct conn *, void (*welcome)(struct conn *));
/* The same by what this node knows alone.  False: it was answered. */
bool work_is_welcome_here(struct conn *);
void work_run(struct conn *);

#endif
