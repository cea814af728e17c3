/* storing - having a record kept by its homes, and the directories above it */
#include "storing.h"

#include "check.h"
#include "container.h"
#include "mem.h"
#include "phase.h"

#define KNOWN_PARENTS_MAX 4096		/* directories that are known to stand, by their hash */

struct known_parent {
	char *path;			/* owned; NULL: none */
	size_t n;
	struct version entry;
};

enum parent_end {
	PARENT_STANDS,			/* the directory stands for good */
	PARENT_NEEDLESS,		/* it does not, and nothing stands at the name that wanted it */
	PARENT_FAILED,
};

/* One who waits for a directory. */
struct parent_wait {
	void (*done)(struct parent_wait *, enum parent_end, struct version entry);
	struct str path;		/* the name in it that wants it; good while it waits */
	bool read;			/* the name is read, since after it came */
	struct link link;		/* in the parent's waits */
};

/*
 * The directory above a name that is stored: its entry is asked for, then stored.
 * Where it has to be made, a name in it is read first.
 */
struct parent {
	struct link link;		/* in the asker's parents */
	struct asker *asker;
	uint64_t id;
	struct buf path;
	struct version gate;		/* the entry has to be above it */
	struct version floor;		/* and above what the name has had */
	uint64_t clock;			/* ns: the time of what is made where nothing was */
	struct check_wait check;
	struct store_wait store;
	struct record entry;
	bool made;			/* here */
	bool told;			/* those who waited; what follows is for made_end() */
	struct list waits;		/* struct parent_wait */
};

/* READY: it stands, or none is needed. */
enum parent_state { PARENT_UNKNOWN, PARENT_PENDING, PARENT_READY, PARENT_LOST };

/* A directory that is removed: its gate is stored before its entry ends. */
enum gate { GATE_OPEN, GATE_CLOSING, GATE_CLOSED };

struct storing {
	struct phase phase;
	struct store_wait *wait;	/* NULL: nobody listens any more */
	struct buf path, type;
	struct record record;
	bool anew;			/* as in struct store_ask */
	bool told;			/* done() was called once */
	bool kept;			/* a majority had it, by the layout of */
	uint64_t epoch, lineage;
	struct version newest;		/* of the path's file */
	struct version gate;		/* of the directory above */
	enum parent_state parent_state;
	struct parent_wait parent_wait;
	enum gate own_gate;		/* CLOSED: or the record ends no directory */
	struct store_wait closing;	/* of that gate */
};

/* directories that are known to stand */

static struct known_parent *known_parent_slot(const struct asker *asker, struct str directory)
{
	return &asker->known_parents[path_hash(directory) % KNOWN_PARENTS_MAX];
}

bool storing_parent_known(const struct asker *asker, struct str directory, struct version gate)
{
	const struct known_parent *known;

	if (directory.n == 0)
		return true;
	if (asker->known_parents == NULL)
		return false;
	known = known_parent_slot(asker, directory);
	return known->path != NULL && str_eq((struct str){ known->path, known->n }, directory) &&
	       version_cmp(known->entry, gate) > 0;
}

static void known_parent_add(struct asker *asker, struct str directory, struct version entry,
			     uint64_t epoch)
{
	struct known_parent *known;

	if (epoch != asker->home->layout.epoch || storing_parent_known(asker, directory, entry))
		return;
	if (asker->known_parents == NULL)
		asker->known_parents = mem_new(KNOWN_PARENTS_MAX, sizeof *asker->known_parents);
	known = known_parent_slot(asker, directory);
	free(known->path);
	*known = (struct known_parent){ .path = mem_copy(directory.s, directory.n),
					.n = directory.n, .entry = entry };
}

void storing_forget_parents(struct asker *asker)
{
	for (size_t i = 0; asker->known_parents != NULL && i < KNOWN_PARENTS_MAX; i++)
		free(asker->known_parents[i].path);
	free(asker->known_parents);
	asker->known_parents = NULL;
}

/* the directory above */

static struct parent *parent_find(struct asker *asker, struct str directory)
{
	LIST_EACH(struct parent, parent, &asker->parents, link)
		if (!parent->told && str_eq(buf_str(&parent->path), directory))
			return parent;
	return NULL;
}

