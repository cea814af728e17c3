/*
 * settle_inside - between a write (settle.c) and the disks with its content (settle_copies.c)
 */
#ifndef COVEY_HTTPD_SETTLE_INSIDE_H
#define COVEY_HTTPD_SETTLE_INSIDE_H

#include "settle.h"

#include "push.h"
#include "store.h"

#define LARGE_BYTES (1u << 20)
#define ALONE_LARGE_MS 60000	/* without an owner, when much is to be pushed */

struct settle {
	struct worker *worker;
	struct settle *next, *prev;
	void (*changed)(void *owner);	/* NULL: nobody waits */
	void *owner;
	struct buf path;
	char type[RECORD_TYPE_MAX + 1];
	struct record record;
	struct outbox_mark mark;
	struct layout layout;		/* of now */
	int fd;				/* of the content, or -1; owned */
	struct call store;
	bool settled, all;
	uint64_t epoch;			/* of the layout whose majority it was; 0: none yet */
	unsigned homes, homes_answered;
	uint64_t began;			/* ms: when it was sent */
	uint64_t until;			/* ms: so long somebody waits */
	struct push *push;		/* under way; or NULL */
	struct timer hold;		/* so long at most STORE waits for it */
	uint64_t have[HOLDERS_MAX];	/* disks with the content, without this one; members or not */
	size_t have_count;
	bool passed_over;		/* a keeper that could not be had */
	uint64_t exhausted;		/* epoch of a layout of whose members no more could be had */
	struct timer look;		/* for a newer layout */
	struct timer limit;		/* nobody waits any longer, not even this */
};

void settle_changed(struct settle *);	/* tells the owner, or goes on alone */
void settle_pushed(struct settle *);	/* a push is over */

/* By the layout of now: disks that must have it before it is confirmed; keepers that have it not. */
size_t copies_missing(const struct settle *);
size_t keepers_missing(const struct settle *);
size_t copies_told(const struct settle *);	/* how many disks have it */
void copies_start(struct settle *, struct push *begun);	/* NULL: nothing is under way */
void copies_more(struct settle *);	/* what is missing, while somebody waits for it */
void copies_rest(struct settle *);	/* keepers that were not needed for the answer */

#endif
