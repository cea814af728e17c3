/*
 * trees - put -r, get -r and rm -r: one walk, with many requests under way at once
 *
 *	a directory	list it there (put: here, too), add a step for each name in it
 *	a file		get: download; put: upload; both unless it is the same; rm: delete
 *
 * Threads, each with a client of its own, take the steps.  The step that was
 * added last is taken first, so that few wait at any time.  When a node gives
 * no answer the rest is not tried.
 *
 * Names come from others.  A name that could mean anything but one name in
 * one directory is refused; get opens everything below the directory that
 * was named, and follows no symbolic link on the way.
 */
#include "trees.h"

#include "output.h"
#include "transfer.h"

#include "mem.h"
#include "path.h"
#include "pct.h"
#include "version.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define THREADS 16		/* requests at once */
#define RACY_S 2		/* times are whole seconds, and clocks differ a little */

/* A name in a directory of the group. */
struct remote_entry {
	char *name;		/* owned; one component, exact bytes */
	bool directory;
	uint64_t size;		/* bytes */
	uint64_t mtime;		/* the client's, s since 1970; 0: not given */
	struct timespec made;	/* the version's time */
	char version[VERSION_TEXT];
	uint8_t sha256[32];
};

/* A directory of the group, as a node lists it. */
struct remote {
	struct remote_entry *entries;	/* owned; sorted by the bytes of their names */
	size_t count;
	bool absent;		/* there is no such directory */
	bool confirmed;		/* else it may hold more, or be there */
};
#define REMOTE_INIT { .entries = NULL, .count = 0 }

struct step;
typedef int step_run(struct step *, struct client *);	/* the exit status; everything is told */

struct step {
	struct step *next;
	struct tree *tree;
	step_run *run;
	bool file;		/* counts in the line of progress */
	uint64_t bytes;		/* that it transferred */
	struct buf path;	/* in the group, without slashes at its ends */
	struct buf here;	/* put: the path here; get: below the root, "" is the root itself */
	bool absent;		/* put, a directory: it is known not to be there */
	/* a file of put or get that may be the same on both sides */
	bool compare;		/* if its sha256 is that of the entry */
	bool fresh;		/* get: no part of an earlier try is in its directory */
	struct remote_entry entry;	/* in the group; name is NULL */
};

struct worker {
	struct tree *tree;
	struct client *client;	/* owned */
	pthread_t thread;
};

struct tree {
	struct buf path;	/* that was named, in the group, without slashes at its ends */
	const char *here;	/* get, put: the directory that was named */
	const struct write *write;	/* put, rm */
	bool checksum;
	atomic_uint_least64_t done, same;	/* files fetched, stored; files and directories removed */
	atomic_uint_least64_t made;	/* put: empty directories */
	atomic_uint_least64_t unsure;	/* writes that are not confirmed */
	int root;		/* get: here, opened; owned; -1: not yet */
	/* rm */
	bool again;		/* the second time: what is in the way is told */
	atomic_bool busy;	/* something was in the way */
	bool found;		/* there was a directory */
	/* the walk */
	const char *name;	/* in the line of progress */
	struct worker workers[THREADS];
	pthread_mutex_t lock;	/* of all that follows */
	pthread_cond_t changed;
	struct step *waiting;	/* the one added last is first */
	struct step *directories;	/* rm: to be removed when what is in them is gone */
	size_t running;
	int status;
	bool over;		/* a node gave no answer */
	uint64_t files, files_done, bytes;
	struct progress progress;
};

/* steps */

static struct step *step_new(struct tree *tree, step_run *run, struct str path, struct str here)
{
	struct step *step = mem_new(1, sizeof *step);

	step->tree = tree;
	step->run = run;
	buf_addstr(&step->path, path);
	buf_addstr(&step->here, here);
	return step;
}

static void step_free(struct step *step)
{
	buf_clear(&step->path);
	buf_clear(&step->here);
	free(step);
}

static void step_add(struct step *step)
{
	struct tree *tree = step->tree;

	pthread_mutex_lock(&tree->lock);
	step->next = tree->waiting;
	tree->waiting = step;
	tree->files += step->file;
	pthread_cond_signal(&tree->changed);
	pthread_mutex_unlock(&tree->lock);
}

