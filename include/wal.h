/*
 * wal - small versions become durable by one append: a write-ahead log
 *
 * STORE/wal/ has the segments of each process that writes.  An entry is all
 * of a version: its path, its record and its content.  It is on disk before
 * the version gets its name, by one fdatasync() for all who wait at that
 * moment; the file itself is made without a sync.  A checkpoint, one sync of
 * the file system, makes durable what is logged and named, and the segment is
 * used anew.  What a power cut, or a process that died, left in a segment is
 * replayed by whoever opens the store next, before it is open (Mohan et al.,
 * ARIES, 1992, has the rule: the log first).
 *
 *	wal_open				once per process
 *	commit.wal = wal; store_commit()	makes the entry, if it may
 *	wal_close				the last checkpoint
 *
 * Only whole entries count (the format is drawn in lib/store/wal.c).
 */
#ifndef COVEY_WAL_H
#define COVEY_WAL_H

#include "err.h"
#include "outbox.h"
#include "record.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

#define WAL_BODY_MAX (48 << 10)		/* bytes of a content that is logged; larger ones are synced as files */

struct store;

/*
 * By any number of threads at once; makes its segments, and the thread of its
 * checkpoints, when first needed, and removes the segments when they are not
 * for a while.  *ret is NULL on a file system that it is not for (disk.c), and
 * where there can be none just now commits go without.  The store must outlive
 * it.  Closed after the last commit, it waits for a sync of the file system;
 * what is left after a failure is replayed.
 */
struct wal;
int wal_open(struct wal **ret, struct store *, struct err *);
void wal_close(struct wal *);		/* NULL is fine */

struct wal_mark {			/* where an entry is */
	uint64_t segment;		/* id; 0: no entry */
	uint32_t offset;		/* bytes */
};

struct wal_entry {
	struct str path;
	struct record record;		/* of a file's version, or its tombstone */
	struct str type;		/* explicit content type, or empty */
	struct str body;		/* the content, of a version that has some here */
	bool pointer;			/* the record alone: content is elsewhere */
	struct outbox_mark owed;	/* its entry in the outbox, or segment 0 */
	/* of one that was read */
	uint32_t offset;
	bool is_void;			/* there is no such version (any more) */
};

/* The next whole entry of a segment's bytes at *offset, which moves behind it; false at the end. */
bool wal_parse(struct str segment, uint32_t *offset, struct wal_entry *ret);

#endif
