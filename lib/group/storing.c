/* storing - having a record kept by its homes, and the directories above it */
#include "storing.h"

#include "check.h"
#include "container.h"
#include "mem.h"
#include "phase.h"

#define SETTLED_MAX 4096		/* directories that are known to be settled, by their hash */

struct settled {
	char *path;			/* owned; NULL: none */
	size_t n;
	struct version entry;
};

enum settle_end {
	SETTLE_DONE,			/* the directory stands for good */
	SETTLE_NEEDLESS,		/* it does not, and nothing stands at the name that wanted it */
	SETTLE_FAILED,
};

/* One who waits for a directory. */
struct settle_wait {
	void (*done)(struct settle_wait *, enum settle_end, struct version entry);
	struct str path;		/* the name in it that wants it; good while it waits */
	bool read;			/* the name is read, since after it came */
	struct settling *settling;	/* NULL: not waiting */
	struct settle_wait *next;
};

/*
 * A directory whose entry is being settled: asked for, stored.  Where it has to
 * be made, a name in it is read first.
 */
struct settling {
	struct settling *next;		/* of the asker's */
	struct asker *asker;
	uint64_t id;
	struct buf path;
	struct version gate;		/* the entry has to be above it */
	struct version known;		/* and above what the name has had */
	uint64_t clock;			/* ns: the time of what is made where nothing was */
	struct check_wait check;
	struct store_wait store;
	struct record entry;
	bool made;			/* here */
	bool told;			/* those who waited; what follows is for made_end() */
	struct settle_wait *waits;
};

/* SETTLED: or nothing is to be settled. */
enum above { ABOVE_UNKNOWN, ABOVE_OPEN, ABOVE_SETTLED, ABOVE_FAILED };

/* A directory that is removed: its gate is stored before its entry ends. */
enum gate { GATE_OPEN, GATE_CLOSING, GATE_CLOSED };

struct storing {
	struct phase phase;
	struct store_wait *wait;	/* NULL: nobody listens any more */
	struct buf path, type;
	struct record record;
	bool told;			/* done() was called once */
	bool kept;			/* a majority had it, by the layout of */
	uint64_t epoch, lineage;
	struct version newest;		/* of the path's file */
	struct version gate;		/* of the directory above */
	enum above above;
	struct settle_wait settle;
	enum gate own_gate;		/* CLOSED: or the record ends no directory */
	struct store_wait closing;	/* of that gate */
};

/* what is known to be settled */

static struct settled *slot_of(const struct asker *asker, struct str directory)
{
	return &asker->settled[path_hash(directory) % SETTLED_MAX];
}

bool storing_is_settled(const struct asker *asker, struct str directory, struct version gate)
{
	const struct settled *settled;

	if (directory.n == 0)
		return true;
	if (asker->settled == NULL)
		return false;
	settled = slot_of(asker, directory);
	return settled->path != NULL && str_eq((struct str){ settled->path, settled->n }, directory) &&
	       version_cmp(settled->entry, gate) > 0;
}

static void remember(struct asker *asker, struct str directory, struct version entry,
		     uint64_t epoch)
{
	struct settled *settled;

	if (epoch != asker->home->layout.epoch || storing_is_settled(asker, directory, entry))
		return;
	if (asker->settled == NULL)
		asker->settled = mem_new(SETTLED_MAX, sizeof *asker->settled);
	settled = slot_of(asker, directory);
	free(settled->path);
	*settled = (struct settled){ .path = mem_copy(directory.s, directory.n),
				     .n = directory.n, .entry = entry };
}

void storing_forget_settled(struct asker *asker)
{
	for (size_t i = 0; asker->settled != NULL && i < SETTLED_MAX; i++)
		free(asker->settled[i].path);
	free(asker->settled);
	asker->settled = NULL;
}

/* settling a directory */

static struct settling *find_settling(struct asker *asker, struct str directory)
{
	struct settling *s = asker->settlings;

	while (s != NULL && (s->told || !str_eq(buf_str(&s->path), directory)))
		s = s->next;
	return s;
}

