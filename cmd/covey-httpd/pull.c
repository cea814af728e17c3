/*
 * pull - a version's content, from another node that has it
 *
 *	PULL ->		STARTED		the growing file
 *			PROGRESS	so much of it is there
 *			DONE		verified and stored: the rest may go
 *			FAILED		none of those who were asked gives it
 *			LATER		the next covey-syncd is asked, when this one has left
 *
 * The nodes that should have the content are asked first: who said so, its
 * keepers, and who made it.  When none of them gives it, covey-versiond asks
 * all live nodes who has it, once.
 */
#include "pull.h"

#include "loop/conn.h"
#include "container.h"
#include "group.h"
#include "mem.h"
#include "sync_talk.h"

#include <inttypes.h>
#include <unistd.h>

#define SYNCD_SLACK_MS 750	/* covey-syncd's own steps, besides the holders' time */

struct pull {
	struct conn *conn;
	struct call call;
	struct timer timer;		/* until there is something to send */
	struct record record;		/* of the version that is pulled */
	char type[RECORD_TYPE_MAX + 1];
	char first_holder[17];		/* in hexadecimal */
	uint64_t holders[HOLDERS_MAX];	/* who is asked */
	size_t holder_count;
	bool searched;			/* all live nodes were asked who has it */
	bool restarted;			/* a second covey-syncd was asked */
	int fd;				/* the growing file, until it was given to done(); or -1 */
	uint64_t have;			/* bytes of it */
	bool verified;			/* or given up */
	bool given;			/* done() has the file */
	enum pull_until until;
	void (*done)(struct conn *, int fd);
};

