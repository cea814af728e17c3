/*
 * replicate - a version that this node's disk has, on its way to its homes and keepers
 *
 * Its content goes to the keepers (PUSH, through covey-syncd), its record to
 * the homes (STORE, through covey-versiond, which also makes the directories
 * above it).  A home that is a keeper learns of the version with its content,
 * so STORE comes second where this node and the keepers are homes enough.
 *
 *	replicate_new		changed(owner) is called later, never from within
 *	replicate_grown...	a large body arrives: it is pushed as it grows
 *	replicate_start		its version is on this disk
 *	replicate_state		after each change
 *	replicate_leave		nobody waits for it any more; it goes on to the keepers
 *				that were not needed, until replicate_is_over()
 *	replicate_free		at any time
 *
 * Each question to another role has a deadline of its own, so it is over some
 * time.  What it did not reach is the outbox's: covey-syncd does the rest.
 * All of it belongs to the worker's loop.
 */
#ifndef COVEY_HTTPD_REPLICATE_H
#define COVEY_HTTPD_REPLICATE_H

#include "record.h"
#include "str.h"

#include <stdbool.h>

struct replicate;
struct worker;

#define LARGE_BYTES (1u << 20)	/* a larger body is pushed while it arrives, and given more time */

/*
 * The pause before homes of which no majority answered are asked again, when
 * the client waits for left_ms more.  It doubles with the tries, and leaves the
 * homes time to answer the last question; left_ms: it is too late for another.
 */
uint64_t replicate_pause_ms(unsigned tries, uint64_t left_ms);

/*
 * path and fd, of the content, stay the owner's and outlive it; fd -1: the
 * version has no content.
 */
struct replicate *replicate_new(struct worker *, struct str path, int fd,
				void (*changed)(void *owner), void *owner);
/* So many bytes of the body are in fd by now. */
void replicate_grown(struct replicate *, uint64_t bytes);
/* record and type stay the owner's, too.  Somebody waits for it for so many ms. */
void replicate_start(struct replicate *, const struct record *, const char *type, uint64_t wait_ms);

enum replicate_state {
	REPLICATE_OPEN,
	REPLICATE_CONFIRMED,	/* a majority of homes has it, and enough disks */
	REPLICATE_HOPELESS,	/* no more will come of it soon */
};
enum replicate_state replicate_state(const struct replicate *);
/* How many of its homes and disks have it by now. */
struct replicate_counts {
	unsigned homes_answered, homes, copies;
};
struct replicate_counts replicate_counts(const struct replicate *);
/* Of the layout whose majority has it; 0: none has. */
uint64_t replicate_epoch(const struct replicate *);

void replicate_leave(struct replicate *);
bool replicate_is_over(const struct replicate *);
/* Every home and every keeper has it: nothing is left to the outbox. */
bool replicate_is_complete(const struct replicate *);
void replicate_free(struct replicate *);	/* NULL is fine; a push without a version ends */

#endif
