/* conn - one connection: requests in, answers out, one at a time and in order */
#include "conn_inside.h"

#include "answer.h"
#include "container.h"
#include "upload.h"

#include <errno.h>
#include <sys/socket.h>

#define PIPELINE_BYTES (64u << 10)	/* answers that are gathered before they are sent */
#define LINGER_MS 2000
/*
 * What is left to a client that waits with its request when the process is to
 * stop.  Who connected and has not spoken yet is about to, and a slow network
 * or a busy machine may take its time; who had an answer sends the next
 * request at once or, mostly, never.
 */
#define FIRST_REQUEST_MS 3000
#define NEXT_REQUEST_MS 1000

/* What a step of a connection came to. */
enum step {
	STEP_ON,		/* go on with the next */
	STEP_WAIT,		/* for the client, the pool or another role */
	STEP_CLOSED,		/* the connection is no more */
};

/* time */

static uint64_t limit_ms(const struct conn *c)
{
	return c->worker->httpd->conf->limits.idle_timeout_ms;
}

/* The timer is moved only when it would fire too late: progress costs nothing. */
static void set_deadline(struct conn *c, uint64_t after_ms)
{
	c->deadline = loop_now(c->worker->loop) + after_ms;
	if (c->timer.loop == NULL || c->timer.due > c->deadline)
		timer_start(c->worker->loop, &c->timer, after_ms);
}

void conn_expect(struct conn *c)
{
	set_deadline(c, limit_ms(c));
}

/* The process is to stop: the client has a moment for one more request, and that moment once. */
static void hasten(struct conn *c)
{
	uint64_t moment = c->had_answer ? NEXT_REQUEST_MS : FIRST_REQUEST_MS;

	if (loop_now(c->worker->loop) + moment < c->deadline)
		set_deadline(c, moment);
}

static enum step closed(struct conn *c)
{
	conn_close(c);
	return STEP_CLOSED;
}

/* what is wanted from the loop */

static bool reads(const struct conn *c)
{
	return !c->eof && (c->state == CONN_HEAD || c->state == CONN_LINGER ||
			   (c->state == CONN_BODY && upload_welcome(c)));
}

/*
 * EPOLLIN stays registered while a request is worked on, and goes only when
 * bytes do come meanwhile (conn_on_ready); so a request costs no epoll_ctl().
 */
static void set_events(struct conn *c, bool blocked)
{
	uint32_t in = c->eof ? 0 : c->watch.events & EPOLLIN, out = blocked ? EPOLLOUT : 0;

	if (reads(c))
		in = EPOLLIN;
	if (c->in == c->out) {
		watch_change(&c->watch, in | out);
		return;
	}
	watch_change(&c->watch, in);
	watch_change(&c->out_watch, out);
}

static void client_left(struct conn *c)
{
	c->gone = true;
	watch_stop(&c->watch);
	watch_stop(&c->out_watch);
}

static void run(struct conn *);

void conn_on_ready(struct watch *watch, uint32_t events)
{
	struct conn *c = CONTAINER_OF(watch, struct conn, watch);

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		c->readable = true;
	if (c->state == CONN_BUSY || (c->state == CONN_BODY && !upload_welcome(c))) {
		if (events & (EPOLLHUP | EPOLLERR) && c->socket)
			client_left(c);
		else if (events & EPOLLIN)
			watch_change(watch, watch->events & ~(uint32_t)EPOLLIN);
		if (c->gone || !(events & EPOLLOUT))
			return;
	}
	if (c->state == CONN_SEND && events & (EPOLLHUP | EPOLLERR) && c->socket)
		conn_close(c);
	else if (c->state == CONN_SEND && !(events & EPOLLOUT))
		watch_change(watch, watch->events & ~(uint32_t)EPOLLIN);
	else
		run(c);
}

void conn_on_out_ready(struct watch *watch, uint32_t events)
{
	(void)events;
	run(CONTAINER_OF(watch, struct conn, out_watch));
}

