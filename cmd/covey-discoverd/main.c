/*
 * covey-discoverd - keeps the view of the group by gossip
 *
 * Each round it tells a few members what it knows (gossip.h), judges who
 * is silent, and when the view has changed writes members.ini and tells
 * the roles that watch.  With the others it agrees on layouts (settle.c).
 * On SIGTERM it says good-bye to the group first.  A node without a key is
 * a group of one: it has a view of itself alone.
 */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "identity.h"
#include "log.h"
#include "mem.h"

#include <inttypes.h>

#define PUBLISH_MS 20			/* changes of a moment are told at once */
#define OFFSET_NS INT64_C(100000000)	/* a clock's move that is told */
#define HURRY_MAX 16			/* others that are all told at once of what changed */
#define FAREWELLS 3			/* a good-bye may be lost */
#define FAREWELL_MS 40

static void tell_status(struct discoverd *d)
{
	const struct view *view = &d->gossip.view;
	const struct layout *layout = settle_layout(d);
	size_t peers = 0, up = 0;

	for (size_t i = 0; i < view->count; i++) {
		peers += view->entries[i].member.state != MEMBER_LEFT &&
			 view->entries[i].member.state != MEMBER_FORGOTTEN;
		up += view->entries[i].member.state == MEMBER_UP;
	}
	if (member_is_gone(view->self.state))
		service_status(d->service, "said good-bye to the group");
	else
		service_status(d->service, "epoch %" PRIu64 ", %zu members, %zu of %zu peers up",
			       layout->epoch, layout->count, up, peers);
}

static void publish(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, publish);

	d->published = d->gossip.view.changes;
	d->published_offset = standing_offset(d);
	store_set_clock(d->service->store, d->published_offset);
	watch_publish(d);
	state_save_members(d);
	tell_status(d);
}

static bool offset_moved(const struct discoverd *d)
{
	int64_t by = standing_offset(d) - d->published_offset;

	return by > OFFSET_NS || by < -OFFSET_NS;
}

void discoverd_changed(struct discoverd *d)
{
	if (d->gossip.view.returns != d->returns) {
		d->returns = d->gossip.view.returns;
		carry_poke(d);
	}
	comings_log(d);
	if (d->publish.loop == NULL &&
	    (d->gossip.view.changes != d->published || offset_moved(d)))
		timer_start(d->service->loop, &d->publish, PUBLISH_MS);
}

/* The council at least; in a small group everybody. */
void discoverd_hurry(struct discoverd *d)
{
	struct view *view = &d->gossip.view;

	view->changes++;
	view_beat(view);
	for (size_t i = 0; i < view->count; i++) {
		const struct member *m = &view->entries[i].member;
		const struct layout_member *place = layout_find(settle_layout(d), m->id);

		if (!member_is_gone(m->state) && m->state != MEMBER_DOWN &&
		    (view->count <= HURRY_MAX || (place != NULL && place->council)))
			gossip_announce(&d->gossip, &m->discovery);
	}
	discoverd_changed(d);
}

static void round_due(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, round);

	timer_start(d->service->loop, timer, GOSSIP_ROUND_MS);
	if (member_is_gone(d->gossip.view.self.state))
		return;
	standing_check(d);
	d->expects = true;
	gossip_round(&d->gossip, clock_mono_ms());
	d->expects = false;
	settle_step(d);
	if (d->saving.failed)
		state_save_members(d);
	discoverd_changed(d);
}

/* good-bye */

static void say_farewell(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, farewell);

	gossip_leave(&d->gossip, d->standing.guest);
	if (--d->farewells > 0)
		timer_start(d->service->loop, timer, FAREWELL_MS);
}

void discoverd_leave(struct discoverd *d)
{
	if (member_is_gone(d->gossip.view.self.state))
		return;
	d->farewells = FAREWELLS;
	say_farewell(&d->farewell);
	discoverd_changed(d);
}

static void left(struct timer *timer)
{
	service_finished(CONTAINER_OF(timer, struct discoverd, round)->service);
}

static void stop(struct service *service)
{
	struct discoverd *d = service->data;

	serve_quiesce(d->serve);
	discoverd_leave(d);
	d->round.fire = left;
	timer_start(service->loop, &d->round, d->unicast != NULL ? FAREWELLS * FAREWELL_MS : 0);
}

/* start */

/* Said, and not refused: a group that worked goes on after an upgrade, and its key is known by now. */
static void warn_of_key(const struct conf *conf)
{
	char *why = identity_key_exposed(conf);

	if (why != NULL)
		log_line(LOG_LEVEL_WARNING, "%s", why);
	free(why);
}

static int start_gossip(struct discoverd *d, struct err *err)
{
	struct members members = MEMBERS_INIT;
	uint64_t now = clock_mono_ms();
	struct member self;

	if (identity_keys(d->service->conf, &d->keys, err) < 0 ||
	    identity_member(d->service->conf, store_node(d->service->store), &self, err) < 0 ||
	    state_load(d, &members, err) < 0)
		return -1;
	if (standing_load(d, &self.discovery, err) < 0) {
		members_clear(&members);
		return -1;
	}
	self.start = d->standing.starts.now.count;
	gossip_init(&d->gossip, &self, d->keys.count > 0 ? d->keys.list[0].group : 0, now);
	view_load(&d->gossip.view, &members, now);
	members_clear(&members);
	comings_start(d);
	standing_start(d);
	settle_start(d);
	return 0;
}

static bool busy(struct service *service)
{
	(void)service;
	return true;
}

static void release(struct discoverd *d)
{
	timer_stop(&d->round);
	timer_stop(&d->publish);
	timer_stop(&d->farewell);
	wishes_end(d);
	settle_stop(d);
	standing_stop(d);
	watch_end(d);
	carry_stop(d);
	seeds_stop(d);
	network_stop(d);
	pool_free(d->pool);
	gossip_clear(&d->gossip);
	members_clear(&d->saving.members);
	comings_end(d);
	buf_clear(&d->packet);
	explicit_bzero(&d->keys, sizeof d->keys);
	buf_clear(&d->directory);
	free(d);
}

static void finish(struct service *service)
{
	struct discoverd *d = service->data;

	pool_free(d->pool);
	d->pool = NULL;
	state_last_members(d);
	standing_end(d);
	release(d);
}

static int start(struct service *service, struct err *err)
{
	struct discoverd *d = mem_new(1, sizeof *d);

	service->data = d;
	d->service = service;
	d->multicast_fd = -1;
	d->pool = pool_new(1);
	buf_addf(&d->directory, "%s/state", service->conf->node.store);
	d->round.fire = round_due;
	d->publish.fire = publish;
	d->farewell.fire = say_farewell;
	if (start_gossip(d, err) < 0 || network_start(d, err) < 0 || seeds_start(d, err) < 0 ||
	    watch_serve(d, err) < 0) {
		release(d);
		return -1;
	}
	warn_of_key(service->conf);
	carry_start(d);
	timer_start(service->loop, &d->round, 0);
	publish(&d->publish);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct service_socket sockets[] = {
		{ .name = "discovery", .kind = SERVICE_UDP, .optional = true },
		{ .name = "discover", .kind = SERVICE_UNIX },
		{ .name = NULL },
	};
	static const struct service_role role = {
		.name = "covey-discoverd",
		.summary = "Keep the view of the group: who is a member, and who is up.",
		.sockets = sockets,
		.start = start,
		.busy = busy,
		.stop = stop,
		.free = finish,
	};

	return service_main(argc, argv, &role);
}
