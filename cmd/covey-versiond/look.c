/* look - what this node's store has */
#include "versiond.h"

#include "log.h"
#include "mem.h"

/* The newest that is less than the version. */
static int look_below(struct versiond *v, struct str path, struct version version,
		      struct home_found *ret, struct err *err)
{
	struct history history = HISTORY_INIT;

	if (store_history(v->service->store, path, &history, err) < 0)
		return err->kind == ERR_ABSENT ? 0 : -1;
	for (size_t i = 0; i < history.count; i++) {
		const struct history_entry *entry = &history.entries[i];

		if (version_cmp(entry->record.version, version) >= 0)
			continue;
		ret->record = entry->record;
		ret->content = entry->content;
		snprintf(ret->type, sizeof ret->type, "%s", entry->type != NULL ? entry->type : "");
		break;
	}
	history_clear(&history);
	return 0;
}

/* The newest, or this one; a path where a person's file stands is nobody's to tell of. */
static int look_at(struct versiond *v, struct str path, struct version version,
		   struct home_found *ret, struct err *err)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	bool newest = version_is_none(version), foreign;
	int rc;

	if (newest)
		rc = store_newest(v->service->store, path, STORE_RECORD, &entry, err);
	else
		rc = store_version(v->service->store, path, version, STORE_RECORD, &entry, err);
	if (rc < 0)
		return err->kind == ERR_ABSENT ? 0 : -1;
	foreign = newest && entry.foreign;
	ret->record = entry.record;
	memcpy(ret->type, entry.type, sizeof ret->type);
	ret->content = entry.content;
	ret->directory = entry.directory;
	ret->file = newest && record_is_live(&entry.record) &&
		    !(entry.record.flags & RECORD_DIRECTORY);
	store_entry_clear(&entry);
	return foreign ? err_set(err, ERR_CONFLICT, "look at %.*s: a person's file stands there",
				 STR_ARG(path)) : 0;
}

/* Remembered, for it is asked with every look-up and changes seldom. */
static int look_known(struct versiond *v, struct str path, bool *ret, struct err *err)
{
	struct str parent = path_parent(path);
	size_t at = path_hash(parent) % KNOWN_MAX;
	uint64_t changes = store_changes(v->service->store, path_partition_of_directory(parent));
	bool known = true;

	if (parent.n == 0) {
		*ret = true;
		return 0;
	}
	if (v->known[at].filled && v->known[at].changes == changes &&
	    str_eq((struct str){ v->known[at].path, v->known[at].n }, parent)) {
		*ret = v->known[at].known;
		return 0;
	}
	if (store_directory_known(v->service->store, path, &known, err) < 0)
		return -1;
	memcpy(v->known[at].path, parent.s, parent.n);
	v->known[at].n = parent.n;
	v->known[at].filled = true;
	v->known[at].known = known;
	v->known[at].changes = changes;
	*ret = known;
	return 0;
}

int look_up(void *data, struct str path, struct version version, bool below,
	    struct home_found *ret)
{
	struct versiond *v = data;
	struct home_found found = { .content = false };
	struct err err = ERR_INIT;
	int rc;

	rc = below ? look_below(v, path, version, &found, &err) :
		     look_at(v, path, version, &found, &err);
	if (rc == 0)
		rc = look_known(v, path, &found.known, &err);
	if (rc < 0) {
		if (err.kind != ERR_CONFLICT)
			log_err(LOG_LEVEL_WARNING, &err, "no answer to a check");
		return -1;
	}
	*ret = found;
	return 0;
}

bool look_is_still(struct versiond *v, struct str path)
{
	struct store *store = v->service->store;

	return store_is_still(store, path) && (path.n == 0 || store_is_still(store, path_parent(path)));
}

void look_wait(struct versiond *v, struct str path)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	bool known;

	/* What they tell does not matter: it is looked up again when they return. */
	if (store_newest(v->service->store, path, STORE_RECORD, &entry, NULL) == 0)
		store_entry_clear(&entry);
	if (path.n > 0)
		store_directory_known(v->service->store, path, &known, NULL);
}
