/* resync - from whom to take the records that this node should know */
#include "resync.h"

static bool has(const uint8_t *bits, unsigned partition)
{
	return bits[partition / 8] >> partition % 8 & 1;
}

static void set(uint8_t *bits, unsigned partition)
{
	bits[partition / 8] |= (uint8_t)(1u << partition % 8);
}

static void unset(uint8_t *bits, unsigned partition)
{
	bits[partition / 8] &= (uint8_t) ~(1u << partition % 8);
}

static struct resync_peer *find(struct resync *resync, uint64_t id)
{
	for (size_t i = 0; i < resync->count; i++)
		if (resync->peers[i].id == id)
			return &resync->peers[i];
	return NULL;
}

static bool contains(const struct layout_order *order, uint64_t id)
{
	for (size_t i = 0; i < order->count; i++)
		if (order->ids[i] == id)
			return true;
	return false;
}

static void ask(struct resync *resync, uint64_t id, unsigned partition)
{
	struct resync_peer *peer = find(resync, id);

	if (peer == NULL) {
		peer = &resync->peers[resync->count++];
		peer->id = id;
	}
	if (has(peer->ask, partition))
		return;
	set(peer->ask, partition);
	peer->open++;
}

/* All others who know the partition are to be asked.  False: this node is no home of it. */
static bool ask_sources(struct resync *resync, unsigned partition, struct layout_order *sources)
{
	struct layout_order homes;

	layout_homes(&resync->layout, resync->joint ? LAYOUT_B : LAYOUT_A, partition, &homes);
	if (!contains(&homes, resync->self))
		return false;
	layout_homes(&resync->layout, LAYOUT_A, partition, sources);
	for (size_t i = 0; i < sources->count; i++)
		if (sources->ids[i] != resync->self)
			ask(resync, sources->ids[i], partition);
	return true;
}

static void plan(struct resync *resync, unsigned partition)
{
	struct layout_order sources;
	size_t needed;

	if (!ask_sources(resync, partition, &sources) || !resync->joint)
		return;
	needed = sources.count / 2 + 1 - contains(&sources, resync->self);
	resync->needed[partition] = (uint8_t)needed;
	resync->missing += needed > 0;
}

void resync_begin(struct resync *resync, const struct layout *layout, uint64_t self)
{
	struct layout copy = *layout;	/* it may be the one that is in there */

	memset(resync, 0, sizeof *resync);
	resync->layout = copy;
	resync->self = self;
	resync->joint = layout_is_joint(&copy);
	for (unsigned partition = 0; copy.epoch > 0 && partition < PARTITIONS; partition++)
		plan(resync, partition);
}

/* Those that nobody else is being asked about. */
static size_t take(struct resync *resync, const struct resync_peer *peer, uint16_t *partitions,
		   size_t max)
{
	size_t count = 0;

	if (peer->away || peer->open == 0)
		return 0;
	for (unsigned partition = 0; partition < PARTITIONS && count < max; partition++) {
		if (!has(peer->ask, partition) || has(resync->busy, partition))
			continue;
		set(resync->busy, partition);
		partitions[count++] = (uint16_t)partition;
	}
	return count;
}

size_t resync_next(struct resync *resync, uint64_t *ret_peer, uint16_t *partitions, size_t max)
{
	for (size_t i = 1; i <= resync->count; i++) {
		size_t at = (resync->last + i) % resync->count;
		size_t count = take(resync, &resync->peers[at], partitions, max);

		if (count == 0)
			continue;
		resync->last = at;
		*ret_peer = resync->peers[at].id;
		return count;
	}
	return 0;
}

void resync_done(struct resync *resync, uint64_t id, unsigned partition)
{
	struct resync_peer *peer = find(resync, id);

	if (peer == NULL || !has(peer->ask, partition))
		return;
	unset(resync->busy, partition);
	unset(peer->ask, partition);
	peer->open--;
	if (resync->needed[partition] > 0 && --resync->needed[partition] == 0)
		resync->missing--;
}

void resync_failed(struct resync *resync, uint64_t id, const uint16_t *partitions, size_t count)
{
	struct resync_peer *peer = find(resync, id);

	if (peer == NULL)
		return;
	peer->away = true;
	for (size_t i = 0; i < count; i++)
		if (has(peer->ask, partitions[i]))
			unset(resync->busy, partitions[i]);
}

void resync_back(struct resync *resync, uint64_t id)
{
	struct resync_peer *peer = find(resync, id);

	if (peer != NULL)
		peer->away = false;
}

void resync_again(struct resync *resync, unsigned partition)
{
	struct layout_order sources;

	if (resync->layout.epoch > 0 && resync->needed[partition] == 0)
		ask_sources(resync, partition, &sources);
}

uint64_t resync_synced(const struct resync *resync)
{
	const struct layout_member *self = layout_find(&resync->layout, resync->self);

	return resync->joint && resync->missing == 0 && self != NULL && self->sets & LAYOUT_B ?
		       resync->layout.epoch : 0;
}
