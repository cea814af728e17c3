/* peers - whom to ask, in which order, and how long each is worth waiting for */
#include "peers.h"

#include "mem.h"

static struct peer *find(const struct peers *peers, uint64_t id)
{
	for (size_t i = 0; i < peers->count; i++)
		if (peers->list[i].id == id)
			return &peers->list[i];
	return NULL;
}

void peers_clear(struct peers *peers)
{
	free(peers->list);
	*peers = (struct peers)PEERS_INIT;
}

/* Where it is, unless that is where this node is: it has moved, or is no more. */
static struct address elsewhere(const struct address *address, const struct address *own)
{
	return own->len != 0 && address_eq(address, own) ? (struct address){ .len = 0 } : *address;
}

void peers_set(struct peers *peers, const struct members *members)
{
	struct peers fresh = { .list = mem_new(members->count, sizeof *fresh.list) };
	const struct member *self = members_find(members, members->self);
	static const struct member nobody;

	if (self == NULL)
		self = &nobody;
	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->list[i];
		const struct peer *was = find(peers, member->id);
		struct peer *peer = &fresh.list[fresh.count];

		if (member->id == members->self)
			continue;
		*peer = (struct peer){ .id = member->id, .state = member->state,
				       .versions = elsewhere(&member->versions, &self->versions),
				       .http = elsewhere(&member->http, &self->http),
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

size_t peers_count(const struct peers *peers)
{
	size_t count = 0;

	for (size_t i = 0; i < peers->count; i++)
		count += peers->list[i].state != MEMBER_LEFT;
	return count;
}

struct candidate {
	const struct peer *peer;
	enum peer_rank rank;
	uint64_t order;			/* within the rank; the same on every node */
};

static enum peer_rank rank_of(const struct peer *peer)
{
	if (!peer->sick)
		return peer->state == MEMBER_UP ? PEER_UP : PEER_DOUBTFUL;
	return peer->state == MEMBER_UP ? PEER_SICK : PEER_SICK_AND_AWAY;
}

enum peer_wait peers_wait(enum peer_rank rank, enum peer_rank best)
{
	if (rank == PEER_UP)
		return PEER_WAIT_FULL;
	if (rank == PEER_DOUBTFUL || (rank == PEER_SICK && best == PEER_SICK))
		return PEER_WAIT_SHORT;
	return PEER_WAIT_NONE;
}

static bool can_be_asked(const struct peer *peer)
{
	return (peer->versions.len > 0 || peer->http.len > 0) && peer->state != MEMBER_INCOMPATIBLE;
}

static struct peer_target target_of(const struct peer *peer, enum peer_rank best)
{
	enum peer_rank rank = rank_of(peer);

	return (struct peer_target){ .id = peer->id, .versions = peer->versions, .http = peer->http,
				     .rtt_ms = peer->rtt8 / 8, .rank = rank,
				     .wait = peers_wait(rank, best) };
}

bool peers_target(const struct peers *peers, uint64_t id, struct peer_target *ret)
{
	const struct peer *peer = find(peers, id);

	if (peer == NULL || !can_be_asked(peer))
		return false;
	*ret = target_of(peer, rank_of(peer));
	return true;
}

static uint64_t mix(uint64_t x)
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

		if (!can_be_asked(peer) || peer->state == MEMBER_LEFT)
			continue;
		candidates[count++] = (struct candidate){ .peer = peer, .rank = rank_of(peer),
							  .order = mix(hash ^ peer->id) };
	}
	qsort(candidates, count, sizeof candidates[0], by_rank);
	if (count > PEERS_ASKED_MAX)
		count = PEERS_ASKED_MAX;
	for (size_t i = 0; i < count; i++)
		ret[i] = target_of(candidates[i].peer, candidates[0].rank);
	return count;
}

/*
 * One that is asked again and again is given time to answer one of the questions late: the
 * first in a while, as far as its way is long, and the newest, as it was away until now.
 */
void peers_silent(struct peers *peers, uint64_t id, uint64_t question, uint64_t asked)
{
	struct peer *peer = find(peers, id);

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

void peers_heard(struct peers *peers, uint64_t id)
{
	struct peer *peer = find(peers, id);

	if (peer != NULL)
		peer->sick = false;
}

void peers_heard_late(struct peers *peers, uint64_t id, uint64_t question, uint64_t now)
{
	const struct peer *peer = find(peers, id);

	if (peer == NULL || !peer->sick || (peer->sick_of != question && peer->last_of != question))
		return;
	peers_heard(peers, id);
	peers_measured(peers, id, now - (peer->last_of == question ? peer->last_asked : peer->sick_asked));
}

void peers_measured(struct peers *peers, uint64_t id, uint64_t ms)
{
	struct peer *peer = find(peers, id);
	uint32_t sample = (uint32_t)(ms < PEERS_RTT_MAX_MS ? ms : PEERS_RTT_MAX_MS);

	if (peer != NULL)
		peer->rtt8 = peer->rtt8 - peer->rtt8 / 8 + sample;
}
