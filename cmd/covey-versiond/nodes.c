/* nodes - NODES: what each member has of a path, and what it is to the path */
#include "versiond.h"

#include "clock.h"
#include "container.h"
#include "mem.h"
#include "quorum.h"

struct looking {
	struct talk_waiting waiting;
	struct check_wait wait;
	struct versiond *versiond;
	struct serve_request *request;
	struct buf path;
};

static void reply_row(struct serve_request *request, const struct nodes_row *row)
{
	struct buf body = BUF_INIT;

	nodes_row_pack(&body, row);
	serve_reply(request, VERSION_TALK_ROW, buf_str(&body), NULL, 0);
	buf_clear(&body);
}

static uint8_t roles_of(const struct versiond *v, struct str path, uint64_t id)
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

static struct nodes_row row_of(const struct versiond *v, const struct member *member,
			       struct str path)
{
	return (struct nodes_row){ .id = member->id, .name = str_of(member->name),
				   .http = member->http, .state = member->state,
				   .roles = roles_of(v, path, member->id) };
}

static void reply_own_row(struct versiond *v, struct serve_request *request, struct str path,
			  bool known, const struct home_found *found)
{
	struct nodes_row row = row_of(v, &v->self, path);

	row.state = MEMBER_UP;
	row.answered = known;
	if (known) {
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
	struct nodes_row row = row_of(v, member, path);
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

static void end(struct versiond *v, struct serve_request *request)
{
	serve_reply(request, VERSION_TALK_END, STR(""), NULL, 0);
	serve_end(request);
	talk_ended(v);
}

static void looked(struct check_wait *wait, const struct check_result *result)
{
	struct looking *looking = CONTAINER_OF(wait, struct looking, wait);
	struct versiond *v = looking->versiond;
	struct serve_request *request = looking->request;
	const struct members *members = &view_client_view(v->view)->members;
	struct str path = buf_str(&looking->path);

	reply_own_row(v, request, path, result->own_known, result->own);
	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->list[i];

		if (member->id != v->self.id && member->state != MEMBER_LEFT)
			reply_peer_row(v, request, path, member, result);
	}
	request->data = NULL;
	buf_clear(&looking->path);
	free(looking);
	end(v, request);
}

static void gone(struct talk_waiting *waiting)
{
	struct looking *looking = CONTAINER_OF(waiting, struct looking, waiting);

	check_cancel(&looking->wait);
	buf_clear(&looking->path);
	free(looking);
}

static void nodes_alone(struct versiond *v, struct serve_request *request, struct str path)
{
	struct home_found found = { .content = false };
	bool known = look_up(v, path, VERSION_NONE, false, &found) == 0;

	reply_own_row(v, request, path, known, &found);
	end(v, request);
}

int nodes_request(struct versiond *v, struct serve_request *request, struct str body,
		  struct err *err)
{
	struct looking *looking;
	struct nodes_ask ask;

	if (nodes_ask_unpack(body, &ask, err) < 0)
		return -1;
	if (v->socket == NULL) {
		nodes_alone(v, request, ask.path);
		return 0;
	}
	looking = mem_new(1, sizeof *looking);
	looking->versiond = v;
	looking->request = request;
	buf_addstr(&looking->path, ask.path);
	looking->waiting.gone = gone;
	request->data = &looking->waiting;
	looking->wait.done = looked;
	check_start(&v->asker, &looking->wait, ask.path, CHECK_LOOK, VERSION_NONE, clock_mono_ms());
	group_stir(v);
	return 0;
}
