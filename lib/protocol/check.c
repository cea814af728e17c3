/* check - asking which version of a path is the newest */
#include "check.h"

#include "container.h"
#include "mem.h"
#include "phase.h"
#include "storing.h"

#define ENTRIES_MAX 4			/* newer ones, one after the other, that a check stores */

struct check {
	struct phase phase;
	struct link by_path;		/* in the asker's list; in none while it waits for another */
	struct check *after;		/* starts when this is over; NULL: nobody waits for it */
	struct list waits;		/* struct check_wait */
	char *path;			/* owned */
	size_t path_bytes;
	enum check_purpose purpose;
	struct version version;
	uint64_t hash;
	bool asks_peers;		/* beside the homes */
	uint64_t ask_peers_at;		/* ms */
	struct store_ask storing;	/* what is stored; its slices are the check's */
	unsigned entries;		/* how often it was the entry */
	struct check_row rows[CHECK_ROWS_MAX];
	size_t row_count;
	unsigned answered;
	bool own_known;
	struct home_found own;
};

static struct str check_path(const struct check *check)
{
	return (struct str){ check->path, check->path_bytes };
}

/* The others ask for what is known, whoever knows it. */
static bool check_asks_homes(const struct check *check)
{
	return check->purpose == CHECK_READ || check->purpose == CHECK_WRITE ||
	       check->purpose == CHECK_BELOW;
}

static uint64_t check_self(const struct check *check)
{
	return check->phase.asker->home->self.id;
}

/* This node's own answer is one of a home. */
static bool check_own_counts(const struct check *check)
{
	return check->own_known && !check->phase.asker->home->silent;
}

/* what the answers say */

_Static_assert(HOLDERS_MAX <= CHECK_ROWS_MAX, "holders are among the rows");

struct newest {
	const struct record *record;	/* NULL: nobody knows any */
	const char *type;
};

static bool is_newer(const struct record *record, const struct record *than)
{
	return !version_is_none(record->version) &&
	       (than == NULL || version_cmp(record->version, than->version) > 0);
}

/* Of all that was told, and what this node has. */
static struct newest check_newest(const struct check *check)
{
	struct newest newest = { NULL, "" };

	if (check->own_known && is_newer(&check->own.record, NULL))
		newest = (struct newest){ &check->own.record, check->own.type };
	for (size_t i = 0; i < check->row_count; i++)
		if (check->rows[i].answered && is_newer(&check->rows[i].record, newest.record))
			newest = (struct newest){ &check->rows[i].record, check->rows[i].type };
	return newest;
}

/*
 * The newest entry that homes told, as far as a majority did; else anybody's.
 * Version none: there is none.  Entries are kept by homes alone: what others
 * have is told only when a majority does not answer.
 */
static struct record check_entry(const struct check *check)
{
	bool homes = check_asks_homes(check) && quorum_reached(&check->phase.quorum);
	struct record entry = { .version = VERSION_NONE };

	if (check->own_known && (!homes || (check_own_counts(check) &&
					    quorum_has(&check->phase.quorum, check_self(check)))))
		entry = check->own.entry;
	for (size_t i = 0; i < check->row_count; i++) {
		const struct check_row *row = &check->rows[i];

		if (row->answered && (row->counted || !homes) && is_newer(&row->entry, &entry))
			entry = row->entry;
	}
	return entry;
}

/* Of the directory above, as far as homes told. */
static struct version check_newest_gate(const struct check *check)
{
	struct version gate = check_own_counts(check) ? check->own.gate : VERSION_NONE;

	for (size_t i = 0; i < check->row_count; i++)
		if (check->rows[i].counted && version_cmp(check->rows[i].gate, gate) > 0)
			gate = check->rows[i].gate;
	return gate;
}

/* The homes that said, at this epoch, that this is the newest they hold: of the entry, or of the file. */
static struct quorum check_holding(const struct check *check, struct version v, bool entry)
{
	struct quorum quorum = check->phase.quorum;