static void parent_free(struct parent *parent)
{
	list_remove(&parent->link);
	check_cancel(&parent->check);
	storing_cancel(&parent->store);
	buf_clear(&parent->path);
	free(parent);
}

void storing_forget_all(struct asker *asker)
{
	LIST_EACH(struct parent, parent, &asker->parents, link)
		parent_free(parent);
	storing_forget_parents(asker);
}

static void parent_wait_end(struct parent_wait *wait, enum parent_end end, struct version entry)
{
	list_remove(&wait->link);
	wait->done(wait, end, entry);
}

static void parent_tell(struct parent *parent, enum parent_end end)
{
	struct parent_wait *wait;

	parent->told = true;
	while ((wait = LIST_FIRST(struct parent_wait, &parent->waits, link)) != NULL)
		parent_wait_end(wait, end, parent->entry.version);
}

static void parent_fail(struct parent *parent)
{
	parent_tell(parent, PARENT_FAILED);
	parent_free(parent);
}

static void parent_stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct parent *parent = CONTAINER_OF(wait, struct parent, store);

	if (!parent->told && answer->confirmed)
		known_parent_add(parent->asker, buf_str(&parent->path), parent->entry.version, answer->epoch);
	if (!parent->told)
		parent_tell(parent, answer->confirmed ? PARENT_STANDS : PARENT_FAILED);
	if (!answer->last)
		return;
	if (parent->made)
		parent->asker->made_end(parent->asker->data, parent->id, answer->all);
	parent_free(parent);
}

static void parent_store(struct parent *parent, const struct record *entry)
{
	struct store_ask ask = { .path = buf_str(&parent->path), .record = *entry };

	parent->entry = *entry;
	parent->store.done = parent_stored;
	storing_start(parent->asker, &parent->store, &ask, parent->asker->now);
}

void asker_made(struct asker *asker, uint64_t id, const struct record *entry, uint64_t now)
{
	struct parent *parent = LIST_FIRST(struct parent, &asker->parents, link);

	asker->now = now;
	while (parent != NULL && !(parent->made && parent->id == id))
		parent = LIST_NEXT(struct parent, parent, link);
	if (parent != NULL && entry != NULL)
		parent_store(parent, entry);
	else
		asker->made_end(asker->data, id, false);
	if (parent != NULL && entry == NULL)
		parent_fail(parent);
}

/*
 * Just above what was read: where the directory was made again and removed
 * meanwhile, and a file put in its place, that is above it, whatever the clocks.
 */
static void parent_make(struct parent *parent)
{
	struct make_ask make = { .path = buf_str(&parent->path),
				 .above = version_later(parent->floor, parent->gate) };

	make.time = version_is_none(make.above) ? parent->clock : make.above.time + 1;
	parent->made = true;
	parent->asker->make(parent->asker->data, parent->id, &make);
}

/* One whose name was read; NULL: none waits any longer. */
static struct parent_wait *parent_find_read(const struct parent *parent)
{
	LIST_EACH(struct parent_wait, wait, &parent->waits, link)
		if (wait->read)
			return wait;
	return NULL;
}

static void parent_read_name(struct parent *);

/*
 * Those who want it for a name at which nothing stands any more want nothing.
 * Who came meanwhile may want it for what the reading has missed.
 */
static void parent_name_read(struct check_wait *check, const struct check_result *result)
{
	struct parent *parent = CONTAINER_OF(check, struct parent, check);
	const struct newest_answer *answer = &result->answer;
	struct parent_wait *wait;

	if (answer->certainty != CERTAINTY_CONFIRMED) {
		parent_fail(parent);
	} else if (record_name_kind(&answer->record, &answer->entry) != NAME_ABSENT) {
		parent_make(parent);
	} else {
		while ((wait = parent_find_read(parent)) != NULL)
			parent_wait_end(wait, PARENT_NEEDLESS, VERSION_NONE);
		parent_read_name(parent);
	}
}

/*
 * What is stored may be of long ago: deleted, and its directory removed since,
 * and a file put in its place, which an entry made for it would hide.
 */
