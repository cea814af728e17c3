/* names - where a path's things are in tree/ and history/, and which names are there */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

int names_init(struct names *names, struct str path, struct err *err)
{
	if (path_check(path, err) < 0)
		return -1;
	names_set(names, path);
	return 0;
}

void names_set(struct names *names, struct str path)
{
	struct buf history = BUF_INIT;

	memcpy(names->tree, path.n > 0 ? path.s : ".", path.n > 0 ? path.n : 1);
	names->tree[path.n > 0 ? path.n : 1] = '\0';
	path_to_history(&history, path);
	if (path.n > 0)
		buf_addc(&history, '/');
	buf_addc(&history, '\0');
	memcpy(names->history, history.data, history.len);
	names->stem = history.len - 1;
	names->no_history = false;
	buf_clear(&history);
}

void names_look_for_history(struct names *names, int history)
{
	names->no_history = faccessat(history, names_history(names), F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
			    errno == ENOENT;
}

bool path_below(struct buf *to, struct str path, const char *name)
{
	buf_reset(to);
	path_join(to, path, str_of(name));
	return path_check(buf_str(to), NULL) == 0;
}

const char *names_mark(struct names *names, const char *mark)
{
	snprintf(names->history + names->stem, sizeof names->history - names->stem, "%s", mark);
	return names->history;
}

const char *names_history(struct names *names)
{
	return names_mark(names, ".");
}

const char *temporary_name(char to[TEMPORARY_NAME], const char *what, struct str path)
{
	snprintf(to, TEMPORARY_NAME, ",%s-%016" PRIx64, what, path_hash(path));
	return to;
}

const char *version_name(char to[VERSION_NAME], struct version v)
{
	to[0] = ',';
	version_format(to + 1, v);
	return to;
}

const char *names_version(struct names *names, struct version v)
{
	char name[VERSION_NAME];

	return names_mark(names, version_name(name, v));
}

uint64_t changed_at(int dir, const char *name)
{
	struct stat st;

	if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec;
}

int version_of_name(const char *name, struct version *ret)
{
	return name[0] == ',' ? version_parse(str_of(name + 1), ret, NULL) : -1;
}

struct shown shown(struct str path)
{
	struct shown shown;
	struct buf text = BUF_INIT;

	path_to_target(&text, path, false);
	if (text.len < sizeof shown.text)
		memcpy(shown.text, text.data, text.len + 1);
	else
		snprintf(shown.text, sizeof shown.text, "%.*s...", (int)sizeof shown.text - 4,
			 text.data);
	buf_clear(&text);
	return shown;
}

static bool is_directory(int dir, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* What is told of each entry of a directory that is open: not 0 ends it. */
typedef int each_entry(void *data, int dir, const struct dirent *entry);

/* The descriptor is closed. */
static int entries_each_open(int fd, each_entry *each, void *data, struct err *err)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;
	int status = 0;

	if (dir == NULL) {
		err_sys(err, "read directory");
		close(fd);
		return -1;
	}
	while (status == 0 && (errno = 0, entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			status = each(data, fd, entry);
	if (status == 0 && errno != 0)
		status = err_sys(err, "read directory");
	closedir(dir);
	return status < 0 ? -1 : 0;
}

static int entries_each(int dir, const char *name, each_entry *each, void *data, struct err *err)
{
	int fd = fs_open(dir, name, O_RDONLY | O_DIRECTORY, 0);

	if (fd >= 0)
		return entries_each_open(fd, each, data, err);
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV)
		return 0;
	return err_sys(err, "open directory");
}

struct naming {
	bool directories;		/* those alone */
	int (*each)(void *data, const char *name);
	void *data;
};

static int name_entry(void *data, int dir, const struct dirent *entry)
{
	const struct naming *n = data;

	return n->directories && !is_directory(dir, entry) ? 0 : n->each(n->data, entry->d_name);
}

int names_each_open(int fd, bool directories, int (*each)(void *data, const char *name), void *data,
		    struct err *err)
{
	struct naming naming = { directories, each, data };

	return entries_each_open(fd, name_entry, &naming, err);
}

int names_each(int dir, const char *name, int (*each)(void *data, const char *name), void *data,
	       struct err *err)
{
	struct naming naming = { false, each, data };

	return entries_each(dir, name, name_entry, &naming, err);
}

static int names_stop(void *data, const char *name)
{
	(void)name;
	*(bool *)data = false;
	return 1;
}

bool names_none(int dir, const char *name)
{
	bool bare = true;

	return names_each(dir, name, names_stop, &bare, NULL) == 0 && bare;
}

static int names_add(void *data, const char *name)
{
	buf_add(data, name, strlen(name) + 1);
	return 0;
}

int names_collect(int dir, const char *name, struct buf *texts, struct err *err)
{
	return names_each(dir, name, names_add, texts, err);
}

struct gathering {
	bool in_history;		/* which is being read */
	struct buf *texts;		/* per name: whether it is a directory, name, NUL */
};

/* What kind an entry is matters in tree/ alone. */
static int gather_entry(void *data, int dir, const struct dirent *entry)
{
	const struct gathering *g = data;
	struct str name = str_of(entry->d_name);

	if (g->in_history && !path_name_from_history(&name))
		return 0;
	buf_addc(g->texts, !g->in_history && is_directory(dir, entry));
	buf_add(g->texts, name.s, name.n + 1);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct child *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* The texts sorted, each once; those behind of_tree are of history/. */
static void children_sort(struct children *c, size_t of_tree)
{
	size_t count = 0, room = 0;

	for (size_t at = 0; at < c->texts.len; at += strlen(c->texts.data + at + 1) + 2) {
		const char *text = c->texts.data + at;

		c->items = mem_room(c->items, count, &room, sizeof *c->items);
		c->items[count++] = (struct child){ text + 1, at >= of_tree, text[0] };
	}
	if (count > 0)
		qsort(c->items, count, sizeof *c->items, by_name);
	for (size_t i = 0; i < count; i++)
		if (c->count > 0 && strcmp(c->items[c->count - 1].name, c->items[i].name) == 0) {
			c->items[c->count - 1].in_history |= c->items[i].in_history;
			c->items[c->count - 1].directory |= c->items[i].directory;
		} else {
			c->items[c->count++] = c->items[i];
		}
}

static int children_read_both(int tree, const char *in_tree, int history, const char *in_history,
			      struct children *ret, struct err *err)
{
	struct children c = CHILDREN_INIT;
	struct gathering gathering = { .texts = &c.texts };
	size_t of_tree;
	int status = 0;

	/* The tree's first: what is deleted meanwhile shows as deleted. */
	if (tree >= 0)
		status = entries_each(tree, in_tree, gather_entry, &gathering, err);
	of_tree = c.texts.len;
	gathering.in_history = true;
	if (status == 0 && history >= 0)
		status = entries_each(history, in_history, gather_entry, &gathering, err);
	if (status < 0) {
		children_clear(&c);
		return -1;
	}
	children_sort(&c, of_tree);
	*ret = c;
	return 0;
}

int children_read(struct store *store, struct names *names, struct children *ret, struct err *err)
{
	return children_read_both(store->tree, names->tree, store->history, names_history(names),
				  ret, err);
}

int children_read_open(int tree, int history, struct children *ret, struct err *err)
{
	return children_read_both(tree, ".", history, ".", ret, err);
}

void children_clear(struct children *c)
{
	free(c->items);
	buf_clear(&c->texts);
	*c = (struct children)CHILDREN_INIT;
}

void versions_add(struct versions *all, struct version v)
{
	all->items = mem_room(all->items, all->count, &all->cap, sizeof *all->items);
	all->items[all->count++] = v;
}

static int versions_add_name(void *data, const char *name)
{
	struct version v;

	if (version_of_name(name, &v) == 0)
		versions_add(data, v);
	return 0;
}

int versions_read(struct store *store, struct names *names, struct versions *ret, struct err *err)
{
	return names_each(store->history, names_history(names), versions_add_name, ret, err);
}

void versions_clear(struct versions *all)
{
	free(all->items);
	*all = (struct versions)VERSIONS_INIT;
}
