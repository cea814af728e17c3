/*
 * digests - what a partition's records come to, in few bytes
 *
 * A partition has 256 buckets, chosen by the path.  A bucket's digest is the
 * sum, modulo 2^64, of a hash of each (path, record) in it: the order in
 * which they are added does not matter (Bellare and Micciancio, "A New
 * Paradigm for Collision-Free Hashing: Incrementality at Reduced Cost",
 * 1997).  The partition's digest is a hash of its buckets'.  Both hashes are
 * 8 bytes of BLAKE2b (RFC 7693).  Two homes whose digests are equal have the
 * same records, but for a chance of one in 2^64.
 *
 * Which records of a path count is the survey's to say (survey.h).
 */
#ifndef COVEY_DIGESTS_H
#define COVEY_DIGESTS_H

#include "path.h"
#include "record.h"

#include <stdint.h>

#define DIGESTS_BUCKETS 256

struct digests {
	uint64_t buckets[DIGESTS_BUCKETS];
};

unsigned digests_bucket(struct str path);
void digests_add(struct digests *, struct str path, const struct record *);
uint64_t digests_sum(const struct digests *);	/* 0: no records */

#endif
