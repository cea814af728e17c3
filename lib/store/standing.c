/*
 * standing - is a directory in tree/ one, by the records that are known
 *
 * A directory with a live record stands.  One without, or with a dead one,
 * stands as long as something is in it: a file that is not deleted, which
 * may be a person's, or a directory that stands.  So a directory that was made only for what was
 * merged below it, and is empty again, is none, wherever it was left.
 */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <fcntl.h>
#include <unistd.h>

struct counting {
	struct store *store;
	struct str path;
	int dir;		/* the path's directory in tree/ */
	bool empty;
	struct err *err;
};

/* A file counts unless its deletion was cut short; so does what covey did not make. */
static int file_counts(const struct counting *c, const char *name, struct names *below, bool *ret)
{
	struct found found = FOUND_INIT;
	struct version tombstone;

	if (look_mark(c->store->history, names_mark(below, MARK_TOMBSTONE), &tombstone, c->err) < 0)
		return -1;
	if (version_is_none(tombstone)) {
		*ret = true;
		return 0;
	}
	if (look_tree(c->dir, name, &found, c->err) < 0)
		return -1;
	*ret = found.kind == FOUND_FOREIGN || version_cmp(found.record.version, tombstone) > 0;
	found_clear(&found);
	return 0;
}

static int directory_counts(const struct counting *c, struct str path, struct names *below, int fd,
			    bool *ret)
{
	struct record record = look_directory(fd);
	struct version removed;
	bool empty;

	if (look_mark(c->store->history, names_mark(below, MARK_REMOVED), &removed, c->err) < 0)
		return -1;
	if (version_cmp(record.version, removed) > 0) {
		*ret = true;
		return 0;
	}
	if (directory_is_empty(c->store, path, fd, &empty, c->err) < 0)
		return -1;
	*ret = !empty;
	return 0;
}

static int count_name(void *data, const char *name)
{
	struct counting *c = data;
	struct buf path = BUF_INIT;
	struct names *below;
	bool counts = true;
	int fd, status = 0;

	path_join(&path, c->path, str_of(name));
	if (path_check(buf_str(&path), NULL) == 0) {
		below = mem_new(1, sizeof *below);
		names_set(below, buf_str(&path));
		fd = fs_open(c->dir, name, O_RDONLY | O_DIRECTORY, 0);
		status = fd >= 0 ? directory_counts(c, buf_str(&path), below, fd, &counts)
				 : file_counts(c, name, below, &counts);
		if (fd >= 0)
			close(fd);
		free(below);
	}
	buf_clear(&path);
	c->empty = !counts;
	return status < 0 ? -1 : counts;
}

int directory_is_empty(struct store *store, struct str path, int fd, bool *ret, struct err *err)
{
	struct counting c = { .store = store, .path = path, .dir = fd, .empty = true, .err = err };

	if (look_names(fd, ".", count_name, &c, err) < 0)
		return -1;
	*ret = c.empty;
	return 0;
}

static int stop(void *data, const char *name)
{
	(void)name;
	*(bool *)data = false;
	return 1;
}

int directory_is_bare(int fd, bool *ret, struct err *err)
{
	bool bare = true;

	if (look_names(fd, ".", stop, &bare, err) < 0)
		return -1;
	*ret = bare;
	return 0;
}

int look_standing(struct store *store, struct str path, const struct found *found,
		  struct standing *ret, struct err *err)
{
	struct standing s = { .record = found->record };
	struct names names;
	bool empty = false;

	names_set(&names, path);
	if (look_mark(store->history, names_mark(&names, MARK_REMOVED), &s.removed, err) < 0)
		return -1;
	if (version_cmp(s.record.version, s.removed) <= 0 &&
	    directory_is_empty(store, path, found->fd, &empty, err) < 0)
		return -1;
	s.stands = !empty;
	if (version_cmp(s.removed, s.record.version) > 0 &&
	    look_tombstone(store->history, names_version(&names, s.removed), s.removed, &s.record,
			   err) < 0)
		return -1;
	*ret = s;
	return 0;
}
