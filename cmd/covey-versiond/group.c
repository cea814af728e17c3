/* group - other nodes: their CHECKs, ours, and whom to ask */
#include "versiond.h"

#include "clock.h"
#include "container.h"
#include "discover_talk.h"
#include "identity.h"
#include "log.h"
#include "members.h"

#include <sodium.h>

#define WATCH_AGAIN_MS 1000

/* this node's store */

int group_lookup(void *data, struct str path, struct version version, struct answer_found *ret)
{
	struct versiond *v = data;
	struct store_entry entry = STORE_ENTRY_INIT;
	struct err err = ERR_INIT;
	int rc;

	if (version_is_none(version))
		rc = store_newest(v->service->store, path, STORE_RECORD, &entry, &err);
	else
		rc = store_version(v->service->store, path, version, STORE_RECORD, &entry, &err);
	if (rc < 0 && err.kind != ERR_ABSENT) {
		log_err(LOG_LEVEL_WARNING, &err, "no answer to a check");
		return -1;
	}
	ret->record = entry.record;
	memcpy(ret->type, entry.type, sizeof ret->type);
	ret->content = entry.content;
	ret->directory = entry.directory;
	store_entry_clear(&entry);
	return 0;
}

/* other nodes */

static void set_tick(struct versiond *v)
{
	uint64_t now;

	if (v->checks.due == 0)
		return;
	now = clock_mono_ms();
	timer_start(v->service->loop, &v->tick, v->checks.due > now ? v->checks.due - now : 0);
}

static void tick(struct timer *timer)
{
	struct versiond *v = CONTAINER_OF(timer, struct versiond, tick);

	checks_tick(&v->checks, clock_mono_ms());
	set_tick(v);
}

static void received(void *data, const struct wire *wire, const struct address *from)
{
	struct versiond *v = data;

	if (wire->type == WIRE_RECORD)
		checks_receive(&v->checks, wire, clock_mono_ms());
	if (wire->type != WIRE_CHECK)
		return;
	buf_reset(&v->answer);
	buf_addstr(&v->answer, buf_str(&v->sender));
	if (answer_check(wire, clock_wall_ns(), group_lookup, v, &v->answer))
		sealed_send(v->socket, from, buf_str(&v->answer));
}

static void batch_done(void *data)
{
	struct versiond *v = data;

	service_touch(v->service);
	set_tick(v);
}

static void send_check(void *data, const struct address *to, struct str plain)
{
	struct versiond *v = data;

	sealed_send(v->socket, to, plain);
}

static uint64_t random_number(void *data)
{
	uint64_t n;

	(void)data;
	randombytes_buf(&n, sizeof n);
	return n;
}

static uint64_t wall_clock(void *data)
{
	(void)data;
	return clock_wall_ns();
}

/* the view */

static void watched(struct call *call, struct frame *frame)
{
	struct versiond *v = CONTAINER_OF(call, struct versiond, watch);
	struct err err = ERR_INIT;

	if (frame == NULL) {		/* away: ask again, go on with what was heard */
		timer_start(v->service->loop, &v->watch_again, WATCH_AGAIN_MS);
		return;
	}
	if (frame->type != DISCOVER_MEMBERS)
		return;
	if (discover_members_unpack(frame->body, &v->members, NULL, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "watch the group");
	else
		checks_members(&v->checks, &v->members);
}

static void watch_members(struct timer *timer)
{
	struct versiond *v = CONTAINER_OF(timer, struct versiond, watch_again);

	v->watch.answer = watched;
	call_start(v->discover, &v->watch, DISCOVER_WATCH, STR(""), 0);
}

static void start_watching(struct versiond *v)
{
	struct buf path = BUF_INIT;
	struct err err = ERR_INIT;

	buf_addf(&path, "%s/state", v->service->conf->node.store);
	if (members_load(path.data, &v->members, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "read the members");
	checks_members(&v->checks, &v->members);
	buf_reset(&path);
	buf_addf(&path, "%s/discover.sock", store_run(v->service->store));
	v->discover = caller_new(v->service->loop, path.data);
	v->watch_again.fire = watch_members;
	watch_members(&v->watch_again);
	buf_clear(&path);
}

/* for the other files */

bool group_is_alone(const struct versiond *v)
{
	return v->socket == NULL || checks_asked(&v->checks) == 0;
}

void group_check(struct versiond *v, struct check_wait *wait, struct str path,
		 struct version version)
{
	check_start(&v->checks, wait, path, version, clock_mono_ms());
	set_tick(v);
}

int group_start(struct versiond *v, struct err *err)
{
	static const struct sealed_role role = { .received = received, .batch_done = batch_done };
	int fd = service_fd(v->service, "versions");

	if (identity_keys(v->service->conf, &v->keys, err) < 0 ||
	    identity_member(v->service->conf, store_node(v->service->store), &v->self, err) < 0)
		return -1;
	if (v->keys.count == 0 || fd < 0)
		return 0;
	wire_pack_sender(&v->sender, v->keys.list[0].group, &v->self);
	checks_init(&v->checks, v->keys.list[0].group, &v->self, v->service->conf->timeouts.check_ms);
	v->checks.send = send_check;
	v->checks.random = random_number;
	v->checks.wall = wall_clock;
	v->checks.data = v;
	v->tick.fire = tick;
	v->socket = sealed_new(v->service->loop, fd, &v->keys, &role, v, err);
	if (v->socket == NULL)
		return -1;
	start_watching(v);
	return 0;
}

void group_stop(struct versiond *v)
{
	timer_stop(&v->tick);
	timer_stop(&v->watch_again);
	call_finish(&v->watch);
	caller_free(v->discover);
	sealed_free(v->socket);
	checks_clear(&v->checks);
	members_clear(&v->members);
	buf_clear(&v->sender);
	buf_clear(&v->answer);
	explicit_bzero(&v->keys, sizeof v->keys);
}