/* sending */

/* STEP_ON: nothing is left to send. */
static enum step flush(struct conn *c)
{
	bool progress = false;
	enum output_result result;

	if (!output_pending(&c->output))
		return STEP_ON;
	result = output_flush(&c->output, c->out, c->socket, &progress);
	if (progress)
		conn_expect(c);
	switch (result) {
	case OUTPUT_DONE:
		set_events(c, false);
		return STEP_ON;
	case OUTPUT_BLOCKED:
	case OUTPUT_TURN:
		set_events(c, true);
		return STEP_WAIT;
	case OUTPUT_STARVED:
		set_events(c, false);
		return STEP_WAIT;
	case OUTPUT_BROKEN:
		break;
	}
	if (c->state != CONN_BUSY && c->state != CONN_BODY)
		return closed(c);
	client_left(c);
	return STEP_WAIT;
}

void conn_flush(struct conn *c)
{
	bool progress = false;

	/* What does not go now goes with the rest. */
	if (!c->gone)
		output_flush(&c->output, c->out, c->socket, &progress);
}

/* The rest of the client's bytes must be read, or a reset would overtake the answer. */
static enum step begin_linger(struct conn *c)
{
	request_end(c);
	if (!c->socket || c->eof)
		return closed(c);
	shutdown(c->out, SHUT_WR);
	c->state = CONN_LINGER;
	set_deadline(c, LINGER_MS);
	set_events(c, false);
	return STEP_ON;
}

static enum step step_linger(struct conn *c)
{
	char nowhere[16384];
	ssize_t n;

