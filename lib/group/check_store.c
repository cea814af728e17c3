/* check_store - storing what a check found at the homes that are behind */
#include "check_inside.h"

#include "container.h"

static struct store_ask ask_of(const struct check *check)
{
	struct newest newest = check_newest(check);

	return (struct store_ask){ .path = check_path(check), .record = *newest.record,
				   .type = str_of(newest.type) };
}

static void question(struct phase *phase, uint64_t epoch, struct buf *packet)
{
	struct store_ask ask = ask_of(CONTAINER_OF(phase, struct check, phase));

	phase_pack_store(phase, epoch, &ask, packet);
}

static bool answer(struct phase *phase, size_t i, const struct wire *wire, uint64_t now)
{
	(void)now;
	return phase_stored(phase, i, wire);
}

static bool step(struct phase *phase, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	if (quorum_reached(&phase->quorum))
		return check_finish(check, STANDING_CONFIRMED, now);
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

void check_store(struct check *check, uint64_t now)
{
	struct store_ask ask = ask_of(check);
	struct quorum holding = check_holding(check, &ask.record);
	struct phase *phase = &check->phase;
	struct asker *asker = phase->asker;

	phase_begin(phase, asker, &storing, asker->check_ms, now);
	asker->write_backs++;
	phase->quorum = holding;
	phase_add_homes(phase);
	phase_ask(phase, now);
	if (quorum_has(&holding, check_self(check)) && check_own_counts(check) &&
	    !quorum_is_answered(&holding, check_self(check)))
		phase_commit(phase, &ask);
	phase_set_due(phase, phase_next(phase, now));
}
