/* gather - the peers' indexes and histories, as texts in files */
#include "gather.h"

#include "ask.h"
#include "conn.h"
#include "container.h"
#include "mem.h"

#include <unistd.h>

#define PARTS_MAX 16		/* peers that are asked at most */
#define SLACK_MS 500		/* syncd's own step, on a busy machine */

static void take_part(struct gather *g, struct frame *frame)
{
	if (frame->fd_count != 1 || g->count == PARTS_MAX)
		return;
	g->parts = mem_resize(g->parts, g->count + 1, sizeof *g->parts);
	g->parts[g->count++] = frame->fds[0];
	frame->fds[0] = -1;
}

static void answered(struct call *call, struct frame *frame)
{
	struct gather *g = CONTAINER_OF(call, struct gather, call);
	struct conn *c = g->conn;
	struct sync_end end;

	if (frame != NULL && frame->type == SYNC_PART) {
		take_part(g, frame);
		return;
	}
	if (frame != NULL && frame->type == SYNC_END &&
	    sync_end_unpack(frame->body, &end, NULL) == 0) {
		g->asked = end.asked;
		g->answered = end.answered;
		g->complete = true;
	}
	call_finish(call);
	g->done(c);
	conn_resume(c);
}

void gather_start(struct gather *g, struct conn *c, const struct ask *ask, enum sync_talk type,
		  struct str body, void (*done)(struct conn *))
{
	const struct conf *conf = c->worker->httpd->conf;

	g->conn = c;
	g->done = done;
	g->call.answer = answered;
	c->state = CONN_BUSY;
	call_start(c->worker->sync, &g->call, (uint8_t)type, body,
		   ask->silent ? conf->timeouts.check_ms :
				 conf->timeouts.check_ms + conf->timeouts.pull_ms + SLACK_MS);
}

void gather_end(struct gather *g)
{
	call_cancel(&g->call);
	for (size_t i = 0; i < g->count; i++)
		close(g->parts[i]);
	free(g->parts);
	g->parts = NULL;
	g->count = 0;
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
