/*
 * listing - the names in a directory, sorted, each with its newest records
 *
 * The names of tree/ and history/ are read first (roll.c), the tree's before the
 * history's: a file deleted in between shows as deleted.  Marks are
 * looked for only where history has the name; only the names that are
 * returned are looked at.  One that is just being written shows as it was.
 *
 * A walk goes through the names as they were when it began, in steps, and
 * tells of each what stands there when it comes to it.
 */
#include "inside.h"

#include "clock.h"
#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define STRETCH 1000		/* names that are read at once */
#define SKIP_STRETCHES 64	/* of which none is looked at, in one step */

struct store_walk {
	struct store *store;
	char *text;		/* owned */
	struct str path;	/* points into text */
	bool with_deleted;
	bool directories;	/* those alone that may be one, or may have been */
	struct names names;
	int tree, history;	/* the directory; owned; -1: not there */
	struct roll *roll;
	bool rests;		/* another walk is to go on behind this one */
	size_t next;		/* name */
	struct buf below;	/* the path of what is looked at */
};

static void list_entry_clear(struct list_entry *entry)
{
	free(entry->name);
	free(entry->type);
}

void listing_clear(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		list_entry_clear(&listing->entries[i]);
	free(listing->entries);
	*listing = (struct listing)LISTING_INIT;
}

void listing_cut(struct listing *listing, size_t n)
{
	for (size_t i = n; i < listing->count; i++)
		list_entry_clear(&listing->entries[i]);
	listing->count = n;
	if (n > 0) {
		listing->entries = mem_resize(listing->entries, n, sizeof *listing->entries);
		return;
	}
	free(listing->entries);
	listing->entries = NULL;
}

/* A name that a request can ask for. */
static bool can_be_named(const struct store_walk *l, struct str name)
{
	return name.n <= PATH_COMPONENT_BYTES && l->path.n + 1 + name.n <= PATH_BYTES &&
	       (l->path.n > 0 || !str_eq(name, STR(PATH_RESERVED)));
}

static int listing_open(struct store_walk *l, bool with_deleted, struct err *err)
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
	const struct store_walk *l;
	const struct child *child;
	bool with_deleted;
	struct list_entry entry;	/* name is not set */
	bool shows;
};

