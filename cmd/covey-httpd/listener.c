/* listener - workers, and the connections that are dealt out to them */
#include "ask.h"
#include "conn.h"
#include "container.h"
#include "group.h"
#include "httpd.h"
#include "httpdate.h"
#include "log.h"
#include "mem.h"
#include "write.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_TURN 64		/* connections, until others are served */
#define RETRY_MS 100		/* when the system has nothing to give */
#define STATUS_MS 1000		/* between two lines about those who come */

/* Worker 0's alone. */
static void tell_status(struct httpd *h)
{
	unsigned count = atomic_load(&h->connections);
	const char *s = count == 1 ? "" : "s";

	if (atomic_load(&h->draining))
		service_status(h->service, "stopping, %u connection%s to finish", count, s);
	else
		service_status(h->service, "serving, %u connection%s", count, s);
	h->status_due = loop_now(h->loop) + STATUS_MS;
}

/* While nobody comes, but those who are there go. */
static void keep_telling(struct timer *timer)
{
	struct httpd *h = CONTAINER_OF(timer, struct httpd, telling);

	tell_status(h);
	timer_start(h->loop, timer, STATUS_MS);
}

/* A connection on its way to the worker that will have it. */
struct delivery {
	struct task task;
	struct worker *worker;
	int fd;
};

struct str worker_date(struct worker *w)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec != w->date_second) {
		httpdate_format(w->date, (uint64_t)now.tv_sec);
		w->date_second = now.tv_sec;
	}
	return str_of(w->date);
}

static void deliver(struct task *task)
{
	struct delivery *delivery = CONTAINER_OF(task, struct delivery, task);
	struct worker *w = delivery->worker;
	int fd = delivery->fd;

	free(delivery);
	conn_open(w, fd, fd);
}

/* Fewest connections first, in turn among equals. */
static struct worker *choose(struct httpd *h)
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

static void deal(struct httpd *h, int fd)
{
	struct worker *w = choose(h);

	atomic_fetch_add(&h->connections, 1);
	atomic_fetch_add(&w->count, 1);
	if (w == &h->workers[0]) {
		conn_open(w, fd, fd);
	} else {
		struct delivery *delivery = mem_new(1, sizeof *delivery);

		delivery->task.run = deliver;
		delivery->worker = w;
		delivery->fd = fd;
		loop_post(w->loop, &delivery->task);
	}
}

static bool is_full(const struct httpd *h)
{
	return atomic_load(&h->connections) >= h->conf->limits.connections;
}

/* Until a connection is closed. */
static void pause_accepting(struct httpd *h)
{
	watch_change(&h->listener, 0);
	atomic_store(&h->paused, true);
}

static void accept_again(struct httpd *h)
{
	atomic_store(&h->paused, false);
	if (!atomic_load(&h->draining))
		watch_change(&h->listener, EPOLLIN);
}

