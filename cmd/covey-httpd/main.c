/*
 * covey-httpd - HTTP/1.1 for clients, and for content between nodes
 *
 * Who accepts, the workers that connections are dealt out to, and the
 * process around them.
 */
#include "httpd.h"

#include "container.h"
#include "door.h"
#include "group.h"
#include "handlers.h"
#include "hosts.h"
#include "https.h"
#include "log.h"
#include "loop/conn.h"
#include "mem.h"
#include "tally.h"

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_TURN 64		/* connections, until others are served */
/*
 * Accepted beyond limits.connections: the pages of /.covey/ and other nodes
 * must be reached when all places are taken, and who waits behind is not seen.
 */
#define RESERVE_MAX 64
#define RESERVE_MIN 4
#define RETRY_MS 100		/* when the system is out of descriptors or memory */
#define STATUS_MS 1000		/* between two reports of how many connections there are */
#define FORM_FILES_MAX 8192	/* open at once; */
#define FORM_PART 4		/* of all descriptors at most one in so many */
#define POOL_THREADS 64		/* commits wait for the disk, which does many at once */
#define COMMITTERS 2		/* batches of small writes on their way: one waits for the disk, one is made ready */

/* who accepts, on worker 0 */

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
	struct arrival arrival;
	unsigned tried;			/* workers of which none had an idle connection any more */
};

/* Whose connection is idle for longest, or NULL. */
static struct worker *listener_choose_idle(struct httpd *h)
{
	struct worker *best = NULL;
	uint64_t longest = UINT64_MAX;

	for (unsigned i = 0; i < h->worker_count; i++) {
		uint64_t since = atomic_load_explicit(&h->workers[i].idle_since, memory_order_relaxed);

		if (since < longest) {
			best = &h->workers[i];
			longest = since;
		}
	}
	return best;
}