static void parent_read_name(struct parent *parent)
{
	const struct parent_wait *first = LIST_FIRST(struct parent_wait, &parent->waits, link);

	if (first == NULL) {
		parent_free(parent);
		return;
	}
	LIST_EACH(struct parent_wait, wait, &parent->waits, link)
		wait->read = str_eq(wait->path, first->path);
	parent->check.done = parent_name_read;
	check_start(parent->asker, &parent->check, first->path, CHECK_READ, VERSION_NONE,
		    parent->asker->now);
}

static void parent_checked(struct check_wait *wait, const struct check_result *result)
{
	struct parent *parent = CONTAINER_OF(wait, struct parent, check);
	const struct newest_answer *answer = &result->answer;

	if (answer->certainty != CERTAINTY_CONFIRMED) {
		parent_fail(parent);
	} else if (record_is_live(&answer->entry) &&
		   version_cmp(answer->entry.version, parent->gate) > 0) {
		parent_store(parent, &answer->entry);
	} else {
		parent->floor = version_later(answer->entry.version, answer->record.version);
		parent->clock = answer->clock;
		parent_read_name(parent);
	}
}

/* All who need the same directory need the same entry. */
static void parent_require(struct asker *asker, struct parent_wait *wait, struct str directory,
			   struct version gate)
{
	struct parent *parent = parent_find(asker, directory);

	if (parent == NULL) {
		parent = mem_new(1, sizeof *parent);
		parent->asker = asker;
		parent->id = asker->random(asker->data);
		buf_addstr(&parent->path, directory);
		list_prepend(&asker->parents, &parent->link);
		parent->check.done = parent_checked;
		check_start(asker, &parent->check, directory, CHECK_WRITE, VERSION_NONE, asker->now);
	}
	parent->gate = version_later(parent->gate, gate);
	wait->read = false;
	list_prepend(&parent->waits, &wait->link);
}

/* a record that is stored */

static struct store_ask storing_ask(const struct storing *storing)
{
	return (struct store_ask){ .path = buf_str(&storing->path), .record = storing->record,
				   .type = buf_str(&storing->type) };
}

static uint64_t storing_self(const struct storing *storing)
{
	return storing->phase.asker->home->self.id;
}

static void storing_free(struct storing *storing)
{
	if (storing->wait != NULL)
		storing->wait->storing = NULL;
	list_remove(&storing->parent_wait.link);
	storing_cancel(&storing->closing);
	buf_clear(&storing->path);
	buf_clear(&storing->type);
	free(storing);
}

static void storing_note(struct storing *storing, struct version newest, struct version gate)
{
	storing->newest = version_later(storing->newest, newest);
	storing->gate = version_later(storing->gate, gate);
}

/* this node */

static int storing_look_up(const struct storing *storing, struct version version,
			   struct home_found *ret)
{
	const struct home *home = storing->phase.asker->home;

	return home->lookup(home->data, buf_str(&storing->path), version, false, ret);
}

/* The record is here. */
static bool storing_is_kept_here(struct phase *phase)
{
	struct storing *storing = CONTAINER_OF(phase, struct storing, phase);
	struct home_found newest = { .content = false };

	if (storing_look_up(storing, VERSION_NONE, &newest) < 0)
		return false;
	storing_note(storing, newest.record.version, newest.gate);
	return true;
}

static bool storing_is_here(const struct storing *storing)
{
	struct home_found newest = { .content = false }, found = { .content = false };
	struct version version = storing->record.version;

	if (storing_look_up(storing, VERSION_NONE, &newest) < 0)
		return false;
	return version_cmp(newest.record.version, version) == 0 ||
	       version_cmp(newest.entry.version, version) == 0 ||
	       (storing_look_up(storing, version, &found) == 0 &&
		version_cmp(found.record.version, version) == 0);
}

/*
 * Counts as a home that has it, if it does; a home that does not is to keep it.
 * A home that has a gate keeps it again: what stands behind it may not be above it.
 */
