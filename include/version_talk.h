/*
 * version_talk - the conversation on version.sock: who has which version
 *
 *	NEWEST {path, version, purpose}	->
 *		ANSWER {standing, record or none, type, entry or none, above, holders, counts, clock, epoch}
 *		or FAILED
 *	STORE {path, record, type}	->
 *		STORED {settled, all, last, counts, newest, epoch}, at most twice
 *		or FAILED
 *	NODES {path}			->
 *		ROW {id, name, http, state, roles, answered, record, type, content, age} per node
 *		END {}
 *		or FAILED
 *	CARRY {sealed packet}		->	CARRIED {sealed packet, or empty}	a packet that came by HTTP
 *	SYNC {bulk message}		->	SYNCED {bulk message}	opened; digests and records for another home
 *	STATS {}			->	STATS {text}		counters, in the lines of /.covey/metrics
 *
 * NEWEST asks the homes of the path, and what this node has counts as well:
 * record is the newest file's of all that is known, whoever holds it, and
 * entry the newest directory's, as record_name_kind() judges them.  An entry
 * that only a minority told is stored at a majority before READ, WRITE and
 * BELOW rely on it, whatever the answer is good for.
 *	READ	it is confirmed only when a majority holds it; versiond stores it at
 *		those behind when that is needed and allowed (its content is durable
 *		somewhere).  UNSETTLED: a majority answered, a minority has it, and
 *		nobody was found to have its content: fetch it and STORE it, or ask
 *		for the newest BELOW it when every home answered (it was never confirmed).
 *		A record that the entry hides needs no majority.
 *	WRITE	CONFIRMED says that a majority answered: the version to be made must
 *		be above record and entry; its time is max(clock, theirs + 1).
 *	ONE	about one version (not none) of either kind; whoever knows it, confirmed
 *		has no meaning.
 *	BELOW	as READ, of the newest that is less than version, hidden or not.
 *	HOLDERS	about one version, as ONE, but all that live are asked and waited for:
 *		holders are whoever has its content.
 * Without a majority up to 16 live nodes are asked: UNCONFIRMED.
 *
 * `above` says that the directory above the path stands, without asking for
 * it: versiond has settled it, and no gate is above it.
 *
 * STORE: the first STORED comes when a majority holds the record and, if it
 * is live, the directories above it are settled (storing.h): settled.  Or at
 * timeouts.store without.  The second, unless the first was the last, when
 * every home holds it or nobody waits any longer.  Where nobody is waited for
 * the first is the last, whatever it says.  The path may be a gate's (path.h),
 * its record a deletion.
 *
 * NODES: this node is the first row.
 *
 * Packing appends a body; unpacking judges it whole, and on failure leaves
 * *ret untouched.  Slices point into the body.
 */
#ifndef COVEY_VERSION_TALK_H
#define COVEY_VERSION_TALK_H

#include "wire.h"

#include <stdbool.h>

enum version_talk {
	VERSION_TALK_NEWEST = 1,
	VERSION_TALK_ANSWER,
	VERSION_TALK_NODES,
	VERSION_TALK_ROW,
	VERSION_TALK_END,
	VERSION_TALK_STORE,
	VERSION_TALK_STORED,
	VERSION_TALK_CARRY,
	VERSION_TALK_CARRIED,
	VERSION_TALK_SYNC,
	VERSION_TALK_SYNCED,
	VERSION_TALK_STATS,
};

#define HOLDERS_MAX 16

enum newest_purpose { NEWEST_READ = 1, NEWEST_WRITE, NEWEST_ONE, NEWEST_BELOW, NEWEST_HOLDERS };

struct newest_ask {
	struct str path;
	struct version version;		/* of ONE, BELOW and HOLDERS; else none */
	enum newest_purpose purpose;
};

enum standing { STANDING_CONFIRMED = 1, STANDING_UNSETTLED, STANDING_UNCONFIRMED };

/* "homes=A/N" and "peers=A/N" of Version-State. */
struct counts {
	uint32_t homes_answered, homes;	/* of the home set furthest from its majority; 0/0: no layout yet */
	uint32_t peers_answered, peers;	/* other members that have not left */
};

struct newest_answer {
	enum standing standing;
	struct record record;		/* version none: nobody that answered knows any */
	struct str type;		/* explicit content type, or empty */
	struct record entry;		/* the directory's; version none: there never was one */
	bool above;			/* the directory above stands, as is known already */
	uint64_t holders[HOLDERS_MAX];	/* other nodes that have the content of record, best first */
	size_t holder_count;
	struct counts counts;
	uint64_t clock;			/* ns: the lower median of this node's clock and of those that answered */
	uint64_t epoch;			/* of the layout that was asked by; 0: none */
};

struct store_ask {
	struct str path;
	struct record record;
	struct str type;
};

struct store_answer {
	bool settled;			/* a majority of the homes has it, and what is above stands */
	bool all;			/* so does every home */
	bool last;			/* nothing more will be told; true unless settled */
	struct counts counts;
	struct version newest;		/* of the path's file, at any of them */
	uint64_t epoch;			/* of the layout whose homes they are */
};

enum node_role { NODE_HOME = 1, NODE_KEEPER = 2, NODE_GUEST = 4 };

struct nodes_ask {
	struct str path;
};

struct nodes_row {
	uint64_t id;
	struct str name;
	struct address http;
	enum member_state state;
	uint8_t roles;			/* enum node_role, for this path */
	bool answered;			/* what follows is known */
	struct record record;		/* the file's; version none: it knows of none there */
	struct str type;
	bool content;			/* it has the content */
	struct record entry;		/* the directory's; version none: it knows of none there */
	uint64_t age_ms;		/* since it answered */
};

void newest_ask_pack(struct buf *, const struct newest_ask *);
int newest_ask_unpack(struct str, struct newest_ask *ret, struct err *);
void newest_answer_pack(struct buf *, const struct newest_answer *);
int newest_answer_unpack(struct str, struct newest_answer *ret, struct err *);
void store_ask_pack(struct buf *, const struct store_ask *);
int store_ask_unpack(struct str, struct store_ask *ret, struct err *);
void store_answer_pack(struct buf *, const struct store_answer *);
int store_answer_unpack(struct str, struct store_answer *ret, struct err *);
void nodes_ask_pack(struct buf *, const struct nodes_ask *);
int nodes_ask_unpack(struct str, struct nodes_ask *ret, struct err *);
void nodes_row_pack(struct buf *, const struct nodes_row *);
int nodes_row_unpack(struct str, struct nodes_row *ret, struct err *);
/* CARRY, CARRIED, SYNC, SYNCED, STATS: the body is the packet, the message, the text. */

#endif
