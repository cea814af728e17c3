/*
 * wire - what nodes say to each other in one packet, before it is sealed
 *
 *	group u64, sender (member_pack)		the same in every protocol version; group: of the key that
 *						seals it, for releases that look at that
 *	receiver u64, role u8			whom it is for
 *	type u8, then
 *	GOSSIP	answer u8, id, clock u64, count u8, members	what the sender knows of others, with
 *						how long ago it last heard of each, u32 s
 *	CHECK	id, epoch, clock, flags, version, path	which version do you have?
 *	RECORD	id, epoch, clock, flags, record, type, entry, gate	this one
 *	STORE	id, epoch, record, type, path		keep this record
 *	STORED	id, epoch, version, gate		it is on disk; this is the newest there
 *	STALE	id, epoch				your layout is older than mine
 *	WANT	id, lineage, epoch			give me your layout if it is newer
 *	LAYOUT	id, layout				what the group agreed on
 *	PREPARE, PROMISE, ACCEPT, ACCEPTED, NACK	on the next layout (synod.h)
 *	CHANGE	lineage, epoch, homes u8, copies u8, keep u32, u32	propose, after this layout, one
 *						with these numbers (agent.h)
 *
 * A packet of another protocol version is read up to the sender, so that
 * it can be shown as incompatible.  All messages are idempotent: what is
 * lost, doubled or late does no harm.
 *
 * A message names its receiver, by id, and the role there that it is for:
 * whoever else gets it, because an address has a new tenant or because it was
 * recorded and sent again, drops it (wire_is_for).  Receiver 0 is whoever
 * reads it, and only a GOSSIP may say so, which finds out who is there.  An
 * answer names the asker as its receiver and repeats the question's random
 * id.  The asker compares both, and the sender with whom it asked, and
 * credits nobody else.
 *
 * A message fits a sealed packet of WIRE_BYTES, with one exception: a STORE
 * of a long path with a long type.  It, and what UDP leaves unanswered,
 * travels in the body of POST /.covey/msg, up to WIRE_LONG_BYTES.
 *
 * A name has two registers at its homes: the newest record of a file, and the
 * newest of a directory, its entry.  RECORD tells both.  The gate of a directory,
 * the greatest version at which somebody began to remove it, is kept by the
 * homes of the names in it: RECORD and STORED tell that of the directory above
 * the path, STORED as it is after the record is durable.
 *
 * Whoever sends CHECK and STORE leaves name and region of the sender empty:
 * gossip alone tells about members.
 */
#ifndef COVEY_WIRE_H
#define COVEY_WIRE_H

#include "message.h"

#define WIRE_BYTES 1200			/* of a packet on the network */
#define WIRE_PLAIN_BYTES (WIRE_BYTES - 44)	/* before it is sealed */
#define WIRE_LONG_BYTES 61440			/* of what travels by HTTP */
#define WIRE_CONTENTS_BYTES (240u << 10)		/* the same, of contents */
#define WIRE_MEMBERS_MAX 20		/* in one GOSSIP */

enum wire_role {
	WIRE_DISCOVERY = 1,		/* GOSSIP, and all about layouts */
	WIRE_VERSIONS,			/* CHECK and STORE, and their answers */
	WIRE_SYNC,			/* bulk.h */
};

enum wire_type {
	WIRE_OTHER,			/* of another protocol version */
	WIRE_GOSSIP,
	WIRE_CHECK,
	WIRE_RECORD,
	WIRE_STORE,
	WIRE_STORED,
	WIRE_STALE,
	WIRE_WANT,
	WIRE_LAYOUT,
	WIRE_PREPARE,
	WIRE_PROMISE,
	WIRE_ACCEPT,
	WIRE_ACCEPTED,
	WIRE_NACK,
	WIRE_CHANGE,
};
#define WIRE_TYPES (WIRE_CHANGE + 1)	/* what counts by type has so many */

struct wire_told {
	struct member member;
	uint32_t silent_s;		/* since its word came; UINT32_MAX: as long or longer */
};

struct wire_gossip {
	bool answer;			/* and wants none */
	uint64_t id;			/* random; repeated in the answer; 0: to no question */
	uint64_t clock;			/* the sender's, ns since 1970 */
	size_t count;
	struct wire_told members[WIRE_MEMBERS_MAX];
};

