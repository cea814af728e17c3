/*
 * group - what this process knows of its group: keys, layout, clock, signatures
 *
 * One per process, only with a group key.  Worker 0's loop has the view's
 * client (view_client.h).  All but group_new() to group_free() is for any
 * thread.
 */
#ifndef COVEY_HTTPD_GROUP_H
#define COVEY_HTTPD_GROUP_H

#include "buf.h"
#include "bulk.h"
#include "layout.h"
#include "seal.h"

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct group;
struct httpd;

int group_new(struct group **ret, struct httpd *, struct err *);
void group_free(struct group *);		/* NULL is fine */

void group_layout(struct group *, struct layout *ret);	/* LAYOUT_NONE: none yet */
uint64_t group_epoch(struct group *);		/* 0: no layout yet */
/* How many peers a question to everybody would be sent to. */
unsigned group_asked(struct group *);
bool group_is_silent(struct group *);		/* this disk forgot something, or may have: no answers as a home */
/* Why, and what is to be done, in words; NULL: it is not. */
const char *group_silence(struct group *, bool *ret_for_good);
/*
 * Whether a majority of the homes of each path is up, as far as is known, and as many
 * members as have to keep a content.  If not, why, in words.  Looks at all partitions.
 */
bool group_can_confirm(struct group *, struct buf *ret_why);
uint64_t group_clock(struct group *);		/* ns since 1970, as the group has it */

/* Look at the key file again; on worker 0's loop.  NULL is fine. */
void group_reload(struct group *);
/* What the first key is called, and the second; empty: there is none. */
void group_key_names(struct group *, char first[SEAL_KEY_NAME], char second[SEAL_KEY_NAME]);

/* A sealed batch for this node: -1: it is not of the group.  *ret points into plain. */
int group_open(struct group *, struct str packet, struct buf *plain, struct bulk *ret);
/* The answer to it, with type and body set; appended, sealed. */
void group_seal(struct group *, struct bulk *answer, struct buf *to);

/* signatures: of requests of other nodes (peer_http.h), and of their answers */

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
