/*
 * ask - what the group knows of a path: one question to covey-versiond
 *
 * Without a group key nobody is asked and everything is confirmed.  When
 * versiond is away the answer says so: no peer answered.
 */
#ifndef COVEY_HTTPD_ASK_H
#define COVEY_HTTPD_ASK_H

#include "call.h"
#include "version_talk.h"

struct conn;
struct httpd;

struct ask {
	struct call call;
	struct conn *conn;
	void (*done)(struct conn *);
	bool confirmed;
	uint32_t asked, answered;	/* peers */
	struct record record;		/* the peers' newest; version none: nothing is known */
	char type[RECORD_TYPE_MAX + 1];
	bool silent;			/* peers were asked just now, and none answered */
	bool directory;			/* a directory stands there on some peer */
	uint64_t holders[HOLDERS_MAX];
	size_t holder_count;
};
#define ASK_INIT { .call = CALL_INIT }

/*
 * Ask about the path, or one version of it.  True: the answer is there
 * already; false: the connection is BUSY, done(conn) is called later, and
 * then the connection resumed.
 */
bool ask_start(struct ask *, struct conn *, struct str path, struct version,
		 void (*done)(struct conn *));
/* What members.ini knows of the group, until somebody is asked. */
void ask_members(struct httpd *);
/* Nobody is asked: what is known of the group without. */
void ask_none(struct ask *, struct conn *);
void ask_end(struct ask *);		/* safe on ASK_INIT */

#endif
