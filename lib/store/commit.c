/*
 * commit - a version becomes part of the store, whole or not at all
 *
 * One commit at a time per path, under the path's lock, which is held until
 * the version is on disk.  V is the new version, O the one that is at tree/P.
 *
 *	step				a crash after it leaves
 *	1  V's body, record and mtime	O; the unnamed file is gone
 *	   are put on a file without a
 *	   name
 *	2  O is linked into history	O, which history then knows, too
 *	3  the file and history/P are	the same; an entry in the outbox that
 *	   synced, and meanwhile the	names no version that is known here
 *	   outbox's entry
 *	4  V is renamed over tree/P	O or V: one rename, seen whole or not;
 *	   (linked, if there is no O)	O is in history for certain (3)
 *	5  tree/P's directory is	V, for ever; only now commit_wait()
 *	   synced			returns 0
 *
 * Linking O before the file is synced (not after) lets one journal commit
 * carry both.  A deletion differs from step 2 on:
 *
 *	2  O and the tombstone T are	O; T does not count before 3
 *	   put into history, T synced,
 *	   and the outbox's entry
 *	3  history/P/, is renamed to	O or T: T is greater than O, so it
 *	   name T, history/P is synced	counts although tree/P still stands
 *	4  tree/P is removed		T
 *	5  its directory is synced	T
 *
 * Where V is the file's newest but cannot be in tree/, because a directory is
 * there or the entry's end is above V, it waits, as a tombstone does: it is
 * put into history, then history/P/, names it (2 and 3); and if O is a file,
 * it goes (4, 5).  An entry's end T does the same with history/P/,directory;
 * an O that is a file below it waits from then on: history/P/, names it
 * first.  So it does before a directory is exchanged for O.
 *
 * A directory that holds nothing, and is no live entry, goes after the commit
 * that emptied it, and lets in what waits (tidy.c):
 *
 *	1  W, which history/P/, names,	the directory, W in history
 *	   is linked into tmp/
 *	2  the directory is removed	nothing, W in history: W is the newest
 *	3  W is renamed to tree/P	W
 *	4  P's directory is synced	W
 *
 * What crashes leave behind never counts: tmp/,new-HASH is a version on its
 * way to its name (step 4; the path's next commit removes it), O may be in
 * tree/ and history/ both, and a dead tree/P is moved on by the next commit.
 *
 * From the first change that others could see until all is synced the
 * counters make readers go by O, or wait (commit_reveal(), counters.c).  When
 * a sync fails meanwhile O is put back: V was seen by nobody.
 *
 * The version is chosen above everything known here (choose.c).  One made
 * elsewhere that is older than what is known goes to history; what is there
 * already is success.
 *
 * Above the path there are directories in tree/, which need no records; in a
 * group of one each is a live entry before its first file, and still one
 * after (directory.c).  No step holds two locks; a directory removed
 * meanwhile shows as ENOENT, and the commit starts over.
 */
#include "inside.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define TRIES 64	/* each is one more directory or file that came and went meanwhile */

static void state_free(struct commit_state *s)
{
	chain_close(&s->chain);
	found_clear(&s->now);
	store_entry_clear(&s->entry);
	if (s->parent >= 0)
		close(s->parent);
	lock_release(&s->lock);
	free(s);
}

/* A gate is a version and nothing else. */
static int check_gate(const struct commit *c, struct err *err)
{
	if (c->flags == RECORD_DELETED && c->stage == NULL && c->pointer == NULL &&
	    c->mtime == 0 && c->type.n == 0)
		return 0;
	return err_set(err, ERR_INVALID, "a gate that is more than a version");
}

