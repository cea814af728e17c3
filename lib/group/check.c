/* check - asking all peers which version of a path they have */
#include "check.h"

#include "mem.h"

static const uint64_t again_ms[] = { 20, 60, 180 };
#define AGAIN (sizeof again_ms / sizeof again_ms[0])

struct check {
	struct check *path_next, *id_next;	/* in their buckets */
	struct check *next, *prev;	/* that are running */
	struct check *after;		/* starts when this is over; NULL: nobody waits for it */
	struct checks *checks;
	struct check_wait *waits;
	char *path;			/* owned */
	size_t path_bytes;
	struct version version;
	uint64_t hash, id;
	uint64_t sent;			/* ms */
	size_t repeats;			/* retransmissions so far */
	uint32_t asked, answered;
	struct check_row rows[CHECK_PEERS_MAX];
	struct peer_target targets[CHECK_PEERS_MAX];	/* beside their rows */
	size_t count;
};

void checks_init(struct checks *checks, uint64_t group, const struct member *self,
		 uint64_t timeout_ms)
{
	*checks = (struct checks){ .timeout_ms = timeout_ms };
	wire_pack_sender(&checks->sender, group, self);
}

static void drop_waits(struct check *check)
{
	for (struct check_wait *wait = check->waits, *next; wait != NULL; wait = next) {
		next = wait->next;
		wait->check = NULL;
	}
}

static void check_free(struct check *check)
{
	free(check->path);
	free(check);
}

void checks_clear(struct checks *checks)
{
	for (struct check *check = checks->running, *next; check != NULL; check = next) {
		next = check->next;
		if (check->after != NULL) {
			drop_waits(check->after);
			check_free(check->after);
		}
		drop_waits(check);
		check_free(check);
	}
	peers_clear(&checks->peers);
	buf_clear(&checks->sender);
	buf_clear(&checks->packet);
	*checks = (struct checks){ .due = 0 };
}

void checks_members(struct checks *checks, const struct members *members)
{
	peers_set(&checks->peers, members);
}

size_t checks_asked(const struct checks *checks)
{
	return checks->peers.count;
}

/* asking */

static void choose_targets(struct checks *checks, struct check *check)
{
	check->count = peers_choose(&checks->peers, check->hash, check->targets);
	for (size_t i = 0; i < check->count; i++)
		check->rows[i].id = check->targets[i].id;
}

static void send_to_silent(struct checks *checks, struct check *check, bool all)
{
	struct wire_check message = { .id = check->id, .clock = checks->wall(checks->data),
				      .version = check->version,
				      .path = { check->path, check->path_bytes } };

	buf_reset(&checks->packet);
	buf_addstr(&checks->packet, buf_str(&checks->sender));
	wire_pack_check(&checks->packet, &message);
	for (size_t i = 0; i < check->count; i++)
		if (!check->rows[i].answered && (all || check->targets[i].worth != PEER_NOTHING))
			checks->send(checks->data, &check->targets[i].address,
				     buf_str(&checks->packet));
}

/* when it is over */

/* ms of the time until which it is worth waiting; 0: it is over. */
static uint64_t worth_until(const struct checks *checks, const struct check *check)
{
	uint64_t wait = 0;

	for (size_t i = 0; i < check->count; i++) {
		if (check->rows[i].answered)
			continue;
		if (check->targets[i].worth == PEER_ALL)
			return check->sent + checks->timeout_ms;
		if (check->targets[i].worth == PEER_A_LITTLE)
			wait = check->sent + (CHECK_A_LITTLE_MS < checks->timeout_ms ?
						      CHECK_A_LITTLE_MS : checks->timeout_ms);
	}
	return wait;
}

static void set_due(struct checks *checks, uint64_t due)
{
	if (checks->due == 0 || due < checks->due)
		checks->due = due;
}

/* When the check has something to do next: over, or asking again. */
static uint64_t next_due(const struct checks *checks, const struct check *check, uint64_t now)
{
	uint64_t until = worth_until(checks, check);
	uint64_t again = check->repeats < AGAIN ? check->sent + again_ms[check->repeats] : until;

	if (until == 0)
		return now;
	return again < until ? again : until;
}

static struct check **path_bucket(struct checks *checks, uint64_t hash)
{
	return &checks->by_path[hash % CHECK_BUCKETS];
}

static void launch(struct checks *checks, struct check *check, uint64_t now)
{
	struct check **by_path = path_bucket(checks, check->hash), **by_id;

	check->id = checks->random(checks->data);
	check->sent = now;
	check->asked = (uint32_t)checks->peers.count;
	by_id = &checks->by_id[check->id % CHECK_BUCKETS];
	check->path_next = *by_path;
	*by_path = check;
	check->id_next = *by_id;
	*by_id = check;
	check->next = checks->running;
	if (checks->running != NULL)
		checks->running->prev = check;
	checks->running = check;
	choose_targets(checks, check);
	send_to_silent(checks, check, true);
	set_due(checks, next_due(checks, check, now));
}

static void unlink_check(struct checks *checks, struct check *check)
{
	struct check **p;

	for (p = path_bucket(checks, check->hash); *p != check; p = &(*p)->path_next)
		;
	*p = check->path_next;
	for (p = &checks->by_id[check->id % CHECK_BUCKETS]; *p != check; p = &(*p)->id_next)
		;
	*p = check->id_next;
	if (check->prev != NULL)
		check->prev->next = check->next;
	else
		checks->running = check->next;
	if (check->next != NULL)
		check->next->prev = check->prev;
}

