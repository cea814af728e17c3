/*
 * listing - the names in a directory, sorted, each with its newest records
 *
 * The names of tree/ and history/ are read first, the tree's before the
 * history's: a file deleted in between shows as deleted.  Marks are
 * looked for only where history has the name; only the names that are
 * returned are looked at.  One that is just being written shows as it was.
 */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct listing_state {
	struct store *store;
	struct str path;
	struct names names;
	int tree, history;	/* the directory; owned; -1: not there */
	struct children children;
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

static int listing_open(struct listing_state *l, bool with_deleted, struct err *err)
{
	bool file;

	l->tree = fs_open(l->store->tree, l->names.tree, O_RDONLY | O_DIRECTORY, 0);
	file = l->tree < 0 && (errno == ENOTDIR || errno == ELOOP);
	if (l->tree < 0 && !file && errno != ENOENT)
		return err_sys(err, "open directory");
	if (file && !with_deleted)
		return err_set(err, ERR_CONFLICT, "not a directory");
	if (l->tree < 0 && !with_deleted)
		return err_set(err, ERR_ABSENT, "no such directory");
	l->history = fs_open(l->store->history, names_history(&l->names),
			     O_RDONLY | O_DIRECTORY, 0);
	if (l->history < 0 && errno == ENOENT && l->tree < 0)
		return err_set(err, ERR_ABSENT, "no such directory");
	if (l->history < 0 && errno != ENOENT)
		return err_sys(err, "open directory in history");
	return 0;
}

/* What is read of one name. */
struct examination {
	const struct listing_state *l;
	const struct child *child;
	bool with_deleted;
	struct list_entry entry;	/* name is not set */
	bool shows;
};

/* 0, -1, or READ_WAIT. */
static int child_read(const struct listing_state *l, const struct child *child,
		      const struct pending *pending, struct store_entry *ret, struct err *err)
{
	int history = child->in_history ? l->history : -1, status = 0;
	struct inode found = INODE_INIT;
	struct marks marks;
	struct names below;

	if (pending != NULL)
		return newest_without(l->store, buf_str(&l->below), pending, ret, err);
	names_set(&below, str_of(child->name));
	if (l->tree >= 0)
		status = inode_read_tree(l->tree, child->name, &found, err);
	if (status == 0)
		status = marks_read(history, &below, &marks, err);
	if (status == 0)
		status = entry_from_inode(history, &below, &marks, &found, STORE_RECORD, ret, err);
	inode_clear(&found);
	return status;
}

static int examination_read(void *data, const struct pending *pending, struct err *err)
{
	struct examination *x = data;
	struct store_entry entry = STORE_ENTRY_INIT;
	int status = child_read(x->l, x->child, pending, &entry, err);

	if (status != 0)
		return status;
	x->entry.record = entry.record;
	x->entry.entry = entry.entry;
	x->entry.directory = entry.directory;
	if (entry.type[0] != '\0')
		x->entry.type = mem_copy(entry.type, strlen(entry.type));
	x->shows = !entry.foreign &&
		   (x->with_deleted ? !version_is_none(entry.record.version) ||
				      !version_is_none(entry.entry.version)
				    : store_name_kind(&entry) != NAME_ABSENT);
	store_entry_clear(&entry);
	return 0;
}

static void examination_clear(void *data)
{
	struct examination *x = data;

	free(x->entry.type);
	x->entry = (struct list_entry){ .name = NULL };
}

/* 1: it shows, 0: it does not, -1. */
static int listing_examine(struct listing_state *l, const struct child *child, bool with_deleted,
			   struct list_entry *ret, struct err *err)
{
	struct examination x = { .l = l, .child = child, .with_deleted = with_deleted };

	buf_reset(&l->below);
	path_join(&l->below, l->path, str_of(child->name));
	if (read_durably(l->store, buf_str(&l->below), examination_read, examination_clear, &x, err) < 0)
		return -1;
	if (!x.shows)
		return 0;
	x.entry.name = mem_copy(child->name, strlen(child->name));
	*ret = x.entry;
	return 1;
}

static int listing_fill(struct listing_state *l, size_t limit, bool with_deleted, struct listing *ret,
			struct err *err)
{
	struct list_entry beyond;
	int status;

	for (size_t i = 0; i < l->children.count; i++) {
		const struct child *child = &l->children.items[i];
		bool full = limit > 0 && ret->count == limit;

		if (!can_be_named(l, str_of(child->name)))
			continue;
		status = listing_examine(l, child, with_deleted,
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

static void listing_state_clear(struct listing_state *l)
{
	children_clear(&l->children);
	buf_clear(&l->below);
	if (l->tree >= 0)
		close(l->tree);
	if (l->history >= 0)
		close(l->history);
}

/* That the directory is there is on disk, too. */
static int read_nothing(void *data, const struct pending *pending, struct err *err)
{
	(void)data, (void)pending, (void)err;
	return 0;
}

int store_list(struct store *store, struct str path, struct str after, size_t limit,
	       bool with_deleted, struct listing *ret, struct err *err)
{
	struct listing_state l = { .store = store, .path = path, .tree = -1, .history = -1,
				   .children = CHILDREN_INIT, .below = BUF_INIT };
	struct listing listing = LISTING_INIT;
	struct err gone;
	int status;

	if (names_init(&l.names, path, err) < 0)
		return -1;
	status = listing_open(&l, with_deleted, err);
	if (status == 0)
		status = read_durably(store, path, read_nothing, NULL, NULL, err);
	if (status == 0)
		status = children_read_open(l.tree, l.history, after, &l.children, err);
	if (status == 0) {
		size_t most = limit > 0 && limit < l.children.count ? limit : l.children.count;

		listing.entries = mem_new(most + 1, sizeof *listing.entries);
		status = listing_fill(&l, limit, with_deleted, &listing, err);
	}
	listing_state_clear(&l);
	if (store_there(store, &gone) < 0)
		status = err_pass(err, &gone);
	if (status < 0) {
		listing_clear(&listing);
		return err_context(err, "list %s", shown(path).text);
	}
	*ret = listing;
	return 0;
}
