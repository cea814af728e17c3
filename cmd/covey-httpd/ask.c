/* ask - what the group knows of a path: a question to covey-versiond */
#include "ask.h"

#include "clock.h"
#include "conn.h"
#include "container.h"
#include "mem.h"
#include "members.h"

#define SLACK_MS 250		/* versiond's own steps, on a busy machine */

struct question {
	struct call call;
	struct worker *worker;
	struct question *next;		/* not sent yet, either */
	bool sent;
	struct buf path;
	enum newest_purpose purpose;
	struct version version;
	struct ask *asks;		/* at least one */
};

static void forget(struct ask *ask)
{
	ask->certainty = CERTAINTY_UNCONFIRMED;
	ask->confirmed = false;
	ask->asked = ask->answered = ask->homes = ask->homes_answered = 0;
	ask->epoch = ask->clock = 0;
	ask->record = ask->entry = (struct record){ .flags = 0 };
	ask->type[0] = '\0';
	ask->silent = ask->above = false;
	ask->holder_count = 0;
}

static void confirm(struct ask *ask)
{
	ask->certainty = CERTAINTY_CONFIRMED;
	ask->confirmed = ask->above = true;
}

void ask_none(struct ask *ask, struct conn *c)
{
	struct httpd *h = c->worker->httpd;

	forget(ask);
	if (h->grouped)
		ask->asked = atomic_load_explicit(&h->asked, memory_order_relaxed);
	if (!h->grouped)
		confirm(ask);
}

void ask_members(struct httpd *h)
{
	struct members members = MEMBERS_INIT;

	if (members_load(h->state_directory, &members, NULL) == 0) {
		atomic_store(&h->asked, (unsigned)members_asked(&members));
	}
	members_clear(&members);
}

/* versiond is away: the members this node has met are all that is known. */
static void nobody_answered(struct ask *ask, struct conn *c)
{
	ask_members(c->worker->httpd);
	ask_none(ask, c);
}

static int take(struct ask *ask, struct conn *c, const struct frame *frame)
{
	struct newest_answer answer;

	if (frame->type != VERSION_TALK_ANSWER ||
	    newest_answer_unpack(frame->body, &answer, NULL) < 0)
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
	ask->above = answer.parent_known;
	ask->silent = ask->asked > 0 && ask->answered == 0;
	memcpy(ask->type, answer.type.s ? answer.type.s : "", answer.type.n);
	ask->type[answer.type.n] = '\0';
	memcpy(ask->holders, answer.holders, sizeof ask->holders);
	ask->holder_count = answer.holder_count;
	atomic_store_explicit(&c->worker->httpd->asked, ask->asked, memory_order_relaxed);
	return 0;
}

/* questions */

static void leave(struct ask *ask)
{
	struct question *q = ask->question;

	if (ask->prev != NULL)
		ask->prev->next = ask->next;
	else
		q->asks = ask->next;
	if (ask->next != NULL)
		ask->next->prev = ask->prev;
	ask->question = NULL;
}

static void join(struct ask *ask, struct question *q)
{
	ask->question = q;
	ask->prev = NULL;
	ask->next = q->asks;
	if (ask->next != NULL)
		ask->next->prev = ask;
	q->asks = ask;
}

static void question_free(struct question *q)
{
	struct question **at = &q->worker->questions;

	while (!q->sent && *at != q)
		at = &(*at)->next;
	if (!q->sent)
		*at = q->next;
	call_finish(&q->call);
	buf_clear(&q->path);
	free(q);
}

static void answered(struct call *call, struct frame *frame)
{
	struct question *q = CONTAINER_OF(call, struct question, call);
	struct ask *ask;

	call_finish(call);
	while ((ask = q->asks) != NULL) {
		struct conn *c = ask->conn;

		leave(ask);
		if (frame == NULL || take(ask, c, frame) < 0)
			nobody_answered(ask, c);
		ask->done(c);
		conn_resume(c);
	}
	question_free(q);
}

static void send_question(struct question *q)
{
	struct newest_ask ask = { .path = buf_str(&q->path), .version = q->version,
				  .purpose = q->purpose };
	struct buf body = BUF_INIT;

	q->sent = true;
	q->call.answer = answered;
	newest_ask_pack(&body, &ask);
	/* It may ask, and then store what a minority has. */
	call_start(q->worker->version, &q->call, VERSION_TALK_NEWEST, buf_str(&body),
		   2 * q->worker->httpd->conf->timeouts.check_ms + SLACK_MS);
	buf_clear(&body);
}

static void send_all(struct timer *timer)
{
	struct worker *w = CONTAINER_OF(timer, struct worker, ask);

	while (w->questions != NULL) {
		struct question *q = w->questions;

		w->questions = q->next;
		send_question(q);
	}
}

void ask_worker(struct worker *w)
{
	w->ask.fire = send_all;
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
	if (w->questions == NULL)
		timer_start(w->loop, &w->ask, 0);
	q->next = w->questions;
	w->questions = q;
	return q;
}

/* One of a reader that is not sent yet is as good as one's own: its answer is of later. */
static struct question *question_of(struct worker *w, struct str path,
				    enum newest_purpose purpose, struct version version)
{
	struct question *q = purpose == NEWEST_READ ? w->questions : NULL;

	while (q != NULL && (q->purpose != NEWEST_READ || !str_eq(buf_str(&q->path), path)))
		q = q->next;
	return q != NULL ? q : question_new(w, path, purpose, version);
}

bool ask_start(struct ask *ask, struct conn *c, struct str path, enum newest_purpose purpose,
	       struct version version, void (*done)(struct conn *))
{
	forget(ask);
	ask->began = clock_boot_ms();
	if (!c->worker->httpd->grouped) {
		confirm(ask);
		return true;
	}
	ask->conn = c;
	ask->done = done;
	join(ask, question_of(c->worker, path, purpose, version));
	c->state = CONN_BUSY;
	return false;
}

void ask_end(struct ask *ask)
{
	struct question *q = ask->question;

	if (q == NULL)
		return;
	leave(ask);
	/* One that is answered just now has its end there. */
	if (q->asks == NULL && (!q->sent || q->call.caller != NULL))
		question_free(q);
}
