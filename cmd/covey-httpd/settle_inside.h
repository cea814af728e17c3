/*
 * settle_inside - between a write (settle.c) and the directories above it (settle_above.c)
 */
#ifndef COVEY_HTTPD_SETTLE_INSIDE_H
#define COVEY_HTTPD_SETTLE_INSIDE_H

#include "settle.h"

#include "pool.h"
#include "store.h"

/* One directory after the other, from the nearest upwards, until a majority knows the next. */
struct above {
	struct settle *settle;
	bool wanted, done, failed, other;	/* other: a file stands where it is needed */
	bool running;				/* in the pool */
	struct str path;			/* of the settle's; the directory */
	struct call call;
	struct job job;
	uint64_t clock;
	struct commit commit;
	struct record record;			/* what is stored */
	struct err err;
	int result;
};

struct settle {
	struct worker *worker;
	struct settle *next, *prev;
	void (*changed)(void *owner);	/* NULL: nobody waits */
	void *owner;
	struct buf path;
	char type[RECORD_TYPE_MAX + 1];
	struct record record;
	struct outbox_mark mark;
	struct layout layout;
	int fd;				/* of the content, or -1; owned */
	struct call store;
	bool stored;			/* told, for the first time */
	bool settled, all, other, known;
	unsigned homes, homes_answered;
	struct version newest;		/* at any of its homes */
	uint64_t began;			/* ms: when it was sent */
	uint64_t until;			/* ms: so long somebody waits */
	struct push *push;		/* under way; or NULL */
	struct timer hold;		/* so long at most STORE waits for it */
	uint64_t have[HOLDERS_MAX];	/* disks with the content, without this one */
	size_t have_count;
	bool passed_over;		/* a keeper that could not be had */
	struct above above;
	struct timer limit;		/* nobody waits any longer, not even this */
};

void settle_changed(struct settle *);	/* tells the owner, or goes on alone */

void above_init(struct above *, struct settle *);
void above_start(struct above *);	/* safe when it was */
void above_clear(struct above *);

#endif
