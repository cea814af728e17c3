/*
 * file - small files, read whole and replaced whole
 *
 * A replaced file is seen old or new, never half, also after a crash: the
 * bytes go to a temporary file beside it, which is synced, renamed over
 * it, and the directory is synced.  Bodies of clients are the store's.
 */
#ifndef COVEY_FILE_H
#define COVEY_FILE_H

#include "buf.h"
#include "err.h"

#include <stdbool.h>
#include <sys/types.h>

/* Append the whole file; more than cap bytes is ERR_TOO_LARGE, a directory ERR_CONFLICT. */
int file_read(const char *path, size_t cap, struct buf *ret, struct err *);
/* The same; but that there is none is success, and said. */
int file_read_any(const char *path, size_t cap, struct buf *ret, bool *ret_there, struct err *);
/* The rest of an open file, whose descriptor stays the caller's; path is for the error. */
int file_read_opened(int fd, const char *path, size_t cap, struct buf *ret, struct err *);

/* Make or replace the file.  On failure what stood there still does. */
int file_replace(const char *path, struct str bytes, unsigned mode, struct err *);

struct file_access {
	uid_t owner;
	gid_t group;
	unsigned mode;
};
#define FILE_OWN_USER ((uid_t)-1)	/* of this process; of a file that is there: as it is */
#define FILE_OWN_GROUP ((gid_t)-1)

/* The same; nobody sees it under its name before it has its owner, group and mode. */
int file_replace_as(const char *path, struct str bytes, const struct file_access *, struct err *);
/* Of an open file, so that no other can be put in its place meanwhile; path is for the error. */
int file_set_access(int fd, const struct file_access *, const char *path, struct err *);

/* "a/b" -> "a"; "b" -> "."; "/b" -> "/".  The caller's to free. */
char *file_directory(const char *path);

#endif
