/*
 * stream - content that another node holds, sent on while it arrives
 *
 *	PULL ->		STARTED		the growing file
 *			PROGRESS	enough to begin the answer, or to go on with it
 *			DONE		verified and stored: the rest may go
 *			FAILED		whoever else has it (stream_lost.c), or the end of the connection
 *			LATER		the next covey-syncd is asked, when this one has left
 */
#include "stream_inside.h"

#include "answer.h"
#include "conn.h"
#include "container.h"
#include "get.h"
#include "group.h"
#include "mem.h"

#include <inttypes.h>
#include <unistd.h>

#define PATIENCE_MS 750		/* for covey-syncd itself, besides the holders' time */

void stream_free(struct stream *s)
{
	if (s == NULL)
		return;
	call_cancel(&s->call);		/* no more than a call that is over, mostly */
	timer_stop(&s->timer);
	store_entry_clear(&s->older);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

bool stream_active(const struct conn *c)
{
	return c->request.stream != NULL && c->request.stream->active;
}

void stream_limit_output(struct conn *c)
{
	if (stream_active(c)) {
		c->output.available = c->request.stream->have;
		c->output.hold = true;
	}
}

void stream_cache_status(const struct conn *c, struct cache_status *status)
{
	const struct stream *s = c->request.stream;

	if (s == NULL)
		return;
	if (version_cmp(c->request.entry.record.version, s->record.version) != 0) {
		status->detail = STR("older");	/* the newest is known, and cannot be had */
		return;
	}
	status->source = s->had_older ? CACHE_FWD_STALE : CACHE_FWD_MISS;
	status->stored = c->head.method != METHOD_HEAD;
	status->detail = str_of(s->holder);
}

static void failed(struct stream *s)
{
	struct conn *c = s->conn;

	call_finish(&s->call);
	timer_stop(&s->timer);
	if (s->answering) {
		s->active = false;
		conn_abort(c);
	} else if (!stream_search(s)) {
		stream_lost(s);
	}
	conn_resume(c);
}

static void too_slow(struct timer *timer)
{
	failed(CONTAINER_OF(timer, struct stream, timer));
}

/* Until something comes. */
static void await(struct stream *s)
{
	struct conn *c = s->conn;

	s->timer.fire = too_slow;
	timer_start(c->worker->loop, &s->timer,
		    PATIENCE_MS + c->worker->httpd->conf->timeouts.pull_ms *
					  (s->holder_count + 1));
}

/* Until covey-syncd has left, which has asked nobody: the next may be asked as if it were the first. */
static void await_next(struct stream *s)
{
	s->again = false;
	timer_start(s->conn->worker->loop, &s->timer, PATIENCE_MS + SERVICE_STOP_MS);
}

/* it comes */

static void begin_answer(struct stream *s)
{
	struct request *r = &s->conn->request;

	timer_stop(&s->timer);
	s->answering = true;
	store_entry_clear(&r->entry);
	r->entry.record = s->record;
	memcpy(r->entry.type, s->type, sizeof r->entry.type);
	r->entry.content = true;
	r->entry.fd = s->fd;
	s->fd = -1;
	get_serve(s->conn);
}

static void progress(struct stream *s, uint64_t bytes)
{
	struct conn *c = s->conn;

	if (s->fd < 0 && !s->answering)
		return;		/* not started: syncd does not keep to the conversation */
	s->have = bytes < s->record.size ? bytes : s->record.size;
	if (!s->answering)
		await(s);
	if (s->answering) {
		if (c->output.file >= 0)
			c->output.available = s->have;
		conn_resume(c);
	} else if (s->fetched == NULL && s->have > 0 && s->record.size > OUTPUT_HOLD_BYTES) {
		begin_answer(s);
		conn_resume(c);
	}
}

static void done(struct stream *s)
{
	struct conn *c = s->conn;

	call_finish(&s->call);
	timer_stop(&s->timer);
	s->active = false;
	if (s->fetched != NULL) {
		int fd = s->fd;

		s->fd = -1;
		s->fetched(c, fd);
	} else if (s->answering) {
		c->output.available = UINT64_MAX;
		c->output.hold = false;
	} else if (s->fd >= 0) {
		begin_answer(s);
	} else {
		stream_lost(s);
	}
	conn_resume(c);
}

/* covey-syncd left, or died in mid-pull.  While nothing was passed on, another can do it, once. */
static bool once_more(struct stream *s)
{
	if (s->answering || s->again)
		return false;
	s->again = true;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->have = 0;
	return stream_begin(s);
}

static void answered(struct call *call, struct frame *frame)
{
	struct stream *s = CONTAINER_OF(call, struct stream, call);
	uint64_t bytes;

	if (frame == NULL) {
		if (!once_more(s))
			failed(s);
	} else if (frame->type == SYNC_STARTED && frame->fd_count == 1 && !s->answering) {
		/* Once more: a holder had lied, and nothing of it was passed on. */
		if (s->fd >= 0)
			close(s->fd);
		s->fd = frame->fds[0];
		s->have = 0;
		frame->fds[0] = -1;
	} else if (frame->type == SYNC_PROGRESS &&
		   sync_progress_unpack(frame->body, &bytes, NULL) == 0) {
		progress(s, bytes);
	} else if (frame->type == SYNC_DONE) {
		done(s);
	} else if (frame->type == SYNC_LATER && !s->answering) {
		await_next(s);
	} else {
		failed(s);
	}
}

/* the beginning */

static struct stream *stream_new(struct conn *c, const struct record *record)
{
	struct stream *s = mem_new(1, sizeof *s);
	const struct ask *ask = &c->request.ask;

	stream_free(c->request.stream);
	s->conn = c;
	s->fd = -1;
	s->call = (struct call)CALL_INIT;
	s->older = (struct store_entry)STORE_ENTRY_INIT;
	s->record = *record;
	s->had_older = record_is_live(&c->request.entry.record);
	if (version_cmp(ask->record.version, record->version) == 0)
		memcpy(s->type, ask->type, sizeof s->type);
	else
		memcpy(s->type, c->request.entry.type, sizeof s->type);
	s->active = true;
	c->request.stream = s;
	return s;
}

static void add_holder(struct stream *s, uint64_t node)
{
	size_t i = 0;

	if (node == store_node(s->conn->worker->httpd->store))
		return;
	while (i < s->holder_count && s->holders[i] != node)
		i++;
	if (i == s->holder_count && i < HOLDERS_MAX)
		s->holders[s->holder_count++] = node;
}

/* Who said so; then who should have it: its keepers, and who made it. */
static void find_holders(struct stream *s)
{
	struct conn *c = s->conn;
	const struct ask *ask = &c->request.ask;
	struct layout_order order = { .count = 0 };
	struct layout layout = LAYOUT_NONE;

	if (version_cmp(ask->record.version, s->record.version) == 0)
		for (size_t i = 0; i < ask->holder_count; i++)
			add_holder(s, ask->holders[i]);
	if (c->worker->httpd->group != NULL)
		group_layout(c->worker->httpd->group, &layout);
	if (layout.epoch > 0)
		layout_keepers(&layout, buf_str(&c->request.path), &order);
	for (size_t i = 0; i < order.count && i < layout.copies; i++)
		add_holder(s, order.ids[i]);
	if (layout.epoch > 0)
		add_holder(s, s->record.version.node);
}

bool stream_begin(struct stream *s)
{
	struct conn *c = s->conn;
	struct sync_pull pull = { .path = buf_str(&c->request.path),
				  .record = s->record,
				  .type = str_of(s->type),
				  .holder_count = s->holder_count };
	struct buf body = BUF_INIT;

	if (c->worker->sync == NULL || s->holder_count == 0)
		return false;
	memcpy(pull.holders, s->holders, sizeof pull.holders);
	snprintf(s->holder, sizeof s->holder, "%016" PRIx64, pull.holders[0]);
	s->call.answer = answered;
	await(s);
	sync_pull_pack(&body, &pull);
	c->state = CONN_BUSY;
	call_start(c->worker->sync, &s->call, SYNC_PULL, buf_str(&body), 0);
	buf_clear(&body);
	return true;
}

static bool begin(struct stream *s)
{
	find_holders(s);
	return stream_begin(s) || stream_search(s);
}

/* What is answered without the content is not worth a pull: 304, 412. */
static bool needs_content(struct conn *c, const struct record *record)
{
	char text[ETAG_TEXT];
	struct cond_target target = { .exists = true,
				      .etag = answer_etag(text, record->version),
				      .modified = answer_modified(record) };

	return c->head.method == METHOD_GET && cond_check(&c->request.cond, &target) == COND_GO;
}

void stream_start(struct conn *c, const struct record *record)
{
	struct stream *s = stream_new(c, record);

	if (!needs_content(c, record)) {
		s->active = false;
		begin_answer(s);
	} else if (!begin(s)) {
		stream_lost(s);
	}
}

bool stream_fetch(struct conn *c, const struct record *record,
		  void (*fetched)(struct conn *, int))
{
	struct stream *s = stream_new(c, record);

	s->fetched = fetched;
	return begin(s);
}
