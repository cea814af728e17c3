/*
 * lookup - what this node's store has of a path, with a small cache
 *
 * Records that were looked up are told again for one system call as long as
 * they are true (store_records_newest()); those of the last moment for none.  An
 * entry of that cache is valid while the store's change counter of its
 * partition is unchanged, and for LOOKED_MS at most: the counter does not
 * show what a person does to the files by hand.
 */
#include "versiond.h"

#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"

#define REMEMBERED 1024			/* by the path's hash */
#define LOOKED_MS 20
#define WAITS_MAX 8			/* in the pool, for a writer */

struct place {				/* of the cache: a path, and as of when */
	char path[PATH_BYTES];
	size_t n;
	uint64_t until;			/* ms; 0: it is empty */
	uint64_t changes;		/* of its partition, before that */
};

struct remembered {
	struct place place;
	struct home_found found;
};

struct lookups {
	struct remembered *newest;	/* REMEMBERED of them; owned; NULL, as the next: nothing yet */
	struct store_records *records;
	struct {			/* the last one: a page of it asks for one version after the other */
		struct place place;
		struct history all;
	} history;
	uint64_t complain_at;		/* ms */
};

struct lookups *lookup_new(void)
{
	return mem_new(1, sizeof(struct lookups));
}

void lookup_rest(struct lookups *lookups)
{
	history_clear(&lookups->history.all);
	lookups->history.place.until = 0;
	store_records_free(lookups->records);
	lookups->records = NULL;
	free(lookups->newest);
	lookups->newest = NULL;
}

void lookup_free(struct lookups *lookups)
{
	if (lookups != NULL)
		lookup_rest(lookups);
	free(lookups);
}

static bool place_is(const struct place *place, struct str path, uint64_t changes)
{
	return clock_mono_ms() < place->until && place->changes == changes &&
	       str_eq((struct str){ place->path, place->n }, path);
}

/* since: ms, from when on it counts. */
static void place_set(struct place *place, struct str path, uint64_t changes, uint64_t since)
{
	memcpy(place->path, path.s != NULL ? path.s : "", path.n);
	place->n = path.n;
	place->until = since + LOOKED_MS;
	place->changes = changes;
}

static int lookup_history(struct versiond *v, struct str path, struct err *err)
{
	struct lookups *lookups = v->lookups;
	uint64_t changes = store_changes(v->service->store, path_partition(path));

	if (place_is(&lookups->history.place, path, changes))
		return 0;
	lookups->history.place.until = 0;
	history_clear(&lookups->history.all);
	if (store_history(v->service->store, path, &lookups->history.all, err) < 0)
		return -1;
	place_set(&lookups->history.place, path, changes, clock_mono_ms());
	return 0;
}

/* The file's newest that is less than the version. */
static int lookup_below(struct versiond *v, struct str path, struct version version,
			struct home_found *ret, struct err *err)
{
	const struct history *history = &v->lookups->history.all;

	if (lookup_history(v, path, err) < 0)
		return err->kind == ERR_ABSENT ? 0 : -1;
	for (size_t i = 0; i < history->count; i++) {
		const struct history_entry *entry = &history->entries[i];

		if (entry->record.flags & RECORD_DIRECTORY ||
		    version_cmp(entry->record.version, version) >= 0)
			continue;
		ret->record = entry->record;
		ret->content = entry->content;
		snprintf(ret->type, sizeof ret->type, "%s", entry->type != NULL ? entry->type : "");
		break;
	}
	return 0;
}

/* The newest, or this version.  Where a person's file is in the tree there is no answer. */
static int lookup_at(struct versiond *v, struct str path, struct version version,
		     struct home_found *ret, struct err *err)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	bool newest = version_is_none(version);
	int rc;

	if (newest)
		rc = store_records_newest(v->lookups->records, path, &entry, err);
	else
		rc = store_version(v->service->store, path, version, STORE_RECORD, &entry, err);
	if (rc < 0)
		return err->kind == ERR_ABSENT ? 0 : -1;
	ret->record = entry.record;
	memcpy(ret->type, entry.type, sizeof ret->type);
	ret->content = entry.content;
	ret->entry = newest ? entry.entry : ret->entry;
	store_entry_clear(&entry);
	return newest && entry.foreign ? err_set(err, ERR_CONFLICT, "look at %.*s: a person's file stands there",
						 STR_ARG(path)) : 0;
}

