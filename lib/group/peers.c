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

void peers_set(struct peers *peers, const struct members *members)
{
	struct peers fresh = { .list = mem_new(members->count, sizeof *fresh.list) };

	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->list[i];
		const struct peer *was = find(peers, member->id);
		struct peer *peer = &fresh.list[fresh.count];

		if (member->id == members->self || member->state == MEMBER_LEFT)
			continue;
		*peer = (struct peer){ .id = member->id, .versions = member->versions,
				       .state = member->state };
		if (was != NULL && (member->state != MEMBER_UP || was->state == MEMBER_UP)) {
			peer->sick = was->sick;
			peer->sick_of = was->sick_of;
		}
		fresh.count++;
	}
	peers_clear(peers);
	*peers = fresh;
}

/* Finer than what the caller is told: how good a choice it is. */
enum rank { RANK_UP, RANK_DOUBTFUL, RANK_SICK, RANK_SICK_AND_AWAY };

struct candidate {
	const struct peer *peer;
	enum rank rank;
	uint64_t order;			/* within the rank; the same on every node */
};

static enum rank rank_of(const struct peer *peer)
{
	if (!peer->sick)
		return peer->state == MEMBER_UP ? RANK_UP : RANK_DOUBTFUL;
	return peer->state == MEMBER_UP ? RANK_SICK : RANK_SICK_AND_AWAY;
}

static enum peer_worth worth_of(enum rank rank, enum rank best)
{
	if (rank == RANK_UP)
		return PEER_ALL;
	if (rank == RANK_DOUBTFUL || (rank == RANK_SICK && best == RANK_SICK))
		return PEER_A_LITTLE;
	return PEER_NOTHING;
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

		if (peer->versions.len == 0 || peer->state == MEMBER_INCOMPATIBLE)
			continue;
		candidates[count++] = (struct candidate){ .peer = peer, .rank = rank_of(peer),
							  .order = mix(hash ^ peer->id) };
	}
	qsort(candidates, count, sizeof candidates[0], by_rank);
	if (count > PEERS_ASKED_MAX)
		count = PEERS_ASKED_MAX;
	for (size_t i = 0; i < count; i++) {
		ret[i].id = candidates[i].peer->id;
		ret[i].address = candidates[i].peer->versions;
		ret[i].worth = worth_of(candidates[i].rank, candidates[0].rank);
	}
	return count;
}

void peers_silent(struct peers *peers, uint64_t id, uint64_t question)
{
	struct peer *peer = find(peers, id);

	if (peer != NULL) {
		peer->sick = true;
		peer->sick_of = question;
	}
}

void peers_heard(struct peers *peers, uint64_t id)
{
	struct peer *peer = find(peers, id);

	if (peer != NULL)
		peer->sick = false;
}

void peers_heard_late(struct peers *peers, uint64_t id, uint64_t question)
{
	const struct peer *peer = find(peers, id);

	if (peer != NULL && peer->sick_of == question)
		peers_heard(peers, id);
}
