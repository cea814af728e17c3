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
struct upload;
struct write;
struct index;
struct rmdir;
struct pull;
struct page;
struct get;
struct msg;

struct request {
	bool head_begun;		/* some of the head is there: header_timeout counts */
	struct buf path;		/* as path.h has it */
	bool slash;			/* the target ended with one: a directory is meant */
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
	struct prefer prefer;
	/* The slow kinds of request have more to remember; NULL otherwise. */
	struct upload *upload;
	struct write *write;
	struct index *index;
	struct rmdir *rmdir;
	struct get *get;
	struct pull *pull;
	struct page *page;
	struct msg *msg;
};

#define REQUEST_INIT { .query = QUERY_INIT, .cond = COND_INIT, .ask = ASK_INIT, .entry = STORE_ENTRY_INIT }

void request_begin(struct conn *);
void request_end(struct conn *);

#endif
