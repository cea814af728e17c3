/*
 * survey - the store's records by partition, for digests and repair
 *
 * A partition's records are, for each of its directories D,
 *
 *	of each name in D	the newest `keep` records that are no
 *				directory's, and the newest directory record
 *	of D itself		its gate, as the path "D/"
 *
 * whether live or deleted, wherever the content is.  This depends on the
 * records alone: two nodes that have the same ones are told the same.
 *
 * Calling sequence of a digest:
 *
 *	store_finish_dead
 *	store_changes		of the partition: the digest's stamp
 *	survey_directories	only then; kept while store_directory_changes()
 *				tells what it told before the list was made
 *	survey_slice, survey	what the partition has
 *
 * and the digest is right while store_changes() tells the same.
 *
 * Paths where a person's file stands are left out.  Writers go on meanwhile;
 * what is told of one path was so at one moment, and is durable.
 */
#ifndef COVEY_SURVEY_H
#define COVEY_SURVEY_H

#include "store.h"

struct survey_directory {
	char *path;		/* owned */
	unsigned partition;	/* of the names in it */
};
struct survey_directories {
	struct survey_directory *items;		/* sorted by partition, then by path */
	size_t count;
	uint64_t changes;	/* store_directory_changes() before the list was made */
};
#define SURVEY_DIRECTORIES_INIT { .items = NULL, .count = 0 }
void survey_directories_clear(struct survey_directories *);

/* All directories there are or were. */
int survey_directories(struct store *, struct survey_directories *ret, struct err *);
/* Those of one partition; NULL and count 0: there are none. */
const struct survey_directory *survey_slice(const struct survey_directories *, unsigned partition,
					    size_t *ret_count);

struct survey_path {
	struct str path;	/* valid while it is told */
	unsigned partition;
	const struct history_entry *entries;	/* newest first */
	size_t count;		/* at least 1 */
};

/* Tell of each path in these directories, and of these.  each() returning other than 0 ends it. */
int survey(struct store *, const struct survey_directory *, size_t count, size_t keep,
	   int (*each)(void *data, const struct survey_path *), void *data, struct err *);
/* The same of one directory, from behind this path on, where each() ended it; "": all of it. */
int survey_behind(struct store *, const struct survey_directory *, struct str after, size_t keep,
		  int (*each)(void *data, const struct survey_path *), void *data, struct err *);

#endif
