/*
 * read - what is known at a path: the newest version, one version, the gate, the history
 *
 * The file's newest version is the greater of tree/P and the one that
 * history/P/, names.  That one is asked for even when tree/P is there: a
 * crash between the two steps of a deletion leaves both, and so does a
 * person who copies a file back.  Nothing about tree/P itself could prove
 * that there is none.  The entry is the directory's record, or its end, which
 * history/P/,directory names.
 *
 * The tree is read first.  Whatever writers do meanwhile, the answer was
 * the newest version at some moment between the look-ups.  That it was
 * on disk read_durably() sees to (counters.c).
 *
 * System calls of a GET that finds nothing in cache.c: openat2, fstat, fgetxattr, readlinkat twice.
 */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define OLDER_AT_FIRST 16	/* versions that are looked at, and then four times as many */

void store_entry_clear(struct store_entry *entry)
{
	if (entry->fd >= 0)
		close(entry->fd);
	store_body_release(entry->body);
	*entry = (struct store_entry)STORE_ENTRY_INIT;
}

/* Hand over what was found; the descriptor goes along when it is wanted. */
static void entry_take(struct inode *found, enum store_want want, struct store_entry *ret)
{
	ret->record = found->record;
	memcpy(ret->type, found->type, sizeof ret->type);
	ret->content = found->kind == INODE_CONTENT;
	if (ret->content && want == STORE_CONTENT) {
		ret->fd = found->fd;
		found->fd = -1;
	}
}

enum name_kind store_name_kind(const struct store_entry *entry)
{
	return entry->directory ? NAME_DIRECTORY : record_name_kind(&entry->record, &entry->entry);
}

const struct record *store_current(const struct store_entry *entry)
{
	return record_current(&entry->record, &entry->entry);
}

/* One version from its file in history/; nothing there leaves *ret as it is. */
static int entry_from_history(int history, struct names *names, struct version v,
			      enum store_want want, struct store_entry *ret, struct err *err)
{
	struct inode found = INODE_INIT;

	if (inode_read(history, names_version(names, v), &found, err) < 0)
		return -1;
	if (!version_is_none(found.record.version) && version_cmp(found.record.version, v) == 0)
		entry_take(&found, want, ret);
	inode_clear(&found);
	return 0;
}

/* What the mark names.  In older stores it may name the entry's end, which is no file's. */
static int entry_from_mark(int history, struct names *names, const struct marks *marks,
			   enum store_want want, struct store_entry *ret, struct err *err)
{
	struct version v = marks->file;

	if (!version_is_none(v) && version_cmp(v, marks->end) == 0 &&
	    history_newest_file(history, names, VERSION_NONE, v, &v, err) < 0)
		return -1;
	if (version_is_none(v))
		return 0;
	if (entry_from_history(history, names, v, want, ret, err) < 0)
		return -1;
	if (version_is_none(ret->record.version))
		ret->record = (struct record){ .version = v, .flags = RECORD_DELETED };
	return 0;
}

/* What history knows of the file, whatever a person put in its place. */
static int entry_behind_foreign(int history, struct names *names, const struct marks *marks,
				enum store_want want, struct store_entry *ret, struct err *err)
{
	struct version v = VERSION_NONE;

	ret->foreign = true;
	if (history_newest_file(history, names, marks->file, VERSION_NONE, &v, err) < 0)
		return -1;
	return version_is_none(v) ? entry_from_mark(history, names, marks, want, ret, err)
				  : entry_from_history(history, names, v, want, ret, err);
}

int entry_from_inode(int history, struct names *names, const struct marks *marks, struct inode *found,
		     enum store_want want, struct store_entry *ret, struct err *err)
{
	bool directory = found->kind == INODE_DIRECTORY;

