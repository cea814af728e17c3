/*
 * freshness - how new an answer must be, and how new it was (RFC 9111, RFC 9211)
 *
 * Request Cache-Control: nothing asks the group; no-cache wants a
 * confirmed answer or none; max-age=N is content with what was confirmed
 * within N seconds, max-stale[=M] with M seconds more (without a number:
 * however long ago); only-if-cached with this node's disk.
 */
#ifndef COVEY_FRESHNESS_H
#define COVEY_FRESHNESS_H

#include "buf.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

struct freshness {
	bool no_cache;
	bool only_if_cached;
	bool has_max_age;
	uint64_t max_age;	/* s; one that can not be read is 0: never fresh */
	bool has_max_stale;
	uint64_t max_stale;	/* s; UINT64_MAX: any */
};

/* The value of Cache-Control; s NULL: absent.  Unknown directives do not count. */
struct freshness freshness_parse(struct str cache_control);

/* Whether something that was confirmed before age_ms needs no other check. */
bool freshness_allows(const struct freshness *, uint64_t age_ms);

enum cache_source {
	CACHE_HIT,		/* from this node's disk */
	CACHE_FWD_MISS,		/* nothing was here: from another node */
	CACHE_FWD_STALE,	/* what was here was older: from another node */
};

struct cache_status {
	struct str cache;	/* the node's name */
	enum cache_source source;
	bool stored;		/* and kept here */
	struct str detail;	/* where it came from, or empty */
};

/* The value of Cache-Status, e.g. `"alpha"; fwd=stale; stored; detail="beta"`. */
void freshness_cache_status(struct buf *, const struct cache_status *);

/* The value of Version-State: `confirmed`, or `unconfirmed; peers=ANSWERED/ASKED`. */
void freshness_version_state(struct buf *, bool confirmed, unsigned answered, unsigned asked);

/* The same of a write that is not confirmed: `unconfirmed; homes=ANSWERED/HOMES; copies=COPIES`. */
void freshness_write_state(struct buf *, unsigned answered, unsigned homes, unsigned copies);

#endif
