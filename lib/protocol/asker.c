/* asker - this node's questions to homes, and to others when these are away */
#include "asker.h"

#include "mem.h"
#include "phase.h"

#define AGAIN_MS 20			/* after the question; then ever three times as long after it */

/*
 * Whom to ask, in which order, and how long each is worth waiting for.
 *
 * Worth waiting for, to the end, are the members that are up.  One that
 * let a question pass without answering is sick until it answers again,
 * late or early.  Members that are suspect or down, and not known to be
 * sick, are waited for a little: the view may be wrong.  Those that are
 * sick are asked last and not waited for, unless there is nobody better:
 * then those among them that are up are waited for a little as well.
 *
 * What gossip says decides whom to ask first and how long to wait, never
 * whether a home is asked: one that has left, or whose address another node
 * has, is asked by peers_target() as long as a layout has it, and is passed
 * over by peers_choose() alone.  Nobody is asked at this node's own address.
 *
 * Round trips are measured and smoothed per peer, from nothing on: one that
 * was long once is soon forgotten.
 */

static struct peer *peer_find(const struct peers *peers, uint64_t id)
{
	for (size_t i = 0; i < peers->count; i++)
		if (peers->list[i].id == id)
			return &peers->list[i];
	return NULL;
}

static void peers_clear(struct peers *peers)
{
	free(peers->list);
	*peers = (struct peers)PEERS_INIT;
}

/* Where it is, unless that is where this node is: it has moved, or is no more. */
static struct address peer_elsewhere(const struct address *address, const struct address *own)
{
	return own->len != 0 && address_eq(address, own) ? (struct address){ .len = 0 } : *address;
}

void asker_members(struct asker *asker, const struct members *members)
{
	struct peers *peers = &asker->peers;
	struct peers fresh = { .list = mem_new(members->count, sizeof *fresh.list) };
	const struct member *self = members_find(members, members->self);
	static const struct member nobody;

	if (self == NULL)
		self = &nobody;
	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->list[i];
		const struct peer *was = peer_find(peers, member->id);
		struct peer *peer = &fresh.list[fresh.count];

		if (member->id == members->self)
			continue;
		*peer = (struct peer){ .id = member->id, .state = member->state,
				       .versions = peer_elsewhere(&member->versions, &self->versions),
				       .http = peer_elsewhere(&member->http, &self->http),
				       .rtt8 = was != NULL ? was->rtt8 : 0 };
		if (was != NULL && (member->state != MEMBER_UP || was->state == MEMBER_UP)) {
			peer->sick = was->sick;
			peer->sick_of = was->sick_of;
			peer->sick_asked = was->sick_asked;
			peer->last_of = was->last_of;
			peer->last_asked = was->last_asked;
		}
		fresh.count++;
	}
	peers_clear(peers);
	*peers = fresh;
}

struct candidate {
	const struct peer *peer;
	enum peer_rank rank;
	uint64_t order;			/* within the rank; the same on every node */
};

static enum peer_rank peer_rank(const struct peer *peer)
{
	if (!peer->sick)
		return peer->state == MEMBER_UP ? PEER_UP : PEER_DOUBTFUL;
	return peer->state == MEMBER_UP ? PEER_SICK : PEER_SICK_AND_AWAY;
}

static enum peer_wait peers_wait(enum peer_rank rank, enum peer_rank best)
{
	if (rank == PEER_UP)
		return PEER_WAIT_FULL;
	if (rank == PEER_DOUBTFUL || (rank == PEER_SICK && best == PEER_SICK))
		return PEER_WAIT_SHORT;
	return PEER_WAIT_NONE;
}

static bool peer_can_be_asked(const struct peer *peer)
{
	return (peer->versions.len > 0 || peer->http.len > 0) && peer->state != MEMBER_INCOMPATIBLE;
}

static struct peer_target peer_target(const struct peer *peer, enum peer_rank best)
{
	enum peer_rank rank = peer_rank(peer);

	return (struct peer_target){ .id = peer->id, .versions = peer->versions, .http = peer->http,
				     .rtt_ms = peer->rtt8 / 8, .rank = rank,
				     .wait = peers_wait(rank, best) };
}

bool peers_target(const struct peers *peers, uint64_t id, struct peer_target *ret)
{
	const struct peer *peer = peer_find(peers, id);

	if (peer == NULL || !peer_can_be_asked(peer))
		return false;
	*ret = peer_target(peer, peer_rank(peer));
	return true;
}

static uint64_t peer_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static int by_rank(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

size_t peers_choose(const struct peers *peers, uint64_t hash, struct peer_target ret[PEERS_ASKED_MAX])
{
	struct candidate candidates[MEMBERS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < peers->count && count < MEMBERS_MAX; i++) {
		const struct peer *peer = &peers->list[i];

		if (!peer_can_be_asked(peer) || peer->state == MEMBER_LEFT)
			continue;
		candidates[count++] = (struct candidate){ .peer = peer, .rank = peer_rank(peer),
							  .order = peer_mix(hash ^ peer->id) };
	}
	qsort(candidates, count, sizeof candidates[0], by_rank);
	if (count > PEERS_ASKED_MAX)
		count = PEERS_ASKED_MAX;
	for (size_t i = 0; i < count; i++)
		ret[i] = peer_target(candidates[i].peer, candidates[0].rank);
	return count;
}

/*
 * One that is asked again and again is given time to answer one of the questions late: the
 * first in a while, as far as its way is long, and the newest, as it was away until now.
 */
void peers_silent(struct peers *peers, uint64_t id, uint64_t question, uint64_t asked)
{
	struct peer *peer = peer_find(peers, id);

	if (peer == NULL)
		return;
	peer->last_of = question;
	peer->last_asked = asked;
	if (peer->sick && asked < peer->sick_asked + PEERS_RTT_MAX_MS)
		return;
	peer->sick = true;
	peer->sick_of = question;
	peer->sick_asked = asked;
}

static void peers_heard(struct peers *peers, uint64_t id)
{
	struct peer *peer = peer_find(peers, id);

	if (peer != NULL)
		peer->sick = false;
}

void peers_heard_late(struct peers *peers, uint64_t id, uint64_t question, uint64_t now)
{
	const struct peer *peer = peer_find(peers, id);

	if (peer == NULL || !peer->sick || (peer->sick_of != question && peer->last_of != question))
		return;
	peers_heard(peers, id);
	peers_measured(peers, id, now - (peer->last_of == question ? peer->last_asked : peer->sick_asked));
}

void peers_measured(struct peers *peers, uint64_t id, uint64_t ms)
{
	struct peer *peer = peer_find(peers, id);
	uint32_t sample = (uint32_t)(ms < PEERS_RTT_MAX_MS ? ms : PEERS_RTT_MAX_MS);

	if (peer != NULL)
		peer->rtt8 = peer->rtt8 - peer->rtt8 / 8 + sample;
}

/* a question */

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
	list_prepend(&asker->by_id[phase->id % ASKER_BUCKETS], &phase->by_id);
	list_prepend(&asker->running, &phase->running);
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
	list_remove(&phase->by_id);
	list_remove(&phase->running);
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

size_t asker_peers(const struct asker *asker)
{
	size_t count = 0;

	for (size_t i = 0; i < asker->peers.count; i++)
		count += asker->peers.list[i].state != MEMBER_LEFT;
	return count;
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
	LIST_EACH(struct phase, phase, &asker->by_id[id % ASKER_BUCKETS], by_id)
		if (phase->id == id)
			return phase;
	return NULL;
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
