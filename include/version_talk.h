/*
 * version_talk - the conversation on version.sock: who has which version
 *
 *	NEWEST {path, version, purpose}	->
 *		ANSWER {certainty, record or none, type, entry or none, parent_known, holders, counts,
 *			clock, epoch}
 *		or FAILED
 *	STORE {path, record, type, anew}	->
 *		STORED {confirmed, all, last, counts, newest, epoch}, at most twice
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
 *		somewhere).  UNDECIDED: a majority answered, a minority has it, and
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
 * parent_known says that the directory above the path stands: versiond has
 * confirmed it before, and no home told of a gate above it.
 *
 * STORE: the first STORED comes when the record is confirmed (storing.h): a
 * majority holds it and, if it is live, the directories above it stand.  Or it
 * comes at timeouts.store without that.  The second comes, unless the first was
 * the last, when every home holds the record or nobody waits any longer.  Where
 * nobody is waited for the first is the last, whatever it says.  The path may be
 * a gate's (path.h), its record a deletion.
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

enum certainty { CERTAINTY_CONFIRMED = 1, CERTAINTY_UNDECIDED, CERTAINTY_UNCONFIRMED };

/* "homes=A/N" and "peers=A/N" of Version-State. */
struct counts {
	uint32_t homes_answered, homes;	/* of the home set furthest from its majority; 0/0: no layout yet */
	uint32_t peers_answered, peers;	/* other members that have not left */
};

struct newest_answer {
	enum certainty certainty;
	struct record record;		/* version none: nobody that answered knows any */
	struct str type;		/* explicit content type, or empty */
	struct record entry;		/* the directory's; version none: there never was one */
	bool parent_known;		/* the directory above stands, as is known without asking */
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
	bool anew;			/* the directory above is asked about, though it was known to stand */
};

struct store_answer {
	bool confirmed;			/* a majority of the homes has it, and the directories above stand */
	bool all;			/* so does every home */
	bool last;			/* nothing more will be told; true unless confirmed */
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

MESSAGE(newest_ask, struct newest_ask);
MESSAGE(newest_answer, struct newest_answer);
MESSAGE(store_ask, struct store_ask);
MESSAGE(store_answer, struct store_answer);
MESSAGE(nodes_ask, struct nodes_ask);
MESSAGE(nodes_row, struct nodes_row);
/* CARRY, CARRIED, SYNC, SYNCED, STATS: the body is the packet, the message, the text. */

extern const struct message *const version_messages[];	/* all of them, then NULL */

#endif
