/*
 * answer - telling others which version of a path this node has
 *
 * The answerer's step: one message in, at most one out.  Where the store
 * cannot tell, there is no answer: silence is counted as such, a wrong
 * word would be believed.
 */
#ifndef COVEY_ANSWER_H
#define COVEY_ANSWER_H

#include "wire.h"

struct answer_found {
	struct record record;		/* version none: nothing known */
	char type[RECORD_TYPE_MAX + 1];
	bool content;			/* it is here */
	bool directory;			/* one stands there */
};

/* version none: the newest.  0, or -1: cannot tell. */
typedef int answer_lookup(void *data, struct str path, struct version version,
			  struct answer_found *ret);

/* Append the RECORD for a CHECK to what `packet` has (the sender); false: no answer. */
bool answer_check(const struct wire *, uint64_t clock, answer_lookup *, void *data,
		  struct buf *packet);

#endif