static void settling_free(struct settling *s)
{
	struct settling **p = &s->asker->settlings;

	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	check_cancel(&s->check);
	storing_cancel(&s->store);
	buf_clear(&s->path);
	free(s);
}

void storing_forget_all(struct asker *asker)
{
	while (asker->settlings != NULL)
		settling_free(asker->settlings);
	storing_forget_settled(asker);
}

static void settle_cancel(struct settle_wait *wait)
{
	struct settle_wait **p;

	if (wait->settling == NULL)
		return;
	for (p = &wait->settling->waits; *p != wait; p = &(*p)->next)
		;
	*p = wait->next;
	wait->settling = NULL;
}

static void settle_tell(struct settle_wait *wait, enum settle_end end, struct version entry)
{
	settle_cancel(wait);
	wait->done(wait, end, entry);
}

static void settling_tell(struct settling *s, enum settle_end end)
{
	s->told = true;
	while (s->waits != NULL)
		settle_tell(s->waits, end, s->entry.version);
}

static void settling_fail(struct settling *s)
{
	settling_tell(s, SETTLE_FAILED);
	settling_free(s);
}

static void entry_stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct settling *s = CONTAINER_OF(wait, struct settling, store);

	if (!s->told && answer->settled)
		remember(s->asker, buf_str(&s->path), s->entry.version, answer->epoch);
	if (!s->told)
		settling_tell(s, answer->settled ? SETTLE_DONE : SETTLE_FAILED);
	if (!answer->last)
		return;
	if (s->made)
		s->asker->made_end(s->asker->data, s->id, answer->all);
	settling_free(s);
}

static void store_entry(struct settling *s, const struct record *entry)
{
	struct store_ask ask = { .path = buf_str(&s->path), .record = *entry };

	s->entry = *entry;
	s->store.done = entry_stored;
	storing_start(s->asker, &s->store, &ask, s->asker->now);
}

void asker_made(struct asker *asker, uint64_t id, const struct record *entry, uint64_t now)
{
	struct settling *s = asker->settlings;

	asker->now = now;
	while (s != NULL && !(s->made && s->id == id))
		s = s->next;
	if (s != NULL && entry != NULL)
		store_entry(s, entry);
	else
		asker->made_end(asker->data, id, false);
	if (s != NULL && entry == NULL)
		settling_fail(s);
}

static struct version later(struct version a, struct version b)
{
	return version_cmp(a, b) > 0 ? a : b;
}

/*
 * Just above what was read: where the directory was made again and removed
 * meanwhile, and a file put in its place, that is above it, whatever the clocks.
 */
static void make_entry(struct settling *s)
{
	struct make_ask make = { .path = buf_str(&s->path), .above = later(s->known, s->gate) };

	make.time = version_is_none(make.above) ? s->clock : make.above.time + 1;
	s->made = true;
	s->asker->make(s->asker->data, s->id, &make);
}

/* One whose name was read; NULL: none waits any longer. */
static struct settle_wait *find_read(const struct settling *s)
{
	struct settle_wait *wait = s->waits;

	while (wait != NULL && !wait->read)
		wait = wait->next;
	return wait;
}

static void read_name(struct settling *);

/*
 * Those who want it for a name at which nothing stands any more want nothing.
 * Who came meanwhile may want it for what the reading has missed.
 */
static void name_read(struct check_wait *check, const struct check_result *result)
{
	struct settling *s = CONTAINER_OF(check, struct settling, check);
	const struct newest_answer *answer = &result->answer;
	struct settle_wait *wait;

	if (answer->standing != STANDING_CONFIRMED) {
		settling_fail(s);
	} else if (record_name_kind(&answer->record, &answer->entry) != NAME_ABSENT) {
		make_entry(s);
	} else {
		while ((wait = find_read(s)) != NULL)
			settle_tell(wait, SETTLE_NEEDLESS, VERSION_NONE);
		read_name(s);
	}
}

/*
 * What is stored may be of long ago: deleted, and its directory removed since,
 * and a file put in its place, which an entry made for it would hide.
 */
