/*
 * prefer - what a client would like, if it can be had (RFC 7240)
 *
 *	Prefer: wait=N			it waits N seconds for its write to be confirmed
 *	Prefer: respond-async		it does not wait at all
 *
 * Of preferences that come twice the first counts; what is malformed or
 * unknown does not count, and neither do parameters.
 */
#ifndef COVEY_PREFER_H
#define COVEY_PREFER_H

#include "buf.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

#define PREFER_WAIT_MAX 3600		/* s; a longer wait is cut to this */

struct prefer {
	bool has_wait, respond_async;
	uint64_t wait;			/* s */
};

/* The value of Prefer; s NULL: absent. */
struct prefer prefer_parse(struct str field);
/* The value of Preference-Applied; nothing when nothing was asked for. */
void prefer_applied(struct buf *, const struct prefer *);

#endif