static void delivery_arrives(struct task *task)
{
	struct delivery *delivery = CONTAINER_OF(task, struct delivery, task);
	struct delivery d = *delivery;
	struct worker *other;

	if (d.arrival.late && conn_close_idle(d.worker))
		d.arrival.late = false;
	/* Others that came with it may have had the last one. */
	other = d.arrival.late && d.tried < d.worker->httpd->worker_count ?
			listener_choose_idle(d.worker->httpd) : NULL;
	if (other != NULL && other != d.worker) {
		atomic_fetch_sub(&d.worker->count, 1);
		atomic_fetch_add(&other->count, 1);
		delivery->worker = other;
		delivery->tried++;
		loop_post(other->loop, &delivery->task);
		return;
	}
	free(delivery);
	conn_open(d.worker, d.fd, d.fd, &d.arrival);
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

static void listener_deal(struct httpd *h, int fd, struct arrival arrival)
{
	uint64_t per_source = h->conf->limits.per_source;
	size_t beside = sources_enter(h->sources, &arrival.source);
	struct worker *w = NULL;

	arrival.late = atomic_fetch_add(&h->connections, 1) >= h->conf->limits.connections;
	arrival.crowded = per_source > 0 && beside > per_source;
	if (arrival.late)
		w = listener_choose_idle(h);
	if (w == NULL)
		w = listener_choose_worker(h);
	atomic_fetch_add(&w->count, 1);
	if (w == &h->workers[0] && !arrival.late) {
		conn_open(w, fd, fd, &arrival);
	} else {
		struct delivery *delivery = mem_new(1, sizeof *delivery);

		delivery->task.run = delivery_arrives;
		delivery->worker = w;
		delivery->fd = fd;
		delivery->arrival = arrival;
		loop_post(w->loop, &delivery->task);
	}
}

/* Such as may stand beyond limits.connections. */
static uint64_t listener_reserve(const struct httpd *h)
{
	uint64_t part = h->conf->limits.connections / 8;

	return part > RESERVE_MAX ? RESERVE_MAX : part < RESERVE_MIN ? RESERVE_MIN : part;
}

static bool listener_is_full(const struct httpd *h)
{
	return atomic_load(&h->connections) >= h->conf->limits.connections + listener_reserve(h);
}

static void listener_watch_all(struct httpd *h, uint32_t events)
{
	for (size_t i = 0; i < h->listener_count; i++)
		watch_change(&h->listeners[i].watch, events);
}

/* Until a connection is closed. */
static void listener_pause(struct httpd *h)
{
	listener_watch_all(h, 0);
	atomic_store(&h->paused, true);
}

static void listener_accept_again(struct httpd *h)
{
	atomic_store(&h->paused, false);
	if (!atomic_load(&h->draining))
		listener_watch_all(h, EPOLLIN);
}

/* A trusted proxy stands for many clients, and is none to be counted; nor is a Unix socket. */
static struct source listener_source(const struct httpd *h, const struct sockaddr_storage *from, socklen_t n)
{
	struct address address = { .sa = *from, .len = n };
	struct source source = { .counted = false };
	uint8_t whole[SOURCE_BYTES];

	if (access_source(&address, whole) < 0)
		return source;
	source = source_at(whole);
	if (source.counted && door_trusts(h, whole))
		source.counted = false;
	return source;
}

static void listener_accept_turn(struct listener *listener)
{
	struct httpd *h = listener->httpd;

	for (int i = 0; i < ACCEPT_TURN; i++) {
		struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
		socklen_t n = sizeof from;
		int fd;

		if (listener_is_full(h)) {	/* the others wait in the kernel's queue */
			listener_pause(h);
			if (listener_is_full(h))
				return;
			listener_accept_again(h);
		}
		fd = accept4(listener->watch.fd, (struct sockaddr *)&from, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			listener_deal(h, fd, (struct arrival){ .kind = listener->kind, .source = listener_source(h, &from, n) });
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
	struct listener *listener = CONTAINER_OF(watch, struct listener, watch);
	struct httpd *h = listener->httpd;

	(void)events;
	listener_accept_turn(listener);
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

void httpd_conn_closed(struct worker *w, const struct source *source)
{
	struct httpd *h = w->httpd;
	unsigned before;

	sources_leave(h->sources, source);
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
	conn_hasten_all(CONTAINER_OF(task, struct worker, stop));
}

static void worker_show_pulse(struct task *task)
{
	struct worker *w = CONTAINER_OF(task, struct worker, pulse);

	atomic_store(&w->pulse_due, false);
}

/* Whether every worker's loop has turned since the last call. */
static bool listener_alive(struct service *service)
{
	struct httpd *h = service->data;
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

static void worker_sweep(struct timer *timer)
{
	struct worker *w = CONTAINER_OF(timer, struct worker, sweep);

	w->sweeping = store_cache_sweep(w->cache);
	if (w->sweeping)
		timer_start(w->loop, timer, SWEEP_MS);
}

static int worker_start(struct httpd *h, struct worker *w, struct err *err)
{
	w->httpd = h;
	w->cache = store_cache_new(h->store);
	w->sweep.fire = worker_sweep;
	w->answers = &h->kept->answers[w - h->workers];
	w->stop.run = worker_stop;
	w->pulse.run = worker_show_pulse;
	w->loop = w == &h->workers[0] ? h->loop : loop_new(err);
	if (w->loop == NULL)
		return -1;
	w->drain = (struct call)CALL_INIT;
	atomic_init(&w->idle_since, UINT64_MAX);
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
	timer_stop(&w->commit);
	timer_stop(&w->sweep);
	store_cache_free(w->cache);
	write_free_all(w);
	door_worker_free(w);
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

/* All that this process has of the name. */
static int listeners_add(struct httpd *h, const char *name, enum listener_kind kind, struct err *err)
{
	int fds[LISTENERS_MAX];
	size_t count = service_fds(h->service, name, fds, LISTENERS_MAX - h->listener_count);

	for (size_t i = 0; i < count; i++) {
		struct listener *listener = &h->listeners[h->listener_count++];

		listener->httpd = h;
		listener->kind = kind;
		listener->watch = (struct watch){ .fd = fds[i], .ready = listener_accepts };
		if (watch_start(h->loop, &listener->watch, EPOLLIN, err) < 0)
			return -1;
	}
	return 0;
}

static enum listener_kind inetd_kind(void)
{
	int domain = AF_UNSPEC;
	socklen_t n = sizeof domain;

	getsockopt(STDOUT_FILENO, SOL_SOCKET, SO_DOMAIN, &domain, &n);
	return domain == AF_UNIX ? LISTENER_UNIX : LISTENER_TCP;
}

static int listener_start(struct httpd *h, struct err *err)
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
		conn_open(&h->workers[0], STDIN_FILENO, STDOUT_FILENO, &(struct arrival){ .kind = inetd_kind() });
		return 0;
	}
	if (listeners_add(h, "http", LISTENER_TCP, err) < 0)
		return -1;
	if (listeners_add(h, "https", LISTENER_HTTPS, err) < 0)
		return -1;
	return listeners_add(h, "http-unix", LISTENER_UNIX, err);
}

/*
 * Connections that wait in the queue of a listener that this process opened
 * itself are served by nobody else.  More may come while the queue is emptied:
 * as many are accepted as may be served at once.
 */
static void listener_accept_rest(struct listener *listener)
{
	struct httpd *h = listener->httpd;
	struct pollfd queue = { .fd = listener->watch.fd, .events = POLLIN };
	uint64_t accepted = 0;

	while (accepted < h->conf->limits.connections && !atomic_load(&h->paused) &&
	       poll(&queue, 1, 0) > 0) {
		listener_accept_turn(listener);
		accepted += ACCEPT_TURN;
	}
	shutdown(listener->watch.fd, SHUT_RDWR);	/* later ones are refused */
}

/* Accept no more, finish what is under way. */
static void listener_stop(struct service *service)
{
	struct httpd *h = service->data;

	/* The count must not reach zero before all connections were asked to end. */
	atomic_fetch_add(&h->connections, 1);
	if (!h->service->inetd && !h->service->supervised)
		for (size_t i = 0; i < h->listener_count; i++)
			listener_accept_rest(&h->listeners[i]);
	atomic_store(&h->draining, true);
	for (size_t i = 0; i < h->listener_count; i++)
		watch_stop(&h->listeners[i].watch);
	for (unsigned i = 0; i < h->worker_count; i++)
		loop_post(h->workers[i].loop, &h->workers[i].stop);
	if (atomic_fetch_sub(&h->connections, 1) == 1)
		service_finished(h->service);
	listener_keep_telling(&h->telling);
}

/* No loop of a worker turns any more: a job of the pool that ends resumes nobody. */
static void listener_join(struct httpd *h)
{
	for (unsigned i = 1; i < h->worker_count; i++) {
		loop_stop(h->workers[i].loop);
		pthread_join(h->workers[i].thread, NULL);
	}
}

/* After that, and when the pool is empty: no job has a request that is freed here. */
static void listener_free(struct httpd *h)
{
	for (unsigned i = 0; i < h->worker_count; i++)
		worker_free(&h->workers[i]);
	free(h->workers);
}

/* the process */

/* A connection and what it lists (two directories and their names) are open at once, and what caches hold. */
static void allow_descriptors(const struct httpd *h)
{
	struct rlimit limit;
	rlim_t wanted = 4 * (rlim_t)h->conf->limits.connections + 256 +
			STORE_CACHE_FILES * workers_count(h);

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &limit);	/* with fewer, accepting pauses earlier */
}

/* Files of forms may not take the descriptors that all others need. */
static void bound_forms(struct httpd *h)
{
	struct rlimit limit;

	h->form_files_most = FORM_FILES_MAX;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / FORM_PART < FORM_FILES_MAX)
		h->form_files_most = (unsigned)(limit.rlim_cur / FORM_PART);
}

#define KEPT_KIND 1		/* of struct kept: another when a field comes to mean something else */

/* Without a file the numbers are counted in memory. */
static void kept_open(struct httpd *h)
{
	struct err err = ERR_INIT;

	h->kept = tally_open_in(store_run(h->store), "covey-httpd", KEPT_KIND, sizeof *h->kept, &err);
	if (err.kind != ERR_NONE)
		log_err(LOG_LEVEL_WARNING, &err, "start the counters from zero");
	err = (struct err)ERR_INIT;
	h->delta = delta_open(store_run(h->store), &err);
	if (err.kind != ERR_NONE)
		log_err(LOG_LEVEL_WARNING, &err, "count what coding saves from zero");
}

static void role_free(struct service *service)
{
	struct httpd *h = service->data;

	listener_join(h);
	door_join(h);
	pool_free(h->pool);
	batch_free(h->commits);
	listener_free(h);
	https_close(h);
	mime_free(h->mime);
	hosts_free(h->hosts);
	sources_free(h->sources);
	pthread_mutex_destroy(&h->recent.mutex);
	group_free(h->group);
	door_free(h);
	wal_close(h->wal);
	outbox_close(h->outbox);
	tally_close(h->kept, sizeof *h->kept);
	delta_close(h->delta);
	unopened_close(h->unopened);
	free(h->state_directory);
	free(h);
}

/* Who may do what, and certificates: changed files are read again. */
static const char *role_file(const struct conf *conf, size_t i)
{
	const char *const others[] = { conf->access.users, conf->access.tokens, conf->access.deny,
				       conf->tls.client_ca };

	for (size_t k = 0; k < sizeof others / sizeof *others; k++)
		if (others[k] != NULL && i-- == 0)
			return others[k];
	if (i < conf->tls.certificates.count)
		return conf->tls.certificates.texts[i];
	i -= conf->tls.certificates.count;
	return i < conf->tls.keys.count ? conf->tls.keys.texts[i] : NULL;
}

static int role_start(struct service *service, struct err *err)
{
	struct httpd *h = mem_new(1, sizeof *h);
	struct buf directory = BUF_INIT;

	service->data = h;
	h->service = service;
	h->conf = service->conf;
	h->store = service->store;
	h->loop = service->loop;
	h->grouped = service->conf->group.key_file != NULL;
	buf_addf(&directory, "%s/state", service->conf->node.store);
	h->state_directory = buf_take(&directory);
	allow_descriptors(h);
	bound_forms(h);
	budget_init(&h->buffers, h->conf->limits.buffers);
	if (store_lost_records(h->store))
		log_line(LOG_LEVEL_ERROR, "%s: %s", h->conf->node.store, HTTPD_LOST_RECORDS);
	h->pool = pool_new(POOL_THREADS);
	h->commits = batch_new(h->pool, COMMITTERS, STORE_COMMIT_MOST, write_commit_all);
	pthread_mutex_init(&h->recent.mutex, NULL);
	h->mime = mime_new(MIME_FILE);
	h->hosts = hosts_new(h->conf);
	h->sources = sources_new();
	for (size_t i = 0; role_file(h->conf, i) != NULL; i++)
		service_watch_file(service, role_file(h->conf, i));
	service_watch_file(service, service->conf_file);
	kept_open(h);
	h->unopened = unopened_open(store_run(h->store), NULL);
	if (door_new(h, err) == 0 &&
	    (!h->grouped || (group_new(&h->group, h, err) == 0 &&
			     outbox_open(&h->outbox, h->store, err) == 0)) &&
	    (service->inetd || wal_open(&h->wal, h->store, err) == 0) && https_open(h, err) == 0 &&
	    listener_start(h, err) == 0)
		return 0;
	role_free(service);
	return -1;
}

static void role_reload(struct service *service)
{
	struct httpd *h = service->data;

	group_reload(h->group);
	door_reload(h);
	https_reload(h);
}

static bool role_busy(struct service *service)
{
	struct httpd *h = service->data;

	return atomic_load(&h->connections) > 0 || atomic_load(&h->replicating) > 0;
}

int main(int argc, char **argv)
{
	static const struct service_socket sockets[] = {
		{ .name = "http", .kind = SERVICE_TCP },
		{ .name = "https", .kind = SERVICE_TCP, .optional = true },
		{ .name = "http-unix", .kind = SERVICE_UNIX_STREAM },
		{ .name = NULL },
	};
	static const char *const reads[] = { MIME_FILE, "/etc/nsswitch.conf", "/etc/passwd", "/etc/group",
					   "/etc/hosts", "/sys/fs/cgroup", NULL };
	static const struct service_role role = {
		.name = "covey-httpd",
		.summary = "Serve files and their versions by HTTP, to clients and to other nodes.",
		.sockets = sockets,
		.exits_idle = true,
		.reads = reads,
		.file = role_file,
		.inetd = true,
		.check = https_check,
		.start = role_start,
		.alive = listener_alive,
		.busy = role_busy,
		.reload = role_reload,
		.stop = listener_stop,
		.free = role_free,
	};

	return service_main(argc, argv, &role);
}
