/* asker - this node's questions to homes, and to others when these are away */
#include "asker.h"

#include "phase.h"
#include "storing.h"

#define AGAIN_MS 20			/* after the question; then ever three times as long after it */

/* the questions that are running */

static struct phase **phase_bucket(struct asker *asker, uint64_t id)
{
	return &asker->by_id[id % ASKER_BUCKETS];
}

static void phase_link(struct phase *phase)
{
	struct asker *asker = phase->asker;
	struct phase **by_id = phase_bucket(asker, phase->id);

	phase->id_next = *by_id;
	*by_id = phase;
	list_prepend(&asker->running, &phase->running);
}

static void phase_unlink(struct phase *phase)
{
	struct phase **p = phase_bucket(phase->asker, phase->id);

	while (*p != phase)
		p = &(*p)->id_next;
	*p = phase->id_next;
	list_remove(&phase->running);
}

void phase_begin(struct phase *phase, struct asker *asker, const struct phase_kind *kind,
		 uint64_t timeout_ms, uint64_t now)
{
	if (link_is_linked(&phase->running))
		phase_end(phase, now);
	phase->asker = asker;
	phase->kind = kind;
	phase->id = asker->random(asker->data);
	phase->epoch = asker->home->layout.epoch;
	phase->sent = now;
	phase->deadline = now + timeout_ms;
	phase->short_wait = ASKER_SHORT_WAIT_MS < timeout_ms ? ASKER_SHORT_WAIT_MS : timeout_ms;
	phase->due = 0;
	phase->repeats = 0;
	phase->asks_peers = phase->stale = phase->committing = false;
	phase->count = 0;
	quorum_begin(&phase->quorum);
	phase_link(phase);
}

/* whom to ask */

bool phase_is_likely(const struct phase *phase)
{
	struct quorum quorum = phase->quorum;

	for (size_t i = 0; i < phase->count; i++)
		if (phase->peers[i].home && phase->peers[i].target.rank == PEER_UP)
			quorum_answered(&quorum, phase->peers[i].target.id);
	return quorum_reached(&quorum);
}

static uint64_t phase_slowest(const struct phase *phase)
{
	uint64_t slowest = 0;

	for (size_t i = 0; i < phase->count; i++) {
		const struct peer_target *target = &phase->peers[i].target;

		if (phase->peers[i].home && target->rank <= PEER_DOUBTFUL &&
		    target->rtt_ms > slowest)
			slowest = target->rtt_ms;
	}
	return slowest;
}

size_t phase_add(struct phase *phase, const struct peer_target *target)
{
	for (size_t i = 0; i < phase->count; i++)
		if (phase->peers[i].target.id == target->id)
			return i;
	if (phase->count == PHASE_PEERS_MAX)
		return PHASE_PEERS_MAX;
	phase->peers[phase->count] = (struct phase_peer){ .target = *target };
	return phase->count++;
}

/* The sick are waited for when a majority needs them, and all as long as their way takes. */
static void phase_weigh_homes(struct phase *phase)
{
	enum peer_rank best = phase_is_likely(phase) ? PEER_UP : PEER_SICK;
	uint64_t slowest = phase_slowest(phase);

	for (size_t i = 0; i < phase->count; i++)
		phase->peers[i].target.wait = peers_wait(phase->peers[i].target.rank, best);
	phase->short_wait += slowest * 2;
	if (phase->deadline < phase->sent + slowest * 4)
		phase->deadline = phase->sent + slowest * 4;
}

void phase_add_homes(struct phase *phase)
{
	uint64_t ids[QUORUM_HOMES_MAX];
	size_t count = quorum_homes(&phase->quorum, ids);

	/* those that are well first */
	for (int rank = PEER_UP; rank <= PEER_SICK_AND_AWAY; rank++) {
		for (size_t i = 0; i < count; i++) {
			struct peer_target target;
			size_t at;

			if (ids[i] == phase->asker->home->self.id ||
			    quorum_is_answered(&phase->quorum, ids[i]) ||
			    !peers_target(&phase->asker->peers, ids[i], &target) ||
			    (int)target.rank != rank)
				continue;
			at = phase_add(phase, &target);
			if (at < PHASE_PEERS_MAX)
				phase->peers[at].home = true;
		}
	}
	phase_weigh_homes(phase);
}

/* asking */

static void phase_make_packet(struct phase *phase, uint64_t epoch)
{
	struct buf *packet = &phase->asker->packet;

	buf_reset(packet);
	buf_addstr(packet, buf_str(&phase->asker->home->sender));
	wire_pack_to(packet, 0, WIRE_VERSIONS);		/* each of them in turn */
	phase->kind->question(phase, epoch, packet);
}