/* 0, -1, or READ_WAIT. */
static int child_read(const struct store_walk *l, const struct child *child,
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
static int listing_examine(struct store_walk *l, const struct child *child, bool with_deleted,
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

/* Names that are in history/ since the roll was made are in it, too. */
static void walk_renew_history(struct store_walk *l, struct children *stretch)
{
	if (l->history < 0)
		l->history = fs_open(l->store->history, names_history(&l->names), O_RDONLY | O_DIRECTORY, 0);
	if (!roll_knows_history(l->roll, l->history))
		for (size_t i = 0; i < stretch->count; i++)
			stretch->items[i].in_history = true;
}

static bool walk_passes_over(const struct store_walk *l, const struct child *child)
{
	return !can_be_named(l, str_of(child->name)) ||
	       (l->directories && !child->directory && !(l->with_deleted && child->in_history));
}

/* Until `most` show.  *ret_looked is set when one was looked at. */
static int walk_stretch(struct store_walk *l, size_t most, struct listing *to, bool *ret_looked, struct err *err)
{
	struct children stretch;
	int status = 0;
	size_t room;

	if (roll_read(l->roll, l->next, STRETCH, &stretch, err) < 0)
		return -1;
	walk_renew_history(l, &stretch);
	room = stretch.count < most - to->count ? stretch.count : most - to->count;
	to->entries = mem_resize(to->entries, to->count + room, sizeof *to->entries);
	for (size_t i = 0; status >= 0 && i < stretch.count && to->count < most; i++) {
		l->next++;
		if (walk_passes_over(l, &stretch.items[i]))
			continue;
		*ret_looked = true;
		status = listing_examine(l, &stretch.items[i], l->with_deleted, &to->entries[to->count], err);
		if (status > 0)
			to->count++;
	}
	children_clear(&stretch);
	return status < 0 ? -1 : 0;
}

int store_walk_next(struct store_walk *l, size_t most, struct listing *ret, struct err *err)
{
	struct listing listing = LISTING_INIT;
	bool looked = false;
	struct err gone;
	int status = 0;

	for (int i = 0; status == 0 && !looked && l->next < roll_count(l->roll) && i < SKIP_STRETCHES; i++)
		status = walk_stretch(l, most, &listing, &looked, err);
	if (store_there(l->store, &gone) < 0)
		status = err_pass(err, &gone);
	if (status < 0) {
		listing_clear(&listing);
		return err_context(err, "list %s", shown(l->path).text);
	}
	listing.more = l->next < roll_count(l->roll);
	*ret = listing;
	return 0;
}

int store_walk_after(struct store_walk *l, struct str after, struct err *err)
{
	return roll_find(l->roll, after, &l->next, err) < 0 ?
	       err_context(err, "list %s", shown(l->path).text) : 0;
}

void store_walk_directories(struct store_walk *l, bool directories)
{
	l->directories = directories;
	l->next = directories && !l->with_deleted && roll_directories(l->roll) == 0 ? roll_count(l->roll) : 0;
}

size_t store_walk_names(const struct store_walk *l)
{
	return roll_count(l->roll);
}

void store_walk_end(struct store_walk *l)
{
	if (l == NULL)
		return;
	roll_close(l->roll, l->rests);
	buf_clear(&l->below);
	if (l->tree >= 0)
		close(l->tree);
	if (l->history >= 0)
		close(l->history);
	free(l->text);
	free(l);
}

/* That the directory is there is on disk, too. */
static int read_nothing(void *data, const struct pending *pending, struct err *err)
{
	(void)data, (void)pending, (void)err;
	return 0;
}

int store_walk_begin(struct store *store, struct str path, bool with_deleted, uint64_t asked,
		     struct store_walk **ret, struct err *err)
{
	struct store_walk *l = mem_new(1, sizeof *l);
	uint64_t opened = clock_mono_ms();
	struct err gone;
	int status;

	l->store = store;
	l->text = mem_copy(path.n > 0 ? path.s : "", path.n);
	l->path = (struct str){ l->text, path.n };
	l->with_deleted = with_deleted;
	l->tree = l->history = -1;
	status = names_init(&l->names, path, err);
	if (status < 0) {
		store_walk_end(l);
		return -1;
	}
	status = listing_open(l, with_deleted, err);
	if (status == 0)
		status = read_durably(store, path, read_nothing, NULL, NULL, err);
	if (status == 0)
		status = roll_open(store, path, l->tree, l->history, opened, asked, &l->roll, err);
	if (store_there(store, &gone) < 0)
		status = err_pass(err, &gone);
	if (status < 0) {
		store_walk_end(l);
		return err_context(err, "list %s", shown(path).text);
	}
	*ret = l;
	return 0;
}

static void listing_append(struct listing *to, struct listing *from)
{
	to->entries = mem_resize(to->entries, to->count + from->count + 1, sizeof *to->entries);
	if (from->count > 0)
		memcpy(to->entries + to->count, from->entries, from->count * sizeof *from->entries);
	to->count += from->count;
	free(from->entries);
}

/* One more is looked for than is wanted; limit 0: all. */
static int walk_collect(struct store_walk *l, size_t limit, struct listing *to, struct err *err)
{
	struct listing part = { .more = true };

	while (part.more && (limit == 0 || to->count <= limit)) {
		if (store_walk_next(l, limit > 0 ? limit + 1 - to->count : SIZE_MAX, &part, err) < 0)
			return -1;
		listing_append(to, &part);
	}
	to->more = limit > 0 && to->count > limit;
	if (to->more)
		list_entry_clear(&to->entries[--to->count]);
	return 0;
}

int store_list_part(struct store *store, struct str path, const struct list_part *part, struct listing *ret,
		    struct err *err)
{
	struct listing listing = LISTING_INIT;
	struct store_walk *walk;
	int status;

	if (store_walk_begin(store, path, part->with_deleted, part->asked, &walk, err) < 0)
		return -1;
	walk->directories = part->directories;
	status = store_walk_after(walk, part->after, err);
	if (status == 0)
		status = walk_collect(walk, part->limit, &listing, err);
	walk->rests = listing.more;
	store_walk_end(walk);
	if (status < 0) {
		listing_clear(&listing);
		return -1;
	}
	*ret = listing;
	return 0;
}

int store_list(struct store *store, struct str path, struct str after, size_t limit,
	       bool with_deleted, struct listing *ret, struct err *err)
{
	struct list_part part = { .after = after, .limit = limit, .with_deleted = with_deleted,
				  .asked = clock_mono_ms() };

	return store_list_part(store, path, &part, ret, err);
}
