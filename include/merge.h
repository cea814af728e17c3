/*
 * merge - the indexes and histories of several nodes made one
 *
 *	struct merge merge;
 *	merge_init(&merge, &rule, answers, count);	this node's own first
 *	while (merge_listing(&merge, &name)) ...	or merge_history
 *	... merge_confirmed(&merge) ...
 *	merge_clear(&merge);
 *
 * An answer carries who gave it.  It is credited when a home of the layout
 * that is asked by gave it, as a home of that layout's epoch, and, where a
 * directory is to be removed, knowing of that.  What no home said is merged
 * like all else, and proves nothing.
 *
 * Index: a name has two registers, its file's and its directory's newest
 * record (entry).  Each is the newest that anybody has; record_name_kind() says
 * what stands there.
 *
 * History: one row per version, newest first; `here` when anybody has the
 * content.  Where nodes contradict each other, the earlier answer counts.
 *
 * A name or version is confirmed when a majority of the homes told just that
 * (of a register nobody knows anything of: nothing), or, of a file's, when
 * the entry hides it, whatever it is.  What is not confirmed
 * by the lists is asked for as a read does it:
 *
 *	merge_question		what to ask covey-versiond; the path is the caller's
 *	merge_answered		until the row is confirmed, or cannot be
 *
 * Where a directory is to be removed, and not every home is credited, a name
 * that was told of stays in the list although a reader is told less: it is
 * told as it was listed, or, when nothing stands there, cannot be confirmed.
 *
 * An answer that breaks off in mid-line, is malformed or not in order is
 * used up to there, and then nothing is confirmed.
 *
 * A window of an index: an answer may end with a name behind which it tells
 * nothing.  All of them together tell of the names up to the first of these,
 * merge_upto(), whoever is credited; what is behind is another window's.
 *
 * The texts are lines of listing_text.h.  They stay the caller's, and must
 * stay; a row is good until the next call.  Pure: no sockets, no clock.
 */
#ifndef COVEY_MERGE_H
#define COVEY_MERGE_H

#include "listing_text.h"
#include "quorum.h"
#include "version_talk.h"

#include <stdbool.h>
#include <stddef.h>

#define MERGE_TEXTS_MAX 17		/* this node's and those of 16 peers */

/* What one node told of a directory or of a path's history. */
struct merge_answer {
	uint64_t node;			/* who */
	uint64_t epoch;			/* of the layout it went by, as a home; 0: as no home */
	struct version gate;		/* of the directory, read before its names; none: none */
	struct str upto;		/* names behind this one are not told; empty: all are */
	struct str text;
};

/* Whose answers are credited. */
struct merge_rule {
	struct quorum homes;		/* who is asked, none of them answered */
	uint64_t epoch;			/* of their layout; 0: none, nobody is credited */
	struct version gate;		/* only who tells of this or a greater one; none: all */
};

bool merge_credits(const struct merge_rule *, const struct merge_answer *);

struct merge_source {
	uint64_t node;
	bool credited;
	struct str rest;		/* lines that were not read */
	struct buf name;		/* of row, decoded; owned */
	bool ready;			/* row or version holds the current line */
	struct listing_row row;
	struct history_row version;
};

struct merge {
	struct merge_source sources[MERGE_TEXTS_MAX];
	size_t count;
	struct quorum homes;		/* none of them answered */
	bool confirmed;			/* a majority of them is credited, and none was spoiled so far */
	bool binding;			/* of the rows to come */
	size_t spoiled;			/* answers that could not be read to their ends */
	struct str upto;		/* the end of the window; empty: there is none */
	bool begun;
	struct buf last;		/* the name given last; owned */
	struct version last_version;
};

/* count is at most MERGE_TEXTS_MAX. */
void merge_init(struct merge *, const struct merge_rule *, const struct merge_answer *,
		size_t count);
void merge_clear(struct merge *);

/* A majority of the homes is credited.  At the end: and was read whole. */
bool merge_confirmed(const struct merge *);
struct str merge_upto(const struct merge *);	/* names behind this one are not in it; empty: all are */

/* What is told of a name, or of a version of a path. */
struct merge_row {
	bool version;			/* of a version: file is its record, though a directory's */
	struct record file, entry;	/* version none: none; of a name without what is not shown */
	bool confirmed;			/* a majority of the homes told just this */
	bool binding;			/* of a name: no reader's answer below this counts */
	bool gone;			/* of a version: it was never confirmed */
	struct version below;		/* what is there at this version or above was never confirmed */
	unsigned lower;			/* how often that was so */
};

struct merge_name {
	struct str name;
	struct merge_row row;
};

struct merge_version {
	struct str type;		/* explicit content type, or empty */
	bool here;
	struct merge_row row;
};

/* False at the end. */
bool merge_listing(struct merge *, struct merge_name *ret);
bool merge_history(struct merge *, struct merge_version *ret);

/* As a reader asks, by name or about the path whose version it is.  Sets all but the path. */
void merge_question(const struct merge_row *, struct newest_ask *ret);
/*
 * What the answer makes of the row.  False: it cannot be confirmed now.  True:
 * it is confirmed, or there is another question.
 */
bool merge_answered(struct merge_row *, const struct merge_rule *, const struct newest_answer *);

#endif
