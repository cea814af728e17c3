/*
 * pushing - what the parts of PUSH share: pushing.c sends, push_ask.c is asked
 */
#ifndef COVEY_PUSHING_H
#define COVEY_PUSHING_H

#include "syncd.h"

enum try_state {
	TRY_IDLE,
	TRY_RUNNING,
	TRY_FAILED,
	TRY_NEEDLESS,			/* it keeps newer ones instead */
	TRY_HAS,
};

/* One keeper. */
struct push_try {
	struct pushing *pushing;
	struct fetch fetch;
	uint64_t node;
	enum try_state state;
	uint64_t since;			/* loop's ms: when it was given all, or will count from */
	int status;			/* its answer's */
	bool early;			/* it began before the push was named */
};

struct pushing {
	struct syncd *daemon;
	struct pushing *next, *prev;
	/* Once: as many as were wanted have it, or nobody is left to try. */
	void (*settled)(struct pushing *);
	void *data;			/* of whoever waits */
	uint64_t token;			/* of PUSH_BEGIN; else 0 */
	struct buf path, type;
	struct record record;		/* none before it is named */
	int fd;				/* owned */
	uint64_t available;		/* bytes of it */
	struct push_try tries[HOLDERS_MAX];
	size_t count, wanted;
	struct timer hurry;		/* then the next is tried beside those that are silent */
	struct timer over;		/* nothing was heard of this token for long; or: free it */
};

/* wanted->record none: it will be named later.  fd is taken over. */
struct pushing *pushing_begin(struct syncd *, const struct sync_push *wanted, int fd,
			      uint64_t available);
void pushing_start(struct pushing *);	/* settled and data are set */
void pushing_more(struct pushing *, uint64_t available);
/* The whole is there, and this is what it is. */
void pushing_name(struct pushing *, const struct record *, struct str type);
void pushing_free(struct pushing *);	/* cuts what is under way; settled is not called */
size_t pushing_have(const struct pushing *, uint64_t nodes[HOLDERS_MAX]);
bool pushing_is_done(const struct pushing *);	/* every keeper has it, or is never to have it */
/* Whoever waited does no more: those keepers that are being given it still get it. */
void pushing_leave(struct pushing *);
bool pushing_is_named(const struct pushing *);

#endif
