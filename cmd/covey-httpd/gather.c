/* gather - indexes and histories of other nodes, as texts in files */
#include "gather.h"

#include "ask.h"
#include "conn.h"
#include "container.h"
#include "group.h"
#include "mem.h"

#include <unistd.h>

#define PARTS_MAX 16		/* peers that are asked at most */
#define SLACK_MS 500		/* syncd's own step, on a busy machine */
#define TRIES_MAX 5		/* while the layout changes */
#define AGAIN_MS 50

static void send_question(struct gather *);

static void forget_parts(struct gather *g)
{
	for (size_t i = 0; i < g->count; i++)
		close(g->parts[i]);
	free(g->parts);
	g->parts = NULL;
	g->count = 0;
}

static void take_part(struct gather *g, struct frame *frame)
{
	uint64_t node;

	if (frame->fd_count != 1 || g->count == PARTS_MAX ||
	    sync_part_unpack(frame->body, &node, NULL) < 0)
		return;
	g->parts = mem_resize(g->parts, g->count + 1, sizeof *g->parts);
	g->parts[g->count++] = frame->fds[0];
	frame->fds[0] = -1;
	quorum_answered(&g->quorum, node);
}

static void finish(struct gather *g)
{
	struct conn *c = g->conn;

	call_cancel(&g->call);
	g->done(c);
	conn_resume(c);
}

static void try_again(struct timer *timer)
{
	send_question(CONTAINER_OF(timer, struct gather, again));
}

/* What was said belongs to no layout, or to several: the homes are asked again. */
static void ask_again(struct gather *g)
{
	call_finish(&g->call);
	forget_parts(g);
	g->again.fire = try_again;
	timer_start(g->conn->worker->loop, &g->again, AGAIN_MS);
}

/* The homes did not answer: whoever does. */
static void ask_all(struct gather *g)
{
	call_finish(&g->call);
	g->tries = 0;
	send_question(g);
}

static void ended(struct gather *g, const struct sync_end *end)
{
	g->asked = end->asked;
	g->answered = end->answered;
	g->complete = true;
	if (g->tries > 0 && end->stale && g->tries < TRIES_MAX)
		ask_again(g);
	else if (g->tries > 0)
		ask_all(g);
	else
		finish(g);
}

static void answered(struct call *call, struct frame *frame)
{
	struct gather *g = CONTAINER_OF(call, struct gather, call);
	struct sync_end end;

	if (frame != NULL && frame->type == SYNC_PART) {
		take_part(g, frame);
		g->confirmed = g->tries > 0 && quorum_reached(&g->quorum);
		if (g->confirmed)
			finish(g);
	} else if (frame != NULL && frame->type == SYNC_END &&
		   sync_end_unpack(frame->body, &end, NULL) == 0) {
		ended(g, &end);
	} else {
		finish(g);
	}
}

/* The homes without this one into the question. */
static void choose_homes(struct gather *g, struct sync_list *list)
{
	struct group *group = g->conn->worker->httpd->group;
	uint64_t self = store_node(g->conn->worker->httpd->store);
	uint64_t homes[QUORUM_HOMES_MAX];
	struct layout layout;
	size_t count;

	group_layout(group, &layout);
	g->epoch = layout.epoch;
	quorum_begin(&g->quorum);
	if (layout.epoch == 0)
		return;
	quorum_add(&g->quorum, &layout,
		   g->type == SYNC_LIST ? path_partition_of_directory(list->path) :
					  path_partition(list->path));
	count = quorum_homes(&g->quorum, homes);
	if (!group_is_silent(group))
		quorum_answered(&g->quorum, self);
	for (size_t i = 0; i < count && list->node_count < HOLDERS_MAX; i++)
		if (homes[i] != self)
			list->nodes[list->node_count++] = homes[i];
}

static uint64_t limit_ms(const struct gather *g)
{
	const struct conf *conf = g->conn->worker->httpd->conf;

	return g->silent ? conf->timeouts.check_ms :
			   conf->timeouts.check_ms + conf->timeouts.pull_ms + SLACK_MS;
}

static void send_question(struct gather *g)
{
	struct sync_list list = { .path = buf_str(&g->conn->request.path), .deleted = true };
	struct buf body = BUF_INIT;

	if (g->tries > 0) {
		g->tries++;
		choose_homes(g, &list);
		list.epoch = g->epoch;
	}
	if (g->type == SYNC_LIST)
		sync_list_pack(&body, &list);
	else
		sync_history_pack(&body, &list);
	g->call.answer = answered;
	call_start(g->conn->worker->sync, &g->call, (uint8_t)g->type, buf_str(&body), limit_ms(g));
	buf_clear(&body);
}

bool gather_start(struct gather *g, struct conn *c, const struct ask *ask, enum sync_talk type,
		  void (*done)(struct conn *))
{
	struct sync_list nobody = { .path = buf_str(&c->request.path) };

	g->conn = c;
	g->done = done;
	g->type = type;
	g->silent = ask->silent;
	choose_homes(g, &nobody);
	g->confirmed = g->epoch > 0 && quorum_reached(&g->quorum);
	if (g->confirmed)
		return true;
	g->tries = g->epoch > 0;
	c->state = CONN_BUSY;
	send_question(g);
	return false;
}

void gather_end(struct gather *g)
{
	call_cancel(&g->call);
	timer_stop(&g->again);
	forget_parts(g);
}

int gather_read(int part, struct buf *ret)
{
	off_t offset = 0;
	ssize_t n;

	while ((n = pread(part, buf_reserve(ret, 65536), 65536, offset)) > 0) {
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
		offset += n;
	}
	return n < 0 ? -1 : 0;
}
