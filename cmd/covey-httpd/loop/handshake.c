/*
 * handshake - what comes before the first request of a connection that speaks TLS
 *
 * Whoever connects can begin one, and a stranger that says nothing more costs
 * memory until its time is over.  So there are only so many at once: one more,
 * and the oldest goes, for a client that means it is done within a few round
 * trips, and is not among the oldest for long.
 *
 * The signature is made here, on the loop: 0.1 ms of a processor with an ECDSA
 * key, 1 ms with RSA, which is what a request of some size costs, too.  In the
 * pool it would wait for jobs that wait for the disk, and cost two changes of
 * thread; the order in which loops serve their connections keeps it fair.
 */
#include "handshake.h"

#include "conn.h"
#include "../https.h"

#include <sys/socket.h>

#define HASTE_MS 3000		/* to the end of one, when the process is to stop, or others wait for the place */

static struct line *line_of(struct link *link)
{
	return CONTAINER_OF(link, struct line, handshake);
}

static void handshake_end(struct line *line, enum handshake_result result)
{
	https_count(line->worker->httpd, result);
	list_remove(&line->handshake);
	line_set_active(line);
	timer_stop(&line->timer);
}

/* Whether the client has begun to ask in clear: a method, where TLS has the type of a record. */
static bool handshake_is_http(struct line *line)
{
	char first;

	if (line->greeted || recv(line->in, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
		return false;
	line->greeted = true;
	return first >= 'A' && first <= 'Z';
}

static void handshake_step(struct line *line)
{
	struct err err = ERR_INIT;
	int r;

	if (handshake_is_http(line)) {
		handshake_end(line, HANDSHAKE_FAILED);
		line_refuse(line, 400, "this port speaks https, and the request came as http");
		return;
	}
	r = tls_handshake(line->tls, &err);
	if (r == 0) {
		watch_change(&line->watch, tls_wants_to_send(line->tls) ? EPOLLOUT : EPOLLIN);
	} else if (r > 0) {
		handshake_end(line, tls_was_resumed(line->tls) ? HANDSHAKE_RESUMED : HANDSHAKE_FULL);
		watch_change(&line->watch, EPOLLIN);
		line_serve(line);
	} else {
		/* What the client is told of it must not be overtaken by a reset. */
		handshake_end(line, HANDSHAKE_FAILED);
		line_linger(line);
	}
}

static void handshake_on_ready(struct watch *watch, uint32_t events)
{
	(void)events;
	handshake_step(CONTAINER_OF(watch, struct line, watch));
}

void handshake_drop(struct line *line)
{
	handshake_end(line, HANDSHAKE_DROPPED);
	line_close(line);
}

static void handshake_on_timer(struct timer *timer)
{
	handshake_drop(CONTAINER_OF(timer, struct line, timer));
}

static uint64_t handshake_limit_ms(const struct httpd *h, bool in_haste)
{
	uint64_t limit = h->conf->limits.header_timeout_ms;

	return in_haste && limit > HASTE_MS ? HASTE_MS : limit;
}

/* Each worker has its share. */
static size_t handshakes_most(const struct httpd *h)
{
	size_t share = h->conf->limits.handshakes / h->worker_count;

	return share > 0 ? share : 1;
}

void handshake_begin(struct line *line)
{
	struct worker *w = line->worker;

	https_handshake_begins(w->httpd);
	line->tls = tls_new(https_context(w->httpd), line->in);
	line->watch.ready = handshake_on_ready;
	line->timer.fire = handshake_on_timer;
	timer_start(w->loop, &line->timer, handshake_limit_ms(w->httpd, line->late || line->crowded));
	list_append(&w->handshakes, &line->handshake);
	line_set_idle(line);
	if (w->handshakes.count > handshakes_most(w->httpd))
		handshake_drop(line_of(w->handshakes.first));
	handshake_step(line);
}

void handshake_hasten_all(struct worker *w)
{
	LIST_EACH(struct line, line, &w->handshakes, handshake)
		timer_start(w->loop, &line->timer, handshake_limit_ms(w->httpd, true));
}
