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

/* Append the whole file; more than cap bytes is ERR_TOO_LARGE, a directory ERR_CONFLICT. */
int file_read(const char *path, size_t cap, struct buf *ret, struct err *);
/* The same; but that there is none is success, and said. */
int file_read_any(const char *path, size_t cap, struct buf *ret, bool *ret_there, struct err *);

/* Make or replace the file.  On failure what stood there still does. */
int file_replace(const char *path, struct str bytes, unsigned mode, struct err *);

/* "a/b" -> "a"; "b" -> "."; "/b" -> "/".  The caller's to free. */
char *file_directory(const char *path);

#endif