	if (directory && version_cmp(found->record.version, marks->end) > 0) {
		ret->entry = found->record;
		ret->directory = true;
	} else if (!version_is_none(marks->end) &&
		   tombstone_read(history, names_version(names, marks->end), marks->end,
				  RECORD_DELETED | RECORD_DIRECTORY, &ret->entry, err) < 0) {
		return -1;
	}
	if (found->kind == INODE_FOREIGN)
		return entry_behind_foreign(history, names, marks, want, ret, err);
	if (!inode_is_file(found) || version_cmp(found->record.version, marks->file) < 0)
		return entry_from_mark(history, names, marks, want, ret, err);
	entry_take(found, want, ret);
	return 0;
}

/* the gate: a link in the directory's own history names it */

struct record gate_record(struct version v)
{
	return (struct record){ .version = v, .flags = RECORD_DELETED };
}

struct gate_question {
	struct store *store;
	struct str path;	/* of the directory */
	struct version gate;
};

/* A gate is never just left out: whoever changes it makes others wait. */
static int gate_read(void *data, const struct pending *pending, struct err *err)
{
	struct gate_question *q = data;
	struct names names;

	(void)pending;
	names_set(&names, q->path);
	return mark_read(q->store->history, names_mark(&names, MARK_GATE), &q->gate, err);
}

int store_gate(struct store *store, struct str directory, struct version *ret, struct err *err)
{
	struct gate_question q = { .store = store, .path = directory };

	if (path_check(directory, err) < 0 ||
	    (directory.n > 0 &&
	     read_durably(store, directory, gate_read, NULL, &q, err) < 0))
		return err_context(err, "look up the gate of %s", shown(directory).text);
	*ret = q.gate;
	return 0;
}

static int newest_gate(struct store *store, struct str path, struct store_entry *ret, struct err *err)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct version v;

	if (store_gate(store, path_parent(path), &v, err) < 0)
		return -1;
	if (!version_is_none(v))
		entry.record = gate_record(v);
	*ret = entry;
	return 0;
}

/* the newest version, and one version */

/* What is asked about a path, and the answer. */
struct entry_question {
	struct store *store;
	struct str path;
	struct version version;		/* for store_version() */
	enum store_want want;
	struct store_entry entry;
};

static void question_clear(void *data)
{
	store_entry_clear(&((struct entry_question *)data)->entry);
}

/* Hand over the answer, or say what could not be answered. */
static int question_answer(struct entry_question *q, int status, const char *what, struct store_entry *ret,
			   struct err *err)
{
	if (status < 0) {
		store_entry_clear(&q->entry);
		return err_context(err, "look up %s%s", what, shown(q->path).text);
	}
	*ret = q->entry;
	return 0;
}

/* The version is known, its content is not here yet. */
static void entry_become_pointer(struct store_entry *entry)
{
	if (entry->fd >= 0)
		close(entry->fd);
	entry->fd = -1;
	entry->content = false;
}

/* What was the newest before the pending one, which was found. */
static int newest_read_before(struct entry_question *q, struct names *names, const struct pending *pending,
			      struct err *err)
{
	if (version_cmp(pending->before, pending->version) == 0) {
		entry_become_pointer(&q->entry);
		return 0;
	}
	entry_become_pointer(&q->entry);
	q->entry.record.version = VERSION_NONE;
	q->entry.type[0] = '\0';
	if (version_is_none(pending->before)) {
		q->entry.record = (struct record){ .flags = 0 };
		return 0;
	}
	if (entry_from_history(q->store->history, names, pending->before, q->want, &q->entry, err) < 0)
		return -1;
	/* It may be gone when the pending one no longer is. */
	return version_is_none(q->entry.record.version) ? READ_WAIT : 0;
}

