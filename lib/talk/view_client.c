/* view_client - the member view and the layout, as covey-discoverd tells them */
#include "view_client.h"

#include "clock.h"
#include "container.h"
#include "discover_talk.h"
#include "layout_file.h"
#include "mem.h"
#include "members.h"

#include <pthread.h>

#define AGAIN_MS 1000		/* between tries to reach covey-discoverd */
#define BEHIND_AGAIN_MS 100	/* between two BEHIND that say no more */
#define BEHIND_WAIT_MS 1000

struct view_client {
	const struct view_events *events;
	void *data;
	char *socket_path, *state_directory;	/* owned */
	pthread_mutex_t mutex;		/* of the pointer to the view, whose only writer is the loop's thread */
	struct group_view *view;
	struct loop *loop;
	struct caller *caller;		/* NULL: not started */
	struct call watch, behind;
	uint64_t behind_epoch, behind_at;	/* that was told last, and when: ms, monotonic */
	struct timer again;
};

static void view_tell_failure(const struct view_client *client, const struct err *err)
{
	if (client->events->failed != NULL)
		client->events->failed(client->data, err);
}

/* With one holder, the caller. */
static struct group_view *view_copy(const struct group_view *from)
{
	struct group_view *view = mem_new(1, sizeof *view);

	view->members = (struct members){ .self = from->members.self };
	for (size_t i = 0; i < from->members.count; i++)
		members_add(&view->members, &from->members.list[i]);
	view->layout = from->layout;
	view->clock_offset = from->clock_offset;
	view->state = from->state;
	atomic_init(&view->holders, 1);
	return view;
}

static void view_replace(struct view_client *client, struct group_view *now)
{
	struct group_view *before = client->view;

	pthread_mutex_lock(&client->mutex);
	client->view = now;
	pthread_mutex_unlock(&client->mutex);
	if (client->events->changed != NULL)
		client->events->changed(client->data, now, before);
	group_view_release(before);
}

/* One of the two answers to VIEW and WATCH. */
static int view_hear(struct view_client *client, const struct frame *frame, struct err *err)
{
	struct group_view *view = view_copy(client->view);
	int rc;

	if (frame->type == DISCOVER_MEMBERS)
		rc = discover_members_unpack(frame->body, &view->members, &view->clock_offset, err);
	else if (frame->type == DISCOVER_LAYOUT)
		rc = discover_layout_unpack(frame->body, &view->layout, err);
	else
		rc = err_set(err, ERR_INVALID, "watch the group: an answer of type %u", frame->type);
	if (rc < 0) {
		group_view_release(view);
		return -1;
	}
	/* Whether this node may speak as a home comes with the members: a layout alone is no live view. */
	if (frame->type == DISCOVER_MEMBERS || view->state == VIEW_STALE)
		view->state = VIEW_LIVE;
	view_replace(client, view);
	return 0;
}

/* covey-discoverd is away.  It saves a layout before it tells of it, and may not have come to that. */
static void view_lose(struct view_client *client)
{
	struct group_view *view = view_copy(client->view);
	bool changed = view->state == VIEW_LIVE;
	struct layout layout;

	if (changed)
		view->state = VIEW_STALE;
	if (layout_load(client->state_directory, &layout, NULL) == 0 && layout.epoch != 0 &&
	    (layout.lineage != view->layout.lineage || layout.epoch > view->layout.epoch)) {
		view->layout = layout;
		changed = true;
	}
	if (changed)
		view_replace(client, view);
	else
		group_view_release(view);
}

static void view_watched(struct call *call, struct frame *frame)
{
	struct view_client *client = CONTAINER_OF(call, struct view_client, watch);
	struct err err = ERR_INIT;

	if (frame == NULL) {
		timer_start(client->loop, &client->again, AGAIN_MS);
		view_lose(client);
	} else if (view_hear(client, frame, &err) < 0) {
		view_tell_failure(client, &err);
	}
}

