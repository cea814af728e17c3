/*
 * rm_tree - covey rm -r: a directory, with all that is in it
 *
 * The files go first, then the directories from below.  What came
 * meanwhile is in the way of that: all is done once more, and what is still
 * in the way is told.
 */
#include "trees.h"

#include "crew.h"
#include "mem.h"
#include "path.h"
#include "remote.h"

#include <pthread.h>

struct rm_tree {
	struct crew *crew;
	const struct write *write;
	bool again;		/* the second time: what is in the way is told */
	atomic_bool busy;	/* something was in the way */
	bool found;		/* there was a directory */
	atomic_uint_least64_t removed, unsure;
	pthread_mutex_t lock;	/* of what follows */
	char **directories;	/* owned; paths */
	size_t count;
};

struct rm_task {
	struct task task;
	struct rm_tree *tree;
	struct buf path;	/* without slashes at its ends */
};

static void free_task(struct task *task)
{
	struct rm_task *t = (struct rm_task *)task;

	buf_clear(&t->path);
	free(t);
}

static void add_task(struct rm_tree *tree, struct str path, bool file,
		     int (*run)(struct task *, struct client *))
{
	struct rm_task *t = mem_new(1, sizeof *t);

	t->task = (struct task){ .run = run, .free = free_task, .file = file };
	t->tree = tree;
	buf_addstr(&t->path, path);
	crew_add(tree->crew, &t->task);
}

/* That somebody else removed it meanwhile is as well; 409: it is a directory now, or holds something. */
static int judge(struct rm_tree *tree, const struct exchange *exchange, const char *what)
{
	if (exchange->status == 404)
		return 0;
	if (exchange->status == 409 && !tree->again) {
		tree->busy = true;
		return 0;
	}
	if (exchange->status / 100 == 2)
		tree->removed++;
	return write_counted(tree->write, exchange, what, &tree->unsure);
}

static int send_delete(struct rm_task *t, struct client *client, const char *target)
{
	struct exchange exchange = { .method = "DELETE", .target = str_of(target), .body = -1,
				     .body_size = UINT64_MAX };
	struct err err = ERR_INIT;
	int status;

	write_ask(t->tree->write, &exchange);
	if (client_send(client, &exchange, &err) < 0)
		status = command_fail(&err);
	else
		status = judge(t->tree, &exchange, t->path.data);
	exchange_clear(&exchange);
	return status;
}

static int remove_file(struct task *task, struct client *client)
{
	struct rm_task *t = (struct rm_task *)task;
	struct buf target = BUF_INIT;
	int status;

	target_of(&target, t->path.data);
	status = send_delete(t, client, target.data);
	buf_clear(&target);
	return status;
}

static int remove_directory(struct task *task, struct client *client)
{
	struct rm_task *t = (struct rm_task *)task;
	struct buf target = BUF_INIT;
	int status;

	remote_target(&target, buf_str(&t->path));
	status = send_delete(t, client, target.data);
	buf_clear(&target);
	return status;
}

static void note_directory(struct rm_tree *tree, struct str path)
{
	pthread_mutex_lock(&tree->lock);
	tree->directories = mem_resize(tree->directories, tree->count + 1, sizeof *tree->directories);
	tree->directories[tree->count++] = mem_copy(path.s, path.n);
	pthread_mutex_unlock(&tree->lock);
}

/* The files in it; it is itself noted for later. */
static int empty_directory(struct task *task, struct client *client)
{
	struct rm_task *t = (struct rm_task *)task;
	struct remote remote = REMOTE_INIT;
	int status = remote_list(client, buf_str(&t->path), &remote);

	if (status != 0)
		return status;
	if (!remote.absent)
		note_directory(t->tree, buf_str(&t->path));
	else if (!remote.confirmed)
		status = remote_told_unconfirmed(buf_str(&t->path));
	for (size_t i = remote.count; i-- > 0;) {
		struct buf path = BUF_INIT;

		path_join(&path, buf_str(&t->path), str_of(remote.entries[i].name));
		add_task(t->tree, buf_str(&path), !remote.entries[i].directory,
			 remote.entries[i].directory ? empty_directory : remove_file);
		buf_clear(&path);
	}
	remote_clear(&remote);
	return status;
}

static size_t depth_of(const char *path)
{
	size_t depth = 0;

	for (; *path != '\0'; path++)
		depth += *path == '/';
	return depth;
}

/* All of one depth at once, the deepest first. */
static int remove_directories(struct rm_tree *tree)
{
	size_t depth = 0;
	int status = 0;

	for (size_t i = 0; i < tree->count; i++)
		if (depth_of(tree->directories[i]) > depth)
			depth = depth_of(tree->directories[i]);
	for (size_t left = tree->count > 0 ? depth + 1 : 0; left-- > 0;) {
		for (size_t i = 0; i < tree->count; i++)
			if (depth_of(tree->directories[i]) == left)
				add_task(tree, str_of(tree->directories[i]), false, remove_directory);
		status = crew_run(tree->crew);
	}
	return status;
}

static void forget_directories(struct rm_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		free(tree->directories[i]);
	free(tree->directories);
	tree->directories = NULL;
	tree->count = 0;
}

static int remove_all(struct rm_tree *tree, struct str path)
{
	int status;

	tree->busy = false;
	add_task(tree, path, false, empty_directory);
	status = crew_run(tree->crew);
	tree->found = tree->found || tree->count > 0;
	status = status_worse(status, remove_directories(tree));
	forget_directories(tree);
	return status;
}

int remove_tree(const char *path, const struct write *write, const struct tree_options *options,
		bool *ret_found)
{
	struct rm_tree tree = { .write = write };
	struct buf from = BUF_INIT;
	struct err err = ERR_INIT;
	int status;

	remote_path(&from, path);
	if (path_check(buf_str(&from), &err) < 0 || crew_open(&tree.crew, options->url, path, &err) < 0) {
		buf_clear(&from);
		return command_fail(&err);
	}
	pthread_mutex_init(&tree.lock, NULL);
	status = remove_all(&tree, buf_str(&from));
	tree.again = true;
	if (tree.busy)
		status = status_worse(status, remove_all(&tree, buf_str(&from)));
	write_told_unsure(tree.unsure, tree.removed);
	*ret_found = tree.found;
	pthread_mutex_destroy(&tree.lock);
	crew_close(tree.crew);
	buf_clear(&from);
	return status;
}
