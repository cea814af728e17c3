/*
 * survey - the store's records by partition, for digests and repair
 *
 * Names come from tree/ and history/ both.  Of a path's history only as many
 * records are read as are told: their names sort as versions do.
 */
#include "survey.h"

#include "fs.h"
#include "inside.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* What is read about one path. */
struct subject {
	struct store *store;
	struct str path;
	size_t keep;
	struct names names;
	struct found in_tree;
	struct marks marks;
	struct history_entry *entries;	/* owned, and their types; newest first */
	size_t count;
};

static void clear_subject(void *data)
{
	struct subject *s = data;

	for (size_t i = 0; i < s->count; i++)
		free(s->entries[i].type);
	free(s->entries);
	found_clear(&s->in_tree);
	s->entries = NULL;
	s->count = 0;
}

/* Put it where it belongs. */
static void add(struct subject *s, const struct record *record, const char *type, bool content)
{
	size_t at = s->count;

	s->entries = mem_resize(s->entries, s->count + 1, sizeof *s->entries);
	for (; at > 0 && version_cmp(s->entries[at - 1].record.version, record->version) < 0; at--)
		s->entries[at] = s->entries[at - 1];
	s->entries[at] = (struct history_entry){
		.record = *record,
		.type = type[0] != '\0' ? mem_copy(type, strlen(type)) : NULL,
		.content = content,
	};
	s->count++;
}

struct versions {
	struct version *items;	/* owned */
	size_t count, cap;
};

static void add_version(struct versions *all, struct version v)
{
	if (all->count == all->cap) {
		all->cap = all->cap > 0 ? 2 * all->cap : 16;
		all->items = mem_resize(all->items, all->cap, sizeof *all->items);
	}
	all->items[all->count++] = v;
}

static int add_named(void *data, const char *name)
{
	struct version v;

	if (version_of_name(name, &v) == 0)
		add_version(data, v);
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct version *x = a, *y = b;

	return version_cmp(*y, *x);
}

/* One version, unless it is a directory's, or a tombstone whose deletion was cut short. */
static int add_file_version(struct subject *s, struct version v, struct err *err)
{
	struct found found = FOUND_INIT;
	bool in_tree = s->in_tree.kind != FOUND_DIRECTORY &&
		       version_cmp(s->in_tree.record.version, v) == 0;
	int status = 0;

	if (!in_tree || s->in_tree.kind == FOUND_POINTER)
		status = look(s->store->history, names_version(&s->names, v), &found, err);
	if (status < 0)
		return -1;
	if (in_tree)
		add(s, &s->in_tree.record, s->in_tree.type,
		    s->in_tree.kind == FOUND_FILE || found.kind == FOUND_FILE);
	else if (version_cmp(found.record.version, v) == 0 &&
		 !(found.record.flags & RECORD_DIRECTORY) &&
		 (!(found.record.flags & RECORD_DELETED) || version_cmp(v, s->marks.file) <= 0))
		add(s, &found.record, found.type, found.kind == FOUND_FILE);
	found_clear(&found);
	return 0;
}

/* The newest records that are no directory's. */
static int read_file(struct subject *s, struct err *err)
{
	struct versions all = { .items = NULL };
	int status = look_names(s->store->history, names_history(&s->names), add_named, &all, err);

	if (s->in_tree.kind == FOUND_FILE || s->in_tree.kind == FOUND_POINTER)
		add_version(&all, s->in_tree.record.version);
	if (all.count > 0)
		qsort(all.items, all.count, sizeof *all.items, newest_first);
	for (size_t i = 0; i < all.count && s->count < s->keep && status == 0; i++)
		if (i == 0 || version_cmp(all.items[i - 1], all.items[i]) != 0)
			status = add_file_version(s, all.items[i], err);
	free(all.items);
	return status;
}

