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
#include "handshake.h"
#include "mem.h"
#include "reply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
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
#define LATE_HEAD_MS 2000		/* for the head of a request, where others wait for the place */
#define LATE_LINGER_MS 500
#define RATE_MS 30000			/* limits.min_rate is of so long */
#define LATE_RATE_MS 5000		/* as many bytes in so long, of who came when all places were taken */
#define EVICT_TRIES 8			/* idle connections that have just sent something are served instead */
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

/*
 * What goes through TLS and what does not part here, and at receive_bytes():
 * a branch, and no call by a pointer, for what does not is to be quick.
 */
static ssize_t line_send(const struct line *line, const char *from, size_t n)
{
	if (line->tls != NULL)
		return tls_send(line->tls, from, n);
	return line->socket ? send(line->out, from, n, MSG_NOSIGNAL) : write(line->out, from, n);
}

static ssize_t line_sendfile(const struct line *line, int file, off_t offset, size_t n)
{
	if (line->tls != NULL)
		return tls_sendfile(line->tls, file, offset, n);
	return sendfile(line->out, file, &offset, n);
}

static enum output_result output_failure(void)
{
	if (errno == EAGAIN)
		return OUTPUT_BLOCKED;
	return errno == EINTR ? OUTPUT_TURN : OUTPUT_BROKEN;
}

