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
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS 16

struct adoption {
	struct store *store;
	struct outbox *outbox;
	pthread_mutex_t lock;	/* of what follows */
	void (*adopted)(void *data, struct str path, const struct record *);
	void *data;
	uint64_t count;
};

/* The names of one directory, and what becomes of them. */
struct below {
	struct adoption *adoption;
	struct str path;
	pthread_mutex_t lock;	/* of what follows */
	struct buf names;	/* each with its NUL */
	size_t next;		/* where in names the next one begins */
	struct buf directories;	/* of them, for later */
	int status;
	struct err err;
};

/* What must still be so under the lock. */
struct seen {
	struct store *store;
	struct names *names;
	struct stat st;
};

static bool time_eq(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int file_is_unchanged(const struct commit *c, const struct store_entry *now, struct err *err)
{
	const struct seen *seen = c->data;
	struct stat st;

	if (now->foreign &&
	    fstatat(seen->store->tree, seen->names->tree, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_ino == seen->st.st_ino && st.st_size == seen->st.st_size &&
	    time_eq(&st.st_mtim, &seen->st.st_mtim) && time_eq(&st.st_ctim, &seen->st.st_ctim))
		return 0;
	return err_set(err, ERR_PRECONDITION, "it was changed meanwhile");
}

static int adopt_copy(struct adoption *a, struct str path, struct stage *stage,
		      struct seen *seen, struct err *err)
{
	struct commit c = COMMIT_INIT;
	struct err why = ERR_INIT;
	int status;

	c.path = path;
	c.stage = stage;
	if (seen->st.st_mtim.tv_sec > 0 && seen->st.st_mtim.tv_sec <= UINT32_MAX)
		c.mtime = (uint32_t)seen->st.st_mtim.tv_sec;
	c.outbox = a->outbox;
	c.ungrouped = a->outbox == NULL;
	c.condition = file_is_unchanged;
	c.data = seen;
	status = commit_adopt(a->store, &c, &why);
	if (status < 0 && why.kind == ERR_PRECONDITION)
		return 0;
	if (status < 0)
		return err_pass(err, &why);
	pthread_mutex_lock(&a->lock);
	a->count++;
	a->adopted(a->data, path, &c.record);
	pthread_mutex_unlock(&a->lock);
	return 0;
}

static int adopt_file(struct adoption *a, struct str path, struct names *names,
		      const struct inode *found, struct err *err)
{
	struct seen seen = { .store = a->store, .names = names };
	struct stage *stage = NULL;
	int status;

	if (found->fd < 0 || fstat(found->fd, &seen.st) < 0 || !S_ISREG(seen.st.st_mode))
		return 0;
	if (stage_begin(a->store, &stage, err) < 0)
		return -1;
	status = stage_copy(stage, found->fd, err);
	if (status == 0)
		status = stage_sync(stage, err);
	if (status == 0)
		status = adopt_copy(a, path, stage, &seen, err);
	stage_free(stage);
	return status;
}

/* A directory is only told of.  What is gone meanwhile is nobody's concern. */
static int adopt_name(struct adoption *a, struct str path, bool *ret_directory, struct err *err)
{
	struct names *names = mem_new(1, sizeof *names);
	struct inode found = INODE_INIT;
	int status = names_init(names, path, err);

	if (status == 0)
		status = inode_read_tree(a->store->tree, names->tree, &found, err);
	if (status == 0 && found.kind == INODE_FOREIGN)
		status = adopt_file(a, path, names, &found, err);
	*ret_directory = status == 0 && found.kind == INODE_DIRECTORY;
	inode_clear(&found);
	free(names);
	return status;
}

/* The next name; false: there is none, or something failed. */
static bool below_take_name(struct below *below, const char **ret)
{
	bool taken;

	pthread_mutex_lock(&below->lock);
	taken = below->status == 0 && below->next < below->names.len;
	if (taken) {
		*ret = below->names.data + below->next;
		below->next += strlen(*ret) + 1;
	}
	pthread_mutex_unlock(&below->lock);
	return taken;
}

static void *below_adopt_names(void *data)
{
	struct below *below = data;
	const char *name;

	while (below_take_name(below, &name)) {
		struct buf path = BUF_INIT;
		struct err err = ERR_INIT;
		bool directory = false;
		int status = 0;

		if (path_below(&path, below->path, name))
			status = adopt_name(below->adoption, buf_str(&path), &directory, &err);
		buf_clear(&path);
		pthread_mutex_lock(&below->lock);
		if (directory)
			buf_add(&below->directories, name, strlen(name) + 1);
		if (status < 0 && below->status == 0)
			below->err = err;
		below->status = below->status < 0 ? below->status : status;
		pthread_mutex_unlock(&below->lock);
	}
	return NULL;
}

/* Where there can be no more threads, fewer do it. */
static void below_adopt(struct below *below)
{
	pthread_t threads[THREADS];
	size_t count = 0;

	pthread_mutex_init(&below->lock, NULL);
	while (count < THREADS - 1 && pthread_create(&threads[count], NULL, below_adopt_names, below) == 0)
		count++;
	below_adopt_names(below);
	while (count > 0)
		pthread_join(threads[--count], NULL);
	pthread_mutex_destroy(&below->lock);
}

static int adopt_directory(struct adoption *a, struct str path, struct err *err);

/* The names are read first: adopting changes the directory. */
static int adopt_below(struct adoption *a, struct str path, const struct names *names, struct err *err)
{
	struct below below = { .adoption = a, .path = path };
	int status = names_collect(a->store->tree, names->tree, &below.names, err);

	if (status == 0) {
		below_adopt(&below);
		if (below.status < 0)
			status = err_pass(err, &below.err);
	}
	for (size_t at = 0; at < below.directories.len && status == 0;
	     at += strlen(below.directories.data + at) + 1) {
		struct buf deeper = BUF_INIT;

		path_join(&deeper, path, str_of(below.directories.data + at));
		status = adopt_directory(a, buf_str(&deeper), err);
		buf_clear(&deeper);
	}
	buf_clear(&below.names);
	buf_clear(&below.directories);
	return status;
}

static int adopt_directory(struct adoption *a, struct str path, struct err *err)
{
	struct names *names = mem_new(1, sizeof *names);
	struct commit c = COMMIT_INIT;
	int status = names_init(names, path, err);
	bool wanted = status == 0 && path.n > 0 &&
		      (a->outbox == NULL || names_none(a->store->tree, names->tree));

	c.path = path;
	c.flags = RECORD_DIRECTORY;
	c.outbox = a->outbox;
	c.ungrouped = a->outbox == NULL;
	if (wanted)
		status = store_commit(a->store, &c, err);
	if (status == 0)
		status = adopt_below(a, path, names, err);
	free(names);
	return status;
}

int store_adopt(struct store *store, struct str path, struct outbox *outbox,
		void (*adopted)(void *data, struct str path, const struct record *), void *data,
		uint64_t *ret_count, struct err *err)
{
	struct adoption a = { .store = store, .adopted = adopted, .data = data, .outbox = outbox };
	bool directory;
	int status;

	pthread_mutex_init(&a.lock, NULL);
	status = adopt_name(&a, path, &directory, err);
	if (status == 0 && directory)
		status = adopt_directory(&a, path, err);
	pthread_mutex_destroy(&a.lock);
	if (status < 0)
		return err_context(err, "adopt %s", shown(path).text);
	*ret_count = a.count;
	return 0;
}