	quorum_again(&quorum);
	if (check_own_counts(check) &&
	    version_cmp((entry ? check->own.entry : check->own.record).version, v) == 0)
		quorum_answered(&quorum, check_self(check));
	for (size_t i = 0; i < check->row_count; i++) {
		const struct check_row *row = &check->rows[i];

		if (row->counted && version_cmp((entry ? row->entry : row->record).version, v) == 0)
			quorum_answered(&quorum, row->id);
	}
	return quorum;
}

/* Its content is durable somewhere, as far as anybody told. */
static bool check_is_safe(const struct check *check, const struct record *newest)
{
	if (!record_has_content(newest))
		return true;
	if (check->own_known && check->own.content && record_eq(&check->own.record, newest))
		return true;
	for (size_t i = 0; i < check->row_count; i++)
		if (check->rows[i].answered && check->rows[i].content &&
		    record_eq(&check->rows[i].record, newest))
			return true;
	return false;
}

static int by_clock(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t check_median_clock(const struct check *check)
{
	struct asker *asker = check->phase.asker;
	uint64_t clocks[CHECK_ROWS_MAX + 1] = { asker->wall(asker->data) };
	size_t count = 1;

	for (size_t i = 0; i < check->row_count; i++)
		if (check->rows[i].answered)
			clocks[count++] = check->rows[i].clock;
	qsort(clocks, count, sizeof clocks[0], by_clock);
	return clocks[(count - 1) / 2];
}

static void check_put_holders(const struct check *check, const struct record *newest,
			      struct newest_answer *ret)
{
	for (unsigned order = 0; order < check->answered; order++) {
		for (size_t i = 0; i < check->row_count; i++) {
			const struct check_row *row = &check->rows[i];

			if (row->answered && row->order == order && row->content &&
			    record_eq(&row->record, newest) && ret->holder_count < HOLDERS_MAX)
				ret->holders[ret->holder_count++] = row->id;
		}
	}
}

static void check_sum_up(const struct check *check, enum certainty certainty, struct check_result *ret)
{
	struct newest newest = check_newest(check);
	struct newest_answer *answer = &ret->answer;

	*ret = (struct check_result){ .rows = check->rows, .row_count = check->row_count,
				      .own_known = check->own_known, .own = &check->own };
	answer->certainty = certainty;
	answer->type = str_of(newest.type);
	answer->entry = check_entry(check);
	answer->parent_known = certainty == CERTAINTY_CONFIRMED && check_asks_homes(check) &&
			storing_parent_known(check->phase.asker, path_parent(check_path(check)),
					   check_newest_gate(check));
	if (newest.record != NULL) {
		answer->record = *newest.record;
		check_put_holders(check, newest.record, answer);
	}
	quorum_tell(&check->phase.quorum, &answer->counts.homes_answered, &answer->counts.homes);
	answer->counts.peers = (uint32_t)asker_peers(check->phase.asker);
	answer->counts.peers_answered = check->answered;
	if (answer->counts.peers < check->answered)
		answer->counts.peers = check->answered;	/* one that was said to have left */
	answer->clock = check_median_clock(check);
	answer->epoch = check->phase.epoch;
}

/* whom to ask, each with a row */

static void check_add_row(struct check *check, const struct peer_target *target)
{
	if (phase_add(&check->phase, target) == check->row_count)
		check->rows[check->row_count++] = (struct check_row){ .id = target->id };
}

static void check_add_member(struct check *check, uint64_t id)
{
	struct peer_target target;

	if (check->row_count < CHECK_ROWS_MAX && id != check_self(check) &&
	    peers_target(&check->phase.asker->peers, id, &target))
		check_add_row(check, &target);
}

static void check_add_peers(struct check *check)
{
	struct peer_target targets[PEERS_ASKED_MAX];
	size_t count = peers_choose(&check->phase.asker->peers, check->hash, targets);

	for (size_t i = 0; i < count && check->row_count < CHECK_ROWS_MAX; i++)
		check_add_row(check, &targets[i]);
}

/* Homes and keepers and the origin, as nodes that may know the version. */
static void check_add_likely_holders(struct check *check)
{
	const struct layout *layout = &check->phase.asker->home->layout;
	size_t copies = layout_copies(layout);
	uint64_t homes[QUORUM_HOMES_MAX];
	struct layout_order keepers;
	struct quorum quorum;

	check_add_member(check, check->version.node);
	quorum_begin(&quorum);
	quorum_add(&quorum, layout, path_partition(check_path(check)));
	for (size_t i = 0, count = quorum_homes(&quorum, homes); i < count; i++)
		check_add_member(check, homes[i]);
	layout_keepers(layout, check_path(check), &keepers);
	for (size_t i = 0; i < copies && i < keepers.count; i++)
		check_add_member(check, keepers.ids[i]);
}

/* This node among them, which has answered already. */
static void check_add_homes(struct check *check)
{
	struct phase *phase = &check->phase;

	quorum_add(&phase->quorum, &phase->asker->home->layout, path_partition(check_path(check)));
	if (check_own_counts(check))
		quorum_answered(&phase->quorum, check_self(check));
	phase_add_homes(phase);
	for (; check->row_count < phase->count; check->row_count++)
		check->rows[check->row_count] =
			(struct check_row){ .id = phase->peers[check->row_count].target.id };
}

static void check_add_wanted(struct check *check)
{
	if (check_asks_homes(check))
		check_add_homes(check);
	else if (check->purpose != CHECK_LOOK)
		check_add_likely_holders(check);
	if (check->purpose == CHECK_LOOK || check->purpose == CHECK_HOLDERS)
		check_add_peers(check);
}

/* what to do next, by the answers so far and the time */

enum verdict { GO_ON, ASK_PEERS, STORE_ENTRY, STORE_FILE, CONFIRMED, UNDECIDED, UNCONFIRMED };

/* Nothing but the entry is to be known. */
static bool check_wants_entry_alone(const struct check *check)
{
	const struct record *newest = check_newest(check).record;
	struct record entry = check_entry(check);

	/* Who asks BELOW may ask for a history, which tells of what is hidden, too. */
	return check->purpose == CHECK_WRITE ||
	       (check->purpose == CHECK_READ && newest != NULL && record_is_live(newest) &&
		record_name_kind(newest, &entry) != NAME_FILE);
}

/*
 * What a majority of one set holds may have been confirmed before the layout
 * became joint: it is stored at the other set's homes whether its content is
 * found or not, and never passed over.
 */
static enum verdict check_judge_file(const struct check *check, uint64_t now)
{
	const struct record *newest = check_newest(check).record;
	struct quorum holding = check_holding(check, newest != NULL ? newest->version : VERSION_NONE, false);

	if (check_wants_entry_alone(check) || newest == NULL || quorum_reached(&holding))
		return CONFIRMED;
	if (check_is_safe(check, newest) || quorum_some(&holding))
		return STORE_FILE;
	return phase_until(&check->phase) <= now ? UNDECIDED : GO_ON;
}

/*
 * A directory that is coming, or going, is relied on by whoever is told of it,
 * and be it by a refusal: a majority has to have it first.
 */
static enum verdict check_judge_majority(const struct check *check, uint64_t now)
{
	struct record entry = check_entry(check);
	struct quorum holding = check_holding(check, entry.version, true);

	if (version_is_none(entry.version) || quorum_reached(&holding))
		return check_judge_file(check, now);
	return check->entries < ENTRIES_MAX ? STORE_ENTRY : UNCONFIRMED;
}

/* Somebody has told of the one version, and of somebody who has its content, if it has any. */
static bool check_found_one(const struct check *check)
{
	const struct record *record = check_newest(check).record;

	return record != NULL && check_is_safe(check, record);
}

static enum verdict check_judge_one(const struct check *check, uint64_t now)
{
	uint64_t until = phase_until(&check->phase);

	if (check_found_one(check))
		return until <= now || check->ask_peers_at <= now ? UNCONFIRMED : GO_ON;
	if (!check->asks_peers && (until <= now || check->ask_peers_at <= now))
		return ASK_PEERS;
	return until <= now ? UNCONFIRMED : GO_ON;
}

static enum verdict check_judge(const struct check *check, uint64_t now)
{
	uint64_t until = phase_until(&check->phase);

	if (check->purpose == CHECK_ONE)
		return check_judge_one(check, now);
	if (check_asks_homes(check)) {
		if (quorum_reached(&check->phase.quorum))
			return check_judge_majority(check, now);
		if (!check->asks_peers && (until <= now || check->ask_peers_at <= now))
			return ASK_PEERS;
	}
	return until <= now ? UNCONFIRMED : GO_ON;
}

/* ms: when another verdict may be due though nobody answers. */
static uint64_t check_look_again_at(const struct check *check, uint64_t now)
{
	uint64_t next = phase_next(&check->phase, now);

	if (check_judge(check, now) != GO_ON)
		return now;
	return !check->asks_peers && check->ask_peers_at > now && check->ask_peers_at < next ?
		       check->ask_peers_at : next;
}

/* the checks in flight, and who waits for them */

static void check_ask(struct check *, struct asker *, uint64_t now);

static void check_free(struct check *check)
{
	list_remove(&check->by_path);
	free(check->path);
	free(check);
}

static void check_launch(struct check *check, struct asker *asker, uint64_t now)
{
	list_prepend(&asker->by_path[check->hash % ASKER_BUCKETS], &check->by_path);
	check_ask(check, asker, now);
}

/*
 * What this node holds, and is no home of, is not the newest any more.  It
 * keeps the record that is, so that its tree shows no deleted or outdated
 * file; nobody waits for that.
 */
static void check_commit_newer(const struct check *check, const struct newest_answer *answer)
{
	struct asker *asker = check->phase.asker;
	const struct store_ask ask = { .path = check_path(check), .record = answer->record,
				       .type = answer->type };

	if (check->purpose == CHECK_READ && answer->certainty == CERTAINTY_CONFIRMED &&
	    check->own_known && record_has_content(&check->own.record) &&
	    version_cmp(answer->record.version, check->own.record.version) > 0 &&
	    !quorum_has(&check->phase.quorum, check_self(check)))
		asker->commit(asker->data, 0, &ask);
}

/*
 * The check is over: all who wait are told.  The next one starts first, so that
 * there is always one in flight for a waiting reader.  True, as a step wants it.
 */
static bool check_finish(struct check *check, enum certainty certainty, uint64_t now)
{
	struct check_result result;
	struct check_wait *wait;

	phase_end(&check->phase, now);
	list_remove(&check->by_path);
	if (check->after != NULL) {
		if (check->after->waits.count > 0)
			check_launch(check->after, check->phase.asker, now);
		else
			check_free(check->after);
	}
	check_sum_up(check, certainty, &result);
	check_commit_newer(check, &result.answer);
	while ((wait = LIST_FIRST(struct check_wait, &check->waits, link)) != NULL) {
		check_cancel(wait);
		wait->done(wait, &result);
	}
	check_free(check);
	return true;
}

static void check_drop_waits(struct check *check)
{
	LIST_EACH(struct check_wait, wait, &check->waits, link)
		check_cancel(wait);
}

static void check_forget(struct phase *phase)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	phase_end(phase, phase->sent);
	if (check->after != NULL) {
		check_drop_waits(check->after);
		check_free(check->after);
	}
	check_drop_waits(check);
	check_free(check);
}

