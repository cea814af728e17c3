/*
 * prune - what a path keeps, of its records and of their content
 *
 * Which records go depends on the path's records alone, so that all nodes
 * that have the same ones keep the same.  A mark is set to what stays before
 * the tombstone it names goes.  Where content goes and its record stays, a
 * pointer takes the file's name in one step, in tree/ and in history/,
 * wherever the version is.  Making room never needs room: where even that
 * takes some, the reserve has it.
 */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#define DAY_NS (UINT64_C(86400) * 1000000000)

uint64_t prune_before(uint64_t now, uint64_t days)
{
	return days == 0 || days > now / DAY_NS ? 0 : now - days * DAY_NS;
}

/* content */

static bool inode_is_meant(const struct inode *found, ino_t only)
{
	return found->kind == INODE_CONTENT && (only == 0 || found->st.st_ino == only);
}

/* In tree/, should that version stand there. */
static int evict_in_tree(struct store *store, struct str path, const struct history_entry *entry,
			 ino_t only, const struct source *pointer, struct err *err)
{
	struct inode found = INODE_INIT;
	char temporary[TEMPORARY_NAME];
	struct names names;
	int parent, status = 0;
	bool here;

	names_set(&names, path_parent(path));
	parent = fs_open(store->tree, names.tree, O_RDONLY | O_DIRECTORY, 0);
	if (parent < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open the directory above");
	names_set(&names, path_name(path));
	status = inode_read_tree(parent, names.tree, &found, err);
	here = inode_is_meant(&found, only) &&
	       version_cmp(found.record.version, entry->record.version) == 0 &&
	       inode_unchanged(parent, names.tree, &found);
	if (status == 0 && here &&
	    place_over(pointer, store->tmp, temporary_name(temporary, "new", path), parent,
		       names.tree) < 0)
		status = err_sys(err, "put a pointer in its place");
	if (status == 0 && here)
		status = disk_sync(store, parent, "directory", err);
	inode_clear(&found);
	close(parent);
	return status;
}

static int evict_in_history(struct store *store, struct str path,
			    const struct history_entry *entry, ino_t only,
			    const struct source *pointer, struct err *err)
{
	struct inode found = INODE_INIT;
	char name[VERSION_NAME];
	struct names names;
	int dir, status;

	names_set(&names, path);
	dir = fs_open(store->history, names_history(&names), O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open history");
	status = inode_read(dir, version_name(name, entry->record.version), &found, err);
	if (status == 0 && inode_is_meant(&found, only)) {
		if (place_over(pointer, dir, MARK_NEW, dir, name) < 0)
			status = err_sys(err, "put a pointer in its place");
		else
			status = disk_sync(store, dir, "history directory", err);
	}
	inode_clear(&found);
	close(dir);
	return status;
}

int evict_content(struct store *store, struct str path, const struct history_entry *entry,
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

/* Under the path's lock. */
static int evict_version(struct store *store, struct str path, struct version v, uint64_t *ret_bytes,
			 struct err *err)
{
	struct store_entry found = STORE_ENTRY_INIT;
	struct history_entry entry;
	struct err why = ERR_INIT;
	int status = 0;

	if (version_locked(store, path, v, &found, &why) < 0 && why.kind != ERR_ABSENT)
		return err_pass(err, &why);
	if (found.content) {
		entry = history_entry_of(&found.record, found.type, true);
		counters_begin(store, path, CHANGE_FILE, NULL);
		status = evict_content(store, path, &entry, 0, err);
		free(entry.type);
	}
	if (found.content && status == 0)
		counters_end(store, path, CHANGE_FILE);
	if (status == 0)
		*ret_bytes = found.content ? found.record.size : 0;
	store_entry_clear(&found);
	return status;
}

int store_evict(struct store *store, struct str path, struct version v, uint64_t *ret_bytes,
		struct err *err)
{
	struct lock lock = LOCK_INIT;
	struct err why = ERR_INIT;
	int status;

	if (path_check(path, err) < 0 || counters_lock(store, &lock, path, err) < 0)
		return -1;
	status = evict_version(store, path, v, ret_bytes, &why);
	if (status < 0 && why.kind == ERR_FULL && disk_release_reserve(store))
		status = evict_version(store, path, v, ret_bytes, &why);
	lock_release(&lock);
	if (status == 0)
		return 0;
	err_pass(err, &why);
	return err_context(err, "evict content of %s", shown(path).text);
}

/* records */

/* One path, under its lock. */
struct pruning {
	struct store *store;
	struct str path;
	const struct prune_rule *rule;
	struct names names;
	struct history h;
	bool *goes;		/* owned; per entry of h */
	struct version newest;	/* of the file: stays, even if a person put it back and it is old */
	struct version in_tree;	/* what stands there */
	bool directory;		/* it is a directory's: its attribute, which stays as well */
	int dir;		/* history/P; owned; -1: there is none */
	bool begun;
	struct prune_count *count;
};

static void pruning_clear(struct pruning *p)
{
	history_clear(&p->h);
	free(p->goes);
	p->goes = NULL;
	if (p->dir >= 0)
		close(p->dir);
	p->dir = -1;
}

static void pruning_begin(struct pruning *p)
{
	if (!p->begun)
		counters_begin(p->store, p->path, CHANGE_DIRECTORY, NULL);
	p->begun = true;
}

static int pruning_read(struct pruning *p, struct err *err)
{
	struct store_entry now = STORE_ENTRY_INIT;
	struct inode found = INODE_INIT;

	if (newest_without(p->store, p->path, NULL, &now, err) < 0 ||
	    history_locked(p->store, p->path, &p->h, err) < 0 ||
	    inode_read_tree(p->store->tree, p->names.tree, &found, err) < 0)
		return -1;
	p->newest = now.record.version;
	p->in_tree = found.record.version;
	p->directory = found.kind == INODE_DIRECTORY;
	inode_clear(&found);
	p->dir = fs_open(p->store->history, names_history(&p->names), O_RDONLY | O_DIRECTORY, 0);
	return p->dir < 0 && errno != ENOENT ? err_sys(err, "open history") : 0;
}

/* Of each kind the newest stay. */
static void pruning_decide(struct pruning *p)
{
	size_t files = 0, directories = 0;

	p->goes = mem_new(p->h.count + 1, sizeof *p->goes);
	for (size_t i = 0; i < p->h.count; i++) {
		const struct record *r = &p->h.entries[i].record;
		bool beyond = r->flags & RECORD_DIRECTORY ? directories++ >= 1
							  : files++ >= p->rule->versions;

		p->goes[i] = p->rule->versions > 0 && beyond &&
			     version_cmp(r->version, p->newest) != 0 &&
			     !(p->directory && version_cmp(r->version, p->in_tree) == 0);
	}
}

/* A mark whose version goes names the newest tombstone of its kind that stays; without one it goes. */
static int mark_newest_kept(struct pruning *p, const char *name, uint8_t flags, struct err *err)
{
	struct source link = SOURCE_INIT;
	char text[VERSION_TEXT];
	struct version marked;
	bool goes = false;

	if (mark_read(p->dir, name, &marked, err) < 0)
		return -1;
	for (size_t i = 0; i < p->h.count; i++) {
		const struct record *r = &p->h.entries[i].record;

		goes |= p->goes[i] && version_cmp(r->version, marked) == 0;
		if (!p->goes[i] && link.text == NULL &&
		    (r->flags & (RECORD_DELETED | RECORD_DIRECTORY)) == flags &&
		    version_cmp(r->version, marked) <= 0)
			link.text = version_format(text, r->version);
	}
	if (!goes)
		return 0;
	pruning_begin(p);
	if (link.text == NULL ? unlinkat(p->dir, name, 0) < 0 && errno != ENOENT
			      : place_over(&link, p->dir, MARK_NEW, p->dir, name) < 0)
		return err_sys(err, "mark what stays");
	return 0;
}

static int name_remove(int dir, const char *name, struct err *err)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	return err_sys(err, "remove a version");
}

/* A version may be in history/ and, where a deletion was cut short, in tree/ as well. */
static int record_remove(struct pruning *p, const struct history_entry *entry, struct err *err)
{
	char name[VERSION_NAME];

	pruning_begin(p);
	if (version_cmp(entry->record.version, p->in_tree) == 0 &&
	    name_remove(p->store->tree, p->names.tree, err) < 0)
		return -1;
	if (p->dir >= 0 &&
	    name_remove(p->dir, version_name(name, entry->record.version), err) < 0)
		return -1;
	return 0;
}

/* No replay of the log brings back what goes. */
static int forget_records(struct pruning *p, struct err *err)
{
	struct versions going = VERSIONS_INIT;
	uint64_t changed = 0;
	char name[VERSION_NAME];
	int status;

	for (size_t i = 0; i < p->h.count; i++) {
		struct version v = p->h.entries[i].record.version;
		uint64_t at;

		if (!p->goes[i])
			continue;
		at = version_cmp(v, p->in_tree) == 0
			     ? changed_at(p->store->tree, p->names.tree)
			     : changed_at(p->dir, version_name(name, v));
		versions_add(&going, v);
		changed = at > changed ? at : changed;
	}
	status = wal_forget(p->store, p->path, going.items, going.count, changed, err);
	versions_clear(&going);
	return status;
}

static int prune_records(struct pruning *p, struct err *err)
{
	bool only_counts = p->rule->only_counts;

	if (!only_counts && forget_records(p, err) < 0)
		return -1;
	if (p->dir >= 0 && !only_counts && (mark_newest_kept(p, MARK_FILE, RECORD_DELETED, err) < 0 ||
			    mark_newest_kept(p, MARK_END, RECORD_DELETED | RECORD_DIRECTORY,
					     err) < 0))
		return -1;
	for (size_t i = 0; i < p->h.count; i++) {
		const struct history_entry *entry = &p->h.entries[i];

		if (!p->goes[i])
			continue;
		if (!only_counts && record_remove(p, entry, err) < 0)
			return -1;
		p->count->records++;
		p->count->bytes += entry->content ? entry->record.size : 0;
	}
	return 0;
}

static int prune_contents(struct pruning *p, struct err *err)
{
	for (size_t i = 0; i < p->h.count; i++) {
		const struct history_entry *entry = &p->h.entries[i];

		if (p->goes[i] || !entry->content ||
		    record_made(&entry->record) >= p->rule->before ||
		    version_cmp(entry->record.version, p->newest) == 0)
			continue;
		if (!p->rule->only_counts) {
			pruning_begin(p);
			if (evict_content(p->store, p->path, entry, 0, err) < 0)
				return -1;
		}
		p->count->contents++;
		p->count->bytes += entry->record.size;
	}
	return 0;
}

static int pruning_run(struct pruning *p, struct err *err)
{
	char temporary[TEMPORARY_NAME];

	if (pruning_read(p, err) < 0)
		return -1;
	pruning_decide(p);
	/* What a commit that died left has its space, too. */
	if (!p->rule->only_counts)
		unlinkat(p->store->tmp, temporary_name(temporary, "new", p->path), 0);
	if (prune_records(p, err) < 0 || prune_contents(p, err) < 0)
		return -1;
	if (p->begun && p->dir >= 0 &&
	    disk_sync(p->store, p->dir, "history directory", err) < 0)
		return -1;
	if (p->begun)
		counters_end(p->store, p->path, CHANGE_DIRECTORY);
	return 0;
}

int store_prune(struct store *store, struct str path, const struct prune_rule *rule,
		struct prune_count *count, struct err *err)
{
	struct prune_count mine = { .records = 0 };
	struct pruning p = { .store = store, .path = path, .rule = rule, .h = HISTORY_INIT,
			     .dir = -1, .count = &mine };
	struct lock lock = LOCK_INIT;
	struct err why = ERR_INIT;
	int status;

	if (names_init(&p.names, path, err) < 0 || counters_lock(store, &lock, path, err) < 0)
		return -1;
	status = pruning_run(&p, &why);
	/* What went is not counted twice. */
	if (status < 0 && why.kind == ERR_FULL && disk_release_reserve(store)) {
		pruning_clear(&p);
		status = pruning_run(&p, &why);
	}
	pruning_clear(&p);
	lock_release(&lock);
	count->records += mine.records;
	count->contents += mine.contents;
	count->bytes += mine.bytes;
	if (status == 0) {
		if (atomic_load(&store->released))
			disk_fill_reserve(store);
		return 0;
	}
	err_pass(err, &why);
	return err_context(err, "prune %s", shown(path).text);
}

/* All paths. */
struct round {
	struct store *store;
	const struct prune_rule *rule;
	void (*pruned)(void *data, struct str path, const struct prune_count *);
	void *data;
	struct prune_count *count;
	struct err *err;
};

/* What is in one history directory. */
struct content {
	struct buf names;	/* of those below, as in tree/ */
	size_t versions;
};

static int content_add_name(void *data, const char *text)
{
	struct content *content = data;
	struct str name = str_of(text);
	struct version v;

	if (version_of_name(text, &v) == 0)
		content->versions++;
	else if (path_name_from_history(&name))
		buf_add(&content->names, name.s, name.n + 1);
	return 0;
}

static int round_prune(const struct round *r, struct str path)
{
	struct prune_count count = { .records = 0 };

	if (store_prune(r->store, path, r->rule, &count, r->err) < 0)
		return -1;
	r->count->records += count.records;
	r->count->contents += count.contents;
	r->count->bytes += count.bytes;
	if (r->pruned != NULL && count.records + count.contents > 0)
		r->pruned(r->data, path, &count);
	return 0;
}

static int round_prune_below(const struct round *r, struct str path)
{
	struct names *names = mem_new(1, sizeof *names);
	struct content content = { .names = BUF_INIT };
	struct buf below = BUF_INIT;
	int status;

	names_set(names, path);
	status = names_each(r->store->history, names_history(names), content_add_name, &content, r->err);
	free(names);
	/* What stands in tree/ may be one more. */
	if (status == 0 && path.n > 0 && content.versions > 0 &&
	    (r->rule->before > 0 || content.versions >= r->rule->versions))
		status = round_prune(r, path);
	for (size_t at = 0; at < content.names.len && status == 0;
	     at += strlen(content.names.data + at) + 1)
		if (path_below(&below, path, content.names.data + at))
			status = round_prune_below(r, buf_str(&below));
	buf_clear(&below);
	buf_clear(&content.names);
	return status;
}

int store_prune_all(struct store *store, const struct prune_rule *rule,
		    void (*pruned)(void *data, struct str path, const struct prune_count *),
		    void *data, struct prune_count *count, struct err *err)
{
	struct round r = { .store = store, .rule = rule, .pruned = pruned, .data = data,
			   .count = count, .err = err };

	return round_prune_below(&r, (struct str)STR_INIT);
}
