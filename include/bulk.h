/*
 * bulk - what homes and keepers tell each other in batches, before it is sealed
 *
 *	group u64, sender u64, receiver u64, role u8, id u64, lineage u64, epoch u64, type u8, then
 *	SYNC, SYNCED	digests and records of a partition (exchange.h)
 *	KEEP		items {record, type, path}: keep the content of these
 *	KEPT		a u8 per item of the KEEP, in its order: how it is with it
 *	NEWEST, NEWEST_ARE	what of this is not the newest any more? (holdings.h)
 *	STALE		nothing: epoch is the sender's, and greater than the question's
 *	COMPARE		partition u16: its homes differ, take from the others what you lack
 *	COMPARED	nothing: it begins
 *	TAKE		items {record, type, path, content}: put these contents on the disk
 *	TAKEN		a u8 per item of the TAKE, in its order: what came of it
 *
 * One message is the body of a POST /.covey/msg?to=sync, of a TAKE ?to=contents,
 * sealed with seal_message(), and so is its answer.  All are idempotent.
 *
 * As with all that is sealed (wire.h) a message names its receiver, and
 * whoever else gets it drops it; an answer names the asker as its receiver and
 * repeats the question's random id.  bulk_judge() says what an answer counts
 * for: nothing is ever credited to a node because its address answered.
 */
#ifndef COVEY_BULK_H
#define COVEY_BULK_H

#include "message.h"
#include "path.h"

#include <stddef.h>
#include <stdint.h>

enum bulk_type {
	BULK_SYNC = 1,
	BULK_SYNCED,
	BULK_KEEP,
	BULK_KEPT,
	BULK_STALE,
	BULK_COMPARE,
	BULK_COMPARED,
	BULK_NEWEST,
	BULK_NEWEST_ARE,
	BULK_TAKE,
	BULK_TAKEN,
};

struct bulk {
	uint64_t group;			/* of the key that seals it, for releases that look at that */
	uint64_t sender, receiver;	/* node ids */
	uint64_t id;			/* random; repeated in the answer */
	uint64_t lineage, epoch;	/* of the sender's layout */
	enum bulk_type type;
	struct str body;		/* points into the message */
};

extern const struct message bulk_message;
/* Appends; the body last. */
void bulk_pack(struct buf *, const struct bulk *);
/*
 * plain was opened with a key of the group.  0, or -1: malformed, or for
 * another node than self; *ret is then undefined.
 */
int bulk_unpack(struct str plain, uint64_t self, struct bulk *ret);
/*
 * The question's receiver answers its sender; group (of the key that will seal
 * it), layout, type and body are to be set.
 */
struct bulk bulk_answer(const struct bulk *question);

enum bulk_verdict {
	BULK_COUNTS,			/* who was asked answers what it was asked */
	BULK_NEWER,			/* who was asked has a newer layout: the answer's epoch */
	BULK_NOTHING,			/* anything else: it counts for nobody */
};
/*
 * What an opened message says to this question, as it was sent.  SYNCED and NEWEST_ARE count
 * only at the layout that was asked by; a content is kept, and taken, by any layout.
 */
enum bulk_verdict bulk_judge(const struct bulk *question, const struct bulk *answer);

struct keep_item {
	struct record record;		/* of a file, with content */
	struct str type;		/* explicit content type, or empty */
	struct str path;
};
#define KEEP_ITEM_BYTES_MAX (RECORD_BYTES_MAX + 2 + RECORD_TYPE_MAX + 2 + PATH_BYTES)

enum keep_state {
	KEEP_HAVE = 1,			/* on the disk */
	KEEP_PULLING,			/* not yet */
	KEEP_FULL,			/* and there is no room for it */
};

MESSAGE(keep_item, struct keep_item);
/* Takes the next off the body: 1, 0 at its end, -1 malformed. */
int keep_item_next(struct str *body, struct keep_item *ret);
/* The same of KEPT. */
int keep_state_next(struct str *body, enum keep_state *ret);

#define TAKE_CONTENT_MAX (48u << 10)	/* bytes of a content that is given together with others */
#define TAKE_ITEMS_MAX 64

struct take_item {
	struct record record;		/* of a file, with content */
	struct str type;		/* explicit content type, or empty */
	struct str path;
	struct str content;
};
#define TAKE_ITEM_BYTES_MAX (KEEP_ITEM_BYTES_MAX + 2 + TAKE_CONTENT_MAX)

enum take_state {
	TAKE_HAS = 1,			/* on the disk, as that version */
	TAKE_NEEDLESS,			/* nor ever will be: newer ones are kept instead */
	TAKE_NOT,
};

MESSAGE(take_item, struct take_item);
/* As of KEEP, and of KEPT. */
int take_item_next(struct str *body, struct take_item *ret);
int take_state_next(struct str *body, enum take_state *ret);

#endif
