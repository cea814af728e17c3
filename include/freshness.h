/*
 * freshness - how new an answer must be, and how new it was (RFC 9111, RFC 9211)
 *
 * Request Cache-Control: nothing asks the group; no-cache wants a
 * confirmed answer or none; max-age=N is content with what was confirmed
 * within N seconds; only-if-cached with this node's disk.
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
};

/* The value of Cache-Control; s NULL: absent.  Unknown directives do not count. */
struct freshness freshness_parse(struct str cache_control);

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

#endif