/* The layout has changed. */
static void check_restart(struct phase *phase, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	if (check_asks_homes(check))
		check_ask(check, phase->asker, now);
}

/* the first state: asking */

static void check_store(struct check *, uint64_t now);
static void check_store_entry(struct check *, uint64_t now);

static void ask_question(struct phase *phase, uint64_t epoch, struct buf *packet)
{
	const struct check *check = CONTAINER_OF(phase, struct check, phase);
	struct asker *asker = phase->asker;
	struct wire_check message = { .id = phase->id, .epoch = epoch,
				      .clock = asker->wall(asker->data),
				      .below = check->purpose == CHECK_BELOW,
				      .version = check->version, .path = check_path(check) };

	wire_pack(packet, WIRE_CHECK, &message);
}

static void row_fill(struct check *check, struct check_row *row, const struct wire_record *answer,
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
static bool check_is_about(const struct check *check, const struct record *record)
{
	if (version_is_none(record->version) || version_is_none(check->version))
		return true;
	return check->purpose == CHECK_BELOW ? version_cmp(record->version, check->version) < 0 :
					       version_cmp(record->version, check->version) == 0;
}

static bool ask_answered(struct phase *phase, size_t i, const struct wire *wire, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);
	const struct wire_record *told = &wire->record;
	struct check_row *row = &check->rows[i];
	bool as_home = told->epoch != 0;

	if (wire->type != WIRE_RECORD || !check_is_about(check, &told->record))
		return false;
	if (as_home && (!phase->peers[i].home || told->epoch != phase->epoch ||
			wire->sender.lineage != phase->asker->home->layout.lineage))
		return false;
	row_fill(check, row, told, now);
	if (as_home) {
		row->counted = true;
		quorum_answered(&phase->quorum, wire->sender.id);
	}
	phase->peers[i].answered = as_home || !phase->peers[i].home;
	return true;
}

