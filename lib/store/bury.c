/*
 * bury - committing tombstones
 *
 * The steps and what a crash leaves are drawn in commit.c.
 */
#include "inside.h"

#include <errno.h>
#include <unistd.h>

/* The mark names the new tombstone, unless it names a newer one. */
static int mark(struct commit_state *s, const char *name, struct version named, struct err *err)
{
	struct source link = SOURCE_INIT;
	int history = chain_leaf(&s->chain);
	char text[VERSION_TEXT];

	if (version_cmp(s->record.version, named) <= 0)
		return 0;
	link.text = version_format(text, s->record.version);
	if (place_over(&link, history, MARK_NEW, history, name) < 0)
		return err_sys(err, "name the tombstone");
	return 0;
}

int commit_bury(struct store *store, const struct commit *c, struct commit_state *s,
		struct err *err)
{
	bool counts = version_cmp(s->record.version, s->tombstone) < 0;

	if (commit_open_history(store, c, s, err) < 0 ||
	    (counts && commit_reveal(store, c, s, err) < 0) ||
	    place_mark(store, chain_leaf(&s->chain), &s->record, err) < 0 ||
	    commit_reveal(store, c, s, err) < 0)
		return -1;
	/* In this order: whatever a directory's mark names, the other one is not below it. */
	if (mark(s, MARK_TOMBSTONE, s->tombstone, err) < 0)
		return -1;
	if (s->record.flags & RECORD_DIRECTORY && mark(s, MARK_REMOVED, s->removed, err) < 0)
		return -1;
	return chain_sync(store, &s->chain, err);
}

/* The tombstone made elsewhere is known already, and all that follows from it was done. */
static int buried(struct store *store, struct commit_state *s, bool *ret, struct err *err)
{
	struct found there = FOUND_INIT;
	bool done = s->now.kind == FOUND_DIRECTORY ||
		    version_cmp(s->now.record.version, s->record.version) > 0 ||
		    s->now.kind == FOUND_NOTHING;

	if (version_cmp(s->record.version, s->tombstone) > 0 ||
	    (s->record.flags & RECORD_DIRECTORY &&
	     version_cmp(s->record.version, s->removed) > 0)) {
		*ret = false;
		return 0;
	}
	if (look(store->history, names_version(&s->names, s->record.version), &there, err) < 0)
		return -1;
	*ret = done && there.kind == FOUND_MARK && record_eq(&there.record, &s->record);
	found_clear(&there);
	return 0;
}

static int bury_file(struct store *store, const struct commit *c, struct commit_state *s,
		     struct err *err)
{
	int status = s->newest ? commit_keep(store, c, s, err) : 0;

	if (status != 0)
		return status;
	if (commit_bury(store, c, s, err) < 0)
		return -1;
	if (!s->newest || s->now.kind == FOUND_NOTHING ||
	    !look_same(s->parent, s->name, &s->now))	/* a person's, just put there: it stays */
		return 0;
	if (unlinkat(s->parent, s->name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove it from tree/");
	s->tree_changed = s->left = true;
	return 0;
}

int commit_tombstone(struct store *store, const struct commit *c, struct commit_state *s,
		     struct err *err)
{
	bool directory = s->now.kind == FOUND_DIRECTORY, there = false;
	int status;

	if (directory && !s->entry.directory)
		return CLEAR;
	if (s->how != COMMIT_MERGE && !directory && c->flags & RECORD_DIRECTORY &&
	    record_is_live(&s->entry.record))
		return err_set(err, ERR_CONFLICT, "a file stands there");
	status = directory ? directory_may_go(store, c, s, err) : 0;
	if (status != 0)
		return status;
	if (commit_choose(store, c, s, err) < 0 || commit_stands(store, c, s, &there, err) < 0 ||
	    buried(store, s, &there, err) < 0)
		return -1;
	s->newest = version_cmp(s->record.version, s->known) >= 0;
	if (there)
		return 0;
	return directory ? directory_remove(store, c, s, err) : bury_file(store, c, s, err);
}
