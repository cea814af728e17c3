/*
 * directory - directories in tree/, and live entries
 *
 * A live entry's record is the attribute of its directory in tree/.  It is
 * set only after the directory's name in the one above is on disk: so who
 * finds it may rely on the directory.  Other directories only hold what is
 * below them, and need no records.
 *
 * In a group of one whoever writes a file makes the entries above it live
 * first, and looks once more when the file is on disk; whoever ends an
 * entry looks into it once more when the end is (bury.c).  So one of two who
 * do both at once sees the other.
 */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 64

static bool is_live(struct store *store, struct names *names, int fd)
{
	struct record record = look_directory(fd);
	struct version end;

	return record_is_live(&record) &&
	       look_mark(store->history, names_mark(names, MARK_END), &end, NULL) == 0 &&
	       version_cmp(record.version, end) > 0;
}

/* Each directory from the top down to the path is made. */
static int make_all(struct store *store, struct str path, bool alone, struct err *err)
{
	for (size_t n = 1; n <= path.n; n++) {
		struct commit c = COMMIT_INIT;

		if (n < path.n && path.s[n] != '/')
			continue;
		c.path = (struct str){ path.s, n };
		c.flags = RECORD_DIRECTORY;
		c.alone = alone;
		if (commit_begin(store, &c, alone ? COMMIT_OWN : COMMIT_ABOVE, err) < 0 ||
		    commit_wait(store, &c, err) < 0)
			return -1;
	}
	return 0;
}

int directory_open_parent(struct store *store, struct str path, bool make, bool alone, int *ret,
			  struct err *err)
{
	struct str parent = path_parent(path);
	struct names names;

	if (names_init(&names, parent, err) < 0)
		return -1;
	for (int i = 0; i < TRIES; i++) {
		int fd = fs_open(store->tree, names.tree, O_RDONLY | O_DIRECTORY, 0);

		if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP &&
		    errno != EXDEV)
			return err_sys(err, "open the directory above");
		if (!make || (fd >= 0 && (!alone || parent.n == 0 || is_live(store, &names, fd)))) {
			*ret = fd;
			return 0;
		}
		if (fd >= 0)
			close(fd);
		if (make_all(store, parent, alone, err) < 0)
			return -1;
	}
	return err_set(err, ERR_CONFLICT, "the directory above keeps being removed");
}

int directory_live_above(struct store *store, struct str path, struct err *err)
{
	int fd;

	if (directory_open_parent(store, path, true, true, &fd, err) < 0)
		return -1;
	close(fd);
	return 0;
}

/* Put an empty directory where a file is, and the file away: history has it. */
static int exchange(struct store *store, struct commit_state *s, struct err *err)
{
	char temporary[TEMPORARY_NAME];

	if (!look_same(s->parent, s->name, &s->now))
		return AGAIN;
	temporary_name(temporary, "directory", s->path);
	unlinkat(store->tmp, temporary, 0);	/* a file, when somebody died after the exchange */
	if (mkdirat(store->tmp, temporary, FS_DIR_MODE) < 0 && errno != EEXIST)
		return err_sys(err, "make a directory");
	if (renameat2(store->tmp, temporary, s->parent, s->name, RENAME_EXCHANGE) < 0) {
		int status = errno == ENOENT ? AGAIN : err_sys(err, "put a directory in its place");

		unlinkat(store->tmp, temporary, AT_REMOVEDIR);
		return status;
	}
	unlinkat(store->tmp, temporary, 0);
	return 0;
}

/* A directory is there under its name, durably.  0, AGAIN or -1. */
static int appear(struct store *store, struct commit_state *s, struct err *err)
{
	int status = 0;

	if (s->now.kind == FOUND_NOTHING) {
		if (mkdirat(s->parent, s->name, FS_DIR_MODE) < 0)
			return errno == EEXIST || errno == ENOENT
				       ? AGAIN : err_sys(err, "make a directory");
	} else if (s->now.kind != FOUND_DIRECTORY) {
		status = exchange(store, s, err);
	}
	return status == 0 ? disk_sync(store, s->parent, "directory", err) : status;
}