/* A commit that makes sense by itself. */
static int check(const struct commit *c, struct err *err)
{
	bool content = !(c->flags & (RECORD_DELETED | RECORD_DIRECTORY));

	if (c->path.n == 0)
		return err_set(err, ERR_CONFLICT, "the root is a directory and stays");
	if (path_is_gate(c->path))
		return check_gate(c, err);
	if (c->pointer != NULL)
		return record_has_content(c->pointer) && c->stage == NULL
			       ? 0 : err_set(err, ERR_INVALID, "a pointer without content");
	if (content != (c->stage != NULL))
		return err_set(err, ERR_INVALID, "content for what has none, or none for what has");
	if (c->stage != NULL && !stage_is_whole(c->stage))
		return err_set(err, ERR_INVALID, "its body was not synced");
	if (!content && c->type.n > 0)
		return err_set(err, ERR_INVALID, "a content type without content");
	return record_check_type(c->type, err);
}

int commit_open_history(struct store *store, struct commit_state *s, struct err *err)
{
	struct source issued = SOURCE_INIT;
	char text[VERSION_TEXT];

	if (s->chain.count > 0)
		return 0;
	if (chain_open(store, &s->chain, s->path, err) < 0)
		return -1;
	if (!s->ahead)
		return 0;
	issued.text = version_format(text, s->record.version);
	if (place_over(&issued, chain_leaf(&s->chain), MARK_NEW, chain_leaf(&s->chain),
		       MARK_ISSUED) < 0)
		return err_sys(err, "note the version");
	return 0;
}

/* A file of covey's is there. */
static bool file_is_there(const struct commit_state *s)
{
	return s->now.kind == FOUND_FILE || s->now.kind == FOUND_POINTER;
}

int commit_keep(struct store *store, struct commit_state *s, struct err *err)
{
	struct source standing = SOURCE_INIT;
	struct err why = ERR_INIT;

	if ((!file_is_there(s) && s->now.kind != FOUND_FOREIGN) ||
	    (s->now.kind == FOUND_FOREIGN && s->how == COMMIT_ADOPT) ||
	    (!version_is_none(s->record.version) &&
	     version_cmp(s->now.record.version, s->record.version) == 0))
		return 0;
	if (commit_open_history(store, s, err) < 0)
		return -1;
	if (s->now.kind == FOUND_FOREIGN)
		return place_aside(s->parent, s->name, chain_leaf(&s->chain), err);
	standing.dir = s->parent;
	standing.name = s->name;
	if (place_in_history(&standing, chain_leaf(&s->chain), &s->now.record,
			     s->now.kind == FOUND_FILE, &why) == 0)
		return 0;
	if (why.sys == ENOENT)
		return AGAIN;	/* a person has just removed it */
	if (err != NULL)
		*err = why;
	return -1;
}

int commit_set_aside(struct store *store, struct commit_state *s, struct err *err)
{
	int status = commit_keep(store, s, err);

	if (status != 0 || !file_is_there(s) ||
	    version_cmp(s->now.record.version, s->marks.file) <= 0)
		return status;
	if (chain_sync(store, &s->chain, err) < 0 ||
	    commit_mark(s, MARK_FILE, s->now.record.version, err) < 0)
		return -1;
	return 0;
}

int commit_mark(struct commit_state *s, const char *mark, struct version v, struct err *err)
{
	struct source link = SOURCE_INIT;
	int history = chain_leaf(&s->chain);
	char text[VERSION_TEXT];

	link.text = version_format(text, v);
	if (place_over(&link, history, MARK_NEW, history, mark) < 0)
		return err_sys(err, "mark the version");
	return 0;
}

