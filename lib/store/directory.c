/*
 * directory - directories with records
 *
 * A directory's record is its own attribute.  It is set only after the
 * directory's entry in the one above is on disk: so who finds a live record
 * may rely on the directory.  One without (made by a person, or by whoever
 * died just then) gets one before the first file is put into it.
 *
 * For what was made elsewhere directories are made without a record: they
 * get theirs from where it was made.
 *
 * A directory is removed only when it is empty.  Its tombstone is on disk
 * before; when a file was quicker than this node's own removal, the
 * directory gets a new record above the tombstone.  What is not empty
 * counts as there in any case (standing.c).
 */
#include "inside.h"

#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 64

static bool is_live(struct store *store, struct names *names, int fd)
{
	struct record record = look_directory(fd);
	struct version tombstone;

	return record_is_live(&record) &&
	       look_mark(store->history, names_mark(names, MARK_REMOVED), &tombstone, NULL) == 0 &&
	       version_cmp(record.version, tombstone) > 0;
}

/* Each directory from the top down to the path is made. */
static int make_all(struct store *store, struct str path, enum commit_how how, struct err *err)
{
	for (size_t n = 1; n <= path.n; n++) {
		struct commit c = COMMIT_INIT;

		if (n < path.n && path.s[n] != '/')
			continue;
		c.path = (struct str){ path.s, n };
		c.flags = RECORD_DIRECTORY;
		if (commit_begin(store, &c, how, err) < 0 || commit_wait(store, &c, err) < 0)
			return -1;
	}
	return 0;
}

int directory_open_parent(struct store *store, struct str path, bool make, enum commit_how how,
			  int *ret, struct err *err)
{
	bool elsewhere = how == COMMIT_MERGE || how == COMMIT_ABOVE;
	struct str parent = path_parent(path);
	struct names names;

	if (names_init(&names, parent, err) < 0)
		return -1;
	for (int i = 0; i < TRIES; i++) {
		int fd = fs_open(store->tree, names.tree, O_RDONLY | O_DIRECTORY, 0);

		if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP &&
		    errno != EXDEV)
			return err_sys(err, "open the directory above");
		if (!make || (fd >= 0 && (elsewhere || parent.n == 0 || is_live(store, &names, fd)))) {
			*ret = fd;
			return 0;
		}
		if (fd >= 0)
			close(fd);
		if (make_all(store, parent, elsewhere ? COMMIT_ABOVE : how, err) < 0)
			return -1;
	}
	return err_set(err, ERR_CONFLICT, "the directory above keeps being removed");
}

/* Put an empty directory where a file stands, and the file away: history has it. */
static int exchange(struct store *store, const struct commit *c, struct commit_state *s,
		    struct err *err)
{
	char temporary[TEMPORARY_NAME];

	if (!look_same(s->parent, s->name, &s->now))
		return AGAIN;
	temporary_name(temporary, "directory", c->path);
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

/* A directory stands under its name, durably.  0, AGAIN or -1. */
static int appear(struct store *store, const struct commit *c, struct commit_state *s,
		  struct err *err)
{
	int status = 0;

	if (s->now.kind == FOUND_NOTHING) {
		if (mkdirat(s->parent, s->name, FS_DIR_MODE) < 0)
			return errno == EEXIST || errno == ENOENT
				       ? AGAIN : err_sys(err, "make a directory");
	} else if (s->now.kind != FOUND_DIRECTORY) {
		status = exchange(store, c, s, err);
	}
	return status == 0 ? disk_sync(store, s->parent, "directory", err) : status;
}

static int set_record(struct store *store, struct commit_state *s, struct err *err)
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

/* A record made elsewhere that says nothing new. */
static int make_older(struct store *store, const struct commit *c, struct commit_state *s,
		      struct err *err)
{
	if (version_cmp(s->record.version, s->now.record.version) == 0) {
		s->newest = version_cmp(s->removed, s->record.version) < 0;
		return record_eq(&s->record, &s->now.record)
			       ? 0 : err_set(err, ERR_CORRUPT, "another record has this version");
	}
	if (commit_open_history(store, c, s, err) < 0 || commit_reveal(store, c, s, err) < 0 ||
	    place_mark(store, chain_leaf(&s->chain), &s->record, err) < 0)
		return -1;
	return chain_sync(store, &s->chain, err);
}

/* Live content stands where a directory is wanted. */
static bool in_the_way(const struct commit_state *s)
{
	return s->now.kind == FOUND_FOREIGN ||
	       ((s->now.kind == FOUND_FILE || s->now.kind == FOUND_POINTER) &&
		version_cmp(s->now.record.version, s->tombstone) > 0);
}

int directory_stand(struct store *store, const struct commit *c, struct commit_state *s,
		    struct err *err)
{
	int status = 0;

