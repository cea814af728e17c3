/*
 * get_tree - covey get -r: what is in a directory of the group comes here
 *
 *	a directory	list it there, make it here, add a task for each name in it
 *	a file		unless it is the same here: download
 *
 * Names are foreign: everything is opened below the directory that was
 * named, and no symbolic link on the way is followed.
 */
#include "trees.h"

#include "crew.h"
#include "download.h"
#include "mem.h"
#include "path.h"
#include "remote.h"
#include "upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct get_tree {
	struct crew *crew;
	const char *here;
	int root;		/* here, opened; owned; -1: not yet */
	bool checksum;
	atomic_uint_least64_t fetched, same;
};

struct get_directory {
	struct task task;
	struct get_tree *tree;
	struct buf path;	/* there, without slashes at its ends */
	struct buf below;	/* here, below the root; "": the root itself */
};

struct get_file {
	struct task task;
	struct get_tree *tree;
	struct buf path;
	struct buf directory;	/* here, below the root */
	struct remote_entry entry;	/* its name is owned */
	bool compare;		/* what is here may have its sha256 */
	bool fresh;		/* no part of an earlier try is in the directory */
};

/* How people are told of what is here. */
static char *shown(const struct get_tree *tree, struct str below, const char *name)
{
	struct buf text = BUF_INIT;

	buf_addf(&text, "%s%s%.*s%s%s", tree->here, below.n > 0 ? "/" : "", STR_ARG(below),
		 name[0] != '\0' ? "/" : "", name);
	return buf_take(&text);
}

static int fail_here(const struct get_tree *tree, struct str below, const char *name, const char *verb)
{
	struct err err = ERR_INIT;
	char *text = shown(tree, below, name);

	err_sys(&err, "%s %s", verb, text);
	free(text);
	return command_fail(&err);
}

/* Name by name, also where another file system is mounted; -1 and errno. */
static int open_below(const struct get_tree *tree, struct str below)
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

/* a file */

static void free_file(struct task *task)
{
	struct get_file *f = (struct get_file *)task;

	buf_clear(&f->path);
	buf_clear(&f->directory);
	free(f->entry.name);
	free(f);
}

