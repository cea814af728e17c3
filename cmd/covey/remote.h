/*
 * remote - a directory as a node lists it, for what copies and removes trees
 *
 * Names come from others: those that could mean anything but one name in
 * one directory are refused.
 */
#ifndef COVEY_CMD_REMOTE_H
#define COVEY_CMD_REMOTE_H

#include "ask.h"

#include "version.h"

#include <time.h>

struct remote_entry {
	char *name;		/* owned; one component, exact bytes */
	bool directory;
	uint64_t size;		/* bytes */
	uint64_t mtime;		/* the client's, s since 1970; 0: not given */
	struct timespec made;	/* the version's time */
	char version[VERSION_TEXT];
	uint8_t sha256[32];
};

struct remote {
	struct remote_entry *entries;	/* owned; sorted by the bytes of their names */
	size_t count;
	bool absent;		/* there is no such directory */
	bool confirmed;
};
#define REMOTE_INIT { .entries = NULL, .count = 0 }
void remote_clear(struct remote *);

/* 0, also when it is absent; else the exit status, after everything was told. */
int remote_list(struct client *, struct str path, struct remote *ret);

/* Say that a listing is not confirmed: what it lacks may be there.  The exit status for it. */
int remote_told_unconfirmed(struct str path);

/* NULL: none of this name. */
const struct remote_entry *remote_find(const struct remote *, const char *name);

/* Whether the client's time was so new when the version was made that another content may have it, too. */
bool remote_is_racy(const struct remote_entry *);

/* Append "/d/a%20b/" for the path "d/a b", as for other paths without slashes at their ends. */
void remote_target(struct buf *, struct str path);

/* A path as people write it, as covey has it: no slash at either end. */
void remote_path(struct buf *, const char *path);

#endif
