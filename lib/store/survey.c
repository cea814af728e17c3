/*
 * survey - the store's records by partition, for digests and repair
 *
 * First the directories: a path is one if it is a directory in tree/, if
 * history/ has names below it, or if it was removed as a directory, or was
 * about to be.  Most directories in history/ are of files and have none of
 * this: the number of links to a directory tells in most file systems that
 * nothing is below it.
 *
 * Then what is in each.  Names come from tree/ and history/ both.  Of a
 * path's history only as many records are read as are told: their names sort
 * as versions do.
 */
#include "survey.h"

#include "fs.h"
#include "inside.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* all directories there are or were */

struct walk {
	struct store *store;
	struct survey_directory *items;	/* owned; those behind `next` are not yet read */
	size_t count, cap, next;
	struct err *err;
};

static void walk_add(struct walk *w, struct str path)
{
	w->items = mem_room(w->items, w->count, &w->cap, sizeof *w->items);
	w->items[w->count++] = (struct survey_directory){
		.path = mem_copy(path.n > 0 ? path.s : "", path.n),
		.partition = path_partition_of_directory(path),
	};
}

struct collecting {
	int dir;			/* whose names are told */
	bool (*wanted)(int dir, const char *name);	/* NULL: all are */
	struct buf *names;
};

static int collect_wanted(void *data, const char *name)
{
	const struct collecting *c = data;

	if (c->wanted == NULL || c->wanted(c->dir, name))
		buf_add(c->names, name, strlen(name) + 1);
	return 0;
}