int directory_set_record(struct store *store, struct commit_state *s, struct err *err)
{
	int fd = fs_open(s->parent, s->name, O_RDONLY | O_DIRECTORY, 0);
	int status;

	if (fd < 0)
		return errno == ENOENT ? AGAIN : err_sys(err, "open the new directory");
	status = put_record(fd, &s->record, (struct str)STR_INIT, true, err);
	if (status == 0)
		status = disk_sync(store, fd, "directory", err);
	close(fd);
	return status;
}

/* The record that another takes the place of is in history, not yet synced. */
static int keep_record(struct store *store, struct commit_state *s, struct err *err)
{
	if (s->now.kind != FOUND_DIRECTORY || version_is_none(s->now.record.version))
		return 0;
	if (commit_open_history(store, s, err) < 0)
		return -1;
	return place_mark(store, chain_leaf(&s->chain), &s->now.record, err);
}

int directory_hold(struct store *store, const struct commit *c, struct commit_state *s,
		   struct err *err)
{
	int status;

	if (s->now.kind == FOUND_DIRECTORY && s->how == COMMIT_ABOVE)
		return 0;
	if (s->parent < 0)
		return ABOVE;
	if (s->ahead && commit_open_history(store, s, err) < 0)
		return -1;
	status = keep_record(store, s, err);
	if (status == 0)
		status = commit_set_aside(store, s, err);
	if (status == 0 && s->chain.count > 0)
		status = chain_sync(store, &s->chain, err);
	if (status == 0)
		status = commit_reveal(store, c, s, err);
	if (status == 0)
		status = appear(store, s, err);
	return status;
}

/* A record that is not the newest, or is it already. */
static int make_older(struct store *store, const struct commit *c, struct commit_state *s,
		      struct err *err)
{
	bool there;

	s->newest = version_cmp(s->record.version, s->entry.entry.version) == 0;
	if (s->newest)
		return record_eq(&s->record, &s->entry.entry)
			       ? 0 : err_set(err, ERR_CORRUPT, "another record has this version");
	if (commit_is_in_history(store, s, &there, err) < 0)
		return -1;
	if (there)
		return 0;
	if (commit_open_history(store, s, err) < 0 || commit_reveal(store, c, s, err) < 0 ||
	    place_mark(store, chain_leaf(&s->chain), &s->record, err) < 0)
		return -1;
	return chain_sync(store, &s->chain, err);
}

/* This node's own, where one stands. */
static int take_as_it_is(const struct commit *c, struct commit_state *s, struct err *err)
{
	s->record = s->entry.entry;
	s->newest = true;
	return c->outbox == NULL
		       ? 0 : outbox_begin(c->outbox, c->path, s->record.version, &s->mark, err);
}

int directory_make(struct store *store, const struct commit *c, struct commit_state *s,
		   struct err *err)
{
	bool alone = s->how == COMMIT_OWN && c->alone;
	int status;

	/* Not if others know that it was removed after that. */
	if (version_is_none(c->fixed) && s->entry.directory &&
	    version_cmp(s->entry.entry.version, c->above) > 0)
		return take_as_it_is(c, s, err);
	if (alone && (s->now.kind == FOUND_FOREIGN || store_stands(&s->entry) == STANDS_FILE))
		return err_set(err, ERR_CONFLICT, "a file stands there");
	if (commit_choose(store, c, s, err) < 0)
		return -1;
	if (version_cmp(s->record.version, s->entry.entry.version) <= 0)
		return make_older(store, c, s, err);
	s->newest = true;
	status = directory_hold(store, c, s, err);
	return status == 0 ? directory_set_record(store, s, err) : status;
}

int directory_is_empty(struct store *store, struct str path, bool *ret, struct err *err)
{
	struct names *names = mem_new(1, sizeof *names);
	struct children children = CHILDREN_INIT;
	struct buf below = BUF_INIT;
	bool empty = true;
	int status;

	names_set(names, path);
	status = children_read(store, names, &children, err);
	for (size_t i = 0; i < children.count && status == 0 && empty; i++) {
		struct store_entry entry = STORE_ENTRY_INIT;

		buf_reset(&below);
		path_join(&below, path, str_of(children.names[i]));
		if (path_check(buf_str(&below), NULL) < 0)
			continue;
		status = newest_now(store, buf_str(&below), STORE_RECORD, &entry, err);
		empty = store_stands(&entry) == STANDS_NOTHING;
		store_entry_clear(&entry);
	}
	children_clear(&children);
	buf_clear(&below);
	free(names);
	if (status == 0)
		*ret = empty;
	return status;
}
