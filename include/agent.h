/*
 * agent - one node's part in the layouts of its group
 *
 * What council.h (what is to be done) and synod.h (how it is agreed on) say
 * is joined here with what lies between them:
 *
 *	acceptor	one question at a time; the promise is on disk before its
 *			answer leaves.  A silent node gives no vote.
 *	adopting	a layout is used, and told to anybody, when it is on disk.
 *			While one is written the newest of the others waits.
 *			What a node promised in another lineage it goes by when it
 *			comes back there: promises are kept by lineage.  Before it
 *			leaves one the promise there says which epochs it has lived
 *			through, and it adopts none before them when it is back.
 *	telling		whoever had a layout decided tells it to all; the others
 *			to who asks (WANT), or asks with an older one
 *	wishes		what a person wants of the layout is told to the council
 *			again and again (CHANGE), each time for the layout that is
 *			used then, until one had it that was used here: of two who
 *			want different numbers each has them once, and what was
 *			decided later stays.  A CHANGE for another lineage or epoch, or one no
 *			newer than the last that was obeyed of its sender, or than
 *			what was heard of it since, is dropped: so a packet that
 *			somebody kept and sends again changes nothing.
 *
 * The caller has the sockets, the disk and the timers.  Messages go out by
 * message() and send(); what is to be written by write_promise() and
 * write_layout(), of which agent_promised() and agent_written() tell the end,
 * later and from outside.
 *
 *	fields of the caller's, agent_init
 *	agent_hear(message)		of the types that are about layouts
 *	agent_step			after anything that may change what is to be
 *					done, after a batch of messages, and at `due`
 *
 * Pure: `now` is a parameter, ms on any clock that does not go back.
 */
#ifndef COVEY_AGENT_H
#define COVEY_AGENT_H

#include "council.h"
#include "synod.h"
#include "wire.h"

#define AGENT_QUESTIONS 8		/* to the acceptor; more are lost, and asked again */
#define AGENT_APART 8			/* other groups that are said to be apart, once each */
#define AGENT_PATIENCE_MS 5000		/* in one joint layout, until it is said who is waited for */
#define AGENT_WISH_MS 250		/* between two steps of a wish */

/* A question to the acceptor. */
struct agent_question {
	uint64_t from;			/* this node's own proposer has its own id */
	struct address at;		/* where the answer goes */
	enum wire_type type;
	struct wire_synod asked;
};

struct agent_acceptor {
	struct synod_promise promise;	/* on disk, or being written */
	struct agent_question queue[AGENT_QUESTIONS];
	size_t count;			/* the first is being answered while busy */
	bool busy;
	bool leaving;			/* what is written is no answer: this lineage is left next */
	bool unsure;			/* the last could not be written */
	enum wire_type type;		/* the answer that waits for the disk */
	struct wire_synod answer;
};

/* The last CHANGE that was obeyed of a sender. */
struct agent_obeyed {
	uint64_t id, start, heartbeat;
};

struct agent {
	/* the caller's */
	struct view *view;		/* self: what this node tells of itself; agent changes lineage, epoch, synced */
	void *data;
	struct buf *(*message)(void *data, uint64_t to);	/* one to this node is begun */
	void (*send)(void *data, const struct address *, bool expects);	/* that; an answer is due */
	void (*write_promise)(void *data, const struct synod_promise *);
	void (*write_layout)(void *data, const struct layout *);
	void (*used)(void *data);	/* another layout is used from now on */
	void (*say)(void *data, bool warning, const char *text);	/* for people */
	uint64_t (*random)(void *data);
	/* read by anybody */
	struct council council;		/* with the layout that is used */
	struct synod_proposer proposer;
	struct agent_acceptor acceptor;
	uint64_t due;			/* ms: agent_step() by then; 0: when something happens */
	/* private */
	struct layout next;		/* to be adopted; epoch 0: none */
	struct layout writing;
	bool busy;			/* that one is being written */
	struct synod_promise past;	/* of the last lineage of which too old a layout was offered */
	uint64_t write_after;		/* ms: the disk failed; 0: it did not */
	uint64_t forced;		/* the lineage that was forced here; 0: none */
	uint64_t wanted, wanted_at;	/* id of what WANTs there were of late, and since when; ms */
	uint64_t now;			/* ms: the last that was told */
	uint64_t apart[AGENT_APART];	/* lineages of other groups, of which that was said */
	size_t apart_count;
	bool waits_said;
	struct agent_obeyed obeyed[MEMBERS_MAX];
	size_t obeyed_count;
};

/* layout, promise: what is on this node's disk. */
void agent_init(struct agent *, const struct layout_numbers *founding, const struct layout *,
		const struct synod_promise *, uint64_t now);
const struct layout *agent_layout(const struct agent *);	/* the one that is used */

/* The messages from WIRE_WANT on; others are ignored. */
void agent_hear(struct agent *, const struct wire *, const struct address *from, uint64_t now);
void agent_step(struct agent *, const struct council_seeds *, uint64_t now);
/* The promise is on disk, or (false) it may be. */
void agent_promised(struct agent *, bool ok, uint64_t now);
/*
 * The same of the layout.  promise: what is on disk of that layout's lineage.
 * A layout that synod_is_past() of it is not to be written: ok is false.
 */
void agent_written(struct agent *, bool ok, const struct synod_promise *, uint64_t now);

/* That node, there, is said to have a newer layout: ask for it. */
void agent_fetch(struct agent *, uint64_t from, const struct address *);
/* This node has all its records for the layout of that epoch.  Whether that is news. */
bool agent_synced(struct agent *, uint64_t epoch);
/*
 * A layout of those that are up: council_force().  Where this node has been
 * farther in that lineage already, it is refused by agent_written(), and the
 * next call makes another lineage.
 */
int agent_force(struct agent *, uint64_t now, struct layout *ret, struct err *);
/* 0, or -1: nobody is up who is of that lineage. */
int agent_can_adopt(const struct agent *, uint64_t lineage, struct err *);

/* What a person waits for. */
struct agent_wish {
	enum agent_wish_kind { AGENT_SET, AGENT_LEAVE, AGENT_JOIN, AGENT_ADOPT } kind;
	struct layout_numbers numbers;	/* SET */
	uint64_t lineage;		/* ADOPT: to be of this one */
	/* private */
	uint64_t lineage_asked, since;	/* SET: of what group, and its epoch when that began */
	uint64_t told, told_at;		/* the epoch of the last progress; ms */
	uint64_t waits_for;		/* the member that people were last told of; 0: none */
	bool asked_others;		/* SET: some of the council may have begun it */
	bool begun;			/* SET: this node has accepted a layout since */
};
/*
 * To be called every AGENT_WISH_MS.  True: it is done.  *ret_progress is a
 * line for people, or empty.
 */
bool agent_wish(struct agent *, struct agent_wish *, uint64_t now, char ret_progress[200]);
/*
 * Nobody waits for it any longer, SET and ADOPT.  What was not begun is
 * withdrawn; *err, unless NULL, says whether it was, or may still take effect.
 */
void agent_wish_end(struct agent *, const struct agent_wish *, struct err *);

#endif
