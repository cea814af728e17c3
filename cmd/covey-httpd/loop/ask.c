/* ask - what the group knows of a path: a question to covey-versiond */
#include "ask.h"

#include "clock.h"
#include "conn.h"
#include "container.h"
#include "../group.h"
#include "mem.h"

struct question {
	struct call call;
	struct worker *worker;
	struct link link;		/* among those of the worker that are not sent yet */
	bool sent;
	struct buf path;
	enum newest_purpose purpose;
	struct version version;
	struct list asks;		/* at least one */
};

void ask_newest(struct worker *w, struct call *call, const struct newest_ask *ask)
{
	struct buf body = BUF_INIT;

	newest_ask_pack(&body, ask);
	/* covey-versiond may ask the homes, and then store at a majority what a minority has. */
	call_start(w->version, call, VERSION_TALK_NEWEST, buf_str(&body),
		   2 * w->httpd->conf->timeouts.check_ms + VERSIOND_SLACK_MS);
	buf_clear(&body);
}

bool ask_newest_answer(const struct frame *frame, struct newest_answer *ret)
{
	return frame != NULL && frame->type == VERSION_TALK_ANSWER &&
	       newest_answer_unpack(frame->body, ret, NULL) == 0;
}

void ask_store(struct worker *w, struct call *call, const struct store_ask *ask, uint64_t slack_ms)
{
	struct buf body = BUF_INIT;

	store_ask_pack(&body, ask);
	call_start(w->version, call, VERSION_TALK_STORE, buf_str(&body),
		   w->httpd->conf->timeouts.store_ms + slack_ms);
	buf_clear(&body);
}

bool ask_store_answer(const struct frame *frame, struct store_answer *ret)
{
	return frame != NULL && frame->type == VERSION_TALK_STORED &&
	       store_answer_unpack(frame->body, ret, NULL) == 0;
}

static void ask_forget(struct ask *ask)
{
	ask->certainty = CERTAINTY_UNCONFIRMED;
	ask->confirmed = false;
	ask->asked = ask->answered = ask->homes = ask->homes_answered = 0;
	ask->epoch = ask->clock = 0;
	ask->record = ask->entry = (struct record){ .flags = 0 };
	ask->type[0] = '\0';
	ask->silent = ask->parent_known = false;
	ask->holder_count = 0;
}

static void ask_confirm(struct ask *ask)
{
	ask->certainty = CERTAINTY_CONFIRMED;
	ask->confirmed = ask->parent_known = true;
}

void ask_none(struct ask *ask, struct conn *c)
{
	struct httpd *h = c->worker->httpd;

	ask_forget(ask);
	if (h->grouped)
		ask->asked = atomic_load_explicit(&h->asked, memory_order_relaxed);
	if (!h->grouped)
		ask_confirm(ask);
}

/* covey-versiond is away: none of the members that this node knows has answered. */
static void ask_nobody(struct ask *ask, struct conn *c)
{
	struct httpd *h = c->worker->httpd;

	atomic_store(&h->asked, group_asked(h->group));
	ask_none(ask, c);
}

static int ask_take(struct ask *ask, struct conn *c, const struct frame *frame)
{
	struct newest_answer answer;

	if (!ask_newest_answer(frame, &answer))
		return -1;
	ask->certainty = answer.certainty;
	ask->confirmed = answer.certainty == CERTAINTY_CONFIRMED;
	ask->asked = answer.counts.peers;
	ask->answered = answer.counts.peers_answered;
	ask->homes = answer.counts.homes;
	ask->homes_answered = answer.counts.homes_answered;
	ask->epoch = answer.epoch;
	ask->clock = answer.clock;
	ask->record = answer.record;
	ask->entry = answer.entry;
	ask->parent_known = answer.parent_known;
	ask->silent = ask->asked > 0 && ask->answered == 0;
	memcpy(ask->type, answer.type.s ? answer.type.s : "", answer.type.n);
	ask->type[answer.type.n] = '\0';
	memcpy(ask->holders, answer.holders, sizeof ask->holders);
	ask->holder_count = answer.holder_count;
	atomic_store_explicit(&c->worker->httpd->asked, ask->asked, memory_order_relaxed);
	return 0;
}

/* questions */

static void ask_leave(struct ask *ask)
{
	list_remove(&ask->link);
	ask->question = NULL;
}

static void question_free(struct question *q)
{
	list_remove(&q->link);
	call_finish(&q->call);
	buf_clear(&q->path);
	free(q);
}

static void question_answered(struct call *call, struct frame *frame)
{
	struct question *q = CONTAINER_OF(call, struct question, call);
	struct ask *ask;

	call_finish(call);
	while ((ask = LIST_FIRST(struct ask, &q->asks, link)) != NULL) {
		struct conn *c = ask->conn;

		ask_leave(ask);
		if (ask_take(ask, c, frame) < 0)
			ask_nobody(ask, c);
		ask->done(c);
		conn_resume(c);
	}
	question_free(q);
}

static void question_send(struct question *q)
{
	struct newest_ask ask = { .path = buf_str(&q->path), .version = q->version,
				  .purpose = q->purpose };

	q->sent = true;
	q->call.answer = question_answered;
	ask_newest(q->worker, &q->call, &ask);
}

static void questions_send(struct timer *timer)
{
	struct worker *w = CONTAINER_OF(timer, struct worker, ask);
	struct question *q;

	while ((q = LIST_FIRST(struct question, &w->questions, link)) != NULL) {
		list_remove(&q->link);
		question_send(q);
	}
}

static struct question *question_new(struct worker *w, struct str path,
				     enum newest_purpose purpose, struct version version)
{
	struct question *q = mem_new(1, sizeof *q);

	q->call = (struct call)CALL_INIT;
	q->worker = w;
	q->path = (struct buf)BUF_INIT;
	buf_addstr(&q->path, path);
	q->purpose = purpose;
	q->version = version;
	if (w->questions.count == 0) {
		w->ask.fire = questions_send;
		timer_start(w->loop, &w->ask, 0);
	}
	list_append(&w->questions, &q->link);
	return q;
}

/* A read joins a question for the same path that is not sent yet: it is answered later than now. */
static struct question *question_for(struct worker *w, struct str path,
				     enum newest_purpose purpose, struct version version)
{
	if (purpose == NEWEST_READ)
		LIST_EACH(struct question, q, &w->questions, link)
			if (q->purpose == NEWEST_READ && str_eq(buf_str(&q->path), path))
				return q;
	return question_new(w, path, purpose, version);
}

bool ask_start(struct ask *ask, struct conn *c, struct str path, enum newest_purpose purpose,
	       struct version version, void (*done)(struct conn *))
{
	ask_forget(ask);
	ask->began = clock_boot_ms();
	if (!c->worker->httpd->grouped) {
		ask_confirm(ask);
		return true;
	}
	ask->conn = c;
	ask->done = done;
	ask->question = question_for(c->worker, path, purpose, version);
	list_append(&ask->question->asks, &ask->link);
	c->state = CONN_BUSY;
	return false;
}

void ask_end(struct ask *ask)
{
	struct question *q = ask->question;

	if (q == NULL)
		return;
	ask_leave(ask);
	/* question_answered() frees a question that is being answered. */
	if (q->asks.count == 0 && (!q->sent || q->call.caller != NULL))
		question_free(q);
}