int commit_unlink(struct commit_state *s, struct err *err)
{
	if (s->parent < 0 || !look_same(s->parent, s->name, &s->now))
		return 0;	/* a person's, just put there: it stays */
	if (unlinkat(s->parent, s->name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove it from tree/");
	s->tree_changed = s->left = true;
	return 0;
}

/* It is about directories, or about a name that was or becomes one. */
static enum about about(const struct commit_state *s)
{
	if (s->gate)
		return ABOUT_GATE;
	return s->record.flags & RECORD_DIRECTORY || s->now.kind == FOUND_DIRECTORY ||
			       s->how == COMMIT_ABOVE || s->how == COMMIT_TIDY
		       ? ABOUT_DIRECTORY : ABOUT_FILE;
}

/*
 * It is just a version of a file, and the one before, if any, was linked
 * into history: so readers can do without it until it is on disk.
 */
static bool can_be_left_out(const struct commit_state *s)
{
	return about(s) == ABOUT_FILE && !s->entry.foreign &&
	       (s->how == COMMIT_OWN || s->how == COMMIT_MERGE);
}

int commit_reveal(struct store *store, const struct commit *c, struct commit_state *s,
		  struct err *err)
{
	struct doubt doubt = { .coming = s->record.version, .known = s->was_known,
			       .before = s->entry.record.version };

	if (s->begun)
		return 0;
	if (s->mark.segment != 0 && outbox_wait(c->outbox, s->mark, err) < 0)
		return -1;
	counters_begin(store, counters_slot(path_hash(s->path)), s->path, about(s),
		       can_be_left_out(s) ? &doubt : NULL);
	s->begun = true;
	return 0;
}

/* What the new version's name will be made from: the stage's file, or a pointer's text. */
static int fill(const struct commit *c, const struct commit_state *s, struct buf *text,
		struct source *ret, struct err *err)
{
	struct source source = SOURCE_INIT;

	if (c->stage == NULL) {
		record_format(text, &s->record, c->type);
		source.text = text->data;
	} else {
		source.fd = stage_fd(c->stage);
		if (put_record(source.fd, &s->record, c->type, false, err) < 0)
			return -1;
	}
	*ret = source;
	return 0;
}

static int sync_body(struct store *store, const struct commit *c, struct err *err)
{
	return c->stage != NULL ? disk_sync(store, stage_fd(c->stage), "body", err) : 0;
}

/* Step 4. */
static int show(struct store *store, struct commit_state *s, const struct source *source,
		struct err *err)
{
	char temporary[TEMPORARY_NAME];
	int status;

	if (!look_same(s->parent, s->name, &s->now))
		return AGAIN;	/* a person has just put a file over it */
	if (s->now.kind == FOUND_NOTHING)
		status = place_name(source, s->parent, s->name);
	else
		status = place_over(source, store->tmp, temporary_name(temporary, "new", s->path),
				    s->parent, s->name);
	if (status < 0 && (errno == EEXIST || errno == ENOENT || errno == EISDIR))
		return AGAIN;	/* the directory went, or a person was quicker */
	return status < 0 ? err_sys(err, "give it its name") : 0;
}

static int become_newest(struct store *store, const struct commit *c, struct commit_state *s,
			 const struct source *source, struct err *err)
{
	int status;

	if (s->parent < 0)
		return ABOVE;
	if (s->ahead && commit_open_history(store, s, err) < 0)
		return -1;
	status = commit_keep(store, s, err);
	if (status == 0)
		status = sync_body(store, c, err);
	if (status == 0 && s->chain.count > 0)
		status = chain_sync(store, &s->chain, err);
	if (status == 0)
		status = commit_reveal(store, c, s, err);
	if (status == 0)
		status = show(store, s, source, err);
	s->tree_changed = true;
	return status;
}

static int become_older(struct store *store, const struct commit *c, struct commit_state *s,
			const struct source *source, struct err *err)
{
	if (sync_body(store, c, err) < 0 || commit_open_history(store, s, err) < 0 ||
	    commit_reveal(store, c, s, err) < 0 ||
	    place_in_history(source, chain_leaf(&s->chain), &s->record, c->stage != NULL, err) < 0)
		return -1;
	return chain_sync(store, &s->chain, err);
}

/* A directory is there, or the entry's end is above it. */
static bool must_wait(const struct commit_state *s)
{
	return s->now.kind == FOUND_DIRECTORY ||
	       version_cmp(s->record.version, s->marks.end) < 0;
}

/* The newest, in history, until it can be in tree/. */
static int wait_there(struct store *store, const struct commit *c, struct commit_state *s,
		      const struct source *source, struct err *err)
{
	int status = file_is_there(s) ? commit_keep(store, s, err) : 0;

	if (status != 0)
		return status;
	if (become_older(store, c, s, source, err) < 0)
		return -1;
	if (version_cmp(s->record.version, s->marks.file) > 0 &&
	    (commit_mark(s, MARK_FILE, s->record.version, err) < 0 ||
	     chain_sync(store, &s->chain, err) < 0))
		return -1;
	return file_is_there(s) ? commit_unlink(s, err) : 0;
}

int commit_is_in_history(struct store *store, struct commit_state *s, bool *ret, struct err *err)
{
	struct found past = FOUND_INIT;
	int status = 0;

	if (look(store->history, names_version(&s->names, s->record.version), &past, err) < 0)
		return -1;
	if (!version_is_none(past.record.version) && !record_eq(&s->record, &past.record))
		status = err_set(err, ERR_CORRUPT, "another record has this version");
	else
		*ret = !version_is_none(past.record.version);
	found_clear(&past);
	return status;
}

/*
 * The version made elsewhere is in its place already, with nothing to add
 * to it.  A record that contradicts one known here is refused.
 */
static int find_in_place(struct store *store, const struct commit *c, struct commit_state *s,
			 bool *ret, struct err *err)
{
	int order = version_cmp(s->record.version, s->entry.record.version);
	bool same = version_cmp(s->record.version, s->now.record.version) == 0, placed;
	struct found past = FOUND_INIT;
	const struct found *there = same ? &s->now : &past;
	int status = 0;

	if (!same && version_cmp(s->record.version, s->known) <= 0 &&
	    look(store->history, names_version(&s->names, s->record.version), &past, err) < 0)
		return -1;
	if (same)
		placed = !must_wait(s);
	else
		placed = order < 0 || (order == 0 && (must_wait(s) || c->stage == NULL));
	s->was_known = record_eq(&s->record, &there->record);
	if (!version_is_none(there->record.version) && !s->was_known)
		status = err_set(err, ERR_CORRUPT, "another record has this version");
	else
		*ret = s->was_known && placed &&
		       (there->kind != FOUND_POINTER || c->stage == NULL);
	found_clear(&past);
	return status;
}

static int put_in_place(struct store *store, const struct commit *c, struct commit_state *s,
			struct err *err)
{
	struct buf text = BUF_INIT;
	struct source source;
	int status;

	if (fill(c, s, &text, &source, err) < 0)
		status = -1;
	else if (!s->newest)
		status = become_older(store, c, s, &source, err);
	else if (must_wait(s))
		status = wait_there(store, c, s, &source, err);
	else
		status = become_newest(store, c, s, &source, err);
	buf_clear(&text);
	return status;
}

static int commit_content(struct store *store, const struct commit *c, struct commit_state *s,
			  struct err *err)
{
	bool there = false;

	if (s->how == COMMIT_OWN && c->alone && s->entry.directory)
		return err_set(err, ERR_CONFLICT, "a directory stands there");
	if (commit_choose(store, c, s, err) < 0 || find_in_place(store, c, s, &there, err) < 0)
		return -1;
	s->newest = version_cmp(s->record.version, s->entry.record.version) >= 0;
	s->held = s->newest && s->now.kind == FOUND_DIRECTORY && !s->entry.directory;
	return there ? 0 : put_in_place(store, c, s, err);
}

/* What stood at tree/P stands there again; history has it, if it was a file of covey's. */
static void put_back(struct store *store, struct commit_state *s)
{
	struct version v = s->record.version;
	struct found found = FOUND_INIT;
	struct source before = SOURCE_INIT;
	char name[VERSION_NAME], temporary[TEMPORARY_NAME];

	if (s->parent < 0 || look_tree(store->tree, s->names.tree, &found, NULL) < 0)
		return;
	before.dir = chain_leaf(&s->chain);
	before.name = version_name(name, s->now.record.version);
	if (found.kind == FOUND_NOTHING && file_is_there(s))
		place_name(&before, s->parent, s->name);
	else if (version_cmp(found.record.version, v) == 0 && file_is_there(s))
		place_over(&before, store->tmp, temporary_name(temporary, "new", s->path),
			   s->parent, s->name);
	else if (version_cmp(found.record.version, v) == 0)
		unlinkat(s->parent, s->name, 0);
	found_clear(&found);
}

/*
 * The version of a file of which nobody is told, because a sync failed, goes,
 * as far as the disk still obeys: it is for readers as if it had never been.
 */
static void take_back(struct store *store, struct commit_state *s)
{
	struct version v = s->record.version, marked;
	int history = chain_leaf(&s->chain);
	char name[VERSION_NAME];

	if (!s->begun || !can_be_left_out(s) || s->was_known ||
	    version_cmp(v, s->now.record.version) == 0)
		return;
	put_back(store, s);
	if (history < 0)
		return;
	if (look_mark(history, MARK_FILE, &marked, NULL) == 0 && version_cmp(marked, v) == 0) {
		if (version_is_none(s->marks.file))
			unlinkat(history, MARK_FILE, 0);
		else
			commit_mark(s, MARK_FILE, s->marks.file, NULL);
	}
	unlinkat(history, version_name(name, v), 0);
}

static int step(struct store *store, const struct commit *c, struct commit_state *s,
		struct err *err)
{
	uint8_t flags = c->pointer != NULL ? c->pointer->flags : c->flags;

	if (commit_see(store, s, err) < 0)
		return -1;
	if (s->how == COMMIT_ABOVE)
		return directory_hold(store, c, s, err);
	if (s->how == COMMIT_TIDY)
		return tidy_commit(store, c, s, err);
	if (c->condition != NULL && c->condition(c, &s->entry, err) < 0)
		return -1;
	if (s->gate)
		return commit_gate(store, c, s, err);
	s->before = flags & RECORD_DIRECTORY ? s->entry.entry : s->entry.record;
	if (s->how == COMMIT_MERGE && c->keep > 0 && prune_beyond(store, c, s, err) < 0)
		return -1;
	if (s->dropped)
		return 0;
	switch (flags & (RECORD_DELETED | RECORD_DIRECTORY)) {
	case RECORD_DELETED:
		return commit_tombstone(store, c, s, err);
	case RECORD_DIRECTORY:
		return directory_make(store, c, s, err);
	case RECORD_DELETED | RECORD_DIRECTORY:
		return commit_end(store, c, s, err);
	default:
		return commit_content(store, c, s, err);
	}
}

/* One try: 0 with *ret to be waited for, AGAIN, ABOVE or -1. */
static int try(struct store *store, const struct commit *c, enum commit_how how, bool make,
	       struct commit_state **ret, struct err *err)
{
	struct commit_state *s = mem_new(1, sizeof *s);
	int status;

	*s = (struct commit_state)COMMIT_STATE_INIT;
	s->how = how;
	s->gate = path_is_gate(c->path);
	s->path = s->gate ? path_parent(c->path) : c->path;
	status = names_init(&s->names, s->path, err);
	if (status == 0) {
		const char *slash = strrchr(s->names.tree, '/');

		s->name = slash != NULL ? slash + 1 : s->names.tree;
		status = directory_open_parent(store, s->path, make, c->alone, &s->parent, err);
	}
	if (status == 0)
		status = disk_lock(store, &s->lock, s->path, err);
	if (status == 0)
		status = step(store, c, s, err);
	if (status == 0) {
		*ret = s;
		return 0;
	}
	if (!s->begun)
		outbox_done(store, s->mark);	/* there will be no such version */
	else if (status < 0)
		take_back(store, s);
	state_free(s);
	return status;
}

static int submit(struct store *store, struct commit *c, enum commit_how how, struct err *err)
{
	/* What was made elsewhere may be old: it need not have a place in tree/. */
	bool make = how != COMMIT_MERGE && how != COMMIT_TIDY && !(c->flags & RECORD_DELETED);

	if (check(c, err) < 0 || disk_check(store, c->stage == NULL && c->pointer == NULL &&
						   !(c->flags & RECORD_DELETED), err) < 0)
		return -1;
	for (int i = 0; i < TRIES; i++) {
		struct commit_state *s = NULL;
		int status = try(store, c, how, make, &s, err);

		if (status < 0) {
			if (make && !c->alone)
				tidy_up(store, path_parent(c->path));
			return -1;
		}
		make = make || status == ABOVE;
		if (s == NULL)
			continue;
		c->record = s->record;
		c->before = s->before;
		c->newest = s->newest;
		c->dropped = s->dropped;
		c->mark = s->mark;
		c->state = s;
		return 0;
	}
	return err_set(err, ERR_CONFLICT, "what is around it keeps changing");
}

int commit_begin(struct store *store, struct commit *c, enum commit_how how, struct err *err)
{
	struct err why = ERR_INIT;
	int status = submit(store, c, how, &why);

	if (status < 0 && why.kind == ERR_FULL && c->flags & RECORD_DELETED &&
	    disk_release_reserve(store))
		status = submit(store, c, how, &why);
	if (status == 0)
		return 0;
	if (err != NULL)
		*err = why;
	return err_context(err, "commit %s", shown(c->path).text);
}

int commit_submit(struct store *store, struct commit *c, struct err *err)
{
	bool elsewhere = c->pointer != NULL || !version_is_none(c->fixed);

	return commit_begin(store, c, elsewhere ? COMMIT_MERGE : COMMIT_OWN, err);
}

/* What follows once it is on disk, under other paths' locks. */
static int follow(struct store *store, const struct commit *c, bool held, bool left,
		  struct err *err)
{
	if (held)
		tidy_below(store, c->path);
	if (held || left)
		tidy_up(store, path_parent(c->path));
	return c->alone && record_is_live(&c->record) ? directory_live_above(store, c->path, err)
						      : 0;
}

/* A version of a file came that nobody had told of before. */
static bool is_news(const struct commit_state *s)
{
	return s->begun && !s->was_known && s->how != COMMIT_TIDY && s->how != COMMIT_ABOVE &&
	       !s->gate && !(s->record.flags & RECORD_DIRECTORY);
}

static void see_if_ahead(struct store *store, const struct commit *c)
{
	uint64_t by = counters_ahead(store, c->record.version.time);

	if (by > 0 && store->tell_ahead != NULL)
		store->tell_ahead(c->path, c->record.version, by);
}

int commit_wait(struct store *store, struct commit *c, struct err *err)
{
	struct commit_state *s = c->state;
	bool held = s->held, left = s->left && s->how != COMMIT_TIDY, news = is_news(s);
	int status = 0;

	if (s->tree_changed && s->parent >= 0)
		status = disk_sync(store, s->parent, "directory", err);
	if (status == 0 && s->mark.segment != 0)
		status = outbox_wait(c->outbox, s->mark, err);
	if (status < 0)
		take_back(store, s);
	else if (s->begun)
		counters_end(store, counters_slot(path_hash(s->path)), about(s));
	state_free(s);
	c->state = NULL;
	if (status == 0 && news)
		see_if_ahead(store, c);
	return status == 0 ? follow(store, c, held, left, err) : status;
}

int store_commit(struct store *store, struct commit *c, struct err *err)
{
	if (commit_submit(store, c, err) < 0)
		return -1;
	return commit_wait(store, c, err);
}

int store_merge(struct store *store, struct str path, const struct record *record,
		struct str type, uint32_t keep, struct err *err)
{
	struct commit c = COMMIT_INIT;

	c.path = path;
	c.keep = keep;
	if (record_has_content(record)) {
		c.pointer = record;
		c.type = type;
	} else {
		c.flags = record->flags;
		c.mtime = record->mtime;
		c.made = record->made;
		c.fixed = record->version;
	}
	return store_commit(store, &c, err);
}
