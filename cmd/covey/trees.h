/*
 * trees - put -r, get -r and rm -r: all that is in a directory, and below it
 *
 * Many files are under way at once.  A file that is the same on both sides
 * is left alone: of the same size, and of the same time, to the second; or
 * of the same sha256, which is compared in place of the time if that is
 * asked for, or if the time cannot be relied on.  So an interrupted run is
 * continued by the next one, and one more transfers nothing.
 *
 * All return the exit status, the worst there was, after everything was told.
 */
#ifndef COVEY_CMD_TREES_H
#define COVEY_CMD_TREES_H

#include "client.h"

#define OPTION_CHECKSUM \
	{ "checksum", 0, NULL, "with -r: compare sha256 in place of the time" }

struct tree_options {
	const char *url;	/* of --node */
	bool checksum;
	bool quiet;		/* do not print what was done */
};

/* What is in the directory here goes to path; symbolic links and special files are skipped. */
int put_tree(const char *here, const char *path, const struct write *, const struct tree_options *);

/* What is in the directory at path comes here. */
int get_tree(const char *path, const char *here, const struct tree_options *);

/* All that is in the directory at path, then itself; *ret_found: there was one. */
int remove_tree(const char *path, const struct write *, const struct tree_options *, bool *ret_found);

#endif
