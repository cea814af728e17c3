/* covey-httpd - HTTP/1.1 for clients, and for content between nodes */
#include "group.h"
#include "httpd.h"
#include "log.h"
#include "mem.h"
#include "tally.h"

#include <sys/resource.h>

#define POOL_THREADS 64		/* commits wait for the disk, which does many at once */

/* A connection, the file it sends and a body on its way may be open at once. */
static void allow_descriptors(const struct httpd *h)
{
	struct rlimit limit;
	rlim_t wanted = 3 * (rlim_t)h->conf->limits.connections + 256;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &limit);	/* with fewer, accepting pauses earlier */
}

#define KEPT_KIND 1		/* of struct kept: another when a field comes to mean something else */

/* Without a file the numbers are counted in memory. */
static void kept_open(struct httpd *h)
{
	struct buf path = BUF_INIT;
	struct err err = ERR_INIT;

	buf_addf(&path, "%s/covey-httpd.tally", store_run(h->store));
	h->kept = tally_open(path.data, KEPT_KIND, sizeof *h->kept, &err);
	if (err.kind != ERR_NONE)
		log_err(LOG_LEVEL_WARNING, &err, "start the counters from zero");
	buf_clear(&path);
}

static void role_free(struct service *service)
{
	struct httpd *h = service->data;

	listener_join(h);
	pool_free(h->pool);
	listener_free(h);
	mime_free(h->mime);
	pthread_mutex_destroy(&h->recent.mutex);
	group_free(h->group);
	outbox_close(h->outbox);
	tally_close(h->kept, sizeof *h->kept);
	free(h->state_directory);
	free(h);
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
	if (store_lost_records(h->store))
		log_line(LOG_LEVEL_ERROR, "%s: %s", h->conf->node.store, HTTPD_LOST_RECORDS);
	h->pool = pool_new(POOL_THREADS);
	pthread_mutex_init(&h->recent.mutex, NULL);
	h->mime = mime_new(MIME_FILE);
	kept_open(h);
	if ((!h->grouped || (group_new(&h->group, h, err) == 0 &&
			     outbox_open(&h->outbox, h->store, err) == 0)) &&
	    listener_start(h, err) == 0)
		return 0;
	role_free(service);
	return -1;
}

static bool role_busy(struct service *service)
{
	struct httpd *h = service->data;

	return atomic_load(&h->connections) > 0 || atomic_load(&h->replicating) > 0;
}

static bool role_alive(struct service *service)
{
	return listener_alive(service->data);
}

static void role_stop(struct service *service)
{
	listener_stop(service->data);
}

int main(int argc, char **argv)
{
	static const struct service_socket sockets[] = {
		{ .name = "http", .kind = SERVICE_TCP },
		{ .name = NULL },
	};
	static const struct service_role role = {
		.name = "covey-httpd",
		.summary = "Serve files and their versions by HTTP, to clients and to other nodes.",
		.sockets = sockets,
		.exits_idle = true,
		.inetd = true,
		.start = role_start,
		.alive = role_alive,
		.busy = role_busy,
		.stop = role_stop,
		.free = role_free,
	};

	return service_main(argc, argv, &role);
}
