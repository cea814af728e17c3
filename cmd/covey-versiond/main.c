/*
 * covey-versiond - which version is the newest, asked and answered
 *
 * The home of records: answers CHECK and STORE of other nodes, and asks
 * homes for the programs of this node (version.sock).  What it goes by,
 * members and layout, it learns from covey-discoverd, which it watches;
 * while that is away, what it heard last or what is on disk; but it is no
 * home before discoverd has said once that this disk forgot nothing.  What
 * the store cannot tell is not answered.  Nothing it keeps in memory is
 * needed after a restart.
 */
#include "versiond.h"

#include "container.h"
#include "mem.h"

#define POOL_THREADS 16			/* each waits for the disk */
#define RECORD_BATCHES 2			/* batches of records on their way: one waits for the disk, one is made ready */
#define STOP_MS 200			/* for questions; then the next process is asked them again */

void versiond_submit(struct versiond *v, struct pool *pool, struct job *job)
{
	job->home = v->service->loop;
	v->jobs++;
	pool_submit(pool, job);
}

void versiond_returned(struct versiond *v)
{
	v->jobs--;
	local_ended(v);
}

static void versiond_free(struct versiond *v)
{
	timer_stop(&v->leave);
	local_stop(v);			/* first: its requests wait for what follows */
	if (v->pool != NULL)
		pool_free(v->pool);
	if (v->survey_pool != NULL)
		pool_free(v->survey_pool);
	batch_free(v->records);
	surveys_free(v->surveys);
	stats_close(v);
	group_stop(v);
	lookup_free(v->lookups);
	free(v);
}

static int versiond_start(struct service *service, struct err *err)
{
	struct versiond *v = mem_new(1, sizeof *v);

	service->data = v;
	v->service = service;
	stats_open(v);
	v->pool = pool_new(POOL_THREADS);
	v->records = batch_new(v->pool, RECORD_BATCHES, STORE_COMMIT_MOST, answer_keep_records);
	v->survey_pool = pool_new(1);
	v->surveys = surveys_new(service->store);
	v->lookups = lookup_new();
	if (group_start(v, err) < 0 || local_start(v, err) < 0) {
		versiond_free(v);
		return -1;
	}
	return 0;
}

static bool versiond_is_busy(struct service *service)
{
	struct versiond *v = service->data;

	return serve_requests(v->serve) > 0 || v->jobs > 0;
}

static void versiond_rest(struct service *service)
{
	struct versiond *v = service->data;

	lookup_rest(v->lookups);
}

static void stop_late(struct timer *timer)
{
	struct versiond *v = CONTAINER_OF(timer, struct versiond, leave);

	v->late = true;
	answers_cut_walks(v);
	local_ended(v);
}

static void versiond_stop(struct service *service)
{
	struct versiond *v = service->data;

	v->stopping = true;
	serve_quiesce(v->serve);
	v->leave.fire = stop_late;
	timer_start(service->loop, &v->leave, STOP_MS);
	local_ended(v);
}

static void versiond_reload(struct service *service)
{
	struct versiond *v = service->data;

	keyring_reload(&v->keyring);
}

static void versiond_finish(struct service *service)
{
	versiond_free(service->data);
}

int main(int argc, char **argv)
{
	static const struct service_socket sockets[] = {
		{ .name = "versions", .kind = SERVICE_UDP, .optional = true },
		{ .name = "version", .kind = SERVICE_UNIX },
		{ .name = NULL },
	};
	static const struct service_role role = {
		.name = "covey-versiond",
		.summary = "Answer which version of a path is here, and ask other nodes for theirs.",
		.sockets = sockets,
		.exits_idle = true,
		.start = versiond_start,
		.busy = versiond_is_busy,
		.rest = versiond_rest,
		.reload = versiond_reload,
		.stop = versiond_stop,
		.free = versiond_finish,
	};

	return service_main(argc, argv, &role);
}
