/*
 * courier - sealed packets that go by HTTP, where UDP does not do
 *
 * What UDP leaves unanswered, and what is too long for it, covey-syncd posts
 * to the other node (POST /.covey/msg) and brings the answer back.  When that
 * is due the role decides.  There is room for so many packets to one peer at
 * once, and for none while it rests after a failure; what finds no room had
 * better be lost, as a packet may be.
 *
 *	courier_new
 *	courier_send	later answered(), or nothing	courier_forget
 *	courier_free
 *
 * On the other node the packet arrives as CARRY (version_talk.h,
 * discover_talk.h), and is opened by courier_open().
 *
 * A struct courier_peer is embedded in what the role knows of the peer
 * (container.h); courier_forget() it before its memory goes.
 */
#ifndef COVEY_COURIER_H
#define COVEY_COURIER_H

#include "call.h"
#include "seal.h"

struct courier;

struct courier_peer {			/* zeros: nothing has been sent there */
	struct list packets;		/* under way */
	unsigned failures;		/* since an answer came that way */
	uint64_t rest_until;		/* ms, monotonic */
};

struct courier_answer {
	struct courier_peer *peer;	/* may be forgotten within answered() */
	uint64_t sent;			/* ms, monotonic: when its question was */
	const struct wire *wire;	/* NULL: the peer was there, and had nothing to say to us */
	size_t bytes;			/* of the message, before it was sealed */
};

struct courier_role {
	enum wire_role to;		/* whose packets these are, here and there */
	unsigned at_once;		/* packets to one peer */
	uint64_t timeout_ms;
	uint64_t rest_ms, rest_max_ms;	/* after a failure (backoff.h) */
	void (*answered)(void *data, const struct courier_answer *);
};

/* caller: to sync.sock; it and the keys must stay.  self: this node's id. */
struct courier *courier_new(struct caller *, const struct seal_keys *, uint64_t self,
			    const struct courier_role *, void *data);
void courier_free(struct courier *);	/* NULL is fine; after all peers were forgotten */

bool courier_has_room(const struct courier *, const struct courier_peer *);
/* Seal it with the first key and send it to that HTTP address, whether there is room or not. */
void courier_send(struct courier *, struct courier_peer *, const struct address *http,
		  struct str plain);
/* What is under way ends without answered(). */
void courier_forget(struct courier_peer *);

/* A packet that came by HTTP, for this node and role.  *ret points into *plain.  0, or -1: it is not for us. */
int courier_open(const struct courier *, struct str packet, struct buf *plain, struct wire *ret);

#endif
