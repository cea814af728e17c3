/*
 * conn - one connection: requests in, answers out, one at a time and in order
 *
 *	input:	| earlier requests | head | body, as far as it came with the head ... |
 *		0                  taken  taken + head.size
 *	beyond:	what was received behind the body: the next request
 *
 * A head points into input and must not move until its request is over:
 * only then what was taken goes, and what lies beyond joins the rest.
 *
 * When all is answered and nothing more is there, the line is left alone and
 * its struct conn becomes a spare one, with its buffers: the next line that
 * has something to read takes it.  So a line that rests has no buffers, and
 * a request on it costs no allocation.
 */
#include "conn.h"

#include "../answer.h"
#include "container.h"
#include "../handlers.h"
#include "mem.h"
#include "reply.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPARE_MAX 64			/* struct conn kept by a worker, without a line */
#define KEPT_INPUT (64u << 10)		/* bytes of buffer that one may keep */
#define RECEIVE_BYTES 8192		/* room for a head at first */
#define PIPELINE_BYTES (64u << 10)	/* answers that are gathered before they are sent */
#define TURN_BYTES (2u << 20)		/* of files, until others are served */
#define COPY_BYTES (64u << 10)		/* where the system cannot send from the file itself */
#define KEPT_BYTES (128u << 10)		/* of text that stays allocated between answers */
#define LINGER_MS 2000
/*
 * How long a process that is to stop waits for a client's next request.  A
 * client that has just connected is about to send one, over a slow network
 * perhaps; one that had an answer sends the next at once or not at all.
 */
#define FIRST_REQUEST_MS 3000
#define NEXT_REQUEST_MS 1000

/* What a step of a connection came to. */
enum step {
	STEP_ON,		/* go on with the next */
	STEP_WAIT,		/* for the client, the pool or another role */
	STEP_GONE,		/* it is closed, or rests: this struct conn is not its any more */
};

/* what it has to send */

enum output_result {
	OUTPUT_DONE,		/* nothing is left */
	OUTPUT_BLOCKED,		/* the other side does not read at the moment */
	OUTPUT_TURN,		/* enough for now, others want to be served */
	OUTPUT_STARVED,		/* the file has to grow first */
	OUTPUT_BROKEN,		/* the connection is of no more use */
};

/* The file goes, and what was to be sent of it. */
static void output_drop_file(struct output *o)
{
	if (o->file >= 0)
		close(o->file);
	o->file = -1;
	o->insert_count = o->insert_next = 0;
}

void output_file(struct output *o, int fd)
{
	output_drop_file(o);
	o->file = fd;
	o->available = UINT64_MAX;
	o->hold = false;
}

void output_insert(struct output *o, uint64_t offset, uint64_t bytes)
{
	if (o->insert_count == o->insert_room) {
		o->insert_room = o->insert_room ? 2 * o->insert_room : 2;
		o->inserts = mem_resize(o->inserts, o->insert_room, sizeof *o->inserts);
	}
	o->inserts[o->insert_count++] = (struct insert){ o->text.len, offset, bytes };
}

static bool output_pending(const struct output *o)
{
	return o->sent < o->text.len || o->insert_next < o->insert_count;
}

static void output_end(struct output *o)
{
	output_drop_file(o);
	o->sent = 0;
	if (o->text.cap > KEPT_BYTES)
		buf_clear(&o->text);
	else
		buf_reset(&o->text);
}

static enum output_result output_failure(void)
{
	if (errno == EAGAIN)
		return OUTPUT_BLOCKED;
	return errno == EINTR ? OUTPUT_TURN : OUTPUT_BROKEN;
}

/* OUTPUT_DONE: up to `end` all is sent. */
static enum output_result output_send_text(struct output *o, size_t end, int fd, bool socket,
					   bool *progress)
{
	while (o->sent < end) {
		const char *from = o->text.data + o->sent;
		ssize_t n = socket ? send(fd, from, end - o->sent, MSG_NOSIGNAL) :
				     write(fd, from, end - o->sent);

		if (n < 0)
			return output_failure();
		o->sent += (size_t)n;
		*progress = true;
	}
	return OUTPUT_DONE;
}

/* For descriptors that sendfile() does not take: appending files, terminals. */
static ssize_t output_copy(const struct output *o, const struct insert *insert, size_t n, int fd)
{
	char bytes[COPY_BYTES];
	ssize_t got = pread(o->file, bytes, n < sizeof bytes ? n : sizeof bytes,
			    (off_t)insert->offset);

	return got <= 0 ? got : write(fd, bytes, (size_t)got);
}

