/* check - asking which version of a path is the newest */
#include "check_inside.h"

#include "container.h"
#include "mem.h"

static struct str path_of(const struct check *check)
{
	return (struct str){ check->path, check->path_bytes };
}

/* ONE and LOOK ask for what is known, whoever knows it. */
static bool asks_homes(const struct check *check)
{
	return check->purpose != CHECK_ONE && check->purpose != CHECK_LOOK;
}

/* beginning and ending */

static const struct phase_kind asking, storing;
static void launch(struct check *, struct asker *, uint64_t now);

static struct check **path_bucket(struct asker *asker, uint64_t hash)
{
	return &asker->by_path[hash % ASKER_BUCKETS];
}

static void unlink_path(struct check *check)
{
	struct check **p = path_bucket(check->phase.asker, check->hash);

	while (*p != check)
		p = &(*p)->path_next;
	*p = check->path_next;
}

static void check_free(struct check *check)
{
	free(check->path);
	free(check);
}

/* The next one starts first, so that there is always one in flight for a waiting reader. */
static bool finish(struct check *check, enum standing standing, uint64_t now)
{
	struct check_result result;
	struct check_wait *wait;

	phase_end(&check->phase, now);
	unlink_path(check);
	if (check->after != NULL) {
		if (check->after->waits != NULL)
			launch(check->after, check->phase.asker, now);
		else
			check_free(check->after);
	}
	check_sum_up(check, standing, &result);
	while ((wait = check->waits) != NULL) {
		check_cancel(wait);
		wait->done(wait, &result);
	}
	check_free(check);
	return true;
}

/* whom to ask */

static void add_row(struct check *check, const struct peer_target *target)
{
	if (phase_add(&check->phase, target) == check->row_count)
		check->rows[check->row_count++] = (struct check_row){ .id = target->id };
}

static void add_member(struct check *check, uint64_t id)
{
	struct peer_target target;

	if (check->row_count < CHECK_ROWS_MAX && id != check_self(check) &&
	    peers_target(&check->phase.asker->peers, id, &target))
		add_row(check, &target);
}

static void add_everybody(struct check *check)
{
	struct peer_target targets[PEERS_ASKED_MAX];
	size_t count = peers_choose(&check->phase.asker->peers, check->hash, targets);

	for (size_t i = 0; i < count && check->row_count < CHECK_ROWS_MAX; i++)
		add_row(check, &targets[i]);
}

/* Homes and keepers and the origin, as nodes that may know the version. */
static void add_who_may_know(struct check *check)
{
	const struct layout *layout = &check->phase.asker->home->layout;
	size_t copies = layout_copies(layout);
	uint64_t homes[QUORUM_HOMES_MAX];
	struct layout_order keepers;
	struct quorum quorum;

	add_member(check, check->version.node);
	quorum_begin(&quorum);
	quorum_add(&quorum, layout, path_partition(path_of(check)));
	for (size_t i = 0, count = quorum_homes(&quorum, homes); i < count; i++)
		add_member(check, homes[i]);
	layout_keepers(layout, path_of(check), &keepers);
	for (size_t i = 0; i < copies && i < keepers.count; i++)
		add_member(check, keepers.ids[i]);
}

static void add_homes(struct check *check)
{
	struct phase *phase = &check->phase;

	quorum_add(&phase->quorum, &phase->asker->home->layout, path_partition(path_of(check)));
	check->knowing = phase->quorum;
	if (check_own_counts(check)) {
		quorum_answered(&phase->quorum, check_self(check));
		if (check->own.known)
			quorum_answered(&check->knowing, check_self(check));
	}
	phase_add_homes(phase);
	for (; check->row_count < phase->count; check->row_count++)
		check->rows[check->row_count] =
			(struct check_row){ .id = phase->peers[check->row_count].target.id };
}

static void widen(struct check *check, uint64_t now)
{
	check->widened = true;
	add_everybody(check);
	phase_census(&check->phase, now);
}

static uint64_t look_again_at(const struct check *check, uint64_t now);

static void begin_asking(struct check *check, struct asker *asker, uint64_t now)
{
	struct phase *phase = &check->phase;

	phase_begin(phase, asker, &asking, asker->check_ms, now);
	check->storing = check->widened = false;
	check->row_count = 0;
	check->answered = 0;
	check->own = (struct home_found){ .content = false };
	check->own_known = asker->home->lookup(asker->home->data, path_of(check), check->version,
					       check->purpose == CHECK_BELOW, &check->own) == 0;
	quorum_begin(&check->knowing);
	if (asks_homes(check))
		add_homes(check);
	else if (check->purpose == CHECK_ONE)
		add_who_may_know(check);
	else
		add_everybody(check);
	phase_ask(phase, now);
	check->widen_at = now;
	if (check->purpose == CHECK_ONE || phase_is_likely(phase))
		check->widen_at += phase->little;
	else if (asks_homes(check))
		widen(check, now);
	phase_set_due(phase, look_again_at(check, now));
}

