/*
 * list - the names in a directory, sorted, each with its newest version
 *
 * The names of tree/ and history/ are read first, the tree's before the
 * history's: a file deleted in between shows as deleted.  Tombstones are
 * looked for only where history has the name; only the names that are
 * returned are looked at.  One that is just being written shows as it was.
 */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct candidate {
	char *name;		/* owned until it is handed over */
	bool history;		/* history/ has the name */
};

struct listing_state {
	struct store *store;
	struct str path, after;
	struct names names;
	int tree, history;	/* the directory; owned; -1: not there */
	bool in_history;	/* which is being read */
	struct candidate *candidates;	/* owned */
	size_t count, cap;
	struct buf below;	/* the path of what is looked at */
};

void listing_clear(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++) {
		free(listing->entries[i].name);
		free(listing->entries[i].type);
	}
	free(listing->entries);
	*listing = (struct listing)LISTING_INIT;
}

/* A name that a request can ask for. */
static bool can_be_named(const struct listing_state *l, struct str name)
{
	return name.n <= PATH_COMPONENT_BYTES && l->path.n + 1 + name.n <= PATH_BYTES &&
	       (l->path.n > 0 || !str_eq(name, STR(PATH_RESERVED)));
}

static int collect(void *data, const char *text)
{
	struct listing_state *l = data;
	struct str name = str_of(text);

	if (l->in_history && !path_name_from_history(&name))
		return 0;
	if (str_cmp(name, l->after) <= 0 || !can_be_named(l, name))
		return 0;
	if (l->count == l->cap) {
		l->cap = l->cap > 0 ? 2 * l->cap : 64;
		l->candidates = mem_resize(l->candidates, l->cap, sizeof *l->candidates);
	}
	l->candidates[l->count++] = (struct candidate){
		.name = mem_copy(name.s, name.n),
		.history = l->in_history,
	};
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Both directories have most names: one candidate for each. */
static void unite(struct listing_state *l)
{
	size_t kept = 0;

	if (l->count > 0)
		qsort(l->candidates, l->count, sizeof *l->candidates, by_name);
	for (size_t i = 0; i < l->count; i++) {
		struct candidate *c = &l->candidates[i];

		if (kept > 0 && strcmp(l->candidates[kept - 1].name, c->name) == 0) {
			l->candidates[kept - 1].history |= c->history;
			free(c->name);
		} else {
			l->candidates[kept++] = *c;
		}
	}
	l->count = kept;
}

static int open_directories(struct listing_state *l, bool with_deleted, struct err *err)
{
	l->tree = fs_open(l->store->tree, l->names.tree, O_RDONLY | O_DIRECTORY, 0);
	if (l->tree < 0 && (errno == ENOTDIR || errno == ELOOP))
		return err_set(err, ERR_CONFLICT, "not a directory");
	if (l->tree < 0 && errno == ENOENT && !with_deleted)
		return err_set(err, ERR_ABSENT, "no such directory");
	if (l->tree < 0 && errno != ENOENT)
		return err_sys(err, "open directory");
	l->history = fs_open(l->store->history, names_history(&l->names),
			     O_RDONLY | O_DIRECTORY, 0);
	if (l->history < 0 && errno == ENOENT && l->tree < 0)
		return err_set(err, ERR_ABSENT, "no such directory");
	if (l->history < 0 && errno != ENOENT)
		return err_sys(err, "open directory in history");
	return 0;
}

static int collect_all(struct listing_state *l, struct err *err)
{
	if (l->tree >= 0 && look_names(l->tree, ".", collect, l, err) < 0)
		return -1;
	l->in_history = true;
	if (l->history >= 0 && look_names(l->history, ".", collect, l, err) < 0)
		return -1;
	unite(l);
	return 0;
}

/* Judge what was found, and its tombstone.  1: it shows, 0: it does not, -1. */
static int judge(const struct listing_state *l, struct names *below, struct found *found,
		 struct version tombstone, bool with_deleted, struct list_entry *ret,
		 struct err *err)
{
	struct standing standing = { .stands = false };
	struct version hidden = VERSION_NONE;

	if (found->kind == FOUND_FOREIGN)
		return 0;
	if (found->kind == FOUND_DIRECTORY &&
	    look_standing(l->store, buf_str(&l->below), found, &standing, err) < 0)
		return -1;
	if (found->kind == FOUND_DIRECTORY && !standing.stands) {
		found_clear(found);
		if (look_hidden(l->history, below, tombstone, &hidden, err) < 0 ||
		    (!version_is_none(hidden) &&
		     look(l->history, names_version(below, hidden), found, err) < 0))
			return -1;
	}
	ret->directory = standing.stands;
	ret->record = found->kind == FOUND_DIRECTORY ? standing.record : found->record;
	if (standing.stands ||
	    (found->kind != FOUND_DIRECTORY && version_cmp(found->record.version, tombstone) > 0))
		return 1;
	if (!with_deleted || version_is_none(tombstone))
		return 0;
	return look_tombstone(l->history, names_version(below, tombstone), tombstone,
			      &ret->record, err) < 0 ? -1 : 1;
}

/* One candidate's look. */
struct examination {
	const struct listing_state *l;
	const struct candidate *candidate;
	bool with_deleted;
	struct list_entry entry;	/* name is not set */
	bool shows;
};

/* Without what is in doubt. */
static int look_beside(struct examination *x, const struct doubt *doubt, struct err *err)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	int status = newest_beside(x->l->store, buf_str(&x->l->below), STORE_RECORD, doubt, &entry,
				   err);

	if (status != 0)
		return status;
	x->entry.directory = entry.directory;
	x->entry.record = entry.record;
	if (entry.type[0] != '\0')
		x->entry.type = mem_copy(entry.type, strlen(entry.type));
	x->shows = !entry.foreign && !version_is_none(entry.record.version) &&
		   (x->with_deleted || record_is_live(&entry.record));
	store_entry_clear(&entry);
	return 0;
}