	if (s->now.kind == FOUND_DIRECTORY && version_is_none(s->record.version))
		return 0;
	if (s->ahead && commit_open_history(store, c, s, err) < 0)
		return -1;
	status = commit_keep(store, c, s, err);
	if (status == 0 && s->chain.count > 0)
		status = chain_sync(store, &s->chain, err);
	if (status == 0)
		status = commit_reveal(store, c, s, err);
	if (status == 0)
		status = appear(store, c, s, err);
	return status;
}

/* This node's own, where one stands. */
static int take_as_it_is(const struct commit *c, struct commit_state *s, struct err *err)
{
	s->record = s->now.record;
	s->newest = true;
	return c->outbox == NULL
		       ? 0 : outbox_begin(c->outbox, c->path, s->record.version, &s->mark, err);
}

int directory_make(struct store *store, const struct commit *c, struct commit_state *s,
		   struct err *err)
{
	/* Not if others know that it was removed after that. */
	bool stands = s->now.kind == FOUND_DIRECTORY && s->entry.directory &&
		      record_is_live(&s->entry.record) &&
		      version_cmp(s->entry.record.version, c->above) > 0;
	int status;

	if (s->now.kind == FOUND_DIRECTORY && !s->entry.directory)
		return CLEAR;	/* it may hide a file */
	if (stands && version_is_none(c->fixed))
		return take_as_it_is(c, s, err);
	if (in_the_way(s) && s->how != COMMIT_MERGE)
		return err_set(err, ERR_CONFLICT, "a file stands there");
	if (commit_choose(store, c, s, err) < 0)
		return -1;
	if (version_cmp(s->record.version, s->removed) <= 0 ||
	    (s->now.kind == FOUND_DIRECTORY &&
	     version_cmp(s->record.version, s->now.record.version) <= 0))
		return make_older(store, c, s, err);
	status = directory_stand(store, c, s, err);
	if (status == 0)
		status = set_record(store, s, err);
	s->newest = true;
	return status;
}

/* A file came into the directory after its tombstone: it lives on, with a record above that. */
static int revive(struct store *store, const struct commit *c, struct commit_state *s,
		  struct err *err)
{
	struct commit again = { .path = c->path, .flags = RECORD_DIRECTORY, .outbox = c->outbox };
	int status;

	s->known = s->record.version;
	chain_close(&s->chain);
	if (commit_choose(store, &again, s, err) < 0)
		return -1;
	if (s->ahead && (commit_open_history(store, &again, s, err) < 0 ||
			 chain_sync(store, &s->chain, err) < 0))
		return -1;
	if (s->mark.segment != 0 && outbox_wait(c->outbox, s->mark, err) < 0)
		return -1;
	status = set_record(store, s, err);
	return status == 0 ? err_set(err, ERR_EXISTS, "the directory is not empty") : status;
}

/* The file's version that the directory hides gets a name in tmp/.  1: there is one, 0, -1. */
static int prepare_hidden(struct store *store, struct commit_state *s, const char *temporary,
			  struct err *err)
{
	struct version dead = version_cmp(s->record.version, s->tombstone) > 0
				      ? s->record.version : s->tombstone;
	struct version hidden;

