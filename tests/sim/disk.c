/* disk - what survives a crash, and what is being written */
#include "sim.h"

#include "mem.h"
#include "synod.h"

const struct str sim_paths[PATHS] = { { "a", 1 },  { "d/b", 3 }, { "d/c", 3 }, { "e/f/c", 5 },
				      { "d", 1 },  { "d", 1 },  { "e", 1 },	 { "e/f", 3 },
				      { "d/", 2 }, { "e/", 2 },	 { "e/f/", 4 } };

int path_index(struct str path, const struct record *record)
{
	int found = 0;

	for (int i = 0; i < PATHS; i++)
		if (str_eq(path, sim_paths[i]))
			found = i;
	if (found == KIND_DIRECTORY && record != NULL && !(record->flags & RECORD_DIRECTORY))
		return KIND_FILE;
	return found;
}

const struct kept *disk_find(const struct disk *disk, int path, struct version version)
{
	for (size_t i = 0; i < disk->kept_count; i++)
		if (disk->kept[i].path == path &&
		    version_cmp(disk->kept[i].record.version, version) == 0)
			return &disk->kept[i];
	return NULL;
}

/* The newest that is less than `limit`; none: of all. */
static const struct kept *newest_below(const struct disk *disk, int path, struct version limit)
{
	const struct kept *newest = NULL;

	for (size_t i = 0; i < disk->kept_count; i++) {
		const struct kept *kept = &disk->kept[i];

		if (kept->path != path ||
		    (!version_is_none(limit) && version_cmp(kept->record.version, limit) >= 0))
			continue;
		if (newest == NULL || version_cmp(kept->record.version, newest->record.version) > 0)
			newest = kept;
	}
	return newest;
}

const struct kept *disk_newest(const struct disk *disk, int path)
{
	return newest_below(disk, path, VERSION_NONE);
}

static bool is_directory(int path)
{
	return path >= DIRECTORY_PATH && path < GATE_PATH;
}

/* The file's register of the name whose directory's this may be; -1: there is none. */
static int file_of(int path)
{
	if (path == KIND_DIRECTORY)
		return KIND_FILE;
	return is_directory(path) ? -1 : path;
}

static const struct kept *look(const struct disk *disk, int path, struct version version, bool less)
{
	const struct kept *kept;
	int file = file_of(path);

	if (less || version_is_none(version))
		return file < 0 ? NULL : newest_below(disk, file, version);
	kept = file < 0 ? NULL : disk_find(disk, file, version);
	return kept != NULL ? kept : disk_find(disk, path, version);
}

int disk_lookup(void *data, struct str path, struct version version, bool less,
		struct home_found *ret)
{
	struct machine *machine = data;
	const struct disk *disk = &machine->disk;
	const struct kept *kept;
	int p = path_index(path, NULL);

	if (machine->cannot_tell)
		return -1;
	kept = look(disk, p, version, less);
	*ret = (struct home_found){ .content = false };
	if (is_directory(p) && disk_newest(disk, p) != NULL)
		ret->entry = disk_newest(disk, p)->record;
	if (path_above(p) != ROOT && disk_newest(disk, gate_of(path_above(p))) != NULL)
		ret->gate = disk_newest(disk, gate_of(path_above(p)))->record.version;
	if (kept == NULL)
		return 0;
	ret->record = kept->record;
	ret->content = kept->content;
	return 0;
}

/* File, directory and gate have one lock, and no two of their versions are alike. */
static int name_of(int path)
{
	if (path >= GATE_PATH)
		return path - GATE_PATH + DIRECTORY_PATH;
	return path == KIND_FILE ? KIND_DIRECTORY : path;
}

struct version disk_above_other(const struct disk *disk, int path, struct version version)
{
	for (int other = 0; other < PATHS; other++) {
		const struct kept *newest =
			name_of(other) == name_of(path) ? disk_newest(disk, other) : NULL;

		if (newest != NULL && version_cmp(newest->record.version, version) > 0)
			version = newest->record.version;
	}
	return version;
}

void disk_keep(struct machine *machine, int path, const struct record *record, bool content)
{
	struct disk *disk = &machine->disk;
	struct kept *kept = NULL;

	char text[VERSION_TEXT];

	say("%d: keeps %d %s", machine->index, path, version_format(text, record->version));
	fact_kept(machine->index, path, record, content);
	for (size_t i = 0; i < disk->kept_count && kept == NULL; i++)
		if (disk->kept[i].path == path &&
		    version_cmp(disk->kept[i].record.version, record->version) == 0)
			kept = &disk->kept[i];
	if (kept == NULL) {
		disk->kept = mem_resize(disk->kept, disk->kept_count + 1, sizeof *disk->kept);
		kept = &disk->kept[disk->kept_count++];
		*kept = (struct kept){ .path = path, .record = *record };
	}
	MUST("1", record_eq(&kept->record, record));
	kept->content = kept->content || content;
}

void disk_wipe(struct disk *disk)
{
	free(disk->kept);
	free(disk->outbox);
	free(disk->promises);
	members_clear(&disk->members);
	*disk = (struct disk){ .ended_at = -1, .layout = LAYOUT_NONE };
}

static struct entry *outbox_add(struct disk *disk, int path, struct version version);