static int look_at(void *data, const struct doubt *doubt, struct err *err)
{
	struct examination *x = data;
	const struct listing_state *l = x->l;
	struct version tombstone = VERSION_NONE;
	struct found found = FOUND_INIT;
	struct names below;
	int status = 0;

	if (doubt != NULL)
		return look_beside(x, doubt, err);
	names_set(&below, str_of(x->candidate->name));
	if (l->tree >= 0 && look_tree(l->tree, x->candidate->name, &found, err) < 0)
		return -1;
	if (x->candidate->history)
		status = look_mark(l->history, names_mark(&below, MARK_TOMBSTONE), &tombstone, err);
	if (status == 0)
		status = judge(l, &below, &found, tombstone, x->with_deleted, &x->entry, err);
	x->shows = status > 0;
	if (x->shows && found.type[0] != '\0' && record_is_live(&x->entry.record))
		x->entry.type = mem_copy(found.type, strlen(found.type));
	found_clear(&found);
	return status < 0 ? -1 : 0;
}

static void clear_look(void *data)
{
	struct examination *x = data;

	free(x->entry.type);
	x->entry = (struct list_entry){ .name = NULL };
}

/* As judge(). */
static int examine(struct listing_state *l, struct candidate *c, bool with_deleted,
		   struct list_entry *ret, struct err *err)
{
	struct examination x = { .l = l, .candidate = c, .with_deleted = with_deleted };

	buf_reset(&l->below);
	path_join(&l->below, l->path, str_of(c->name));
	if (look_durably(l->store, buf_str(&l->below), look_at, clear_look, &x, err) < 0)
		return -1;
	if (!x.shows)
		return 0;
	x.entry.name = c->name;
	c->name = NULL;
	*ret = x.entry;
	return 1;
}

static int fill(struct listing_state *l, size_t limit, bool with_deleted, struct listing *ret,
		struct err *err)
{
	struct list_entry beyond;
	int status;

	for (size_t i = 0; i < l->count; i++) {
		bool full = limit > 0 && ret->count == limit;

		status = examine(l, &l->candidates[i], with_deleted,
				 full ? &beyond : &ret->entries[ret->count], err);
		if (status < 0)
			return -1;
		if (status > 0 && full) {
			free(beyond.name);
			free(beyond.type);
			ret->more = true;
			return 0;
		}
		ret->count += (size_t)status;
	}
	return 0;
}

static void state_clear(struct listing_state *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->candidates[i].name);
	free(l->candidates);
	buf_clear(&l->below);
	if (l->tree >= 0)
		close(l->tree);
	if (l->history >= 0)
		close(l->history);
}

/* That the directory is there is on disk, too. */
static int nothing_more(void *data, const struct doubt *doubt, struct err *err)
{
	(void)data, (void)doubt, (void)err;
	return 0;
}

static void nothing_to_clear(void *data)
{
	(void)data;
}

int store_list(struct store *store, struct str path, struct str after, size_t limit,
	       bool with_deleted, struct listing *ret, struct err *err)
{
	struct listing_state l = { .store = store, .path = path, .after = after, .tree = -1,
				   .history = -1, .below = BUF_INIT };
	struct listing listing = LISTING_INIT;
	int status;

	if (names_init(&l.names, path, err) < 0)
		return -1;
	status = open_directories(&l, with_deleted, err);
	if (status == 0)
		status = look_durably(store, path, nothing_more, nothing_to_clear, NULL, err);
	if (status == 0)
		status = collect_all(&l, err);
	if (status == 0) {
		size_t most = limit > 0 && limit < l.count ? limit : l.count;

		listing.entries = mem_new(most + 1, sizeof *listing.entries);
		status = fill(&l, limit, with_deleted, &listing, err);
	}
	state_clear(&l);
	if (status < 0) {
		listing_clear(&listing);
		return err_context(err, "list %s", shown(path).text);
	}
	*ret = listing;
	return 0;
}
