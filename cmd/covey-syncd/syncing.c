/*
 * syncing - SYNC: this node's homes' records, from the other homes
 *
 * Whom to ask about what is resync.h's plan.  It is made anew when the
 * layout changes, when somebody returns, and every hour; peers that failed
 * are tried again after a while.
 */
#include "syncing.h"

#include "container.h"
#include "discover_talk.h"
#include "mem.h"

#define AGAIN_MS 250			/* after a failure; doubled up to */
#define AGAIN_MAX_MS 60000
#define HOUR_MS 3600000

static void go_on(struct syncing *s);

static void forget(struct exchanging *e)
{
	struct exchanging **at = &e->syncing->first;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
}

static void begin(struct syncing *s)
{
	timer_stop(&s->again);
	s->again_ms = AGAIN_MS;
	resync_begin(&s->plan, peers_layout(s->daemon->peers), store_node(s->daemon->store));
	timer_start(s->daemon->loop, &s->hourly, HOUR_MS);
	go_on(s);
}

/* One exchange with each peer at a time. */
static void go_on(struct syncing *s)
{
	struct exchanging *e;
	uint64_t epoch;

	while (!s->stopping) {
		e = mem_new(1, sizeof *e);
		e->count = resync_next(&s->plan, &e->peer, e->partitions, EXCHANGE_PARTITIONS);
		if (e->count == 0) {
			free(e);
			break;
		}
		e->syncing = s;
		e->call = (struct call)CALL_INIT;
		e->next = s->first;
		s->first = e;
		exchanging_start(e);
	}
	if (s->first == NULL && s->news > 0) {
		/* Nobody may have asked for these contents: who asks did not know of them. */
		s->news = 0;
		keeping_relaid(s->daemon->keeping);
		directories_relaid(s->daemon->directories);
	}
	epoch = resync_synced(&s->plan);
	if (keeping_leaves(&s->plan.layout, s->plan.self))
		return;		/* that is told when its contents have been taken over */
	if (epoch != 0 && epoch != s->told) {
		s->told = epoch;
		peers_synced(s->daemon->peers, epoch);
	}
}

void syncing_done(struct exchanging *e, unsigned partition)
{
	resync_done(&e->syncing->plan, e->peer, partition);
	service_touch(e->syncing->daemon->service);
}

/* What it did not do, somebody else may, and later the same. */
static void failed(const struct exchanging *e)
{
	struct syncing *s = e->syncing;

	resync_failed(&s->plan, e->peer, e->partitions, e->bad);
	resync_failed(&s->plan, e->peer, e->partitions + e->at, e->count - e->at);
	if (!s->stopping && s->again.loop == NULL)
		timer_start(s->daemon->loop, &s->again, s->again_ms);
}

void syncing_over(struct exchanging *e)
{
	struct syncing *s = e->syncing;

	forget(e);
	if (e->at < e->count || e->bad > 0)
		failed(e);
	go_on(s);
}

static void all_back(struct syncing *s)
{
	for (size_t i = 0; i < s->plan.count; i++)
		resync_back(&s->plan, s->plan.peers[i].id);
	go_on(s);
}

static void on_again(struct timer *timer)
{
	struct syncing *s = CONTAINER_OF(timer, struct syncing, again);

	s->again_ms = s->again_ms * 2 > AGAIN_MAX_MS ? AGAIN_MAX_MS : s->again_ms * 2;
	all_back(s);
}

static void on_hour(struct timer *timer)
{
	syncing_returned(CONTAINER_OF(timer, struct syncing, hourly));
}

static void abandon_all(struct syncing *s)
{
	while (s->first != NULL) {
		struct exchanging *e = s->first;

		forget(e);
		exchanging_abandon(e);
	}
}

/* While joint what was done stays done: the next layout waits for the rest. */
void syncing_returned(struct syncing *s)
{
	if (!s->plan.joint) {
		syncing_relaid(s);	/* what is under way may be with one that is silent */
		return;
	}
	s->again_ms = AGAIN_MS;
	all_back(s);
	timer_start(s->daemon->loop, &s->hourly, HOUR_MS);
}

void syncing_relaid(struct syncing *s)
{
	abandon_all(s);
	begin(s);
}

/* What the ones that are away are being asked, others may answer. */
void syncing_lost(struct syncing *s)
{
	for (struct exchanging *e = s->first, *next; e != NULL; e = next) {
		next = e->next;
		if (peers_up(s->daemon->peers, e->peer) || e->working)
			continue;
		forget(e);
		failed(e);
		exchanging_abandon(e);
	}
	go_on(s);
}

void syncing_compare(struct syncing *s, unsigned partition)
{
	if (s->stopping)
		return;
	resync_again(&s->plan, partition);
	go_on(s);
}

void syncing_start(struct syncd *d)
{
	struct syncing *s = mem_new(1, sizeof *s);

	d->syncing = s;
	s->daemon = d;
	s->plan = (struct resync)RESYNC_INIT;
	s->again.fire = on_again;
	s->hourly.fire = on_hour;
	begin(s);
}

bool syncing_rests(const struct syncing *s)
{
	return s == NULL || s->jobs == 0;
}

/* What waits for others is cut; a job that is under way ends by itself. */
void syncing_stop(struct syncing *s)
{
	s->stopping = true;
	timer_stop(&s->again);
	timer_stop(&s->hourly);
	abandon_all(s);
}

void syncing_free(struct syncing *s)
{
	if (s == NULL)
		return;
	syncing_stop(s);
	free(s);
}
