/*
 * covey-discoverd - keeps the view of the group by gossip
 *
 * Each round it tells a few members what it knows (gossip.h), judges who
 * is silent, and when the view has changed writes members.ini and tells
 * the roles that watch.  With the others it agrees on layouts (layouts.c).
 * While nothing happens in a small group it rests between the rounds (gossip.h).
 * On SIGTERM it says good-bye to the group first.  A node without a key is
 * a group of one: it has a view of itself alone.
 */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "identity.h"
#include "log.h"
#include "mem.h"
#include "sync_talk.h"

#include <inttypes.h>

#define PUBLISH_MS 20			/* changes of a moment are told at once */
#define OFFSET_NS INT64_C(100000000)	/* a clock's move that is told */
#define HURRY_MAX 16			/* others that are all told at once of what changed */
#define FAREWELLS 3			/* a good-bye may be lost */
#define FAREWELL_MS 40
#define DRAIN_MS 5000			/* for an answer of covey-syncd */
#define WAKE_MS 1000			/* after covey-syncd may have ended */
#define STIRRED_MS 5000			/* after something happened, before this node rests */
#define CYCLE 100			/* rounds; in the first LISTENS of them nobody rests, to see the others' clocks */
#define LISTENS 2			/* no fewer, so that each of the others speaks meanwhile */

/*
 * The log's lines about members
 *
 * A line for each change of a member's state, but not for a member that is
 * suspect for a moment.
 */

struct logged_state {			/* what the log said of a member last, or was known at the start */
	uint64_t id;
	enum member_state state;
};

static struct logged_state *logged_find(struct discoverd *d, uint64_t id)
{
	for (size_t i = 0; i < d->logged_count; i++)
		if (d->logged[i].id == id)
			return &d->logged[i];
	return NULL;
}

static struct logged_state *logged_add(struct discoverd *d, uint64_t id, enum member_state state)
{
	d->logged = mem_resize(d->logged, d->logged_count + 1, sizeof *d->logged);
	d->logged[d->logged_count] = (struct logged_state){ .id = id, .state = state };
	return &d->logged[d->logged_count++];
}

static const struct {
	enum member_state state;
	enum log_level level;
	const char *words;
} sentences[] = {
	{ MEMBER_UP, LOG_LEVEL_INFO, "is up" },
	{ MEMBER_DOWN, LOG_LEVEL_WARNING, "is down: it does not answer any more" },
	{ MEMBER_STOPPED, LOG_LEVEL_INFO, "has stopped, and said so" },
	{ MEMBER_LEFT, LOG_LEVEL_INFO, "is gone for good: it left the layout, or another node has its address" },
	{ MEMBER_INCOMPATIBLE, LOG_LEVEL_WARNING, "is incompatible: it is of a release that speaks another protocol" },
};
#define SENTENCES (sizeof sentences / sizeof sentences[0])

static void log_member(const struct member *m, enum log_level level, const char *words)
{
	char address[ADDRESS_TEXT];

	log_line(level, "%s (%016" PRIx64 ") at %s %s", m->name, m->id,
		 address_format(address, &m->discovery), words);
}

static void log_members(struct discoverd *d)
{
	if (d->logged_changes == d->gossip.view.changes)
		return;
	d->logged_changes = d->gossip.view.changes;
	for (size_t i = 0; i < d->gossip.view.count; i++) {
		const struct member *m = &d->gossip.view.entries[i].member;
		struct logged_state *logged = logged_find(d, m->id);
		size_t at = 0;

		while (at < SENTENCES && sentences[at].state != m->state)
			at++;
		if (at == SENTENCES || (logged != NULL && logged->state == m->state))
			continue;
		/* That an unknown member is away is not logged. */
		if (logged != NULL || m->state == MEMBER_UP || m->state == MEMBER_INCOMPATIBLE)
			log_member(m, sentences[at].level, sentences[at].words);
		if (logged == NULL)
			logged = logged_add(d, m->id, m->state);
		logged->state = m->state;
	}
}

/* The states from before this start are not logged. */
static void log_no_members(struct discoverd *d)
{
	for (size_t i = 0; i < d->gossip.view.count; i++) {
		const struct member *m = &d->gossip.view.entries[i].member;

		logged_add(d, m->id, m->state);
	}
}

/* covey-syncd */