void pull_free(struct pull *p)
{
	if (p == NULL)
		return;
	call_cancel(&p->call);		/* no more than a call that is over, mostly */
	timer_stop(&p->timer);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

bool pull_arriving(const struct conn *c)
{
	return c->request.pull != NULL && !c->request.pull->verified;
}

void pull_limit_output(struct conn *c)
{
	if (pull_arriving(c)) {
		c->output.available = c->request.pull->have;
		c->output.hold = true;
	}
}

struct str pull_holder(const struct pull *p)
{
	return str_of(p->first_holder);
}

/* what it comes to */

/* The owner gets the file, or -1. */
static void pull_give(struct pull *p)
{
	int fd = p->fd;

	timer_stop(&p->timer);
	p->fd = -1;
	p->given = fd >= 0;
	p->done(p->conn, fd);
}

static void pull_give_up(struct pull *p)
{
	p->verified = true;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	pull_give(p);
}

static bool pull_search(struct pull *);

static void pull_failed(struct pull *p)
{
	struct conn *c = p->conn;

	call_finish(&p->call);
	timer_stop(&p->timer);
	if (p->given) {
		p->verified = true;
		conn_abort(c);
	} else if (!pull_search(p)) {
		pull_give_up(p);
	}
	conn_resume(c);
}

static void pull_too_slow(struct timer *timer)
{
	pull_failed(CONTAINER_OF(timer, struct pull, timer));
}

/* Until something comes. */
static void pull_await(struct pull *p)
{
	struct worker *w = p->conn->worker;

	p->timer.fire = pull_too_slow;
	timer_start(w->loop, &p->timer,
		    SYNCD_SLACK_MS + w->httpd->conf->timeouts.pull_ms * (p->holder_count + 1));
}

/* covey-syncd leaves and has asked nobody: the next one is waited for, and asked as the first. */
static void pull_await_next(struct pull *p)
{
	p->restarted = false;
	timer_start(p->conn->worker->loop, &p->timer, SYNCD_SLACK_MS + SERVICE_STOP_MS);
}

/* it comes */

static void pull_started(struct pull *p, struct frame *frame)
{
	/* A second file: a holder's content was wrong, and nothing of it was passed on. */
	if (p->fd >= 0)
		close(p->fd);
	p->fd = frame->fds[0];
	p->have = 0;
	frame->fds[0] = -1;
}

static void pull_progress(struct pull *p, uint64_t bytes)
{
	struct conn *c = p->conn;

	if (p->fd < 0 && !p->given)
		return;		/* not started: syncd does not keep to the conversation */
	p->have = bytes < p->record.size ? bytes : p->record.size;
	if (p->given) {
		if (c->output.file >= 0)
			c->output.available = p->have;
		conn_resume(c);
		return;
	}
	pull_await(p);
	if (p->until == PULL_BEGUN && p->have > 0 && p->record.size > OUTPUT_HOLD_BYTES) {
		pull_give(p);
		conn_resume(c);
	}
}

static void pull_verified(struct pull *p)
{
	struct conn *c = p->conn;

	call_finish(&p->call);
	timer_stop(&p->timer);
	p->verified = true;
	if (p->given) {
		c->output.available = UINT64_MAX;
		c->output.hold = false;
	} else {
		pull_give(p);
	}
	conn_resume(c);
}

static int pull_ask(struct pull *);

/* covey-syncd left, or died in mid-pull.  While nothing was passed on, another can do it, once. */
static int pull_restart(struct pull *p)
{
	if (p->given || p->restarted)
		return -1;
	p->restarted = true;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	p->have = 0;
	return pull_ask(p);
}

static void pull_told(struct call *call, struct frame *frame)
{
	struct pull *p = CONTAINER_OF(call, struct pull, call);
	uint64_t bytes;

	if (frame == NULL) {
		if (pull_restart(p) < 0)
			pull_failed(p);
	} else if (frame->type == SYNC_STARTED && frame->fd_count == 1 && !p->given) {
		pull_started(p, frame);
	} else if (frame->type == SYNC_PROGRESS &&
		   sync_progress_unpack(frame->body, &bytes, NULL) == 0) {
		pull_progress(p, bytes);
	} else if (frame->type == SYNC_DONE) {
		pull_verified(p);
	} else if (frame->type == SYNC_LATER && !p->given) {
		pull_await_next(p);
	} else {
		pull_failed(p);
	}
}

/* -1: there is nobody to ask. */
static int pull_ask(struct pull *p)
{
	struct conn *c = p->conn;
	struct sync_pull pull = { .path = buf_str(&c->request.path),
				  .record = p->record,
				  .type = str_of(p->type),
				  .holder_count = p->holder_count };
	struct buf body = BUF_INIT;

	if (c->worker->sync == NULL || p->holder_count == 0)
		return -1;
	memcpy(pull.holders, p->holders, sizeof pull.holders);
	snprintf(p->first_holder, sizeof p->first_holder, "%016" PRIx64, pull.holders[0]);
	p->call.answer = pull_told;
	pull_await(p);
	sync_pull_pack(&body, &pull);
	c->state = CONN_BUSY;
	call_start(c->worker->sync, &p->call, SYNC_PULL, buf_str(&body), 0);
	buf_clear(&body);
	return 0;
}

/* who has it */

static bool pull_has_holder(const struct pull *p, uint64_t node)
{
	for (size_t i = 0; i < p->holder_count; i++)
		if (p->holders[i] == node)
			return true;
	return false;
}

static void pull_add_holder(struct pull *p, uint64_t node)
{
	if (node != store_node(p->conn->worker->httpd->store) && p->holder_count < HOLDERS_MAX &&
	    !pull_has_holder(p, node))
		p->holders[p->holder_count++] = node;
}

/* Who said so; then who should have it: its keepers, and who made it. */
static void pull_add_holders(struct pull *p)
{
	struct conn *c = p->conn;
	const struct ask *ask = &c->request.ask;
	struct layout_order order = { .count = 0 };
	struct layout layout = LAYOUT_NONE;

	if (version_cmp(ask->record.version, p->record.version) == 0)
		for (size_t i = 0; i < ask->holder_count; i++)
			pull_add_holder(p, ask->holders[i]);
	if (c->worker->httpd->group != NULL)
		group_layout(c->worker->httpd->group, &layout);
	if (layout.epoch == 0)
		return;
	layout_keepers(&layout, buf_str(&c->request.path), &order);
	for (size_t i = 0; i < order.count && i < layout.copies; i++)
		pull_add_holder(p, order.ids[i]);
	pull_add_holder(p, p->record.version.node);
}

/* Of those who say that they have it only who was not asked yet. */
static void pull_take_found(struct pull *p, const struct newest_answer *answer)
{
	uint64_t fresh[HOLDERS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < answer->holder_count; i++)
		if (!pull_has_holder(p, answer->holders[i]))
			fresh[count++] = answer->holders[i];
	memcpy(p->holders, fresh, count * sizeof fresh[0]);
	p->holder_count = count;
}

static void pull_found(struct call *call, struct frame *frame)
{
	struct pull *p = CONTAINER_OF(call, struct pull, call);
	struct conn *c = p->conn;
	struct newest_answer answer = { .holder_count = 0 };

	if (frame == NULL || frame->type != VERSION_TALK_ANSWER ||
	    newest_answer_unpack(frame->body, &answer, NULL) < 0)
		answer.holder_count = 0;
	call_finish(call);
	pull_take_found(p, &answer);
	if (pull_ask(p) < 0)
		pull_give_up(p);
	conn_resume(c);
}

/* Whoever read it once may have it still.  False: all were asked already. */
static bool pull_search(struct pull *p)
{
	struct conn *c = p->conn;
	struct httpd *h = c->worker->httpd;
	struct newest_ask question = { .path = buf_str(&c->request.path),
				       .version = p->record.version, .purpose = NEWEST_HOLDERS };
	struct buf body = BUF_INIT;

	if (p->searched || !h->grouped)
		return false;
	p->searched = true;
	p->call.answer = pull_found;
	newest_ask_pack(&body, &question);
	c->state = CONN_BUSY;
	call_start(c->worker->version, &p->call, VERSION_TALK_NEWEST, buf_str(&body),
		   2 * h->conf->timeouts.check_ms + VERSIOND_SLACK_MS);
	buf_clear(&body);
	return true;
}

int pull_start(struct conn *c, const struct record *record, struct str type, enum pull_until until,
	       void (*done)(struct conn *, int fd))
{
	struct pull *p = mem_new(1, sizeof *p);

	p->conn = c;
	p->fd = -1;
	p->call = (struct call)CALL_INIT;
	p->record = *record;
	memcpy(p->type, type.s ? type.s : "", type.n);
	p->until = until;
	p->done = done;
	pull_free(c->request.pull);
	c->request.pull = p;
	pull_add_holders(p);
	if (pull_ask(p) == 0 || pull_search(p))
		return 0;
	p->verified = true;
	return -1;
}
