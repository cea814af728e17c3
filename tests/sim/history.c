/*
 * history - what happened, and whether it may have
 *
 * Versions of a path are totally ordered and no two writes make the same, so
 * a history of confirmed operations is linearizable if and only if
 *
 *	(a) what a read returned was written, by a write that began before the
 *	    read ended
 *	(b) no operation returned or made a version less than one that an
 *	    operation had, which ended before it began; and a write made a
 *	    greater one
 *
 * where a write that nobody confirmed counts, with an open end, if a read
 * returned its version, and otherwise not at all: order the operations by
 * version, the write first, then the reads as they began.  That is one
 * sweep over beginnings and ends.
 */
#include "sim.h"

#include "mem.h"

#include <inttypes.h>

struct deed {
	int machine, path;
	bool write, confirmed, seen;	/* seen: a read returned it */
	uint64_t began, ended;		/* in steps */
	struct version version;
};

struct fact {				/* one version that was made */
	int path;
	struct record record;
	bool durable, content;		/* ever, anywhere */
	uint32_t copies;		/* bit i: on the i'th machine's disk, at some time */
};

static struct {
	struct deed *deeds;
	size_t count, room;
	struct fact *facts;
	size_t fact_count, fact_room;
	uint64_t clock;
} history;

static uint64_t next_step(void)
{
	return ++history.clock;
}

size_t history_begin(int machine, int path, bool write)
{
	if (history.count == history.room) {
		history.room = history.room * 2 + 256;
		history.deeds = mem_resize(history.deeds, history.room, sizeof *history.deeds);
	}
	history.deeds[history.count] = (struct deed){ .machine = machine, .path = path,
						      .write = write, .began = next_step(),
						      .ended = NEVER };
	return history.count++;
}

void history_was_read(size_t deed)
{
	history.deeds[deed].write = false;
}

void history_version(size_t deed, struct version version)
{
	history.deeds[deed].version = version;
}

void history_confirmed(size_t deed, struct version version)
{
	struct deed *d = &history.deeds[deed];
	char text[VERSION_TEXT];

	if (d->ended != NEVER)
		return;
	d->version = version;
	d->confirmed = true;
	d->ended = next_step();
	say("%d: %s of %d confirmed: %s", d->machine, d->write ? "write" : "read", d->path,
	    version_is_none(version) ? "nothing" : version_format(text, version));
}

void history_unknown(size_t deed)
{
	say("%d: %s of %d is over, not confirmed", history.deeds[deed].machine,
	    history.deeds[deed].write ? "write" : "read", history.deeds[deed].path);
}

void history_clear(void)
{
	history.count = 0;
	history.clock = 0;
}

struct version history_highest(int path)
{
	struct version highest = VERSION_NONE;

	for (size_t i = 0; i < history.count; i++) {
		const struct deed *d = &history.deeds[i];

		if (d->confirmed && d->path == path && version_cmp(d->version, highest) > 0)
			highest = d->version;
	}
	return highest;
}

void history_count(struct totals *totals)
{
	for (size_t i = 0; i < history.count; i++) {
		const struct deed *d = &history.deeds[i];

		if (!d->confirmed)
			totals->unconfirmed++;
		else if (d->write)
			totals->writes++;
		else
			totals->reads++;
	}
}

/* linearizability */

static struct deed *write_of(int path, struct version version)
{
	for (size_t i = 0; i < history.count; i++) {
		struct deed *d = &history.deeds[i];

		if (d->write && d->path == path && version_cmp(d->version, version) == 0)
			return d;
	}
	return NULL;
}

static void judge_reads(void)
{
	for (size_t i = 0; i < history.count; i++) {
		const struct deed *read = &history.deeds[i];
		struct deed *write;
		char text[VERSION_TEXT];

		if (read->write || !read->confirmed || version_is_none(read->version))
			continue;
		write = write_of(read->path, read->version);
		if (write == NULL || write->began > read->ended)
			fail("invariant 8: %d read %s of path %d, which nobody had written",
			     read->machine, version_format(text, read->version), read->path);
		else
			write->seen = true;
	}
}

