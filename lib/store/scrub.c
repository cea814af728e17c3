/*
 * scrub - is what was stored still what it was?
 *
 * The store is walked as one tree of paths, each before those below it, the
 * names of a directory in the order of their bytes.  So the path that was
 * reached last says what is still to be done, whatever came and went since.
 *
 * Nothing is locked while contents are read; a copy that seems bad is
 * judged again under its path's lock (scrub_copy.c).
 */
#include "inside.h"

#include "fs.h"
#include "mem.h"

#include <unistd.h>

#define ALIGNMENT 4096

static void failed(struct scrubbing *s, struct str path, struct err *err)
{
	err_context(err, "scrub %s", shown(path).text);
	s->scrub->failed_count++;
	s->scrub->failed(s->scrub->data, path, err);
}

/* What one name stands for, unless it is this one; 0, or the one that was dealt with. */
static ino_t scrub_name(struct scrubbing *s, struct str path, bool in_tree, const char *name,
			ino_t but)
{
	struct found found = FOUND_INIT;
	struct err err = ERR_INIT;
	ino_t inode = 0;
	int status = in_tree ? look_tree(s->store->tree, name, &found, &err)
			     : look(s->store->history, name, &found, &err);

	if (status == 0 && found.kind == FOUND_FILE && found.st.st_ino != but) {
		status = scrub_copy(s, path, in_tree, &found, &err);
		inode = status == 0 ? found.st.st_ino : 0;
	}
	if (status < 0)
		failed(s, path, &err);
	found_clear(&found);
	return inode;
}

static int add_version(void *data, const char *name)
{
	struct version v;

	if (version_of_name(name, &v) == 0)
		buf_add(data, &v, sizeof v);
	return 0;
}

static void scrub_path(struct scrubbing *s, struct str path, struct names *names)
{
	struct buf versions = BUF_INIT;
	struct err err = ERR_INIT;
	ino_t in_tree;

	s->stopped = !s->scrub->go_on(s->scrub->data, 0);
	if (s->stopped)
		return;
	in_tree = scrub_name(s, path, true, names->tree, 0);
	if (look_names(s->store->history, names_history(names), add_version, &versions, &err) < 0)
		failed(s, path, &err);
	for (size_t at = 0; at < versions.len && !s->stopped; at += sizeof(struct version)) {
		struct version v;

		memcpy(&v, versions.data + at, sizeof v);
		scrub_name(s, path, false, names_version(names, v), in_tree);
	}
	buf_clear(&versions);
	if (!s->stopped && s->scrub->reached != NULL)
		s->scrub->reached(s->scrub->data, path);
}

static void walk(struct scrubbing *s, struct str path, const struct str *after);

/* after: the name that was reached here, and the path below it; or NULL. */
static void walk_below(struct scrubbing *s, struct str path, const struct children *children,
		       const struct str *after)
{
	struct str rest = after != NULL ? *after : (struct str)STR_INIT, first = STR_INIT;
	struct buf below = BUF_INIT;

	str_cut(&rest, '/', &first);
	for (size_t i = 0; i < children->count && !s->stopped; i++) {
		struct str name = str_of(children->names[i]);
		int order = after != NULL ? str_cmp(name, first) : 1;

		if (order < 0)
			continue;
		buf_reset(&below);
		path_join(&below, path, name);
		if (path_check(buf_str(&below), NULL) == 0)
			walk(s, buf_str(&below), order == 0 ? &rest : NULL);
	}
	buf_clear(&below);
}

/* after: NULL, or the path itself was done, and below it what comes before this. */
static void walk(struct scrubbing *s, struct str path, const struct str *after)
{
	struct names *names = mem_new(1, sizeof *names);
	struct children children = CHILDREN_INIT;
	struct err err = ERR_INIT;

	names_set(names, path);
	if (after == NULL)
		scrub_path(s, path, names);
	if (!s->stopped && children_read(s->store, names, &children, &err) < 0)
		failed(s, path, &err);
	free(names);
	walk_below(s, path, &children, after != NULL && after->n > 0 ? after : NULL);
	children_clear(&children);
}

static void start(struct store *store, struct str path, const struct str *after,
		  struct scrub *scrub)
{
	struct scrubbing s = { .store = store, .scrub = scrub };
	char *room = mem_new(SCRUB_BYTES + ALIGNMENT, 1);

	s.bytes = room + (ALIGNMENT - (uintptr_t)room % ALIGNMENT);
	walk(&s, path, after);
	scrub->stopped = s.stopped;
	free(room);
	if (atomic_load(&store->released))
		disk_fill_reserve(store);
}

int store_scrub_from(struct store *store, struct str after, struct scrub *scrub, struct err *err)
{
	if (path_check(after, err) < 0)
		return -1;
	start(store, (struct str)STR_INIT, &after, scrub);
	return 0;
}

int store_scrub(struct store *store, struct str path, struct scrub *scrub, struct err *err)
{
	struct found found = FOUND_INIT;
	struct names names;
	int fd, status;

	if (names_init(&names, path, err) < 0)
		return -1;
	status = look_tree(store->tree, names.tree, &found, err);
	fd = fs_open(store->history, names_history(&names), O_RDONLY | O_DIRECTORY, 0);
	if (status == 0 && found.kind == FOUND_NOTHING && fd < 0)
		status = err_set(err, ERR_ABSENT, "nothing is there");
	found_clear(&found);
	if (fd >= 0)
		close(fd);
	if (status < 0)
		return err_context(err, "scrub %s", shown(path).text);
	start(store, path, NULL, scrub);
	return 0;
}
