/*
 * roles - this node's other programs asked, for the sub-commands
 *
 * Functions return 0, or -1 with *err filled and outputs untouched, but for
 * what had been replaced when the other side left in mid-answer.
 */
#ifndef COVEY_CMD_ROLES_H
#define COVEY_CMD_ROLES_H

#include "bulk.h"
#include "conf.h"
#include "discover_talk.h"

/* What covey-discoverd knows of the group; *members must be MEMBERS_INIT or be filled, and is replaced. */
int roles_view(const struct conf *, struct members *members, struct layout *layout,
		   struct err *);

/* Change the layout; each line of progress is told.  timeout_ms 0: without end. */
int roles_change(const struct conf *, const struct discover_change *, uint64_t timeout_ms,
		     void (*tell)(struct str line), struct err *);

/* Tell covey-syncd that there is something in the outbox; if it is away, it looks when it starts. */
void roles_drain(const struct conf *);
/* Tell it that this content was here and is bad; if it is away, the homes find out. */
void roles_lost(const struct conf *, const struct keep_item *);

#endif
