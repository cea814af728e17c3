/* conn_open - connections are made, closed, and kept to be used again */
#include "conn_inside.h"

#include "mem.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPARE_MAX 64			/* closed connections kept by a worker */
#define KEPT_INPUT (64u << 10)		/* bytes of buffer that one may keep */

static void conn_free(struct conn *c)
{
	buf_clear(&c->input);
	buf_clear(&c->beyond);
	output_clear(&c->output);
	body_clear(&c->body);
	request_free(&c->request);
	free(c);
}

void conn_close(struct conn *c)
{
	struct worker *w = c->worker;

	request_end(c);
	timer_stop(&c->timer);
	watch_stop(&c->watch);
	watch_stop(&c->out_watch);
	output_clear(&c->output);
	close(c->in);
	if (c->out != c->in)
		close(c->out);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		w->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	if (w->spare_count < SPARE_MAX && c->input.cap <= KEPT_INPUT) {
		c->next = w->spare;
		w->spare = c;
		w->spare_count++;
	} else {
		conn_free(c);
	}
	listener_closed(w);
}

void conn_free_all(struct worker *w)
{
	while (w->conns != NULL)
		conn_close(w->conns);
	while (w->spare != NULL) {
		struct conn *c = w->spare;

		w->spare = c->next;
		conn_free(c);
	}
	w->spare_count = 0;
}

static int start_watches(struct conn *c)
{
	c->watch.fd = c->in;
	c->watch.ready = conn_on_ready;
	c->out_watch.fd = c->out;
	c->out_watch.ready = conn_on_out_ready;
	if (watch_start(c->worker->loop, &c->watch, EPOLLIN, NULL) < 0)
		return -1;
	return c->in == c->out ? 0 : watch_start(c->worker->loop, &c->out_watch, 0, NULL);
}

static struct conn *new_conn(struct worker *w)
{
	struct conn *c = w->spare;

	if (c == NULL) {
		c = mem_new(1, sizeof *c);
		request_init(&c->request);
	} else {
		w->spare = c->next;
		w->spare_count--;
	}
	c->worker = w;
	c->state = CONN_HEAD;
	c->eof = c->gone = c->last = c->has_body = c->had_answer = false;
	c->output = (struct output)OUTPUT_INIT;
	buf_reset(&c->input);
	buf_reset(&c->beyond);
	c->taken = 0;
	head_reset(&c->head);
	c->timer = (struct timer){ .fire = conn_on_timer };
	c->prev = NULL;
	c->next = w->conns;
	if (w->conns != NULL)
		w->conns->prev = c;
	w->conns = c;
	return c;
}

static bool is_socket(int fd)
{
	int type;
	socklen_t n = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0;
}

void conn_open(struct worker *w, int in, int out)
{
	struct conn *c = new_conn(w);
	int on = 1;

	c->in = in;
	c->out = out;
	c->socket = in == out || (is_socket(in) && is_socket(out));
	if (c->socket)
		setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (c->socket && in != out)
		fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
	/*
	 * A client that connects usually has something to say at once.  Pipes
	 * and files stay blocking, for others may share them: they wait for the loop.
	 */
	c->readable = c->socket;
	conn_expect(c);
	if (start_watches(c) < 0)
		conn_close(c);
	else
		conn_resume(c);
}
