/* prune - dropping old versions of a path, because a person asked for it */
#include "inside.h"

#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int prune_beyond(struct store *store, const struct commit *c, struct commit_state *s,
		 struct err *err)
{
	struct version v = c->pointer != NULL ? c->pointer->version : c->fixed;
	uint8_t kind = (c->pointer != NULL ? c->pointer->flags : c->flags) & RECORD_DIRECTORY;
	struct history h = HISTORY_INIT;
	size_t newer = 0;

	if (version_cmp(v, s->known) > 0)
		return 0;
	if (history_now(store, c->path, &h, err) < 0)
		return -1;
	for (size_t i = 0; i < h.count && version_cmp(h.entries[i].record.version, v) > 0; i++)
		newer += (h.entries[i].record.flags & RECORD_DIRECTORY) == kind;
	s->dropped = newer >= (kind != 0 ? 1 : c->keep);
	s->record.version = v;
	history_clear(&h);
	return 0;
}

struct pruning {
	struct names names;
	struct version newest;		/* stays, even if a person put it back and it is old */
	uint64_t count, bytes;
};

static int drop_name(int dir, const char *name, struct err *err)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	return err_sys(err, "remove a version");
}

/* A version may be in history/ and, where a deletion was cut short, in tree/ as well. */
static int drop(struct store *store, struct pruning *p, const struct history_entry *entry,
		struct err *err)
{
	struct version v = entry->record.version, tombstone;
	struct found found = FOUND_INIT;
	bool dead_in_tree;

	if (look_tree(store->tree, p->names.tree, &found, err) < 0)
		return -1;
	dead_in_tree = (found.kind == FOUND_FILE || found.kind == FOUND_POINTER) &&
		       version_cmp(found.record.version, v) == 0;
	found_clear(&found);
	if (dead_in_tree && drop_name(store->tree, p->names.tree, err) < 0)
		return -1;
	/* The link goes before what it names. */
	if (look_mark(store->history, names_mark(&p->names, MARK_TOMBSTONE), &tombstone, err) < 0)
		return -1;
	if (version_cmp(tombstone, v) == 0 &&
	    drop_name(store->history, names_mark(&p->names, MARK_TOMBSTONE), err) < 0)
		return -1;
	if (drop_name(store->history, names_version(&p->names, v), err) < 0)
		return -1;
	p->count++;
	p->bytes += entry->content ? entry->record.size : 0;
	return 0;
}

/* Under the path's lock. */
static int prune(struct store *store, struct pruning *p, struct str path, size_t versions,
		 struct err *err)
{
	struct store_entry now = STORE_ENTRY_INIT;
	struct history h = HISTORY_INIT;
	char temporary[TEMPORARY_NAME];
	int fd, status = 0;

	if (newest_now(store, path, STORE_RECORD, &now, err) < 0 ||
	    history_now(store, path, &h, err) < 0)
		return -1;
	p->newest = now.record.version;
	for (size_t i = versions; i < h.count && status == 0; i++)
		if (version_cmp(h.entries[i].record.version, p->newest) != 0)
			status = drop(store, p, &h.entries[i], err);
	history_clear(&h);
	/* What a commit that died left has its space, too. */
	unlinkat(store->tmp, temporary_name(temporary, "new", path), 0);
	if (status < 0 || p->count == 0)
		return status;
	fd = fs_open(store->history, names_history(&p->names), O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open history");
	status = disk_sync(store, fd, "history directory", err);
	close(fd);
	return status;
}

int store_prune(struct store *store, struct str path, const struct prune_rule *rule,
		struct prune_count *count, struct err *err)
{
	struct pruning p = { .count = 0 };
	struct lock lock = LOCK_INIT;
	struct err why = ERR_INIT;
	int status;

	if (rule->versions == 0)
		return 0;
	if (names_init(&p.names, path, err) < 0 || disk_lock(store, &lock, path, err) < 0)
		return -1;
	status = prune(store, &p, path, rule->versions, &why);
	/* Where even removing takes space, the reserve has it; what went is not counted twice. */
	if (status < 0 && why.kind == ERR_FULL && disk_release_reserve(store))
		status = prune(store, &p, path, rule->versions, &why);
	lock_release(&lock);
	if (status < 0) {
		if (err != NULL)
			*err = why;
		return err_context(err, "prune %s", shown(path).text);
	}
	disk_fill_reserve(store);
	count->records += p.count;
	count->bytes += p.bytes;
	return 0;
}