static void launch(struct check *check, struct asker *asker, uint64_t now)
{
	struct check **by_path = path_bucket(asker, check->hash);

	check->path_next = *by_path;
	*by_path = check;
	begin_asking(check, asker, now);
}

/* storing at those behind */

static void begin_storing(struct check *check, uint64_t now)
{
	struct newest newest = check_newest(check);
	struct quorum holding = check_holding(check, newest.record);
	struct phase *phase = &check->phase;
	struct asker *asker = phase->asker;
	struct store_ask ask = { .path = path_of(check), .record = *newest.record,
				 .type = str_of(newest.type) };

	phase_begin(phase, asker, &storing, asker->check_ms, now);
	check->storing = true;
	asker->write_backs++;
	phase->quorum = holding;
	phase_add_homes(phase);
	phase_ask(phase, now);
	if (quorum_has(&holding, check_self(check)) && check_own_counts(check) &&
	    !quorum_is_answered(&holding, check_self(check))) {
		phase->committing = true;
		asker->commit(asker->data, phase->id, &ask);
	}
	phase_set_due(phase, phase_next(phase, now));
}

static void question_store(struct phase *phase, uint64_t epoch, struct buf *packet)
{
	const struct check *check = CONTAINER_OF(phase, struct check, phase);
	struct newest newest = check_newest(check);
	struct wire_store message = { .id = phase->id, .epoch = epoch, .record = *newest.record,
				      .type = str_of(newest.type), .path = path_of(check) };

	wire_pack_store(packet, &message);
}

static bool answer_store(struct phase *phase, size_t i, const struct wire *wire, uint64_t now)
{
	(void)now;
	if (wire->type != WIRE_STORED || wire->stored.epoch != phase->epoch ||
	    wire->sender.lineage != phase->asker->home->layout.lineage)
		return false;
	phase->peers[i].answered = true;
	quorum_answered(&phase->quorum, wire->sender.id);
	return true;
}

static void committed(struct phase *phase, bool on_disk)
{
	if (on_disk)
		quorum_answered(&phase->quorum, phase->asker->home->self.id);
}

static bool step_store(struct phase *phase, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	if (quorum_reached(&phase->quorum))
		return finish(check, STANDING_CONFIRMED, now);
	if (phase_until(phase) <= now)
		return finish(check, STANDING_UNCONFIRMED, now);
	phase_set_due(phase, phase_next(phase, now));
	return false;
}

/* asking */

static void question_check(struct phase *phase, uint64_t epoch, struct buf *packet)
{
	const struct check *check = CONTAINER_OF(phase, struct check, phase);
	struct asker *asker = phase->asker;
	struct wire_check message = { .id = phase->id, .epoch = epoch,
				      .clock = asker->wall(asker->data),
				      .below = check->purpose == CHECK_BELOW,
				      .version = check->version, .path = path_of(check) };

	wire_pack_check(packet, &message);
}

static void fill_row(struct check *check, struct check_row *row, const struct wire_record *answer,
		     uint64_t now)
{
	if (!row->answered)
		row->order = check->answered++;
	row->answered = true;
	row->at = now;
	row->clock = answer->clock;
	row->directory = answer->directory;
	row->known = answer->known;
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

static bool answer_check(struct phase *phase, size_t i, const struct wire *wire, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);
	const struct wire_record *answer = &wire->record;
	struct check_row *row = &check->rows[i];
	bool as_home = answer->epoch != 0;

	if (wire->type != WIRE_RECORD || !is_about(check, &answer->record))
		return false;
	if (as_home && (!phase->peers[i].home || answer->epoch != phase->epoch ||
			wire->sender.lineage != phase->asker->home->layout.lineage))
		return false;
	fill_row(check, row, answer, now);
	if (as_home) {
		row->counted = true;
		quorum_answered(&phase->quorum, wire->sender.id);
		if (answer->known)
			quorum_answered(&check->knowing, wire->sender.id);
	}
	phase->peers[i].answered = as_home || !phase->peers[i].home;
	return true;
}

/*
 * What a majority of one set holds may have been confirmed before the layout
 * became joint: it is stored at the other set's homes whether its content is
 * found or not, and never passed over.
 */
enum verdict { GO_ON, ASK_EVERYBODY, STORE_IT, CONFIRMED, UNSETTLED, UNCONFIRMED };

static enum verdict judge_majority(const struct check *check, uint64_t now)
{
	const struct record *newest = check_newest(check).record;
	struct quorum holding = check_holding(check, newest);

	if (check->purpose == CHECK_WRITE || newest == NULL || quorum_reached(&holding))
		return CONFIRMED;
	if (check_is_safe(check, newest) || quorum_some(&holding))
		return STORE_IT;
	return phase_until(&check->phase) <= now ? UNSETTLED : GO_ON;
}

