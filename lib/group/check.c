/* check - asking all peers which version of a path they have */
#include "check.h"

#include "mem.h"

static const uint64_t again_ms[] = { 20, 60, 180 };
#define AGAIN (sizeof again_ms / sizeof again_ms[0])

/* How long a peer is worth waiting for; in the order in which they are asked. */
enum worth { WORTH_ALL, WORTH_A_LITTLE, WORTH_IF_ALONE, WORTH_NOTHING };

struct peer {
	uint64_t id;
	struct address versions;
	enum member_state state;
	bool sick;
	uint64_t sick_of;		/* id of a check it has not answered */
};

struct target {				/* beside its row */
	struct address address;
	enum worth worth;
};

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
	struct target targets[CHECK_PEERS_MAX];
	size_t count;
};

void checks_init(struct checks *checks, uint64_t group, const struct member *self,
		 uint64_t timeout_ms)
{
	*checks = (struct checks){ .timeout_ms = timeout_ms, .self = self->id };
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
	free(checks->peers);
	buf_clear(&checks->sender);
	buf_clear(&checks->packet);
	*checks = (struct checks){ .due = 0 };
}

/* peers */

static struct peer *find_peer(const struct checks *checks, uint64_t id)
{
	for (size_t i = 0; i < checks->peer_count; i++)
		if (checks->peers[i].id == id)
			return &checks->peers[i];
	return NULL;
}

void checks_members(struct checks *checks, const struct members *members)
{
	struct peer *peers = mem_new(members->count, sizeof *peers);
	size_t count = 0;

	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->list[i];
		const struct peer *was = find_peer(checks, member->id);
		struct peer *peer = &peers[count];

		if (member->id == checks->self || member->state == MEMBER_LEFT)
			continue;
		*peer = (struct peer){ .id = member->id, .versions = member->versions,
				       .state = member->state };
		/* One that has come back is worth waiting for again. */
		if (was != NULL && (member->state != MEMBER_UP || was->state == MEMBER_UP)) {
			peer->sick = was->sick;
			peer->sick_of = was->sick_of;
		}
		count++;
	}
	free(checks->peers);
	checks->peers = peers;
	checks->peer_count = count;
}

size_t checks_asked(const struct checks *checks)
{
	return checks->peer_count;
}

/* whom to ask */

struct candidate {
	const struct peer *peer;
	enum worth worth;
	uint64_t rank;			/* the same order on every node */
};

static enum worth worth_of(const struct peer *peer)
{
	if (!peer->sick)
		return peer->state == MEMBER_UP ? WORTH_ALL : WORTH_A_LITTLE;
	return peer->state == MEMBER_UP ? WORTH_IF_ALONE : WORTH_NOTHING;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static int by_worth(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->worth != y->worth)
		return x->worth < y->worth ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void choose_targets(struct checks *checks, struct check *check)
{
	struct candidate candidates[MEMBERS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < checks->peer_count && count < MEMBERS_MAX; i++) {
		const struct peer *peer = &checks->peers[i];

		if (peer->versions.len == 0 || peer->state == MEMBER_INCOMPATIBLE)
			continue;
		candidates[count++] = (struct candidate){ .peer = peer, .worth = worth_of(peer),
							  .rank = mix(check->hash ^ peer->id) };
	}
	qsort(candidates, count, sizeof candidates[0], by_worth);
	check->count = count < CHECK_PEERS_MAX ? count : CHECK_PEERS_MAX;
	for (size_t i = 0; i < check->count; i++) {
		check->rows[i].id = candidates[i].peer->id;
		check->targets[i].address = candidates[i].peer->versions;
		check->targets[i].worth = candidates[i].worth;
		/* Sorted: the first tells whether there is anybody better. */
		if (candidates[i].worth == WORTH_IF_ALONE)
			check->targets[i].worth = candidates[0].worth == WORTH_IF_ALONE ?
							  WORTH_A_LITTLE :
							  WORTH_NOTHING;
	}
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
		if (!check->rows[i].answered && (all || check->targets[i].worth != WORTH_NOTHING))
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
		if (check->targets[i].worth == WORTH_ALL)
			return check->sent + checks->timeout_ms;
		if (check->targets[i].worth == WORTH_A_LITTLE)
			wait = check->sent + (CHECK_SICK_MS < checks->timeout_ms ?
						      CHECK_SICK_MS : checks->timeout_ms);
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
	return &checks->by_path[mix(hash) % CHECK_BUCKETS];
}

static void launch(struct checks *checks, struct check *check, uint64_t now)
{
	struct check **by_path = path_bucket(checks, check->hash), **by_id;

	check->id = checks->random(checks->data);
	check->sent = now;
	check->asked = (uint32_t)checks->peer_count;
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

static void remember_sick(struct checks *checks, const struct check *check)
{
	for (size_t i = 0; i < check->count; i++) {
		struct peer *peer = find_peer(checks, check->rows[i].id);

		if (peer == NULL || check->rows[i].answered)
			continue;
		peer->sick = true;
		peer->sick_of = check->id;
	}
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
	remember_sick(checks, check);
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
		struct peer *peer = find_peer(checks, wire->sender.id);

		if (peer != NULL && peer->sick_of == answer->id)
			peer->sick = false;
		return;
	}
	for (size_t i = 0; i < check->count; i++) {
		struct peer *peer;

		if (check->rows[i].id != wire->sender.id || check->rows[i].answered)
			continue;
		fill_row(check, &check->rows[i], answer, now);
		peer = find_peer(checks, wire->sender.id);
		if (peer != NULL)
			peer->sick = false;
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
