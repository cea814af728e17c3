/*
 * local - version.sock: requests of this node's programs
 *
 *	NEWEST	which version is the newest (check.h)
 *	STORE	keep this record at its homes (storing.h)
 *	NODES	what each member has of a path, and what it is to the path
 *	CARRY	a packet of another node that came by HTTP (answer.c)
 *	SYNC	what homes compare (surveys.c)
 *	STATS	the counters
 *
 * A request whose lookup would block waits in the pool before it begins.
 */
#include "versiond.h"

#include "clock.h"
#include "container.h"
#include "mem.h"
#include "quorum.h"

/* NEWEST, STORE and NODES under way. */
struct pending {
	struct versiond *versiond;
	struct serve_request *request;
	struct check_wait check;	/* of NEWEST and NODES */
	struct store_wait store;
	struct buf path;		/* of NODES */
};

static struct pending *pending_new(struct versiond *v, struct serve_request *request,
				   void (*gone)(struct serve_request *))
{
	struct pending *pending = mem_new(1, sizeof *pending);

	pending->versiond = v;
	pending->request = request;
	request->data = pending;
	request->gone = gone;
	return pending;
}

static void pending_free(struct pending *pending)
{
	buf_clear(&pending->path);
	free(pending);
}

static void check_gone(struct serve_request *request)
{
	struct pending *pending = request->data;

	check_cancel(&pending->check);
	pending_free(pending);
}

/* NEWEST */

static void reply_newest(struct versiond *v, struct serve_request *request,
			 const struct newest_answer *answer)
{
	struct buf body = BUF_INIT;

	v->stats->checks[answer->certainty]++;
	newest_answer_pack(&body, answer);
	local_reply(v, request, VERSION_TALK_ANSWER, buf_str(&body));
	buf_clear(&body);
}

static void newest_done(struct check_wait *wait, const struct check_result *result)
{
	struct pending *pending = CONTAINER_OF(wait, struct pending, check);

	reply_newest(pending->versiond, pending->request, &result->answer);
	pending_free(pending);
}

/* Without a key this node is a group of one: its own record is the newest. */
static void newest_alone(struct versiond *v, struct serve_request *request,
			 const struct newest_ask *ask)
{
	struct newest_answer answer = { .certainty = CERTAINTY_CONFIRMED, .clock = group_clock(v) };
	struct home_found found = { .content = false };

	if (lookup_find(v, ask->path, ask->version, ask->purpose == NEWEST_BELOW, &found) < 0)
		answer.certainty = CERTAINTY_UNCONFIRMED;
	answer.record = found.record;
	answer.type = str_of(found.type);
	answer.entry = found.entry;
	answer.parent_known = true;
	reply_newest(v, request, &answer);
}

static void newest_begin(struct versiond *v, struct serve_request *request, struct str body)
{
	struct newest_ask ask;
	struct pending *pending;

	if (newest_ask_unpack(body, &ask, NULL) < 0)
		return;			/* cannot be: ask_newest() has unpacked it */
	if (v->socket == NULL) {
		newest_alone(v, request, &ask);
		return;
	}
	pending = pending_new(v, request, check_gone);
	pending->check.done = newest_done;
	check_start(&v->asker, &pending->check, ask.path, (enum check_purpose)ask.purpose,
		    ask.version, clock_mono_ms());
	group_schedule(v);
}

/* STORE */

static void local_store_done(struct store_wait *wait, const struct store_answer *answer)
{
	struct pending *pending = CONTAINER_OF(wait, struct pending, store);
	struct buf body = BUF_INIT;

	if (answer->last)
		pending->versiond->stats->stores[answer->confirmed]++;
	store_answer_pack(&body, answer);
	if (answer->last)
		local_reply(pending->versiond, pending->request, VERSION_TALK_STORED, buf_str(&body));
	else
		serve_reply(pending->request, VERSION_TALK_STORED, buf_str(&body), NULL, 0);
	buf_clear(&body);
	if (answer->last)
		pending_free(pending);
}

static void local_store_gone(struct serve_request *request)
{
	struct pending *pending = request->data;

	storing_cancel(&pending->store);
	pending_free(pending);
}

static void local_store_begin(struct versiond *v, struct serve_request *request, struct str body)
{
	struct store_ask ask;
	struct pending *pending;

	if (store_ask_unpack(body, &ask, NULL) < 0)
		return;
	pending = pending_new(v, request, local_store_gone);
	pending->store.done = local_store_done;
	storing_start(&v->asker, &pending->store, &ask, clock_mono_ms());
	group_schedule(v);
}