static void remember_silent(struct checks *checks, const struct check *check)
{
	for (size_t i = 0; i < check->count; i++)
		if (!check->rows[i].answered)
			peers_silent(&checks->peers, check->rows[i].id, check->id);
}

static void sum_up(const struct check *check, struct check_result *ret)
{
	const struct check_row *newest = NULL;

	*ret = (struct check_result){ .rows = check->rows, .row_count = check->count,
				      .asked = check->asked, .answered = check->answered };
	for (size_t i = 0; i < check->count; i++) {
		const struct check_row *row = &check->rows[i];

		ret->directory = ret->directory || row->directory;
		if (!version_is_none(row->record.version) &&
		    (newest == NULL ||
		     version_cmp(row->record.version, newest->record.version) > 0))
			newest = row;
	}
	ret->newest = newest;
	for (unsigned order = 0; newest != NULL && order < check->answered; order++)
		for (size_t i = 0; i < check->count; i++)
			if (check->rows[i].answered && check->rows[i].order == order &&
			    check->rows[i].content &&
			    record_eq(&check->rows[i].record, &newest->record))
				ret->holders[ret->holder_count++] = check->rows[i].id;
}

/* The next one starts first, so that there is always one in flight for a waiting reader. */
static void finish(struct checks *checks, struct check *check, uint64_t now)
{
	struct check_result result;
	struct check_wait *wait;

	unlink_check(checks, check);
	remember_silent(checks, check);
	if (check->after != NULL) {
		if (check->after->waits != NULL)
			launch(checks, check->after, now);
		else
			check_free(check->after);
	}
	sum_up(check, &result);
	while ((wait = check->waits) != NULL) {
		check_cancel(wait);
		wait->done(wait, &result);
	}
	check_free(check);
}

/* readers */

static struct check *new_check(struct checks *checks, struct str path, struct version version,
			       uint64_t hash)
{
	struct check *check = mem_new(1, sizeof *check);

	check->checks = checks;
	check->path = mem_copy(path.s, path.n);
	check->path_bytes = path.n;
	check->version = version;
	check->hash = hash;
	return check;
}

static struct check *find_running(struct checks *checks, struct str path, struct version version,
				  uint64_t hash)
{
	struct check *check = *path_bucket(checks, hash);

	while (check != NULL &&
	       !(check->hash == hash && version_cmp(check->version, version) == 0 &&
		 str_eq((struct str){ check->path, check->path_bytes }, path)))
		check = check->path_next;
	return check;
}

void check_start(struct checks *checks, struct check_wait *wait, struct str path,
		 struct version version, uint64_t now)
{
	uint64_t hash = path_hash(path);
	struct check *running = find_running(checks, path, version, hash);
	struct check *check;

	if (running == NULL) {
		check = new_check(checks, path, version, hash);
		launch(checks, check, now);
	} else {
		if (running->after == NULL)
			running->after = new_check(checks, path, version, hash);
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

/* what comes */

static void fill_row(struct check *check, struct check_row *row, const struct wire_record *answer,
		     uint64_t now)
{
	bool other = !version_is_none(check->version) &&
		     version_cmp(answer->record.version, check->version) != 0;

	row->answered = true;
	row->at = now;
	row->order = check->answered++;
	row->directory = answer->directory;
	if (other)		/* not what was asked for */
		return;
	row->record = answer->record;
	row->content = answer->content;
	memcpy(row->type, answer->type.s != NULL ? answer->type.s : "", answer->type.n);
	row->type[answer->type.n] = '\0';
}

void checks_receive(struct checks *checks, const struct wire *wire, uint64_t now)
{
	const struct wire_record *answer = &wire->record;
	struct check *check;

	if (wire->type != WIRE_RECORD)
		return;
	check = checks->by_id[answer->id % CHECK_BUCKETS];
	while (check != NULL && check->id != answer->id)
		check = check->id_next;
	if (check == NULL) {		/* too late for its check, but it lives */
		peers_heard_late(&checks->peers, wire->sender.id, answer->id);
		return;
	}
	for (size_t i = 0; i < check->count; i++) {
		if (check->rows[i].id != wire->sender.id || check->rows[i].answered)
			continue;
		fill_row(check, &check->rows[i], answer, now);
		peers_heard(&checks->peers, wire->sender.id);
	}
	if (worth_until(checks, check) == 0)
		finish(checks, check, now);
}

void checks_tick(struct checks *checks, uint64_t now)
{
	struct check *over = NULL;

	checks->due = 0;
	for (struct check *check = checks->running; check != NULL; check = check->next) {
		if (worth_until(checks, check) <= now) {
			over = check;
			continue;
		}
		if (check->repeats < AGAIN && now >= check->sent + again_ms[check->repeats]) {
			while (check->repeats < AGAIN && now >= check->sent + again_ms[check->repeats])
				check->repeats++;
			send_to_silent(checks, check, false);
		}
		set_due(checks, next_due(checks, check, now));
	}
	/* One at a time: done() may start and cancel others. */
	if (over != NULL) {
		finish(checks, over, now);
		set_due(checks, now);
	}
}
