/*
 * wire - what nodes say to each other by UDP, before it is sealed
 *
 *	group u64, sender (member_pack)		the same in every protocol version
 *	type u8, then
 *	GOSSIP	answer u8, count u8, members	what the sender knows of others
 *	CHECK	id u64, clock u64, version, path	which version do you have?
 *	RECORD	id u64, clock u64, flags u8, record, type	this one
 *
 * A packet of another protocol version is read up to the sender, so that
 * it can be shown as incompatible.  All messages are idempotent: what is
 * lost, doubled, late or replayed does no harm.
 *
 * A message fits a sealed packet of WIRE_BYTES, whatever it says.
 */
#ifndef COVEY_WIRE_H
#define COVEY_WIRE_H

#include "member.h"
#include "path.h"
#include "record.h"

#define WIRE_BYTES 1200			/* of a packet on the network */
#define WIRE_PLAIN_BYTES (WIRE_BYTES - 44)	/* before it is sealed */
#define WIRE_MEMBERS_MAX 20		/* in one GOSSIP */

enum wire_type {
	WIRE_OTHER,			/* of another protocol version */
	WIRE_GOSSIP,
	WIRE_CHECK,
	WIRE_RECORD,
};

struct wire_gossip {
	bool answer;			/* and wants none */
	size_t count;
	struct member members[WIRE_MEMBERS_MAX];
};

struct wire_check {
	uint64_t id;			/* random; repeated in the answer */
	uint64_t clock;			/* the sender's, ns since 1970 */
	struct version version;		/* none: the newest */
	struct str path;
};

struct wire_record {
	uint64_t id;
	uint64_t clock;
	bool content;			/* the sender has the content */
	bool directory;			/* a directory stands there */
	struct record record;		/* version none: nothing known */
	struct str type;		/* explicit content type, or empty */
};

struct wire {
	struct member sender;
	enum wire_type type;
	union {
		struct wire_gossip gossip;
		struct wire_check check;
		struct wire_record record;
	};
};

/* Append group and sender: the same for all messages, so that it may be kept. */
void wire_pack_sender(struct buf *, uint64_t group, const struct member *sender);
/* Append one message behind it. */
void wire_pack_check(struct buf *, const struct wire_check *);
void wire_pack_record(struct buf *, const struct wire_record *);
/* As many of the members as fit; *count is how many did. */
void wire_pack_gossip(struct buf *, bool answer, const struct member *const *members,
		      size_t *count);

/*
 * Read what was opened with the key of this group.  Slices point into
 * plain.  0, or -1: malformed, *ret is then undefined.
 */
int wire_unpack(struct str plain, uint8_t protocol, uint64_t group, struct wire *ret);

/* A record in RECORD_BYTES, zeros for none. */
void pack_record(struct buf *, const struct record *);
void unpack_record(struct unpack *, struct record *ret);
void pack_version(struct buf *, struct version);
struct version unpack_version(struct unpack *);

#endif
