/*
 * lookup - what stands at a path
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
 * on disk the counters say.  If a version is still on its way there, all is
 * looked up once more without it, so that nobody waits for a writer, however
 * slow its disk; where that cannot be, under the path's lock.  What a writer
 * left that died or failed is settled there; on a disk that cannot be synced
 * it goes on being left out.
 *
 * System calls of a GET: openat2, fstat, fgetxattr, readlinkat twice.
 */
#include "inside.h"

#include "fs.h"

#include <unistd.h>

#define TRIES 8		/* each is a version that came meanwhile */

void store_entry_clear(struct store_entry *entry)
{
	if (entry->fd >= 0)
		close(entry->fd);
	*entry = (struct store_entry)STORE_ENTRY_INIT;
}

/* Hand over what was found; the descriptor goes along when it is wanted. */
static void take(struct found *found, enum store_want want, struct store_entry *ret)
{
	ret->record = found->record;
	memcpy(ret->type, found->type, sizeof ret->type);
	ret->content = found->kind == FOUND_FILE;
	if (ret->content && want == STORE_CONTENT) {
		ret->fd = found->fd;
		found->fd = -1;
	}
}

enum stands store_stands(const struct store_entry *entry)
{
	return entry->directory ? STANDS_DIRECTORY : record_stands(&entry->record, &entry->entry);
}

const struct record *store_standing(const struct store_entry *entry)
{
	return record_standing(&entry->record, &entry->entry);
}

/* One version from its file in history/; nothing there leaves *ret as it is. */
static int from_history(int history, struct names *names, struct version v,
			enum store_want want, struct store_entry *ret, struct err *err)
{
	struct found found = FOUND_INIT;

	if (look(history, names_version(names, v), &found, err) < 0)
		return -1;
	if (!version_is_none(found.record.version) && version_cmp(found.record.version, v) == 0)
		take(&found, want, ret);
	found_clear(&found);
	return 0;
}

/* What the mark names.  In older stores it may name the entry's end, which is no file's. */
static int from_mark(int history, struct names *names, const struct marks *marks,
		     enum store_want want, struct store_entry *ret, struct err *err)
{
	struct version v = marks->file;

	if (!version_is_none(v) && version_cmp(v, marks->end) == 0 &&
	    look_file(history, names, VERSION_NONE, v, &v, err) < 0)
		return -1;
	if (version_is_none(v))
		return 0;
	if (from_history(history, names, v, want, ret, err) < 0)
		return -1;
	if (version_is_none(ret->record.version))
		ret->record = (struct record){ .version = v, .flags = RECORD_DELETED };
	return 0;
}

/* What history knows of the file, whatever a person put in its place. */
static int behind_foreign(int history, struct names *names, const struct marks *marks,
			  enum store_want want, struct store_entry *ret, struct err *err)
{
	struct version v = VERSION_NONE;

	ret->foreign = true;
	if (look_file(history, names, marks->file, VERSION_NONE, &v, err) < 0)
		return -1;
	return version_is_none(v) ? from_mark(history, names, marks, want, ret, err)
				  : from_history(history, names, v, want, ret, err);
}

int entry_of(int history, struct names *names, const struct marks *marks, struct found *found,
	     enum store_want want, struct store_entry *ret, struct err *err)
{
	bool directory = found->kind == FOUND_DIRECTORY;
	bool file = found->kind == FOUND_FILE || found->kind == FOUND_POINTER;

	if (directory && version_cmp(found->record.version, marks->end) > 0) {
		ret->entry = found->record;
		ret->directory = true;
	} else if (!version_is_none(marks->end) &&
		   look_tombstone(history, names_version(names, marks->end), marks->end,
				  RECORD_DELETED | RECORD_DIRECTORY, &ret->entry, err) < 0) {
		return -1;
	}
	if (found->kind == FOUND_FOREIGN)
		return behind_foreign(history, names, marks, want, ret, err);
	if (!file || version_cmp(found->record.version, marks->file) < 0)
		return from_mark(history, names, marks, want, ret, err);
	take(found, want, ret);
	return 0;
}

