/*
 * ask - what the group knows of a path: a question to covey-versiond
 *
 * Those who want to read the same path and have come in one round of the loop
 * ask together: the question leaves at the end of the round.
 *
 * Without a group key nobody is asked and everything is confirmed.  When
 * versiond is away the answer says so: no peer answered.
 */
#ifndef COVEY_HTTPD_ASK_H
#define COVEY_HTTPD_ASK_H

#include "call.h"
#include "list.h"
#include "version_talk.h"

struct conn;
struct question;
struct worker;

/* What covey-versiond is given for its own steps on a busy machine, besides the time for its homes. */
#define VERSIOND_SLACK_MS 250

struct ask {
	struct question *question;	/* under way; or NULL */
	struct link link;		/* among those that ask it, too */
	struct conn *conn;
	void (*done)(struct conn *);
	uint64_t began;			/* ms, clock_boot_ms(): the answer held at that moment or later */
	enum certainty certainty;
	bool confirmed;			/* CERTAINTY_CONFIRMED */
	uint32_t asked, answered;	/* peers */
	uint32_t homes, homes_answered;	/* 0: there is no layout */
	uint64_t epoch;			/* of the layout asked by; 0: none */
	uint64_t clock;			/* ns: the group's time; 0: not known */
	struct record record;		/* the file's newest of all that is known; version none: nothing */
	struct record entry;		/* the directory's; version none: there never was one */
	char type[RECORD_TYPE_MAX + 1];
	bool silent;			/* peers were asked just now, and none answered */
	bool parent_known;		/* the directory above stands: it need not be asked about */
	uint64_t holders[HOLDERS_MAX];	/* other nodes that have record's content */
	size_t holder_count;
};
#define ASK_INIT { .question = NULL }

/*
 * Ask about the path; version is none but for NEWEST_ONE and NEWEST_BELOW.
 * True: the answer is there already; false: the connection is BUSY,
 * done(conn) is called later, and then the connection resumed.
 */
bool ask_start(struct ask *, struct conn *, struct str path, enum newest_purpose, struct version,
		 void (*done)(struct conn *));
/* Nobody is asked: what is known of the group without. */
void ask_none(struct ask *, struct conn *);
void ask_end(struct ask *);		/* safe on ASK_INIT */

/* Questions to covey-versiond that are nobody's struct ask; answer() of the call is set. */
void ask_newest(struct worker *, struct call *, const struct newest_ask *);
/* False: covey-versiond did not answer (frame NULL), or with something else. */
bool ask_newest_answer(const struct frame *, struct newest_answer *ret);
/* The homes are to have this record; slack_ms: beyond the time that they have. */
void ask_store(struct worker *, struct call *, const struct store_ask *, uint64_t slack_ms);
bool ask_store_answer(const struct frame *, struct store_answer *ret);	/* false: as above */

#endif
