/* listener - workers, and the connections that are dealt out to them */
#include "conn.h"
#include "container.h"
#include "../httpd.h"
#include "log.h"
#include "mem.h"
#include "../handlers.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_TURN 64		/* connections, until others are served */
#define RETRY_MS 100		/* when the system is out of descriptors or memory */
#define STATUS_MS 1000		/* between two reports of how many connections there are */

/* On worker 0. */
static void listener_tell_status(struct httpd *h)
{
	unsigned count = atomic_load(&h->connections);
	const char *s = count == 1 ? "" : "s";

	if (atomic_load(&h->draining))
		service_status(h->service, "stopping, %u connection%s to finish", count, s);
	else
		service_status(h->service, "serving, %u connection%s", count, s);
	h->status_due = loop_now(h->loop) + STATUS_MS;
}

/* No connection comes any more, but the number falls. */
static void listener_keep_telling(struct timer *timer)
{
	struct httpd *h = CONTAINER_OF(timer, struct httpd, telling);

	listener_tell_status(h);
	timer_start(h->loop, timer, STATUS_MS);
}

/* A connection on its way to the worker that will have it. */
struct delivery {
	struct task task;
	struct worker *worker;
	int fd;
};

static void delivery_arrives(struct task *task)
{
	struct delivery *delivery = CONTAINER_OF(task, struct delivery, task);
	struct worker *w = delivery->worker;
	int fd = delivery->fd;

	free(delivery);
	conn_open(w, fd, fd);
}

/* Fewest connections first, in turn among equals. */
static struct worker *listener_choose_worker(struct httpd *h)
{
	struct worker *best = &h->workers[++h->turn % h->worker_count];
	unsigned least = atomic_load_explicit(&best->count, memory_order_relaxed);

	for (unsigned i = 1; i < h->worker_count; i++) {
		struct worker *w = &h->workers[(h->turn + i) % h->worker_count];
		unsigned count = atomic_load_explicit(&w->count, memory_order_relaxed);

		if (count < least) {
			best = w;
			least = count;
		}
	}
	return best;
}

static void listener_deal(struct httpd *h, int fd)
{
	struct worker *w = listener_choose_worker(h);

	atomic_fetch_add(&h->connections, 1);
	atomic_fetch_add(&w->count, 1);
	if (w == &h->workers[0]) {
		conn_open(w, fd, fd);
	} else {
		struct delivery *delivery = mem_new(1, sizeof *delivery);

		delivery->task.run = delivery_arrives;
		delivery->worker = w;
		delivery->fd = fd;
		loop_post(w->loop, &delivery->task);
	}
}

static bool listener_is_full(const struct httpd *h)
{
	return atomic_load(&h->connections) >= h->conf->limits.connections;
}

/* Until a connection is closed. */
static void listener_pause(struct httpd *h)
{
	watch_change(&h->listener, 0);
	atomic_store(&h->paused, true);
}

static void listener_accept_again(struct httpd *h)
{
	atomic_store(&h->paused, false);
	if (!atomic_load(&h->draining))
		watch_change(&h->listener, EPOLLIN);
}

static void listener_accept_turn(struct httpd *h)
{
	for (int i = 0; i < ACCEPT_TURN; i++) {
		int fd;

		if (listener_is_full(h)) {	/* the others wait in the kernel's queue */
			listener_pause(h);
			if (listener_is_full(h))
				return;
			listener_accept_again(h);
		}
		fd = accept4(h->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			listener_deal(h, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			/* Out of descriptors or memory: other programs may have them. */
			listener_pause(h);
			timer_start(h->loop, &h->retry, RETRY_MS);
			return;
		}
	}
}

static void listener_accepts(struct watch *watch, uint32_t events)
{
	struct httpd *h = CONTAINER_OF(watch, struct httpd, listener);

	(void)events;
	listener_accept_turn(h);
	if (loop_now(h->loop) >= h->status_due)
		listener_tell_status(h);
}

static void listener_has_room(struct task *task)
{
	struct httpd *h = CONTAINER_OF(task, struct httpd, room);

	atomic_store(&h->room_posted, false);
	listener_accept_again(h);
}

static void listener_retry(struct timer *timer)
{
	listener_accept_again(CONTAINER_OF(timer, struct httpd, retry));
}

void listener_closed(struct worker *w)
{
	struct httpd *h = w->httpd;
	unsigned before;

	atomic_fetch_sub(&w->count, 1);
	before = atomic_fetch_sub(&h->connections, 1);
	if (before == 1 && (atomic_load(&h->draining) || h->service->inetd))
		service_finished(h->service);
	else if (atomic_load(&h->paused) && !atomic_exchange(&h->room_posted, true))
		loop_post(h->loop, &h->room);
}

/* workers */

static void *worker_run(void *data)
{
	struct worker *w = data;
	struct err err;

	if (loop_run(w->loop, &err) < 0)
		log_err(LOG_LEVEL_ERROR, &err, "worker");
	return NULL;
}

static void worker_stop(struct task *task)
{
	struct worker *w = CONTAINER_OF(task, struct worker, stop);

	conn_stop_all(w);
}

static void worker_show_pulse(struct task *task)
{
	struct worker *w = CONTAINER_OF(task, struct worker, pulse);

	atomic_store(&w->pulse_due, false);
}

bool listener_alive(struct httpd *h)
{
	bool alive = true;

	listener_tell_status(h);
	for (unsigned i = 1; i < h->worker_count; i++) {
		struct worker *w = &h->workers[i];

		if (atomic_exchange(&w->pulse_due, true))
			alive = false;
		else
			loop_post(w->loop, &w->pulse);
	}
	return alive;
}

static void worker_open_callers(struct worker *w)
{
	static const char *const names[] = { "version", "sync", "discover" };
	struct caller **callers[] = { &w->version, &w->sync, &w->discover };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct buf path = BUF_INIT;

		buf_addf(&path, "%s/%s.sock", store_run(w->httpd->store), names[i]);
		*callers[i] = caller_new(w->loop, path.data);
		buf_clear(&path);
	}
}