/* Without the one version in doubt, if it is so all the time. */
static int look_without(struct store *store, struct str path, durable_look *look_at,
			void (*clear)(void *data), void *data)
{
	struct doubt doubt, next;
	struct err err;

	if (counters_doubt(store, path, &doubt) != DOUBT_ONE)
		return -1;
	if (look_at(data, &doubt, &err) == 0) {
		counters_doubt(store, path, &next);
		if (next.turn == doubt.turn)
			return 0;
	}
	clear(data);
	return -1;
}

/* Under the path's lock. */
static int look_locked(struct store *store, struct str path, durable_look *look_at,
		       void (*clear)(void *data), void *data, struct err *err)
{
	struct lock lock = LOCK_INIT;
	struct err why = ERR_INIT;
	int status;

	if (disk_lock(store, &lock, path, &why) < 0)
		return look_without(store, path, look_at, clear, data) == 0 ? 0 : err_pass(err, &why);
	status = look_at(data, NULL, err);
	lock_release(&lock);
	return status;
}

int look_durably(struct store *store, struct str path, durable_look *look_at,
		 void (*clear)(void *data), void *data, struct err *err)
{
	struct doubt doubt = { .turn = 0 }, next;
	bool beside = false;

	for (int i = 0; i < TRIES; i++) {
		int status = look_at(data, beside ? &doubt : NULL, err);
		enum doubt_kind kind;

		if (status < 0)
			return -1;
		kind = counters_doubt(store, path, &next);
		if (status == 0 && (beside ? next.turn == doubt.turn : kind == DOUBT_NONE))
			return 0;
		clear(data);
		if (status == LOOK_WAIT || kind == DOUBT_ALL ||
		    (kind == DOUBT_ONE && !disk_is_locked(store, path)))
			break;
		beside = kind == DOUBT_ONE;
		doubt = next;
	}
	return look_locked(store, path, look_at, clear, data, err);
}

/* What is asked about a path, and the answer. */
struct question {
	struct store *store;
	struct str path;
	struct version version;		/* for store_version() */
	enum store_want want;
	struct store_entry entry;
};

static void clear_answer(void *data)
{
	store_entry_clear(&((struct question *)data)->entry);
}