/* waiting for a writer */

struct blocked {
	struct lookup_wait wait;
	struct serve_request *request;	/* NULL: its asker is gone */
	void (*begin)(struct versiond *, struct serve_request *, struct str body);
	struct buf path, body;
};

static void blocked_gone(struct serve_request *request)
{
	struct blocked *blocked = request->data;

	blocked->request = NULL;
	blocked->wait.in_vain = true;
}

/* What was waited for often enough may block the loop. */
static void blocked_begin(struct lookup_wait *wait, bool unblocked)
{
	struct blocked *blocked = CONTAINER_OF(wait, struct blocked, wait);

	(void)unblocked;
	if (blocked->request != NULL) {
		blocked->request->gone = NULL;
		blocked->begin(wait->versiond, blocked->request, buf_str(&blocked->body));
	}
	buf_clear(&blocked->path);
	buf_clear(&blocked->body);
	free(blocked);
}

static void begin_when_unblocked(struct versiond *v, struct serve_request *request, struct str path,
				 struct str body,
				 void (*begin)(struct versiond *, struct serve_request *, struct str))
{
	struct blocked *blocked;

	if (!lookup_would_wait(v, path)) {
		begin(v, request, body);
		return;
	}
	blocked = mem_new(1, sizeof *blocked);
	blocked->request = request;
	blocked->begin = begin;
	buf_addstr(&blocked->path, path);
	buf_addstr(&blocked->body, body);
	request->data = blocked;
	request->gone = blocked_gone;
	blocked->wait = (struct lookup_wait){ .versiond = v, .path = buf_str(&blocked->path),
					      .then = blocked_begin };
	lookup_when_unblocked(&blocked->wait);
}

/* NODES */

static void reply_row(struct serve_request *request, const struct nodes_row *row)
{
	struct buf body = BUF_INIT;

	nodes_row_pack(&body, row);
	serve_reply(request, VERSION_TALK_ROW, buf_str(&body), NULL, 0);
	buf_clear(&body);
}

static uint8_t nodes_roles_of(const struct versiond *v, struct str path, uint64_t id)
{
	const struct layout *layout = &v->home.layout;
	struct quorum quorum;
	uint8_t roles = 0;

	if (layout->epoch == 0)
		return 0;
	if (layout_find(layout, id) == NULL)
		return NODE_GUEST;
	quorum_begin(&quorum);
	quorum_add(&quorum, layout, path_partition(path));
	roles |= quorum_has(&quorum, id) ? NODE_HOME : 0;
	roles |= layout_keeps(layout, path, id) ? NODE_KEEPER : 0;
	return roles;
}

static struct nodes_row nodes_row_of(const struct versiond *v, const struct member *member,
				     struct str path)
{
	return (struct nodes_row){ .id = member->id, .name = str_of(member->name),
				   .http = member->http, .state = member->state,
				   .roles = nodes_roles_of(v, path, member->id) };
}

static void reply_own_row(struct versiond *v, struct serve_request *request, struct str path,
			  bool answered, const struct home_found *found)
{
	struct nodes_row row = nodes_row_of(v, &v->self, path);

	row.state = MEMBER_UP;
	row.answered = answered;
	if (answered) {
		row.record = found->record;
		row.type = str_of(found->type);
		row.content = found->content;
		row.entry = found->entry;
	}
	reply_row(request, &row);
}

static void reply_peer_row(struct versiond *v, struct serve_request *request, struct str path,
			   const struct member *member, const struct check_result *result)
{
	struct nodes_row row = nodes_row_of(v, member, path);
	uint64_t now = clock_mono_ms();

	for (size_t i = 0; i < result->row_count; i++) {
		const struct check_row *from = &result->rows[i];

		if (from->id != member->id || !from->answered)
			continue;
		row.answered = true;
		row.record = from->record;
		row.type = str_of(from->type);
		row.content = from->content;
		row.entry = from->entry;
		row.age_ms = now > from->at ? now - from->at : 0;
	}
	reply_row(request, &row);
}

static void nodes_done(struct check_wait *wait, const struct check_result *result)
{
	struct pending *pending = CONTAINER_OF(wait, struct pending, check);
	struct versiond *v = pending->versiond;
	const struct members *members = &view_client_view(v->view)->members;
	struct str path = buf_str(&pending->path);

	reply_own_row(v, pending->request, path, result->own_known, result->own);
	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->list[i];

		if (member->id != v->self.id && member->state != MEMBER_LEFT)
			reply_peer_row(v, pending->request, path, member, result);
	}
	local_reply(v, pending->request, VERSION_TALK_END, STR(""));
	pending_free(pending);
}

