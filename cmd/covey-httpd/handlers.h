/*
 * handlers - what the routing table in request.c leads to
 *
 * Each is called with a parsed request, and answers or goes on later as
 * conn.h describes.  What a kind of request remembers beyond struct request
 * ends with request.end, when no job may be running.
 */
#ifndef COVEY_HTTPD_HANDLERS_H
#define COVEY_HTTPD_HANDLERS_H

#include "fields.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct job;
struct upload;
struct worker;

void get_start(struct conn *);		/* GET, HEAD of a file */
bool get_start_site(struct conn *);	/* of a directory, by its page, where it is of a site; false: it is of none */
void index_start(struct conn *);	/* GET, HEAD of a directory; ?versions */
/* An index of what the group knows, or of this node's disk alone. */
void names_start(struct conn *, enum media, bool browser, bool of_group);
void page_start(struct conn *);		/* /.covey/ */
void write_start(struct conn *);	/* PUT, POST, DELETE */
void take_start(struct conn *);		/* POST /.covey/msg?to=contents */
/* In the pool: jobs of small writes, as one (batch.h). */
void write_commit_all(struct job **, size_t count);

/* When the process ends: the writes whose requests are over. */
void write_free_all(struct worker *);

/*
 * A body on its way in.  In CONN_BODY: take what has come.  True: the state
 * changed, or more can be taken.
 */
bool upload_step(struct conn *);
bool upload_welcome(const struct conn *);	/* there is room for more of the body */
void upload_stalled(struct conn *);		/* nothing came for too long */
/* A small body, kept in memory; whole(conn, body) follows. */
void upload_whole(struct conn *, uint64_t max, void (*whole)(struct conn *, struct str));
void upload_free(struct upload *);		/* NULL is fine */

#endif
