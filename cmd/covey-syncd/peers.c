/*
 * peers - who is where, and who did not answer lately
 *
 * The view comes from covey-discoverd, which tells of every change; while it
 * is away, what members.ini or it said last is good enough.  A peer that
 * let a time-out pass is remembered as sick for a while: it is still
 * asked, but after the others, so that one stopped node costs one wait.
 */
#include "syncd.h"

#include "call.h"
#include "container.h"
#include "discover_talk.h"
#include "log.h"
#include "mem.h"
#include "members.h"

#define SICK_MS 30000		/* how long a silence is remembered */
#define SICK_MAX 64		/* peers remembered; the oldest is forgotten */
#define FIRST_VIEW_MS 250	/* at start-up, for discoverd to answer */
#define WATCH_AGAIN_MS 1000	/* after discoverd went away */

struct peers {
	struct loop *loop;
	struct members members;
	struct caller *caller;
	struct call watch;
	struct timer again;
	struct {
		uint64_t id, until;	/* loop's ms */
	} sick[SICK_MAX];
	size_t sick_count;
};

static void watch_view(struct timer *timer)
{
	struct peers *p = CONTAINER_OF(timer, struct peers, again);

	call_start(p->caller, &p->watch, DISCOVER_WATCH, (struct str)STR_INIT, 0);
}

static void on_view(struct call *call, struct frame *frame)
{
	struct peers *p = CONTAINER_OF(call, struct peers, watch);

	if (frame == NULL) {
		timer_start(p->loop, &p->again, WATCH_AGAIN_MS);
		return;
	}
	if (frame->type == DISCOVER_MEMBERS)
		discover_members_unpack(frame->body, &p->members, NULL, NULL);
}

/* Ask once and wait, so that the first request already finds its holders. */
static int first_view(struct peers *p, const char *socket_path)
{
	struct asking asking = ASKING_INIT;
	struct frame frame;
	int rc = -1;

	if (asking_start(&asking, socket_path, DISCOVER_VIEW, (struct str)STR_INIT, FIRST_VIEW_MS,
			 NULL) == 0 &&
	    asking_next(&asking, &frame, NULL) == 0 && frame.type == DISCOVER_MEMBERS)
		rc = discover_members_unpack(frame.body, &p->members, NULL, NULL);
	asking_end(&asking);
	return rc;
}

void peers_start(struct syncd *d)
{
	struct peers *p = mem_new(1, sizeof *p);
	struct buf path = BUF_INIT;
	struct err err;

	d->peers = p;
	p->loop = d->loop;
	p->again.fire = watch_view;
	p->watch = (struct call)CALL_INIT;
	p->watch.answer = on_view;
	buf_addf(&path, "%s/discover.sock", store_run(d->store));
	p->caller = caller_new(d->loop, path.data);
	if (first_view(p, path.data) < 0) {
		buf_reset(&path);
		buf_addf(&path, "%s/state", d->service->conf->node.store);
		if (members_load(path.data, &p->members, &err) < 0)
			log_err(LOG_LEVEL_WARNING, &err, "no member is known before covey-discoverd tells");
	}
	timer_start(p->loop, &p->again, 0);
	buf_clear(&path);
}

void peers_free(struct peers *p)
{
	if (p == NULL)
		return;
	call_finish(&p->watch);
	timer_stop(&p->again);
	caller_free(p->caller);
	members_clear(&p->members);
	free(p);
}

const struct members *peers_view(const struct peers *p)
{
	return &p->members;
}

const struct address *peers_http(const struct peers *p, uint64_t id)
{
	const struct member *m = members_find(&p->members, id);

	if (m == NULL || m->http.len == 0 || m->state == MEMBER_INCOMPATIBLE || id == p->members.self)
		return NULL;
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
	p->sick[i].until = loop_now(p->loop) + SICK_MS;
}

bool peers_sick(const struct peers *p, uint64_t id)
{
	const struct member *m = members_find(&p->members, id);
	size_t i = sick_place(p, id);

	if (m == NULL || m->state != MEMBER_UP)
		return true;
	return i < p->sick_count && p->sick[i].until > loop_now(p->loop);
}
