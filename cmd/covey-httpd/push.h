/*
 * push - content on its way to its keepers, through covey-syncd
 *
 *	push_new			NULL: no other node needs to have it
 *	push_early, push_more...	while a large body still arrives
 *	push_name			its version is on this disk: done(push) comes, once
 *	push_free			at any time: what is not named yet goes
 *
 * What gets lost on the way (covey-syncd started anew) is pushed whole when
 * it is named.  All of it belongs to the worker's loop.
 */
#ifndef COVEY_HTTPD_PUSH_H
#define COVEY_HTTPD_PUSH_H

#include "call.h"
#include "layout.h"
#include "sync_talk.h"

struct push;
struct worker;

struct push {
	/* out */
	uint64_t have[HOLDERS_MAX];	/* these have it on their disks */
	size_t have_count;
	bool passed_over;		/* somebody before the last of them could not be had */
	/* private */
	struct worker *worker;
	struct buf path;
	struct sync_push keepers;	/* path, record and type come later */
	struct record record;
	char type[RECORD_TYPE_MAX + 1];
	int fd;				/* of the content; owned */
	uint64_t epoch;			/* of the layout whose members they are */
	uint64_t token;			/* 0: none */
	uint64_t size, told;		/* bytes readable, and of them those that syncd knows of */
	bool named;
	uint64_t limit_ms;
	struct call call, more;
	void (*done)(struct push *);
	void *owner;
};

/* To the keepers of the path but those of without[], `wanted` of them.  fd is duplicated. */
struct push *push_new(struct worker *, struct str path, const struct layout *, int fd,
		      const uint64_t *without, size_t without_count, size_t wanted);
void push_early(struct push *);
void push_more(struct push *, uint64_t size);	/* so many bytes are readable */
void push_name(struct push *, const struct record *, struct str type, uint64_t limit_ms,
	       void (*done)(struct push *), void *owner);
void push_free(struct push *);			/* NULL is fine */

#endif
