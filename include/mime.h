/*
 * mime - content types by the ends of names
 *
 * Read once at the start from a file like /etc/mime.types; what it lacks,
 * or all when there is none, comes from a small table here.  Types of
 * text say charset=utf-8.
 */
#ifndef COVEY_MIME_H
#define COVEY_MIME_H

#include "str.h"

#include <stdbool.h>

#define MIME_FILE "/etc/mime.types"
#define MIME_DEFAULT "application/octet-stream"

struct mime;

struct mime *mime_new(const char *file);	/* a file that is not there is fine; so is NULL */
void mime_free(struct mime *);			/* NULL is fine */

/*
 * Whether a browser shows, plays or saves content of this type, and runs
 * nothing that is in it.  Of what is not known it is said that it does not.
 */
bool mime_is_passive(struct str type);

/* The type of a path or name; never empty, NUL-terminated.  Lives as long as the table. */
struct str mime_of(const struct mime *, struct str name);

#endif
