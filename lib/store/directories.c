/*
 * directories - all directories there are or were
 *
 * A path is one if it is a directory in tree/, if history/ has names below
 * it, or if it was removed as a directory, or was about to be.  Most directories in history/
 * are of files and have none of this: the number of links to a directory
 * tells in most file systems that nothing is below it.
 */
#include "survey.h"

#include "fs.h"
#include "inside.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct walk {
	struct store *store;
	struct survey_directory *items;	/* owned; those behind `next` are not yet read */
	size_t count, cap, next;
	struct err *err;
};

static void add(struct walk *w, struct str path)
{
	if (w->count == w->cap) {
		w->cap = w->cap > 0 ? 2 * w->cap : 64;
		w->items = mem_resize(w->items, w->cap, sizeof *w->items);
	}
	w->items[w->count++] = (struct survey_directory){
		.path = mem_copy(path.n > 0 ? path.s : "", path.n),
		.partition = path_partition_of_directory(path),
	};
}

static bool is_directory(int dir, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* The names of the directories in an open directory, which is closed, into names. */
static int read_below(int fd, bool (*wanted)(int dir, const char *name), struct buf *names,
		      struct err *err)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;
	int status = 0;

	if (dir == NULL) {
		err_sys(err, "read directory");
		close(fd);
		return -1;
	}
	while ((errno = 0, entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    is_directory(fd, entry) && wanted(fd, entry->d_name))
			buf_add(names, entry->d_name, strlen(entry->d_name) + 1);
	if (errno != 0)
		status = err_sys(err, "read directory");
	closedir(dir);
	return status;
}

/* As read_below(), of a directory by name; one that is not there has none. */
static int read_directory(int dir, const char *name, bool (*wanted)(int dir, const char *name),
			  struct buf *names, struct err *err)
{
	int fd = fs_open(dir, name, O_RDONLY | O_DIRECTORY, 0);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV ||
				       errno == EACCES
			       ? 0 : err_sys(err, "open directory");
	if (fstat(fd, &st) == 0 && st.st_nlink == 2) {
		close(fd);
		return 0;
	}
	return read_below(fd, wanted, names, err);
}

static bool any(int dir, const char *name)
{
	(void)dir, (void)name;
	return true;
}

static bool has_mark(int dir, const char *name, const char *mark)
{
	struct buf path = BUF_INIT;
	struct stat st;
	bool has;

	buf_addf(&path, "%s/%s", name, mark);
	has = fstatat(dir, path.data, &st, AT_SYMLINK_NOFOLLOW) == 0;
	buf_clear(&path);
	return has;
}

static bool was_directory(int dir, const char *text)
{
	struct buf below = BUF_INIT;
	struct str name = str_of(text);
	bool was = false;

	if (!path_name_from_history(&name))
		return false;
	if (has_mark(dir, text, MARK_END) || has_mark(dir, text, MARK_GATE))
		was = true;
	else if (read_directory(dir, text, any, &below, NULL) == 0)
		was = below.len > 0;
	buf_clear(&below);
	return was;
}

static int by_path(const void *a, const void *b)
{
	const struct survey_directory *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* The newly added ones that stand twice (in tree/ and in history/), or cannot be named, go. */
static void unite(struct walk *w, size_t from)
{
	size_t kept = from;

	if (w->count > from)
		qsort(w->items + from, w->count - from, sizeof *w->items, by_path);
	for (size_t i = from; i < w->count; i++)
		if ((kept > from && strcmp(w->items[kept - 1].path, w->items[i].path) == 0) ||
		    path_check(str_of(w->items[i].path), NULL) < 0)
			free(w->items[i].path);
		else
			w->items[kept++] = w->items[i];
	w->count = kept;
}

static int read_next(struct walk *w)
{
	char *path = mem_copy(w->items[w->next].path, strlen(w->items[w->next].path));
	struct buf names = BUF_INIT, below = BUF_INIT;
	struct names *at = mem_new(1, sizeof *at);
	size_t from = w->count, of_tree;
	int status;

	w->next++;
	names_set(at, str_of(path));
	status = read_directory(w->store->tree, at->tree, any, &names, w->err);
	of_tree = names.len;
	if (status == 0)
		status = read_directory(w->store->history, names_history(at), was_directory, &names,
					w->err);
	for (size_t i = 0; i < names.len; i += strlen(names.data + i) + 1) {
		struct str name = str_of(names.data + i);

		if (i >= of_tree)
			path_name_from_history(&name);
		buf_reset(&below);
		path_join(&below, str_of(path), name);
		add(w, buf_str(&below));
	}
	unite(w, from);
	buf_clear(&names);
	buf_clear(&below);
	free(at);
	free(path);
	return status;
}

static int by_partition(const void *a, const void *b)
{
	const struct survey_directory *x = a, *y = b;

	return x->partition != y->partition ? x->partition < y->partition ? -1 : 1 : by_path(a, b);
}

void survey_directories_clear(struct survey_directories *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].path);
	free(list->items);
	*list = (struct survey_directories)SURVEY_DIRECTORIES_INIT;
}

int survey_directories(struct store *store, struct survey_directories *ret, struct err *err)
{
	struct walk w = { .store = store, .err = err };
	struct survey_directories list;
	int status = 0;

	if (store_settle(store, err) < 0)
		return -1;
	list.changes = store_directory_changes(store);
	add(&w, (struct str)STR_INIT);
	while (w.next < w.count && status == 0)
		status = read_next(&w);
	if (status == 0)
		status = store_there(store, err);
	list.items = w.items;
	list.count = w.count;
	if (status < 0) {
		survey_directories_clear(&list);
		return err_context(err, "find all directories");
	}
	qsort(list.items, list.count, sizeof *list.items, by_partition);
	*ret = list;
	return 0;
}

const struct survey_directory *survey_slice(const struct survey_directories *list,
					    unsigned partition, size_t *ret_count)
{
	size_t first = 0, beyond = list->count, last;

	while (first < beyond) {
		size_t middle = first + (beyond - first) / 2;

		if (list->items[middle].partition < partition)
			first = middle + 1;
		else
			beyond = middle;
	}
	for (last = first; last < list->count && list->items[last].partition == partition; last++)
		;
	*ret_count = last - first;
	return last > first ? &list->items[first] : NULL;
}
