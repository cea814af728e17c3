/*
 * exchange - what homes ask each other to have the same records
 *
 *	kind u8, then
 *	DIGESTS		partitions		what do you have in each of these?
 *	DIGESTS_ARE	partition, digest...	the same ones
 *	BUCKETS		partition		and in each bucket of this one?
 *	BUCKETS_ARE	partition, 256 digests
 *	RECORDS		partition, buckets, after	which records are in these buckets?
 *	RECORDS_ARE	partition, rows, more	those behind `after`, in exchange_order()
 *
 * This is the body of SYNC and SYNCED (bulk.h), of which the epoch is the
 * layout's that is asked by: a home with a newer one answers STALE, and one
 * with an older one not at all.  Digests and buckets are digests.h's.  What
 * ties an answer to its question is bulk.h's.
 *
 * Packing appends.  Unpacking judges the body whole; slices point into it.
 */
#ifndef COVEY_EXCHANGE_H
#define COVEY_EXCHANGE_H

#include "digests.h"
#include "wire.h"

#define EXCHANGE_BYTES (60 * 1024 - 256)	/* of a body: it fits a sealed message, and a frame */

enum exchange_kind {
	EXCHANGE_DIGESTS = 1,
	EXCHANGE_DIGESTS_ARE,
	EXCHANGE_BUCKETS,
	EXCHANGE_BUCKETS_ARE,
	EXCHANGE_RECORDS,
	EXCHANGE_RECORDS_ARE,
};

struct exchange_digest {
	unsigned partition;
	uint64_t digest;
};

struct exchange_ask {			/* RECORDS */
	unsigned partition;
	uint8_t buckets[DIGESTS_BUCKETS / 8];	/* bit k of byte i: bucket 8 * i + k */
	struct str after;		/* path */
	struct version version;		/* none: from the start */
};

struct exchange_row {
	struct str path;
	struct record record;
	struct str type;		/* explicit content type, or empty */
	bool content;			/* the sender has the content */
};

struct exchange {
	enum exchange_kind kind;
	unsigned partition;		/* BUCKETS, BUCKETS_ARE, RECORDS_ARE */
	struct exchange_ask ask;	/* RECORDS */
	bool more;			/* RECORDS_ARE: there are rows behind the last */
	size_t count;			/* of partitions, digests, or rows */
	struct str list;		/* of these: for the functions below */
};

/* count: at most PARTITIONS. */
void exchange_pack_digests(struct buf *, const uint16_t *partitions, size_t count);
void exchange_pack_digests_are(struct buf *, const struct exchange_digest *,
			       size_t count);
void exchange_pack_buckets(struct buf *, unsigned partition);
void exchange_pack_buckets_are(struct buf *, unsigned partition,
			       const struct digests *);
void exchange_pack_records(struct buf *, const struct exchange_ask *);

/* RECORDS_ARE, into an empty buf: rows while there is room, then the end. */
void exchange_begin_rows(struct buf *, unsigned partition);
bool exchange_add_row(struct buf *, const struct exchange_row *);	/* false: there is no room */
void exchange_end_rows(struct buf *, bool more);

/* 0, or -1: malformed, *ret is then undefined. */
int exchange_unpack(struct str body, struct exchange *ret);

unsigned exchange_partition(const struct exchange *, size_t i);		/* of DIGESTS */
struct exchange_digest exchange_digest(const struct exchange *, size_t i);	/* of DIGESTS_ARE */
void exchange_buckets(const struct exchange *, struct digests *ret);	/* of BUCKETS_ARE */
/* The rows in turn: begin with a copy of exchange->list; false at the end. */
bool exchange_next_row(struct str *list, struct exchange_row *ret);

/* The rows are behind those that were asked behind: whoever goes on so comes to an end. */
bool exchange_follows(const struct exchange *records, const struct exchange_ask *);

static inline bool exchange_wants(const struct exchange_ask *ask, unsigned bucket)
{
	return ask->buckets[bucket / 8] >> bucket % 8 & 1;
}

/* The order of rows: by path, then by version; <0, 0, >0. */
int exchange_order(struct str path, struct version, struct str other, struct version of_other);

#endif