static void drain_done(struct call *call, struct frame *frame)
{
	struct discoverd *d = CONTAINER_OF(call, struct discoverd, drain);

	if (frame != NULL)
		call_finish(call);
	if (!d->drain_again)
		return;
	d->drain_again = false;
	discoverd_drain(d);
}

void discoverd_drain(struct discoverd *d)
{
	if (d->unicast == NULL)
		return;
	if (d->drain.caller != NULL) {
		d->drain_again = true;
		return;
	}
	d->drain.answer = drain_done;
	call_start(d->sync, &d->drain, SYNC_DRAIN, STR(""), DRAIN_MS);
}

/* In a joint layout all members wait for this node's syncd, which may have ended: start it by a DRAIN. */
static void wake_syncd(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, wake);
	const struct layout *layout = agent_layout(&d->agent);
	const struct member *self = &d->gossip.view.self;

	if (layout_is_joint(layout) && layout_find(layout, self->id) != NULL &&
	    self->synced != layout->epoch && !member_is_gone(self->state))
		discoverd_drain(d);
}

void discoverd_unwatched(struct discoverd *d)
{
	timer_start(d->service->loop, &d->wake, WAKE_MS);
}

/* the view */

static void discoverd_tell_status(struct discoverd *d)
{
	const struct view *view = &d->gossip.view;
	const struct layout *layout = agent_layout(&d->agent);
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
	d->published_offset = memory_offset(d);
	store_set_clock(d->service->store, d->published_offset);
	local_publish_members(d);
	memory_save_members(d);
	discoverd_tell_status(d);
}

static bool offset_moved(const struct discoverd *d)
{
	int64_t by = memory_offset(d) - d->published_offset;

	return by > OFFSET_NS || by < -OFFSET_NS;
}

void discoverd_changed(struct discoverd *d)
{
	if (d->gossip.view.returns != d->returns) {
		d->returns = d->gossip.view.returns;
		discoverd_drain(d);
	}
	log_members(d);
	if (d->publish.loop == NULL &&
	    (d->gossip.view.changes != d->published || offset_moved(d)))
		timer_start(d->service->loop, &d->publish, PUBLISH_MS);
}

/* To the council at least, and to everybody in a small group. */
void discoverd_hurry(struct discoverd *d)
{
	struct view *view = &d->gossip.view;

	view->changes++;
	view_beat(view);
	for (size_t i = 0; i < view->count; i++) {
		const struct member *m = &view->entries[i].member;
		const struct layout_member *place = layout_find(agent_layout(&d->agent), m->id);

		if (!member_is_gone(m->state) && m->state != MEMBER_DOWN &&
		    (view->count <= HURRY_MAX || (place != NULL && place->council)))
			gossip_announce(&d->gossip, &m->discovery);
	}
	discoverd_changed(d);
}

void discoverd_stir(struct discoverd *d)
{
	d->stirred = clock_mono_ms();
	if (d->rests)
		timer_start(d->service->loop, &d->round, 0);
}

/* All members are up or known to be away, they agree on a layout, and nobody waits for anything. */
static bool is_quiet(const struct discoverd *d)
{
	const struct view *view = &d->gossip.view;

	if (view->changes != d->stirred_changes || d->gossip.clock_moved ||
	    (d->unsure && !d->incarnation.silent) || d->sure.loop != NULL ||
	    d->agent.due != 0 || layout_is_joint(agent_layout(&d->agent)) || d->changes.count > 0 ||
	    d->drain.caller != NULL || d->saving.failed || d->remember_failed)
		return false;
	for (size_t i = 0; i < view->count; i++)
		if (view->entries[i].member.state == MEMBER_SUSPECT)
			return false;
	return true;
}

static bool may_rest(struct discoverd *d)
{
	const struct view *view = &d->gossip.view;
	size_t told = 0;

	if (!is_quiet(d))
		discoverd_stir(d);
	d->stirred_changes = view->changes;
	d->gossip.clock_moved = false;
	for (size_t i = 0; i < view->count; i++)
		told += !member_is_gone(view->entries[i].member.state);
	return d->unicast != NULL && told < GOSSIP_RESTING_MAX && clock_mono_ms() - d->stirred >= STIRRED_MS;
}

static void rest_or_listen(struct discoverd *d)
{
	bool rest = may_rest(d) && d->gossip.round % CYCLE >= LISTENS;

	if (rest != d->rests)
		network_rest(d, rest);
	d->rests = rest;
	timer_start(d->service->loop, &d->round, rest ? GOSSIP_REST_MS : GOSSIP_ROUND_MS);
}