static void read_name(struct settling *s)
{
	struct str name;

	if (s->waits == NULL) {
		settling_free(s);
		return;
	}
	name = s->waits->path;
	for (struct settle_wait *wait = s->waits; wait != NULL; wait = wait->next)
		wait->read = str_eq(wait->path, name);
	s->check.done = name_read;
	check_start(s->asker, &s->check, name, CHECK_READ, VERSION_NONE, s->asker->now);
}

static void entry_checked(struct check_wait *wait, const struct check_result *result)
{
	struct settling *s = CONTAINER_OF(wait, struct settling, check);
	const struct newest_answer *answer = &result->answer;

	if (answer->standing != STANDING_CONFIRMED) {
		settling_fail(s);
	} else if (record_is_live(&answer->entry) &&
		   version_cmp(answer->entry.version, s->gate) > 0) {
		store_entry(s, &answer->entry);
	} else {
		s->known = later(answer->entry.version, answer->record.version);
		s->clock = answer->clock;
		read_name(s);
	}
}

/* Those who want the same directory settled want the same entry. */
static void settle(struct asker *asker, struct settle_wait *wait, struct str directory,
		   struct version gate)
{
	struct settling *s = find_settling(asker, directory);

	if (s == NULL) {
		s = mem_new(1, sizeof *s);
		s->asker = asker;
		s->id = asker->random(asker->data);
		buf_addstr(&s->path, directory);
		s->next = asker->settlings;
		asker->settlings = s;
		s->check.done = entry_checked;
		check_start(asker, &s->check, directory, CHECK_WRITE, VERSION_NONE, asker->now);
	}
	s->gate = later(s->gate, gate);
	wait->settling = s;
	wait->read = false;
	wait->next = s->waits;
	s->waits = wait;
}

/* storing */

static struct store_ask ask_of(const struct storing *storing)
{
	return (struct store_ask){ .path = buf_str(&storing->path), .record = storing->record,
				   .type = buf_str(&storing->type) };
}

static uint64_t self_id(const struct storing *storing)
{
	return storing->phase.asker->home->self.id;
}

static void storing_free(struct storing *storing)
{
	if (storing->wait != NULL)
		storing->wait->storing = NULL;
	settle_cancel(&storing->settle);
	storing_cancel(&storing->closing);
	buf_clear(&storing->path);
	buf_clear(&storing->type);
	free(storing);
}

static void note(struct storing *storing, struct version newest, struct version gate)
{
	storing->newest = later(storing->newest, newest);
	storing->gate = later(storing->gate, gate);
}

/* this node */

static int look_up(const struct storing *storing, struct version version, struct home_found *ret)
{
	const struct home *home = storing->phase.asker->home;

	return home->lookup(home->data, buf_str(&storing->path), version, false, ret);
}

/* The record is here. */
static bool kept_here(struct phase *phase)
{
	struct storing *storing = CONTAINER_OF(phase, struct storing, phase);
	struct home_found newest = { .content = false };

	if (look_up(storing, VERSION_NONE, &newest) < 0)
		return false;
	note(storing, newest.record.version, newest.gate);
	return true;
}

static bool is_here(const struct storing *storing)
{
	struct home_found newest = { .content = false }, found = { .content = false };
	struct version version = storing->record.version;

	if (look_up(storing, VERSION_NONE, &newest) < 0)
		return false;
	return version_cmp(newest.record.version, version) == 0 ||
	       version_cmp(newest.entry.version, version) == 0 ||
	       (look_up(storing, version, &found) == 0 &&
		version_cmp(found.record.version, version) == 0);
}

/*
 * Counts as a home that has it, if it does; a home that does not is to keep it.
 * So is one that has a gate: what stands behind that may not be settled above it.
 */
static void ask_self(struct storing *storing)
{
	struct phase *phase = &storing->phase;
	struct store_ask ask = ask_of(storing);
	struct home_found newest = { .content = false };

	if (look_up(storing, VERSION_NONE, &newest) < 0)
		return;
	note(storing, newest.record.version, VERSION_NONE);
	if (phase->asker->home->silent || !quorum_has(&phase->quorum, self_id(storing)))
		return;
	if (!is_here(storing) || path_is_gate(ask.path))
		phase_commit(phase, &ask);
	else if (kept_here(phase))
		quorum_answered(&phase->quorum, self_id(storing));
}

