/*
 * syncd - what the parts of covey-syncd share
 *
 *	main.c		the role: requests in, idle exit, stopping
 *	peers.c		who is where, and who did not answer lately
 *	pulling.c	PULL: one content on its way
 *	askers.c	those who wait for it
 *	gather.c	LIST, HISTORY: one question to all members at once
 *	resolve.c	RESOLVE: names to addresses
 *
 * All of it runs on one loop; disks, hashes and names are the pools'.
 */
#ifndef COVEY_SYNCD_H
#define COVEY_SYNCD_H

#include "fetch.h"
#include "member.h"
#include "pool.h"
#include "serve.h"
#include "service.h"
#include "sync_talk.h"

struct peers;
struct pulling;
struct gathering;

/* Whoever waits for an answer: what serve_request.data points to. */
struct asker {
	struct serve_request *request;
	void (*gone)(struct asker *);	/* it went away; request is no more */
};

struct syncd {
	struct service *service;
	struct loop *loop;
	struct store *store;
	struct pool *disk;		/* what waits for the disk, and hashing */
	struct pool *names;		/* what waits for name servers, which may take long */
	struct fetcher *fetcher;
	struct serve *serve;
	struct peers *peers;
	struct pulling *pulls;		/* a list, newest first */
	struct gathering *gatherings;
	unsigned resolving;		/* names on their way */
	uint64_t first_byte_ms;		/* timeouts.pull: a peer answers within it, or is sick */
	uint64_t stall_ms;		/* silence in mid-transfer */
	bool stopping;
};

/* Nothing is under way any more; ends a stop that waits for it. */
void syncd_rest(struct syncd *);

/* peers.c */

void peers_start(struct syncd *);	/* waits a moment for covey-discoverd's view */
void peers_free(struct peers *);		/* NULL is fine */
const struct members *peers_view(const struct peers *);
/* Where it serves HTTP; NULL: not known, or it speaks no protocol of ours. */
const struct address *peers_http(const struct peers *, uint64_t id);
void peers_note(struct peers *, uint64_t id, const struct err *how);	/* NULL: it answered */
bool peers_sick(const struct peers *, uint64_t id);	/* better asked after the others */

/* pulling.c */

void pulling_ask(struct syncd *, struct serve_request *, const struct sync_pull *);
void pulling_stop(struct syncd *);	/* give up all; syncd_rest() when the last is gone */

/* gather.c */

/* target: "/docs/?...", of a LIST or HISTORY. */
void gather_ask(struct syncd *, struct serve_request *, struct str target);
void gather_stop(struct syncd *);

/* resolve.c */

void resolve_ask(struct syncd *, struct serve_request *, struct str name);

#endif
