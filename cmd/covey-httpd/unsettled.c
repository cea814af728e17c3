/* unsettled - a version that a minority of its homes knows, read */
#include "unsettled.h"

#include "conn.h"
#include "container.h"
#include "get.h"
#include "group.h"
#include "mem.h"
#include "stream.h"

#define LOWER_MAX 16		/* versions that were never confirmed, one below the other */
#define SLACK_MS 250

struct unsettled {
	struct conn *conn;
	struct call call;
	unsigned lower;		/* how many times the next lower one was asked for */
};

void unsettled_free(struct unsettled *u)
{
	if (u == NULL)
		return;
	call_finish(&u->call);
	free(u);
}

static bool every_home_answered(struct conn *c)
{
	const struct ask *ask = &c->request.ask;
	struct layout layout;

	/* Of a joint layout only the set is told that is furthest from its majority. */
	group_layout(c->worker->httpd->group, &layout);
	return layout.epoch == ask->epoch && !layout_is_joint(&layout) && ask->homes > 0 &&
	       ask->homes_answered == ask->homes;
}

static void cannot_be_had(struct conn *c)
{
	struct unsettled *u = c->request.unsettled;

	if (every_home_answered(c) && u->lower++ < LOWER_MAX)
		get_below(c);
	else
		get_unsettled(c);
}

static void stored(struct call *call, struct frame *frame)
{
	struct unsettled *u = CONTAINER_OF(call, struct unsettled, call);
	struct conn *c = u->conn;
	struct store_answer answer;
	bool settled = frame != NULL && frame->type == VERSION_TALK_STORED &&
		       store_answer_unpack(frame->body, &answer, NULL) == 0 && answer.confirmed;

	call_finish(call);
	c->request.ask.confirmed = settled;
	if (settled)
		get_settled(c);
	else
		get_unsettled(c);
	conn_resume(c);
}

/* Its content is on somebody's disk: the homes may know of it. */
static void store(struct conn *c)
{
	struct request *r = &c->request;
	struct store_ask question = { .path = buf_str(&r->path), .record = r->ask.record,
				      .type = str_of(r->ask.type) };
	struct buf body = BUF_INIT;

	r->unsettled->call.answer = stored;
	store_ask_pack(&body, &question);
	c->state = CONN_BUSY;
	call_start(c->worker->version, &r->unsettled->call, VERSION_TALK_STORE, buf_str(&body),
		   c->worker->httpd->conf->timeouts.store_ms + SLACK_MS);
	buf_clear(&body);
}

static void fetched(struct conn *c, int fd)
{
	struct request *r = &c->request;

	if (fd < 0) {
		cannot_be_had(c);
		return;
	}
	store_entry_clear(&r->entry);
	r->entry.record = r->ask.record;
	memcpy(r->entry.type, r->ask.type, sizeof r->entry.type);
	r->entry.fd = fd;
	r->entry.content = true;
	store(c);
}

void unsettled_start(struct conn *c)
{
	struct request *r = &c->request;

	if (r->unsettled == NULL) {
		r->unsettled = mem_new(1, sizeof *r->unsettled);
		r->unsettled->conn = c;
		r->unsettled->call = (struct call)CALL_INIT;
	}
	if (c->head.method == METHOD_HEAD || !record_has_content(&r->ask.record))
		get_unsettled(c);
	else if (r->entry.content &&
		 version_cmp(r->entry.record.version, r->ask.record.version) == 0)
		store(c);
	else if (!stream_fetch(c, &r->ask.record, fetched))
		cannot_be_had(c);
}
