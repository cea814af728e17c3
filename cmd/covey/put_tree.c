/*
 * put_tree - covey put -r: what is in a directory here becomes versions
 *
 *	a directory	list it here and there, add a task for each file and directory in it
 *	a file		its digest, unless it is the same; upload
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

struct put_tree {
	struct crew *crew;
	const struct write *write;
	bool checksum;
	atomic_uint_least64_t stored, same, unsure;
};

struct put_directory {
	struct task task;
	struct put_tree *tree;
	char *here;		/* owned */
	struct buf path;	/* there, without slashes at its ends */
	bool absent;		/* it is known not to be there */
};

struct put_file {
	struct task task;
	struct put_tree *tree;
	char *here;		/* owned */
	struct buf path;
	bool compare;		/* it may be what has this sha256 */
	uint8_t sha256[32];
};

/* a file */

static void free_file(struct task *task)
{
	struct put_file *f = (struct put_file *)task;

	free(f->here);
	buf_clear(&f->path);
	free(f);
}

static int send_file(struct put_file *f, struct client *client, struct upload *upload)
{
	struct put_tree *tree = f->tree;
	struct exchange exchange = EXCHANGE_INIT;
	struct err err = ERR_INIT;
	int status;

	target_of(&upload->target, f->path.data);
	upload_fill(&exchange, upload);
	write_ask(tree->write, &exchange);
	if (client_send(client, &exchange, &err) < 0) {
		if (!client_lost(client))
			err_context(&err, "put %s", f->here);
		status = command_fail(&err);
	} else {
		status = write_counted(tree->write, &exchange, f->path.data, &tree->unsure);
		if (exchange.status / 100 == 2) {
			tree->stored++;
			f->task.bytes = exchange.body_size;
		}
	}
	exchange_clear(&exchange);
	return status;
}

static int put_file(struct task *task, struct client *client)
{
	struct put_file *f = (struct put_file *)task;
	struct upload upload = UPLOAD_INIT;
	struct err err = ERR_INIT;
	int status = 0;

	if (upload_open(&upload, f->here, &err) < 0)
		status = command_fail(&err);
	else if (f->compare && memcmp(upload.sha256, f->sha256, sizeof f->sha256) == 0)
		f->tree->same++;
	else
		status = send_file(f, client, &upload);
	upload_clear(&upload);
	return status;
}

static void add_file(struct put_directory *d, const char *here, struct str path,
		     const struct remote_entry *there)
{
	struct put_file *f = mem_new(1, sizeof *f);

	f->task = (struct task){ .run = put_file, .free = free_file, .file = true };
	f->tree = d->tree;
	f->here = mem_copy(here, strlen(here));
	buf_addstr(&f->path, path);
	if (there != NULL) {
		f->compare = true;
		memcpy(f->sha256, there->sha256, sizeof f->sha256);
	}
	crew_add(d->tree->crew, &f->task);
}

/* a directory */

static int put_directory(struct task *, struct client *);

static void free_directory(struct task *task)
{
	struct put_directory *d = (struct put_directory *)task;

	free(d->here);
	buf_clear(&d->path);
	free(d);
}

static void add_directory(struct put_tree *tree, const char *here, struct str path, bool absent)
{
	struct put_directory *d = mem_new(1, sizeof *d);

	d->task = (struct task){ .run = put_directory, .free = free_directory };
	d->tree = tree;
	d->here = mem_copy(here, strlen(here));
	buf_addstr(&d->path, path);
	d->absent = absent;
	crew_add(tree->crew, &d->task);
}

/* Of a file that is there with this size. */
static bool is_same(const struct put_tree *tree, const struct stat *st, const struct remote_entry *there)
{
	return !tree->checksum && there->mtime != 0 && st->st_mtime > 0 &&
	       (uint64_t)st->st_mtime == there->mtime && !remote_is_racy(there);
}

static bool may_be_same(const struct put_tree *tree, const struct stat *st,
			const struct remote_entry *there)
{
	return tree->checksum || there->mtime == 0 || (uint64_t)st->st_mtime == there->mtime;
}