/* The names of the directories in a directory; one that is not there has none. */
static int names_of_directories(int dir, const char *name, bool (*wanted)(int dir, const char *name),
				struct buf *names, struct err *err)
{
	int fd = fs_open(dir, name, O_RDONLY | O_DIRECTORY, 0);
	struct collecting c = { fd, wanted, names };
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV ||
				       errno == EACCES
			       ? 0 : err_sys(err, "open directory");
	if (fstat(fd, &st) == 0 && st.st_nlink == 2) {
		close(fd);
		return 0;
	}
	return names_each_open(fd, true, collect_wanted, &c, err);
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
	else if (names_of_directories(dir, text, NULL, &below, NULL) == 0)
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
static void walk_unite(struct walk *w, size_t from)
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

static int walk_read_next(struct walk *w)
{
	char *path = mem_copy(w->items[w->next].path, strlen(w->items[w->next].path));
	struct buf names = BUF_INIT, below = BUF_INIT;
	struct names *at = mem_new(1, sizeof *at);
	size_t from = w->count, of_tree;
	int status;

	w->next++;
	names_set(at, str_of(path));
	status = names_of_directories(w->store->tree, at->tree, NULL, &names, w->err);
	of_tree = names.len;
	if (status == 0)
		status = names_of_directories(w->store->history, names_history(at), was_directory, &names,
					      w->err);
	for (size_t i = 0; i < names.len; i += strlen(names.data + i) + 1) {
		struct str name = str_of(names.data + i);

		if (i >= of_tree)
			path_name_from_history(&name);
		buf_reset(&below);
		path_join(&below, str_of(path), name);
		walk_add(w, buf_str(&below));
	}
	walk_unite(w, from);
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

	if (store_finish_dead(store, err) < 0)
		return -1;
	list.changes = store_directory_changes(store);
	walk_add(&w, (struct str)STR_INIT);
	while (w.next < w.count && status == 0)
		status = walk_read_next(&w);
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

/* what they have */

/* What is read about one path. */
struct subject {
	struct store *store;
	struct str path;
	size_t keep;
	struct names names;
	struct inode in_tree;
	struct marks marks;
	struct history told;		/* newest first */
};

static void subject_clear(void *data)
{
	struct subject *s = data;

	history_clear(&s->told);
	inode_clear(&s->in_tree);
}

/* Put it where it belongs. */
static void subject_add(struct subject *s, const struct record *record, const char *type, bool content)
{
	struct history *h = &s->told;
	size_t at = h->count++;

	h->entries = mem_resize(h->entries, h->count, sizeof *h->entries);
	for (; at > 0 && version_cmp(h->entries[at - 1].record.version, record->version) < 0; at--)
		h->entries[at] = h->entries[at - 1];
	h->entries[at] = history_entry_of(record, type, content);
}

static int newest_first(const void *a, const void *b)
{
	const struct version *x = a, *y = b;

	return version_cmp(*y, *x);
}

/* One version, unless it is a directory's, or a tombstone whose deletion was cut short. */
static int subject_add_version(struct subject *s, struct version v, struct err *err)
{
	struct inode found = INODE_INIT;
	bool in_tree = s->in_tree.kind != INODE_DIRECTORY &&
		       version_cmp(s->in_tree.record.version, v) == 0;
	int status = 0;

	if (!in_tree || s->in_tree.kind == INODE_POINTER)
		status = inode_read(s->store->history, names_version(&s->names, v), &found, err);
	if (status < 0)
		return -1;
	if (in_tree)
		subject_add(s, &s->in_tree.record, s->in_tree.type,
			    s->in_tree.kind == INODE_CONTENT || found.kind == INODE_CONTENT);
	else if (version_cmp(found.record.version, v) == 0 &&
		 !(found.record.flags & RECORD_DIRECTORY) &&
		 !tombstone_is_cut_short(&found.record, &s->marks))
		subject_add(s, &found.record, found.type, found.kind == INODE_CONTENT);
	inode_clear(&found);
	return 0;
}

/* The newest records that are no directory's. */
static int subject_read_file(struct subject *s, struct err *err)
{
	struct versions all = VERSIONS_INIT;
	int status = versions_read(s->store, &s->names, &all, err);

	if (inode_is_file(&s->in_tree))
		versions_add(&all, s->in_tree.record.version);
	if (all.count > 0)
		qsort(all.items, all.count, sizeof *all.items, newest_first);
	for (size_t i = 0; i < all.count && s->told.count < s->keep && status == 0; i++)
		if (i == 0 || version_cmp(all.items[i - 1], all.items[i]) != 0)
			status = subject_add_version(s, all.items[i], err);
	versions_clear(&all);
	return status;
}

/* Its newest record as a directory. */
static int subject_read_entry(struct subject *s, struct err *err)
{
	struct record record = { .flags = 0 };
	struct version end = s->marks.end;

	if (s->in_tree.kind == INODE_DIRECTORY)
		record = s->in_tree.record;
	if (version_cmp(end, record.version) > 0 &&
	    tombstone_read(s->store->history, names_version(&s->names, end), end,
			   RECORD_DELETED | RECORD_DIRECTORY, &record, err) < 0)
		return -1;
	if (!version_is_none(record.version))
		subject_add(s, &record, "", false);
	return 0;
}

static int subject_read(void *data, const struct pending *pending, struct err *err)
{
	struct subject *s = data;

	/* Digests are kept until the path changes again: what is coming is waited for. */
	if (pending != NULL)
		return READ_WAIT;
	names_set(&s->names, s->path);
	if (inode_read_tree(s->store->tree, s->names.tree, &s->in_tree, err) < 0)
		return -1;
	if (s->in_tree.kind == INODE_FOREIGN)
		return 0;
	if (marks_read(s->store->history, &s->names, &s->marks, err) < 0 || subject_read_file(s, err) < 0)
		return -1;
	return subject_read_entry(s, err);
}

/* The gate of the directory whose path is the subject's. */
static int subject_read_gate(void *data, const struct pending *pending, struct err *err)
{
	struct subject *s = data;
	struct record record;
	struct version gate;

	if (pending != NULL)
		return READ_WAIT;
	names_set(&s->names, s->path);
	if (mark_read(s->store->history, names_mark(&s->names, MARK_GATE), &gate, err) < 0)
		return -1;
	record = gate_record(gate);
	if (!version_is_none(gate))
		subject_add(s, &record, "", false);
	return 0;
}

struct surveying {
	struct store *store;
	size_t keep;
	int (*each)(void *data, const struct survey_path *);
	void *data;
	struct err *err;
};

/* What a path has, or the gate of a directory.  0, 1: each() has ended it, -1. */
static int survey_path(const struct surveying *v, struct str path, unsigned partition)
{
	struct subject *s = mem_new(1, sizeof *s);
	bool gate = path_is_gate(path);
	int status;

	s->store = v->store;
	s->path = gate ? path_parent(path) : path;
	s->keep = v->keep;
	s->in_tree = (struct inode)INODE_INIT;
	status = read_durably(v->store, s->path, gate ? subject_read_gate : subject_read,
			      subject_clear, s,
			      v->err);
	if (status < 0) {
		err_context(v->err, "survey %s", shown(path).text);
	} else if (s->told.count > 0) {
		struct survey_path told = { .path = path, .partition = partition,
					    .entries = s->told.entries, .count = s->told.count };

		status = v->each(v->data, &told) != 0;
	}
	subject_clear(s);
	free(s);
	return status;
}

/* As survey_path(), for each name whose path is behind `after`. */
static int survey_names(const struct surveying *v, const struct survey_directory *directory,
			struct str after, const struct children *children)
{
	struct buf path = BUF_INIT;
	int status = 0;

	for (size_t i = 0; i < children->count && status == 0; i++)
		if (path_below(&path, str_of(directory->path), children->items[i].name) &&
		    str_cmp(buf_str(&path), after) > 0)
			status = survey_path(v, buf_str(&path), directory->partition);
	buf_clear(&path);
	return status;
}

static int survey_directory(const struct surveying *v, const struct survey_directory *directory,
			    struct str after)
{
	struct names *names = mem_new(1, sizeof *names);
	struct children children = CHILDREN_INIT;
	struct buf gate = BUF_INIT;
	int status = 0;

	names_set(names, str_of(directory->path));
	path_to_gate(&gate, str_of(directory->path));
	if (path_is_gate(buf_str(&gate)) && str_cmp(buf_str(&gate), after) > 0 &&
	    path_check_record(buf_str(&gate), NULL) == 0)
		status = survey_path(v, buf_str(&gate), directory->partition);
	buf_clear(&gate);
	if (status == 0)
		status = children_read(v->store, names, &children, v->err);
	if (status == 0)
		status = survey_names(v, directory, after, &children);
	children_clear(&children);
	free(names);
	return status;
}

int survey(struct store *store, const struct survey_directory *directories, size_t count,
	   size_t keep, int (*each)(void *data, const struct survey_path *), void *data,
	   struct err *err)
{
	struct surveying v = { .store = store, .keep = keep, .each = each, .data = data,
			       .err = err };
	int status = 0;

	for (size_t i = 0; i < count && status == 0; i++)
		status = survey_directory(&v, &directories[i], (struct str)STR_INIT);
	return status < 0 ? -1 : store_there(store, err);
}

int survey_behind(struct store *store, const struct survey_directory *directory, struct str after,
		  size_t keep, int (*each)(void *data, const struct survey_path *), void *data,
		  struct err *err)
{
	struct surveying v = { .store = store, .keep = keep, .each = each, .data = data,
			       .err = err };

	return survey_directory(&v, directory, after) < 0 ? -1 : store_there(store, err);
}
