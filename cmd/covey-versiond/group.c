/* group - the network, and what is known of the group */
#include "versiond.h"

#include "clock.h"
#include "container.h"
#include "discover_talk.h"
#include "identity.h"
#include "log.h"

#include <inttypes.h>
#include <sodium.h>

#define FIRST_VIEW_MS 1000		/* at the start, for discoverd to answer */
#define BEHIND_AGAIN_MS 100
#define BEHIND_WAIT_MS 1000

/* time */

static void set_tick(struct versiond *v)
{
	uint64_t now;

	if (v->asker.due == 0) {
		timer_stop(&v->tick);
		return;
	}
	now = clock_mono_ms();
	timer_start(v->service->loop, &v->tick, v->asker.due > now ? v->asker.due - now : 0);
}

static void tick(struct timer *timer)
{
	struct versiond *v = CONTAINER_OF(timer, struct versiond, tick);

	asker_tick(&v->asker, clock_mono_ms());
	set_tick(v);
}

void group_stir(struct versiond *v)
{
	if (v->socket != NULL)
		set_tick(v);
}

uint64_t group_clock(const struct versiond *v)
{
	int64_t offset = v->view != NULL ? view_client_view(v->view)->clock_offset : 0;

	return clock_wall_ns() + (uint64_t)offset;
}

static uint64_t wall_clock(void *data)
{
	return group_clock(data);
}

static uint64_t random_number(void *data)
{
	struct versiond *v = data;

	return layout_mix(v->random++);
}

/* packets */

void group_heard(struct versiond *v, const struct wire *wire)
{
	asker_receive(&v->asker, wire, clock_mono_ms());
}

static void received(void *data, const struct wire *wire, const struct address *from)
{
	struct versiond *v = data;

	if (v->stopped)
		return;
	stats_count(v, false, STATS_RECEIVED, wire->type, sealed_received(v->socket));
	if (wire->type == WIRE_CHECK || wire->type == WIRE_STORE) {
		answer_question(v, wire, from, NULL);
	} else if (wire->type == WIRE_RECORD || wire->type == WIRE_STORED ||
		   wire->type == WIRE_STALE) {
		carry_heard_udp(v->carrier, wire->sender.id);
		group_heard(v, wire);
	}
}

static void batch_done(void *data)
{
	struct versiond *v = data;

	service_touch(v->service);
	set_tick(v);
}

/* a newer layout exists */

static void told_behind(struct call *call, struct frame *frame)
{
	(void)frame;
	call_finish(call);
}

void group_behind(struct versiond *v, uint64_t epoch, uint64_t node,
		  const struct address *discovery)
{
	struct discover_behind behind = { .epoch = epoch, .node = node, .from = *discovery };
	uint64_t now = clock_mono_ms();
	struct buf body = BUF_INIT;

	if (epoch <= v->behind_epoch && now - v->behind_told < BEHIND_AGAIN_MS)
		return;
	v->stats->behind++;
	v->behind_epoch = epoch;
	v->behind_told = now;
	call_finish(&v->behind);	/* of an earlier one: this says more, or again */
	v->behind.answer = told_behind;
	discover_behind_pack(&body, &behind);
	call_start(view_client_caller(v->view), &v->behind, DISCOVER_BEHIND, buf_str(&body),
		   BEHIND_WAIT_MS);
	buf_clear(&body);
}

static void asker_behind(void *data, uint64_t epoch, uint64_t node,
			 const struct address *discovery)
{
	group_behind(data, epoch, node, discovery);
}

/* the view and the layout */

/*
 * What is on disk is good until discoverd tells more, but for one thing: a
 * disk does not know what it has forgotten.  Until discoverd has said that
 * it forgot nothing this node answers as no home.
 */
static void use_view(struct versiond *v, const struct group_view *view)
{
	const struct member *self = members_find(&view->members, v->self.id);

	asker_members(&v->asker, &view->members);
	if (view->layout.epoch != 0)
		asker_layout(&v->asker, &view->layout, clock_mono_ms());
	v->home.silent = view->state == VIEW_REMEMBERED || self == NULL ||
			 self->flags & MEMBER_SILENT;
	if (!v->stopping)
		service_status(v->service, "epoch %" PRIu64 ", %zu other nodes%s",
			       v->home.layout.epoch, asker_peers(&v->asker),
			       v->home.silent ? ", answers as no home" : "");
}

static void view_changed(void *data, const struct group_view *now, const struct group_view *before)
{
	struct versiond *v = data;

	(void)before;
	use_view(v, now);
	set_tick(v);
}

static void view_failed(void *data, const struct err *err)
{
	(void)data;
	log_err(LOG_LEVEL_WARNING, err, "watch the group");
}

/* The first question already finds a home that speaks: that is worth a wait. */
static void start_watching(struct versiond *v)
{
	static const struct view_events events = { .changed = view_changed, .failed = view_failed };
	struct buf state = BUF_INIT;

	buf_addf(&state, "%s/state", v->service->conf->node.store);
	v->view = view_client_new(store_run(v->service->store), state.data, &events, v);
	buf_clear(&state);
	use_view(v, view_client_view(v->view));
	view_client_ask(v->view, FIRST_VIEW_MS, NULL);
	view_client_start(v->view, v->service->loop);
}

static void start_asking(struct versiond *v)
{
	const struct conf *conf = v->service->conf;

	asker_init(&v->asker, &v->home, conf->timeouts.check_ms, conf->timeouts.store_ms);
	v->asker.send = carry_send;
	v->asker.commit = answer_commit;
	v->asker.make = answer_make;
	v->asker.made_end = answer_made_end;
	v->asker.behind = asker_behind;
	v->asker.random = random_number;
	v->asker.wall = wall_clock;
	v->asker.data = v;
	v->tick.fire = tick;
}

int group_start(struct versiond *v, struct err *err)
{
	static const struct sealed_role role = { .role = WIRE_VERSIONS, .received = received,
						 .batch_done = batch_done };
	int fd = service_fd(v->service, "versions");

	v->behind = (struct call)CALL_INIT;
	if (identity_keys(v->service->conf, &v->keys, err) < 0 ||
	    identity_member(v->service->conf, store_node(v->service->store), &v->self, err) < 0)
		return -1;
	home_init(&v->home, v->keys.count > 0 ? v->keys.list[0].group : 0, &v->self);
	v->home.lookup = look_up;
	v->home.data = v;
	if (v->keys.count == 0 || fd < 0)
		return 0;
	v->socket = sealed_new(v->service->loop, fd, &v->keys, v->self.id, &role, v, err);
	if (v->socket == NULL || outbox_open(&v->outbox, v->service->store, err) < 0)
		return -1;
	v->carrier = carrier_new(v);
	randombytes_buf(&v->random, sizeof v->random);
	start_asking(v);
	start_watching(v);
	return 0;
}

void group_stop(struct versiond *v)
{
	timer_stop(&v->tick);
	call_finish(&v->behind);
	view_client_free(v->view);
	carrier_free(v->carrier);
	sealed_free(v->socket);
	asker_clear(&v->asker);
	answer_stop(v);
	outbox_close(v->outbox);
	home_clear(&v->home);
	buf_clear(&v->answer);
	explicit_bzero(&v->keys, sizeof v->keys);
}
