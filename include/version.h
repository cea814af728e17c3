/*
 * version - the name of one version of a path: (time, node, n)
 *
 * Compared in that order.  time is nanoseconds since 1970 (UTC), node the
 * id of the node that made it, n the number of conditional updates on top
 * of one unconditional version, normally 0.  A version with n > 0, a child,
 * keeps its base's place in the order and so its time and node, too: when
 * it was made its record says (record.h).  Written
 *
 *	20261122T110724.123456001Z-7f3a9c2b11d0e4f5-0
 *
 * which sorts by time, fits a file name and a URL, and is an entity tag.
 * Text and number map one to one: any other spelling is refused.
 */
#ifndef COVEY_VERSION_H
#define COVEY_VERSION_H

#include "err.h"
#include "str.h"

#include <stdint.h>

struct version {
	uint64_t time;		/* ns since 1970; 0: no version */
	uint64_t node;		/* id */
	uint64_t n;		/* conditional updates on (time, node); at most VERSION_N_MAX */
};
#define VERSION_NONE ((struct version){ 0, 0, 0 })
#define VERSION_N_MAX ((UINT64_C(1) << 48) - 1)
#define VERSION_TEXT 64		/* bytes that hold the text of any version, with its NUL */

/* <0, 0, >0 */
int version_cmp(struct version, struct version);
static inline struct version version_later(struct version a, struct version b)
{
	return version_cmp(a, b) >= 0 ? a : b;
}

static inline bool version_is_none(struct version v)
{
	return v.time == 0;
}

/* Returns to. */
const char *version_format(char to[VERSION_TEXT], struct version);
int version_parse(struct str, struct version *ret, struct err *);

#endif