/* Its newest record as a directory. */
static int read_directory(struct subject *s, struct err *err)
{
	struct record record = { .flags = 0 };
	struct version end = s->marks.end;

	if (s->in_tree.kind == FOUND_DIRECTORY)
		record = s->in_tree.record;
	if (version_cmp(end, record.version) > 0 &&
	    look_tombstone(s->store->history, names_version(&s->names, end), end,
			   RECORD_DELETED | RECORD_DIRECTORY, &record, err) < 0)
		return -1;
	if (!version_is_none(record.version))
		add(s, &record, "", false);
	return 0;
}

static int read_subject(void *data, const struct doubt *doubt, struct err *err)
{
	struct subject *s = data;

	/* Digests are kept until the path changes again: what is coming is waited for. */
	if (doubt != NULL)
		return LOOK_WAIT;
	names_set(&s->names, s->path);
	if (look_tree(s->store->tree, s->names.tree, &s->in_tree, err) < 0)
		return -1;
	if (s->in_tree.kind == FOUND_FOREIGN)
		return 0;
	if (look_marks(s->store->history, &s->names, &s->marks, err) < 0 || read_file(s, err) < 0)
		return -1;
	return read_directory(s, err);
}

/* The gate of the directory whose path is the subject's. */
static int read_gate(void *data, const struct doubt *doubt, struct err *err)
{
	struct subject *s = data;
	struct record record;
	struct version gate;

	if (doubt != NULL)
		return LOOK_WAIT;
	names_set(&s->names, s->path);
	if (look_mark(s->store->history, names_mark(&s->names, MARK_GATE), &gate, err) < 0)
		return -1;
	record = gate_record(gate);
	if (!version_is_none(gate))
		add(s, &record, "", false);
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
static int tell(const struct surveying *v, struct str path, unsigned partition)
{
	struct subject *s = mem_new(1, sizeof *s);
	bool gate = path_is_gate(path);
	int status;

	s->store = v->store;
	s->path = gate ? path_parent(path) : path;
	s->keep = v->keep;
	s->in_tree = (struct found)FOUND_INIT;
	status = look_durably(v->store, s->path, gate ? read_gate : read_subject, clear_subject, s,
			      v->err);
	if (status < 0) {
		err_context(v->err, "survey %s", shown(path).text);
	} else if (s->count > 0) {
		struct survey_path told = { .path = path, .partition = partition,
					    .entries = s->entries, .count = s->count };

		status = v->each(v->data, &told) != 0;
	}
	clear_subject(s);
	free(s);
	return status;
}

/* As tell(), for each name whose path is behind `after`. */
static int tell_names(const struct surveying *v, const struct survey_directory *directory,
		      struct str after, const struct children *children)
{
	struct buf path = BUF_INIT;
	int status = 0;

	for (size_t i = 0; i < children->count && status == 0; i++) {
		buf_reset(&path);
		path_join(&path, str_of(directory->path), str_of(children->names[i]));
		if (str_cmp(buf_str(&path), after) > 0 && path_check(buf_str(&path), NULL) == 0)
			status = tell(v, buf_str(&path), directory->partition);
	}
	buf_clear(&path);
	return status;
}

static int survey_one(const struct surveying *v, const struct survey_directory *directory,
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
		status = tell(v, buf_str(&gate), directory->partition);
	buf_clear(&gate);
	if (status == 0)
		status = children_read(v->store, names, &children, v->err);
	if (status == 0)
		status = tell_names(v, directory, after, &children);
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
		status = survey_one(&v, &directories[i], (struct str)STR_INIT);
	return status < 0 ? -1 : store_there(store, err);
}

int survey_behind(struct store *store, const struct survey_directory *directory, struct str after,
		  size_t keep, int (*each)(void *data, const struct survey_path *), void *data,
		  struct err *err)
{
	struct surveying v = { .store = store, .keep = keep, .each = each, .data = data,
			       .err = err };

	return survey_one(&v, directory, after) < 0 ? -1 : store_there(store, err);
}
