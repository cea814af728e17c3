/*
 * upload - bodies on their way in: PUT and POST, raw or as a form
 *
 * upload_start() (handlers.h) begins a write, which asks for the body.
 *
 * A body that fits one chunk stays in memory, and one job does the rest:
 * stage, sync, commit.  A larger one fills two chunks in turn: while the
 * client fills one, the pool writes and hashes the other, and the client
 * waits when both are full.  No thread waits for a client, ever.
 */
#ifndef COVEY_HTTPD_UPLOAD_H
#define COVEY_HTTPD_UPLOAD_H

#include "str.h"

#include <stdbool.h>

struct conn;
struct upload;

/* In CONN_BODY: take what has come.  True: the state changed, or more can be taken. */
bool upload_step(struct conn *);
bool upload_welcome(const struct conn *);	/* there is room for more of the body */
void upload_stalled(struct conn *);		/* nothing came for too long */
/* The body is wanted: write_start() follows when it is whole. */
void upload_receive(struct conn *);
/* A push of another node, into a write of its own: pushed(conn) follows when it is whole. */
void upload_pushed(struct conn *, void (*pushed)(struct conn *));
/* A small body, kept in memory; whole(conn, body) follows. */
void upload_whole(struct conn *, uint64_t max, void (*whole)(struct conn *, struct str));
void upload_free(struct upload *);		/* NULL is fine; no job may be running */

#endif