static bool has_its_sha256(const struct get_file *f, int directory)
{
	int fd = openat(directory, f->entry.name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	uint8_t sha256[32];
	bool same = fd >= 0 && upload_sha256(fd, f->entry.name, sha256, NULL) == 0 &&
		    memcmp(sha256, f->entry.sha256, sizeof sha256) == 0;

	if (fd >= 0)
		close(fd);
	return same;
}

static struct timespec time_of(const struct remote_entry *entry)
{
	if (entry->mtime == 0)
		return entry->made;
	return (struct timespec){ .tv_sec = (time_t)entry->mtime };
}

static int fetch(struct get_file *f, struct client *client, int directory)
{
	struct download_to to = { .file = f->entry.name, .dir = directory, .out = -1, .fresh = f->fresh,
				  .many = true, .version = f->entry.version, .time = time_of(&f->entry) };
	struct buf target = BUF_INIT;
	int status;

	target_of(&target, f->path.data);
	status = download(client, buf_str(&target), f->path.data, &to);
	if (status == 0) {
		f->tree->fetched++;
		f->task.bytes = f->entry.size;
	}
	buf_clear(&target);
	return status;
}

static int get_file(struct task *task, struct client *client)
{
	struct get_file *f = (struct get_file *)task;
	int directory = open_below(f->tree, buf_str(&f->directory)), status = 0;

	if (directory < 0)
		return fail_here(f->tree, buf_str(&f->directory), "", "open directory");
	if (f->compare && has_its_sha256(f, directory))
		f->tree->same++;
	else
		status = fetch(f, client, directory);
	close(directory);
	return status;
}

static void add_file(const struct get_directory *d, const struct remote_entry *entry, bool compare, bool fresh)
{
	struct get_file *f = mem_new(1, sizeof *f);

	f->task = (struct task){ .run = get_file, .free = free_file, .file = true };
	f->tree = d->tree;
	path_join(&f->path, buf_str(&d->path), str_of(entry->name));
	buf_addstr(&f->directory, buf_str(&d->below));
	f->entry = *entry;
	f->entry.name = mem_copy(entry->name, strlen(entry->name));
	f->compare = compare;
	f->fresh = fresh;
	crew_add(d->tree->crew, &f->task);
}

/* a directory */

static int get_directory(struct task *, struct client *);

static void free_directory(struct task *task)
{
	struct get_directory *d = (struct get_directory *)task;

	buf_clear(&d->path);
	buf_clear(&d->below);
	free(d);
}

static void add_directory(struct get_tree *tree, struct str path, struct str below)
{
	struct get_directory *d = mem_new(1, sizeof *d);

	d->task = (struct task){ .run = get_directory, .free = free_directory };
	d->tree = tree;
	buf_addstr(&d->path, path);
	buf_addstr(&d->below, below);
	crew_add(tree->crew, &d->task);
}

static bool same_time(const struct stat *st, const struct remote_entry *entry)
{
	struct timespec time = time_of(entry);

	return st->st_mtim.tv_sec == time.tv_sec &&
	       (entry->mtime != 0 ? !remote_is_racy(entry) : st->st_mtim.tv_nsec == time.tv_nsec);
}

/* What is here is a file of its size. */
static void compare_file(const struct get_directory *d, const struct stat *st,
			 const struct remote_entry *entry, bool fresh)
{
	if (!d->tree->checksum && same_time(st, entry))
		d->tree->same++;
	else
		add_file(d, entry, d->tree->checksum || st->st_mtim.tv_sec == time_of(entry).tv_sec, fresh);
}

static int get_name(const struct get_directory *d, int directory, const struct remote_entry *entry,
		    bool fresh)
{
	struct buf path = BUF_INIT, below = BUF_INIT;
	struct stat st;
	bool there = fstatat(directory, entry->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	int status = 0;

	if (!entry->directory && download_is_part(entry->name)) {
		command_say("/%.*s%s%s: not fetched: what interrupted downloads leave has such names",
			    STR_ARG(buf_str(&d->path)), d->path.len > 0 ? "/" : "", entry->name);
		status = EX_DATAERR;
	} else if (entry->directory && !there && mkdirat(directory, entry->name, 0777) < 0 && errno != EEXIST) {
		status = fail_here(d->tree, buf_str(&d->below), entry->name, "make directory");
	} else if (entry->directory) {
		path_join(&path, buf_str(&d->path), str_of(entry->name));
		path_join(&below, buf_str(&d->below), str_of(entry->name));
		add_directory(d->tree, buf_str(&path), buf_str(&below));
	} else if (there && S_ISREG(st.st_mode) && (uint64_t)st.st_size == entry->size) {
		compare_file(d, &st, entry, fresh);
	} else {
		add_file(d, entry, false, fresh);
	}
	buf_clear(&path);
	buf_clear(&below);
	return status;
}

/* Whether nothing in it looks like a part of a download; its offset is used up. */
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

/* The one that was named is made when it is known that there is something to bring. */
static int open_root(struct get_tree *tree)
{
	if (mkdir(tree->here, 0777) < 0 && errno != EEXIST)
		return fail_here(tree, STR(""), "", "make directory");
	tree->root = open(tree->here, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return tree->root < 0 ? fail_here(tree, STR(""), "", "open directory") : 0;
}

static int get_names(const struct get_directory *d, const struct remote *remote)
{
	int directory = open_below(d->tree, buf_str(&d->below)), status = 0;
	bool fresh;

	if (directory < 0)
		return fail_here(d->tree, buf_str(&d->below), "", "open directory");
	fresh = is_fresh(directory);
	for (size_t i = remote->count; i-- > 0;)
		status = status_worse(status, get_name(d, directory, &remote->entries[i], fresh));
	close(directory);
	return status;
}

static int get_directory(struct task *task, struct client *client)
{
	struct get_directory *d = (struct get_directory *)task;
	struct remote remote = REMOTE_INIT;
	int status = remote_list(client, buf_str(&d->path), &remote);

	if (status == 0 && remote.absent && remote.confirmed) {
		command_say("/%.*s: no such directory", STR_ARG(buf_str(&d->path)));
		status = EX_NOINPUT;
	} else if (status == 0) {
		if (!remote.confirmed)
			status = remote_told_unconfirmed(buf_str(&d->path));
		if (d->tree->root < 0 && !remote.absent)
			status = status_worse(status, open_root(d->tree));
		if (d->tree->root >= 0 && !remote.absent)
			status = status_worse(status, get_names(d, &remote));
	}
	remote_clear(&remote);
	return status;
}

int get_tree(const char *path, const char *here, const struct tree_options *options)
{
	struct get_tree tree = { .here = here, .root = -1, .checksum = options->checksum };
	struct buf from = BUF_INIT;
	struct err err = ERR_INIT;
	int status;

	remote_path(&from, path);
	if (path_check(buf_str(&from), &err) < 0 || crew_open(&tree.crew, options->url, here, &err) < 0) {
		buf_clear(&from);
		return command_fail(&err);
	}
	add_directory(&tree, buf_str(&from), STR(""));
	status = crew_run(tree.crew);
	if (tree.root >= 0 && !options->quiet)
		printf("%llu files fetched, %llu are the same\n", (unsigned long long)tree.fetched,
		       (unsigned long long)tree.same);
	crew_close(tree.crew);
	if (tree.root >= 0)
		close(tree.root);
	buf_clear(&from);
	return status;
}
