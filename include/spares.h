/*
 * spares - contents that a node holds and need not keep: may they go?
 *
 * A copy at a node that is none of the content's keepers is spare when every
 * keeper has said, by KEPT to a KEEP, that it has the content (bulk.h): only
 * then may it go.  Keepers are those of the one layout that it is asked by.
 *
 *	spares_begin, spares_add...	of what this node is no keeper
 *	spares_next			a question, to one keeper
 *	spares_answered, _failed	its answer, judged by bulk_judge(); then the next
 *	spares_take			in the end, each that may go
 *
 * Pure: no sockets, no clock.
 */
#ifndef COVEY_SPARES_H
#define COVEY_SPARES_H

#include "bulk.h"
#include "layout.h"

struct spare;

struct spares {
	struct layout layout;
	struct buf items;		/* packed, as they are sent */
	struct spare *list;		/* owned; of each, in their order */
	size_t count;
	size_t peer;			/* of the layout's members: who is asked now */
	size_t from, to;		/* of the list: what the question under way is about */
	size_t taken;
};
#define SPARES_INIT { .items = BUF_INIT }

void spares_clear(struct spares *);		/* safe on SPARES_INIT, and leaves it behind */
void spares_begin(struct spares *, const struct layout *);
void spares_add(struct spares *, const struct keep_item *);
/* The next question, into an empty buf.  False: everybody was asked. */
bool spares_next(struct spares *, uint64_t *ret_keeper, struct buf *question);
void spares_answered(struct spares *, struct str states);
void spares_failed(struct spares *);
/* False: there are no more.  Slices point into the items. */
bool spares_take(struct spares *, struct keep_item *ret);

#endif
