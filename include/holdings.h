/*
 * holdings - what a node holds outside its partitions: is it still the newest?
 *
 * A home learns of each deletion and newer version by STORE and SYNC.  A
 * node that holds a path without being its home asks the homes, in batches:
 *
 *	NEWEST	items {version, path}	this is the newest that I know
 *	NEWEST_ARE	per item, in its order:	0: nothing that is newer
 *			1, record, type	this is, a version or a deletion of the file
 *			2		the sender cannot tell
 *		as many as fit; the rest it was not asked
 *
 * These are bodies of bulk.h's messages.  Whatever a home tells is newer, and
 * may be merged at once.  Items are asked about in parts, each of one
 * partition; a part is done when a majority of every home set has told of
 * all of it, at the epoch of the one layout that it is asked by.  As many are
 * asked as that takes, whoever is late only where the others do not suffice,
 * and nobody who has failed once.
 *
 *	holdings_begin, holdings_add...		the items
 *	holdings_late				whom to ask last
 *	holdings_next				a question, to be sent at this layout
 *	holdings_answered, holdings_failed	what came, judged by bulk_judge(); then the next
 *	holdings_open				of so many items no majority told
 *
 * Pure: no sockets, no clock.
 */
#ifndef COVEY_HOLDINGS_H
#define COVEY_HOLDINGS_H

#include "bulk.h"
#include "quorum.h"

struct holdings_part;			/* items that are asked about and answered together */

struct holdings_peer {
	uint64_t id;
	bool late;			/* asked after the others */
	bool failed;			/* not asked any more */
};

struct holdings {
	struct layout layout;
	struct buf items;		/* packed, as they are sent */
	size_t item_count;
	struct holdings_part *parts;	/* owned; in the order of the items */
	size_t part_count;
	struct holdings_peer peers[LAYOUT_MEMBERS_MAX];
	size_t peer_count;
	struct holdings_peer *asked;	/* the question under way is with it; NULL: there is none */
};
#define HOLDINGS_INIT { .items = BUF_INIT }

void holdings_clear(struct holdings *);		/* safe on HOLDINGS_INIT, and leaves it behind */
void holdings_begin(struct holdings *, const struct layout *);
/* newest: not none. */
void holdings_add(struct holdings *, struct str path, struct version newest);
void holdings_late(struct holdings *, uint64_t peer);
/* The next question, into an empty buf.  False: there is nobody left to be asked. */
bool holdings_next(struct holdings *, uint64_t *ret_peer, struct buf *question);

struct holdings_newer {
	struct str path;
	struct record record;		/* of a file, live or a tombstone */
	struct str type;		/* explicit content type, or empty */
};
/* newer() is called with each; its slices point into the answer and the items. */
void holdings_answered(struct holdings *, struct str answer,
		       void (*newer)(void *data, const struct holdings_newer *), void *data);
void holdings_failed(struct holdings *);
size_t holdings_open(const struct holdings *);

/* A home's step.  newest() gives the file's newest record, or none, and its type; -1: it cannot tell. */
typedef int holdings_newest(void *data, struct str path, struct record *ret,
			    char type[RECORD_TYPE_MAX + 1]);
/* 0, or -1: the question is malformed. */
int holdings_answer(struct str question, holdings_newest *newest, void *data, struct buf *answer);

#endif
