/* storing - having a record kept by its homes */
#include "storing.h"

#include "container.h"
#include "mem.h"
#include "phase.h"

struct storing {
	struct phase phase;
	struct store_wait *wait;	/* NULL: nobody listens any more */
	struct buf path, type;
	struct record record;
	bool told;			/* done() was called once */
	bool settled;			/* a majority had it, by the layout of that time */
	struct quorum knowing;		/* who knows the directory above */
	bool other;
	struct version newest;		/* of the path */
};

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
	buf_clear(&storing->path);
	buf_clear(&storing->type);
	free(storing);
}

static void note_newest(struct storing *storing, struct version version)
{
	if (version_cmp(version, storing->newest) > 0)
		storing->newest = version;
}

/* this node */

static int look_up(const struct storing *storing, struct version version, struct home_found *ret)
{
	const struct home *home = storing->phase.asker->home;

	return home->lookup(home->data, buf_str(&storing->path), version, false, ret);
}

/* Counts as a home that has it, if it does; a home that does not is to keep it. */
static void ask_self(struct storing *storing)
{
	struct phase *phase = &storing->phase;
	struct store_ask ask = ask_of(storing);
	struct home_found found, newest = { .content = false };

	if (look_up(storing, VERSION_NONE, &newest) < 0)
		return;
	found = newest;
	if (version_cmp(newest.record.version, storing->record.version) != 0 &&
	    look_up(storing, storing->record.version, &found) < 0)
		return;
	note_newest(storing, newest.record.version);
	storing->other |= home_has_other(phase->asker->home, ask.path, &storing->record, &newest);
	if (phase->asker->home->silent || !quorum_has(&phase->quorum, self_id(storing)))
		return;
	if (newest.known)
		quorum_answered(&storing->knowing, self_id(storing));
	if (version_cmp(found.record.version, storing->record.version) == 0) {
		quorum_answered(&phase->quorum, self_id(storing));
		return;
	}
	phase_commit(phase, &ask);
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
	if (wire->stored.known)
		quorum_answered(&storing->knowing, wire->sender.id);
	storing->other = storing->other || wire->stored.other;
	note_newest(storing, wire->stored.newest);
	return true;
}

/* the course */

static uint64_t look_again_at(const struct storing *storing, uint64_t now)
{
	const struct phase *phase = &storing->phase;

	if ((!storing->told && quorum_reached(&phase->quorum)) || quorum_all(&phase->quorum))
		return now;
	return phase_next(phase, now);
}

static const struct phase_kind storing_kind;

static void begin(struct storing *storing, struct asker *asker, uint64_t now)
{
	struct phase *phase = &storing->phase;
	const struct layout *layout = &asker->home->layout;
	struct str path = buf_str(&storing->path);

	phase_begin(phase, asker, &storing_kind, asker->store_ms, now);
	phase->little = asker->store_ms / 4;	/* it is more than a word: a disk has to move */
	quorum_add(&phase->quorum, layout, path_partition(path));
	storing->knowing = phase->quorum;
	if (storing->record.flags & RECORD_DIRECTORY)
		quorum_add(&phase->quorum, layout, path_partition_of_directory(path));
	ask_self(storing);
	phase_add_homes(phase);
	phase_ask(phase, now);
	phase_set_due(phase, look_again_at(storing, now));
}

static void tell(struct storing *storing, bool last)
{
	struct store_answer result = { .settled = storing->settled,
				       .all = quorum_all(&storing->phase.quorum),
				       .other = storing->other,
				       .known = quorum_reached(&storing->knowing),
				       .newest = storing->newest,
				       .epoch = storing->phase.epoch };
	struct store_wait *wait = storing->wait;

	storing->told = true;
	if (wait == NULL)
		return;
	quorum_tell(&storing->phase.quorum, &result.counts.homes_answered, &result.counts.homes);
	result.counts.peers = (uint32_t)asker_peers(storing->phase.asker);
	if (last) {
		wait->storing = NULL;
		storing->wait = NULL;
	}
	wait->done(wait, &result, last);
}

static bool finish(struct storing *storing, uint64_t now)
{
	phase_end(&storing->phase, now);
	tell(storing, true);
	storing_free(storing);
	return true;
}

static bool step(struct phase *phase, uint64_t now)
{
	struct storing *storing = CONTAINER_OF(phase, struct storing, phase);
	bool told = storing->told;

	storing->settled = storing->settled || quorum_reached(&phase->quorum);
	if (quorum_all(&phase->quorum) || phase_until(phase) <= now)
		return finish(storing, now);
	if (storing->settled && !storing->told)
		tell(storing, false);
	phase_set_due(phase, look_again_at(storing, now));
	return !told && storing->told;
}

static void restart(struct phase *phase, uint64_t now)
{
	begin(CONTAINER_OF(phase, struct storing, phase), phase->asker, now);
}

static void forget(struct phase *phase)
{
	phase_end(phase, phase->sent);
	storing_free(CONTAINER_OF(phase, struct storing, phase));
}

static const struct phase_kind storing_kind = { .question = question,
						.answer = answer,
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
	storing->wait = wait;
	wait->storing = storing;
	begin(storing, asker, now);
}

void storing_cancel(struct store_wait *wait)
{
	if (wait->storing != NULL)
		wait->storing->wait = NULL;
	wait->storing = NULL;
}