	if (look_hidden(store->history, &s->names, dead, &hidden, err) < 0)
		return -1;
	if (version_is_none(hidden))
		return 0;
	unlinkat(store->tmp, temporary, 0);	/* whoever left it there died */
	if (linkat(store->history, names_version(&s->names, hidden), store->tmp, temporary, 0) < 0)
		return err_sys(err, "bring a file's version back");
	return 1;
}

/* The record of the directory that goes is in history. */
static int keep_record(struct store *store, const struct commit *c, struct commit_state *s,
		       struct err *err)
{
	if (version_is_none(s->now.record.version))
		return 0;
	if (commit_open_history(store, c, s, err) < 0 ||
	    place_mark(store, chain_leaf(&s->chain), &s->now.record, err) < 0)
		return -1;
	return chain_sync(store, &s->chain, err);
}

/* The directory goes, and what it hid comes.  AGAIN: it is not empty. */
static int take_away(struct store *store, const struct commit *c, struct commit_state *s,
		     struct err *err)
{
	char temporary[TEMPORARY_NAME];
	int hidden, status = 0;

	if (keep_record(store, c, s, err) < 0 || commit_reveal(store, c, s, err) < 0)
		return -1;
	hidden = prepare_hidden(store, s, temporary_name(temporary, "new", c->path), err);
	if (hidden < 0)
		return -1;
	if (unlinkat(s->parent, s->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		status = errno == ENOTEMPTY ? AGAIN : err_sys(err, "remove the directory");
	else if (hidden > 0 && renameat2(store->tmp, temporary, s->parent, s->name,
					 RENAME_NOREPLACE) < 0 && errno != EEXIST)
		status = err_sys(err, "bring a file's version back");
	if (hidden > 0)
		unlinkat(store->tmp, temporary, 0);	/* unless it was renamed */
	if (status == 0)
		s->tree_changed = s->left = true;
	return status;
}

int directory_may_go(struct store *store, const struct commit *c, struct commit_state *s, struct err *err)
{
	bool dies = s->how == COMMIT_MERGE || c->flags & RECORD_DIRECTORY, empty;

	if (!dies)
		return err_set(err, ERR_CONFLICT, "a directory stands there");
	if (directory_is_empty(store, c->path, s->now.fd, &empty, err) < 0)
		return -1;
	if (!empty)
		return s->how == COMMIT_MERGE
			       ? 0 : err_set(err, ERR_EXISTS, "the directory is not empty");
	return directory_is_bare(s->now.fd, &empty, err) < 0 ? -1 : empty ? 0 : CLEAR;
}

int directory_remove(struct store *store, const struct commit *c, struct commit_state *s,
		     struct err *err)
{
	bool dies = c->flags & RECORD_DIRECTORY &&
		    version_cmp(s->record.version, s->now.record.version) > 0, empty;
	int status;

	if (commit_bury(store, c, s, err) < 0 || directory_is_empty(store, c->path, s->now.fd, &empty, err) < 0)
		return -1;
	if (!dies || !empty)
		return 0;
	status = take_away(store, c, s, err);
	if (status != AGAIN)
		return status;
	return s->how == COMMIT_MERGE ? 0 : revive(store, c, s, err);
}

/* A deletion that was cut short: the dead file goes. */
static int settle_file(struct store *store, const struct commit *c, struct commit_state *s,
		       struct err *err)
{
	int status = commit_keep(store, c, s, err);

	if (status == 0 && s->chain.count > 0)
		status = chain_sync(store, &s->chain, err);
	if (status == 0)
		status = commit_reveal(store, c, s, err);
	if (status != 0 || !look_same(s->parent, s->name, &s->now))
		return status;
	if (unlinkat(s->parent, s->name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove it from tree/");
	s->tree_changed = s->left = true;
	return 0;
}

int directory_settle(struct store *store, const struct commit *c, struct commit_state *s,
		     struct err *err)
{
	bool file = s->now.kind == FOUND_FILE || s->now.kind == FOUND_POINTER;
	int status;

	s->record = (struct record){ .flags = 0 };
	if (file && version_cmp(s->now.record.version, s->tombstone) < 0)
		return settle_file(store, c, s, err);
	if (s->now.kind != FOUND_DIRECTORY || s->entry.directory)
		return 0;
	status = take_away(store, c, s, err);
	return status == AGAIN ? 0 : status;	/* something came into it */
}
