/*
 * choose - what is known at a path, and a version above all of it
 *
 * The time is the wall clock's, or the one the caller has from several
 * nodes' clocks, and it is above what is in tree/, the marks, the gate, and
 * (when tree/P is gone, perhaps by hand, or a directory) all of history/P; so
 * it is above everything known here.
 *
 * That no (path, version) is issued twice, also after a person removed
 * tree/P or a crash took back what had shown, needs more only when the
 * clock does not decide: a time ahead of the clock is made from what others
 * told or what stood here, and could be made again from the same.  So such
 * a version is first noted in history/P/,issued, durably and before it
 * shows, and the next one is chosen above that, too.  A time from the clock
 * comes again only if the clock is set back, every trace of the version is
 * removed by hand, and the same nanosecond is hit.
 */
#include "inside.h"

#include "clock.h"

static struct version later(struct version a, struct version b)
{
	return version_cmp(a, b) >= 0 ? a : b;
}

int commit_see(struct store *store, struct commit_state *s, struct err *err)
{
	struct version past = VERSION_NONE;

	if (s->parent >= 0 && look_tree(s->parent, s->name, &s->now, err) < 0)
		return -1;
	if (look_marks(store->history, &s->names, &s->marks, err) < 0 ||
	    entry_of(store->history, &s->names, &s->marks, &s->now, STORE_RECORD, &s->entry,
		     err) < 0)
		return -1;
	if ((version_is_none(s->now.record.version) || s->now.kind == FOUND_DIRECTORY) &&
	    look_history(store->history, &s->names, &past, err) < 0)
		return -1;
	s->known = later(later(past, s->now.record.version), later(s->marks.file, s->marks.end));
	return 0;
}

/* A version above all that is known, by the rule above. */
static int choose(struct store *store, const struct commit *c, struct commit_state *s,
		  struct err *err)
{
	uint64_t now = c->clock != 0 ? c->clock : clock_wall_ns(), floor;
	struct version issued, gate;

	if (look_mark(store->history, names_mark(&s->names, MARK_ISSUED), &issued, err) < 0 ||
	    look_mark(store->history, names_mark(&s->names, MARK_GATE), &gate, err) < 0)
		return -1;
	floor = later(later(issued, gate), later(c->above, s->known)).time;
	if (floor == UINT64_MAX)
		return err_set(err, ERR_UNSUPPORTED, "no later version is possible");
	s->ahead = now <= floor;
	s->record.version = (struct version){
		.time = s->ahead ? floor + 1 : now,
		.node = store->node,
	};
	return 0;
}

static int make_record(struct store *store, const struct commit *c, struct commit_state *s,
		       struct err *err)
{
	if (c->pointer != NULL) {
		s->record = *c->pointer;
		return 0;
	}
	s->record = (struct record){
		.version = c->fixed,
		.flags = c->flags,
		.mtime = c->mtime,
		.made = c->made,
	};
	if (c->stage != NULL) {
		s->record.size = stage_size(c->stage);
		memcpy(s->record.sha256, stage_sha256(c->stage), SHA256_BYTES);
	}
	return version_is_none(c->fixed) ? choose(store, c, s, err) : 0;
}

int commit_choose(struct store *store, const struct commit *c, struct commit_state *s,
		  struct err *err)
{
	if (make_record(store, c, s, err) < 0)
		return -1;
	if (c->outbox == NULL)
		return 0;
	return outbox_begin(c->outbox, c->path, s->record.version, &s->mark, err);
}
