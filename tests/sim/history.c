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
	bool list;			/* of versions: rows of it are elsewhere */
	uint64_t began, ended;		/* in steps */
	uint64_t lineage;		/* of the group that confirmed it; 0: of one of two */
	struct version version;
};

struct listed {				/* one row of a list of versions */
	size_t deed;
	struct version version;
};

struct absence {			/* no such directory, says an answer */
	int machine, directory;
	uint64_t began, ended, lineage;
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
	struct listed *rows;
	size_t row_count, row_room;
	struct absence *absences;
	size_t absence_count, absence_room;
	uint64_t moved[MACHINES];	/* when it went over to another group last */
	uint64_t brought;		/* when an end had still to be, from another group */
	uint64_t clock;
} history;

static uint64_t next_step(void)
{
	return ++history.clock;
}

/*
 * What another group confirmed is, to this one, what somebody may store at any time.  Who goes over
 * while it asks is answered by one of two, and it is not known by which.
 */
static uint64_t lineage_at(int machine, uint64_t began)
{
	return began >= history.moved[machine] ? sim.machines[machine].home.layout.lineage : 0;
}

/* Groups that were forced apart promise each other nothing, so two answers of unknown groups neither. */
static bool is_one_group(uint64_t lineage, uint64_t other)
{
	return lineage != 0 && lineage == other;
}