/* Take the first step that waits.  The lock is held before and after. */
static void step_take(struct tree *tree, struct client *client)
{
	struct step *step = tree->waiting;
	bool tried = !tree->over;
	int status = 0;

	tree->waiting = step->next;
	tree->running++;
	pthread_mutex_unlock(&tree->lock);
	if (tried)
		status = step->run(step, client);
	pthread_mutex_lock(&tree->lock);
	tree->running--;
	tree->status = status_worse(tree->status, status);
	if (tried && client_lost(client)) {
		if (!tree->over && tree->waiting != NULL)
			command_say("the node gives no answer: the rest is not tried");
		tree->over = true;
	}
	tree->files_done += tried && step->file;
	tree->bytes += step->bytes;
	progress_files(&tree->progress, tree->files_done, tree->files, tree->bytes);
	step_free(step);
}

static void *tree_work(void *data)
{
	struct worker *worker = data;
	struct tree *tree = worker->tree;

	pthread_mutex_lock(&tree->lock);
	while (tree->waiting != NULL || tree->running > 0)
		if (tree->waiting != NULL)
			step_take(tree, worker->client);
		else
			pthread_cond_wait(&tree->changed, &tree->lock);
	pthread_cond_broadcast(&tree->changed);
	pthread_mutex_unlock(&tree->lock);
	return NULL;
}

/* Until no step is left; the worst exit status so far.  Where there can be no more threads, fewer do it. */
static int tree_run(struct tree *tree)
{
	size_t started = 1;

	progress_begin(&tree->progress, tree->name);
	while (started < THREADS && pthread_create(&tree->workers[started].thread, NULL, tree_work,
						   &tree->workers[started]) == 0)
		started++;
	tree_work(&tree->workers[0]);
	for (size_t i = 1; i < started; i++)
		pthread_join(tree->workers[i].thread, NULL);
	progress_end(&tree->progress);
	return tree->status;
}

/* 0, or the exit status after everything was told; then there is nothing to close. */
static int tree_open(struct tree *tree, const char *path, const char *name, const char *url)
{
	struct client *first;
	struct err err = ERR_INIT;
	int status = command_path(&tree->path, path);

	if (status == 0 && client_open(&first, url, &err) < 0)
		status = command_fail(&err);
	if (status != 0) {
		buf_clear(&tree->path);
		return status;
	}
	for (size_t i = 0; i < THREADS; i++)
		tree->workers[i] = (struct worker){ .tree = tree,
						    .client = i == 0 ? first : client_copy(first) };
	tree->name = name;
	tree->root = -1;
	pthread_mutex_init(&tree->lock, NULL);
	pthread_cond_init(&tree->changed, NULL);
	return 0;
}

static void tree_close(struct tree *tree)
{
	if (tree->root >= 0)
		close(tree->root);
	for (size_t i = 0; i < THREADS; i++)
		client_close(tree->workers[i].client);
	pthread_cond_destroy(&tree->changed);
	pthread_mutex_destroy(&tree->lock);
	buf_clear(&tree->path);
}

static void tree_told_unsure(const struct tree *tree)
{
	if (tree->unsure > 0)
		command_say("%llu of %llu are on this node's disk, and not confirmed by the group yet (202)",
			    (unsigned long long)tree->unsure, (unsigned long long)(tree->done + tree->made));
}

/* a directory of the group */

static void remote_clear(struct remote *remote)
{
	for (size_t i = 0; i < remote->count; i++)
		free(remote->entries[i].name);
	free(remote->entries);
	*remote = (struct remote)REMOTE_INIT;
}

