/*
 * peer - requests of other nodes of the group (peer_http.h)
 */
#ifndef COVEY_HTTPD_PEER_H
#define COVEY_HTTPD_PEER_H

#include <stdbool.h>

struct conn;

/* The request has a Covey-* field. True: it is not signed rightly, and was answered 403. */
bool peer_refused(struct conn *);
/* The body's trailer is signed; else it was answered. */
bool peer_trailer_refused(struct conn *);

/* PUT with Covey-Push: another node gives a content to this one. */
void pushed_start(struct conn *);
void pushed_finish(struct conn *);	/* its body is there */

/* POST /.covey/msg: a sealed message for another role of this node. */
void msg_start(struct conn *);
struct msg;
void msg_free(struct msg *);		/* NULL is fine */

#endif