/* the others */

static void question(struct phase *phase, uint64_t epoch, struct buf *packet)
{
	struct store_ask ask = ask_of(CONTAINER_OF(phase, struct storing, phase));

	phase_pack_store(phase, epoch, &ask, packet);
}

static bool answer(struct phase *phase, size_t i, const struct wire *wire, uint64_t now)
{
	struct storing *storing = CONTAINER_OF(phase, struct storing, phase);

	(void)now;
	if (!phase_stored(phase, i, wire))
		return false;
	note(storing, wire->stored.newest, wire->stored.gate);
	return true;
}

/* the course */

/* So that the first done() may say so. */
static bool is_settled(const struct storing *storing)
{
	return storing->kept && storing->above == ABOVE_SETTLED;
}

/* Nobody else is to be asked when a majority has it: what is above is waited for, to the end. */
static uint64_t look_again_at(const struct storing *storing, uint64_t now)
{
	const struct phase *phase = &storing->phase;
	bool above = storing->kept || quorum_reached(&phase->quorum);

	if (above && storing->above == ABOVE_OPEN)
		return phase_until(phase) > now && !quorum_all(&phase->quorum) ?
			       phase_next(phase, now) : phase->deadline;
	if ((!storing->told && above) || quorum_all(&phase->quorum))
		return now;
	return phase_next(phase, now);
}

static const struct phase_kind storing_kind;

static void close_gate(struct storing *storing, uint64_t now);

static void begin(struct storing *storing, struct asker *asker, uint64_t now)
{
	struct phase *phase = &storing->phase;
	const struct layout *layout = &asker->home->layout;

	storing->lineage = layout->lineage;
	phase_begin(phase, asker, &storing_kind, asker->store_ms, now);
	phase->little = asker->store_ms / 4;	/* it is more than a word: a disk has to move */
	quorum_add(&phase->quorum, layout, path_partition(buf_str(&storing->path)));
	if (storing->own_gate != GATE_CLOSED) {
		close_gate(storing, now);
		return;
	}
	ask_self(storing);
	phase_add_homes(phase);
	phase_ask(phase, now);
	phase_set_due(phase, look_again_at(storing, now));
}

static void tell(struct storing *storing, bool last)
{
	const struct phase *phase = &storing->phase;
	bool settled = is_settled(storing);
	struct store_answer result = { .settled = settled,
				       .all = settled && quorum_all(&phase->quorum),
				       .last = last,
				       .newest = storing->newest,
				       .epoch = settled ? storing->epoch : phase->epoch };
	struct store_wait *wait = storing->wait;

	storing->told = true;
	if (wait == NULL)
		return;
	quorum_tell(&phase->quorum, &result.counts.homes_answered, &result.counts.homes);
	result.counts.peers = (uint32_t)asker_peers(phase->asker);
	if (last) {
		wait->storing = NULL;
		storing->wait = NULL;
	}
	wait->done(wait, &result);
}

static bool finish(struct storing *storing, uint64_t now)
{
	phase_end(&storing->phase, now);
	tell(storing, true);
	storing_free(storing);
	return true;
}

static void gate_stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct storing *storing = CONTAINER_OF(wait, struct storing, closing);
	struct asker *asker = storing->phase.asker;

	storing_cancel(wait);
	if (!answer->settled) {
		finish(storing, asker->now);
		return;
	}
	storing->own_gate = GATE_CLOSED;
	begin(storing, asker, asker->now);
}

/* Until then nobody is asked to keep the end. */
static void close_gate(struct storing *storing, uint64_t now)
{
	struct phase *phase = &storing->phase;
	struct store_ask gate = { .record = { .version = storing->record.version,
					      .flags = RECORD_DELETED } };
	struct buf path = BUF_INIT;

	phase_set_due(phase, phase->deadline);
	if (storing->own_gate == GATE_CLOSING)
		return;
	storing->own_gate = GATE_CLOSING;
	storing->closing.done = gate_stored;
	path_to_gate(&path, buf_str(&storing->path));
	gate.path = buf_str(&path);
	storing_start(phase->asker, &storing->closing, &gate, now);
	buf_clear(&path);
}