static enum output_result output_send_file(struct output *o, struct insert *insert, int fd,
					   uint64_t *turn, bool *progress)
{
	bool last = o->insert_next + 1 == o->insert_count;

	while (insert->left > 0) {
		uint64_t keep = o->hold && last ? OUTPUT_HOLD_BYTES : 0;
		uint64_t n = insert->left - keep;
		off_t offset = (off_t)insert->offset;
		ssize_t sent;

		if (insert->left <= keep || o->available <= insert->offset)
			return OUTPUT_STARVED;
		if (n > o->available - insert->offset)
			n = o->available - insert->offset;
		if (*turn == 0)
			return OUTPUT_TURN;
		if (n > *turn)
			n = *turn;
		sent = sendfile(fd, o->file, &offset, (size_t)n);
		if (sent < 0 && (errno == EINVAL || errno == ENOSYS))
			sent = output_copy(o, insert, (size_t)n, fd);
		if (sent == 0)
			return OUTPUT_BROKEN;	/* shorter than its record says: cut, never pad */
		if (sent < 0)
			return output_failure();
		insert->offset += (uint64_t)sent;
		insert->left -= (uint64_t)sent;
		*turn -= (uint64_t)sent;
		*progress = true;
	}
	return OUTPUT_DONE;
}

/* *progress is set when bytes were sent. */
static enum output_result output_flush(struct output *o, int fd, bool socket, bool *progress)
{
	uint64_t turn = TURN_BYTES;
	enum output_result result;

	for (;;) {
		bool more = o->insert_next < o->insert_count;
		size_t end = more ? o->inserts[o->insert_next].at : o->text.len;

		result = output_send_text(o, end, fd, socket, progress);
		if (result != OUTPUT_DONE)
			return result;
		if (!more)
			break;
		result = output_send_file(o, &o->inserts[o->insert_next], fd, &turn, progress);
		if (result != OUTPUT_DONE)
			return result;
		o->insert_next++;
	}
	output_end(o);
	return OUTPUT_DONE;
}

static void output_clear(struct output *o)
{
	output_drop_file(o);
	free(o->inserts);
	buf_clear(&o->text);
	*o = (struct output)OUTPUT_INIT;
}

/* the end */

static void conn_free(struct conn *c)
{
	buf_clear(&c->input);
	buf_clear(&c->beyond);
	output_clear(&c->output);
	body_clear(&c->body);
	buf_clear(&c->request.path);
	free(c);
}

