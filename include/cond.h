/*
 * cond - conditional requests (RFC 9110, section 13)
 *
 * The conditions are judged in the order of section 13.2.2 against what
 * stands at the path now.  An entity tag list that can not be read is an
 * error: a condition is never ignored.  A date that can not be read is,
 * as the RFC demands, and so is an empty If-None-Match, which names nothing.
 *
 * A date is no good for a version that is ahead of the clock: all that
 * follow it bear the same second until the clock is there.  So it is never
 * unmodified, whatever the date; and one that If-Modified-Since has from
 * the future says nothing of what is here.  Nor does a second tell versions
 * within it apart, so an If-Range with a date never holds.
 *
 * A writer judges under the path's lock (struct commit's condition()).
 *
 * A version that is sent coded has a tag of its own: the version's, and more
 * behind a semicolon.  Who names that means the version; but a range is of
 * the content as it is, and so of its own tag alone.
 */
#ifndef COVEY_COND_H
#define COVEY_COND_H

#include "head.h"

struct cond_target {
	bool exists;		/* a live version is there */
	struct str etag;	/* its entity tag with the quotes; strong */
	struct str coded;	/* the tag that it would have coded as this request has it; or none */
	uint64_t modified;	/* when it was, s since 1970 */
};

enum cond_verdict {
	COND_GO,		/* the method may be applied */
	COND_NOT_MODIFIED,	/* 304 */
	COND_FAILED,		/* 412 */
	COND_MALFORMED,		/* 400 */
};

/* The conditions of a request, taken out of its head so that they outlive it. */
struct cond {
	bool reads;		/* GET or HEAD */
	bool has_match, has_none_match, has_range;
	uint64_t now;			/* s since 1970: when the request came */
	uint64_t modified_since, unmodified_since;	/* s since 1970, or COND_NO_DATE */
	struct buf match, none_match;	/* lists of entity tags, or "*" */
	struct buf if_range;
};
#define COND_NO_DATE UINT64_MAX
#define COND_INIT \
	{ .modified_since = COND_NO_DATE, .unmodified_since = COND_NO_DATE, \
	  .match = BUF_INIT, .none_match = BUF_INIT, .if_range = BUF_INIT }

/* now: s since 1970.  cond must be COND_INIT or cleared. */
void cond_take(struct cond *, const struct head *, uint64_t now);
void cond_clear(struct cond *);

enum cond_verdict cond_check(const struct cond *, const struct cond_target *);
/* The tag under which If-None-Match has what stands there, for 304: the target's, unless only that of the coded one is listed. */
struct str cond_named(const struct cond *, const struct cond_target *);

/* A write that is to be made of what it names, and so depends on what others know. */
static inline bool cond_is_update(const struct cond *cond)
{
	return cond->has_match || cond->has_none_match || cond->unmodified_since != COND_NO_DATE;
}

/* Whether the Range field counts: no If-Range, or its entity tag is this version's (section 13.1.5). */
bool cond_range(const struct cond *, const struct cond_target *);

#endif
