/* msg - POST /.covey/msg: sealed messages of other nodes, for the role that can open them */
#include "answer.h"
#include "loop/conn.h"
#include "container.h"
#include "discover_talk.h"
#include "handlers.h"
#include "mem.h"
#include "reply.h"
#include "sync_talk.h"
#include "upload.h"
#include "version_talk.h"
#include "wire.h"

#define PATIENCE_MS 2000	/* for the role: it may have to ask others, or commit records */

struct msg {
	struct conn *conn;
	struct call call;
	uint8_t type, answer;		/* of the conversation */
	struct caller *role;
};

void msg_free(struct msg *m)
{
	if (m == NULL)
		return;
	call_finish(&m->call);
	free(m);
}

static void msg_answered(struct call *call, struct frame *frame)
{
	struct msg *m = CONTAINER_OF(call, struct msg, call);
	struct conn *c = m->conn;
	struct err err = ERR_INIT;

	if (frame != NULL && frame->type == FRAME_FAILED) {
		frame_failed_unpack(frame->body, &err);
		answer_err(c, &err);
	} else if (frame == NULL || frame->type != m->answer) {
		answer_error(c, 503, "this role of the node does not answer now");
	} else if (frame->body.n == 0) {
		answer_begin(c, 204);
		answer_end(c);
	} else {
		answer_begin(c, 200);
		reply_field(&c->output.text, "Content-Type", STR("application/octet-stream"));
		reply_field(&c->output.text, "Cache-Control", STR("no-store"));
		answer_end_text(c, frame->body);
	}
	call_finish(call);
	conn_resume(c);
}

static void msg_forward(struct conn *c, struct str body)
{
	struct msg *m = c->request.msg;

	m->call.answer = msg_answered;
	c->state = CONN_BUSY;
	call_start(m->role, &m->call, m->type, body, PATIENCE_MS);
}

void msg_start(struct conn *c)
{
	const struct worker *w = c->worker;
	const struct {
		struct str query;
		uint8_t type, answer;
		struct caller *role;
	} roles[] = {
		{ STR("to=versions"), VERSION_TALK_CARRY, VERSION_TALK_CARRIED, w->version },
		{ STR("to=discovery"), DISCOVER_CARRY, DISCOVER_CARRIED, w->discover },
		{ STR("to=sync"), SYNC_BULK, SYNC_BULK, w->sync },
	};

	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		struct msg *m;

		if (!str_eq(c->head.query, roles[i].query) || roles[i].role == NULL)
			continue;
		m = c->request.msg = mem_new(1, sizeof *m);
		m->conn = c;
		m->call = (struct call)CALL_INIT;
		m->type = roles[i].type;
		m->answer = roles[i].answer;
		m->role = roles[i].role;
		upload_whole(c, WIRE_LONG_BYTES, msg_forward);
		return;
	}
	answer_error(c, 404, "no such role is here");
}