/* One name of the directory; *holds: there is something of it to be stored. */
static int put_name(struct put_directory *d, const char *name, const struct remote *remote,
		    bool *holds)
{
	const struct remote_entry *there = remote_find(remote, name);
	struct buf here = BUF_INIT, path = BUF_INIT;
	struct err err = ERR_INIT;
	struct stat st;
	int status = 0;

	buf_addf(&here, "%s%s%s", d->here, str_ends(str_of(d->here), STR("/")) ? "" : "/", name);
	path_join(&path, buf_str(&d->path), str_of(name));
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
	} else {
		*holds = true;
		if (there != NULL && (there->directory || there->size != (uint64_t)st.st_size))
			there = NULL;
		if (S_ISDIR(st.st_mode))
			add_directory(d->tree, here.data, buf_str(&path),
				      remote_find(remote, name) == NULL);
		else if (there != NULL && is_same(d->tree, &st, there))
			d->tree->same++;
		else
			add_file(d, here.data, buf_str(&path),
				 there != NULL && may_be_same(d->tree, &st, there) ? there : NULL);
	}
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

/* An empty one; what is in another makes it. */
static int make_directory(struct put_directory *d, struct client *client)
{
	struct exchange exchange = { .method = "PUT", .body = -1, .body_size = 0 };
	struct buf target = BUF_INIT;
	struct err err = ERR_INIT;
	int status;

	remote_target(&target, buf_str(&d->path));
	exchange.target = buf_str(&target);
	exchange.headers[0] = "Content-Length: 0";
	write_ask(d->tree->write, &exchange);
	if (client_send(client, &exchange, &err) < 0)
		status = command_fail(&err);
	else
		status = write_counted(d->tree->write, &exchange, target.data, &d->tree->unsure);
	exchange_clear(&exchange);
	buf_clear(&target);
	return status;
}

/* False: *status says how it failed. */
static bool list_there(struct put_directory *d, struct client *client, struct remote *remote, int *status)
{
	if (d->absent) {
		remote->absent = true;
		return true;
	}
	*status = remote_list(client, buf_str(&d->path), remote);
	if (*status != 0)
		return false;
	if (!remote->confirmed && !d->tree->write->async)
		*status = remote_told_unconfirmed(buf_str(&d->path));
	return true;
}

/* All there is in it; whether there was anything to be stored. */
static bool put_names(struct put_directory *d, struct dirent **names, int count,
		      const struct remote *remote, int *status)
{
	bool holds = false;

	for (int i = 0; i < count; i++)
		*status = status_worse(*status, put_name(d, names[i]->d_name, remote, &holds));
	return holds;
}

static int put_directory(struct task *task, struct client *client)
{
	struct put_directory *d = (struct put_directory *)task;
	struct remote remote = REMOTE_INIT;
	struct dirent **names;
	struct err err = ERR_INIT;
	int status = 0, count = scandir(d->here, &names, other_than_dots, against_order);

	if (count < 0) {
		err_sys(&err, "open directory %s", d->here);
		return command_fail(&err);
	}
	if (list_there(d, client, &remote, &status) && !put_names(d, names, count, &remote, &status) &&
	    remote.absent && d->path.len > 0)
		status = status_worse(status, make_directory(d, client));
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	remote_clear(&remote);
	return status;
}

int put_tree(const char *here, const char *path, const struct write *write,
	     const struct tree_options *options)
{
	struct put_tree tree = { .write = write, .checksum = options->checksum };
	struct buf to = BUF_INIT;
	struct err err = ERR_INIT;
	int status;

	remote_path(&to, path);
	if (path_check(buf_str(&to), &err) < 0 || crew_open(&tree.crew, options->url, here, &err) < 0) {
		buf_clear(&to);
		return command_fail(&err);
	}
	add_directory(&tree, here, buf_str(&to), false);
	status = crew_run(tree.crew);
	write_told_unsure(tree.unsure, tree.stored);
	if (!write->quiet && !write->json)
		printf("%llu files stored, %llu are the same\n", (unsigned long long)tree.stored,
		       (unsigned long long)tree.same);
	crew_close(tree.crew);
	buf_clear(&to);
	return status;
}
