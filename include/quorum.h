/*
 * quorum - counting the answers of homes
 *
 * A quorum is reached when a majority of the homes has answered: in each set
 * of the layout (two while it is joint), in each partition that was added
 * (two for a directory's record, which its parent's homes know and its own).
 *
 *	quorum_begin, quorum_add...	then quorum_answered() as answers come
 *
 * All answers counted must be to one question of one epoch: a phase that
 * meets another layout begins again.
 */
#ifndef COVEY_QUORUM_H
#define COVEY_QUORUM_H

#include "layout.h"

#define QUORUM_SETS_MAX 4
#define QUORUM_HOMES_MAX (QUORUM_SETS_MAX * LAYOUT_HOMES_MAX)
struct quorum {
	struct {
		uint64_t ids[LAYOUT_HOMES_MAX];
		size_t count;
		size_t answered;	/* of them */
		uint32_t who;		/* bit i: ids[i] has */
	} sets[QUORUM_SETS_MAX];
	size_t set_count;
};
void quorum_begin(struct quorum *);			/* nobody; never reached */
void quorum_add(struct quorum *, const struct layout *, unsigned partition);
void quorum_again(struct quorum *);			/* the same homes; none has answered */
bool quorum_has(const struct quorum *, uint64_t id);	/* it is one of the homes */
bool quorum_is_answered(const struct quorum *, uint64_t id);	/* it is one, and has */
/* Each home once; how many. */
size_t quorum_homes(const struct quorum *, uint64_t ret[QUORUM_HOMES_MAX]);
void quorum_answered(struct quorum *, uint64_t id);	/* any node; who is no home changes nothing */
bool quorum_reached(const struct quorum *);
bool quorum_all(const struct quorum *);			/* every home */
bool quorum_some(const struct quorum *);		/* a majority of one set at least */
/* The homes' view for people: of the set that is furthest from its majority. */
void quorum_tell(const struct quorum *, uint32_t *ret_answered, uint32_t *ret_homes);

#endif
