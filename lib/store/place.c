/* place - giving names to what is ready, and history directories that can be relied on */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int place_name(const struct source *source, int dir, const char *name)
{
	if (source->fd >= 0)
		return fs_link_fd(source->fd, dir, name);
	if (source->text != NULL)
		return symlinkat(source->text, dir, name);
	return linkat(source->dir, source->name, dir, name, 0);
}

int place_over(const struct source *source, int temporary_dir, const char *temporary, int dir,
	       const char *name)
{
	int status = place_name(source, temporary_dir, temporary), error;

	if (status < 0 && errno == EEXIST) {	/* whoever left it there died */
		unlinkat(temporary_dir, temporary, 0);
		status = place_name(source, temporary_dir, temporary);
	}
	if (status == 0 && renameat(temporary_dir, temporary, dir, name) == 0)
		return 0;
	error = errno;
	unlinkat(temporary_dir, temporary, 0);
	errno = error;
	return -1;
}

/*
 * History directories, made when first needed, durable when trusted.
 *
 * What lies in a directory is on disk only when the directory's own entry
 * is, and the one above, up to history/.  Whoever finds a directory that
 * another writer made a moment ago cannot know that; so a directory is
 * made closed to the group, and opened to it once its entry is on disk: by the
 * commit that synced it, or by the log's next checkpoint.
 */

#define MODE_FRESH 0700

static void chain_push(struct chain *chain, int fd, bool fresh)
{
	chain->fds = mem_resize(chain->fds, chain->count + 1, sizeof *chain->fds);
	chain->fresh = mem_resize(chain->fresh, chain->count + 1, sizeof *chain->fresh);
	chain->fds[chain->count] = fd;
	chain->fresh[chain->count] = fresh;
	chain->count++;
}

/* Open one directory further down; 0 or -1 with errno. */
static int chain_descend(struct chain *chain, const char *name)
{
	int above = chain_leaf(chain);
	int fd = fs_open(above, name, O_RDONLY | O_DIRECTORY, 0);
	struct stat st;

	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(above, name, MODE_FRESH) == 0)
			chain->made = true;
		else if (errno != EEXIST)
			return -1;
		fd = fs_open(above, name, O_RDONLY | O_DIRECTORY, 0);
	}
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0) {
		close(fd);
		return -1;
	}
	chain_push(chain, fd, !(st.st_mode & S_IRGRP));
	return 0;
}

/* Every directory on the way, from history/ down. */
static int chain_walk(struct chain *chain, char *names)
{
	char *rest = names, *name;

	while ((name = strsep(&rest, "/")) != NULL)
		if (chain_descend(chain, name) < 0)
			return -1;
	return 0;
}

int chain_open(struct store *store, struct chain *chain, struct str path, struct err *err)
{
	struct buf names = BUF_INIT;
	struct stat st;
	int fd, status = 0;

	path_to_history(&names, path);
	fd = fs_open(store->history, names.data, O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_mode & S_IRGRP) {
		chain_push(chain, fd, false);	/* and so is every one above */
	} else {
		if (fd >= 0)
			close(fd);
		fd = fs_open(store->history, ".", O_RDONLY | O_DIRECTORY, 0);
		if (fd >= 0)
			chain_push(chain, fd, false);
		if (fd < 0 || chain_walk(chain, names.data) < 0) {
			status = err_sys(err, "open history of %s", shown(path).text);
			chain_close(chain);
		}
	}
	buf_clear(&names);
	return status;
}

void chain_open_to_group(struct store *store, struct str path)
{
	struct chain chain = CHAIN_INIT;

	if (chain_open(store, &chain, path, NULL) < 0)
		return;
	for (size_t i = 1; i < chain.count; i++)
		if (chain.fresh[i])
			fchmod(chain.fds[i], FS_DIR_MODE);	/* else by the next commit that syncs it */
	chain_close(&chain);
}

int chain_leaf(const struct chain *chain)
{
	return chain->count > 0 ? chain->fds[chain->count - 1] : -1;
}

/*
 * Whoever keeps a list of directories (survey.c) has to know of this
 * one, or of the one above it, which had nothing below it before.
 */
static bool chain_is_news(const struct chain *chain, size_t i)
{
	struct stat st;

	return i + 1 < chain->count || fstat(chain->fds[i - 1], &st) < 0 || st.st_nlink <= 3;
}

bool chain_has_news(const struct chain *chain)
{
	for (size_t i = 1; i < chain->count; i++)
		if (chain->made && chain->fresh[i] && chain_is_news(chain, i))
			return true;
	return false;
}

int chain_sync(struct store *store, struct chain *chain, struct err *err)
{
	if (store->replaying)
		return 0;	/* whoever is beside has yet to take them for fresh */
	for (size_t i = 1; i < chain->count; i++)
		if (chain->fresh[i] &&
		    disk_sync(store, chain->fds[i - 1], "history directory", err) < 0)
			return -1;
	if (disk_sync(store, chain_leaf(chain), "history directory", err) < 0)
		return -1;
	for (size_t i = 1; i < chain->count; i++) {
		if (chain->fresh[i] && chain_is_news(chain, i))
			counters_directories(store);
		if (chain->fresh[i] && fchmod(chain->fds[i], FS_DIR_MODE) < 0)
			return err_sys(err, "open history directory to the group");
		chain->fresh[i] = false;
	}
	return 0;
}

void chain_close(struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		close(chain->fds[i]);
	free(chain->fds);
	free(chain->fresh);
	*chain = (struct chain)CHAIN_INIT;
}