static void view_watch(struct timer *timer)
{
	struct view_client *client = CONTAINER_OF(timer, struct view_client, again);

	call_start(client->caller, &client->watch, DISCOVER_WATCH, STR(""), 0);
}

static void view_read_disk(struct view_client *client)
{
	struct err err = ERR_INIT;

	if (members_load(client->state_directory, &client->view->members, &err) < 0)
		view_tell_failure(client, &err);
	if (layout_load(client->state_directory, &client->view->layout, &err) < 0)
		view_tell_failure(client, &err);
}

struct view_client *view_client_new(const char *run_directory, const char *state_directory,
				    const struct view_events *events, void *data)
{
	static const struct group_view nothing = { .state = VIEW_REMEMBERED };
	struct view_client *client = mem_new(1, sizeof *client);
	struct buf path = BUF_INIT;

	buf_addf(&path, "%s/discover.sock", run_directory);
	client->events = events;
	client->data = data;
	client->socket_path = mem_copy(path.data, path.len);
	client->state_directory = mem_copy(state_directory, strlen(state_directory));
	pthread_mutex_init(&client->mutex, NULL);
	client->watch = (struct call)CALL_INIT;
	client->watch.answer = view_watched;
	client->behind = (struct call)CALL_INIT;
	client->behind.answer = call_answered;
	client->again.fire = view_watch;
	client->view = view_copy(&nothing);
	view_read_disk(client);
	buf_clear(&path);
	return client;
}

int view_client_ask(struct view_client *client, uint64_t timeout_ms, struct err *err)
{
	bool members = false, layout = false;
	struct asking asking = ASKING_INIT;
	struct frame frame;
	int rc = asking_start(&asking, client->socket_path, DISCOVER_VIEW, STR(""), timeout_ms, err);

	while (rc == 0 && !(members && layout)) {
		rc = asking_next(&asking, &frame, err);
		if (rc < 0)
			break;
		rc = view_hear(client, &frame, err);
		members = members || frame.type == DISCOVER_MEMBERS;
		layout = layout || frame.type == DISCOVER_LAYOUT;
		frame_close(&frame);
	}
	asking_end(&asking);
	return rc;
}

void view_client_start(struct view_client *client, struct loop *loop)
{
	client->loop = loop;
	client->caller = caller_new(loop, client->socket_path);
	view_watch(&client->again);
}

bool view_client_behind(struct view_client *client, uint64_t epoch, uint64_t node,
			const struct address *discovery)
{
	struct discover_behind behind = { .epoch = epoch, .node = node, .from = *discovery };
	uint64_t now = clock_mono_ms();
	struct buf body = BUF_INIT;

	if (epoch <= client->behind_epoch && now - client->behind_at < BEHIND_AGAIN_MS)
		return false;
	client->behind_epoch = epoch;
	client->behind_at = now;
	call_finish(&client->behind);	/* of an earlier one: this says more, or again */
	discover_behind_pack(&body, &behind);
	call_start(client->caller, &client->behind, DISCOVER_BEHIND, buf_str(&body), BEHIND_WAIT_MS);
	buf_clear(&body);
	return true;
}

void view_client_free(struct view_client *client)
{
	if (client == NULL)
		return;
	timer_stop(&client->again);
	call_finish(&client->watch);
	call_finish(&client->behind);
	caller_free(client->caller);
	group_view_release(client->view);
	pthread_mutex_destroy(&client->mutex);
	free(client->socket_path);
	free(client->state_directory);
	free(client);
}

struct caller *view_client_caller(struct view_client *client)
{
	return client->caller;
}

const struct group_view *view_client_view(const struct view_client *client)
{
	return client->view;
}

struct group_view *view_client_hold(struct view_client *client)
{
	struct group_view *view;

	pthread_mutex_lock(&client->mutex);
	view = client->view;
	atomic_fetch_add(&view->holders, 1);
	pthread_mutex_unlock(&client->mutex);
	return view;
}

void group_view_release(struct group_view *view)
{
	if (atomic_fetch_sub(&view->holders, 1) > 1)
		return;
	members_clear(&view->members);
	free(view);
}
