/*
 * page - what the pages of indexes, histories and errors have in common
 */
#ifndef COVEY_HTTP_PAGE_H
#define COVEY_HTTP_PAGE_H

#include "buf.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * The page's head and its way up: the path's parents as relative links.
 * `directory` tells what relative links start from: the path itself, or
 * the directory it lies in.  The heading is the title, behind it the name.
 */
void page_begin(struct buf *, struct str path, struct str node, bool directory, const char *title,
		struct str name);
struct str page_name(struct str path, struct str node);	/* of what is shown; the root has its node's */
/* A warning, where the Version-State says that it is not confirmed. */
void page_unsure(struct buf *, struct str state);
/* href is a relative reference, rel its relation or NULL, text HTML. */
void page_link(struct buf *, const char *rel, struct str href, const char *text);
void page_end(struct buf *, struct str node, struct str state);

enum page_precision { PAGE_MINUTES, PAGE_SECONDS };

/* Cells of a table. */
void page_time(struct buf *, uint64_t ns, enum page_precision);	/* of a version, UTC */
void page_size(struct buf *, uint64_t bytes);	/* "1.5K", the exact number as its title */

#endif
