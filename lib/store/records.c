/*
 * records - the newest records that one thread has looked up, for whoever asks again
 *
 * To look up a path costs six system calls.  What was found in tree/ is told
 * again for one, which looks at the file's inode, as long as
 *
 *	the path's counters are still, and are those of the reading: no
 *	process of covey has changed anything at the path since, in history/
 *	neither; and
 *
 *	tree/P is the inode that was read, unchanged since: a person may have
 *	replaced it, or written to it.
 *
 * An inode's time of change comes from a clock that ticks every few
 * milliseconds.  So an inode that was changed just before it was read is not
 * remembered: another change within that tick would not show.
 *
 * A path has one place, by its hash, and the last one that was looked up has it.
 */
#include "inside.h"

#include "mem.h"

#include <time.h>
#include <unistd.h>

#define PLACES 8192
#define GATES 64
#define TICK_NS 100000000		/* more than a tick of any kernel's clock */

struct sighting {
	char *path;			/* owned; NULL: nothing is here */
	size_t path_bytes;
	uint64_t hash;
	uint32_t turn;			/* of the counters */
	bool content;			/* it is here */
	struct store_seen seen;		/* in tree/ */
	struct record record;		/* live, of a file without an explicit type */
};

struct gate_sighting {
	char *path;			/* owned, of the directory; NULL: nothing is here */
	size_t path_bytes;
	uint32_t turn;
	struct version gate;
};

struct store_records {
	struct store *store;
	struct sighting places[PLACES];
	struct gate_sighting gates[GATES];
};

static uint64_t ns_of(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;
}

struct store_seen seen_of(const struct stat *st)
{
	return (struct store_seen){ .inode = st->st_ino, .device = st->st_dev,
				    .changed = ns_of(&st->st_ctim) };
}

static bool sighting_is_of(const struct sighting *s, struct str path, uint64_t hash)
{
	return s->path != NULL && s->hash == hash && s->path_bytes == path.n &&
	       memcmp(s->path, path.s, path.n) == 0;
}

/* The inode is there still, and nobody has changed it. */
static bool sighting_stands(const struct store *store, const struct sighting *s)
{
	struct stat st;
	struct store_seen now;

	if (fstatat(store->tree, s->path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	now = seen_of(&st);
	return now.inode == s->seen.inode && now.device == s->seen.device && now.changed == s->seen.changed;
}

/* It is told by its record alone, and a later change of its inode will show. */
static bool may_be_remembered(const struct store_entry *entry)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return entry->seen.inode != 0 && entry->seen.changed + TICK_NS < ns_of(&now) && !entry->foreign &&
	       !entry->directory && entry->type[0] == '\0' && version_is_none(entry->entry.version) &&
	       record_is_live(&entry->record);
}

static void sighting_set(struct sighting *s, struct str path, uint64_t hash, uint32_t turn,
			 const struct store_entry *entry)
{
	if (!sighting_is_of(s, path, hash)) {
		free(s->path);
		s->path = mem_copy(path.s, path.n);
		s->path_bytes = path.n;
		s->hash = hash;
	}
	s->turn = turn;
	s->content = entry->content;
	s->seen = entry->seen;
	s->record = entry->record;
}

int store_records_newest(struct store_records *records, struct str path, struct store_entry *ret,
			 struct err *err)
{
	uint64_t hash = path_hash(path);
	struct sighting *s = &records->places[hash % PLACES];
	uint32_t turn, then;
	bool still = counters_still(records->store, hash, &turn);

	if (still && sighting_is_of(s, path, hash) && s->turn == turn && sighting_stands(records->store, s) &&
	    counters_still(records->store, hash, &then) && then == turn) {
		*ret = (struct store_entry){ .fd = -1, .record = s->record, .content = s->content };
		return 0;
	}
	if (store_newest(records->store, path, STORE_RECORD, ret, err) < 0)
		return -1;
	if (still && may_be_remembered(ret) && counters_still(records->store, hash, &then) && then == turn)
		sighting_set(s, path, hash, turn, ret);
	return 0;
}

/* The whole path is compared: a hash that has no key can be met on purpose. */
static bool gate_is_of(const struct gate_sighting *s, struct str directory)
{
	return s->path != NULL && str_eq((struct str){ s->path, s->path_bytes }, directory);
}

static void gate_set(struct gate_sighting *s, struct str directory, uint32_t turn, struct version gate)
{
	if (!gate_is_of(s, directory)) {
		free(s->path);
		s->path = mem_copy(directory.n > 0 ? directory.s : "", directory.n);
		s->path_bytes = directory.n;
	}
	s->turn = turn;
	s->gate = gate;
}

int store_records_gate(struct store_records *records, struct str directory, struct version *ret,
		       struct err *err)
{
	uint64_t hash = path_hash(directory);
	struct gate_sighting *s = &records->gates[hash % GATES];
	uint32_t turn, then;
	bool still = counters_still(records->store, hash, &turn);

	if (still && gate_is_of(s, directory) && s->turn == turn) {
		*ret = s->gate;
		return 0;
	}
	if (store_gate(records->store, directory, ret, err) < 0)
		return -1;
	if (still && counters_still(records->store, hash, &then) && then == turn)
		gate_set(s, directory, turn, *ret);
	return 0;
}

struct store_records *store_records_new(struct store *store)
{
	struct store_records *records = mem_new(1, sizeof *records);

	records->store = store;
	return records;
}

void store_records_free(struct store_records *records)
{
	if (records == NULL)
		return;
	for (size_t i = 0; i < PLACES; i++)
		free(records->places[i].path);
	for (size_t i = 0; i < GATES; i++)
		free(records->gates[i].path);
	free(records);
}
