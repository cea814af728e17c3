/*
 * lookup - what stands at a path
 *
 * Newest is the greater of tree/P and the tombstone history/P/, names.  The
 * tombstone is asked for even when tree/P is there: a crash between the two
 * steps of a deletion leaves both, and so does a person who copies a file
 * back.  Nothing about tree/P itself could prove that there is none.
 *
 * The tree is read first.  Whatever writers do meanwhile, the answer was
 * the newest version at some moment between the two look-ups.  That it was
 * on disk the counters say.  If a version is still on its way there, all is
 * looked up once more without it, so that nobody waits for a writer, however
 * slow its disk; where that cannot be, under the path's lock.
 *
 * System calls of a GET: openat2, fstat, fgetxattr, readlinkat.
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

/* One version from its file in history/; nothing there leaves *ret as it is. */
static int from_history(struct store *store, struct names *names, struct version v,
			enum store_want want, struct store_entry *ret, struct err *err)
{
	struct found found = FOUND_INIT;

	if (look(store->history, names_version(names, v), &found, err) < 0)
		return -1;
	if (!version_is_none(found.record.version) && version_cmp(found.record.version, v) == 0)
		take(&found, want, ret);
	found_clear(&found);
	return 0;
}

/* A directory, if it stands; else what it hides: a file's version, or the newest tombstone, if any. */
static int from_directory(struct store *store, struct names *names, const struct found *found,
			  struct version tombstone, enum store_want want, struct store_entry *ret,
			  struct err *err)
{
	struct standing standing;
	struct version hidden;

	if (look_standing(store, str_of(strcmp(names->tree, ".") == 0 ? "" : names->tree), found,
			  &standing, err) < 0)
		return -1;
	ret->directory = standing.stands;
	ret->record = standing.record;
	if (standing.stands)
		return 0;
	if (look_hidden(store->history, names, tombstone, &hidden, err) < 0)
		return -1;
	if (!version_is_none(hidden))
		return from_history(store, names, hidden, want, ret, err);
	if (version_cmp(tombstone, standing.record.version) <= 0)
		return 0;
	return look_tombstone(store->history, names_version(names, tombstone), tombstone,
			      &ret->record, err);
}

int entry_of(struct store *store, struct names *names, struct found *found,
	     struct version tombstone, enum store_want want, struct store_entry *ret,
	     struct err *err)
{
	struct version known;
	bool dead = version_cmp(tombstone, found->record.version) > 0;

	if (found->kind == FOUND_FOREIGN) {
		ret->foreign = true;
		if (look_history(store, names, &known, err) < 0)
			return -1;
		return version_is_none(known) ? 0
					      : from_history(store, names, known, want, ret, err);
	}
	if (found->kind == FOUND_DIRECTORY)
		return from_directory(store, names, found, tombstone, want, ret, err);
	if (!dead)
		take(found, want, ret);
	return dead ? look_tombstone(store->history, names_version(names, tombstone), tombstone,
				     &ret->record, err)
		    : 0;
}

/* Under the path's lock. */
static int look_locked(struct store *store, struct str path, durable_look *look_at, void *data,
		       struct err *err)
{
	struct lock lock = LOCK_INIT;
	int status;

	if (disk_lock(store, &lock, path, err) < 0)
		return -1;
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
	return look_locked(store, path, look_at, data, err);
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
	store_entry_clear(&q->entry);
	if (version_is_none(doubt->before))
		return 0;
	if (from_history(q->store, names, doubt->before, q->want, &q->entry, err) < 0)
		return -1;
	/* It may be gone when the one in doubt no longer is. */
	return version_is_none(q->entry.record.version) ? LOOK_WAIT : 0;
}