static int newest_read(void *data, const struct pending *pending, struct err *err)
{
	struct entry_question *q = data;
	struct inode found = INODE_INIT;
	struct marks marks;
	struct names names;
	int status;

	names_set(&names, q->path);
	status = inode_read_tree(q->store->tree, names.tree, &found, err);
	names_look_for_history(&names, q->store->history);
	if (status == 0)
		status = marks_read(q->store->history, &names, &marks, err);
	if (status == 0)
		status = entry_from_inode(q->store->history, &names, &marks, &found, q->want, &q->entry,
					  err);
	if (inode_is_file(&found) && version_cmp(found.record.version, q->entry.record.version) == 0)
		q->entry.seen = seen_of(&found.st);
	inode_clear(&found);
	q->entry.directory = q->entry.directory || q->path.n == 0;	/* the root needs no entry */
	if (status == 0 && pending != NULL &&
	    version_cmp(q->entry.record.version, pending->version) == 0)
		status = newest_read_before(q, &names, pending, err);
	return status;
}

int newest_without(struct store *store, struct str path, const struct pending *pending,
		   struct store_entry *ret, struct err *err)
{
	struct entry_question q = { .store = store, .path = path, .want = STORE_RECORD,
				    .entry = STORE_ENTRY_INIT };
	int status = newest_read(&q, pending, err);

	if (status == READ_WAIT) {
		store_entry_clear(&q.entry);
		return READ_WAIT;
	}
	return question_answer(&q, status, "", ret, err);
}

int store_newest(struct store *store, struct str path, enum store_want want,
		 struct store_entry *ret, struct err *err)
{
	struct entry_question q = { .store = store, .path = path, .want = want,
			      .entry = STORE_ENTRY_INIT };
	int status;

	if (path_check_record(path, err) < 0)
		return -1;
	if (path_is_gate(path))
		return newest_gate(store, path, ret, err);
	status = read_durably(store, path, newest_read, question_clear, &q, err);
	if (status == 0 && version_is_none(store_current(&q.entry)->version))
		status = store_there(store, err);
	return question_answer(&q, status, "", ret, err);
}

static int question_judge_version(struct entry_question *q, struct names *names, struct err *err)
{
	struct marks marks;

	if (!(q->entry.record.flags & RECORD_DELETED))
		return 0;
	if (marks_read(q->store->history, names, &marks, err) < 0)
		return -1;
	if (tombstone_is_cut_short(&q->entry.record, &marks))
		q->entry.record.version = VERSION_NONE;
	return 0;
}

static int version_read(void *data, const struct pending *pending, struct err *err)
{
	struct entry_question *q = data;
	bool is_pending = pending != NULL && version_cmp(q->version, pending->version) == 0, there;
	struct inode found = INODE_INIT;
	struct names names;
	int status;

	names_set(&names, q->path);
	status = inode_read_tree(q->store->tree, names.tree, &found, err);
	there = status == 0 && version_cmp(found.record.version, q->version) == 0;
	if (there)
		entry_take(&found, q->want, &q->entry);
	/* Content may be in history while tree/ holds a pointer, or holds something newer. */
	if (status == 0 && !q->entry.content && !(there && found.kind == INODE_DIRECTORY))
		status = entry_from_history(q->store->history, &names, q->version, q->want, &q->entry,
					    err);
	inode_clear(&found);
	if (status == 0)
		status = question_judge_version(q, &names, err);
	if (status == 0 && is_pending && pending->record_known)
		entry_become_pointer(&q->entry);
	else if (status == 0 && is_pending)
		store_entry_clear(&q->entry);
	if (status == 0 && version_is_none(q->entry.record.version))
		status = err_set(err, ERR_ABSENT, "no such version is known here");
	return status;
}

int version_locked(struct store *store, struct str path, struct version v, struct store_entry *ret,
		   struct err *err)
{
	struct entry_question q = { .store = store, .path = path, .version = v, .want = STORE_RECORD,
				    .entry = STORE_ENTRY_INIT };

	return question_answer(&q, version_read(&q, NULL, err), "a version of ", ret, err);
}

/* Of a gate the newest alone is known. */
static int one_gate(struct store *store, struct str path, struct version v,
		    struct store_entry *ret, struct err *err)
{
	struct store_entry entry = STORE_ENTRY_INIT;

	if (newest_gate(store, path, &entry, err) < 0)
		return -1;
	if (version_cmp(entry.record.version, v) != 0)
		return err_set(err, ERR_ABSENT, "look up a version of %s: no such version is "
			       "known here", shown(path).text);
	*ret = entry;
	return 0;
}