void disk_copy(const struct disk *from, struct disk *to)
{
	disk_wipe(to);
	to->id = from->id;
	to->start = from->start;
	to->layout = from->layout;
	to->kept_count = from->kept_count;
	to->kept = mem_new(from->kept_count + 1, sizeof *to->kept);
	if (from->kept_count > 0)
		memcpy(to->kept, from->kept, from->kept_count * sizeof *to->kept);
	to->starts = from->starts;
	to->sequence = from->sequence;
	to->ended_at = from->ended_at;
	to->forgot = from->forgot;
	for (size_t i = 0; i < from->outbox_count; i++)
		*outbox_add(to, from->outbox[i].path, from->outbox[i].version) = from->outbox[i];
	to->promise_count = from->promise_count;
	to->promises = mem_new(from->promise_count + 1, sizeof *to->promises);
	if (from->promise_count > 0)
		memcpy(to->promises, from->promises, from->promise_count * sizeof *to->promises);
	for (size_t i = 0; i < from->members.count; i++)
		members_add(&to->members, &from->members.list[i]);
	to->members.self = from->members.self;
}

static struct entry *outbox_add(struct disk *disk, int path, struct version version)
{
	disk->outbox = mem_resize(disk->outbox, disk->outbox_count + 1, sizeof *disk->outbox);
	disk->outbox[disk->outbox_count] = (struct entry){ .path = path, .version = version };
	return &disk->outbox[disk->outbox_count++];
}

void outbox_remove(struct disk *disk, int path, struct version version)
{
	for (size_t i = 0; i < disk->outbox_count; i++) {
		struct entry *entry = &disk->outbox[i];

		if (entry->path == path && version_cmp(entry->version, version) == 0) {
			if (disk_brings_end(disk))
				history_brought();
			*entry = disk->outbox[--disk->outbox_count];
			return;
		}
	}
}

void disk_owe_all(struct disk *disk)
{
	for (size_t i = 0; i < disk->outbox_count; i++)
		disk->outbox[i].brought = true;
	for (size_t i = 0; i < disk->kept_count; i++)
		if (disk->kept[i].path < GATE_PATH)
			outbox_add(disk, disk->kept[i].path, disk->kept[i].record.version)->brought = true;
}

bool disk_brings_end(const struct disk *disk)
{
	for (size_t i = 0; i < disk->outbox_count; i++) {
		const struct entry *entry = &disk->outbox[i];

		if (entry->brought && is_directory(entry->path) &&
		    !record_is_live(&disk_find(disk, entry->path, entry->version)->record))
			return true;
	}
	return false;
}

struct synod_promise *disk_promise(struct disk *disk, uint64_t lineage)
{
	for (size_t i = 0; i < disk->promise_count; i++)
		if (disk->promises[i].lineage == lineage)
			return &disk->promises[i];
	disk->promises = mem_resize(disk->promises, disk->promise_count + 1, sizeof *disk->promises);
	disk->promises[disk->promise_count] = SYNOD_PROMISE_NONE;
	disk->promises[disk->promise_count].lineage = lineage;
	return &disk->promises[disk->promise_count++];
}

/* writing: one at a time per path, under its lock */

struct writing *new_writing(int path, const struct record *record, bool content)
{
	struct writing *writing = new_event(sizeof *writing);

	writing->path = path;
	writing->content = content;
	if (record != NULL)
		writing->record = *record;
	return writing;
}

static void make_durable(struct machine *machine, const struct writing *writing)
{
	if (writing->outbox)
		outbox_add(&machine->disk, writing->path, writing->record.version);
	disk_keep(machine, writing->path, &writing->record, writing->content);
}

static void written(struct event *event)
{
	struct writing *writing = (struct writing *)event;
	struct machine *machine = &sim.machines[event->machine];

	machine->locked[name_of(writing->path)] = false;
	make_durable(machine, writing);
	writing->done(writing);
}

/* The machine crashes while it writes: on disk or not, nobody can know. */
static void maybe_written(struct event *event)
{
	struct writing *writing = (struct writing *)event;

	if (!version_is_none(writing->record.version) && chance(50))
		make_durable(&sim.machines[event->machine], writing);
}

static uint64_t disk_time(void)
{
	uint64_t ms = sim.calm ? 0 : below(sim.profile.disk + 1);

	return !sim.calm && below(25) == 0 ? ms + below(sim.profile.disk_far + 1) : ms;
}

static void was_there(struct event *event)
{
	struct writing *writing = (struct writing *)event;

	writing->done(writing);
}

static bool is_there(const struct disk *disk, const struct writing *writing)
{
	const struct kept *kept = disk_find(disk, writing->path, writing->record.version);

	return writing->choose == NULL && kept != NULL && (kept->content || !writing->content);
}

static void had_the_lock(struct event *event)
{
	struct writing *writing = (struct writing *)event, *copy = new_event(sizeof *copy);

	*copy = *writing;
	if (sim.machines[event->machine].locked[name_of(writing->path)]) {	/* it was stopped meanwhile */
		schedule(&copy->event, 1, event->machine, had_the_lock);
		return;
	}
	if (is_there(&sim.machines[event->machine].disk, writing) ||
	    (writing->refused != NULL && writing->refused(writing))) {
		schedule(&copy->event, 0, event->machine, was_there);
		return;
	}
	sim.machines[event->machine].locked[name_of(writing->path)] = true;
	if (copy->choose != NULL)
		copy->choose(copy);
	copy->event.lost = maybe_written;
	schedule(&copy->event, copy->takes, event->machine, written);
}

/* The lock is given in the order in which it was asked for; what is there already needs none. */
void disk_write(struct machine *machine, struct writing *writing)
{
	uint64_t *free_at = &machine->free_at[name_of(writing->path)];
	uint64_t begin = *free_at > sim.now ? *free_at : sim.now;

	if (is_there(&machine->disk, writing)) {
		schedule(&writing->event, 0, machine->index, was_there);
		return;
	}
	writing->takes = 1 + disk_time();
	*free_at = begin + writing->takes + 1;
	schedule(&writing->event, begin - sim.now, machine->index, had_the_lock);
}
