/*
 * yamlfile - the part of YAML that configuration needs, by libyaml's events
 *
 * One document of nested mappings whose keys are words and whose leaves
 * are scalars or lists.  Anchors, aliases, tags, merge keys, second
 * documents and deep nesting are refused: what a file says can be seen by
 * looking at it, and a hostile one costs no more than its own length.
 *
 * (Not called yaml: <yaml.h> is libyaml's own.)
 */
#ifndef COVEY_YAMLFILE_H
#define COVEY_YAMLFILE_H

#include "err.h"
#include "str.h"

#include <stdbool.h>

#define YAMLFILE_BYTES (256u << 10)	/* a longer file is refused */
#define YAMLFILE_DEPTH 8		/* collections inside one another */

struct yamlfile_item {
	enum { YAMLFILE_SCALAR, YAMLFILE_MAPPING, YAMLFILE_LIST } kind;
	const char *path;	/* "timeouts.check"; "" for the whole document */
	bool in_list;		/* an item of the list at path */
	struct str value;	/* of a scalar; UTF-8, may hold any byte */
	bool null;		/* an unquoted scalar that says nothing: "", ~ or null */
	unsigned line;		/* of its key, or of a list's item; from 1 */
};

/* A scalar, or the beginning of a mapping or list; -1 with *err filled stops the reading. */
typedef int yamlfile_each(void *data, const struct yamlfile_item *, struct err *);

/*
 * Call each for every item in the text's order; file is only named in
 * errors, which begin "FILE:LINE: ".  Errors of each get the same.
 * Keys given twice are the caller's to find: it knows the keys.
 */
int yamlfile_read(struct str text, const char *file, yamlfile_each *, void *data, struct err *);

#endif
