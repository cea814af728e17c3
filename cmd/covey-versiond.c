/*
 * covey-versiond - which version is the newest, asked and answered
 *
 * Answers the CHECKs of other nodes from the store, and asks them for the
 * programs of this node (version.sock).  Whom to ask it learns from
 * covey-discoverd, which it watches; while that is away it goes by what it
 * heard last, or by members.ini.  What the store cannot tell is not
 * answered.  All it keeps is in memory, and worth nothing after a restart.
 */
#include "answer.h"
#include "call.h"
#include "check.h"
#include "clock.h"
#include "container.h"
#include "discover_talk.h"
#include "identity.h"
#include "log.h"
#include "mem.h"
#include "members.h"
#include "sealed.h"
#include "serve.h"
#include "service.h"
#include "version_talk.h"

#include <sodium.h>

#define WATCH_AGAIN_MS 1000

_Static_assert(HOLDERS_MAX >= CHECK_PEERS_MAX, "an answer has room for all holders");

struct versiond {
	struct service *service;
	struct member self;
	struct seal_keys keys;
	struct sealed_socket *socket;	/* NULL: a group of one without a key */
	struct buf sender, answer;	/* how every answer begins; the one being made */

	struct members members;
	struct caller *discover;
	struct call watch;
	struct timer watch_again;

	struct checks checks;
	struct timer tick;
	struct serve *serve;
	bool stopping;
};

/* A request on version.sock that waits for a check. */
struct pending {
	struct check_wait wait;
	struct versiond *versiond;
	struct serve_request *request;
	struct buf path;		/* of NODES; of NEWEST it is not kept */
};

/* the store */

static int lookup(void *data, struct str path, struct version version, struct answer_found *ret)
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
	if (answer_check(wire, clock_wall_ns(), lookup, v, &v->answer))
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
	if (discover_members_unpack(frame->body, &v->members, &err) < 0)
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

/* local programs */

static void pending_end(struct pending *pending)
{
	struct versiond *v = pending->versiond;

	serve_end(pending->request);
	buf_clear(&pending->path);
	free(pending);
	if (v->stopping && serve_requests(v->serve) == 0)
		service_finished(v->service);
}

static void reply_newest(struct serve_request *request, const struct check_result *result)
{
	struct newest_answer answer = { .directory = result->directory, .asked = result->asked,
					.answered = result->answered,
					.confirmed = result->asked == 0,
					.holder_count = result->holder_count };
	struct buf body = BUF_INIT;

	memcpy(answer.holders, result->holders, result->holder_count * sizeof answer.holders[0]);
	if (result->newest != NULL) {
		answer.record = result->newest->record;
		answer.type = str_of(result->newest->type);
	}
	newest_answer_pack(&body, &answer);
	serve_reply(request, VERSION_TALK_ANSWER, buf_str(&body), NULL, 0);
	buf_clear(&body);
}

static void newest_done(struct check_wait *wait, const struct check_result *result)
{
	struct pending *pending = CONTAINER_OF(wait, struct pending, wait);

	reply_newest(pending->request, result);
	pending_end(pending);
}

static void reply_row(struct serve_request *request, const struct nodes_row *row)
{
	struct buf body = BUF_INIT;

	nodes_row_pack(&body, row);
	serve_reply(request, VERSION_TALK_ROW, buf_str(&body), NULL, 0);
	buf_clear(&body);
}

static struct nodes_row row_of(const struct member *member)
{
	return (struct nodes_row){ .id = member->id, .name = str_of(member->name),
				   .http = member->http, .state = member->state };
}

static void reply_own_row(struct versiond *v, struct serve_request *request, struct str path)
{
	struct nodes_row row = row_of(&v->self);
	struct answer_found found = { .content = false };

	row.answered = lookup(v, path, VERSION_NONE, &found) == 0;
	row.record = found.record;
	row.type = str_of(found.type);
	row.content = found.content;
	reply_row(request, &row);
}

static void reply_peer_row(struct serve_request *request, const struct member *member,
			   const struct check_result *result)
{
	struct nodes_row row = row_of(member);
	uint64_t now = clock_mono_ms();

	for (size_t i = 0; i < result->row_count; i++) {
		const struct check_row *from = &result->rows[i];

		if (from->id != member->id || !from->answered)
			continue;
		row.answered = true;
		row.record = from->record;
		row.type = str_of(from->type);
		row.content = from->content;
		row.age_ms = now > from->at ? now - from->at : 0;
	}
	reply_row(request, &row);
}

