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
#include "layout.h"
#include "sign.h"

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

/* As sign_check(), by this node. */
enum sign_verdict group_check(struct group *, struct sign_request *, struct str signature,
			      struct sign_asker *ret);
/* Of an answer, or its trailer, to who asked; returns to. */
const char *group_sign(struct group *, char to[SIGN_TEXT], struct sign_request *,
		       const struct sign_asker *);

#endif
