/*
 * resync - from whom to take the records that this node should know
 *
 * A home knows every record of its partitions.  It makes sure of that by
 * asking other homes: when it starts, when a peer returns, when the layout
 * changes, and from time to time.  This is the plan of it; carrying it out
 * is the caller's.
 *
 *	single layout	of each partition this node is a home of, all other
 *			homes are asked; one that is away is no reason to wait
 *	joint layout	of each partition this node is a home of in set B, the
 *			homes in set A are asked, each AT the joint epoch.  It is
 *			complete when a majority of them was, this node counting
 *			as one of them if it is.  When all partitions are, and not
 *			before, resync_synced() tells the epoch: this node has every
 *			record that was confirmed before the change.
 *
 * Calling sequence:
 *
 *	resync_begin				at each layout, and to do it all again
 *	resync_next				until there is nothing: peer, partitions
 *	resync_done, resync_failed		as answers come
 *	resync_back				when a peer that failed may be there again
 *	resync_again				when a partition turns out to differ
 *
 * Different peers may be asked at once; no partition is with two at a time,
 * so that what one gave need not come from the other again.
 *
 * Pure.  A peer that answers STALE has a newer layout: resync_failed(), and
 * resync_begin() when it is here.
 */
#ifndef COVEY_RESYNC_H
#define COVEY_RESYNC_H

#include "layout.h"

struct resync_peer {
	uint64_t id;
	bool away;				/* failed: not asked until it is back */
	size_t open;				/* partitions it is to be asked about yet */
	uint8_t ask[PARTITIONS / 8];		/* those, as bits */
};

struct resync {
	struct layout layout;
	uint64_t self;
	bool joint;
	size_t missing;				/* partitions whose majority is not complete; joint */
	uint8_t needed[PARTITIONS];		/* answers of others it takes yet; joint */
	uint8_t busy[PARTITIONS / 8];		/* with a peer, as bits */
	struct resync_peer peers[LAYOUT_MEMBERS_MAX];
	size_t count;
	size_t last;				/* of peers: who was asked last */
};
#define RESYNC_INIT { .layout = { .epoch = 0 } }

/* Forgets what was under way: its answers must not be reported any more. */
void resync_begin(struct resync *, const struct layout *, uint64_t self);

/*
 * A peer to be asked now, and about which partitions: at most max of them,
 * ascending.  0: there is nothing that could be asked now.
 */
size_t resync_next(struct resync *, uint64_t *ret_peer, uint16_t *partitions, size_t max);

/* All that the peer has of the partition is on this node's disk; it was asked at layout.epoch. */
void resync_done(struct resync *, uint64_t peer, unsigned partition);
/* It did not answer for these, or not at this epoch. */
void resync_failed(struct resync *, uint64_t peer, const uint16_t *partitions, size_t count);
void resync_back(struct resync *, uint64_t peer);
/* All that was to be asked about the partition is to be asked once more; not while it still counts. */
void resync_again(struct resync *, unsigned partition);

uint64_t resync_synced(const struct resync *);	/* the joint epoch that is complete; 0: none */

#endif
