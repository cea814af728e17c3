/*
 * query - what a request asks for behind the '?'
 *
 *	?versions              the history of the path
 *	?version=ID            one version of it
 *	?restore=ID            (POST) a new version with the content of ID
 *	?format=html|json|text how an index or a history is answered
 *	?after=NAME&limit=N    a page of an index
 *	?after=NAME/           the same where directories come first: behind a directory's name
 *	?versions&after=ID&limit=N	a page of a history
 *	?deleted               an index with its tombstones; as a page, those alone
 *
 * Parameters are percent-decoded; '+' is a plus.  One of these with a wrong
 * value, or that comes twice, and contradicting ones are errors (400).  A
 * reader may add what others look for (`utm_source=`, git's `service=`).  Of
 * a write an unknown parameter is an error, too: what means something that
 * this release does not know must not do something else, such as storing an
 * empty version.
 */
#ifndef COVEY_QUERY_H
#define COVEY_QUERY_H

#include "buf.h"
#include "err.h"
#include "str.h"
#include "version.h"

#include <stdbool.h>
#include <stdint.h>

enum query_format { QUERY_FORMAT_NONE, QUERY_FORMAT_HTML, QUERY_FORMAT_JSON, QUERY_FORMAT_TEXT };

struct query {
	bool versions;
	bool deleted;
	struct version version;	/* none: not asked for */
	struct version restore;	/* none: not asked for */
	enum query_format format;
	uint64_t limit;		/* 0: none */
	bool has_after;
	struct buf after;	/* a name: any bytes but NUL and '/' */
	bool after_directory;	/* it was written with a slash: it is a directory's */
	struct version older;	/* with versions and has_after: after is this version's id */
};
#define QUERY_INIT { .versions = false, .after = BUF_INIT }

/* query is what follows the '?' (s NULL: nothing).  *ret must be QUERY_INIT or cleared. */
int query_parse(struct query *ret, struct str query, bool write, struct err *);
void query_clear(struct query *);
const char *query_format_name(enum query_format);	/* as it is written; not of NONE */

#endif
