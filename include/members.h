/*
 * members - members.ini, the view that outlives the programs
 *
 * covey-discoverd writes it, whole and atomically, when the view changes;
 * the other roles read it when discoverd is away, and so does it when it
 * starts: peers that were met are remembered until gossip.h drops them, when
 * they were last heard of, how far their disks remembered, and which start of
 * each spoke last (starts.h).
 *
 *	[covey]
 *	self = 7f3a9c2b11d0e4f5
 *
 *	[7f3a9c2b11d0e4f5]
 *	name = alpha
 *	state = up
 *	start = 3
 *	heartbeat = 4711
 *	seen = 1795000000
 *	lineage = 5e1d3c9b7a201f44
 *	epoch = 3
 *	sequence = 120
 *	nonce = 09c1be77d1a3f02e
 *	spoke = 3 09c1be77d1a3f02e
 *	protocol = 1-1
 *	http = 127.0.0.1:4720
 *	discovery = 127.0.0.1:4721
 *	versions = 127.0.0.1:4722
 */
#ifndef COVEY_MEMBERS_H
#define COVEY_MEMBERS_H

#include "member.h"

/*
 * Reads DIRECTORY/members.ini (DIRECTORY: STORE/state).  No file is success with nothing known.
 * Those that are forgotten are only in what is remembered, which is covey-discoverd's.
 */
int members_load(const char *directory, struct members *ret, struct err *);
int members_remembered(const char *directory, struct members *ret, struct err *);
/* The same from its text; file is only named in errors. */
int members_parse(struct str text, const char *file, struct members *ret, struct err *err);
int members_save(const char *directory, const struct members *, struct err *);

#endif
