/* talk - version.sock: NEWEST and NODES, for the programs of this node */
#include "versiond.h"

#include "clock.h"
#include "container.h"
#include "mem.h"
#include "version_talk.h"

/* A request on version.sock that waits for a check. */
struct pending {
	struct check_wait wait;
	struct versiond *versiond;
	struct serve_request *request;
	struct buf path;		/* of NODES; of NEWEST it is not kept */
};

static void pending_end(struct pending *pending)
{
	struct versiond *v = pending->versiond;

	serve_end(pending->request);
	buf_clear(&pending->path);
	free(pending);
	if (v->stopping && serve_requests(v->serve) == 0)
		service_finished(v->service);
}

static void reply_newest(struct serve_request *request, const struct newest_answer *answer)
{
	struct buf body = BUF_INIT;

	newest_answer_pack(&body, answer);
	serve_reply(request, VERSION_TALK_ANSWER, buf_str(&body), NULL, 0);
	buf_clear(&body);
}

static void newest_done(struct check_wait *wait, const struct check_result *result)
{
	struct pending *pending = CONTAINER_OF(wait, struct pending, wait);

	reply_newest(pending->request, &result->answer);
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
	struct home_found found = { .content = false };

	row.answered = group_lookup(v, path, VERSION_NONE, false, &found) == 0;
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

static void begin_check(struct versiond *v, struct serve_request *request, struct str path,
			enum check_purpose purpose, struct version version,
			void (*done)(struct check_wait *, const struct check_result *))
{
	struct pending *pending = mem_new(1, sizeof *pending);

	pending->versiond = v;
	pending->request = request;
	pending->wait.done = done;
	if (done == nodes_done)
		buf_addstr(&pending->path, path);
	request->data = pending;
	group_check(v, &pending->wait, path, purpose, version);
}

static int ask_newest(struct versiond *v, struct serve_request *request, struct str body,
		      struct err *err)
{
	struct newest_answer answer = { .standing = members_met(&v->members) ?
							   STANDING_UNCONFIRMED : STANDING_CONFIRMED };
	struct newest_ask ask;

	if (newest_ask_unpack(body, &ask, err) < 0)
		return -1;
	if (!group_is_alone(v)) {
		begin_check(v, request, ask.path, (enum check_purpose)ask.purpose, ask.version,
			    newest_done);
		return 0;
	}
	reply_newest(request, &answer);
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
	if (!group_is_alone(v)) {
		begin_check(v, request, ask.path, CHECK_LOOK, VERSION_NONE, nodes_done);
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

int talk_start(struct versiond *v, struct err *err)
{
	static const struct serve_role role = { .request = asked, .gone = gone };

	v->serve = serve_new(v->service->loop, service_fd(v->service, "version"), &role, v, err);
	return v->serve != NULL ? 0 : -1;
}

void talk_stop(struct versiond *v)
{
	serve_free(v->serve);
}