struct wire_check {
	uint64_t id;			/* random; repeated in the answer */
	uint64_t epoch;			/* of the asker's layout; 0: not asked as a home */
	uint64_t clock;			/* the sender's, ns since 1970 */
	bool below;			/* the newest that is less than version */
	struct version version;		/* this one; none: the newest */
	struct str path;
};

struct wire_record {
	uint64_t id;
	uint64_t epoch;			/* repeated: the sender has no newer one */
	uint64_t clock;
	bool content;			/* the sender has the content */
	struct record record;		/* the file's, or of the version asked for; version none: nothing known */
	struct str type;		/* explicit content type, or empty */
	struct record entry;		/* the directory's newest; version none: there never was one */
	struct version gate;		/* of the directory above; none: nobody began to remove it */
};

struct wire_store {
	uint64_t id;
	uint64_t epoch;			/* 0: not stored as at a home */
	struct record record;
	struct str type;
	struct str path;
};

struct wire_stored {
	uint64_t id;
	uint64_t epoch;			/* repeated */
	struct version newest;		/* of the path's file, there */
	struct version gate;		/* of the directory above; none: nobody began to remove it */
};

struct wire_stale {
	uint64_t id;
	uint64_t epoch;			/* the sender's own, greater than the question's */
};

struct wire_want {
	uint64_t id;			/* random; repeated in the answer */
	uint64_t lineage, epoch;	/* what the sender has; 0: none */
};

struct wire_layout {
	uint64_t id;			/* of the WANT that it answers; 0: of none */
	struct layout value;
};

/* Who tries for the how manieth time: compared in this order. */
struct ballot {
	uint32_t round;			/* 0: none */
	uint64_t node;
};

/* All five messages about one instance: the epoch that is to be decided, of one lineage. */
struct wire_synod {
	uint64_t id;			/* random; repeated in the answer */
	uint64_t lineage, instance;
	struct ballot ballot;		/* asked with; NACK: the promised one that is greater */
	struct ballot accepted;		/* PROMISE: of the value; round 0: nothing accepted yet */
	struct layout value;		/* ACCEPT; PROMISE: what was accepted, or LAYOUT_NONE */
};

struct wire_change {
	uint64_t lineage, epoch;	/* of the layout that is to be changed; no other is */
	struct layout_numbers numbers;
};

struct wire {
	struct member sender;
	uint64_t receiver;		/* id; 0: whoever reads it, of GOSSIP alone */
	enum wire_role role;		/* the receiver's */
	enum wire_type type;
	union {
		struct wire_gossip gossip;
		struct wire_check check;
		struct wire_record record;
		struct wire_store store;
		struct wire_stored stored;
		struct wire_stale stale;
		struct wire_want want;
		struct wire_layout layout;
		struct wire_synod synod;
		struct wire_change change;
	};
};

/* Append group and sender: the same for all messages, so that it may be kept. */
void wire_pack_sender(struct buf *, uint64_t group, const struct member *sender);
/* Append whom it is for, in WIRE_TO_BYTES; a receiver that is to be another is set later. */
#define WIRE_TO_BYTES 9
void wire_pack_to(struct buf *, uint64_t receiver, enum wire_role);
void wire_set_receiver(struct buf *, size_t sender_bytes, uint64_t receiver);
/* Append one message behind it; body: the struct of that type. */
void wire_pack(struct buf *, enum wire_type, const void *body);
/* As many of the members as fit; *count is how many did. */
void wire_pack_gossip(struct buf *, bool answer, uint64_t id, uint64_t clock,
		      const struct member *const *members, size_t *count);

/*
 * Read what was opened with a key of the group.  Slices point into plain.
 * 0, or -1: malformed, *ret is then undefined.
 */
int wire_unpack(struct str plain, uint8_t protocol, struct wire *ret);
/* This role of this node is who it is for. */
bool wire_is_for(const struct wire *, uint64_t self, enum wire_role);

int ballot_cmp(struct ballot, struct ballot);	/* <0, 0, >0 */

extern const struct message *const wire_messages[WIRE_TYPES];	/* by type; WIRE_OTHER has none */

#endif
