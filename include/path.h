/*
 * path - names in the store, checked once at the border
 *
 * Inside covey a path is bytes without a leading or trailing slash:
 * "docs/a.pdf"; the empty path is the root directory.  Components are any
 * bytes but NUL and '/', 1 to 254 of them; "." and ".." are refused, and
 * so is ".covey" as the first.  A path has at most 900 bytes.
 *
 * "docs/", with a slash behind it and nothing more, is the path of a
 * directory's gate (store.h).  It is named only where records are, by
 * covey's own programs: a request's path never ends in a slash.  A
 * directory of 900 bytes has none, since nothing can be in it.
 *
 * In history/ every component that begins with a comma is written with
 * one more, because names that begin with exactly one are covey's own.
 */
#ifndef COVEY_PATH_H
#define COVEY_PATH_H

#include "buf.h"
#include "err.h"
#include "str.h"

#include <stdbool.h>

#define PATH_BYTES 900
#define PATH_COMPONENT_BYTES 254
#define PATH_RESERVED ".covey"

/* 0 when the slice is a path as above. */
int path_check(struct str path, struct err *);
/* The same, or the path of a gate: what a record may be about. */
int path_check_record(struct str path, struct err *);
/* The path of a gate; of a path that was checked as above. */
bool path_is_gate(struct str path);
/* Append the path of a directory's gate; the root has none. */
void path_to_gate(struct buf *, struct str directory);

/*
 * Decode the path of a request target ("/docs/a%20b.pdf", "/docs/"),
 * append the path to ret and tell whether it was written with a slash at
 * its end (the root always is).  Empty components and "." say nothing and
 * are left out, "/docs/." is "/docs/" (RFC 3986, section 6.2.2.3); ".." is
 * refused, and so is a dot that was encoded.  ret is untouched on failure; a
 * path that is too long fails with ERR_TOO_LARGE.
 */
int path_from_target(struct buf *ret, bool *ret_slash, struct str target, struct err *);

/* Append "/docs/a%20b.pdf", with a slash at the end for a directory. */
void path_to_target(struct buf *, struct str path, bool slash);

/* "docs/a.pdf" -> "docs" and "a.pdf"; "a.pdf" -> "" and "a.pdf"; a gate "docs/" -> "docs" and "". */
struct str path_parent(struct str path);
struct str path_name(struct str path);

/* Append parent/name, or name alone when the parent is the root. */
void path_join(struct buf *, struct str parent, struct str name);

/* Append the path's directory below history/. */
void path_to_history(struct buf *, struct str path);

/* A name read from history/: false for covey's own; else *name without its extra comma. */
bool path_name_from_history(struct str *name);

/* 64 bits of FNV-1a; stable, since processes of several releases share it. */
uint64_t path_hash(struct str path);

/*
 * The partition whose homes know the record at a path: that of its parent
 * directory's path; that of a gate is with the names in the directory.  A
 * directory's partition is the upper 12 bits of
 * mix(path_hash(directory)), with mix the finalizer of splitmix64, in 64
 * bits:
 *
 *	z = (z ^ z >> 30) * bf58476d1ce4e5b9
 *	z = (z ^ z >> 27) * 94d049bb133111eb
 *	z =  z ^ z >> 31
 *
 * The same on every node, for ever; tests/unit/path.c has test vectors.
 */
#ifndef PARTITION_BITS			/* the simulator has fewer: it has few paths */
#define PARTITION_BITS 12
#endif
#define PARTITIONS (1 << PARTITION_BITS)
unsigned path_partition_of_directory(struct str directory);
unsigned path_partition(struct str path);

#endif
