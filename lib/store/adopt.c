/*
 * adopt - making versions of what a person put into tree/
 *
 * In a larger group only an empty directory gets a record here: any other
 * gets one, if it has none, with the first file below it that the homes are
 * told of, and may be one that they know to be removed.
 *
 * A file is copied, not taken as it is: it may be another user's, and a
 * program may have it open and go on writing.  The copy replaces it only
 * if nothing about it has changed since before the copying.
 */
#include "inside.h"

#include "mem.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct adoption {
	struct store *store;
	void (*adopted)(void *data, struct str path, const struct record *);
	void *data;
	struct outbox *outbox;
	uint64_t count;
	struct err *err;
};

/* What must still be so under the lock. */
struct seen {
	struct store *store;
	struct names *names;
	struct stat st;
};

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int unchanged(const struct commit *c, const struct store_entry *now, struct err *err)
{
	const struct seen *seen = c->data;
	struct stat st;

	if (now->foreign &&
	    fstatat(seen->store->tree, seen->names->tree, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_ino == seen->st.st_ino && st.st_size == seen->st.st_size &&
	    same_time(&st.st_mtim, &seen->st.st_mtim) && same_time(&st.st_ctim, &seen->st.st_ctim))
		return 0;
	return err_set(err, ERR_PRECONDITION, "it was changed meanwhile");
}

static int commit_copy(struct adoption *a, struct str path, struct stage *stage,
		       struct seen *seen)
{
	struct commit c = COMMIT_INIT;
	struct err why = ERR_INIT;
	int status;

	c.path = path;
	c.stage = stage;
	if (seen->st.st_mtim.tv_sec > 0 && seen->st.st_mtim.tv_sec <= UINT32_MAX)
		c.mtime = (uint32_t)seen->st.st_mtim.tv_sec;
	c.outbox = a->outbox;
	c.alone = a->outbox == NULL;
	c.condition = unchanged;
	c.data = seen;
	status = commit_begin(a->store, &c, COMMIT_ADOPT, &why);
	if (status == 0)
		status = commit_wait(a->store, &c, &why);
	if (status < 0 && why.kind == ERR_PRECONDITION)
		return 0;
	if (status < 0) {
		if (a->err != NULL)
			*a->err = why;
		return -1;
	}
	a->count++;
	a->adopted(a->data, path, &c.record);
	return 0;
}

static int adopt_file(struct adoption *a, struct str path, struct names *names,
		      const struct found *found)
{
	struct seen seen = { .store = a->store, .names = names };
	struct stage *stage = NULL;
	int status;

	if (found->fd < 0 || fstat(found->fd, &seen.st) < 0 || !S_ISREG(seen.st.st_mode))
		return 0;
	if (stage_begin(a->store, &stage, a->err) < 0)
		return -1;
	status = stage_copy(stage, found->fd, a->err);
	if (status == 0)
		status = stage_sync(stage, a->err);
	if (status == 0)
		status = commit_copy(a, path, stage, &seen);
	stage_free(stage);
	return status;
}

static int add_name(void *data, const char *name)
{
	buf_add(data, name, strlen(name) + 1);
	return 0;
}

static int adopt(struct adoption *a, struct str path);

/* The names are read first: adopting changes the directory. */
static int adopt_below(struct adoption *a, struct str path, struct names *names)
{
	struct buf all = BUF_INIT, below = BUF_INIT;
	int status = look_names(a->store->tree, names->tree, add_name, &all, a->err);

	for (size_t at = 0; at < all.len && status == 0; at += strlen(all.data + at) + 1) {
		buf_reset(&below);
		path_join(&below, path, str_of(all.data + at));
		if (path_check(buf_str(&below), NULL) == 0)
			status = adopt(a, buf_str(&below));
	}
	buf_clear(&all);
	buf_clear(&below);
	return status;
}

static int adopt_directory(struct adoption *a, struct str path, struct names *names)
{
	struct commit c = COMMIT_INIT;
	bool wanted = path.n > 0 &&
		      (a->outbox == NULL || look_bare(a->store->tree, names->tree));

	c.path = path;
	c.flags = RECORD_DIRECTORY;
	c.outbox = a->outbox;
	c.alone = a->outbox == NULL;
	if (wanted && store_commit(a->store, &c, a->err) < 0)
		return -1;
	return adopt_below(a, path, names);
}

/* Below the first call what is gone meanwhile is nobody's concern. */
static int adopt(struct adoption *a, struct str path)
{
	struct names *names = mem_new(1, sizeof *names);
	struct found found = FOUND_INIT;
	int status = names_init(names, path, a->err);

	if (status == 0)
		status = look_tree(a->store->tree, names->tree, &found, a->err);
	if (status == 0 && found.kind == FOUND_FOREIGN)
		status = adopt_file(a, path, names, &found);
	if (status == 0 && found.kind == FOUND_DIRECTORY) {
		found_clear(&found);	/* not one descriptor per level */
		status = adopt_directory(a, path, names);
	}
	found_clear(&found);
	free(names);
	return status;
}

int store_adopt(struct store *store, struct str path, struct outbox *outbox,
		void (*adopted)(void *data, struct str path, const struct record *), void *data,
		uint64_t *ret_count, struct err *err)
{
	struct adoption a = { .store = store, .adopted = adopted, .data = data,
			      .outbox = outbox, .err = err };

	if (adopt(&a, path) < 0)
		return err_context(err, "adopt %s", shown(path).text);
	*ret_count = a.count;
	return 0;
}
