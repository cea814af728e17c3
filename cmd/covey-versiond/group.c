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

static int look_below(struct versiond *v, struct str path, struct version version,
		      struct store_entry *ret, struct err *err)
{
	struct history history = HISTORY_INIT;
	size_t i = 0;

	if (store_history(v->service->store, path, &history, err) < 0)
		return -1;
	while (i < history.count && version_cmp(history.entries[i].record.version, version) >= 0)
		i++;
	if (i < history.count) {
		const char *type = history.entries[i].type;

		ret->record = history.entries[i].record;
		ret->content = history.entries[i].content;
		snprintf(ret->type, sizeof ret->type, "%s", type != NULL ? type : "");
	}
	history_clear(&history);
	return 0;
}

static int look(struct versiond *v, struct str path, struct version version, bool below,
		struct store_entry *ret, struct err *err)
{
	if (below)
		return look_below(v, path, version, ret, err);
	if (version_is_none(version))
		return store_newest(v->service->store, path, STORE_RECORD, ret, err);
	return store_version(v->service->store, path, version, STORE_RECORD, ret, err);
}

int group_lookup(void *data, struct str path, struct version version, bool below,
		 struct home_found *ret)
{
	struct versiond *v = data;
	struct store_entry entry = STORE_ENTRY_INIT;
	struct err err = ERR_INIT;

	if (look(v, path, version, below, &entry, &err) < 0 && err.kind != ERR_ABSENT) {
		log_err(LOG_LEVEL_WARNING, &err, "no answer to a check");
		return -1;
	}
	ret->record = entry.record;
	memcpy(ret->type, entry.type, sizeof ret->type);
	ret->content = entry.content;
	ret->directory = entry.directory;
	ret->file = record_is_live(&entry.record) && !(entry.record.flags & RECORD_DIRECTORY);
	ret->known = path_parent(path).n == 0;
	store_entry_clear(&entry);
	return 0;
}

/* other nodes */

static void set_tick(struct versiond *v)
{
	uint64_t now;

	if (v->asker.due == 0)
		return;
	now = clock_mono_ms();
	timer_start(v->service->loop, &v->tick, v->asker.due > now ? v->asker.due - now : 0);
}

static void tick(struct timer *timer)
{
	struct versiond *v = CONTAINER_OF(timer, struct versiond, tick);

	asker_tick(&v->asker, clock_mono_ms());
	set_tick(v);
}

static void received(void *data, const struct wire *wire, const struct address *from)
{
	struct versiond *v = data;

	asker_receive(&v->asker, wire, clock_mono_ms());
	if (home_receive(&v->home, wire, clock_wall_ns(), &v->answer) == HOME_ANSWER)
		sealed_send(v->socket, from, buf_str(&v->answer));
}

static void batch_done(void *data)
{
	struct versiond *v = data;

	service_touch(v->service);
	set_tick(v);
}

static void send_question(void *data, const struct peer_target *to, struct str plain,
			  unsigned attempt)
{
	struct versiond *v = data;

	(void)attempt;
	if (to->versions.len > 0 && plain.n <= WIRE_PLAIN_BYTES)
		sealed_send(v->socket, &to->versions, plain);
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
		asker_members(&v->asker, &v->members);
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
	asker_members(&v->asker, &v->members);
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
	return v->socket == NULL || asker_peers(&v->asker) == 0;
}

void group_check(struct versiond *v, struct check_wait *wait, struct str path,
		 enum check_purpose purpose, struct version version)
{
	check_start(&v->asker, wait, path, purpose, version, clock_mono_ms());
	set_tick(v);
}

static void begin_asking(struct versiond *v)
{
	home_init(&v->home, v->keys.list[0].group, &v->self);
	v->home.lookup = group_lookup;
	v->home.data = v;
	asker_init(&v->asker, &v->home, v->service->conf->timeouts.check_ms,
		   v->service->conf->timeouts.check_ms);
	v->asker.send = send_question;
	v->asker.random = random_number;
	v->asker.wall = wall_clock;
	v->asker.data = v;
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
	begin_asking(v);
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
	asker_clear(&v->asker);
	home_clear(&v->home);
	members_clear(&v->members);
	buf_clear(&v->answer);
	explicit_bzero(&v->keys, sizeof v->keys);
}
