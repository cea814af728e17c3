/*
 * outbox - what is not yet known to every home and keeper
 *
 * STORE/outbox/ has append-only segments, each written by one process, which
 * holds a lock on it as long as it lives.  An entry says that a version of a
 * path has been, or is just being, committed here and has still to reach
 * others.  It, or the log that repeats it (wal.h), is durable before the version
 * shows, and it stays until somebody
 * marks it done.  A mark is not synced: one that is lost only repeats work
 * that may be repeated.
 *
 * Writing (httpd, tools):
 *
 *	outbox_open					once per process
 *	commit.outbox = outbox; store_commit()		makes the entry
 *	outbox_finish(outbox, commit.mark)		when everybody has it
 *
 * Draining (syncd):
 *
 *	outbox_read	at start, when told, and from time to time: each entry
 *			that is not done, once per reader
 *	outbox_is_done	before a try: its writer may have finished it
 *	store_version	ERR_ABSENT: the commit never became visible (a crash
 *			between the two), nothing is to be done
 *	outbox_done	then, and when everybody has it
 *	outbox_remove_done	now and then: removes segments that nobody needs
 *
 * The bytes of a segment are what a crash left: only whole entries count
 * (the format is drawn in lib/store/outbox.c).
 */
#ifndef COVEY_OUTBOX_H
#define COVEY_OUTBOX_H

#include "buf.h"
#include "err.h"
#include "str.h"
#include "version.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct outbox_mark {		/* where an entry is */
	uint64_t segment;	/* id; 0: no entry */
	uint32_t offset;	/* bytes */
};

/* For writing, by any number of threads at once; makes its segment when first needed. */
struct outbox;
int outbox_open(struct outbox **ret, struct store *, struct err *);
void outbox_close(struct outbox *);	/* NULL is fine; what is not done stays for the drainer */
/* The commit's: begin writes an entry, wait returns when it is on disk; until then it may begin to be. */
int outbox_begin(struct outbox *, struct str path, struct version, struct outbox_mark *ret,
		 struct err *);
int outbox_wait(struct outbox *, struct outbox_mark, struct err *);
void outbox_sync_soon(struct outbox *);	/* what was written; nobody waits here */
/* As outbox_done(), but soon, or at the latest when it is closed: nobody has to wait for the disk. */
void outbox_finish(struct outbox *, struct outbox_mark);

/* By whoever finished it; of no entry, or one of a segment that is gone, it does nothing. */
void outbox_done(struct store *, struct outbox_mark);
bool outbox_is_done(struct store *, struct outbox_mark);	/* also when it is gone */
/* An entry of this version is there, done or not; asked for one after the other the lookup reads each segment once. */
struct outbox_lookup {
	uint64_t segment;	/* 0: none was read yet */
	struct buf bytes;	/* of it; the caller's to clear */
	uint32_t offset;	/* all before it was asked for */
};
bool outbox_has(struct store *, struct outbox_lookup *, struct outbox_mark, struct str path,
		struct version);
/* Its writer has not ended, and may still do it by itself. */
bool outbox_writer_lives(struct store *, uint64_t segment);

struct outbox_entry {
	struct outbox_mark mark;
	struct str path;	/* valid while it is told */
	struct version version;
};

struct outbox_reader;		/* remembers what it told; for one thread at a time */
struct outbox_reader *outbox_reader_new(struct store *);
void outbox_reader_free(struct outbox_reader *);	/* NULL is fine */
/* Each entry that is not done and was not told before.  each() returning -1 ends it; that one is told again. */
int outbox_read(struct outbox_reader *, int (*each)(void *data, const struct outbox_entry *),
		void *data, struct err *);
/* It was told, or was done already. */
bool outbox_was_told(const struct outbox_reader *, struct outbox_mark);
/* Remove segments without a writer whose entries are all done. */
int outbox_remove_done(struct store *, struct err *);

/* The next whole entry of a segment's bytes at *offset, which moves behind it; false at the end. */
bool outbox_parse(struct str segment, uint32_t *offset, struct outbox_entry *ret, bool *ret_done);

#endif