static void check_ask_peers(struct check *check, uint64_t now)
{
	check->asks_peers = true;
	check_add_peers(check);
	phase_ask_peers(&check->phase, now);
}

static bool ask_step(struct phase *phase, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	switch (check_judge(check, now)) {
	case GO_ON:
		break;
	case ASK_PEERS:
		check_ask_peers(check, now);
		break;
	case STORE_ENTRY:
		check_store_entry(check, now);
		return false;
	case STORE_FILE:
		check_store(check, now);
		return false;
	case CONFIRMED:
		return check_finish(check, CERTAINTY_CONFIRMED, now);
	case UNDECIDED:
		return check_finish(check, CERTAINTY_UNDECIDED, now);
	case UNCONFIRMED:
		return check_finish(check, CERTAINTY_UNCONFIRMED, now);
	}
	phase_set_due(phase, check_look_again_at(check, now));
	return false;
}

static const struct phase_kind ask_kind = { .question = ask_question,
					    .answer = ask_answered,
					    .step = ask_step,
					    .restart = check_restart,
					    .forget = check_forget,
					    .pace = 1 };

static void check_ask(struct check *check, struct asker *asker, uint64_t now)
{
	struct phase *phase = &check->phase;

	phase_begin(phase, asker, &ask_kind, asker->check_ms, now);
	check->asks_peers = false;
	check->row_count = 0;
	check->answered = 0;
	check->own = (struct home_found){ .content = false };
	check->own_known = asker->home->lookup(asker->home->data, check_path(check), check->version,
					       check->purpose == CHECK_BELOW, &check->own) == 0;
	check_add_wanted(check);
	phase_ask(phase, now);
	check->ask_peers_at = now;
	if (check->purpose == CHECK_ONE || phase_is_likely(phase))
		check->ask_peers_at += phase->short_wait;
	else if (check_asks_homes(check))
		check_ask_peers(check, now);
	phase_set_due(phase, check_look_again_at(check, now));
}