static bool step(struct phase *phase, uint64_t now);

static void above_settled(struct settle_wait *wait, enum settle_end end, struct version entry)
{
	struct storing *storing = CONTAINER_OF(wait, struct storing, settle);

	if (end == SETTLE_FAILED)
		storing->above = ABOVE_FAILED;
	else if (end == SETTLE_NEEDLESS || version_cmp(entry, storing->gate) > 0)
		storing->above = ABOVE_SETTLED;
	else	/* the gate was told after others had begun to settle it */
		storing->above = ABOVE_UNKNOWN;
	step(&storing->phase, storing->phase.asker->now);
}

static void judge_above(struct storing *storing)
{
	struct asker *asker = storing->phase.asker;
	struct str directory = path_parent(buf_str(&storing->path));

	if (!record_is_live(&storing->record) ||
	    storing_is_settled(asker, directory, storing->gate)) {
		storing->above = ABOVE_SETTLED;
		return;
	}
	storing->above = ABOVE_OPEN;
	storing->settle.done = above_settled;
	storing->settle.path = buf_str(&storing->path);
	settle(asker, &storing->settle, directory, storing->gate);
}

static bool step(struct phase *phase, uint64_t now)
{
	struct storing *storing = CONTAINER_OF(phase, struct storing, phase);
	bool told = storing->told, nobody = phase_until(phase) <= now;

	if (storing->own_gate == GATE_CLOSING && phase->deadline > now) {
		phase_set_due(phase, phase->deadline);
		return false;
	}
	if (!storing->kept && quorum_reached(&phase->quorum)) {
		storing->kept = true;
		storing->epoch = phase->epoch;
	}
	if (storing->kept && storing->above == ABOVE_UNKNOWN)
		judge_above(storing);
	if (storing->above == ABOVE_OPEN ? phase->deadline <= now :
	    storing->above == ABOVE_FAILED || quorum_all(&phase->quorum) || nobody)
		return finish(storing, now);
	if (is_settled(storing) && !storing->told)
		tell(storing, false);
	phase_set_due(phase, look_again_at(storing, now));
	return !told && storing->told;
}

static enum gate gate_of(const struct record *record)
{
	return record->flags & RECORD_DIRECTORY && !record_is_live(record) ? GATE_OPEN : GATE_CLOSED;
}

/* What homes of another lineage keep says nothing of this one's. */
static void restart(struct phase *phase, uint64_t now)
{
	struct storing *storing = CONTAINER_OF(phase, struct storing, phase);

	if (storing->lineage != phase->asker->home->layout.lineage) {
		settle_cancel(&storing->settle);
		storing_cancel(&storing->closing);
		storing->own_gate = gate_of(&storing->record);
		storing->kept = false;
		storing->above = ABOVE_UNKNOWN;
		storing->newest = storing->gate = VERSION_NONE;
	}
	begin(storing, phase->asker, now);
}

static void forget(struct phase *phase)
{
	phase_end(phase, phase->sent);
	storing_free(CONTAINER_OF(phase, struct storing, phase));
}

static const struct phase_kind storing_kind = { .question = question,
						.answer = answer,
						.kept = kept_here,
						.step = step,
						.restart = restart,
						.forget = forget,
						.pace = 3 };

void storing_start(struct asker *asker, struct store_wait *wait, const struct store_ask *ask,
		   uint64_t now)
{
	struct storing *storing = mem_new(1, sizeof *storing);

	buf_addstr(&storing->path, ask->path);
	buf_addstr(&storing->type, ask->type);
	storing->record = ask->record;
	storing->own_gate = gate_of(&ask->record);
	storing->wait = wait;
	if (wait != NULL)
		wait->storing = storing;
	asker->now = now;
	begin(storing, asker, now);
}

void storing_cancel(struct store_wait *wait)
{
	if (wait->storing != NULL)
		wait->storing->wait = NULL;
	wait->storing = NULL;
}
