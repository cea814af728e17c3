/*
 * lookup - what stands at a path
 *
 * Newest is the greater of tree/P and the tombstone history/P/, names.  The
 * tombstone is asked for even when tree/P is there: a crash between the two
 * steps of a deletion leaves both, and so does a person who copies a file
 * back.  Nothing about tree/P itself could prove that there is none.
 *
 * The tree is read first.  Whatever writers do meanwhile, the answer was
 * the newest version at some moment between the two look-ups.
 *
 * System calls of a GET: openat2, fstat, fgetxattr, readlinkat.
 */
#include "inside.h"

#include <unistd.h>

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

/* The record a directory counts with: a dead one that is empty is only not removed yet. */
static int take_directory(struct found *found, bool dead, struct store_entry *ret,
			  struct err *err)
{
	bool empty = false;

	if (dead && directory_is_empty(found->fd, &empty, err) < 0)
		return -1;
	ret->directory = !empty;
	ret->record = found->record;
	return 0;
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
	if (found->kind == FOUND_DIRECTORY) {
		if (take_directory(found, dead, ret, err) < 0)
			return -1;
	} else if (!dead) {
		take(found, want, ret);
	}
	return dead ? look_tombstone(store->history, names_version(names, tombstone), tombstone,
				     &ret->record, err)
		    : 0;
}

int store_newest(struct store *store, struct str path, enum store_want want,
		 struct store_entry *ret, struct err *err)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct found found = FOUND_INIT;
	struct version tombstone;
	struct names names;
	int status;

	if (names_init(&names, path, err) < 0)
		return -1;
	status = look_tree(store->tree, names.tree, &found, err);
	if (status == 0)
		status = look_mark(store->history, names_mark(&names, MARK_TOMBSTONE), &tombstone,
				   err);
	if (status == 0)
		status = entry_of(store, &names, &found, tombstone, want, &entry, err);
	found_clear(&found);
	if (status < 0) {
		store_entry_clear(&entry);
		return err_context(err, "look up %s", shown(path).text);
	}
	*ret = entry;
	return 0;
}

int store_version(struct store *store, struct str path, struct version v, enum store_want want,
		  struct store_entry *ret, struct err *err)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct found found = FOUND_INIT;
	struct names names;
	int status;

	if (names_init(&names, path, err) < 0)
		return -1;
	status = look_tree(store->tree, names.tree, &found, err);
	if (status == 0 && version_cmp(found.record.version, v) == 0) {
		take(&found, want, &entry);
		entry.directory = found.kind == FOUND_DIRECTORY;
	}
	found_clear(&found);
	/* Content may be in history while tree/ holds a pointer, or holds something newer. */
	if (status == 0 && !entry.content && !entry.directory)
		status = from_history(store, &names, v, want, &entry, err);
	if (status == 0 && version_is_none(entry.record.version))
		status = err_set(err, ERR_ABSENT, "no such version is known here");
	if (status < 0) {
		store_entry_clear(&entry);
		return err_context(err, "look up a version of %s", shown(path).text);
	}
	*ret = entry;
	return 0;
}