/* the second state: storing at the homes that are behind */

static void store_question(struct phase *phase, uint64_t epoch, struct buf *packet)
{
	const struct check *check = CONTAINER_OF(phase, struct check, phase);

	phase_pack_store(phase, epoch, &check->storing, packet);
}

static bool store_answered(struct phase *phase, size_t i, const struct wire *wire, uint64_t now)
{
	(void)now;
	return phase_stored(phase, i, wire);
}

/* A name that is live again needs the directories above it: nobody waits for that here. */
static void store_parents(struct check *check, uint64_t now)
{
	if (record_is_live(&check->storing.record) && path_parent(check_path(check)).n > 0)
		storing_start(check->phase.asker, NULL, &check->storing, now);
}

/* A majority has it. */
static bool store_done(struct check *check, uint64_t now)
{
	bool entry = check->storing.record.flags & RECORD_DIRECTORY;

	store_parents(check, now);
	if (!entry || check_wants_entry_alone(check))
		return check_finish(check, CERTAINTY_CONFIRMED, now);
	check_ask(check, check->phase.asker, now);
	return false;
}

static bool store_step(struct phase *phase, uint64_t now)
{
	struct check *check = CONTAINER_OF(phase, struct check, phase);

	if (quorum_reached(&phase->quorum))
		return store_done(check, now);
	if (phase_until(phase) <= now)
		return check_finish(check, CERTAINTY_UNCONFIRMED, now);
	phase_set_due(phase, phase_next(phase, now));
	return false;
}

