/*
 * sync_talk - the conversation on sync.sock: what the network has to give
 *
 *	PULL {path, record, type, holders}	->
 *		STARTED {} + descriptor, readable at any offset while it grows
 *		PROGRESS {bytes that are readable by now}...
 *		DONE {}: all bytes are readable, and their sha256 is right
 *		or FAILED, at any time
 *	LIST {path, deleted}			->
 *		PART {node} + memfd of text lines, per peer that answered
 *		END {asked, answered}
 *	HISTORY {path}				->	as LIST
 *	RESOLVE {"host:port"}			->	ADDRESSES {addresses}, or FAILED
 *
 * What STARTED's descriptor holds is unverified until DONE.  STARTED may come
 * again with another descriptor: then a peer was caught lying, and what was
 * read from the earlier one is worth nothing; whoever passed any of it on
 * must cut that off.  The commit follows DONE: a GET right after it may ask
 * for the same version once more, and gets it at once.
 *
 * Text lines are exactly what the peer's ?format=text gives, sorted.
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

struct sync_list {
	struct str path;		/* HISTORY: deleted is not sent */
	bool deleted;			/* tombstones too */
};

struct sync_end {
	uint32_t asked, answered;	/* peers */
};

struct sync_addresses {
	struct address list[RESOLVE_ADDRESSES_MAX];
	size_t count;
};

void sync_pull_pack(struct buf *, const struct sync_pull *);
int sync_pull_unpack(struct str, struct sync_pull *ret, struct err *);
void sync_progress_pack(struct buf *, uint64_t bytes);
int sync_progress_unpack(struct str, uint64_t *ret, struct err *);
void sync_list_pack(struct buf *, const struct sync_list *);
int sync_list_unpack(struct str, struct sync_list *ret, struct err *);
void sync_history_pack(struct buf *, struct str path);
int sync_history_unpack(struct str, struct str *ret_path, struct err *);
void sync_part_pack(struct buf *, uint64_t node);
int sync_part_unpack(struct str, uint64_t *ret_node, struct err *);
void sync_end_pack(struct buf *, const struct sync_end *);
int sync_end_unpack(struct str, struct sync_end *ret, struct err *);
void sync_resolve_pack(struct buf *, struct str name);
int sync_resolve_unpack(struct str, struct str *ret_name, struct err *);
void sync_addresses_pack(struct buf *, const struct sync_addresses *);
int sync_addresses_unpack(struct str, struct sync_addresses *ret, struct err *);

#endif