static int by_name(const void *a, const void *b)
{
	const struct remote_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* NULL: none of this name. */
static const struct remote_entry *remote_find(const struct remote *remote, const char *name)
{
	for (size_t from = 0, to = remote->count; from < to;) {
		size_t middle = from + (to - from) / 2;
		int order = strcmp(name, remote->entries[middle].name);

		if (order == 0)
			return &remote->entries[middle];
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

/* NULL: it is no name of one component. */
static char *remote_name(const json_t *entry)
{
	struct buf name = BUF_INIT;

	if (pct_decode(&name, entry_name(entry)) == 0 && name.len > 0 &&
	    name.len <= PATH_COMPONENT_BYTES && strcmp(name.data, ".") != 0 &&
	    strcmp(name.data, "..") != 0 && !memchr(name.data, '/', name.len) &&
	    !memchr(name.data, '\0', name.len))
		return buf_take(&name);
	buf_clear(&name);
	return NULL;
}

/* "2026-11-22T11:07:24.123456001Z" */
static struct timespec remote_time(const char *text)
{
	struct timespec time = { .tv_sec = 0 };
	struct tm tm = { .tm_sec = 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S.", &tm);
	uint64_t ns = 0;

	if (rest != NULL && str_u64((struct str){ rest, strcspn(rest, "Z") }, 999999999, &ns) == 0)
		time = (struct timespec){ .tv_sec = timegm(&tm), .tv_nsec = (long)ns };
	return time;
}

static int remote_add(struct remote *remote, const json_t *entry)
{
	struct remote_entry *to = &remote->entries[remote->count];
	char *name = remote_name(entry);

	if (name == NULL)
		return -1;
	*to = (struct remote_entry){ .name = name,
				     .directory = entry_is_directory(entry),
				     .size = json_number(entry, "size"),
				     .mtime = json_number(entry, "mtime"),
				     .made = remote_time(json_text(entry, "time")) };
	snprintf(to->version, sizeof to->version, "%s", json_text(entry, "version"));
	str_from_hex(str_of(json_text(entry, "sha256")), to->sha256, sizeof to->sha256);
	remote->count++;
	return 0;
}

static int remote_read(struct remote *remote, const struct exchange *exchange, const char *what)
{
	json_t *list, *entry;
	struct err err = ERR_INIT;
	int status = 0;
	size_t i;

	if (json_read(&list, buf_str(&exchange->content), what, &err) < 0)
		return command_fail(&err);
	remote->entries = mem_new(json_array_size(list) + 1, sizeof *remote->entries);
	json_array_foreach(list, i, entry) {
		if (remote_add(remote, entry) < 0) {
			command_say("list %s: what the node tells of is no name: \"%.80s\"", what,
				    json_text(entry, "href"));
			status = EX_PROTOCOL;
		}
	}
	json_decref(list);
	if (status != 0)
		remote_clear(remote);
	else
		qsort(remote->entries, remote->count, sizeof *remote->entries, by_name);
	return status;
}

/* "/d/a%20b/" for the path "d/a b" */
static void directory_target(struct buf *to, struct str path)
{
	buf_addc(to, '/');
	pct_encode(to, path);
	if (path.n > 0)
		buf_addc(to, '/');
}

/* 0, also when it is absent; else the exit status, after everything was told. */
static int remote_list(struct client *client, struct str path, struct remote *remote)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct buf target = BUF_INIT;
	struct err err = ERR_INIT;
	enum confirmation said;
	char *what;
	int status = 0;

	/* A hostile node could tell of a directory in each directory, without end. */
	if (path_check(path, &err) < 0) {
		command_say("list /%.*s: %s", STR_ARG(path), err.text);
		return EX_PROTOCOL;
	}
	directory_target(&target, path);
	what = mem_copy(target.data, target.len);
	buf_adds(&target, "?format=json");
	exchange.target = buf_str(&target);
	exchange.headers[0] = "Accept: application/json";
	if (client_send(client, &exchange, &err) < 0)
		status = command_fail(&err);
	else if (exchange.status == 404)
		remote->absent = true;
	else if (exchange.status != 200)
		status = exchange_refused(&exchange, what);
	else
		status = remote_read(remote, &exchange, what);
	said = exchange_confirmation(&exchange);
	remote->confirmed = said == CONFIRMED || (remote->absent && said == SAYS_NOTHING);
	exchange_clear(&exchange);
	buf_clear(&target);
	free(what);
	return status;
}

/* Names that an unconfirmed listing lacks may be there.  The exit status for it. */
static int told_unconfirmed(const struct step *directory)
{
	command_say("/%.*s: the group does not confirm now what is in it", STR_ARG(buf_str(&directory->path)));
	return EX_TEMPFAIL;
}

/* Whether the client's time is so close to the version's that a later content may have the same time. */
static bool is_racy(const struct remote_entry *entry)
{
	return entry->mtime + RACY_S > (uint64_t)entry->made.tv_sec;
}

/* get: what is here */

/* Tell errno, about a name in the directory below; "": the directory itself. */
static int fail_here(const struct tree *tree, struct str below, const char *name, const char *verb)
{
	struct err err = ERR_INIT;

	err_sys(&err, "%s %s%s%.*s%s%s", verb, tree->here, below.n > 0 ? "/" : "", STR_ARG(below),
		name[0] != '\0' ? "/" : "", name);
	return command_fail(&err);
}

/* Open it name by name, also across mounted file systems; -1 and errno. */
static int open_below(const struct tree *tree, struct str below)
{
	int fd = openat(tree->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), parent;
	struct buf name = BUF_INIT;
	struct str part;

	while (fd >= 0 && below.n > 0 && str_cut(&below, '/', &part)) {
		buf_reset(&name);
		buf_addstr(&name, part);
		parent = fd;
		fd = openat(parent, name.data, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(parent);
	}
	buf_clear(&name);
	return fd;
}

/* Make the directory that was named, once there is something to fetch. */
static int open_root(struct tree *tree)
{
	if (mkdir(tree->here, 0777) < 0 && errno != EEXIST)
		return fail_here(tree, STR(""), "", "make directory");
	tree->root = open(tree->here, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return tree->root < 0 ? fail_here(tree, STR(""), "", "open directory") : 0;
}

/* Whether no name in it looks like a part of a download. */
static bool is_fresh(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool fresh = true;

	while (fresh && list != NULL && (entry = readdir(list)) != NULL)
		fresh = !str_ends(str_of(entry->d_name), STR(".part"));
	if (list != NULL)
		closedir(list);
	return fresh;
}

/* get: a file */

static bool has_sha256(int directory, const char *name, const uint8_t should[32])
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	uint8_t sha256[32];
	bool same = fd >= 0 && upload_sha256(fd, name, sha256, NULL) == 0 &&
		    memcmp(sha256, should, sizeof sha256) == 0;

	if (fd >= 0)
		close(fd);
	return same;
}

static struct timespec time_here(const struct remote_entry *entry)
{
	if (entry->mtime == 0)
		return entry->made;
	return (struct timespec){ .tv_sec = (time_t)entry->mtime };
}

static int get_file(struct step *file, struct client *client)
{
	struct tree *tree = file->tree;
	struct str below = path_parent(buf_str(&file->here));
	const char *name = path_name(buf_str(&file->here)).s;
	const struct remote_entry *entry = &file->entry;
	struct download_to to = { .file = name, .out = -1, .fresh = file->fresh, .many = true,
				  .version = entry->version, .time = time_here(entry) };
	struct buf target = BUF_INIT;
	int status = 0;

	to.dir = open_below(tree, below);
	if (to.dir < 0)
		return fail_here(tree, below, "", "open directory");
	target_of(&target, file->path.data);
	if (file->compare && has_sha256(to.dir, name, entry->sha256)) {
		tree->same++;
	} else {
		status = download(client, buf_str(&target), file->path.data, &to);
		tree->done += status == 0;
		file->bytes = status == 0 ? entry->size : 0;
	}
	close(to.dir);
	buf_clear(&target);
	return status;
}

/* get: a directory */

static int get_directory(struct step *, struct client *);

/* For a file here that has the entry's size. */
static bool is_same_here(const struct tree *tree, const struct stat *st, const struct remote_entry *entry)
{
	struct timespec time = time_here(entry);

	return !tree->checksum && st->st_mtim.tv_sec == time.tv_sec &&
	       (entry->mtime != 0 ? !is_racy(entry) : st->st_mtim.tv_nsec == time.tv_nsec);
}

static int get_name(const struct step *parent, int directory, const struct remote_entry *entry, bool fresh)
{
	struct tree *tree = parent->tree;
	struct buf path = BUF_INIT, here = BUF_INIT;
	struct step *step = NULL;
	struct stat st;
	bool there = fstatat(directory, entry->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	bool same_size = there && S_ISREG(st.st_mode) && (uint64_t)st.st_size == entry->size;
	int status = 0;

	path_join(&path, buf_str(&parent->path), str_of(entry->name));
	path_join(&here, buf_str(&parent->here), str_of(entry->name));
	if (!entry->directory && download_is_part(entry->name)) {
		command_say("/%s: not fetched: what interrupted downloads leave has such names", path.data);
		status = EX_DATAERR;
	} else if (entry->directory && !there && mkdirat(directory, entry->name, 0777) < 0 && errno != EEXIST) {
		status = fail_here(tree, buf_str(&parent->here), entry->name, "make directory");
	} else if (entry->directory) {
		step = step_new(tree, get_directory, buf_str(&path), buf_str(&here));
	} else if (same_size && is_same_here(tree, &st, entry)) {
		tree->same++;
	} else {
		step = step_new(tree, get_file, buf_str(&path), buf_str(&here));
		step->file = true;
		step->fresh = fresh;
		step->compare = same_size &&
				(tree->checksum || st.st_mtim.tv_sec == time_here(entry).tv_sec);
		step->entry = *entry;
		step->entry.name = NULL;
	}
	if (step != NULL)
		step_add(step);
	buf_clear(&path);
	buf_clear(&here);
	return status;
}

static int get_names(const struct step *parent, const struct remote *remote)
{
	int directory = open_below(parent->tree, buf_str(&parent->here)), status = 0;
	bool fresh;

	if (directory < 0)
		return fail_here(parent->tree, buf_str(&parent->here), "", "open directory");
	fresh = is_fresh(directory);
	for (size_t i = remote->count; i-- > 0;)
		status = status_worse(status, get_name(parent, directory, &remote->entries[i], fresh));
	close(directory);
	return status;
}

static int get_directory(struct step *step, struct client *client)
{
	struct tree *tree = step->tree;
	struct remote remote = REMOTE_INIT;
	int status = remote_list(client, buf_str(&step->path), &remote);

	if (status == 0 && remote.absent && remote.confirmed) {
		command_say("/%.*s: no such directory", STR_ARG(buf_str(&step->path)));
		status = EX_NOINPUT;
	} else if (status == 0) {
		if (!remote.confirmed)
			status = told_unconfirmed(step);
		if (tree->root < 0 && !remote.absent)
			status = status_worse(status, open_root(tree));
		if (tree->root >= 0 && !remote.absent)
			status = status_worse(status, get_names(step, &remote));
	}
	remote_clear(&remote);
	return status;
}

int get_tree(const char *path, const char *here, const struct tree_options *options)
{
	struct tree tree = { .here = here, .checksum = options->checksum };
	int status = tree_open(&tree, path, here, options->url);

	if (status != 0)
		return status;
	step_add(step_new(&tree, get_directory, buf_str(&tree.path), STR("")));
	status = tree_run(&tree);
	if (tree.root >= 0 && !options->quiet)
		printf("%llu files fetched, %llu are the same\n", (unsigned long long)tree.done,
		       (unsigned long long)tree.same);
	tree_close(&tree);
	return status;
}

/* put: a file */

static int put_file(struct step *file, struct client *client)
{
	struct tree *tree = file->tree;
	struct upload upload = UPLOAD_INIT;
	struct exchange exchange = EXCHANGE_INIT;
	struct err err = ERR_INIT;
	int status = 0;

	target_of(&upload.target, file->path.data);
	if (upload_open(&upload, file->here.data, &err) < 0) {
		status = command_fail(&err);
	} else if (file->compare && memcmp(upload.sha256, file->entry.sha256, sizeof upload.sha256) == 0) {
		tree->same++;
	} else {
		status = upload_send(&upload, client, tree->write, &exchange);
		if (status == 0) {
			status = write_told(tree->write, &exchange, file->path.data, &tree->unsure);
			if (exchange.status / 100 == 2) {
				tree->done++;
				file->bytes = exchange.body_size;
			}
		}
	}
	exchange_clear(&exchange);
	upload_clear(&upload);
	return status;
}

/* put: a directory */

static int put_directory(struct step *, struct client *);

/* For a file there that has the size of the file here. */
static bool is_same_there(const struct tree *tree, const struct stat *st, const struct remote_entry *there)
{
	return !tree->checksum && there->mtime != 0 && st->st_mtime > 0 &&
	       (uint64_t)st->st_mtime == there->mtime && !is_racy(there);
}

static bool may_be_same(const struct tree *tree, const struct stat *st, const struct remote_entry *there)
{
	return tree->checksum || there->mtime == 0 || (uint64_t)st->st_mtime == there->mtime;
}

/* One name of the directory; *holds: it is a file or a directory to be stored. */
static int put_name(const struct step *parent, const char *name, const struct remote *remote, bool *holds)
{
	struct tree *tree = parent->tree;
	const struct remote_entry *there = remote_find(remote, name);
	struct buf here = BUF_INIT, path = BUF_INIT;
	struct step *step = NULL;
	struct err err = ERR_INIT;
	struct stat st;
	int status = 0;

	buf_addf(&here, "%s%s%s", parent->here.data, str_ends(buf_str(&parent->here), STR("/")) ? "" : "/", name);
	path_join(&path, buf_str(&parent->path), str_of(name));
	if (lstat(here.data, &st) < 0) {
		err_sys(&err, "put %s", here.data);
		status = command_fail(&err);
	} else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		command_say("%s: %s, skipped", here.data,
			    S_ISLNK(st.st_mode) ? "a symbolic link" : "neither a file nor a directory");
	} else if (S_ISREG(st.st_mode) && download_is_part(name)) {
		command_say("%s: left by a download that was interrupted, skipped", here.data);
	} else if (path_check(buf_str(&path), &err) < 0) {
		command_say("put %s: %s", here.data, err.text);	/* which has no room for such a name */
		status = EX_DATAERR;
	} else if (S_ISDIR(st.st_mode)) {
		*holds = true;
		step = step_new(tree, put_directory, buf_str(&path), buf_str(&here));
		step->absent = there == NULL;
	} else {
		*holds = true;
		if (there != NULL && (there->directory || there->size != (uint64_t)st.st_size))
			there = NULL;
		if (there != NULL && is_same_there(tree, &st, there)) {
			tree->same++;
		} else {
			step = step_new(tree, put_file, buf_str(&path), buf_str(&here));
			step->file = true;
			step->compare = there != NULL && may_be_same(tree, &st, there);
			if (step->compare)
				memcpy(step->entry.sha256, there->sha256, sizeof there->sha256);
		}
	}
	if (step != NULL)
		step_add(step);
	buf_clear(&here);
	buf_clear(&path);
	return status;
}

static int other_than_dots(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int against_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*b)->d_name, (*a)->d_name);
}

/* For an empty directory; any other is made by what is put into it. */
static int make_directory(struct step *step, struct client *client)
{
	const struct write *write = step->tree->write;
	struct exchange exchange = { .method = "PUT", .body = -1, .body_size = 0 };
	struct buf target = BUF_INIT;
	struct err err = ERR_INIT;
	int status;

	directory_target(&target, buf_str(&step->path));
	exchange.target = buf_str(&target);
	exchange.headers[0] = "Content-Length: 0";
	if (write_send(write, client, &exchange, &err) < 0) {
		status = command_fail(&err);
	} else {
		status = write_told(write, &exchange, target.data, &step->tree->unsure);
		step->tree->made += exchange.status / 100 == 2;
	}
	exchange_clear(&exchange);
	buf_clear(&target);
	return status;
}

static int put_directory(struct step *step, struct client *client)
{
	struct remote remote = { .absent = step->absent, .confirmed = true };
	struct dirent **names;
	struct err err = ERR_INIT;
	bool holds = false;
	int status = 0, listed = 0, count = scandir(step->here.data, &names, other_than_dots, against_order);

	if (count < 0) {
		err_sys(&err, "open directory %s", step->here.data);
		return command_fail(&err);
	}
	if (!step->absent)
		listed = status = remote_list(client, buf_str(&step->path), &remote);
	if (listed == 0 && !remote.confirmed && !step->tree->write->async)
		status = told_unconfirmed(step);
	for (int i = 0; i < count; i++) {
		if (listed == 0)
			status = status_worse(status, put_name(step, names[i]->d_name, &remote, &holds));
		free(names[i]);
	}
	if (listed == 0 && !holds && remote.absent && step->path.len > 0)
		status = status_worse(status, make_directory(step, client));
	free(names);
	remote_clear(&remote);
	return status;
}

int put_tree(const char *here, const char *path, const struct write *write,
	     const struct tree_options *options)
{
	struct tree tree = { .here = here, .write = write, .checksum = options->checksum };
	int status = tree_open(&tree, path, here, options->url);

	if (status != 0)
		return status;
	step_add(step_new(&tree, put_directory, buf_str(&tree.path), str_of(here)));
	status = tree_run(&tree);
	tree_told_unsure(&tree);
	if (!write->quiet && !write->json)
		printf("%llu files stored, %llu are the same\n", (unsigned long long)tree.done,
		       (unsigned long long)tree.same);
	tree_close(&tree);
	return status;
}

/*
 * rm: the files are removed first, then the directories from the deepest up.
 * A file that came meanwhile is in the way of that: then everything is done
 * once more, and what is still in the way is told.
 */

/* 404: somebody else has removed it, which is fine; 409: it is a directory now, or holds something. */
static int remove_told(struct tree *tree, const struct exchange *exchange, const char *what)
{
	if (exchange->status == 404)
		return 0;
	if (exchange->status == 409 && !tree->again) {
		tree->busy = true;
		return 0;
	}
	if (exchange->status / 100 == 2)
		tree->done++;
	return write_told(tree->write, exchange, what, &tree->unsure);
}

static int remove_target(struct step *step, struct client *client, struct str target)
{
	struct exchange exchange = { .method = "DELETE", .target = target, .body = -1,
				     .body_size = UINT64_MAX };
	struct err err = ERR_INIT;
	int status;

	if (write_send(step->tree->write, client, &exchange, &err) < 0)
		status = command_fail(&err);
	else
		status = remove_told(step->tree, &exchange, step->path.data);
	exchange_clear(&exchange);
	return status;
}

static int remove_file(struct step *step, struct client *client)
{
	struct buf target = BUF_INIT;
	int status;

	target_of(&target, step->path.data);
	status = remove_target(step, client, buf_str(&target));
	buf_clear(&target);
	return status;
}

static int remove_directory(struct step *step, struct client *client)
{
	struct buf target = BUF_INIT;
	int status;

	directory_target(&target, buf_str(&step->path));
	status = remove_target(step, client, buf_str(&target));
	buf_clear(&target);
	return status;
}

/* Its removal waits until what is in it is gone. */
static void remove_later(struct tree *tree, struct str path)
{
	struct step *step = step_new(tree, remove_directory, path, STR(""));

	pthread_mutex_lock(&tree->lock);
	step->next = tree->directories;
	tree->directories = step;
	tree->found = true;
	pthread_mutex_unlock(&tree->lock);
}

static int empty_directory(struct step *step, struct client *client)
{
	struct tree *tree = step->tree;
	struct remote remote = REMOTE_INIT;
	int status = remote_list(client, buf_str(&step->path), &remote);

	if (status != 0)
		return status;
	if (!remote.absent)
		remove_later(tree, buf_str(&step->path));
	else if (!remote.confirmed)
		status = told_unconfirmed(step);
	for (size_t i = remote.count; i-- > 0;) {
		bool directory = remote.entries[i].directory;
		struct buf path = BUF_INIT;
		struct step *below;

		path_join(&path, buf_str(&step->path), str_of(remote.entries[i].name));
		below = step_new(tree, directory ? empty_directory : remove_file, buf_str(&path), STR(""));
		below->file = !directory;
		step_add(below);
		buf_clear(&path);
	}
	remote_clear(&remote);
	return status;
}

static size_t depth_of(const struct step *step)
{
	size_t depth = 0;

	for (const char *c = step->path.data; *c != '\0'; c++)
		depth += *c == '/';
	return depth;
}

/* All of one depth at once, the deepest first. */
static int remove_directories(struct tree *tree)
{
	int status = 0;

	while (tree->directories != NULL) {
		struct step *all = tree->directories, *next;
		size_t deepest = 0;

		for (struct step *step = all; step != NULL; step = step->next)
			if (depth_of(step) > deepest)
				deepest = depth_of(step);
		tree->directories = NULL;
		for (struct step *step = all; step != NULL; step = next) {
			next = step->next;
			if (depth_of(step) == deepest) {
				step_add(step);
			} else {
				step->next = tree->directories;
				tree->directories = step;
			}
		}
		status = tree_run(tree);
	}
	return status;
}

static int remove_all(struct tree *tree)
{
	int status;

	tree->busy = false;
	step_add(step_new(tree, empty_directory, buf_str(&tree->path), STR("")));
	status = tree_run(tree);
	return status_worse(status, remove_directories(tree));
}

int remove_tree(const char *path, const struct write *write, const struct tree_options *options,
		bool *ret_found)
{
	struct tree tree = { .write = write };
	int status = tree_open(&tree, path, path, options->url);

	if (status != 0)
		return status;
	status = remove_all(&tree);
	tree.again = true;
	if (tree.busy)
		status = status_worse(status, remove_all(&tree));
	tree_told_unsure(&tree);
	*ret_found = tree.found;
	tree_close(&tree);
	return status;
}
