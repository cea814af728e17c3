/*
 * sync_talk - the conversation on sync.sock: what the network has to give
 *
 *	PULL {path, record, type, holders}	->
 *		STARTED {} + descriptor, readable at any offset while it grows
 *		PROGRESS {bytes that are readable by now}...
 *		DONE {}: all bytes are readable, and their sha256 is right
 *		or FAILED, at any time; or, alone, LATER {}: this process stops
 *	LIST {path, epoch, nodes, window}	->
 *		PART {node, epoch, gate, upto} + memfd of text lines, per peer that answered
 *		END {asked, answered, stale}
 *	HISTORY {path, epoch, nodes}		->	as LIST
 *	RESOLVE {"host:port"}			->	ADDRESSES {addresses}, or FAILED
 *	PUSH {path, record, type, keepers, wanted} + descriptor of the content	->
 *		HAVE {nodes}: these have it on their disks, or FAILED
 *	PUSH_BEGIN {path, keepers, wanted} + descriptor	->	TOKEN {token}, or FAILED
 *	PUSH_MORE {token, bytes}		->	DONE {}	so many bytes are readable by now
 *	PUSH_NAME {token, record, type}		->	as PUSH
 *	PUSH_DROP {token}			->	DONE {}
 *	DRAIN {}				->	DONE {}	there is something in the outbox
 *	CARRY {address of its HTTP, to, sealed packet}	->	CARRIED {sealed packet, or empty}, or FAILED
 *	BULK {sealed message}			->	BULK {sealed message}	of POST /.covey/msg?to=sync
 *	COMPARE {partition}			->	DONE {}	its homes are told to compare what they know
 *	LOST {item of KEEP, as in bulk.h}	->	DONE {}	its content was here and is bad: it is had again
 *
 * LIST and HISTORY with an epoch ask these nodes as homes at that epoch:
 * one that has another layout answers 421, and END says stale.  Without
 * (epoch 0, no nodes) every member that could answer is asked.  PART says who
 * answered, of which epoch as a home (0: as none), and of LIST the
 * directory's gate, and behind which name it told nothing.
 *
 * PUSH gives the content to the first of the keepers (not this node; in
 * their order) that take it, as many as are wanted: when one does not answer
 * in four times the usual time, the next is tried beside it.  HAVE comes
 * when so many have it, or, with fewer, when nobody is left to try.  PUSH_BEGIN starts while the body
 * still arrives; the version is told when it is durable here.  A token that
 * the network lost in between is no reason to fail: PUSH_NAME then sends the
 * whole again.
 *
 * What STARTED's descriptor holds is unverified until DONE.  STARTED may come
 * again with another descriptor: then a peer was caught lying, and what was
 * read from the earlier one is worth nothing; whoever passed any of it on
 * must cut that off.  The commit follows DONE: a GET right after it may ask
 * for the same version once more, and gets it at once.
 *
 * LATER: this process brings to their end the contents that it passes on, which
 * may take SERVICE_STOP_MS, and begins no other.  Its end ends the call; then the
 * next process can be asked.
 *
 * Text lines are those of listing_text.h, sorted; of LIST both registers of
 * each name.
 *
 * Packing appends a body; unpacking judges it whole, and on failure leaves
 * *ret untouched.  Slices point into the body.  STARTED and DONE are empty.
 */
#ifndef COVEY_SYNC_TALK_H
#define COVEY_SYNC_TALK_H

#include "version_talk.h"

enum sync_talk {
	SYNC_PULL = 1,
	SYNC_STARTED,
	SYNC_PROGRESS,
	SYNC_DONE,
	SYNC_LIST,
	SYNC_HISTORY,
	SYNC_PART,
	SYNC_END,
	SYNC_RESOLVE,
	SYNC_ADDRESSES,
	SYNC_PUSH,
	SYNC_HAVE,
	SYNC_PUSH_BEGIN,
	SYNC_TOKEN,
	SYNC_PUSH_MORE,
	SYNC_PUSH_NAME,
	SYNC_PUSH_DROP,
	SYNC_DRAIN,
	SYNC_CARRY,
	SYNC_CARRIED,
	SYNC_BULK,
	SYNC_LOST,
	SYNC_LATER,
	SYNC_COMPARE,
};

#define RESOLVE_NAME_MAX 260		/* bytes of "host:port" */
#define RESOLVE_ADDRESSES_MAX 16

struct sync_pull {
	struct str path;
	struct record record;		/* what is wanted; live, of a file */
	struct str type;		/* explicit content type, or empty */
	uint64_t holders[HOLDERS_MAX];	/* node ids, best first */
	size_t holder_count;
};

/* Which of the names of a directory are wanted from each node; all zero: all. */
struct sync_window {
	struct str after;		/* those behind this one; empty: from the first one */
	uint32_t limit;			/* at most so many; 0: all */
	bool directories;		/* those alone that may be one, or may have been */
	uint64_t age;			/* ms: the names of then, or of any moment since; 0: of when they are read */
};

struct sync_list {
	struct str path;
	uint64_t epoch;			/* 0: everybody is asked, as no home */
	uint64_t nodes[HOLDERS_MAX];
	size_t node_count;
	struct sync_window window;	/* of HISTORY: all */
};

struct sync_part {
	uint64_t node;			/* who answered, */
	uint64_t epoch;			/* by this layout, as a home; 0: as no home */
	struct version gate;		/* of the directory; none: none, or a history */
	struct str upto;		/* names behind this one were not told; empty: all were */
};

struct sync_end {
	uint32_t asked, answered;	/* peers */
	bool stale;			/* one of them has another layout */
};

struct sync_push {
	struct str path;
	struct record record;		/* of PUSH_BEGIN: none */
	struct str type;
	uint64_t keepers[HOLDERS_MAX];	/* in keeping order, this node left out */
	size_t keeper_count;
	uint8_t wanted;			/* so many of them are to have it; at least 1 */
};

struct sync_more {
	uint64_t token;
	uint64_t bytes;			/* that are readable by now */
};

struct sync_name {
	uint64_t token;
	struct record record;
	struct str type;
};

struct sync_have {
	uint64_t nodes[HOLDERS_MAX];
	size_t count;
};

/* Which role of the other node a packet is for: ?to= of POST /.covey/msg. */
enum sync_to { SYNC_TO_VERSIONS = 1, SYNC_TO_DISCOVERY };

struct sync_carry {
	struct address http;
	enum sync_to to;
	struct str packet;
};

struct sync_addresses {
	struct address list[RESOLVE_ADDRESSES_MAX];
	size_t count;
};

MESSAGE(sync_pull, struct sync_pull);
MESSAGE_VALUE(sync_progress, uint64_t);		/* bytes */
MESSAGE(sync_list, struct sync_list);		/* and HISTORY */
MESSAGE(sync_part, struct sync_part);
MESSAGE(sync_end, struct sync_end);
MESSAGE_VALUE(sync_resolve, struct str);	/* the name */
MESSAGE(sync_addresses, struct sync_addresses);
MESSAGE(sync_push, struct sync_push);		/* and PUSH_BEGIN */
MESSAGE_VALUE(sync_token, uint64_t);		/* and PUSH_DROP */
MESSAGE(sync_more, struct sync_more);
MESSAGE(sync_name, struct sync_name);
MESSAGE(sync_have, struct sync_have);
MESSAGE(sync_carry, struct sync_carry);
MESSAGE_VALUE(sync_compare, unsigned);		/* a partition */

extern const struct message *const sync_messages[];	/* all of them, then NULL */

#endif
