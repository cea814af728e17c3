/*
 * inventory - the names in a directory, or the versions of a path
 *
 * Of this node's disk alone, or of the group: what a confirmed read would
 * say at some moment of the request.  The homes of the names are asked, of
 * one layout epoch, and a majority's answers and this node's own are merged
 * (merge.h).  What a majority does not tell alike is settled as a read
 * settles it, several at once, before anything is told of it; deletions,
 * too.  Versions beyond those that the layout keeps are left out.
 *
 * Of the names of a large directory it is a window, with as many as each node
 * tells at once; the next one begins behind `upto`.  All a window knows of the
 * one before is as of when its names may be told, and that counts only as long
 * as the layout is the same: a home of the next one may have read its names
 * before it had all of them.
 *
 * Unconfirmed it is whatever somebody knows: where no majority of the homes
 * answers (every member is asked then), where one difference cannot be
 * settled, and where there are more than INVENTORY_DIFFERENCES_MAX: then
 * the homes are told to compare what they know.
 */
#ifndef COVEY_HTTPD_INVENTORY_H
#define COVEY_HTTPD_INVENTORY_H

#include "call.h"
#include "group.h"
#include "merge.h"
#include "pool.h"
#include "sync_talk.h"

struct ask;
struct conn;

#define INVENTORY_DIFFERENCES_MAX 1000
#define INVENTORY_AT_ONCE 32		/* of them that are being settled */
#define INVENTORY_WINDOW 4096		/* names that a node tells of a large directory at once */

/* Which layout: epochs are counted within a lineage. */
struct layout_id {
	uint64_t lineage, epoch;	/* 0: none */
};

/* Names of then, or of any moment since; for homes of this layout alone. */
struct as_of {
	uint64_t ms;			/* monotonic; 0: of when each node reads them */
	struct layout_id layout;
};

struct inventory_row {
	char *text;			/* owned: a name, or a version's content type */
	struct str name;
	bool here;			/* somebody has the version's content */
	struct merge_row told;
};

/* The slices stay the asker's, and must stay. */
struct inventory_ask {
	struct str path;
	bool versions;			/* of the path; else the names in it */
	bool here;			/* this node's disk is all that is wanted */
	bool silent;			/* no peer answered just now: do not wait long */
	struct version gate;		/* credit only homes that know of this removal; none: all */
	bool every_home;		/* wait for all homes as long as may be, not only for a majority */
	struct str after;		/* names behind this one; empty: from the first one */
	struct version older;		/* with here: versions that are older; none: all */
	uint32_t limit;			/* names that each node tells; 0: all.  Of versions, with here:
					 * some more are told (store_history_part()) */
	bool directories;		/* names: those alone that may be one, or may have been */
	struct as_of as_of;		/* names; ms 0: with a gate, which is read before them */
	bool deleted;			/* where nothing stands any more, too */
};

/* Rows of a history. */
struct inventory_kept {
	size_t files, directories;
};

struct settling {
	struct inventory *inventory;
	struct call call;
	struct inventory_row *row;	/* NULL: nothing is under way */
};

struct inventory {
	/* out */
	struct inventory_row *rows;	/* owned; names sorted by their bytes, versions newest first */
	size_t count;
	struct buf upto;		/* names behind this one may follow; empty: these are all */
	struct as_of as_of;		/* for the next window */
	bool confirmed;
	uint32_t asked, answered;	/* peers, when it is not confirmed */
	struct version gate;		/* the greatest that was told of */
	struct layout_id layout;	/* this node's, after its disk was read */
	int result;			/* of reading this node's disk; -1: err says why */
	struct err err;
	/* private */
	struct inventory_ask ask;
	struct conn *conn;
	void (*done)(struct conn *);
	struct merge_rule rule;
	uint64_t lineage;		/* of rule's layout */
	bool other_layout;		/* this node's is not rule's */
	uint32_t keep;			/* versions of a path; 0: all */
	struct quorum credited;
	struct call call;
	struct timer again;
	bool unreadable;		/* this node's disk tells nothing: it is no home just now */
	unsigned tries;			/* of the homes; 0: all members are asked */
	struct merge_answer answers[MERGE_TEXTS_MAX];	/* [0] is this node's */
	struct buf uptos[MERGE_TEXTS_MAX];	/* what slices of theirs point into */
	int parts[MERGE_TEXTS_MAX];	/* owned: files with their texts */
	size_t answer_count;
	struct job job;
	size_t differences;
	struct inventory_kept kept;	/* settled, of the rows before next */
	size_t next;			/* row that may have to be settled */
	struct settling settling[INVENTORY_AT_ONCE];
};

/* done(conn) is called later, and then the connection resumed.  It may start the inventory of the next window. */
void inventory_start(struct inventory *, struct conn *, const struct inventory_ask *,
		     void (*done)(struct conn *));
/* Safe on zeroes, which it leaves; no job may be running. */
void inventory_end(struct inventory *);
/* An answer from it is as sure as the less sure one of the two. */
void inventory_lessen(const struct inventory *, struct ask *);

#endif
