/*
 * peer - requests of other nodes of the group (peer_http.h): who signed them, and their answers
 */
#ifndef COVEY_HTTPD_PEER_H
#define COVEY_HTTPD_PEER_H

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>

struct conn;

/* The request has a Covey-* field. True: it is not signed rightly, and was answered 403. */
bool peer_refused(struct conn *);
/* The body's trailer is not signed as this request's, and it was answered so. */
bool peer_trailer_refused(struct conn *);

/*
 * To another node's request the answer is signed: its status and those of
 * its field lines that a signature covers.  Appends the line that says so;
 * nothing for a client.
 */
void peer_sign(struct conn *, int status, struct str lines, struct buf *to);
/* The trailer's lines, for a body of this sha256. */
void peer_sign_body(struct conn *, const uint8_t sha256[32], struct buf *to);

#endif
