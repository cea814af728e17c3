/*
 * change - what the next layout should be; a part of council
 *
 * Pure.  Only a council member that sees no newer layout asks.
 */
#ifndef COVEY_CHANGE_H
#define COVEY_CHANGE_H

#include "council.h"

/* True: *ret, and why.  *due is set to when it may be so, when that is known and earlier. */
bool change_next(struct council *, const struct view *, uint64_t now, struct layout *ret,
		 const char **ret_why, uint64_t *due);
/* The change that the joint layout stands for was given up: try no member of it for a while. */
void change_bar(struct council *, uint64_t now);
uint8_t change_weight(const struct member *);

#endif