void history_moved(int machine)
{
	history.moved[machine] = next_step();
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

uint64_t history_now(void)
{
	return next_step();
}

void history_told(int machine, int path, uint64_t began, struct version version)
{
	size_t deed = history_begin(machine, path, false);

	history.deeds[deed].began = began;
	history_confirmed(deed, version);
}

void history_row(size_t deed, struct version version)
{
	if (history.row_count == history.row_room) {
		history.row_room = history.row_room * 2 + 256;
		history.rows = mem_resize(history.rows, history.row_room, sizeof *history.rows);
	}
	history.rows[history.row_count++] = (struct listed){ deed, version };
}

void history_listed_all(size_t deed)
{
	history.deeds[deed].list = true;
	history.deeds[deed].lineage = lineage_at(history.deeds[deed].machine, history.deeds[deed].began);
	history.deeds[deed].ended = next_step();
}

void history_brought(void)
{
	history.brought = next_step();
}

/*
 * What a node that came over knows of a directory's end it may tell as a home
 * before it has brought that end to this group.  Of groups that merge it is
 * promised only that what is acknowledged is in a directory again when all
 * that they know is brought.
 */
static bool may_be_of_another_group(uint64_t began)
{
	for (int m = 0; m < sim.profile.machines; m++)
		if (disk_brings_end(&sim.machines[m].disk))
			return true;
	return began <= history.brought;
}

void history_absent(int machine, int directory, uint64_t began)
{
	if (may_be_of_another_group(began))
		return;
	if (history.absence_count == history.absence_room) {
		history.absence_room = history.absence_room * 2 + 64;
		history.absences = mem_resize(history.absences, history.absence_room,
					      sizeof *history.absences);
	}
	history.absences[history.absence_count++] =
		(struct absence){ machine, directory, began, next_step(), lineage_at(machine, began) };
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
	d->lineage = lineage_at(d->machine, d->began);
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
	history.count = history.row_count = history.absence_count = 0;
	history.clock = history.brought = 0;
	memset(history.moved, 0, sizeof history.moved);
}

struct version history_highest(int path, uint64_t lineage)
{
	struct version highest = VERSION_NONE;

	for (size_t i = 0; i < history.count; i++) {
		const struct deed *d = &history.deeds[i];

		if (d->confirmed && d->path == path && version_cmp(d->version, highest) > 0 &&
		    (lineage == 0 || d->lineage == lineage))
			highest = d->version;
	}
	return highest;
}

void history_count(struct totals *totals)
{
	for (size_t i = 0; i < history.count; i++) {
		const struct deed *d = &history.deeds[i];

		if (d->list)
			totals->lists++;
		else if (!d->confirmed)
			totals->unconfirmed++;
		else if (d->write)
			totals->writes++;
		else
			totals->reads++;
	}
	totals->lists += history.absence_count;
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

static void judge_reads(uint64_t lineage)
{
	for (size_t i = 0; i < history.count; i++) {
		const struct deed *read = &history.deeds[i];
		struct deed *write;
		char text[VERSION_TEXT];

		if (read->write || !read->confirmed || read->lineage != lineage ||
		    version_is_none(read->version))
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

/* A list has what was confirmed, or listed, before it was asked for. */
static bool is_listed(size_t list, struct version version)
{
	for (size_t i = 0; i < history.row_count; i++)
		if (history.rows[i].deed == list &&
		    version_cmp(history.rows[i].version, version) == 0)
			return true;
	return false;
}

static void must_be_listed(size_t list, struct version version, const char *how)
{
	char text[VERSION_TEXT];

	if (!version_is_none(version) && !is_listed(list, version))
		fail("invariant 8: %d lists path %d without %s, which was %s before",
		     history.deeds[list].machine, history.deeds[list].path,
		     version_format(text, version), how);
}

static void judge_list(size_t list)
{
	const struct deed *l = &history.deeds[list];

	for (size_t i = 0; i < history.count; i++)
		if (history.deeds[i].confirmed && history.deeds[i].path == l->path &&
		    is_one_group(history.deeds[i].lineage, l->lineage) &&
		    history.deeds[i].ended < l->began)
			must_be_listed(list, history.deeds[i].version, "confirmed");
	for (size_t i = 0; i < history.row_count; i++) {
		const struct deed *other = &history.deeds[history.rows[i].deed];

		if (other->list && other->path == l->path &&
		    is_one_group(other->lineage, l->lineage) && other->ended < l->began)
			must_be_listed(list, history.rows[i].version, "listed");
	}
}

static void judge_lists(void)
{
	for (size_t i = 0; i < history.count && sim.failures == 0; i++)
		if (history.deeds[i].list)
			judge_list(i);
}

static struct fact *find(int path, struct version version);

/* Somebody began to delete the path, above this version, by then. */
static bool was_deleted(int path, struct version version, uint64_t by)
{
	for (size_t i = 0; i < history.count; i++) {
		const struct deed *d = &history.deeds[i];
		const struct fact *fact;

		if (!d->write || d->path != path || d->began > by || version_cmp(d->version, version) <= 0)
			continue;
		fact = find(path, d->version);
		if (fact != NULL && fact->record.flags & RECORD_DELETED)
			return true;
	}
	return false;
}

/* Where a directory does not stand, nothing stands below it whose writer was told that it does. */
static void judge_absence(const struct absence *absence, int path)
{
	struct version floor = VERSION_NONE;
	const struct fact *fact;
	char text[VERSION_TEXT];

	for (size_t i = 0; i < history.count; i++) {
		const struct deed *d = &history.deeds[i];

		if (d->write && d->confirmed && d->path == path && d->ended < absence->began &&
		    is_one_group(d->lineage, absence->lineage) &&
		    version_cmp(d->version, floor) > 0)
			floor = d->version;
	}
	fact = find(path, floor);
	if (fact != NULL && record_is_live(&fact->record) &&
	    !was_deleted(path, floor, absence->ended))
		fail("invariant 8: %d was told that directory %d does not stand, after %s of path %d "
		     "below it was acknowledged", absence->machine, absence->directory,
		     version_format(text, floor), path);
}

static void judge_absences(void)
{
	for (size_t i = 0; i < history.absence_count && sim.failures == 0; i++)
		for (int p = 0; p < GATE_PATH; p++)
			if (is_below(p, history.absences[i].directory))
				judge_absence(&history.absences[i], p);
}

/* The confirmed ones of one group, and whatever else they have seen. */
static void judge_order(uint64_t lineage)
{
	struct moment *moments = mem_new(2 * history.count + 1, sizeof *moments);
	struct version floor[PATHS] = { VERSION_NONE };
	size_t count = 0;

	for (size_t i = 0; i < history.count; i++)
		history.deeds[i].seen = false;
	judge_reads(lineage);
	for (size_t i = 0; i < history.count; i++) {
		const struct deed *d = &history.deeds[i];
		bool confirmed = d->confirmed && d->lineage == lineage;

		if (!confirmed && !d->seen)
			continue;
		moments[count++] = (struct moment){ d->began, false, d };
		if (confirmed)
			moments[count++] = (struct moment){ d->ended, true, d };
	}
	qsort(moments, count, sizeof *moments, by_time);
	for (size_t i = 0; i < count && sim.failures == 0; i++)
		judge_moment(&moments[i], floor);
	free(moments);
}

void history_judge(void)
{
	for (size_t i = 0; i < sim.decided_count && sim.failures == 0; i++) {
		bool first = true;

		for (size_t k = 0; k < i; k++)
			first = first && sim.decided[k].lineage != sim.decided[i].lineage;
		if (first)
			judge_order(sim.decided[i].lineage);
	}
	judge_lists();
	judge_absences();
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

/* Not what a machine alone had before its disk was put back to what it was. */
static bool is_anywhere(int path, struct version version)
{
	bool found = false;

	for (int i = 0; i < sim.profile.machines && !found; i++)
		found = disk_find(&sim.machines[i].disk, path, version) != NULL;
	return found;
}

/* A node and its copy number a directory alike, just above what both have read of it. */
static bool is_of_both(const struct fact *fact, const struct record *record)
{
	return sim.profile.clones && record->flags & RECORD_DIRECTORY &&
	       record_eq(&fact->record, record);
}

void fact_chosen(int machine, int path, const struct record *record)
{
	struct fact *fact = find(path, record->version);

	(void)machine;
	if (fact != NULL && fact->durable && is_of_both(fact, record))
		return;
	MUST("2 (never issued twice)",
	     fact == NULL || !fact->durable || !is_anywhere(path, record->version));
	if (fact != NULL) {		/* lost before anybody heard of it */
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
		struct version confirmed = history_highest(p, layout->lineage);
		struct layout_order homes;
		size_t know = 0;

		layout_homes(layout, LAYOUT_A, path_partition(sim_paths[p]), &homes);
		for (size_t i = 0; i < homes.count; i++) {
			const struct machine *machine = machine_of(homes.ids[i]);
			const struct kept *newest =
				machine != NULL ? disk_newest(&machine->disk, p) : NULL;

			/* who has lost its disk knew, and does not count any more */
			know += machine == NULL || machine->put_back || version_is_none(confirmed) ||
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
	struct version confirmed = history_highest(path, 0);
	const struct kept *newest = disk_newest(&machine->disk, path);

	if (!version_is_none(confirmed))
		MUST("14 (homes know what was confirmed)",
		     newest != NULL && version_cmp(newest->record.version, confirmed) >= 0);
	for (size_t i = 0; i < history.fact_count; i++) {
		const struct fact *fact = &history.facts[i];

		if (fact->path == path && fact->durable && sim.lost == 0)
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
	bool here = sim.lost == 0 || (fact->copies & (fact->copies - 1)) == 0;

	for (int m = 0; m < sim.profile.machines && !here; m++) {
		const struct kept *kept = disk_find(&sim.machines[m].disk, fact->path,
						    fact->record.version);

		here = kept != NULL && kept->content;
	}
	MUST("7 (survives the loss of any one node)", here);
}

static bool is_replaced(const struct fact *fact)
{
	for (size_t i = 0; i < history.fact_count; i++)
		if (history.facts[i].path == fact->path && history.facts[i].durable &&
		    version_cmp(history.facts[i].record.version, fact->record.version) > 0)
			return true;
	return false;
}

/* Of what is there, and was confirmed, the directories above are at all their homes. */
static void judge_above(const struct fact *fact)
{
	struct str above = path_parent(sim_paths[fact->path]);
	int path = path_index(above, NULL);

	if (above.n == 0 || !record_is_live(&fact->record) || is_replaced(fact))
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

/* The numbers are those that were wished last, or by a wish that may take effect at any time. */
void judge_wishes(void)
{
	uint64_t ended = 0;

	for (size_t i = 0; i < sim.wish_count; i++)
		if (sim.wishes[i].keep == sim.newest.keep_versions)
			ended = sim.wishes[i].ended;
	for (size_t i = 0; i < sim.wish_count; i++)
		if (sim.wishes[i].ended != NEVER && sim.wishes[i].began > ended)
			fail("layout set: keep.versions=%u, which was done, is %u again",
			     sim.wishes[i].keep, sim.newest.keep_versions);
}

void judge_end(void)
{
	const struct layout *layout = &sim.newest;

	for (int m = 0; m < sim.profile.machines; m++) {
		const struct machine *machine = &sim.machines[m];

		MUST("14 (outboxes are empty)", machine->disk.outbox_count == 0);
		judge_keepers(machine);
		for (int p = 0; p < GATE_PATH; p++)
			if (is_home(layout, p, machine->disk.id))
				judge_home(machine, p);
	}
	judge_deeds();
}

void history_free(void)
{
	free(history.deeds);
	free(history.facts);
	free(history.rows);
	free(history.absences);
	memset(&history, 0, sizeof history);
}
