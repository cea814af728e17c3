/* check_ask - asking for the newest version, or for one of them */
#include "check_inside.h"

#include "container.h"

static void question(struct phase *phase, uint64_t epoch, struct buf *packet)
{
	const struct check *check = CONTAINER_OF(phase, struct check, phase);
	struct asker *asker = phase->asker;
	struct wire_check message = { .id = phase->id, .epoch = epoch,
				      .clock = asker->wall(asker->data),
				      .below = check->purpose == CHECK_BELOW,
				      .version = check->version, .path = check_path(check) };

	wire_pack(packet, WIRE_CHECK, &message);
}

static void fill_row(struct check *check, struct check_row *row, const struct wire_record *answer,
		     uint64_t now)
{
	if (!row->answered)
		row->order = check->answered++;
	row->answered = true;
	row->at = now;
	row->clock = answer->clock;
	row->entry = answer->entry;
	row->gate = answer->gate;
	row->record = answer->record;
	row->content = answer->content;
	memcpy(row->type, answer->type.s != NULL ? answer->type.s : "", answer->type.n);
	row->type[answer->type.n] = '\0';
}

/* Not a word about another version than was asked for. */
static bool is_about(const struct check *check, const struct record *record)
{
	if (version_is_none(record->version) || version_is_none(check->version))
		return true;
	return check->purpose == CHECK_BELOW ? version_cmp(record->version, check->version) < 0 :
					       version_cmp(record->version, check->version) == 0;
}

static bool answer(struct phase *phase, size_t i, const struct wire *wire, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);
	const struct wire_record *told = &wire->record;
	struct check_row *row = &check->rows[i];
	bool as_home = told->epoch != 0;

	if (wire->type != WIRE_RECORD || !is_about(check, &told->record))
		return false;
	if (as_home && (!phase->peers[i].home || told->epoch != phase->epoch ||
			wire->sender.lineage != phase->asker->home->layout.lineage))
		return false;
	fill_row(check, row, told, now);
	if (as_home) {
		row->counted = true;
		quorum_answered(&phase->quorum, wire->sender.id);
	}
	phase->peers[i].answered = as_home || !phase->peers[i].home;
	return true;
}

static void widen(struct check *check, uint64_t now)
{
	check->widened = true;
	check_add_everybody(check);
	phase_census(&check->phase, now);
}

static bool step(struct phase *phase, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	switch (check_judge(check, now)) {
	case GO_ON:
		break;
	case ASK_EVERYBODY:
		widen(check, now);
		break;
	case STORE_ENTRY:
		check_store_entry(check, now);
		return false;
	case STORE_IT:
		check_store(check, now);
		return false;
	case CONFIRMED:
		return check_finish(check, STANDING_CONFIRMED, now);
	case UNSETTLED:
		return check_finish(check, STANDING_UNSETTLED, now);
	case UNCONFIRMED:
		return check_finish(check, STANDING_UNCONFIRMED, now);
	}
	phase_set_due(phase, check_look_again_at(check, now));
	return false;
}

static const struct phase_kind asking = { .question = question,
					  .answer = answer,
					  .step = step,
					  .restart = check_restart,
					  .forget = check_forget,
					  .pace = 1 };

void check_ask(struct check *check, struct asker *asker, uint64_t now)
{
	struct phase *phase = &check->phase;

	phase_begin(phase, asker, &asking, asker->check_ms, now);
	check->widened = false;
	check->row_count = 0;
	check->answered = 0;
	check->own = (struct home_found){ .content = false };
	check->own_known = asker->home->lookup(asker->home->data, check_path(check), check->version,
					       check->purpose == CHECK_BELOW, &check->own) == 0;
	check_add_wanted(check);
	phase_ask(phase, now);
	check->widen_at = now;
	if (check->purpose == CHECK_ONE || phase_is_likely(phase))
		check->widen_at += phase->little;
	else if (check_asks_homes(check))
		widen(check, now);
	phase_set_due(phase, check_look_again_at(check, now));
}

void check_restart(struct phase *phase, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	if (check_asks_homes(check))
		check_ask(check, phase->asker, now);
}