static void reply_nodes(struct versiond *v, struct serve_request *request, struct str path,
			const struct check_result *result)
{
	reply_own_row(v, request, path);
	for (size_t i = 0; i < v->members.count; i++) {
		const struct member *member = &v->members.list[i];

		if (member->id != v->self.id && member->state != MEMBER_LEFT)
			reply_peer_row(request, member, result);
	}
	serve_reply(request, VERSION_TALK_END, STR(""), NULL, 0);
}

static void nodes_done(struct check_wait *wait, const struct check_result *result)
{
	struct pending *pending = CONTAINER_OF(wait, struct pending, wait);

	reply_nodes(pending->versiond, pending->request, buf_str(&pending->path), result);
	pending_end(pending);
}

static bool is_alone(const struct versiond *v)
{
	return v->socket == NULL || checks_asked(&v->checks) == 0;
}

static void begin_check(struct versiond *v, struct serve_request *request, struct str path,
			struct version version,
			void (*done)(struct check_wait *, const struct check_result *))
{
	struct pending *pending = mem_new(1, sizeof *pending);

	pending->versiond = v;
	pending->request = request;
	pending->wait.done = done;
	if (done == nodes_done)
		buf_addstr(&pending->path, path);
	request->data = pending;
	check_start(&v->checks, &pending->wait, path, version, clock_mono_ms());
	set_tick(v);
}

static int ask_newest(struct versiond *v, struct serve_request *request, struct str body,
		      struct err *err)
{
	static const struct check_result nobody;
	struct newest_ask ask;

	if (newest_ask_unpack(body, &ask, err) < 0)
		return -1;
	if (!is_alone(v)) {
		begin_check(v, request, ask.path, ask.version, newest_done);
		return 0;
	}
	reply_newest(request, &nobody);
	serve_end(request);
	return 0;
}

static int ask_nodes(struct versiond *v, struct serve_request *request, struct str body,
		     struct err *err)
{
	static const struct check_result nobody;
	struct nodes_ask ask;

	if (nodes_ask_unpack(body, &ask, err) < 0)
		return -1;
	if (!is_alone(v)) {
		begin_check(v, request, ask.path, VERSION_NONE, nodes_done);
		return 0;
	}
	reply_nodes(v, request, ask.path, &nobody);
	serve_end(request);
	return 0;
}

static void asked(struct serve *serve, struct serve_request *request, struct frame *frame)
{
	struct versiond *v = serve_data(serve);
	struct err err = ERR_INIT;
	int rc;

	service_touch(v->service);
	if (frame->type == VERSION_TALK_NEWEST)
		rc = ask_newest(v, request, frame->body, &err);
	else if (frame->type == VERSION_TALK_NODES)
		rc = ask_nodes(v, request, frame->body, &err);
	else
		rc = err_set(&err, ERR_UNSUPPORTED, "ask covey-versiond: unknown request");
	if (rc < 0)
		serve_fail(request, &err);
}

static void gone(struct serve *serve, struct serve_request *request)
{
	struct versiond *v = serve_data(serve);
	struct pending *pending = request->data;

	if (pending == NULL)
		return;
	check_cancel(&pending->wait);
	buf_clear(&pending->path);
	free(pending);
	if (v->stopping && serve_requests(serve) == 0)
		service_finished(v->service);
}

/* the role */

static void release(struct versiond *v)
{
	serve_free(v->serve);
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
	free(v);
}

static int start_group(struct versiond *v, struct err *err)
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

static int start(struct service *service, struct err *err)
{
	static const struct serve_role role = { .request = asked, .gone = gone };
	struct versiond *v = mem_new(1, sizeof *v);

	service->data = v;
	v->service = service;
	if (start_group(v, err) < 0)
		goto fail;
	v->serve = serve_new(service->loop, service_fd(service, "version"), &role, v, err);
	if (v->serve == NULL)
		goto fail;
	return 0;
fail:
	release(v);
	return -1;
}

static bool busy(struct service *service)
{
	struct versiond *v = service->data;

	return serve_requests(v->serve) > 0;
}

static void stop(struct service *service)
{
	struct versiond *v = service->data;

	v->stopping = true;
	serve_quiesce(v->serve);
	if (serve_requests(v->serve) == 0)
		service_finished(service);
}

static void finish(struct service *service)
{
	release(service->data);
}

static const struct service_socket sockets[] = {
	{ "versions", SERVICE_UDP, true },
	{ "version", SERVICE_UNIX, false },
	{ NULL, SERVICE_UDP, false },
};

int main(int argc, char **argv)
{
	static const struct service_role role = {
		.name = "covey-versiond",
		.summary = "Answer which version of a path is here, and ask other nodes for theirs.",
		.sockets = sockets,
		.exits_idle = true,
		.start = start,
		.busy = busy,
		.stop = stop,
		.free = finish,
	};

	return service_main(argc, argv, &role);
}
