/* pace - how fast bytes go between this node and others */
#include "pace.h"

#include <string.h>

#define CODER_SHARE 2			/* of a new measurement of the coder: one in so many */
#define CODER_RATE (100u << 20)		/* bytes per second, until one was measured */
#define CODED_SHARE 8			/* one in so many bytes may still have to go */
#define GAIN_US 5000			/* what is gained has to be more, */
#define VAIN_MOST 6			/* at most 2 to the power of so many are not tried */
#define GAIN_SHARE 2			/* and a whole time in so many of what it takes as it is */

static const struct pace_peer *find(const struct pace *p, uint64_t node)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->peers[i].node == node)
			return &p->peers[i];
	return NULL;
}

static bool is_fresh(const struct pace_peer *peer, uint64_t now)
{
	return now < peer->at + PACE_FRESH_MS;
}

static uint64_t rate_of(uint64_t bytes, uint64_t us)
{
	return bytes * 1000000 / (us > 0 ? us : 1);
}

static uint64_t us_of(uint64_t bytes, uint64_t rate)
{
	return bytes * 1000000 / (rate > 0 ? rate : 1);
}

static struct pace_peer *find_or_add(struct pace *p, uint64_t node)
{
	size_t i = 0;

	while (i < p->count && p->peers[i].node != node)
		i++;
	if (i == PACE_PEERS_MAX)
		memmove(&p->peers[0], &p->peers[1], --i * sizeof p->peers[0]);
	if (i == p->count || p->peers[i].node != node)
		p->peers[i] = (struct pace_peer){ .node = node };
	p->count = i < p->count ? p->count : i + 1;
	return &p->peers[i];
}

void pace_note(struct pace *p, uint64_t node, uint64_t rate, uint64_t now)
{
	struct pace_peer *peer = find_or_add(p, node);

	if (peer->count == 0 || !is_fresh(peer, now))
		*peer = (struct pace_peer){ .node = node };
	if (peer->count < 2)
		peer->count++;
	peer->before = peer->last;
	peer->last = rate;
	peer->at = now;
}

static bool coder_is_fresh(const struct pace *p, uint64_t now)
{
	return p->coder > 0 && now < p->coder_at + PACE_FRESH_MS;
}

void pace_note_coder(struct pace *p, uint64_t bytes, uint64_t us, uint64_t now)
{
	uint64_t rate = rate_of(bytes, us);
	bool fresh = coder_is_fresh(p, now);

	p->coder_at = now;
	p->coder = !fresh ? rate : p->coder - p->coder / CODER_SHARE + rate / CODER_SHARE;
}

void pace_note_result(struct pace *p, bool smaller)
{
	p->vain = smaller ? 0 : p->vain < VAIN_MOST ? p->vain + 1 : VAIN_MOST;
	p->skip = p->vain > 0 ? (1u << p->vain) - 1 : 0;
}

uint64_t pace_us(const struct pace *p, uint64_t node, uint64_t bytes, uint64_t now)
{
	const struct pace_peer *peer = find(p, node);

	if (peer == NULL || peer->count < 2 || !is_fresh(peer, now))
		return 0;
	return us_of(bytes, peer->last > peer->before ? peer->last : peer->before);
}

bool pace_pays(struct pace *p, uint64_t node, uint64_t bytes, uint64_t now)
{
	uint64_t whole = pace_us(p, node, bytes, now);
	uint64_t coded = us_of(bytes, coder_is_fresh(p, now) ? p->coder : CODER_RATE) + whole / CODED_SHARE;

	if (coded + GAIN_US >= whole - whole / GAIN_SHARE)
		return false;
	if (p->skip == 0)
		return true;
	p->skip--;
	return false;
}