struct moment {
	uint64_t at;
	bool end;
	const struct deed *deed;
};

static int by_time(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static void judge_moment(const struct moment *moment, struct version *floor)
{
	const struct deed *d = moment->deed;
	int cmp = version_cmp(d->version, floor[d->path]);
	char text[VERSION_TEXT], other[VERSION_TEXT];

	if (moment->end) {
		if (cmp > 0)
			floor[d->path] = d->version;
	} else if (cmp < 0 || (cmp == 0 && d->write)) {
		fail("invariant 8: %d %s %s of path %d after %s was confirmed", d->machine,
		     d->write ? "wrote" : "read",
		     version_is_none(d->version) ? "nothing" : version_format(text, d->version),
		     d->path, version_format(other, floor[d->path]));
	}
}

void history_judge(void)
{
	struct moment *moments = mem_new(2 * history.count + 1, sizeof *moments);
	struct version floor[PATHS] = { VERSION_NONE };
	size_t count = 0;

	judge_reads();
	for (size_t i = 0; i < history.count; i++) {
		const struct deed *d = &history.deeds[i];

		if (!d->confirmed && !d->seen)
			continue;
		moments[count++] = (struct moment){ d->began, false, d };
		if (d->confirmed)
			moments[count++] = (struct moment){ d->ended, true, d };
	}
	qsort(moments, count, sizeof *moments, by_time);
	for (size_t i = 0; i < count && sim.failures == 0; i++)
		judge_moment(&moments[i], floor);
	free(moments);
}

/* facts */

static struct fact *find(int path, struct version version)
{
	for (size_t i = history.fact_count; i-- > 0;)
		if (history.facts[i].path == path &&
		    version_cmp(history.facts[i].record.version, version) == 0)
			return &history.facts[i];
	return NULL;
}

void fact_chosen(int machine, int path, const struct record *record)
{
	struct fact *fact = find(path, record->version);

	(void)machine;
	MUST("2 (never issued twice)", fact == NULL || !fact->durable);
	if (fact != NULL) {		/* lost with a crash before anybody heard of it */
		*fact = (struct fact){ .path = path, .record = *record };
		return;
	}
	if (history.fact_count == history.fact_room) {
		history.fact_room = history.fact_room * 2 + 256;
		history.facts = mem_resize(history.facts, history.fact_room, sizeof *history.facts);
	}
	history.facts[history.fact_count++] = (struct fact){ .path = path, .record = *record };
}

void fact_kept(int machine, int path, const struct record *record, bool content)
{
	struct fact *fact = find(path, record->version);

	if (fact == NULL) {
		fail("invariant 1: a record is kept that nobody made");
		return;
	}
	MUST("1", record_eq(&fact->record, record));
	fact->durable = true;
	fact->content = fact->content || content;
	if (content)
		fact->copies |= 1u << machine;
}

bool fact_is_durable(int path, const struct record *record, bool content)
{
	const struct fact *fact = find(path, record->version);

	return fact != NULL && (content ? fact->content : fact->durable);
}

unsigned fact_copies(int path, const struct record *record)
{
	const struct fact *fact = find(path, record->version);
	unsigned count = 0;

	for (uint32_t bits = fact != NULL ? fact->copies : 0; bits != 0; bits &= bits - 1)
		count++;
	return count;
}

void facts_clear(void)
{
	history.fact_count = 0;
}

/* A majority of its homes knows whatever was confirmed before. */
void judge_single(const struct layout *layout)
{
	for (int p = 0; p < PATHS; p++) {
		struct version confirmed = history_highest(p);
		struct layout_order homes;
		size_t know = 0;

		layout_homes(layout, LAYOUT_A, path_partition(sim_paths[p]), &homes);
		for (size_t i = 0; i < homes.count; i++) {
			const struct machine *machine = machine_of(homes.ids[i]);
			const struct kept *newest =
				machine != NULL ? disk_newest(&machine->disk, p) : NULL;

			/* who has lost its disk knew, and does not count any more */
			know += machine == NULL || machine->silent || version_is_none(confirmed) ||
				(newest != NULL &&
				 version_cmp(newest->record.version, confirmed) >= 0);
		}
		MUST("6", know > homes.count / 2);
	}
}

/* when all is quiet */

static bool is_home(const struct layout *layout, int path, uint64_t id)
{
	struct layout_order homes;

	layout_homes(layout, LAYOUT_A, path_partition(sim_paths[path]), &homes);
	for (size_t i = 0; i < homes.count; i++)
		if (homes.ids[i] == id)
			return true;
	return false;
}

static void judge_home(const struct machine *machine, int path)
{
	struct version confirmed = history_highest(path);
	const struct kept *newest = disk_newest(&machine->disk, path);

	if (!version_is_none(confirmed))
		MUST("14 (homes know what was confirmed)",
		     newest != NULL && version_cmp(newest->record.version, confirmed) >= 0);
	for (size_t i = 0; i < history.fact_count; i++) {
		const struct fact *fact = &history.facts[i];

		if (fact->path == path && fact->durable && !sim.wiped)
			MUST("14 (homes have the same records)",
			     disk_find(&machine->disk, path, fact->record.version) != NULL);
	}
}

/* Whatever content there is is with its keepers. */
static void judge_keepers(const struct machine *machine)
{
	const struct layout *layout = &sim.newest;

	for (size_t i = 0; i < machine->disk.kept_count; i++) {
		const struct kept *kept = &machine->disk.kept[i];
		struct layout_order keepers;

		layout_keepers(layout, sim_paths[kept->path], &keepers);
		for (size_t k = 0; kept->content && k < layout_copies(layout); k++) {
			const struct machine *keeper = machine_of(keepers.ids[k]);
			const struct kept *there =
				keeper == NULL ? NULL : disk_find(&keeper->disk, kept->path,
								  kept->record.version);

			MUST("14 (keepers have their contents)", there != NULL && there->content);
		}
	}
}

/* What was on two disks, ever, is on one yet: at most one was lost. */
static void judge_content(const struct fact *fact)
{
	bool here = !sim.wiped || (fact->copies & (fact->copies - 1)) == 0;

	for (int m = 0; m < sim.profile.machines && !here; m++) {
		const struct kept *kept = disk_find(&sim.machines[m].disk, fact->path,
						    fact->record.version);

		here = kept != NULL && kept->content;
	}
	MUST("7 (survives the loss of any one node)", here);
}

/* Of what is there, and was confirmed, the directories above are at all their homes. */
static void judge_above(const struct fact *fact)
{
	struct str above = path_parent(sim_paths[fact->path]);
	int path = path_index(above);

	if (above.n == 0 || !record_is_live(&fact->record))
		return;
	for (int m = 0; m < sim.profile.machines; m++) {
		const struct machine *machine = &sim.machines[m];
		const struct kept *entry = disk_newest(&machine->disk, path);

		if (is_home(&sim.newest, path, machine->disk.id))
			MUST("8 (what is there is in a directory)",
			     entry != NULL && record_is_live(&entry->record));
	}
}

static void judge_deeds(void)
{
	for (size_t i = 0; i < history.count; i++) {
		const struct deed *d = &history.deeds[i];
		const struct fact *fact;

		if (!d->write || !d->confirmed)
			continue;
		fact = find(d->path, d->version);
		MUST("7", fact != NULL && fact->durable);
		if (fact != NULL)
			judge_above(fact);
		if (fact != NULL && record_has_content(&fact->record))
			judge_content(fact);
	}
}

void judge_end(void)
{
	const struct layout *layout = &sim.newest;

	for (int m = 0; m < sim.profile.machines; m++) {
		const struct machine *machine = &sim.machines[m];

		MUST("14 (outboxes are empty)", machine->disk.outbox_count == 0);
		judge_keepers(machine);
		for (int p = 0; p < PATHS; p++)
			if (is_home(layout, p, machine->disk.id))
				judge_home(machine, p);
	}
	judge_deeds();
}

void history_free(void)
{
	free(history.deeds);
	free(history.facts);
	memset(&history, 0, sizeof history);
}