static void storing_ask_self(struct storing *storing)
{
	struct phase *phase = &storing->phase;
	struct store_ask ask = storing_ask(storing);
	struct home_found newest = { .content = false };

	if (storing_look_up(storing, VERSION_NONE, &newest) < 0)
		return;
	storing_note(storing, newest.record.version, VERSION_NONE);
	if (phase->asker->home->silent || !quorum_has(&phase->quorum, storing_self(storing)))
		return;
	if (!storing_is_here(storing) || path_is_gate(ask.path))
		phase_commit(phase, &ask);
	else if (storing_is_kept_here(phase))
		quorum_answered(&phase->quorum, storing_self(storing));
}

/* the others */

static void storing_question(struct phase *phase, uint64_t epoch, struct buf *packet)
{
	struct store_ask ask = storing_ask(CONTAINER_OF(phase, struct storing, phase));

	phase_pack_store(phase, epoch, &ask, packet);
}

static bool storing_answered(struct phase *phase, size_t i, const struct wire *wire, uint64_t now)
{
	struct storing *storing = CONTAINER_OF(phase, struct storing, phase);

	(void)now;
	if (!phase_stored(phase, i, wire))
		return false;
	storing_note(storing, wire->stored.newest, wire->stored.gate);
	return true;
}

/* its steps */

/* The first done() may say so. */
static bool storing_is_confirmed(const struct storing *storing)
{
	return storing->kept && storing->parent_state == PARENT_READY;
}

/* Once a majority has it nobody else is asked: the parent is waited for, to the end. */
static uint64_t storing_due(const struct storing *storing, uint64_t now)
{
	const struct phase *phase = &storing->phase;
	bool majority = storing->kept || quorum_reached(&phase->quorum);

	if (majority && storing->parent_state == PARENT_PENDING)
		return phase_until(phase) > now && !quorum_all(&phase->quorum) ?
			       phase_next(phase, now) : phase->deadline;
	if ((!storing->told && majority) || quorum_all(&phase->quorum))
		return now;
	return phase_next(phase, now);
}

static const struct phase_kind storing_kind;

static void storing_close_gate(struct storing *storing, uint64_t now);

static void storing_begin(struct storing *storing, struct asker *asker, uint64_t now)
{
	struct phase *phase = &storing->phase;
	const struct layout *layout = &asker->home->layout;

	storing->lineage = layout->lineage;
	phase_begin(phase, asker, &storing_kind, asker->store_ms, now);
	phase->short_wait = asker->store_ms / 4;	/* it is more than a word: a disk has to move */
	quorum_add(&phase->quorum, layout, path_partition(buf_str(&storing->path)));
	if (storing->own_gate != GATE_CLOSED) {
		storing_close_gate(storing, now);
		return;
	}
	storing_ask_self(storing);
	phase_add_homes(phase);
	phase_ask(phase, now);
	phase_set_due(phase, storing_due(storing, now));
}

static void storing_tell(struct storing *storing, bool last)
{
	const struct phase *phase = &storing->phase;
	bool confirmed = storing_is_confirmed(storing);
	struct store_answer result = { .confirmed = confirmed,
				       .all = confirmed && quorum_all(&phase->quorum),
				       .last = last,
				       .newest = storing->newest,
				       .epoch = confirmed ? storing->epoch : phase->epoch };
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

static bool storing_finish(struct storing *storing, uint64_t now)
{
	phase_end(&storing->phase, now);
	storing_tell(storing, true);
	storing_free(storing);
	return true;
}

static void storing_gate_stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct storing *storing = CONTAINER_OF(wait, struct storing, closing);
	struct asker *asker = storing->phase.asker;

	storing_cancel(wait);
	if (!answer->confirmed) {
		storing_finish(storing, asker->now);
		return;
	}
	storing->own_gate = GATE_CLOSED;
	storing_begin(storing, asker, asker->now);
}

/* Nobody is asked to keep the end before its gate is stored. */
static void storing_close_gate(struct storing *storing, uint64_t now)
{
	struct phase *phase = &storing->phase;
	struct store_ask gate = { .record = { .version = storing->record.version,
					      .flags = RECORD_DELETED } };
	struct buf path = BUF_INIT;

	phase_set_due(phase, phase->deadline);
	if (storing->own_gate == GATE_CLOSING)
		return;
	storing->own_gate = GATE_CLOSING;
	storing->closing.done = storing_gate_stored;
	path_to_gate(&path, buf_str(&storing->path));
	gate.path = buf_str(&path);
	storing_start(phase->asker, &storing->closing, &gate, now);
	buf_clear(&path);
}