/* Somebody has told of the one version, and of somebody who has its content, if it has any. */
static bool is_found(const struct check *check)
{
	const struct record *record = check_newest(check).record;

	return record != NULL && check_is_safe(check, record);
}

static enum verdict judge_one(const struct check *check, uint64_t now)
{
	uint64_t until = phase_until(&check->phase);

	if (is_found(check))
		return until <= now || check->widen_at <= now ? UNCONFIRMED : GO_ON;
	if (!check->widened && (until <= now || check->widen_at <= now))
		return ASK_EVERYBODY;
	return until <= now ? UNCONFIRMED : GO_ON;
}

static enum verdict judge(const struct check *check, uint64_t now)
{
	uint64_t until = phase_until(&check->phase);

	if (check->purpose == CHECK_ONE)
		return judge_one(check, now);
	if (asks_homes(check)) {
		if (quorum_reached(&check->phase.quorum))
			return judge_majority(check, now);
		if (!check->widened && (until <= now || check->widen_at <= now))
			return ASK_EVERYBODY;
	}
	return until <= now ? UNCONFIRMED : GO_ON;
}

static uint64_t look_again_at(const struct check *check, uint64_t now)
{
	uint64_t next = phase_next(&check->phase, now);

	if (judge(check, now) != GO_ON)
		return now;
	return !check->widened && check->purpose != CHECK_LOOK && check->widen_at > now &&
			       check->widen_at < next ? check->widen_at : next;
}

static bool step_check(struct phase *phase, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	switch (judge(check, now)) {
	case GO_ON:
		break;
	case ASK_EVERYBODY:
		widen(check, now);
		break;
	case STORE_IT:
		begin_storing(check, now);
		return false;
	case CONFIRMED:
		return finish(check, STANDING_CONFIRMED, now);
	case UNSETTLED:
		return finish(check, STANDING_UNSETTLED, now);
	case UNCONFIRMED:
		return finish(check, STANDING_UNCONFIRMED, now);
	}
	phase_set_due(phase, look_again_at(check, now));
	return false;
}

static void restart(struct phase *phase, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	if (asks_homes(check))
		begin_asking(check, phase->asker, now);
}

static void drop_waits(struct check *check)
{
	for (struct check_wait *wait = check->waits, *next; wait != NULL; wait = next) {
		next = wait->next;
		wait->check = NULL;
	}
}

static void forget(struct phase *phase)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	phase_end(phase, phase->sent);
	unlink_path(check);
	if (check->after != NULL) {
		drop_waits(check->after);
		check_free(check->after);
	}
	drop_waits(check);
	check_free(check);
}

static const struct phase_kind asking = { .question = question_check,
					  .answer = answer_check,
					  .step = step_check,
					  .restart = restart,
					  .forget = forget,
					  .pace = 1 };
static const struct phase_kind storing = { .question = question_store,
					   .answer = answer_store,
					   .step = step_store,
					   .committed = committed,
					   .restart = restart,
					   .forget = forget,
					   .pace = 3 };

/* readers */

static struct check *new_check(struct str path, enum check_purpose purpose, struct version version,
			       uint64_t hash)
{
	struct check *check = mem_new(1, sizeof *check);

	check->path = mem_copy(path.s, path.n);
	check->path_bytes = path.n;
	check->purpose = purpose;
	check->version = version;
	check->hash = hash;
	return check;
}

static struct check *find_running(struct asker *asker, struct str path, enum check_purpose purpose,
				  struct version version, uint64_t hash)
{
	struct check *check = *path_bucket(asker, hash);

	while (check != NULL &&
	       !(check->hash == hash && check->purpose == purpose &&
		 version_cmp(check->version, version) == 0 && str_eq(path_of(check), path)))
		check = check->path_next;
	return check;
}

void check_start(struct asker *asker, struct check_wait *wait, struct str path,
		 enum check_purpose purpose, struct version version, uint64_t now)
{
	uint64_t hash = path_hash(path);
	struct check *running = find_running(asker, path, purpose, version, hash);
	struct check *check;

	if (running == NULL) {
		check = new_check(path, purpose, version, hash);
		launch(check, asker, now);
	} else {
		if (running->after == NULL)
			running->after = new_check(path, purpose, version, hash);
		check = running->after;
	}
	wait->check = check;
	wait->prev = NULL;
	wait->next = check->waits;
	if (check->waits != NULL)
		check->waits->prev = wait;
	check->waits = wait;
}

void check_cancel(struct check_wait *wait)
{
	if (wait->check == NULL)
		return;
	if (wait->prev != NULL)
		wait->prev->next = wait->next;
	else
		wait->check->waits = wait->next;
	if (wait->next != NULL)
		wait->next->prev = wait->prev;
	wait->check = NULL;
}