	if (!c->readable)
		return STEP_WAIT;
	n = recv(c->in, nowhere, sizeof nowhere, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return closed(c);
	c->readable = n == (ssize_t)sizeof nowhere;
	return STEP_ON;
}

/* The answer is complete: what comes next. */
static enum step next_request(struct conn *c)
{
	input_next(c);
	request_end(c);
	c->had_answer = true;
	head_reset(&c->head);
	c->state = CONN_HEAD;
	conn_expect(c);
	return STEP_ON;
}

static bool has_bytes(const struct conn *c)
{
	char byte;

	return c->socket && recv(c->in, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool conn_left(const struct conn *c)
{
	char byte;

	return c->gone || (c->socket &&
			   (c->eof || recv(c->in, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0));
}

/*
 * There is more of the client than was read; or, when the process is to stop,
 * there may be soon: who did not ask for the end sends the next request.  While
 * it goes on, that does not keep a place which others wait for.
 */
static bool may_say_more(const struct conn *c)
{
	return c->has_body || input_is_behind(c) ||
	       (c->head.keep_alive && (atomic_load(&c->worker->httpd->draining) || has_bytes(c)));
}

static enum step step_send(struct conn *c)
{
	enum step step;

	/* Answers to pipelined requests leave together. */
	if (!c->last && c->output.insert_count == 0 && c->output.text.len < PIPELINE_BYTES)
		return next_request(c);
	step = flush(c);
	if (step != STEP_ON)
		return step;
	if (!c->last)
		return next_request(c);
	return may_say_more(c) ? begin_linger(c) : closed(c);
}

void conn_answered(struct conn *c)
{
	if (c->has_body)
		c->last = true;		/* what is left of it must not be taken for a request */
	c->state = CONN_SEND;
	conn_expect(c);
}

void conn_read_body(struct conn *c)
{
	c->state = CONN_BODY;
	conn_expect(c);
}

void conn_abort(struct conn *c)
{
	output_drop_file(&c->output);
	buf_reset(&c->output.text);
	c->output.sent = 0;
	c->last = true;
	c->has_body = false;
	c->state = CONN_SEND;
}

/* receiving */

static enum step begin_request(struct conn *c)
{
	c->last = !c->head.keep_alive;
	c->has_body = c->head.framing == FRAMING_CHUNKED ||
		      (c->head.framing == FRAMING_LENGTH && c->head.length > 0);
	c->state = CONN_BUSY;
	request_begin(c);
	return STEP_ON;
}

static enum step refuse(struct conn *c, const struct refusal *refusal)
{
	c->has_body = true;	/* whatever it is, it is not read */
	c->state = CONN_BUSY;
	answer_error(c, refusal->status, "%s", refusal->why);
	return STEP_ON;
}

/* More bytes of the head are needed, and none is there. */
static enum step wait_for_head(struct conn *c)
{
	bool begun = input_of_head(c).n > 0;
	enum step step = flush(c);

	if (step == STEP_CLOSED)
		return step;
	if (c->eof)
		return step == STEP_ON ? closed(c) : step;
	if (begun && !c->request.head_begun) {
		c->request.head_begun = true;
		set_deadline(c, c->worker->httpd->conf->limits.header_timeout_ms);
	}
	if (!begun && step == STEP_ON && atomic_load(&c->worker->httpd->draining))
		hasten(c);
	set_events(c, step == STEP_WAIT);
	return STEP_WAIT;
}

static enum step step_head(struct conn *c)
{
	struct str bytes = input_of_head(c);
	struct refusal refusal;

	if (bytes.n > 0) {
		int r = head_parse(&c->head, bytes.s, bytes.n, &refusal);

		if (r > 0)
			return begin_request(c);
		if (r < 0)
			return refuse(c, &refusal);
	}
	if (!c->readable || c->eof)
		return wait_for_head(c);
	input_receive_head(c);
	return STEP_ON;
}

/* running */

static enum step step_body(struct conn *c)
{
	/* 100 (Continue), or answers to earlier requests. */
	if (output_pending(&c->output) && flush(c) == STEP_WAIT && c->gone)
		c->eof = true;
	if (upload_step(c))
		return STEP_ON;
	if (c->state == CONN_BODY && !c->gone)
		set_events(c, output_pending(&c->output));
	return STEP_WAIT;
}

static enum step step(struct conn *c)
{
	switch (c->state) {
	case CONN_HEAD:
		return step_head(c);
	case CONN_BODY:
		return step_body(c);
	case CONN_BUSY:
		/* Answers to earlier requests need not wait for this one. */
		if (!c->gone)
			flush(c);
		return STEP_WAIT;
	case CONN_SEND:
		return c->gone ? closed(c) : step_send(c);
	case CONN_LINGER:
		return step_linger(c);
	}
	return STEP_WAIT;
}

static void run(struct conn *c)
{
	enum step result;

	do
		result = step(c);
	while (result == STEP_ON);
}

void conn_resume(struct conn *c)
{
	run(c);
}

void conn_stop_all(struct worker *w)
{
	struct conn *next;

	for (struct conn *c = w->conns; c != NULL; c = next) {
		next = c->next;
		if (c->state == CONN_HEAD)
			run(c);
	}
}

/* The deadline has passed: what that means depends on how far the request is. */
void conn_on_timer(struct timer *timer)
{
	struct conn *c = CONTAINER_OF(timer, struct conn, timer);
	uint64_t now = loop_now(c->worker->loop);

	if (c->state == CONN_BUSY)
		return;		/* conn_answered() sets the next one */
	if (now < c->deadline) {
		timer_start(c->worker->loop, timer, c->deadline - now);
		return;
	}
	if (c->state == CONN_BODY) {
		conn_expect(c);
		upload_stalled(c);
		run(c);
		return;
	}
	if (c->state == CONN_HEAD && c->request.head_begun && !output_pending(&c->output)) {
		c->has_body = true;
		c->state = CONN_BUSY;
		answer_error(c, 408, "the request's head took too long");
		run(c);
		return;
	}
	/* It came in time, and the loop has not told of it yet. */
	if (c->state == CONN_HEAD && !c->request.head_begun && has_bytes(c)) {
		c->readable = true;
		run(c);
		return;
	}
	conn_close(c);
}
