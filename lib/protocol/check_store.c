/* check_store - storing what a check found at the homes that are behind */
#include "check_inside.h"

#include "container.h"
#include "storing.h"

static void question(struct phase *phase, uint64_t epoch, struct buf *packet)
{
	const struct check *check = CONTAINER_OF(phase, struct check, phase);

	phase_pack_store(phase, epoch, &check->storing, packet);
}

static bool answer(struct phase *phase, size_t i, const struct wire *wire, uint64_t now)
{
	(void)now;
	return phase_stored(phase, i, wire);
}

/* A name that is live again needs the directories above it: nobody waits for that here. */
static void settle_above(struct check *check, uint64_t now)
{
	if (record_is_live(&check->storing.record) && path_parent(check_path(check)).n > 0)
		storing_start(check->phase.asker, NULL, &check->storing, now);
}

/* A majority has it. */
static bool stored(struct check *check, uint64_t now)
{
	bool entry = check->storing.record.flags & RECORD_DIRECTORY;

	settle_above(check, now);
	if (!entry || check_wants_entry_alone(check))
		return check_finish(check, STANDING_CONFIRMED, now);
	check_ask(check, check->phase.asker, now);
	return false;
}

static bool step(struct phase *phase, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	if (quorum_reached(&phase->quorum))
		return stored(check, now);
	if (phase_until(phase) <= now)
		return check_finish(check, STANDING_UNCONFIRMED, now);
	phase_set_due(phase, phase_next(phase, now));
	return false;
}

static const struct phase_kind storing = { .question = question,
					   .answer = answer,
					   .step = step,
					   .restart = check_restart,
					   .forget = check_forget,
					   .pace = 3 };

static void store(struct check *check, const struct quorum *holding, uint64_t now)
{
	struct phase *phase = &check->phase;
	struct asker *asker = phase->asker;

	phase_begin(phase, asker, &storing, asker->check_ms, now);
	asker->write_backs++;
	phase->quorum = *holding;
	phase_add_homes(phase);
	phase_ask(phase, now);
	if (quorum_has(holding, check_self(check)) && check_own_counts(check) &&
	    !quorum_is_answered(holding, check_self(check)))
		phase_commit(phase, &check->storing);
	phase_set_due(phase, phase_next(phase, now));
}

void check_store(struct check *check, uint64_t now)
{
	struct newest newest = check_newest(check);
	struct quorum holding = check_holding(check, newest.record);

	check->storing = (struct store_ask){ .path = check_path(check), .record = *newest.record,
					     .type = str_of(newest.type) };
	store(check, &holding, now);
}

void check_store_entry(struct check *check, uint64_t now)
{
	struct record entry = check_entry(check);
	struct quorum holding = check_holding_entry(check, &entry);

	check->entries++;
	check->storing = (struct store_ask){ .path = check_path(check), .record = entry };
	store(check, &holding, now);
}
