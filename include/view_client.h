/*
 * view_client - the member view and the layout, as covey-discoverd tells them
 *
 * A role watches covey-discoverd (WATCH of discover_talk.h), which tells the
 * view at once and each change from then on.  While it is away the view is
 * what it told last, or what it left on disk if this process has heard
 * nothing yet, and it is asked again every second; a newer layout that it
 * had written before it went away is taken from disk.
 *
 *	view_client_new		members.ini and layout.ini are the view
 *	view_client_ask		where the first request wants the present one: wait for it
 *	view_client_start	from now on changed() is called on the loop
 *	view_client_free
 *
 * A view is never changed, but replaced by a newer one.  The loop's thread
 * reads view_client_view(); any other thread holds a view for as long as
 * it reads it.
 */
#ifndef COVEY_VIEW_CLIENT_H
#define COVEY_VIEW_CLIENT_H

#include "call.h"
#include "layout.h"
#include "member.h"

#include <stdatomic.h>

struct group_view {
	struct members members;		/* this node first; count 0: none is known */
	struct layout layout;		/* LAYOUT_NONE: none is known */
	int64_t clock_offset;		/* ns: the group's clock less this node's */
	enum {
		VIEW_REMEMBERED,	/* from disk: covey-discoverd has told no members yet */
		VIEW_LIVE,		/* covey-discoverd tells of every change */
		VIEW_STALE,		/* it told this, and is away */
	} state;
	atomic_uint holders;		/* private */
};

struct view_events {
	/* After all that covey-discoverd tells, and when it goes away.  before is good until this returns. */
	void (*changed)(void *data, const struct group_view *now, const struct group_view *before);
	/* A file or a message that cannot be read; the view stays as it is.  NULL: nobody wants to know. */
	void (*failed)(void *data, const struct err *);
};

struct view_client;

/* The directories of discover.sock, and of members.ini and layout.ini (STORE/state). */
struct view_client *view_client_new(const char *run_directory, const char *state_directory,
				    const struct view_events *, void *data);
/* Asks once, and waits for the answer; before view_client_start() or instead of it. */
int view_client_ask(struct view_client *, uint64_t timeout_ms, struct err *);
void view_client_start(struct view_client *, struct loop *);
void view_client_free(struct view_client *);	/* NULL is fine; what is held stays */

/* The connection to covey-discoverd, for its other requests; after view_client_start(). */
struct caller *view_client_caller(struct view_client *);

/*
 * That node, there, has a layout of this epoch, which is newer: covey-discoverd is
 * told (BEHIND).  False: it was a moment ago.  After view_client_start().
 */
bool view_client_behind(struct view_client *, uint64_t epoch, uint64_t node,
			const struct address *discovery);

/* On the loop's thread: good until the loop goes on. */
const struct group_view *view_client_view(const struct view_client *);
/* On any thread: good until it is released. */
struct group_view *view_client_hold(struct view_client *);
void group_view_release(struct group_view *);

#endif