static void phase_send_to(struct phase *phase, struct phase_peer *peer, uint64_t now)
{
	struct asker *asker = phase->asker;

	if (peer->asked_times == 0)
		peer->asked = now;
	wire_set_receiver(&asker->packet, asker->home->sender.len, peer->target.id);
	asker->send(asker->data, &peer->target, buf_str(&asker->packet), peer->asked_times++);
}

enum whom { NEVER_ASKED, SILENT, SILENT_HOMES };

static bool phase_wants(const struct phase_peer *peer, enum whom whom, bool as_home)
{
	if (peer->answered || (as_home && (!peer->home || peer->stale)))
		return false;
	if (whom == NEVER_ASKED)
		return peer->asked_times == 0 && peer->home == as_home;
	return peer->target.wait != PEER_WAIT_NONE || whom == SILENT_HOMES;
}

static void phase_send_round(struct phase *phase, enum whom whom, bool as_home, uint64_t now)
{
	bool made = false;

	for (size_t i = 0; i < phase->count; i++) {
		if (!phase_wants(&phase->peers[i], whom, as_home))
			continue;
		if (!made)
			phase_make_packet(phase, as_home ? phase->epoch : 0);
		made = true;
		phase_send_to(phase, &phase->peers[i], now);
	}
}

void phase_ask(struct phase *phase, uint64_t now)
{
	phase_send_round(phase, NEVER_ASKED, true, now);
	phase_send_round(phase, NEVER_ASKED, false, now);
}

void phase_ask_peers(struct phase *phase, uint64_t now)
{
	phase->asks_peers = true;
	phase_send_round(phase, SILENT_HOMES, false, now);
}

static uint64_t phase_again_at(const struct phase *phase)
{
	uint64_t wait = AGAIN_MS * phase->kind->pace;

	for (size_t i = 0; i < phase->repeats; i++)
		wait *= 3;
	return phase->sent + wait + phase_slowest(phase);
}

static void phase_again(struct phase *phase, uint64_t now)
{
	if (now < phase_again_at(phase))
		return;
	while (now >= phase_again_at(phase))
		phase->repeats++;
	phase_send_round(phase, SILENT, true, now);
	if (phase->asks_peers)
		phase_send_round(phase, SILENT, false, now);
}

/* when it is over */

uint64_t phase_until(const struct phase *phase)
{
	uint64_t until = phase->stale || phase->committing ? phase->deadline : 0;

	for (size_t i = 0; i < phase->count && until < phase->deadline; i++) {
		const struct phase_peer *peer = &phase->peers[i];
		uint64_t short_end = peer->asked + phase->short_wait;

		if (peer->answered || peer->stale || peer->target.wait == PEER_WAIT_NONE)
			continue;
		until = peer->target.wait == PEER_WAIT_FULL || short_end > phase->deadline ?
				phase->deadline : short_end;
	}
	return until;
}

uint64_t phase_next(const struct phase *phase, uint64_t now)
{
	uint64_t next = phase_until(phase);

	if (phase_again_at(phase) < next)
		next = phase_again_at(phase);
	return next > now ? next : now;
}

void phase_set_due(struct phase *phase, uint64_t due)
{
	struct asker *asker = phase->asker;

	phase->due = due;
	if (asker->due == 0 || due < asker->due)
		asker->due = due;
}

/* Sick is who had the time to answer and did not. */
static void phase_remember_silent(struct phase *phase, uint64_t now)
{
	for (size_t i = 0; i < phase->count; i++) {
		const struct phase_peer *peer = &phase->peers[i];
		uint64_t enough = phase->short_wait < phase->deadline - phase->sent ?
					  phase->short_wait : phase->deadline - phase->sent;

		if (!peer->answered && !peer->stale && peer->asked_times > 0 &&
		    now >= peer->asked + enough)
			peers_silent(&phase->asker->peers, peer->target.id, phase->id, peer->asked);
	}
}

void phase_end(struct phase *phase, uint64_t now)
{
	if (!link_is_linked(&phase->running))
		return;
	phase_unlink(phase);
	phase_remember_silent(phase, now);
}

/* answers */

static void phase_hear_stale(struct phase *phase, struct phase_peer *peer, const struct wire *wire)
{
	struct asker *asker = phase->asker;

	if (wire->stale.epoch <= phase->epoch || wire->sender.lineage != asker->home->layout.lineage)
		return;
	peer->stale = phase->stale = true;
	asker->behind(asker->data, wire->stale.epoch, wire->sender.id, &wire->sender.discovery);
}