/* An answer to HTTP/1.0 that is cut off would look whole, if it has no length: the connection is reset. */
static void conn_reset_if_cut(struct conn *c)
{
	struct linger reset = { .l_onoff = 1 };

	if (c->head.minor == 0 && c->line->socket && (c->more != NULL || output_pending(&c->output)) &&
	    setsockopt(c->line->out, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0)
		c->eof = true;	/* nothing is waited for */
}

/* Its line is closed, or rests. */
static void conn_make_spare(struct conn *c)
{
	struct worker *w = c->worker;

	output_end(&c->output);
	c->line->conn = NULL;
	c->line = NULL;
	if (w->spare.count < SPARE_MAX && c->input.cap <= KEPT_INPUT)
		list_prepend(&w->spare, &c->link);
	else
		conn_free(c);
}

static void line_close(struct line *line)
{
	struct worker *w = line->worker;

	timer_stop(&line->timer);
	watch_stop(&line->watch);
	watch_stop(&line->out_watch);
	close(line->in);
	if (line->out != line->in)
		close(line->out);
	list_remove(&line->link);
	door_guest_free(line->guest);
	free(line);
	httpd_conn_closed(w);
}

static void conn_close(struct conn *c)
{
	struct line *line = c->line;

	conn_reset_if_cut(c);
	request_end(c);
	conn_make_spare(c);
	line_close(line);
}

/* time */

static uint64_t idle_limit_ms(const struct conn *c)
{
	return c->worker->httpd->conf->limits.idle_timeout_ms;
}

/* The timer is moved only when it would fire too late: progress costs nothing. */
static void conn_set_deadline(struct conn *c, uint64_t after_ms)
{
	c->line->deadline = loop_now(c->worker->loop) + after_ms;
	if (c->line->timer.loop == NULL || c->line->timer.due > c->line->deadline)
		timer_start(c->worker->loop, &c->line->timer, after_ms);
}

static void conn_expect(struct conn *c)
{
	conn_set_deadline(c, idle_limit_ms(c));
}

/* The process is to stop: the client gets a short time for one more request, and only once. */
static void conn_hasten(struct conn *c)
{
	uint64_t moment = c->line->had_answer ? NEXT_REQUEST_MS : FIRST_REQUEST_MS;

	if (loop_now(c->worker->loop) + moment < c->line->deadline)
		conn_set_deadline(c, moment);
}

/* the bytes that it receives */

static ssize_t receive_bytes(struct conn *c, char *to, size_t n)
{
	ssize_t got;

	do
		got = c->line->socket ? recv(c->line->in, to, n, 0) : read(c->line->in, to, n);
	while (got < 0 && errno == EINTR);
	/* Less than there was room for: the rest has not come yet. */
	if (got < (ssize_t)n)
		c->readable = false;
	if (got == 0 || (got < 0 && errno != EAGAIN))
		c->eof = true;
	return got;
}

static struct str input_of_head(const struct conn *c)
{
	if (c->input.len == c->taken)
		return (struct str)STR_INIT;
	return (struct str){ c->input.data + c->taken, c->input.len - c->taken };
}

static void input_receive_head(struct conn *c)
{
	ssize_t got;

	if (c->taken > 0) {
		buf_drop(&c->input, c->taken);
		c->taken = 0;
	}
	got = receive_bytes(c, buf_reserve(&c->input, RECEIVE_BYTES), RECEIVE_BYTES);
	if (got > 0)
		c->input.len += (size_t)got;
}

static bool input_is_behind(const struct conn *c)
{
	return c->beyond.len > 0 || c->input.len > c->taken + c->head.size;
}

static void input_next(struct conn *c)
{
	c->taken += c->head.size;
	if (c->taken == c->input.len) {
		c->taken = 0;
		buf_reset(&c->input);
	}
	buf_add(&c->input, c->beyond.data, c->beyond.len);
	buf_reset(&c->beyond);
}

/* What came with the head. */
static struct str body_prefix(const struct conn *c)
{
	size_t start = c->taken + c->head.size;

	return (struct str){ c->input.data + start, c->input.len - start };
}

/* The content among the bytes is moved together at `to`; what follows the body stays in *bytes. */
static int body_take(struct conn *c, struct str *bytes, char *to, size_t *n, struct refusal *refusal)
{
	struct str piece;
	int r;

	while ((r = body_next(&c->body, bytes, &piece, refusal)) > 0) {
		memmove(to + *n, piece.s, piece.n);
		*n += piece.n;
	}
	return r;
}

static int body_take_prefix(struct conn *c, char *to, size_t room, size_t *n, struct refusal *refusal)
{
	struct str prefix = body_prefix(c), rest = { prefix.s, prefix.n < room ? prefix.n : room };
	char *start = c->input.data + c->taken + c->head.size;
	int r = body_take(c, &rest, to, n, refusal);
	size_t taken = (size_t)(rest.s - prefix.s);

	c->input.len -= taken;
	memmove(start, start + taken, prefix.n - taken);
	return r < 0 ? -1 : 1;
}

int conn_receive_content(struct conn *c, char *to, size_t room, size_t *ret_n, struct refusal *refusal)
{
	struct str bytes = { to, 0 };
	ssize_t got;
	int r;

	*ret_n = 0;
	*refusal = (struct refusal){ .status = 0 };
	if (body_prefix(c).n > 0)
		return body_take_prefix(c, to, room, ret_n, refusal);
	if (c->eof || c->gone)
		return -1;
	if (!c->readable)
		return 0;
	got = receive_bytes(c, to, room);
	if (got <= 0)
		return c->eof ? -1 : 0;
	conn_expect(c);
	bytes.n = (size_t)got;
	r = body_take(c, &bytes, to, ret_n, refusal);
	if (bytes.n > 0)
		buf_addstr(&c->beyond, bytes);
	return r < 0 ? -1 : 1;
}

static enum step step_close(struct conn *c)
{
	conn_close(c);
	return STEP_GONE;
}

/* what is wanted from the loop */

static bool conn_wants_bytes(const struct conn *c)
{
	return !c->eof && (c->state == CONN_HEAD || c->state == CONN_LINGER ||
			   (c->state == CONN_BODY && upload_welcome(c)));
}

/*
 * EPOLLIN stays registered while a request is worked on, and goes only when
 * bytes do come meanwhile (conn_on_ready); so a request costs no epoll_ctl().
 */
static void conn_set_events(struct conn *c, bool blocked)
{
	uint32_t in = c->eof ? 0 : c->line->watch.events & EPOLLIN, out = blocked ? EPOLLOUT : 0;

	if (conn_wants_bytes(c))
		in = EPOLLIN;
	if (c->line->in == c->line->out) {
		watch_change(&c->line->watch, in | out);
		return;
	}
	watch_change(&c->line->watch, in);
	watch_change(&c->line->out_watch, out);
}

static void conn_client_left(struct conn *c)
{
	c->gone = true;
	watch_stop(&c->line->watch);
	watch_stop(&c->line->out_watch);
}

static struct conn *conn_new(struct worker *w)
{
	struct conn *c = LIST_FIRST(struct conn, &w->spare, link);

	if (c != NULL) {
		list_remove(&c->link);
		return c;
	}
	c = mem_new(1, sizeof *c);
	c->worker = w;
	c->output = (struct output)OUTPUT_INIT;
	c->request = (struct request)REQUEST_INIT;
	return c;
}

/* What serves the line from now on, until it rests again. */
static struct conn *line_wake(struct line *line)
{
	struct conn *c = line->conn;

	if (c != NULL)
		return c;
	c = line->conn = conn_new(line->worker);
	c->line = line;
	c->state = CONN_HEAD;
	c->readable = c->eof = c->gone = c->last = c->has_body = false;
	c->more = NULL;
	buf_reset(&c->input);
	buf_reset(&c->beyond);
	c->taken = 0;
	head_reset(&c->head);
	return c;
}

static void conn_on_ready(struct watch *watch, uint32_t events)
{
	struct conn *c = line_wake(CONTAINER_OF(watch, struct line, watch));

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		c->readable = true;
	if (c->state == CONN_BUSY || (c->state == CONN_BODY && !upload_welcome(c))) {
		if (events & (EPOLLHUP | EPOLLERR) && c->line->socket)
			conn_client_left(c);
		else if (events & EPOLLIN)
			watch_change(watch, watch->events & ~(uint32_t)EPOLLIN);
		if (c->gone || !(events & EPOLLOUT))
			return;
	}
	if (c->state == CONN_SEND && events & (EPOLLHUP | EPOLLERR) && c->line->socket)
		conn_close(c);
	else if (c->state == CONN_SEND && !(events & EPOLLOUT))
		watch_change(watch, watch->events & ~(uint32_t)EPOLLIN);
	else
		conn_resume(c);
}

static void conn_on_out_ready(struct watch *watch, uint32_t events)
{
	(void)events;
	conn_resume(line_wake(CONTAINER_OF(watch, struct line, out_watch)));
}

/* sending */

/* STEP_ON: nothing is left to send. */
static enum step step_flush(struct conn *c)
{
	bool progress = false;
	enum output_result result;

	if (!output_pending(&c->output))
		return STEP_ON;
	result = output_flush(&c->output, c->line->out, c->line->socket, &progress);
	if (progress)
		conn_expect(c);
	switch (result) {
	case OUTPUT_DONE:
		conn_set_events(c, false);
		return STEP_ON;
	case OUTPUT_BLOCKED:
	case OUTPUT_TURN:
		conn_set_events(c, true);
		return STEP_WAIT;
	case OUTPUT_STARVED:
		conn_set_events(c, false);
		return STEP_WAIT;
	case OUTPUT_BROKEN:
		break;
	}
	if (c->state != CONN_BUSY && c->state != CONN_BODY)
		return step_close(c);
	conn_client_left(c);
	return STEP_WAIT;
}

/* The rest of the client's bytes must be read, or a reset would overtake the answer. */
static enum step step_begin_linger(struct conn *c)
{
	request_end(c);
	if (!c->line->socket || c->eof)
		return step_close(c);
	shutdown(c->line->out, SHUT_WR);
	c->state = CONN_LINGER;
	conn_set_deadline(c, LINGER_MS);
	conn_set_events(c, false);
	return STEP_ON;
}

static enum step step_linger(struct conn *c)
{
	char nowhere[16384];
	ssize_t n;

	if (!c->readable)
		return STEP_WAIT;
	n = recv(c->line->in, nowhere, sizeof nowhere, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return step_close(c);
	c->readable = n == (ssize_t)sizeof nowhere;
	return STEP_ON;
}

/* The answer is complete: what comes next. */
static enum step step_next_request(struct conn *c)
{
	input_next(c);
	request_end(c);
	c->line->had_answer = true;
	head_reset(&c->head);
	c->state = CONN_HEAD;
	conn_expect(c);
	return STEP_ON;
}

static bool conn_has_bytes(const struct conn *c)
{
	char byte;

	return c->line->socket && recv(c->line->in, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool conn_left(const struct conn *c)
{
	char byte;

	return c->gone || (c->line->socket &&
			   (c->eof || recv(c->line->in, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0));
}

/*
 * Whether bytes of the client are unread, or may follow.  A process that is to
 * stop expects another request on every connection that the client keeps
 * alive; one that goes on does not, since others wait for the place.
 */
static bool conn_may_say_more(const struct conn *c)
{
	return c->has_body || input_is_behind(c) ||
	       (c->head.keep_alive && (atomic_load(&c->worker->httpd->draining) || conn_has_bytes(c)));
}

static enum step step_send(struct conn *c)
{
	enum step step;

	if (c->more != NULL) {
		step = step_flush(c);
		if (step == STEP_ON)
			c->more(c);
		return step;
	}
	/* Answers to pipelined requests leave together. */
	if (!c->last && c->output.insert_count == 0 && c->output.text.len < PIPELINE_BYTES)
		return step_next_request(c);
	step = step_flush(c);
	if (step != STEP_ON)
		return step;
	if (!c->last)
		return step_next_request(c);
	return conn_may_say_more(c) ? step_begin_linger(c) : step_close(c);
}

void conn_answered(struct conn *c)
{
	if (c->has_body)
		c->last = true;		/* what is left of it must not be taken for a request */
	c->state = CONN_SEND;
	conn_expect(c);
}

void conn_read_body(struct conn *c, uint64_t max)
{
	struct refusal refusal;

	if (body_start(&c->body, &c->head, max, &refusal) < 0) {
		answer_error(c, refusal.status, "%s", refusal.why);
		return;
	}
	if (c->head.expect_continue && body_prefix(c).n == 0 && !c->body.done)
		buf_adds(&c->output.text, REPLY_CONTINUE);
	c->state = CONN_BODY;
	conn_expect(c);
}

void conn_start_job(struct conn *c, struct job *job, void (*work)(struct job *), void (*done)(struct job *),
		    uint64_t key)
{
	*job = (struct job){ .work = work, .done = done, .home = c->worker->loop, .key = key };
	c->state = CONN_BUSY;
	pool_submit(c->worker->httpd->pool, job);
}

void conn_abort(struct conn *c)
{
	conn_reset_if_cut(c);
	c->more = NULL;
	output_drop_file(&c->output);
	buf_reset(&c->output.text);
	c->output.sent = 0;
	c->last = true;
	c->has_body = false;
	c->state = CONN_SEND;
}

/* receiving */

static enum step step_begin_request(struct conn *c)
{
	c->last = !c->head.keep_alive;
	c->has_body = c->head.framing == FRAMING_CHUNKED ||
		      (c->head.framing == FRAMING_LENGTH && c->head.length > 0);
	c->state = CONN_BUSY;
	request_begin(c);
	return STEP_ON;
}

static enum step step_refuse(struct conn *c, const struct refusal *refusal)
{
	c->has_body = true;	/* a body that may follow is not read */
	c->state = CONN_BUSY;
	answer_error(c, refusal->status, "%s", refusal->why);
	return STEP_ON;
}

/* More bytes of the head are needed, and none is there. */
static enum step step_wait_for_head(struct conn *c)
{
	bool begun = input_of_head(c).n > 0;
	enum step step = step_flush(c);
	bool rests = !begun && step == STEP_ON;

	if (step == STEP_GONE)
		return step;
	if (c->eof)
		return step == STEP_ON ? step_close(c) : step;
	if (begun && !c->request.head_begun) {
		c->request.head_begun = true;
		conn_set_deadline(c, c->worker->httpd->conf->limits.header_timeout_ms);
	}
	if (rests && atomic_load(&c->worker->httpd->draining))
		conn_hasten(c);
	conn_set_events(c, step == STEP_WAIT);
	if (!rests)
		return STEP_WAIT;
	conn_make_spare(c);
	return STEP_GONE;
}

static enum step step_head(struct conn *c)
{
	struct str bytes = input_of_head(c);
	struct refusal refusal;

	if (bytes.n > 0) {
		int r = head_parse(&c->head, bytes.s, bytes.n, &refusal);

		if (r > 0)
			return step_begin_request(c);
		if (r < 0)
			return step_refuse(c, &refusal);
	}
	if (!c->readable || c->eof)
		return step_wait_for_head(c);
	input_receive_head(c);
	return STEP_ON;
}

/* its states */

static enum step step_body(struct conn *c)
{
	/* 100 (Continue), or answers to earlier requests. */
	if (output_pending(&c->output) && step_flush(c) == STEP_WAIT && c->gone)
		c->eof = true;
	if (upload_step(c))
		return STEP_ON;
	if (c->state == CONN_BODY && !c->gone)
		conn_set_events(c, output_pending(&c->output));
	return STEP_WAIT;
}

static enum step conn_step(struct conn *c)
{
	switch (c->state) {
	case CONN_HEAD:
		return step_head(c);
	case CONN_BODY:
		return step_body(c);
	case CONN_BUSY:
		/* Answers to earlier requests need not wait for this one. */
		if (!c->gone)
			step_flush(c);
		return STEP_WAIT;
	case CONN_SEND:
		return c->gone ? step_close(c) : step_send(c);
	case CONN_LINGER:
		return step_linger(c);
	}
	return STEP_WAIT;
}

void conn_resume(struct conn *c)
{
	enum step result;

	do
		result = conn_step(c);
	while (result == STEP_ON);
}

/* The deadline may have passed. */
static void conn_on_timer(struct timer *timer)
{
	struct line *line = CONTAINER_OF(timer, struct line, timer);
	uint64_t now = loop_now(line->worker->loop);
	struct conn *c = line->conn;

	if (c != NULL && c->state == CONN_BUSY)
		return;		/* conn_answered() sets the next one */
	if (now < line->deadline) {
		timer_start(line->worker->loop, timer, line->deadline - now);
		return;
	}
	c = line_wake(line);
	if (c->state == CONN_BODY) {
		conn_expect(c);
		upload_stalled(c);
		conn_resume(c);
		return;
	}
	if (c->state == CONN_HEAD && c->request.head_begun && !output_pending(&c->output)) {
		c->has_body = true;
		c->state = CONN_BUSY;
		answer_error(c, 408, "the request's head took too long");
		conn_resume(c);
		return;
	}
	/* The request came in time, and the loop has not reported it yet. */
	if (c->state == CONN_HEAD && !c->request.head_begun && conn_has_bytes(c)) {
		c->readable = true;
		conn_resume(c);
		return;
	}
	conn_close(c);
}

/* making a connection, and the end of all */

static int line_start_watches(struct line *line)
{
	struct loop *loop = line->worker->loop;

	line->watch = (struct watch){ .fd = line->in, .ready = conn_on_ready };
	line->out_watch = (struct watch){ .fd = line->out, .ready = conn_on_out_ready };
	if (watch_start(loop, &line->watch, EPOLLIN, NULL) < 0)
		return -1;
	return line->in == line->out ? 0 : watch_start(loop, &line->out_watch, 0, NULL);
}

static bool is_socket(int fd)
{
	int type;
	socklen_t n = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0;
}

void conn_open(struct worker *w, int in, int out)
{
	struct line *line = mem_new(1, sizeof *line);
	struct conn *c;
	int on = 1;

	line->worker = w;
	line->in = in;
	line->out = out;
	line->socket = in == out || (is_socket(in) && is_socket(out));
	line->timer.fire = conn_on_timer;
	list_append(&w->lines, &line->link);
	if (line->socket)
		setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (line->socket && in != out)
		fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
	if (line_start_watches(line) < 0) {
		line_close(line);
		return;
	}
	c = line_wake(line);
	/*
	 * A client that connects usually has something to say at once.  Pipes
	 * and files stay blocking, for others may share them: they wait for the loop.
	 */
	c->readable = line->socket;
	conn_expect(c);
	conn_resume(c);
}

void conn_hasten_all(struct worker *w)
{
	LIST_EACH(struct line, line, &w->lines, link)
		if (line->conn == NULL || line->conn->state == CONN_HEAD)
			conn_resume(line_wake(line));
}

void conn_free_all(struct worker *w)
{
	LIST_EACH(struct line, line, &w->lines, link)
		conn_close(line_wake(line));
	LIST_EACH(struct conn, c, &w->spare, link) {
		list_remove(&c->link);
		conn_free(c);
	}
}
