/*
 * history - all versions of a path that are known here
 *
 * What stands in tree/ and what lies in history/P, newest first.  A version
 * that is in both (a commit links it into history before it replaces it)
 * counts once.  A tombstone beyond what the mark of its kind names does not count:
 * its deletion was cut short before anybody could see it.
 */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct reading {
	struct history history;
	size_t cap;
	int dir;		/* history/P; not owned */
	struct marks marks;	/* tombstones up to these count */
	struct err *err;
};

void history_clear(struct history *history)
{
	for (size_t i = 0; i < history->count; i++)
		free(history->entries[i].type);
	free(history->entries);
	*history = (struct history)HISTORY_INIT;
}

static void add(struct reading *r, const struct found *found)
{
	struct history *h = &r->history;

	if (h->count == r->cap) {
		r->cap = r->cap > 0 ? 2 * r->cap : 16;
		h->entries = mem_resize(h->entries, r->cap, sizeof *h->entries);
	}
	h->entries[h->count++] = (struct history_entry){
		.record = found->record,
		.type = found->type[0] != '\0' ? mem_copy(found->type, strlen(found->type)) : NULL,
		.content = found->kind == FOUND_FILE,
	};
}

static bool is_cut_short(const struct reading *r, const struct record *record)
{
	return record->flags & RECORD_DELETED &&
	       version_cmp(record->version, record->flags & RECORD_DIRECTORY ? r->marks.end
									     : r->marks.file) > 0;
}

static int add_named(void *data, const char *name)
{
	struct reading *r = data;
	struct found found = FOUND_INIT;
	struct version v;

	if (version_of_name(name, &v) < 0)
		return 0;
	if (look(r->dir, name, &found, r->err) < 0)
		return -1;
	if (!version_is_none(found.record.version) &&
	    version_cmp(found.record.version, v) == 0 && !is_cut_short(r, &found.record))
		add(r, &found);
	found_clear(&found);
	return 0;
}

static int by_version(const void *a, const void *b)
{
	const struct history_entry *x = a, *y = b;
	int order = version_cmp(y->record.version, x->record.version);

	return order != 0 ? order : (int)y->content - (int)x->content;
}

static void sort(struct history *h)
{
	size_t kept = 0;

	if (h->count > 0)
		qsort(h->entries, h->count, sizeof *h->entries, by_version);
	for (size_t i = 0; i < h->count; i++)
		if (kept > 0 && version_cmp(h->entries[kept - 1].record.version,
					    h->entries[i].record.version) == 0)
			free(h->entries[i].type);
		else
			h->entries[kept++] = h->entries[i];
	h->count = kept;
}

static int read_all(struct store *store, struct names *names, struct reading *r, struct err *err)
{
	struct found found = FOUND_INIT;
	int status;

	if (look_tree(store->tree, names->tree, &found, err) < 0)
		return -1;
	if (!version_is_none(found.record.version))
		add(r, &found);
	found_clear(&found);
	r->dir = fs_open(store->history, names_history(names), O_RDONLY | O_DIRECTORY, 0);
	if (r->dir < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open history");
	status = look_marks(store->history, names, &r->marks, err);
	if (status == 0)
		status = look_names(r->dir, ".", add_named, r, err);
	close(r->dir);
	return status;
}

int history_now(struct store *store, struct str path, struct history *ret, struct err *err)
{
	struct reading r = { .history = HISTORY_INIT, .dir = -1, .err = err };
	struct names names;

	names_set(&names, path);
	if (read_all(store, &names, &r, err) < 0) {
		history_clear(&r.history);
		return -1;
	}
	sort(&r.history);
	*ret = r.history;
	return 0;
}

struct question {
	struct store *store;
	struct str path;
	struct history history;
};

/* Of the version in doubt only what was known before. */
static void leave_out(struct history *h, const struct doubt *doubt)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->count; i++) {
		struct history_entry *entry = &h->entries[i];
		bool doubted = version_cmp(entry->record.version, doubt->coming) == 0;

		if (doubted && !doubt->known) {
			free(entry->type);
			continue;
		}
		h->entries[kept] = *entry;
		h->entries[kept++].content = entry->content && !doubted;
	}
	h->count = kept;
}

static int look_history_of(void *data, const struct doubt *doubt, struct err *err)
{
	struct question *q = data;

	if (history_now(q->store, q->path, &q->history, err) < 0)
		return -1;
	if (doubt != NULL)
		leave_out(&q->history, doubt);
	return 0;
}

static void clear_answer(void *data)
{
	history_clear(&((struct question *)data)->history);
}

int store_history(struct store *store, struct str path, struct history *ret, struct err *err)
{
	struct question q = { .store = store, .path = path, .history = HISTORY_INIT };

	if (path_check(path, err) < 0 ||
	    look_durably(store, path, look_history_of, clear_answer, &q, err) < 0 ||
	    store_there(store, err) < 0) {
		history_clear(&q.history);
		return err_context(err, "read history of %s", shown(path).text);
	}
	*ret = q.history;
	return 0;
}