static void phase_answered(struct phase *phase, const struct wire *wire, uint64_t now)
{
	struct peers *peers = &phase->asker->peers;

	for (size_t i = 0; i < phase->count; i++) {
		struct phase_peer *peer = &phase->peers[i];

		if (peer->target.id != wire->sender.id || peer->answered)
			continue;
		if (wire->type == WIRE_STALE)
			phase_hear_stale(phase, peer, wire);
		else if (!phase->kind->answer(phase, i, wire, now))
			continue;
		peers_heard(peers, wire->sender.id);
		if (phase->kind->pace == 1)	/* a disk's time is no way's */
			peers_measured(peers, wire->sender.id, now - peer->asked);
	}
}

/* a record that homes are to keep */

void phase_pack_store(const struct phase *phase, uint64_t epoch, const struct store_ask *ask,
		      struct buf *packet)
{
	struct wire_store message = { .id = phase->id, .epoch = epoch, .record = ask->record,
				      .type = ask->type, .path = ask->path };

	wire_pack(packet, WIRE_STORE, &message);
}

bool phase_stored(struct phase *phase, size_t i, const struct wire *wire)
{
	if (wire->type != WIRE_STORED || wire->stored.epoch != phase->epoch ||
	    wire->sender.lineage != phase->asker->home->layout.lineage)
		return false;
	phase->peers[i].answered = true;
	quorum_answered(&phase->quorum, wire->sender.id);
	return true;
}

void phase_commit(struct phase *phase, const struct store_ask *ask)
{
	phase->committing = true;
	phase->asker->commit(phase->asker->data, phase->id, ask);
}

static void phase_committed(struct phase *phase, bool on_disk)
{
	phase->committing = false;
	if (on_disk && (phase->kind->kept == NULL || phase->kind->kept(phase)))
		quorum_answered(&phase->quorum, phase->asker->home->self.id);
}

/* all of them */

void asker_init(struct asker *asker, struct home *home, uint64_t check_ms, uint64_t store_ms)
{
	*asker = (struct asker){ .home = home, .check_ms = check_ms, .store_ms = store_ms };
}

void asker_clear(struct asker *asker)
{
	struct phase *phase;

	while ((phase = LIST_FIRST(struct phase, &asker->running, running)) != NULL)
		phase->kind->forget(phase);
	storing_forget_all(asker);
	peers_clear(&asker->peers);
	buf_clear(&asker->packet);
	*asker = (struct asker){ .due = 0 };
}

void asker_members(struct asker *asker, const struct members *members)
{
	peers_set(&asker->peers, members);
}

size_t asker_peers(const struct asker *asker)
{
	return peers_count(&asker->peers);
}

/* Each goes to the front of the list as it begins again: those that have not are behind it. */
void asker_layout(struct asker *asker, const struct layout *layout, uint64_t now)
{
	asker->now = now;
	if (!home_layout(asker->home, layout))
		return;
	storing_forget_parents(asker);
	LIST_EACH(struct phase, phase, &asker->running, running)
		phase->kind->restart(phase, now);
}

static struct phase *phase_find(struct asker *asker, uint64_t id)
{
	struct phase *phase = asker->by_id[id % ASKER_BUCKETS];

	while (phase != NULL && phase->id != id)
		phase = phase->id_next;
	return phase;
}

static uint64_t question_id(const struct wire *wire)
{
	if (wire->type == WIRE_RECORD)
		return wire->record.id;
	return wire->type == WIRE_STORED ? wire->stored.id : wire->stale.id;
}

void asker_receive(struct asker *asker, const struct wire *wire, uint64_t now)
{
	struct phase *phase;

	asker->now = now;
	if (wire->type != WIRE_RECORD && wire->type != WIRE_STORED && wire->type != WIRE_STALE)
		return;
	phase = phase_find(asker, question_id(wire));
	if (phase == NULL) {		/* too late for its question, but it lives */
		peers_heard_late(&asker->peers, wire->sender.id, question_id(wire), now);
		return;
	}
	phase_answered(phase, wire, now);
	phase->kind->step(phase, now);
}

void asker_committed(struct asker *asker, uint64_t id, bool on_disk, uint64_t now)
{
	struct phase *phase = phase_find(asker, id);

	asker->now = now;
	if (phase == NULL || !phase->committing)
		return;
	phase_committed(phase, on_disk);
	phase->kind->step(phase, now);
}

/* done() may begin and cancel others: after each the list is gone through anew. */
void asker_tick(struct asker *asker, uint64_t now)
{
	struct phase *phase;

	asker->now = now;
	do {
		asker->due = 0;
		for (phase = LIST_FIRST(struct phase, &asker->running, running); phase != NULL;
		     phase = LIST_NEXT(struct phase, phase, running)) {
			if (phase->due <= now) {
				phase_again(phase, now);
				if (phase->kind->step(phase, now))
					break;
			}
			if (asker->due == 0 || phase->due < asker->due)
				asker->due = phase->due;
		}
	} while (phase != NULL);
}
