/*
 * bury - committing tombstones, a file's and an entry's end
 *
 * The steps and what a crash leaves are drawn in commit.c.
 */
#include "inside.h"

/* Put the tombstone into history, durably; the mark, unless it names a newer one, names it. */
static int bury(struct store *store, const struct commit *c, struct commit_state *s,
		const char *mark, struct version marked, struct err *err)
{
	struct version v = s->record.version;

	if (commit_open_history(store, s, err) < 0 ||
	    (version_cmp(v, marked) < 0 && commit_reveal(store, c, s, err) < 0) ||
	    place_mark(store, chain_leaf(&s->chain), &s->record, err) < 0 ||
	    commit_reveal(store, c, s, err) < 0)
		return -1;
	if (version_cmp(v, marked) > 0 && commit_mark(s, mark, v, err) < 0)
		return -1;
	return chain_sync(store, &s->chain, err);
}

/* The tombstone made elsewhere is known already, and all that follows from it was done. */
static int buried(struct store *store, struct commit_state *s, struct version marked, bool *ret,
		  struct err *err)
{
	bool file = s->now.kind == FOUND_FILE || s->now.kind == FOUND_POINTER, there;

	if (commit_is_in_history(store, s, &there, err) < 0)
		return -1;
	s->was_known = there && version_cmp(s->record.version, marked) <= 0;
	*ret = s->was_known &&
	       (!file || version_cmp(s->now.record.version, s->record.version) > 0);
	return 0;
}

int commit_tombstone(struct store *store, const struct commit *c, struct commit_state *s,
		     struct err *err)
{
	bool there;
	int status;

	if (s->how == COMMIT_OWN && c->alone && s->entry.directory)
		return err_set(err, ERR_CONFLICT, "a directory stands there");
	if (commit_choose(store, c, s, err) < 0 || buried(store, s, s->marks.file, &there, err) < 0)
		return -1;
	s->newest = s->left = version_cmp(s->record.version, s->entry.record.version) >= 0;
	if (there)
		return 0;
	status = s->newest ? commit_keep(store, s, err) : 0;
	if (status != 0)
		return status;
	if (bury(store, c, s, MARK_FILE, s->marks.file, err) < 0)
		return -1;
	return s->newest && s->now.kind != FOUND_NOTHING && s->now.kind != FOUND_DIRECTORY
		       ? commit_unlink(s, err) : 0;
}

/* What a group of one is told under the lock. */
static int may_end(struct store *store, struct commit_state *s, struct err *err)
{
	bool empty;

	if (!s->entry.directory)
		return store_stands(&s->entry) != STANDS_FILE
			       ? 0 : err_set(err, ERR_CONFLICT, "a file stands there");
	if (directory_is_empty(store, s->path, &empty, err) < 0)
		return -1;
	return empty ? 0 : err_set(err, ERR_EXISTS, "the directory is not empty");
}

/*
 * A file came into the directory meanwhile, whose writer may have found the
 * entry live: so it is live again, above the end.  Whoever found it ended
 * makes it so himself (directory_live_above()).
 */
static int revive(struct store *store, const struct commit *c, struct commit_state *s,
		  struct err *err)
{
	struct commit again = { .path = c->path, .flags = RECORD_DIRECTORY, .outbox = c->outbox };
	bool empty;
	int status;

	if (directory_is_empty(store, s->path, &empty, err) < 0)
		return -1;
	if (empty)
		return 0;
	s->known = s->record.version;
	chain_close(&s->chain);
	if (commit_choose(store, &again, s, err) < 0)
		return -1;
	if (s->ahead && (commit_open_history(store, s, err) < 0 ||
			 chain_sync(store, &s->chain, err) < 0))
		return -1;
	if (s->mark.segment != 0 && outbox_wait(c->outbox, s->mark, err) < 0)
		return -1;
	status = directory_set_record(store, s, err);
	return status == 0 ? err_set(err, ERR_EXISTS, "the directory is not empty") : status;
}

/* What the end leaves behind is in history: the live record, or a file that stands no more. */
static int keep_ended(struct store *store, struct commit_state *s, struct err *err)
{
	if (s->now.kind != FOUND_DIRECTORY)
		return commit_set_aside(store, s, err);
	if (version_is_none(s->now.record.version))
		return 0;
	return commit_open_history(store, s, err) < 0
		       ? -1 : place_mark(store, chain_leaf(&s->chain), &s->now.record, err);
}

int commit_end(struct store *store, const struct commit *c, struct commit_state *s,
	       struct err *err)
{
	bool alone = s->how == COMMIT_OWN && c->alone, there, over, file;
	int status;

	if (alone && may_end(store, s, err) < 0)
		return -1;
	if (commit_choose(store, c, s, err) < 0 || buried(store, s, s->marks.end, &there, err) < 0)
		return -1;
	s->newest = version_cmp(s->record.version, s->entry.entry.version) >= 0;
	s->held = s->newest;
	if (there)
		return 0;
	over = version_cmp(s->record.version, s->now.record.version) > 0;
	file = s->now.kind == FOUND_FILE || s->now.kind == FOUND_POINTER;
	status = over && s->now.kind != FOUND_FOREIGN ? keep_ended(store, s, err) : 0;
	if (status != 0)
		return status;
	if (bury(store, c, s, MARK_END, s->marks.end, err) < 0)
		return -1;
	if (over && file)
		return commit_unlink(s, err);
	return alone ? revive(store, c, s, err) : 0;
}
