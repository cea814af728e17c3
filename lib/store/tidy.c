/*
 * tidy - what stands for nothing any more goes from tree/
 *
 * A directory that is no live entry goes when the last name in it has gone,
 * and what waited for that takes its place.  That is done after the commit
 * that removed the name, each directory under its own lock.  Nothing depends
 * on it: what stands is decided by records, and what a crash left goes when
 * its name is wanted.
 */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* A file that stands no more, because its deletion was cut short. */
static bool is_dead(const struct found *found, const struct marks *marks)
{
	return (found->kind == FOUND_FILE || found->kind == FOUND_POINTER) &&
	       (version_cmp(found->record.version, marks->file) < 0 ||
		version_cmp(found->record.version, marks->end) < 0);
}

/* Nothing is in the way of what history names, which may be a version that waits. */
static bool is_due(const struct found *found, const struct marks *marks)
{
	return found->kind == FOUND_NOTHING && version_cmp(marks->file, marks->end) > 0;
}

/* The version that waits and may come, or none; in older stores nothing names it. */
static int find_waiting(struct store *store, struct commit_state *s, struct version *ret,
			struct err *err)
{
	const struct record *file = &s->entry.record;
	struct version v;

	*ret = VERSION_NONE;
	if (store_stands(&s->entry) == STANDS_FILE) {
		*ret = file->version;
		return 0;
	}
	if (s->now.kind != FOUND_DIRECTORY)
		return 0;
	if (look_file(store->history, &s->names,
		      version_cmp(s->marks.end, file->version) > 0 ? s->marks.end : file->version,
		      VERSION_NONE, &v, err) < 0)
		return -1;
	if (!version_is_none(v) &&
	    (commit_open_history(store, s, err) < 0 || commit_mark(s, MARK_FILE, v, err) < 0 ||
	     chain_sync(store, &s->chain, err) < 0))
		return -1;
	*ret = v;
	return 0;
}

/* A dead file's version is in history, and it goes. */
static int remove_dead(struct store *store, const struct commit *c, struct commit_state *s,
		       struct err *err)
{
	int status = commit_set_aside(store, s, err);

	if (status == 0 && s->chain.count > 0)
		status = chain_sync(store, &s->chain, err);
	if (status == 0)
		status = commit_reveal(store, c, s, err);
	return status == 0 ? commit_unlink(s, err) : status;
}

/* The directory, if one is there, goes, and what waits comes. */
static int make_way(struct store *store, struct commit_state *s, struct version waiting,
		    struct err *err)
{
	bool comes = !version_is_none(waiting);
	char temporary[TEMPORARY_NAME];
	int status = 0;

	temporary_name(temporary, "new", s->path);
	if (comes) {
		unlinkat(store->tmp, temporary, 0);	/* whoever left it there died */
		if (linkat(store->history, names_version(&s->names, waiting), store->tmp, temporary,
			   0) < 0)
			return err_sys(err, "bring back what waits");
	}
	if (s->now.kind == FOUND_DIRECTORY && unlinkat(s->parent, s->name, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT)
		status = errno == ENOTEMPTY ? AGAIN : err_sys(err, "remove the directory");
	else if (comes && renameat2(store->tmp, temporary, s->parent, s->name,
				    RENAME_NOREPLACE) < 0 && errno != EEXIST)
		status = err_sys(err, "bring back what waits");
	if (comes)
		unlinkat(store->tmp, temporary, 0);	/* unless it was renamed */
	s->tree_changed = true;
	return status == AGAIN ? 0 : status;	/* something came into it: it stays */
}

int tidy_commit(struct store *store, const struct commit *c, struct commit_state *s,
		struct err *err)
{
	struct version waiting;

	s->record = (struct record){ .flags = 0 };
	if (is_dead(&s->now, &s->marks))
		return remove_dead(store, c, s, err);
	if (s->parent < 0 || s->entry.directory ||
	    (s->now.kind != FOUND_DIRECTORY && s->now.kind != FOUND_NOTHING) ||
	    (s->now.kind == FOUND_DIRECTORY && !look_bare(s->now.fd, ".")))
		return 0;
	if (find_waiting(store, s, &waiting, err) < 0)
		return -1;
	if (s->now.kind == FOUND_NOTHING && version_is_none(waiting))
		return 0;
	if (commit_reveal(store, c, s, err) < 0)
		return -1;
	return make_way(store, s, waiting, err);
}

/* Whether to ask for the lock at all; *ret_holds: a directory that is no live entry is there. */
static bool may_go(struct store *store, struct str path, bool *ret_holds)
{
	struct found found = FOUND_INIT;
	struct marks marks;
	struct names names;
	bool goes = false;

	*ret_holds = false;
	names_set(&names, path);
	if (look_tree(store->tree, names.tree, &found, NULL) == 0 &&
	    look_marks(store->history, &names, &marks, NULL) == 0) {
		*ret_holds = found.kind == FOUND_DIRECTORY &&
			     version_cmp(found.record.version, marks.end) <= 0;
		goes = *ret_holds ? look_bare(found.fd, ".") : is_dead(&found, &marks) || is_due(&found, &marks);
	}
	found_clear(&found);
	return goes;
}

/* Nothing is there any more. */
static bool tidy(struct store *store, struct str path)
{
	struct commit c = { .path = path, .flags = RECORD_DELETED | RECORD_DIRECTORY };
	struct stat st;
	struct names names;

	if (commit_begin(store, &c, COMMIT_TIDY, NULL) < 0 || commit_wait(store, &c, NULL) < 0)
		return false;
	names_set(&names, path);
	return fstatat(store->tree, names.tree, &st, AT_SYMLINK_NOFOLLOW) < 0;
}

void tidy_up(struct store *store, struct str path)
{
	bool holds;

	while (path.n > 0 && may_go(store, path, &holds) && tidy(store, path))
		path = path_parent(path);
}

static int add_name(void *data, const char *name)
{
	buf_add(data, name, strlen(name) + 1);
	return 0;
}

bool tidy_below(struct store *store, struct str path)
{
	struct names *names = mem_new(1, sizeof *names);
	struct buf all = BUF_INIT, below = BUF_INIT;
	bool holds, goes = may_go(store, path, &holds);

	names_set(names, path);
	if (holds && !goes && look_names(store->tree, names->tree, add_name, &all, NULL) == 0) {
		goes = true;
		for (size_t at = 0; at < all.len && goes; at += strlen(all.data + at) + 1) {
			buf_reset(&below);
			path_join(&below, path, str_of(all.data + at));
			goes = path_check(buf_str(&below), NULL) == 0 &&
			       tidy_below(store, buf_str(&below));
		}
	}
	free(names);
	buf_clear(&all);
	buf_clear(&below);
	return goes && tidy(store, path);
}
