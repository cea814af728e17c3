/*
 * request - one request: what it asks for, and what was found out about it
 *
 * request_begin() is the routing table; request_end() releases all of it,
 * whatever became of the request, and may be called twice.
 */
#ifndef COVEY_HTTPD_REQUEST_H
#define COVEY_HTTPD_REQUEST_H

#include "loop/ask.h"
#include "cond.h"
#include "freshness.h"
#include "prefer.h"
#include "query.h"
#include "sign.h"
#include "store.h"

struct conn;
struct door_rules;
struct upload;
struct pull;

struct request {
	bool head_begun;		/* some of the head is there: header_timeout counts */
	struct buf path;		/* as path.h has it */
	bool slash;			/* the target ended with one: a directory is meant */
	bool site;			/* it was, and path is of the page that shows it */
	struct query query;
	struct freshness freshness;
	struct cond cond;
	struct ask ask;		/* what the group said */
	struct store_entry entry;	/* what is answered from */
	uint64_t age;			/* s since the check that the answer relies on */
	bool aged;			/* Age is told */
	bool peer;			/* signed by another node of the group, */
	struct sign_asker asker;	/* this one; what it is answered is signed */
	bool body_signed;		/* and so is the body that it is answered */
	bool sealed;			/* its body is a message that another node sealed */
	struct prefer prefer;
	struct door_rules *rules;	/* a hold of those it is judged by; NULL: it is not (door.h) */
	bool is_private;		/* not everybody would get this answer */
	struct upload *upload;		/* its body on its way in, */
	struct pull *pull;		/* a content on its way here; or NULL */
	/* The slow kinds of request have more to remember, each its own. */
	union {
		struct get *get;
		struct index *index;
		struct names *names;
		struct msg *msg;
		struct take *take;
		struct page *page;
		struct write *write;
	};
	void (*end)(struct conn *);	/* frees it; NULL: there is nothing */
};

#define REQUEST_INIT { .query = QUERY_INIT, .cond = COND_INIT, .ask = ASK_INIT, .entry = STORE_ENTRY_INIT }

void request_begin(struct conn *);
void request_go_on(struct conn *);	/* when it is known who asks */
void request_end(struct conn *);

#endif
