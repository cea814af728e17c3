/*
 * gate - the version at which somebody last began to remove a directory
 *
 * A link in the directory's own history names it, under the lock of the
 * directory's name: so it is chosen above all that is known of the name, and
 * what is chosen there later is above it.
 */
#include "inside.h"

struct record gate_record(struct version v)
{
	return (struct record){ .version = v, .flags = RECORD_DELETED };
}

struct question {
	struct store *store;
	struct str path;	/* of the directory */
	struct version gate;
};

/* A gate is never just left out: whoever changes it makes others wait. */
static int look_gate(void *data, const struct doubt *doubt, struct err *err)
{
	struct question *q = data;
	struct names names;

	(void)doubt;
	names_set(&names, q->path);
	return look_mark(q->store->history, names_mark(&names, MARK_GATE), &q->gate, err);
}

static void clear_answer(void *data)
{
	((struct question *)data)->gate = VERSION_NONE;
}

int store_gate(struct store *store, struct str directory, struct version *ret, struct err *err)
{
	struct question q = { .store = store, .path = directory };

	if (path_check(directory, err) < 0 ||
	    (directory.n > 0 &&
	     look_durably(store, directory, look_gate, clear_answer, &q, err) < 0))
		return err_context(err, "look up the gate of %s", shown(directory).text);
	*ret = q.gate;
	return 0;
}

int newest_gate(struct store *store, struct str path, struct store_entry *ret, struct err *err)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct version v;

	if (store_gate(store, path_parent(path), &v, err) < 0)
		return -1;
	if (!version_is_none(v))
		entry.record = gate_record(v);
	*ret = entry;
	return 0;
}

int commit_gate(struct store *store, const struct commit *c, struct commit_state *s,
		struct err *err)
{
	struct version gate;

	if (look_mark(store->history, names_mark(&s->names, MARK_GATE), &gate, err) < 0 ||
	    commit_choose(store, c, s, err) < 0)
		return -1;
	if (!version_is_none(gate))
		s->before = gate_record(gate);
	s->newest = version_cmp(s->record.version, gate) >= 0;
	if (version_cmp(s->record.version, gate) <= 0)
		return 0;
	if (commit_open_history(store, s, err) < 0 || commit_reveal(store, c, s, err) < 0 ||
	    commit_mark(s, MARK_GATE, s->record.version, err) < 0)
		return -1;
	return chain_sync(store, &s->chain, err);
}
