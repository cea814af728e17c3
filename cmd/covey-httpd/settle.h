/*
 * settle - what was committed here, until its homes and keepers have it
 *
 * At once its content goes to the keepers (PUSH), its record to the homes
 * (STORE), and covey-versiond settles the directories above it.  STORE comes
 * second where the keepers are homes enough: what they were given they need
 * not learn of.  Whoever waits is told of each change, and when he leaves it goes on for a moment: when every home and
 * keeper has it, the entry in the outbox is done; else covey-syncd is told
 * that there is something in it.
 *
 *	settle_start	owner's changed() is called later, never from within
 *	settle_state	as often as one likes
 *	settle_leave	always, and then it is no longer the owner's
 *
 * All of it belongs to the worker's loop.
 */
#ifndef COVEY_HTTPD_SETTLE_H
#define COVEY_HTTPD_SETTLE_H

#include "call.h"
#include "layout.h"
#include "outbox.h"
#include "record.h"
#include "version_talk.h"

struct push;
struct settle;
struct worker;

struct settle_what {
	struct str path, type;
	struct record record;
	struct outbox_mark mark;
	int fd;			/* of the content, which stays the asker's; -1: it has none */
	struct push *push;	/* begun while the body came, now the settle's; or NULL */
	uint64_t wait_ms;	/* somebody will wait so long */
};

struct settle *settle_start(struct worker *, const struct settle_what *,
			    void (*changed)(void *owner), void *owner);

enum settle_state {
	SETTLE_OPEN,
	SETTLE_GOOD,		/* a majority of homes has it, and enough disks */
	SETTLE_HOPELESS,	/* no more will come of it soon */
};
enum settle_state settle_state(const struct settle *);
/* How many of its homes and disks have it by now. */
void settle_tell(const struct settle *, unsigned *ret_answered, unsigned *ret_homes,
		 unsigned *ret_copies);
/* Of the layout whose majority has it; 0: none has. */
uint64_t settle_epoch(const struct settle *);
void settle_leave(struct settle *);	/* NULL is fine */

void settle_free_all(struct worker *);	/* at the end */
/* covey-syncd is told that the outbox has something. */
void settle_poke(struct worker *);

#endif
