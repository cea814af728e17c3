/*
 * merge - the indexes and histories of several nodes made one
 *
 *	struct merge merge;
 *	merge_init(&merge, texts, count);	this node's own text first
 *	while (merge_listing(&merge, &row)) ...	or merge_history
 *	merge_clear(&merge);
 *
 * The texts are lines of listing_text.h, sorted as there.  They stay the
 * caller's, and must stay; a row is good until the next call.
 *
 * Index: one row per name, of the newest version anybody has.  A directory
 * stands against a file, whichever is newer; and against everything when
 * it has no record of its own, for then it has live children.  Deleted
 * names come out as such: who does not want them skips them (what is asked
 * of peers is always with ?deleted, or what was deleted would come back).
 *
 * History: one row per version, newest first; `here` when anybody has the
 * content.  Where nodes contradict each other, the earlier text counts.
 *
 * A text that breaks off in mid-line, is malformed or not in order is
 * used up to there: `spoiled` counts such texts.
 */
#ifndef COVEY_MERGE_H
#define COVEY_MERGE_H

#include "listing_text.h"

#include <stdbool.h>
#include <stddef.h>

#define MERGE_TEXTS_MAX 17		/* this node's and those of 16 peers */

struct merge_source {
	struct str rest;		/* lines that were not read */
	struct buf name;		/* of row, decoded; owned */
	bool ready;			/* row or version holds the current line */
	struct listing_row row;
	struct history_row version;
};

struct merge {
	struct merge_source sources[MERGE_TEXTS_MAX];
	size_t count;
	size_t spoiled;
	bool begun;
	struct buf last;		/* the name given last; owned */
	struct version last_version;
};

/* count is at most MERGE_TEXTS_MAX. */
void merge_init(struct merge *, const struct str *texts, size_t count);
void merge_clear(struct merge *);

/* False at the end. */
bool merge_listing(struct merge *, struct listing_row *ret);
bool merge_history(struct merge *, struct history_row *ret);

#endif
