/*
 * discover_talk - the conversation on discover.sock: who is in the group
 *
 *	VIEW {}		->	MEMBERS {self, members}
 *	WATCH {}	->	MEMBERS {self, members} at once, and after each change
 *	LEAVE {}	->	DONE {}		say good-bye to the group and stop
 *
 * This node is the first member.
 */
#ifndef COVEY_DISCOVER_TALK_H
#define COVEY_DISCOVER_TALK_H

#include "member.h"

enum discover_talk {
	DISCOVER_VIEW = 1,
	DISCOVER_WATCH,
	DISCOVER_LEAVE,
	DISCOVER_MEMBERS,
	DISCOVER_DONE,
};

void discover_members_pack(struct buf *, const struct members *);
/* Replaces what *ret holds; on failure leaves it untouched. */
int discover_members_unpack(struct str, struct members *ret, struct err *);

#endif