int store_version(struct store *store, struct str path, struct version v, enum store_want want,
		  struct store_entry *ret, struct err *err)
{
	struct entry_question q = { .store = store, .path = path, .version = v, .want = want,
			      .entry = STORE_ENTRY_INIT };
	struct err why = ERR_INIT;
	int status;

	if (path_check_record(path, err) < 0)
		return -1;
	if (path_is_gate(path))
		return one_gate(store, path, v, ret, err);
	status = read_durably(store, path, version_read, question_clear, &q, &why);
	if (status < 0 && why.kind == ERR_ABSENT)
		store_there(store, &why);
	if (status < 0)
		err_pass(err, &why);
	return question_answer(&q, status, "a version of ", ret, err);
}

/*
 * The history: what stands in tree/ and what lies in history/P, newest first.
 * A version that is in both (a commit links it into history before it
 * replaces it) counts once.  A tombstone that was cut short does not count.
 */

struct history_reading {
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

struct history_entry history_entry_of(const struct record *record, const char *type, bool content)
{
	return (struct history_entry){
		.record = *record,
		.type = type[0] != '\0' ? mem_copy(type, strlen(type)) : NULL,
		.content = content,
	};
}

static void history_add(struct history_reading *r, const struct inode *found)
{
	struct history *h = &r->history;

	h->entries = mem_room(h->entries, h->count, &r->cap, sizeof *h->entries);
	h->entries[h->count++] =
		history_entry_of(&found->record, found->type, found->kind == INODE_CONTENT);
}

static int history_add_name(void *data, const char *name)
{
	struct history_reading *r = data;
	struct inode found = INODE_INIT;
	struct version v;

	if (version_of_name(name, &v) < 0)
		return 0;
	if (inode_read(r->dir, name, &found, r->err) < 0)
		return -1;
	if (!version_is_none(found.record.version) &&
	    version_cmp(found.record.version, v) == 0 && !tombstone_is_cut_short(&found.record, &r->marks))
		history_add(r, &found);
	inode_clear(&found);
	return 0;
}

static int by_version(const void *a, const void *b)
{
	const struct history_entry *x = a, *y = b;
	int order = version_cmp(y->record.version, x->record.version);

	return order != 0 ? order : (int)y->content - (int)x->content;
}

static void history_sort(struct history *h)
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

static int history_read_all(struct store *store, struct names *names, struct history_reading *r,
			    struct err *err)
{
	struct inode found = INODE_INIT;
	int status;

