/*
 * commit - a version becomes part of the store, whole or not at all
 *
 * One commit at a time per path, under the path's lock, which is held until
 * the version is on disk.  V is the new version, O what stands at tree/P.
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
 * What crashes leave behind never counts: tmp/,new-HASH is a version on its
 * way to its name (step 4; the path's next commit removes it), O may be in
 * tree/ and history/ both, and a dead tree/P is moved on by the next commit.
 *
 * From the first change that others could see until all is synced the
 * counters make readers go by O, or wait (commit_reveal(), counters.c).
 *
 * The version is chosen above everything known here (choose.c).  One made
 * elsewhere that is older than what is known goes to history; what is there
 * already is success.
 *
 * Above the path each directory has a live record before its first file of
 * this node; for one made elsewhere it is only made (directory.c).  No step
 * holds two locks; a directory removed meanwhile shows as ENOENT, and the
 * commit starts over.
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

/* A commit that makes sense by itself. */
static int check(const struct commit *c, struct err *err)
{
	bool content = !(c->flags & (RECORD_DELETED | RECORD_DIRECTORY));

	if (c->path.n == 0)
		return err_set(err, ERR_CONFLICT, "the root is a directory and stays");
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

int commit_open_history(struct store *store, const struct commit *c, struct commit_state *s,
			struct err *err)
{
	struct source issued = SOURCE_INIT;
	char text[VERSION_TEXT];

	if (s->chain.count > 0)
		return 0;
	if (chain_open(store, &s->chain, c->path, err) < 0)
		return -1;
	if (!s->ahead)
		return 0;
	issued.text = version_format(text, s->record.version);
	if (place_over(&issued, chain_leaf(&s->chain), MARK_NEW, chain_leaf(&s->chain),
		       MARK_ISSUED) < 0)
		return err_sys(err, "note the version");
	return 0;
}

int commit_keep(struct store *store, const struct commit *c, struct commit_state *s,
		struct err *err)
{
	struct source standing = SOURCE_INIT;
	struct err why = ERR_INIT;

	if (s->now.kind == FOUND_NOTHING ||
	    (s->now.kind == FOUND_FOREIGN && s->how == COMMIT_ADOPT) ||
	    (!version_is_none(s->record.version) &&
	     version_cmp(s->now.record.version, s->record.version) == 0))
		return 0;
	if (commit_open_history(store, c, s, err) < 0)
		return -1;
	if (s->now.kind == FOUND_FOREIGN)
		return place_aside(s->parent, s->name, chain_leaf(&s->chain), err);
	if (s->now.kind == FOUND_DIRECTORY)
		return version_is_none(s->now.record.version)
			       ? 0 : place_mark(store, chain_leaf(&s->chain), &s->now.record, err);
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

/* It is about directories, or about a name that was or becomes one. */
static bool of_directory(const struct commit_state *s)
{
	return s->record.flags & RECORD_DIRECTORY || s->now.kind == FOUND_DIRECTORY ||
	       s->how == COMMIT_ABOVE;
}

/*
 * It is just a version of a file, and the one before, if any, was linked
 * into history: so readers can do without it until it is on disk.
 */
static bool can_be_left_out(const struct commit_state *s)
{
	return !of_directory(s) && !s->entry.directory && !s->entry.foreign &&
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
	counters_begin(store, counters_slot(path_hash(c->path)), c->path, of_directory(s),
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

/* Step 3. */
static int sync_prepared(struct store *store, const struct commit *c, struct commit_state *s,
			 struct err *err)
{
	if (c->stage != NULL && disk_sync(store, stage_fd(c->stage), "body", err) < 0)
		return -1;
	return s->chain.count > 0 ? chain_sync(store, &s->chain, err) : 0;
}

/* Step 4. */
static int show(struct store *store, const struct commit *c, struct commit_state *s,
		const struct source *source, struct err *err)
{
	char temporary[TEMPORARY_NAME];
	int status;

	if (!look_same(s->parent, s->name, &s->now))
		return AGAIN;	/* a person has just put a file over it */
	if (s->now.kind == FOUND_NOTHING)
		status = place_name(source, s->parent, s->name);
	else
		status = place_over(source, store->tmp, temporary_name(temporary, "new", c->path),
				    s->parent, s->name);
	if (status < 0 && (errno == EEXIST || errno == ENOENT || errno == EISDIR))
		return AGAIN;	/* the directory went, or a person was quicker */
	return status < 0 ? err_sys(err, "give it its name") : 0;
}

static int become_newest(struct store *store, const struct commit *c, struct commit_state *s,
			 const struct source *source, struct err *err)
{
	int status;

	if (s->ahead && commit_open_history(store, c, s, err) < 0)
		return -1;
	status = commit_keep(store, c, s, err);
	if (status == 0)
		status = sync_prepared(store, c, s, err);
	if (status == 0)
		status = commit_reveal(store, c, s, err);
	if (status == 0)
		status = show(store, c, s, source, err);
	s->newest = s->tree_changed = true;
	return status;
}

static int become_older(struct store *store, const struct commit *c, struct commit_state *s,
			const struct source *source, struct err *err)
{
	if (c->stage != NULL && disk_sync(store, stage_fd(c->stage), "body", err) < 0)
		return -1;
	if (commit_open_history(store, c, s, err) < 0 || commit_reveal(store, c, s, err) < 0 ||
	    place_in_history(source, chain_leaf(&s->chain), &s->record, c->stage != NULL, err) < 0)
		return -1;
	return chain_sync(store, &s->chain, err);
}

/* What stands stays in tree/. */
static bool goes_to_history(const struct commit_state *s)
{
	return s->now.kind == FOUND_DIRECTORY || version_cmp(s->record.version, s->known) < 0;
}

int commit_stands(struct store *store, const struct commit *c, struct commit_state *s, bool *ret,
		  struct err *err)
{
	bool same = version_cmp(s->record.version, s->now.record.version) == 0;
	struct found past = FOUND_INIT;
	const struct found *there = same ? &s->now : &past;
	int status = 0;

	if (!same && version_cmp(s->record.version, s->known) <= 0 &&
	    look(store->history, names_version(&s->names, s->record.version), &past, err) < 0)
		return -1;
	s->was_known = record_eq(&s->record, &there->record) &&
		       (!(s->record.flags & RECORD_DELETED) ||
			version_cmp(s->record.version, s->tombstone) <= 0);
	if (!version_is_none(there->record.version) && !record_eq(&s->record, &there->record))
		status = err_set(err, ERR_CORRUPT, "another record has this version");
	else
		*ret = s->was_known && (same || goes_to_history(s)) &&
		       (there->kind != FOUND_POINTER || c->stage == NULL);
	found_clear(&past);
	return status;
}

static int commit_content(struct store *store, const struct commit *c, struct commit_state *s,
			  struct err *err)
{
	struct buf text = BUF_INIT;
	struct source source;
	bool there = false;
	int status;

	if (s->now.kind == FOUND_DIRECTORY && !s->entry.directory)
		return CLEAR;
	if (s->now.kind == FOUND_DIRECTORY && s->how != COMMIT_MERGE)
		return err_set(err, ERR_CONFLICT, "a directory stands there");
	if (commit_choose(store, c, s, err) < 0 || commit_stands(store, c, s, &there, err) < 0)
		return -1;
	if (there) {
		s->newest = version_cmp(s->record.version, s->now.record.version) == 0 &&
			    version_cmp(s->tombstone, s->record.version) < 0;
		return 0;
	}
	if (fill(c, s, &text, &source, err) < 0)
		status = -1;
	else if (goes_to_history(s))
		status = become_older(store, c, s, &source, err);
	else
		status = become_newest(store, c, s, &source, err);
	buf_clear(&text);
	return status;
}

static int step(struct store *store, const struct commit *c, struct commit_state *s,
		struct err *err)
{
	if (commit_see(store, s, err) < 0)
		return -1;
	if (s->how == COMMIT_ABOVE)
		return directory_stand(store, c, s, err);
	if (s->how == COMMIT_TIDY)
		return directory_settle(store, c, s, err);
	if (c->condition != NULL && c->condition(c, &s->entry, err) < 0)
		return -1;
	if (s->how == COMMIT_MERGE && c->keep > 0 && prune_beyond(store, c, s, err) < 0)
		return -1;
	if (s->dropped)
		return 0;
	if (c->pointer == NULL && c->flags & RECORD_DELETED)
		return commit_tombstone(store, c, s, err);
	if (c->pointer == NULL && c->flags & RECORD_DIRECTORY)
		return directory_make(store, c, s, err);
	return commit_content(store, c, s, err);
}

/* One try: 0 with *ret to be waited for, AGAIN, CLEAR or -1. */
static int try(struct store *store, const struct commit *c, enum commit_how how,
	       struct commit_state **ret, struct err *err)
{
	struct commit_state *s = mem_new(1, sizeof *s);
	bool make = c->pointer != NULL || !(c->flags & RECORD_DELETED);
	int status;

	*s = (struct commit_state)COMMIT_STATE_INIT;
	s->how = how;
	status = names_init(&s->names, c->path, err);
	if (status == 0) {
		const char *slash = strrchr(s->names.tree, '/');

		s->name = slash != NULL ? slash + 1 : s->names.tree;
		status = directory_open_parent(store, c->path, make, how, &s->parent, err);
	}
	if (status == 0)
		status = disk_lock(store, &s->lock, c->path, err);
	if (status == 0)
		status = step(store, c, s, err);
	if (status == 0) {
		*ret = s;
		return 0;
	}
	if (!s->begun)
		outbox_done(store, s->mark);	/* there will be no such version */
	state_free(s);
	return status;
}

static int submit(struct store *store, struct commit *c, enum commit_how how, struct err *err)
{
	if (check(c, err) < 0 || disk_check(store, c->stage == NULL && c->pointer == NULL &&
						   !(c->flags & RECORD_DELETED), err) < 0)
		return -1;
	for (int i = 0; i < TRIES; i++) {
		struct commit_state *s = NULL;
		int status = try(store, c, how, &s, err);

		if (status < 0)
			return -1;
		if (status == CLEAR)
			directory_clear(store, c->path);
		if (s == NULL)
			continue;
		c->record = s->record;
		c->before = s->entry.record;
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

int commit_wait(struct store *store, struct commit *c, struct err *err)
{
	struct commit_state *s = c->state;
	bool tidy = s->left || (s->how == COMMIT_MERGE && !s->newest);
	int status = 0;

	if (s->tree_changed && s->parent >= 0)
		status = disk_sync(store, s->parent, "directory", err);
	if (status == 0 && s->mark.segment != 0)
		status = outbox_wait(c->outbox, s->mark, err);
	if (status == 0 && s->begun)
		counters_end(store, counters_slot(path_hash(c->path)), of_directory(s));
	state_free(s);
	c->state = NULL;
	if (status == 0 && tidy)
		directory_tidy(store, path_parent(c->path));
	return status;
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