/* Hand over the answer, or say what could not be answered. */
static int answer(struct question *q, int status, const char *what, struct store_entry *ret,
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
static void become_pointer(struct store_entry *entry)
{
	if (entry->fd >= 0)
		close(entry->fd);
	entry->fd = -1;
	entry->content = false;
}

/* What was the newest before the one in doubt, which was found. */
static int look_before(struct question *q, struct names *names, const struct doubt *doubt,
		       struct err *err)
{
	if (version_cmp(doubt->before, doubt->coming) == 0) {
		become_pointer(&q->entry);
		return 0;
	}
	become_pointer(&q->entry);
	q->entry.record.version = VERSION_NONE;
	q->entry.type[0] = '\0';
	if (version_is_none(doubt->before)) {
		q->entry.record = (struct record){ .flags = 0 };
		return 0;
	}
	if (from_history(q->store->history, names, doubt->before, q->want, &q->entry, err) < 0)
		return -1;
	/* It may be gone when the one in doubt no longer is. */
	return version_is_none(q->entry.record.version) ? LOOK_WAIT : 0;
}

static int look_newest(void *data, const struct doubt *doubt, struct err *err)
{
	struct question *q = data;
	struct found found = FOUND_INIT;
	struct marks marks;
	struct names names;
	int status;

	names_set(&names, q->path);
	status = look_tree(q->store->tree, names.tree, &found, err);
	if (status == 0)
		status = look_marks(q->store->history, &names, &marks, err);
	if (status == 0)
		status = entry_of(q->store->history, &names, &marks, &found, q->want, &q->entry,
				  err);
	found_clear(&found);
	q->entry.directory = q->entry.directory || q->path.n == 0;	/* the root needs no entry */
	if (status == 0 && doubt != NULL &&
	    version_cmp(q->entry.record.version, doubt->coming) == 0)
		status = look_before(q, &names, doubt, err);
	return status;
}

int newest_beside(struct store *store, struct str path, enum store_want want,
		  const struct doubt *doubt, struct store_entry *ret, struct err *err)
{
	struct question q = { .store = store, .path = path, .want = want,
			      .entry = STORE_ENTRY_INIT };
	int status = look_newest(&q, doubt, err);

	if (status == LOOK_WAIT) {
		store_entry_clear(&q.entry);
		return LOOK_WAIT;
	}
	return answer(&q, status, "", ret, err);
}

int newest_now(struct store *store, struct str path, enum store_want want,
	       struct store_entry *ret, struct err *err)
{
	return newest_beside(store, path, want, NULL, ret, err);
}

int store_newest(struct store *store, struct str path, enum store_want want,
		 struct store_entry *ret, struct err *err)
{
	struct question q = { .store = store, .path = path, .want = want,
			      .entry = STORE_ENTRY_INIT };
	int status;

	if (path_check_record(path, err) < 0)
		return -1;
	if (path_is_gate(path))
		return newest_gate(store, path, ret, err);
	status = look_durably(store, path, look_newest, clear_answer, &q, err);
	if (status == 0 && version_is_none(store_standing(&q.entry)->version))
		status = store_there(store, err);
	return answer(&q, status, "", ret, err);
}

/* It counts: a tombstone beyond the newest of its kind is of a deletion that was cut short. */
static int judge_version(struct question *q, struct names *names, struct err *err)
{
	const struct record *r = &q->entry.record;
	struct marks marks;

	if (!(r->flags & RECORD_DELETED))
		return 0;
	if (look_marks(q->store->history, names, &marks, err) < 0)
		return -1;
	if (version_cmp(r->version, r->flags & RECORD_DIRECTORY ? marks.end : marks.file) > 0)
		q->entry.record.version = VERSION_NONE;
	return 0;
}

static int look_version(void *data, const struct doubt *doubt, struct err *err)
{
	struct question *q = data;
	bool doubted = doubt != NULL && version_cmp(q->version, doubt->coming) == 0, there;
	struct found found = FOUND_INIT;
	struct names names;
	int status;

	names_set(&names, q->path);
	status = look_tree(q->store->tree, names.tree, &found, err);
	there = status == 0 && version_cmp(found.record.version, q->version) == 0;
	if (there)
		take(&found, q->want, &q->entry);
	/* Content may be in history while tree/ holds a pointer, or holds something newer. */
	if (status == 0 && !q->entry.content && !(there && found.kind == FOUND_DIRECTORY))
		status = from_history(q->store->history, &names, q->version, q->want, &q->entry,
				      err);
	found_clear(&found);
	if (status == 0)
		status = judge_version(q, &names, err);
	if (status == 0 && doubted && doubt->known)
		become_pointer(&q->entry);
	else if (status == 0 && doubted)
		store_entry_clear(&q->entry);
	if (status == 0 && version_is_none(q->entry.record.version))
		status = err_set(err, ERR_ABSENT, "no such version is known here");
	return status;
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
	struct question q = { .store = store, .path = path, .version = v, .want = want,
			      .entry = STORE_ENTRY_INIT };
	struct err why = ERR_INIT;
	int status;

	if (path_check_record(path, err) < 0)
		return -1;
	if (path_is_gate(path))
		return one_gate(store, path, v, ret, err);
	status = look_durably(store, path, look_version, clear_answer, &q, &why);
	if (status < 0 && why.kind == ERR_ABSENT)
		store_there(store, &why);
	if (status < 0)
		err_pass(err, &why);
	return answer(&q, status, "a version of ", ret, err);
}

bool store_would_wait(struct store *store, struct str path)
{
	struct doubt doubt;

	path = path_is_gate(path) ? path_parent(path) : path;
	switch (counters_doubt(store, path, &doubt)) {
	case DOUBT_NONE:
		return false;
	case DOUBT_ONE:
		return !disk_is_locked(store, path);
	case DOUBT_ALL:
		break;
	}
	return true;
}

int store_await(struct store *store, struct str path, struct err *err)
{
	struct lock lock = LOCK_INIT;

	path = path_is_gate(path) ? path_parent(path) : path;
	if (path_check(path, err) < 0 || disk_lock(store, &lock, path, err) < 0)
		return -1;
	lock_release(&lock);
	return 0;
}