static int lookup_entry(struct store *store, struct str path, struct record *ret, struct err *err)
{
	struct store_entry entry = STORE_ENTRY_INIT;

	if (store_newest(store, path, STORE_RECORD, &entry, err) < 0)
		return -1;
	*ret = entry.entry;
	store_entry_clear(&entry);
	return 0;
}

static int lookup_read(struct versiond *v, struct str path, struct version version, bool below,
		       struct home_found *ret)
{
	struct home_found found = { .content = false };
	struct err err = ERR_INIT;
	struct store *store = v->service->store;
	int rc = store_there(store, &err);

	if (v->lookups->records == NULL)
		v->lookups->records = store_records_new(store);
	if (rc == 0)
		rc = store_records_gate(v->lookups->records, path_parent(path), &found.gate, &err);
	if (rc == 0 && !version_is_none(version))
		rc = lookup_entry(store, path, &found.entry, &err);
	if (rc == 0)
		rc = below ? lookup_below(v, path, version, &found, &err) :
			     lookup_at(v, path, version, &found, &err);
	if (rc < 0) {
		uint64_t now = clock_mono_ms();

		if (err.kind != ERR_CONFLICT && now >= v->lookups->complain_at) {
			log_err(LOG_LEVEL_WARNING, &err, "answer no check");
			v->lookups->complain_at = now + COMPLAIN_MS;
		}
		return -1;
	}
	*ret = found;
	return 0;
}

static int lookup_newest(struct versiond *v, struct str path, struct home_found *ret)
{
	uint64_t changes = store_changes(v->service->store, path_partition(path));
	struct remembered *r;

	if (v->lookups->newest == NULL)
		v->lookups->newest = mem_new(REMEMBERED, sizeof *v->lookups->newest);
	r = &v->lookups->newest[path_hash(path) % REMEMBERED];
	if (!place_is(&r->place, path, changes)) {
		uint64_t now = clock_mono_ms();

		r->place.until = 0;
		if (lookup_read(v, path, VERSION_NONE, false, &r->found) < 0)
			return -1;
		place_set(&r->place, path, changes, now);
	}
	*ret = r->found;
	return 0;
}

int lookup_find(void *data, struct str path, struct version version, bool below,
		struct home_found *ret)
{
	struct versiond *v = data;

	if (version_is_none(version))
		return lookup_newest(v, path, ret);
	return lookup_read(v, path, version, below, ret);
}

bool lookup_would_wait(struct versiond *v, struct str path)
{
	struct store *store = v->service->store;

	return store_would_wait(store, path) ||
	       (path.n > 0 && store_would_wait(store, path_parent(path)));
}

static void lookup_await(struct job *job)
{
	struct lookup_wait *w = CONTAINER_OF(job, struct lookup_wait, job);
	struct store *store = w->versiond->service->store;
	struct str parent = path_parent(w->path);

	/* An error shows again when it is looked up. */
	store_await(store, w->path, NULL);
	if (parent.n > 0)
		store_await(store, parent, NULL);
}

static void lookup_awaited(struct job *job)
{
	struct lookup_wait *w = CONTAINER_OF(job, struct lookup_wait, job);
	struct versiond *v = w->versiond;

	lookup_when_unblocked(w);
	versiond_returned(v);
}

void lookup_when_unblocked(struct lookup_wait *w)
{
	struct versiond *v = w->versiond;
	bool blocked = lookup_would_wait(v, w->path);

	if (!blocked || w->in_vain || w->waits++ == WAITS_MAX) {
		w->then(w, !blocked);
		return;
	}
	w->job.key = path_hash(w->path);
	w->job.work = lookup_await;
	w->job.done = lookup_awaited;
	versiond_submit(v, v->pool, &w->job);
}
