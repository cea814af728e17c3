/*
 * version_talk - the conversation on version.sock: who has which version
 *
 *	NEWEST {path, version or none}	->
 *		ANSWER {record or none, type, directory, holders, asked, answered, confirmed}
 *		or FAILED
 *	NODES {path}			->
 *		ROW {id, name, http, state, answered, record, type, content, age} per node
 *		END {}
 *		or FAILED
 *
 * NEWEST asks all peers; with a version, for that one only.  The answer
 * speaks of peers alone: the asker compares with its own store.  asked is
 * every other member that has not left, whether or not it could be asked.
 * Only a group of one, which never met a peer, is confirmed for now.
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
};

#define HOLDERS_MAX 16

struct newest_ask {
	struct str path;
	struct version version;		/* none: the newest */
};

struct newest_answer {
	struct record record;		/* version none: no peer that answered knows any */
	struct str type;		/* explicit content type, or empty */
	bool directory;			/* a directory stands there on some peer */
	uint64_t holders[HOLDERS_MAX];	/* nodes that have the content of record, best first */
	size_t holder_count;
	uint32_t asked, answered;
	bool confirmed;
};

struct nodes_ask {
	struct str path;
};

struct nodes_row {
	uint64_t id;
	struct str name;
	struct address http;
	enum member_state state;
	bool answered;			/* what follows is known */
	struct record record;		/* version none: it knows of nothing there */
	struct str type;
	bool content;			/* it has the content */
	uint64_t age_ms;		/* since it answered */
};

void newest_ask_pack(struct buf *, const struct newest_ask *);
int newest_ask_unpack(struct str, struct newest_ask *ret, struct err *);
void newest_answer_pack(struct buf *, const struct newest_answer *);
int newest_answer_unpack(struct str, struct newest_answer *ret, struct err *);
void nodes_ask_pack(struct buf *, const struct nodes_ask *);
int nodes_ask_unpack(struct str, struct nodes_ask *ret, struct err *);
void nodes_row_pack(struct buf *, const struct nodes_row *);
int nodes_row_unpack(struct str, struct nodes_row *ret, struct err *);

#endif
