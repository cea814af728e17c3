/*
 * tidy - directories that stand for nothing any more
 *
 * A directory without a live record goes when the last name in it has gone.
 * That is done after the commit that removed the name, each directory under
 * its own lock.  Nothing depends on it: readers judge for themselves
 * (standing.c), and what a crash left goes when its name is wanted.
 */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <fcntl.h>
#include <unistd.h>

/* Commit that it goes; false when that failed. */
static bool tidy(struct store *store, struct str path)
{
	struct commit c = { .path = path, .flags = RECORD_DELETED | RECORD_DIRECTORY };

	if (commit_begin(store, &c, COMMIT_TIDY, NULL) < 0)
		return false;
	return commit_wait(store, &c, NULL) == 0;
}

/* Whether to ask for the lock at all: as directory_settle() will judge under it. */
static bool may_go(struct store *store, struct str path)
{
	struct standing standing = { .stands = true };
	struct found found = FOUND_INIT;
	struct version tombstone;
	struct names names;
	bool goes = false;

	names_set(&names, path);
	if (look_tree(store->tree, names.tree, &found, NULL) < 0 ||
	    look_mark(store->history, names_mark(&names, MARK_TOMBSTONE), &tombstone, NULL) < 0)
		return false;
	if (found.kind == FOUND_DIRECTORY)
		goes = look_standing(store, path, &found, &standing, NULL) == 0 && !standing.stands;
	else if (found.kind == FOUND_FILE || found.kind == FOUND_POINTER)
		goes = version_cmp(found.record.version, tombstone) < 0;
	found_clear(&found);
	return goes;
}

void directory_tidy(struct store *store, struct str path)
{
	while (path.n > 0 && may_go(store, path) && tidy(store, path))
		path = path_parent(path);
}

static int add_name(void *data, const char *name)
{
	buf_add(data, name, strlen(name) + 1);
	return 0;
}

void directory_clear(struct store *store, struct str path)
{
	struct names *names = mem_new(1, sizeof *names);
	struct buf all = BUF_INIT, below = BUF_INIT;

	names_set(names, path);
	look_names(store->tree, names->tree, add_name, &all, NULL);
	free(names);
	for (size_t at = 0; at < all.len; at += strlen(all.data + at) + 1) {
		buf_reset(&below);
		path_join(&below, path, str_of(all.data + at));
		if (path_check(buf_str(&below), NULL) == 0 && may_go(store, buf_str(&below)))
			directory_clear(store, buf_str(&below));
	}
	if (may_go(store, path))
		tidy(store, path);
	buf_clear(&all);
	buf_clear(&below);
}