	if (inode_read_tree(store->tree, names->tree, &found, err) < 0)
		return -1;
	if (!version_is_none(found.record.version))
		history_add(r, &found);
	inode_clear(&found);
	r->dir = fs_open(store->history, names_history(names), O_RDONLY | O_DIRECTORY, 0);
	if (r->dir < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open history");
	status = marks_read(store->history, names, &r->marks, err);
	if (status == 0)
		status = names_each(r->dir, ".", history_add_name, r, err);
	close(r->dir);
	return status;
}

int history_locked(struct store *store, struct str path, struct history *ret, struct err *err)
{
	struct history_reading r = { .history = HISTORY_INIT, .dir = -1, .err = err };
	struct names names;

	names_set(&names, path);
	if (history_read_all(store, &names, &r, err) < 0) {
		history_clear(&r.history);
		return -1;
	}
	history_sort(&r.history);
	*ret = r.history;
	return 0;
}

/*
 * A part of the history: all its versions are known by their names, and only
 * those that are told are looked at.
 */

struct history_part {
	struct version older;	/* the page's are; none: all are */
	size_t limit;
};

struct part_reading {
	struct history_reading reading;
	struct inode stands;	/* in tree/ */
	struct versions versions;	/* newest first */
};

static int by_newest(const void *a, const void *b)
{
	return version_cmp(*(const struct version *)b, *(const struct version *)a);
}

static int part_read_versions(struct store *store, struct names *names, struct part_reading *p, struct err *err)
{
	struct versions *all = &p->versions;
	size_t kept = 0;

	if (inode_read_tree(store->tree, names->tree, &p->stands, err) < 0)
		return -1;
	if (!version_is_none(p->stands.record.version))
		versions_add(all, p->stands.record.version);
	p->reading.dir = fs_open(store->history, names_history(names), O_RDONLY | O_DIRECTORY, 0);
	if (p->reading.dir < 0 && errno != ENOENT)
		return err_sys(err, "open history");
	if (p->reading.dir >= 0 && (marks_read(store->history, names, &p->reading.marks, err) < 0 ||
				    versions_read(store, names, all, err) < 0))
		return -1;
	if (all->count > 0)
		qsort(all->items, all->count, sizeof *all->items, by_newest);
	for (size_t i = 0; i < all->count; i++)
		if (kept == 0 || version_cmp(all->items[kept - 1], all->items[i]) != 0)
			all->items[kept++] = all->items[i];
	all->count = kept;
	return 0;
}

/* The version becomes the reading's last entry, if it counts: 1, 0, or -1. */
static int part_add(struct part_reading *p, size_t i, const struct pending *pending)
{
	struct history_reading *r = &p->reading;
	struct version v = p->versions.items[i];
	bool is_pending = pending != NULL && version_cmp(v, pending->version) == 0;
	size_t before = r->history.count;
	char name[VERSION_NAME];

	if (is_pending && !pending->record_known)
		return 0;
	if (version_cmp(v, p->stands.record.version) == 0)
		history_add(r, &p->stands);
	/* Content may be in history while tree/ holds a pointer. */
	if ((r->history.count == before || !r->history.entries[before].content) && r->dir >= 0 &&
	    history_add_name(r, version_name(name, v)) < 0)
		return -1;
	if (r->history.count > before + 1) {
		struct history_entry *two = &r->history.entries[before];

		if (two[1].content) {
			struct history_entry pointer = two[0];

			two[0] = two[1];
			two[1] = pointer;
		}
		free(two[1].type);
		r->history.count--;
	}
	if (r->history.count > before && is_pending)
		r->history.entries[before].content = false;
	return r->history.count > before;
}

static bool part_ends_blind(const struct history *h)
{
	return h->count > 0 && h->entries[h->count - 1].record.flags & RECORD_BLIND;
}

/* Upwards from the one before the page, in reverse: one that counts, and on while they are blind. */
static int part_read_newer(struct part_reading *p, size_t first, const struct pending *pending)
{
	struct history *h = &p->reading.history;

	for (size_t i = first; i > 0 && (h->count == 0 || part_ends_blind(h)); i--)
		if (part_add(p, i - 1, pending) < 0)
			return -1;
	for (size_t i = 0; i < h->count / 2; i++) {
		struct history_entry entry = h->entries[i];

		h->entries[i] = h->entries[h->count - 1 - i];
		h->entries[h->count - 1 - i] = entry;
	}
	return 0;
}

static int part_read(struct part_reading *p, const struct history_part *part, const struct pending *pending)
{
	struct history *h = &p->reading.history;
	size_t first = 0, newer;

	while (first < p->versions.count && !version_is_none(part->older) &&
	       version_cmp(p->versions.items[first], part->older) >= 0)
		first++;
	if (part_read_newer(p, first, pending) < 0)
		return -1;
	newer = h->count;
	for (size_t i = first; i < p->versions.count && (h->count - newer <= part->limit || part_ends_blind(h)); i++)
		if (part_add(p, i, pending) < 0)
			return -1;
	return 0;
}

static int history_read_part(struct store *store, struct str path, const struct history_part *part,
			     const struct pending *pending, struct history *ret, struct err *err)
{
	struct part_reading p = { .reading = { .history = HISTORY_INIT, .dir = -1, .err = err },
				  .stands = INODE_INIT, .versions = VERSIONS_INIT };
	struct names names;
	int status;

	names_set(&names, path);
	status = part_read_versions(store, &names, &p, err);
	if (status == 0)
		status = part_read(&p, part, pending);
	if (p.reading.dir >= 0)
		close(p.reading.dir);
	inode_clear(&p.stands);
	versions_clear(&p.versions);
	if (status < 0) {
		history_clear(&p.reading.history);
		return -1;
	}
	*ret = p.reading.history;
	return 0;
}

struct history_question {
	struct store *store;
	struct str path;
	struct history_part part;	/* limit 0: all of it */
	struct history history;
};

/* Of the pending version only what was known before. */
static void history_leave_out(struct history *h, const struct pending *pending)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->count; i++) {
		struct history_entry *entry = &h->entries[i];
		bool is_pending = version_cmp(entry->record.version, pending->version) == 0;

		if (is_pending && !pending->record_known) {
			free(entry->type);
			continue;
		}
		h->entries[kept] = *entry;
		h->entries[kept++].content = entry->content && !is_pending;
	}
	h->count = kept;
}

