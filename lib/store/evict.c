/*
 * evict - the content of a version goes, its record stays
 *
 * A pointer takes the file's name in one step, in tree/ and in history/,
 * wherever the version is.  Where making the pointer needs room that is not
 * there, the reserve has it.
 */
#include "inside.h"

#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool is_meant(const struct found *found, ino_t only)
{
	return found->kind == FOUND_FILE && (only == 0 || found->st.st_ino == only);
}

/* In tree/, should that version stand there. */
static int evict_in_tree(struct store *store, struct str path, const struct history_entry *entry,
			 ino_t only, const struct source *pointer, struct err *err)
{
	struct found found = FOUND_INIT;
	char temporary[TEMPORARY_NAME];
	struct names names;
	int parent, status = 0;
	bool here;

	names_set(&names, path_parent(path));
	parent = fs_open(store->tree, names.tree, O_RDONLY | O_DIRECTORY, 0);
	if (parent < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open the directory above");
	names_set(&names, path_name(path));
	status = look_tree(parent, names.tree, &found, err);
	here = is_meant(&found, only) &&
	       version_cmp(found.record.version, entry->record.version) == 0 &&
	       look_same(parent, names.tree, &found);
	if (status == 0 && here &&
	    place_over(pointer, store->tmp, temporary_name(temporary, "new", path), parent,
		       names.tree) < 0)
		status = err_sys(err, "put a pointer in its place");
	if (status == 0 && here)
		status = disk_sync(store, parent, "directory", err);
	found_clear(&found);
	close(parent);
	return status;
}

static int evict_in_history(struct store *store, struct str path,
			    const struct history_entry *entry, ino_t only,
			    const struct source *pointer, struct err *err)
{
	struct found found = FOUND_INIT;
	char name[VERSION_NAME];
	struct names names;
	int dir, status;

	names_set(&names, path);
	dir = fs_open(store->history, names_history(&names), O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open history");
	status = look(dir, version_name(name, entry->record.version), &found, err);
	if (status == 0 && is_meant(&found, only)) {
		if (place_over(pointer, dir, MARK_NEW, dir, name) < 0)
			status = err_sys(err, "put a pointer in its place");
		else
			status = disk_sync(store, dir, "history directory", err);
	}
	found_clear(&found);
	close(dir);
	return status;
}

int evict_inode(struct store *store, struct str path, const struct history_entry *entry,
		ino_t only, struct err *err)
{
	struct source pointer = SOURCE_INIT;
	struct buf text = BUF_INIT;
	int status;

	record_format(&text, &entry->record,
		      entry->type != NULL ? str_of(entry->type) : (struct str)STR_INIT);
	pointer.text = text.data;
	status = evict_in_tree(store, path, entry, only, &pointer, err);
	if (status == 0)
		status = evict_in_history(store, path, entry, only, &pointer, err);
	buf_clear(&text);
	return status;
}

int evict_now(struct store *store, struct str path, const struct history_entry *entry,
	      struct err *err)
{
	return evict_inode(store, path, entry, 0, err);
}

/* Under the path's lock. */
static int evict(struct store *store, struct str path, struct version v, uint64_t *ret_bytes,
		 struct err *err)
{
	unsigned slot = counters_slot(path_hash(path));
	struct history h = HISTORY_INIT;
	const struct history_entry *entry = NULL;
	uint64_t bytes = 0;
	int status = 0;

	if (history_now(store, path, &h, err) < 0)
		return -1;
	for (size_t i = 0; i < h.count; i++)
		if (version_cmp(h.entries[i].record.version, v) == 0 && h.entries[i].content)
			entry = &h.entries[i];
	if (entry != NULL) {
		counters_begin(store, slot, path, ABOUT_FILE, NULL);
		bytes = entry->record.size;
		status = evict_now(store, path, entry, err);
	}
	if (entry != NULL && status == 0)
		counters_end(store, slot, ABOUT_FILE);
	history_clear(&h);
	if (status == 0)
		*ret_bytes = bytes;
	return status;
}

int store_evict(struct store *store, struct str path, struct version v, uint64_t *ret_bytes,
		struct err *err)
{
	struct lock lock = LOCK_INIT;
	struct err why = ERR_INIT;
	int status;

	if (path_check(path, err) < 0 || disk_lock(store, &lock, path, err) < 0)
		return -1;
	status = evict(store, path, v, ret_bytes, &why);
	if (status < 0 && why.kind == ERR_FULL && disk_release_reserve(store))
		status = evict(store, path, v, ret_bytes, &why);
	lock_release(&lock);
	if (status == 0)
		return 0;
	if (err != NULL)
		*err = why;
	return err_context(err, "evict content of %s", shown(path).text);
}