static int worker_start(struct httpd *h, struct worker *w, struct err *err)
{
	w->httpd = h;
	w->answers = &h->kept->answers[w - h->workers];
	w->stop.run = worker_stop;
	w->pulse.run = worker_show_pulse;
	w->loop = w == &h->workers[0] ? h->loop : loop_new(err);
	if (w->loop == NULL)
		return -1;
	w->drain = (struct call)CALL_INIT;
	if (h->grouped)
		worker_open_callers(w);
	if (w == &h->workers[0])
		return 0;
	errno = pthread_create(&w->thread, NULL, worker_run, w);
	return errno == 0 ? 0 : err_sys(err, "start thread");
}

static void worker_free(struct worker *w)
{
	conn_free_all(w);
	timer_stop(&w->ask);
	write_free_all(w);
	call_finish(&w->drain);
	caller_free(w->version);
	caller_free(w->sync);
	caller_free(w->discover);
	if (w != &w->httpd->workers[0])
		loop_free(w->loop);
}

/* Worker 0, and as many others as the system grants threads for. */
static int workers_start(struct httpd *h, unsigned count, struct err *err)
{
	struct err why = ERR_INIT;

	h->workers = mem_new(count, sizeof *h->workers);
	for (; h->worker_count < count; h->worker_count++) {
		struct worker *w = &h->workers[h->worker_count];

		if (worker_start(h, w, &why) == 0)
			continue;
		if (h->worker_count == 0)
			return err_pass(err, &why);
		log_err(LOG_LEVEL_WARNING, &why, "serve with fewer threads");
		worker_free(w);
		break;
	}
	return 0;
}

static unsigned workers_count(const struct httpd *h)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (h->service->inetd || cpus < 1)
		return 1;
	return cpus > WORKERS_MAX ? WORKERS_MAX : (unsigned)cpus;
}

int listener_start(struct httpd *h, struct err *err)
{
	if (workers_start(h, workers_count(h), err) < 0)
		return -1;
	h->room.run = listener_has_room;
	h->retry.fire = listener_retry;
	h->telling.fire = listener_keep_telling;
	listener_tell_status(h);
	if (h->service->inetd) {
		atomic_fetch_add(&h->connections, 1);
		atomic_fetch_add(&h->workers[0].count, 1);
		conn_open(&h->workers[0], STDIN_FILENO, STDOUT_FILENO);
		return 0;
	}
	h->listener = (struct watch){ .fd = service_fd(h->service, "http"), .ready = listener_accepts };
	return watch_start(h->loop, &h->listener, EPOLLIN, err);
}

/*
 * Connections that wait in the queue of a listener that this process opened
 * itself are served by nobody else.  More may come while the queue is emptied:
 * as many are accepted as may be served at once.
 */
static void listener_accept_rest(struct httpd *h)
{
	struct pollfd queue = { .fd = h->listener.fd, .events = POLLIN };
	uint64_t accepted = 0;

	while (accepted < h->conf->limits.connections && !atomic_load(&h->paused) &&
	       poll(&queue, 1, 0) > 0) {
		listener_accept_turn(h);
		accepted += ACCEPT_TURN;
	}
	shutdown(h->listener.fd, SHUT_RDWR);	/* later ones are refused */
}

void listener_stop(struct httpd *h)
{
	/* The count must not reach zero before all connections were asked to end. */
	atomic_fetch_add(&h->connections, 1);
	if (!h->service->inetd && !h->service->supervised)
		listener_accept_rest(h);
	atomic_store(&h->draining, true);
	watch_stop(&h->listener);
	for (unsigned i = 0; i < h->worker_count; i++)
		loop_post(h->workers[i].loop, &h->workers[i].stop);
	if (atomic_fetch_sub(&h->connections, 1) == 1)
		service_finished(h->service);
	listener_keep_telling(&h->telling);
}

void listener_join(struct httpd *h)
{
	for (unsigned i = 1; i < h->worker_count; i++) {
		loop_stop(h->workers[i].loop);
		pthread_join(h->workers[i].thread, NULL);
	}
}

void listener_free(struct httpd *h)
{
	for (unsigned i = 0; i < h->worker_count; i++)
		worker_free(&h->workers[i]);
	free(h->workers);
}
