/*
 * prune - what a path keeps
 *
 * Which records go depends on the path's records alone, so that all nodes
 * that have the same ones keep the same.  A mark is set to what stays before
 * the tombstone it names goes.  Making room never needs room: where even
 * removing takes some, the reserve has it.
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

static void clear(struct pruning *p)
{
	history_clear(&p->h);
	free(p->goes);
	p->goes = NULL;
	if (p->dir >= 0)
		close(p->dir);
	p->dir = -1;
}

static void begin(struct pruning *p)
{
	if (!p->begun)
		counters_begin(p->store, counters_slot(path_hash(p->path)), p->path,
			       ABOUT_DIRECTORY, NULL);
	p->begun = true;
}

static int read_path(struct pruning *p, struct err *err)
{
	struct store_entry now = STORE_ENTRY_INIT;
	struct found found = FOUND_INIT;

	if (newest_now(p->store, p->path, STORE_RECORD, &now, err) < 0 ||
	    history_now(p->store, p->path, &p->h, err) < 0 ||
	    look_tree(p->store->tree, p->names.tree, &found, err) < 0)
		return -1;
	p->newest = now.record.version;
	p->in_tree = found.record.version;
	p->directory = found.kind == FOUND_DIRECTORY;
	found_clear(&found);
	p->dir = fs_open(p->store->history, names_history(&p->names), O_RDONLY | O_DIRECTORY, 0);
	return p->dir < 0 && errno != ENOENT ? err_sys(err, "open history") : 0;
}

/* Of each kind the newest stay. */
static void decide(struct pruning *p)
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
static int mark_what_stays(struct pruning *p, const char *name, uint8_t flags, struct err *err)
{
	struct source link = SOURCE_INIT;
	char text[VERSION_TEXT];
	struct version marked;
	bool goes = false;

	if (look_mark(p->dir, name, &marked, err) < 0)
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
	begin(p);
	if (link.text == NULL ? unlinkat(p->dir, name, 0) < 0 && errno != ENOENT
			      : place_over(&link, p->dir, MARK_NEW, p->dir, name) < 0)
		return err_sys(err, "mark what stays");
	return 0;
}

static int drop_name(int dir, const char *name, struct err *err)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	return err_sys(err, "remove a version");
}

/* A version may be in history/ and, where a deletion was cut short, in tree/ as well. */
static int drop(struct pruning *p, const struct history_entry *entry, struct err *err)
{
	char name[VERSION_NAME];

	begin(p);
	if (version_cmp(entry->record.version, p->in_tree) == 0 &&
	    drop_name(p->store->tree, p->names.tree, err) < 0)
		return -1;
	if (p->dir >= 0 &&
	    drop_name(p->dir, version_name(name, entry->record.version), err) < 0)
		return -1;
	return 0;
}

static int drop_records(struct pruning *p, struct err *err)
{
	bool only_counts = p->rule->only_counts;

	if (p->dir >= 0 && !only_counts && (mark_what_stays(p, MARK_FILE, RECORD_DELETED, err) < 0 ||
			    mark_what_stays(p, MARK_END, RECORD_DELETED | RECORD_DIRECTORY,
					    err) < 0))
		return -1;
	for (size_t i = 0; i < p->h.count; i++) {
		const struct history_entry *entry = &p->h.entries[i];

		if (!p->goes[i])
			continue;
		if (!only_counts && drop(p, entry, err) < 0)
			return -1;
		p->count->records++;
		p->count->bytes += entry->content ? entry->record.size : 0;
	}
	return 0;
}

static int drop_contents(struct pruning *p, struct err *err)
{
	for (size_t i = 0; i < p->h.count; i++) {
		const struct history_entry *entry = &p->h.entries[i];

		if (p->goes[i] || !entry->content ||
		    record_made(&entry->record) >= p->rule->before ||
		    version_cmp(entry->record.version, p->newest) == 0)
			continue;
		if (!p->rule->only_counts) {
			begin(p);
			if (evict_now(p->store, p->path, entry, err) < 0)
				return -1;
		}
		p->count->contents++;
		p->count->bytes += entry->record.size;
	}
	return 0;
}

static int prune(struct pruning *p, struct err *err)
{
	char temporary[TEMPORARY_NAME];

	if (read_path(p, err) < 0)
		return -1;
	decide(p);
	/* What a commit that died left has its space, too. */
	if (!p->rule->only_counts)
		unlinkat(p->store->tmp, temporary_name(temporary, "new", p->path), 0);
	if (drop_records(p, err) < 0 || drop_contents(p, err) < 0)
		return -1;
	if (p->begun && p->dir >= 0 &&
	    disk_sync(p->store, p->dir, "history directory", err) < 0)
		return -1;
	if (p->begun)
		counters_end(p->store, counters_slot(path_hash(p->path)), ABOUT_DIRECTORY);
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

	if (names_init(&p.names, path, err) < 0 || disk_lock(store, &lock, path, err) < 0)
		return -1;
	status = prune(&p, &why);
	/* What went is not counted twice. */
	if (status < 0 && why.kind == ERR_FULL && disk_release_reserve(store)) {
		clear(&p);
		status = prune(&p, &why);
	}
	clear(&p);
	lock_release(&lock);
	count->records += mine.records;
	count->contents += mine.contents;
	count->bytes += mine.bytes;
	if (status == 0) {
		if (atomic_load(&store->released))
			disk_fill_reserve(store);
		return 0;
	}
	if (err != NULL)
		*err = why;
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

static int sort_name(void *data, const char *text)
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

static int prune_path(const struct round *r, struct str path)
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

static int prune_below(const struct round *r, struct str path)
{
	struct names *names = mem_new(1, sizeof *names);
	struct content content = { .names = BUF_INIT };
	struct buf below = BUF_INIT;
	int status;

	names_set(names, path);
	status = look_names(r->store->history, names_history(names), sort_name, &content, r->err);
	free(names);
	/* What stands in tree/ may be one more. */
	if (status == 0 && path.n > 0 && content.versions > 0 &&
	    (r->rule->before > 0 || content.versions >= r->rule->versions))
		status = prune_path(r, path);
	for (size_t at = 0; at < content.names.len && status == 0;
	     at += strlen(content.names.data + at) + 1) {
		buf_reset(&below);
		path_join(&below, path, str_of(content.names.data + at));
		if (path_check(buf_str(&below), NULL) == 0)
			status = prune_below(r, buf_str(&below));
	}
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

	return prune_below(&r, (struct str)STR_INIT);
}
