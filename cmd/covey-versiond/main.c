/*
 * covey-versiond - which version is the newest, asked and answered
 *
 * Answers the CHECKs of other nodes from the store, and asks them for the
 * programs of this node (version.sock).  Whom to ask it learns from
 * covey-discoverd, which it watches; while that is away it goes by what it
 * heard last, or by members.ini.  What the store cannot tell is not
 * answered.  All it keeps is in memory, and worth nothing after a restart.
 */
#include "versiond.h"

#include "mem.h"

static void release(struct versiond *v)
{
	talk_stop(v);			/* first: its requests wait for checks */
	group_stop(v);
	free(v);
}

static int start(struct service *service, struct err *err)
{
	struct versiond *v = mem_new(1, sizeof *v);

	service->data = v;
	v->service = service;
	if (group_start(v, err) < 0 || talk_start(v, err) < 0) {
		release(v);
		return -1;
	}
	return 0;
}

static bool busy(struct service *service)
{
	struct versiond *v = service->data;

	return serve_requests(v->serve) > 0;
}

static void stop(struct service *service)
{
	struct versiond *v = service->data;

	v->stopping = true;
	serve_quiesce(v->serve);
	if (serve_requests(v->serve) == 0)
		service_finished(service);
}

static void finish(struct service *service)
{
	release(service->data);
}

static const struct service_socket sockets[] = {
	{ "versions", SERVICE_UDP, true },
	{ "version", SERVICE_UNIX, false },
	{ NULL, SERVICE_UDP, false },
};

int main(int argc, char **argv)
{
	static const struct service_role role = {
		.name = "covey-versiond",
		.summary = "Answer which version of a path is here, and ask other nodes for theirs.",
		.sockets = sockets,
		.exits_idle = true,
		.start = start,
		.busy = busy,
		.stop = stop,
		.free = finish,
	};

	return service_main(argc, argv, &role);
}