static void round_due(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, round);

	if (d->rests)
		network_read(d);
	rest_or_listen(d);
	if (member_is_gone(d->gossip.view.self.state))
		return;
	memory_check(d);
	d->expects = true;
	gossip_round(&d->gossip, clock_mono_ms());
	d->expects = false;
	layouts_step(d);
	if (d->saving.failed)
		memory_save_members(d);
	discoverd_changed(d);
}

/* good-bye */

static void say_farewell(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, farewell);

	gossip_leave(&d->gossip, d->incarnation.guest);
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

static void discoverd_stop(struct service *service)
{
	struct discoverd *d = service->data;

	serve_quiesce(d->serve);
	discoverd_leave(d);
	d->round.fire = left;
	timer_start(service->loop, &d->round, d->unicast != NULL ? FAREWELLS * FAREWELL_MS : 0);
}

/* start */

/* It is a warning only: a group that worked must go on after an upgrade. */
static void warn_of_key(const struct conf *conf)
{
	char *why = identity_key_exposed(conf);

	if (why != NULL)
		log_line(LOG_LEVEL_WARNING, "%s", why);
	free(why);
}

static void discoverd_rekey(struct service *service)
{
	struct discoverd *d = service->data;

	d->gossip.group = d->keys.list[0].group;
	discoverd_stir(d);
}

static void discoverd_reload(struct service *service)
{
	struct discoverd *d = service->data;

	keyring_reload(&d->keyring);
}

static int start_gossip(struct discoverd *d, struct err *err)
{
	struct members members = MEMBERS_INIT;
	uint64_t now = clock_mono_ms();
	struct member self;

	if (keyring_start(&d->keyring, d->service, &d->keys, discoverd_rekey, err) < 0 ||
	    identity_member(d->service->conf, store_node(d->service->store), &self, err) < 0 ||
	    memory_load(d, &self.discovery, &members, err) < 0)
		return -1;
	self.start = d->incarnation.starts.now.count;
	gossip_init(&d->gossip, &self, d->keys.count > 0 ? d->keys.list[0].group : 0, now);
	view_load(&d->gossip.view, &members, now);
	members_clear(&members);
	log_no_members(d);
	memory_start(d);
	layouts_start(d);
	return 0;
}

static bool discoverd_is_busy(struct service *service)
{
	(void)service;
	return true;
}

static void discoverd_free(struct discoverd *d)
{
	timer_stop(&d->round);
	timer_stop(&d->publish);
	timer_stop(&d->farewell);
	local_stop(d);
	layouts_stop(d);
	memory_stop(d);
	timer_stop(&d->wake);
	call_finish(&d->drain);
	network_stop(d);
	caller_free(d->sync);
	pool_free(d->pool);
	gossip_clear(&d->gossip);
	members_clear(&d->saving.members);
	free(d->logged);
	buf_clear(&d->packet);
	keyring_clear(&d->keyring);
	unopened_close(d->unopened);
	free(d);
}

static void discoverd_finish(struct service *service)
{
	struct discoverd *d = service->data;

	pool_free(d->pool);
	d->pool = NULL;
	memory_end(d);
	discoverd_free(d);
}

static void start_caller(struct discoverd *d)
{
	struct buf path = BUF_INIT;

	buf_addf(&path, "%s/sync.sock", store_run(d->service->store));
	d->sync = caller_new(d->service->loop, path.data);
	buf_clear(&path);
}

static int discoverd_start(struct service *service, struct err *err)
{
	struct discoverd *d = mem_new(1, sizeof *d);

	service->data = d;
	d->service = service;
	d->multicast_fd = -1;
	d->unopened = unopened_open(store_run(service->store), NULL);
	d->pool = pool_new(1);
	d->round.fire = round_due;
	d->publish.fire = publish;
	d->farewell.fire = say_farewell;
	d->wake.fire = wake_syncd;
	start_caller(d);
	if (start_gossip(d, err) < 0 || network_start(d, err) < 0 || local_start(d, err) < 0) {
		discoverd_free(d);
		return -1;
	}
	warn_of_key(service->conf);
	discoverd_drain(d);
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
		.start = discoverd_start,
		.busy = discoverd_is_busy,
		.reload = discoverd_reload,
		.stop = discoverd_stop,
		.free = discoverd_finish,
	};

	return service_main(argc, argv, &role);
}