static int history_read(void *data, const struct pending *pending, struct err *err)
{
	struct history_question *q = data;

	if (q->part.limit > 0)
		return history_read_part(q->store, q->path, &q->part, pending, &q->history, err);
	if (history_locked(q->store, q->path, &q->history, err) < 0)
		return -1;
	if (pending != NULL)
		history_leave_out(&q->history, pending);
	return 0;
}

static void history_clear_answer(void *data)
{
	history_clear(&((struct history_question *)data)->history);
}

static int history_ask(struct history_question *q, struct history *ret, struct err *err)
{
	if (path_check(q->path, err) < 0 ||
	    read_durably(q->store, q->path, history_read, history_clear_answer, q, err) < 0 ||
	    store_there(q->store, err) < 0) {
		history_clear(&q->history);
		return err_context(err, "read history of %s", shown(q->path).text);
	}
	*ret = q->history;
	return 0;
}

int store_history(struct store *store, struct str path, struct history *ret, struct err *err)
{
	struct history_question q = { .store = store, .path = path, .history = HISTORY_INIT };

	return history_ask(&q, ret, err);
}

int store_history_part(struct store *store, struct str path, struct version older, size_t limit,
		       struct history *ret, struct err *err)
{
	struct history_question q = { .store = store, .path = path, .part = { older, limit },
				      .history = HISTORY_INIT };

	return history_ask(&q, ret, err);
}

static bool is_such_content(const struct history_entry *entry, const uint8_t *sha256, uint64_t most)
{
	const struct record *r = &entry->record;

	return entry->content && record_has_content(r) && r->size > 0 && r->size <= most &&
	       (sha256 == NULL || memcmp(r->sha256, sha256, SHA256_BYTES) == 0);
}

/* It is most often among the newest: the others are looked at only when it is not. */
int store_older_content(struct store *store, struct str path, struct version below, const uint8_t *sha256,
			uint64_t most, struct store_entry *ret, struct err *err)
{
	int status = err_set(err, ERR_ABSENT, "read history of %s: no such content is here", shown(path).text);
	bool more = true;

	for (size_t limit = OLDER_AT_FIRST; status < 0 && more; limit *= 4) {
		struct history history = HISTORY_INIT;
		struct version next = below;
		size_t older = 0;

		if (store_history_part(store, path, below, limit, &history, err) < 0)
			return -1;
		for (size_t i = 0; i < history.count && status < 0; i++) {
			const struct record *r = &history.entries[i].record;

			if (!version_is_none(below) && version_cmp(r->version, below) >= 0)
				continue;
			older++;
			next = r->version;
			/* One that was pruned meanwhile is passed over. */
			if (is_such_content(&history.entries[i], sha256, most))
				status = store_version(store, path, r->version, STORE_CONTENT, ret, NULL);
		}
		history_clear(&history);
		below = next;
		more = older > limit;
	}
	return status;
}