static bool storing_step(struct phase *phase, uint64_t now);

static void storing_parent_ended(struct parent_wait *wait, enum parent_end end, struct version entry)
{
	struct storing *storing = CONTAINER_OF(wait, struct storing, parent_wait);

	if (end == PARENT_FAILED)
		storing->parent_state = PARENT_LOST;
	else if (end == PARENT_NEEDLESS || version_cmp(entry, storing->gate) > 0)
		storing->parent_state = PARENT_READY;
	else	/* the gate was told after others had begun to ask for it */
		storing->parent_state = PARENT_UNKNOWN;
	storing_step(&storing->phase, storing->phase.asker->now);
}

static void storing_require_parent(struct storing *storing)
{
	struct asker *asker = storing->phase.asker;
	struct str directory = path_parent(buf_str(&storing->path));

	if (!record_is_live(&storing->record) ||
	    (storing_parent_known(asker, directory, storing->gate) && !(storing->anew && directory.n > 0))) {
		storing->parent_state = PARENT_READY;
		return;
	}
	storing->parent_state = PARENT_PENDING;
	storing->parent_wait.done = storing_parent_ended;
	storing->parent_wait.path = buf_str(&storing->path);
	parent_require(asker, &storing->parent_wait, directory, storing->gate);
}

static bool storing_step(struct phase *phase, uint64_t now)
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
	if (storing->kept && storing->parent_state == PARENT_UNKNOWN)
		storing_require_parent(storing);
	if (storing->parent_state == PARENT_PENDING ? phase->deadline <= now :
	    storing->parent_state == PARENT_LOST || quorum_all(&phase->quorum) || nobody)
		return storing_finish(storing, now);
	if (storing_is_confirmed(storing) && !storing->told)
		storing_tell(storing, false);
	phase_set_due(phase, storing_due(storing, now));
	return !told && storing->told;
}

static enum gate gate_of(const struct record *record)
{
	return record->flags & RECORD_DIRECTORY && !record_is_live(record) ? GATE_OPEN : GATE_CLOSED;
}

/* What homes of another lineage have does not count in this one. */
static void storing_restart(struct phase *phase, uint64_t now)
{
	struct storing *storing = CONTAINER_OF(phase, struct storing, phase);

	if (storing->lineage != phase->asker->home->layout.lineage) {
		list_remove(&storing->parent_wait.link);
		storing_cancel(&storing->closing);
		storing->own_gate = gate_of(&storing->record);
		storing->kept = false;
		storing->parent_state = PARENT_UNKNOWN;
		storing->newest = storing->gate = VERSION_NONE;
	}
	storing_begin(storing, phase->asker, now);
}

static void storing_forget(struct phase *phase)
{
	phase_end(phase, phase->sent);
	storing_free(CONTAINER_OF(phase, struct storing, phase));
}

static const struct phase_kind storing_kind = { .question = storing_question,
						.answer = storing_answered,
						.kept = storing_is_kept_here,
						.step = storing_step,
						.restart = storing_restart,
						.forget = storing_forget,
						.pace = 3 };

void storing_start(struct asker *asker, struct store_wait *wait, const struct store_ask *ask,
		   uint64_t now)
{
	struct storing *storing = mem_new(1, sizeof *storing);

	buf_addstr(&storing->path, ask->path);
	buf_addstr(&storing->type, ask->type);
	storing->record = ask->record;
	storing->anew = ask->anew;
	storing->own_gate = gate_of(&ask->record);
	storing->wait = wait;
	if (wait != NULL)
		wait->storing = storing;
	asker->now = now;
	storing_begin(storing, asker, now);
}

void storing_cancel(struct store_wait *wait)
{
	if (wait->storing != NULL)
		wait->storing->wait = NULL;
	wait->storing = NULL;
}