/* OUTPUT_DONE: up to `end` all is sent. */
static enum output_result output_send_text(struct output *o, size_t end, const struct line *line,
					   uint64_t *sent_bytes)
{
	while (o->sent < end) {
		ssize_t n = line_send(line, o->text.data + o->sent, end - o->sent);

		if (n < 0)
			return output_failure();
		o->sent += (size_t)n;
		*sent_bytes += (uint64_t)n;
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

/* OUTPUT_DONE: as many bytes of the insert, of which some are left, may be sent now. */
static enum output_result output_file_room(const struct output *o, const struct insert *insert, uint64_t turn,
					   uint64_t *ret_n)
{
	bool last = o->insert_next + 1 == o->insert_count;
	uint64_t keep = o->hold && last ? OUTPUT_HOLD_BYTES : 0;
	uint64_t n = insert->left - keep;

	if (insert->left <= keep || o->available <= insert->offset)
		return OUTPUT_STARVED;
	if (n > o->available - insert->offset)
		n = o->available - insert->offset;
	if (turn == 0)
		return OUTPUT_TURN;
	*ret_n = n < turn ? n : turn;
	return OUTPUT_DONE;
}

static enum output_result output_send_file(struct output *o, struct insert *insert, const struct line *line,
					   uint64_t *turn, uint64_t *sent_bytes)
{
	while (insert->left > 0) {
		uint64_t n;
		enum output_result result = output_file_room(o, insert, *turn, &n);
		ssize_t sent;

		if (result != OUTPUT_DONE)
			return result;
		sent = line_sendfile(line, o->file, (off_t)insert->offset, (size_t)n);
		if (sent < 0 && (errno == EINVAL || errno == ENOSYS) && line->tls == NULL)
			sent = output_copy(o, insert, (size_t)n, line->out);
		if (sent == 0)
			return OUTPUT_BROKEN;	/* shorter than its record says: cut, never pad */
		if (sent < 0)
			return output_failure();
		insert->offset += (uint64_t)sent;
		insert->left -= (uint64_t)sent;
		*turn -= (uint64_t)sent;
		*sent_bytes += (uint64_t)sent;
	}
	return OUTPUT_DONE;
}

/*
 * Text and the piece of a file behind it, which are encrypted together: a small
 * file leaves with its head.  What TLS has not taken is gathered again, and
 * begins with the same bytes: more may have come behind them, none goes.
 */
static enum output_result output_send_gathered(struct output *o, struct insert *insert, struct tls *tls,
					       uint64_t *turn, uint64_t *sent_bytes)
{
	char bytes[COPY_BYTES];

	while (o->sent < insert->at || insert->left > 0) {
		size_t text = insert->at - o->sent < sizeof bytes ? insert->at - o->sent : sizeof bytes;
		enum output_result result = OUTPUT_DONE;
		uint64_t room = 0;
		ssize_t got = 0, sent;

		memcpy(bytes, o->text.data + o->sent, text);
		if (insert->left > 0 && text < sizeof bytes)
			result = output_file_room(o, insert, *turn, &room);
		if (result != OUTPUT_DONE && text == 0)
			return result;
		if (room > sizeof bytes - text)
			room = sizeof bytes - text;
		if (room > 0)
			got = pread(o->file, bytes + text, (size_t)room, (off_t)insert->offset);
		if (room > 0 && got <= 0)
			return OUTPUT_BROKEN;	/* as above */
		sent = tls_send(tls, bytes, text + (size_t)got);
		if (sent < 0)
			return output_failure();
		*sent_bytes += (uint64_t)sent;
		if ((size_t)sent < text) {
			o->sent += (size_t)sent;
			continue;
		}
		o->sent += text;
		insert->offset += (uint64_t)sent - text;
		insert->left -= (uint64_t)sent - text;
		*turn -= (uint64_t)sent - text;
	}
	return OUTPUT_DONE;
}

/* Up to the end of the insert. */
static enum output_result output_send_insert(struct output *o, struct insert *insert, const struct line *line,
					     uint64_t *turn, uint64_t *sent_bytes)
{
	enum output_result result;

	if (line->tls != NULL && !tls_is_in_kernel(line->tls))
		return output_send_gathered(o, insert, line->tls, turn, sent_bytes);
	result = output_send_text(o, insert->at, line, sent_bytes);
	return result == OUTPUT_DONE ? output_send_file(o, insert, line, turn, sent_bytes) : result;
}

/* *sent_bytes grows by what was sent. */
static enum output_result output_flush(struct output *o, const struct line *line, uint64_t *sent_bytes)
{
	uint64_t turn = TURN_BYTES;
	enum output_result result;

	while (o->insert_next < o->insert_count) {
		result = output_send_insert(o, &o->inserts[o->insert_next], line, &turn, sent_bytes);
		if (result != OUTPUT_DONE)
			return result;
		o->insert_next++;
	}
	result = output_send_text(o, o->text.len, line, sent_bytes);
	if (result == OUTPUT_DONE)
		output_end(o);
	return result;
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

/* What the system has of the answer goes, too, when it is closed. */
static void conn_reset(struct conn *c)
{
	struct linger reset = { .l_onoff = 1 };

	setsockopt(c->line->out, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
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

/* The first of those that are idle is another. */
static void idle_changed(struct worker *w)
{
	struct line *first = LIST_FIRST(struct line, &w->idle, idle_link);

	atomic_store_explicit(&w->idle_since, first != NULL ? first->idle_since : UINT64_MAX,
			      memory_order_relaxed);
}

void line_set_idle(struct line *line)
{
	struct worker *w = line->worker;

	if (link_is_linked(&line->idle_link))
		return;
	/* Who is only to be told to come again goes first. */
	line->idle_since = line->crowded ? 0 : loop_now(w->loop);
	if (line->crowded)
		list_prepend(&w->idle, &line->idle_link);
	else
		list_append(&w->idle, &line->idle_link);
	if (w->idle.first == &line->idle_link)
		idle_changed(w);
}

void line_set_active(struct line *line)
{
	struct worker *w = line->worker;
	bool first = w->idle.first == &line->idle_link;

	list_remove(&line->idle_link);
	if (first)
		idle_changed(w);
}

void line_close(struct line *line)
{
	struct worker *w = line->worker;
	struct source source = line->source;

	line_set_active(line);
	list_remove(&line->handshake);
	tls_free(line->tls);
	timer_stop(&line->timer);
	watch_stop(&line->watch);
	watch_stop(&line->out_watch);
	close(line->in);
	if (line->out != line->in)
		close(line->out);
	list_remove(&line->link);
	door_guest_free(line->guest);
	free(line);
	httpd_conn_closed(w, &source);
}

/* TLS says that all was sent, which a client may rely on.  False: it can not be said yet. */
static bool line_say_end(struct line *line)
{
	return line->tls == NULL || line->cut || tls_shutdown(line->tls) == 0 || errno != EAGAIN;
}

static void conn_close(struct conn *c)
{
	struct line *line = c->line;

	conn_reset_if_cut(c);
	if (c->more == NULL && !output_pending(&c->output))
		line_say_end(line);
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

/* Something has to happen until idle_timeout has passed, and enough of it until the window ends. */
static void conn_expect(struct conn *c)
{
	uint64_t after = idle_limit_ms(c), now = loop_now(c->worker->loop);

	if (c->window_end != 0 && c->window_end < now + after)
		after = c->window_end > now ? c->window_end - now : 0;
	conn_set_deadline(c, after);
}

/* From now on the client is to send, or to take, at least so much in a time. */
static void conn_begin_window(struct conn *c)
{
	bool judged = c->line->socket && !c->request.peer && c->worker->httpd->conf->limits.min_rate > 0;

	/* Places kept for few are not held for long. */
	c->window_end = !judged ? 0 : loop_now(c->worker->loop) + (c->line->late ? LATE_RATE_MS : RATE_MS);
	c->window_bytes = 0;
	c->window_kept = c->ours = false;
}

/* What was sent, and the client has not taken yet. */
static uint64_t conn_untaken(const struct conn *c)
{
	int bytes = 0;

	return ioctl(c->line->out, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (uint64_t)bytes : 0;
}

/* The client does not take more: from now on what it takes of what it was sent before counts, too. */
static void window_note_kept(struct conn *c)
{
	uint64_t untaken = c->window_end == 0 || c->window_kept ? 0 : conn_untaken(c);

	c->window_kept = true;
	if (untaken > c->window_bytes)
		c->window_bytes = untaken;
}

/* The client has done its part: what comes next is this node's, or another's. */
static bool conn_waits_for_us(const struct conn *c)
{
	const struct watch *out = c->line->in == c->line->out ? &c->line->watch : &c->line->out_watch;

	return c->state == CONN_BODY ? !upload_welcome(c) : c->state == CONN_SEND && !(out->events & EPOLLOUT);
}

/* The window is over: was it enough?  What was sent and not taken counts for the next one. */
static bool window_suffices(struct conn *c)
{
	uint64_t wanted = c->worker->httpd->conf->limits.min_rate * (RATE_MS / 1000);
	uint64_t untaken = c->state == CONN_BODY ? 0 : conn_untaken(c);

	if (!c->ours && c->window_bytes < wanted + untaken)
		return false;
	conn_begin_window(c);
	c->window_bytes = untaken;
	c->window_kept = true;
	c->ours = conn_waits_for_us(c);
	return true;
}

/* The process is to stop: the client gets a short time for one more request, and only once. */
static void conn_hasten(struct conn *c)
{
	uint64_t moment = c->line->had_answer ? NEXT_REQUEST_MS : FIRST_REQUEST_MS;

	if (loop_now(c->worker->loop) + moment < c->line->deadline)
		conn_set_deadline(c, moment);
}

/* the bytes that it receives */

static ssize_t line_recv(const struct line *line, char *to, size_t n)
{
	if (line->tls != NULL)
		return tls_recv(line->tls, to, n);
	return line->socket ? recv(line->in, to, n, 0) : read(line->in, to, n);
}

static ssize_t receive_bytes(struct conn *c, char *to, size_t n)
{
	ssize_t got;

	do
		got = line_recv(c->line, to, n);
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
	c->window_bytes += (uint64_t)got;
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

static bool line_must_send_first(const struct line *line)
{
	return line->tls != NULL && tls_wants_to_send(line->tls);
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
	/* It has to send something before it receives more: what has come stays unread, and would be told for ever. */
	if (in != 0 && line_must_send_first(c->line)) {
		in = 0;
		out = EPOLLOUT;
	}
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
	c->readable = c->eof = c->gone = c->last = c->has_body = c->ours = false;
	c->window_end = 0;
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
	if (line_must_send_first(c->line)) {
		c->readable = true;
		watch_change(watch, watch->events & ~(uint32_t)EPOLLOUT);
	}
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
	uint64_t sent = 0;
	enum output_result result;

	if (!output_pending(&c->output))
		return STEP_ON;
	result = output_flush(&c->output, c->line, &sent);
	c->window_bytes += sent;
	if (sent > 0)
		conn_expect(c);
	switch (result) {
	case OUTPUT_DONE:
		conn_set_events(c, false);
		return STEP_ON;
	case OUTPUT_BLOCKED:
		window_note_kept(c);
		conn_set_events(c, true);
		return STEP_WAIT;
	case OUTPUT_TURN:
		conn_set_events(c, true);
		return STEP_WAIT;
	case OUTPUT_STARVED:
		c->ours = true;
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
	c->window_end = 0;
	conn_set_deadline(c, c->line->late ? LATE_LINGER_MS : LINGER_MS);
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
	c->window_end = 0;
	head_reset(&c->head);
	c->state = CONN_HEAD;
	conn_expect(c);
	return STEP_ON;
}

static bool line_has_unread(const struct line *line)
{
	char byte;

	return recv(line->in, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/*
 * As recv(2) with MSG_PEEK; 0 also where TLS is broken, as it is when the client
 * has closed its side and not said so.  What TLS had to decrypt for that is no
 * longer in the socket, which therefore does not tell of it.
 */
static ssize_t conn_peek(struct conn *c)
{
	char byte;
	ssize_t n;

	if (c->line->tls == NULL)
		return recv(c->line->in, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	n = tls_peek(c->line->tls);
	if (n < 0 && errno == EAGAIN)
		return n;
	c->readable = true;
	return n > 0 ? n : 0;
}

static bool conn_has_bytes(struct conn *c)
{
	return c->line->socket && conn_peek(c) > 0;
}

bool conn_left(struct conn *c)
{
	return c->gone || (c->line->socket && (c->eof || conn_peek(c) == 0));
}

/*
 * Whether bytes of the client are unread, which may be TLS's own, or may
 * follow.  A process that is to stop expects another request on every connection
 * that the client keeps alive; one that goes on does not, since others wait for
 * the place.
 */
static bool conn_may_say_more(struct conn *c)
{
	return c->has_body || input_is_behind(c) || (c->line->tls != NULL && line_has_unread(c->line)) ||
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
	if (!line_say_end(c->line)) {
		conn_set_events(c, true);
		return STEP_WAIT;
	}
	return conn_may_say_more(c) ? step_begin_linger(c) : step_close(c);
}

void conn_answered(struct conn *c)
{
	if (c->has_body)
		c->last = true;		/* what is left of it must not be taken for a request */
	c->state = CONN_SEND;
	conn_begin_window(c);
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
	conn_begin_window(c);
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
	c->line->cut = true;
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
	line_set_active(c->line);
	request_begin(c);
	return STEP_ON;
}

static enum step step_refuse(struct conn *c, const struct refusal *refusal)
{
	c->has_body = true;	/* a body that may follow is not read */
	c->state = CONN_BUSY;
	line_set_active(c->line);
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
		if (!c->line->late && !c->line->crowded)
			conn_set_deadline(c, c->worker->httpd->conf->limits.header_timeout_ms);
	}
	if (step == STEP_ON) {
		c->window_end = 0;
		line_set_idle(c->line);
	} else if (c->window_end == 0 && !begun) {
		conn_begin_window(c);
		conn_expect(c);
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
	c->ours |= !upload_welcome(c);
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
	if (c->window_end != 0 && now >= c->window_end && window_suffices(c)) {
		conn_expect(c);
		return;
	}
	if (c->state == CONN_BODY) {
		if (c->window_end != 0 && now >= c->window_end && upload_welcome(c))
			floods_note(line->worker->httpd, FLOOD_BODY, &line->source);
		conn_begin_window(c);
		conn_expect(c);
		upload_stalled(c);
		conn_resume(c);
		return;
	}
	if ((c->state == CONN_SEND || c->state == CONN_HEAD) && c->window_end != 0 && now >= c->window_end) {
		floods_note(line->worker->httpd, FLOOD_READER, &line->source);
		conn_reset(c);
	}
	if (c->state == CONN_HEAD && c->request.head_begun && !output_pending(&c->output)) {
		c->has_body = true;
		c->state = CONN_BUSY;
		line_set_active(line);
		answer_error(c, 408, "the request's head took too long");
		conn_resume(c);
		return;
	}
	/* The request came in time, and the loop has not reported it yet. */
	if (c->state == CONN_HEAD && !c->request.head_begun && !output_pending(&c->output) && conn_has_bytes(c)) {
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

bool conn_close_idle(struct worker *w)
{
	struct line *line;

	for (int i = 0; i < EVICT_TRIES && (line = LIST_FIRST(struct line, &w->idle, idle_link)) != NULL; i++) {
		struct conn *c;

		if (link_is_linked(&line->handshake)) {
			floods_note(w->httpd, FLOOD_IDLE, &line->source);
			handshake_drop(line);
			return true;
		}
		c = line_wake(line);
		if (!conn_has_bytes(c)) {
			floods_note(w->httpd, FLOOD_IDLE, &line->source);
			conn_close(c);
			return true;
		}
		/* It has just sent something: another one is closed. */
		line_set_active(line);
		c->readable = true;
		conn_resume(c);
	}
	return false;
}

void line_serve(struct line *line)
{
	struct conn *c = line_wake(line);

	line->watch.ready = conn_on_ready;
	line->timer.fire = conn_on_timer;
	/*
	 * A client that connects usually has something to say at once.  Pipes
	 * and files stay blocking, for others may share them: they wait for the loop.
	 */
	c->readable = line->socket;
	if (line->late || line->crowded)
		conn_set_deadline(c, LATE_HEAD_MS);
	else
		conn_expect(c);
	conn_resume(c);
}

/* What was spoken so far is over; what is said from now on is said in clear. */
static struct conn *line_wake_in_clear(struct line *line)
{
	tls_free(line->tls);
	line->tls = NULL;
	line->watch.ready = conn_on_ready;
	line->timer.fire = conn_on_timer;
	return line_wake(line);
}

void line_refuse(struct line *line, int status, const char *why)
{
	struct conn *c = line_wake_in_clear(line);

	step_refuse(c, &(struct refusal){ .status = status, .why = why });
	conn_resume(c);
}

void line_linger(struct line *line)
{
	struct conn *c = line_wake_in_clear(line);

	c->readable = true;
	if (step_begin_linger(c) != STEP_GONE)
		conn_resume(c);
}

const char *line_client(const struct line *line)
{
	return line->tls != NULL ? tls_client(line->tls) : NULL;
}

void conn_open(struct worker *w, int in, int out, const struct arrival *arrival)
{
	struct line *line = mem_new(1, sizeof *line);
	int on = 1;

	line->worker = w;
	line->in = in;
	line->out = out;
	line->kind = arrival->kind;
	line->source = arrival->source;
	line->late = arrival->late;
	line->crowded = arrival->crowded;
	line->socket = in == out || (is_socket(in) && is_socket(out));
	list_append(&w->lines, &line->link);
	if (line->socket && line->kind != LISTENER_UNIX)
		setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (line->socket && in != out)
		fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
	if (line_start_watches(line) < 0)
		line_close(line);
	else if (line->kind == LISTENER_HTTPS)
		handshake_begin(line);
	else
		line_serve(line);
}

void conn_hasten_all(struct worker *w)
{
	handshake_hasten_all(w);
	LIST_EACH(struct line, line, &w->lines, link)
		if (!link_is_linked(&line->handshake) && (line->conn == NULL || line->conn->state == CONN_HEAD))
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