static int look_newest(void *data, const struct doubt *doubt, struct err *err)
{
	struct question *q = data;
	struct found found = FOUND_INIT;
	struct version tombstone;
	struct names names;
	int status;

	names_set(&names, q->path);
	status = look_tree(q->store->tree, names.tree, &found, err);
	if (status == 0)
		status = look_mark(q->store->history, names_mark(&names, MARK_TOMBSTONE),
				   &tombstone, err);
	if (status == 0)
		status = entry_of(q->store, &names, &found, tombstone, q->want, &q->entry, err);
	found_clear(&found);
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

	if (path_check(path, err) < 0)
		return -1;
	return answer(&q, look_durably(store, path, look_newest, clear_answer, &q, err), "", ret,
		      err);
}

static int look_version(void *data, const struct doubt *doubt, struct err *err)
{
	struct question *q = data;
	bool doubted = doubt != NULL && version_cmp(q->version, doubt->coming) == 0;
	struct found found = FOUND_INIT;
	struct names names;
	struct version tombstone = VERSION_NONE;
	int status;

	names_set(&names, q->path);
	status = look_tree(q->store->tree, names.tree, &found, err);
	if (status == 0 && version_cmp(found.record.version, q->version) == 0) {
		take(&found, q->want, &q->entry);
		q->entry.directory = found.kind == FOUND_DIRECTORY;
	}
	found_clear(&found);
	/* Content may be in history while tree/ holds a pointer, or holds something newer. */
	if (status == 0 && !q->entry.content && !q->entry.directory)
		status = from_history(q->store, &names, q->version, q->want, &q->entry, err);
	/* A tombstone beyond the newest is of a deletion that was cut short. */
	if (status == 0 && q->entry.record.flags & RECORD_DELETED) {
		status = look_mark(q->store->history, names_mark(&names, MARK_TOMBSTONE), &tombstone,
				   err);
		if (version_cmp(q->version, tombstone) > 0)
			q->entry.record.version = VERSION_NONE;
	}
	if (status == 0 && doubted && doubt->known)
		become_pointer(&q->entry);
	else if (status == 0 && doubted)
		store_entry_clear(&q->entry);
	if (status == 0 && version_is_none(q->entry.record.version))
		status = err_set(err, ERR_ABSENT, "no such version is known here");
	return status;
}

int store_version(struct store *store, struct str path, struct version v, enum store_want want,
		  struct store_entry *ret, struct err *err)
{
	struct question q = { .store = store, .path = path, .version = v, .want = want,
			      .entry = STORE_ENTRY_INIT };

	if (path_check(path, err) < 0)
		return -1;
	return answer(&q, look_durably(store, path, look_version, clear_answer, &q, err),
		      "a version of ", ret, err);
}

/* A directory's own record is never just left out: whoever changes it makes others wait. */
static int look_known(void *data, const struct doubt *doubt, struct err *err)
{
	struct question *q = data;
	struct version removed;
	struct names names;
	struct record record;
	int fd;

	(void)doubt;
	names_set(&names, q->path);
	fd = fs_open(q->store->tree, names.tree, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return 0;
	record = look_directory(fd);
	close(fd);
	if (look_mark(q->store->history, names_mark(&names, MARK_REMOVED), &removed, err) < 0)
		return -1;
	q->entry.directory = version_cmp(record.version, removed) > 0;
	return 0;
}

int store_directory_known(struct store *store, struct str path, bool *ret, struct err *err)
{
	struct question q = { .store = store, .path = path_parent(path),
			      .entry = STORE_ENTRY_INIT };

	if (path_check(path, err) < 0 ||
	    (q.path.n > 0 &&
	     look_durably(store, q.path, look_known, clear_answer, &q, err) < 0))
		return err_context(err, "look up the directory of %s", shown(path).text);
	*ret = q.path.n == 0 || q.entry.directory;
	return 0;
}

bool store_would_wait(struct store *store, struct str path)
{
	struct doubt doubt;

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

	if (path_check(path, err) < 0 || disk_lock(store, &lock, path, err) < 0)
		return -1;
	lock_release(&lock);
	return 0;
}