static void nodes_alone(struct versiond *v, struct serve_request *request, struct str path)
{
	struct home_found found = { .content = false };
	bool answered = lookup_find(v, path, VERSION_NONE, false, &found) == 0;

	reply_own_row(v, request, path, answered, &found);
	local_reply(v, request, VERSION_TALK_END, STR(""));
}

static int ask_nodes(struct versiond *v, struct serve_request *request, struct str body,
		     struct err *err)
{
	struct pending *pending;
	struct nodes_ask ask;

	if (nodes_ask_unpack(body, &ask, err) < 0)
		return -1;
	if (v->socket == NULL) {
		nodes_alone(v, request, ask.path);
		return 0;
	}
	pending = pending_new(v, request, check_gone);
	buf_addstr(&pending->path, ask.path);
	pending->check.done = nodes_done;
	check_start(&v->asker, &pending->check, ask.path, CHECK_LOOK, VERSION_NONE, clock_mono_ms());
	group_schedule(v);
	return 0;
}

/* what is asked */

static int ask_newest(struct versiond *v, struct serve_request *request, struct str body,
		      struct err *err)
{
	struct newest_ask ask;

	if (newest_ask_unpack(body, &ask, err) < 0)
		return -1;
	begin_when_unblocked(v, request, ask.path, body, newest_begin);
	return 0;
}

static int ask_store(struct versiond *v, struct serve_request *request, struct str body,
		     struct err *err)
{
	struct store_ask ask;

	if (store_ask_unpack(body, &ask, err) < 0)
		return -1;
	if (v->socket == NULL)
		return err_set(err, ERR_AWAY, "store %.*s at its homes: there is no group",
			       STR_ARG(ask.path));
	begin_when_unblocked(v, request, ask.path, body, local_store_begin);
	return 0;
}

static void tell_stats(struct versiond *v, struct serve_request *request)
{
	struct buf text = BUF_INIT;

	stats_print(v, &text);
	local_reply(v, request, VERSION_TALK_STATS, buf_str(&text));
	buf_clear(&text);
}

static int local_dispatch(struct versiond *v, struct serve_request *request, const struct frame *frame,
			  struct err *err)
{
	switch (frame->type) {
	case VERSION_TALK_NEWEST:
		return ask_newest(v, request, frame->body, err);
	case VERSION_TALK_STORE:
		return ask_store(v, request, frame->body, err);
	case VERSION_TALK_NODES:
		return ask_nodes(v, request, frame->body, err);
	case VERSION_TALK_CARRY:
		return group_carried(v, request, frame->body, err);
	case VERSION_TALK_SYNC:
		return surveys_ask(v, request, frame->body, err);
	case VERSION_TALK_STATS:
		tell_stats(v, request);
		return 0;
	default:
		return err_set(err, ERR_UNSUPPORTED, "ask covey-versiond: unknown request");
	}
}

static void local_request(struct serve *serve, struct serve_request *request, struct frame *frame)
{
	struct versiond *v = serve_data(serve);
	struct err err = ERR_INIT;

	service_touch(v->service);
	if (v->stopped) {
		serve_end(request);
		return;
	}
	if (local_dispatch(v, request, frame, &err) < 0)
		local_fail(v, request, &err);
}

static void local_gone(struct serve *serve, struct serve_request *request)
{
	(void)request;
	local_ended(serve_data(serve));
}

int local_start(struct versiond *v, struct err *err)
{
	static const struct serve_role role = { .request = local_request, .gone = local_gone };

	v->serve = serve_new(v->service->loop, service_fd(v->service, "version"), &role, v, err);
	return v->serve != NULL ? 0 : -1;
}

void local_stop(struct versiond *v)
{
	serve_free(v->serve);
	v->serve = NULL;
}

void local_reply(struct versiond *v, struct serve_request *request, uint8_t type, struct str body)
{
	serve_reply(request, type, body, NULL, 0);
	serve_end(request);
	local_ended(v);
}

void local_fail(struct versiond *v, struct serve_request *request, const struct err *err)
{
	serve_fail(request, err);
	local_ended(v);
}

void local_ended(struct versiond *v)
{
	if (!v->stopping || v->jobs > 0 || v->serve == NULL ||
	    (serve_requests(v->serve) > 0 && !v->late))
		return;
	v->stopped = true;
	service_finished(v->service);
}
