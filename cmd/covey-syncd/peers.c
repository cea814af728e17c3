/*
 * peers - who is where, and who did not answer lately
 *
 * The view is view_client.h's.  A peer that let a time-out pass is remembered
 * as sick for a while: it is still asked, but after the others, so that one
 * stopped node costs one wait.
 */
#include "syncd.h"

#include "call.h"
#include "clock.h"
#include "container.h"
#include "discover_talk.h"
#include "log.h"
#include "mem.h"
#include "view_client.h"

#define SICK_MS 30000		/* how long a silence is remembered */
#define SICK_MAX 64		/* peers remembered; the oldest is forgotten */
#define FIRST_VIEW_MS 250	/* at start-up, for discoverd to answer */
#define TELL_MS 5000

struct peers {
	struct syncd *daemon;
	struct view_client *view;
	bool watching;			/* the others are told of what changes */
	struct call telling;		/* SYNCED */
	struct call waiting;		/* WAITS */
	char waits[DISCOVER_WAITS_MAX + 1];	/* what was said last */
	uint64_t synced;		/* epoch; 0: none */
	bool synced_told;		/* to the covey-discoverd that is there */
	struct {
		uint64_t id, until;	/* ms, monotonic */
	} sick[SICK_MAX];
	size_t sick_count;
};

const struct members *peers_view(const struct peers *p)
{
	return &view_client_view(p->view)->members;
}

const struct layout *peers_layout(const struct peers *p)
{
	return &view_client_view(p->view)->layout;
}

static bool is_up(const struct members *view, uint64_t id)
{
	const struct member *m = members_find(view, id);

	return m != NULL && m->state == MEMBER_UP;
}

/* Who is up that was not, or has started anew; and whether somebody is not any more. */
static void tell_members(struct peers *p, const struct members *now, const struct members *before)
{
	bool lost = false;

	for (size_t i = 0; i < now->count; i++) {
		const struct member *m = &now->list[i], *was = members_find(before, m->id);

		if (m->state == MEMBER_UP && m->id != now->self &&
		    (was == NULL || was->state != MEMBER_UP || was->start != m->start)) {
			peers_note(p, m->id, NULL);	/* what is remembered is of before it went */
			push_forgive(p->daemon, m->id);
			syncd_returned(p->daemon, m->id);
		}
		lost = lost || (m->state != MEMBER_UP && is_up(before, m->id));
	}
	if (lost)
		syncd_lost(p->daemon);
}

static void tell_synced(struct peers *p)
{
	struct buf body = BUF_INIT;

	if (p->synced != peers_layout(p)->epoch || p->synced == 0 || p->synced_told ||
	    p->telling.caller != NULL)
		return;
	discover_synced_pack(&body, p->synced);
	call_start(view_client_caller(p->view), &p->telling, DISCOVER_SYNCED, buf_str(&body), TELL_MS);
	buf_clear(&body);
}

static void told_synced(struct call *call, struct frame *frame)
{
	struct peers *p = CONTAINER_OF(call, struct peers, telling);

	if (frame != NULL) {
		call_finish(call);
		p->synced_told = true;
	}		/* else once more, when it is watched again */
}

void peers_synced(struct peers *p, uint64_t epoch)
{
	call_finish(&p->telling);
	p->synced = epoch;
	p->synced_told = false;
	tell_synced(p);
}

void peers_waits(struct peers *p, const char *why)
{
	if (strcmp(why, p->waits) == 0 || p->waiting.caller != NULL)
		return;
	snprintf(p->waits, sizeof p->waits, "%s", why);
	call_start(view_client_caller(p->view), &p->waiting, DISCOVER_WAITS, str_of(p->waits), TELL_MS);
}

void peers_behind(struct peers *p, uint64_t id, uint64_t epoch)
{
	const struct member *m = members_find(peers_view(p), id);

	if (m != NULL && epoch > peers_layout(p)->epoch)
		view_client_behind(p->view, epoch, id, &m->discovery);
}