static const struct phase_kind store_kind = { .question = store_question,
					   .answer = store_answered,
					   .step = store_step,
					   .restart = check_restart,
					   .forget = check_forget,
					   .pace = 3 };

static void check_store_at(struct check *check, const struct quorum *holding, uint64_t now)
{
	struct phase *phase = &check->phase;
	struct asker *asker = phase->asker;

	phase_begin(phase, asker, &store_kind, asker->check_ms, now);
	asker->write_backs++;
	phase->quorum = *holding;
	phase_add_homes(phase);
	phase_ask(phase, now);
	if (quorum_has(holding, check_self(check)) && check_own_counts(check) &&
	    !quorum_is_answered(holding, check_self(check)))
		phase_commit(phase, &check->storing);
	phase_set_due(phase, phase_next(phase, now));
}

static void check_store(struct check *check, uint64_t now)
{
	struct newest newest = check_newest(check);
	struct quorum holding = check_holding(check, newest.record->version, false);

	check->storing = (struct store_ask){ .path = check_path(check), .record = *newest.record,
					     .type = str_of(newest.type) };
	check_store_at(check, &holding, now);
}

static void check_store_entry(struct check *check, uint64_t now)
{
	struct record entry = check_entry(check);
	struct quorum holding = check_holding(check, entry.version, true);

	check->entries++;
	check->storing = (struct store_ask){ .path = check_path(check), .record = entry };
	check_store_at(check, &holding, now);
}

/* what is asked for */

static struct check *check_new(struct str path, enum check_purpose purpose, struct version version,
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

static struct check *check_find(struct asker *asker, struct str path, enum check_purpose purpose,
				struct version version, uint64_t hash)
{
	LIST_EACH(struct check, check, &asker->by_path[hash % ASKER_BUCKETS], by_path)
		if (check->hash == hash && check->purpose == purpose &&
		    version_cmp(check->version, version) == 0 && str_eq(check_path(check), path))
			return check;
	return NULL;
}

void check_start(struct asker *asker, struct check_wait *wait, struct str path,
		 enum check_purpose purpose, struct version version, uint64_t now)
{
	uint64_t hash = path_hash(path);
	struct check *running = check_find(asker, path, purpose, version, hash);
	struct check *check;

	asker->now = now;
	if (running == NULL) {
		check = check_new(path, purpose, version, hash);
		check_launch(check, asker, now);
	} else {
		if (running->after == NULL)
			running->after = check_new(path, purpose, version, hash);
		check = running->after;
	}
	wait->check = check;
	list_prepend(&check->waits, &wait->link);
}

void check_cancel(struct check_wait *wait)
{
	list_remove(&wait->link);
	wait->check = NULL;
}