static void accept_turn(struct httpd *h)
{
	for (int i = 0; i < ACCEPT_TURN; i++) {
		int fd;

		if (is_full(h)) {	/* the others wait in the kernel's queue */
			pause_accepting(h);
			if (is_full(h))
				return;
			accept_again(h);
		}
		fd = accept4(h->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			deal(h, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			/* Out of descriptors or memory: other programs may have them. */
			pause_accepting(h);
			timer_start(h->loop, &h->retry, RETRY_MS);
			return;
		}
	}
}

static void accept_some(struct watch *watch, uint32_t events)
{
	struct httpd *h = CONTAINER_OF(watch, struct httpd, listener);

	(void)events;
	accept_turn(h);
	if (loop_now(h->loop) >= h->status_due)
		tell_status(h);
}

static void room_again(struct task *task)
{
	struct httpd *h = CONTAINER_OF(task, struct httpd, room);

	atomic_store(&h->room_posted, false);
	accept_again(h);
}

static void retry(struct timer *timer)
{
	accept_again(CONTAINER_OF(timer, struct httpd, retry));
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

static void *run_worker(void *data)
{
	struct worker *w = data;
	struct err err;

	if (loop_run(w->loop, &err) < 0)
		log_err(LOG_LEVEL_ERROR, &err, "worker");
	return NULL;
}

static void stop_worker(struct task *task)
{
	struct worker *w = CONTAINER_OF(task, struct worker, stop);

	conn_stop_all(w);
}

static void show_pulse(struct task *task)
{
	struct worker *w = CONTAINER_OF(task, struct worker, pulse);

	atomic_store(&w->pulse_due, false);
}

bool listener_alive(struct httpd *h)
{
	bool alive = true;

	tell_status(h);
	for (unsigned i = 1; i < h->worker_count; i++) {
		struct worker *w = &h->workers[i];

		if (atomic_exchange(&w->pulse_due, true))
			alive = false;
		else
			loop_post(w->loop, &w->pulse);
	}
	return alive;
}

static void open_callers(struct worker *w)
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

static int start_worker(struct httpd *h, struct worker *w, struct err *err)
{
	w->httpd = h;
	w->answers = &h->kept->answers[w - h->workers];
	w->stop.run = stop_worker;
	w->pulse.run = show_pulse;
	w->loop = w == &h->workers[0] ? h->loop : loop_new(err);
	if (w->loop == NULL)
		return -1;
	w->drain = (struct call)CALL_INIT;
	ask_worker(w);
	if (h->grouped)
		open_callers(w);
	if (w == &h->workers[0]) {
		if (h->group != NULL)
			group_watch(h->group);
		return 0;
	}
	errno = pthread_create(&w->thread, NULL, run_worker, w);
	return errno == 0 ? 0 : err_sys(err, "start thread");
}

static void free_worker(struct worker *w)
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
static int start_workers(struct httpd *h, unsigned count, struct err *err)
{
	struct err why = ERR_INIT;

	h->workers = mem_new(count, sizeof *h->workers);
	for (; h->worker_count < count; h->worker_count++) {
		struct worker *w = &h->workers[h->worker_count];

		if (start_worker(h, w, &why) == 0)
			continue;
		if (h->worker_count == 0)
			return err_pass(err, &why);
		log_err(LOG_LEVEL_WARNING, &why, "serve with fewer threads");
		free_worker(w);
		break;
	}
	return 0;
}

static unsigned count_workers(const struct httpd *h)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (h->service->inetd || cpus < 1)
		return 1;
	return cpus > WORKERS_MAX ? WORKERS_MAX : (unsigned)cpus;
}

int listener_start(struct httpd *h, struct err *err)
{
	if (start_workers(h, count_workers(h), err) < 0)
		return -1;
	h->room.run = room_again;
	h->retry.fire = retry;
	h->telling.fire = keep_telling;
	tell_status(h);
	if (h->service->inetd) {
		atomic_fetch_add(&h->connections, 1);
		atomic_fetch_add(&h->workers[0].count, 1);
		conn_open(&h->workers[0], STDIN_FILENO, STDOUT_FILENO);
		return 0;
	}
	h->listener = (struct watch){ .fd = service_fd(h->service, "http"), .ready = accept_some };
	return watch_start(h->loop, &h->listener, EPOLLIN, err);
}

/*
 * Nobody else will serve those who wait in the queue of a listener of one's own.
 * Who comes while it is emptied has no end: it is as many as might be served at once.
 */
static void accept_rest(struct httpd *h)
{
	struct pollfd queue = { .fd = h->listener.fd, .events = POLLIN };
	uint64_t accepted = 0;

	while (accepted < h->conf->limits.connections && !atomic_load(&h->paused) &&
	       poll(&queue, 1, 0) > 0) {
		accept_turn(h);
		accepted += ACCEPT_TURN;
	}
	shutdown(h->listener.fd, SHUT_RDWR);	/* who comes now is refused */
}

void listener_stop(struct httpd *h)
{
	/* So that the count does not reach zero while connections are asked to end. */
	atomic_fetch_add(&h->connections, 1);
	if (!h->service->inetd && !h->service->supervised)
		accept_rest(h);
	atomic_store(&h->draining, true);
	watch_stop(&h->listener);
	for (unsigned i = 0; i < h->worker_count; i++)
		loop_post(h->workers[i].loop, &h->workers[i].stop);
	if (atomic_fetch_sub(&h->connections, 1) == 1)
		service_finished(h->service);
	keep_telling(&h->telling);
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
		free_worker(&h->workers[i]);
	free(h->workers);
}
