/*
 * surplus - contents that a node holds and need not keep: may they go?
 *
 * A copy at a node that is none of the content's keepers is surplus when every
 * keeper has said, by KEPT to a KEEP, that it has the content (bulk.h): only
 * then may it go.  Keepers are those of the one layout that it is asked by.
 *
 *	surplus_begin, surplus_add...	of what this node is no keeper
 *	surplus_next			a question, to one keeper
 *	surplus_answered, _failed	its answer, judged by bulk_judge(); then the next
 *	surplus_take			in the end, each that may go
 *
 * Pure: no sockets, no clock.
 */
#ifndef COVEY_SURPLUS_H
#define COVEY_SURPLUS_H

#include "bulk.h"
#include "layout.h"

struct surplus_copy;

struct surplus {
	struct layout layout;
	struct buf items;		/* packed, as they are sent */
	struct surplus_copy *list;		/* owned; of each, in their order */
	size_t count;
	size_t peer;			/* of the layout's members: who is asked now */
	size_t from, to;		/* of the list: what the question under way is about */
	size_t taken;
};
#define SURPLUS_INIT { .items = BUF_INIT }

void surplus_clear(struct surplus *);		/* safe on SURPLUS_INIT, and leaves it behind */
void surplus_begin(struct surplus *, const struct layout *);
void surplus_add(struct surplus *, const struct keep_item *);
/* The next question, into an empty buf.  False: everybody was asked. */
bool surplus_next(struct surplus *, uint64_t *ret_keeper, struct buf *question);
void surplus_answered(struct surplus *, struct str states);
void surplus_failed(struct surplus *);
/* False: there are no more.  Slices point into the items. */
bool surplus_take(struct surplus *, struct keep_item *ret);

#endif