static void view_changed(void *data, const struct group_view *now, const struct group_view *before)
{
	struct peers *p = data;

	if (!p->watching)
		return;
	if (now->state != VIEW_LIVE)
		p->synced_told = false;		/* the next covey-discoverd knows nothing */
	else
		tell_synced(p);
	tell_members(p, &now->members, &before->members);
	if (!layout_eq(&now->layout, &before->layout))
		syncd_relaid(p->daemon);
}

static void view_failed(void *data, const struct err *err)
{
	(void)data;
	log_err(LOG_LEVEL_WARNING, err, "no member is known until covey-discoverd answers");
}

void peers_start(struct syncd *d)
{
	static const struct view_events events = { .changed = view_changed, .failed = view_failed };
	struct peers *p = mem_new(1, sizeof *p);

	d->peers = p;
	p->daemon = d;
	p->telling = (struct call)CALL_INIT;
	p->telling.answer = told_synced;
	p->waiting = (struct call)CALL_INIT;
	p->waiting.answer = call_answered;
	p->view = view_client_new(store_run(d->store), d->service->state, &events, p);
	view_client_ask(p->view, FIRST_VIEW_MS, NULL);	/* so that the first request finds its holders */
	p->watching = true;
	view_client_start(p->view, d->loop);
}

void peers_free(struct peers *p)
{
	if (p == NULL)
		return;
	call_finish(&p->telling);
	call_finish(&p->waiting);
	view_client_free(p->view);
	free(p);
}

static bool is_first_home(const struct layout *layout, const struct members *view, unsigned partition)
{
	enum layout_set set = layout_is_joint(layout) ? LAYOUT_B : LAYOUT_A;
	struct layout_order order;

	layout_homes(layout, set, partition, &order);
	for (size_t i = 0; i < order.count; i++) {
		if (order.ids[i] == view->self)
			return true;
		if (is_up(view, order.ids[i]))
			return false;
	}
	return false;
}

void peers_first_home_of(const struct peers *p, uint8_t ret[PARTITIONS / 8])
{
	memset(ret, 0, PARTITIONS / 8);
	for (unsigned i = 0; i < PARTITIONS; i++)
		if (is_first_home(peers_layout(p), peers_view(p), i))
			ret[i / 8] |= (uint8_t)(1u << i % 8);
}

const struct address *peers_http(const struct peers *p, uint64_t id)
{
	const struct members *view = peers_view(p);
	const struct member *m = members_find(peers_view(p), id);
	const struct member *self = members_find(view, view->self);

	if (m == NULL || m->http.len == 0 || m->state == MEMBER_INCOMPATIBLE || id == peers_view(p)->self)
		return NULL;
	if (self != NULL && address_eq(&m->http, &self->http))
		return NULL;		/* this node has its address now */
	return &m->http;
}

static size_t sick_place(const struct peers *p, uint64_t id)
{
	size_t i = 0;

	while (i < p->sick_count && p->sick[i].id != id)
		i++;
	return i;
}

void peers_note(struct peers *p, uint64_t id, const struct err *how)
{
	size_t i = sick_place(p, id);

	if (how == NULL && i < p->sick_count)
		p->sick[i] = p->sick[--p->sick_count];
	if (how == NULL || how->kind != ERR_TIMEOUT)
		return;
	if (i == SICK_MAX) {
		memmove(&p->sick[0], &p->sick[1], sizeof p->sick - sizeof p->sick[0]);
		i = --p->sick_count;
	}
	if (i == p->sick_count)
		p->sick_count++;
	p->sick[i].id = id;
	p->sick[i].until = clock_mono_ms() + SICK_MS;
}

bool peers_up(const struct peers *p, uint64_t id)
{
	return is_up(peers_view(p), id);
}

bool peers_sick(const struct peers *p, uint64_t id)
{
	const struct member *m = members_find(peers_view(p), id);
	size_t i = sick_place(p, id);

	if (m == NULL || m->state != MEMBER_UP)
		return true;
	return i < p->sick_count && p->sick[i].until > clock_mono_ms();
}
