/*
 * covey-syncd - the one role that connects to the network
 *
 * For the other roles of its node it pulls and pushes contents, asks other
 * nodes for their indexes and histories, carries packets and resolves names
 * (sync_talk.h).  By itself it sees to it that whatever anybody missed
 * reaches him: outbox, records, contents; and that what was stored stays
 * what it was.
 */
#include "syncd.h"

#include "call.h"
#include "container.h"
#include "identity.h"
#include "mem.h"
#include "path.h"

#define DISK_THREADS 8
#define NAME_THREADS 2
#define ROUNDS 5			/* jobs that go on as long as the process */
#define STALL_FACTOR 3			/* silence in mid-transfer may last so many times timeouts.pull */

void syncd_rest(struct syncd *d)
{
	if (d->stopping && !d->leaving && !pulling_passes(d))
		timer_start(d->loop, &d->leave, 0);
	if (d->leaving && d->pulls == NULL && d->gatherings == NULL && d->carryings == NULL &&
	    d->bulkings == NULL && d->resolving == 0 && d->keeps_asked == 0 &&
	    drain_rests(d->drain) && syncing_rests(d->syncing) && keeping_rests(d->keeping) &&
	    holding_rests(d->holding) &&
	    d->workers == NULL)
		service_finished(d->service);
}

void syncd_returned(struct syncd *d, uint64_t id)
{
	drain_now(d->drain);
	lost_now(d->lost);
	if (d->syncing != NULL) {
		syncing_returned(d->syncing);
		keeping_returned(d->keeping, id);
	}
}

void syncd_lost(struct syncd *d)
{
	if (d->syncing != NULL) {
		syncing_lost(d->syncing);
		keeping_relaid(d->keeping);
	}
}

void syncd_relaid(struct syncd *d)
{
	drain_now(d->drain);
	prune_relaid(d->prune);
	if (d->syncing != NULL) {
		owing_relaid(d->owing);
		syncing_relaid(d->syncing);
		keeping_relaid(d->keeping);
		holding_relaid(d->holding);
		directories_relaid(d->directories);
	}
}

/* A path that is not the root's, whose target would be an index. */
static int check_file(struct str path, struct err *err)
{
	if (path.n == 0)
		return err_set(err, ERR_INVALID, "read request: the root directory is no file");
	return path_check(path, err);
}

static int ask_pull(struct syncd *d, struct serve_request *request, struct frame *frame,
		    struct err *err)
{
	struct sync_pull wanted;

	if (sync_pull_unpack(frame->body, &wanted, err) < 0 || check_file(wanted.path, err) < 0)
		return -1;
	if (!record_is_live(&wanted.record) || (wanted.record.flags & RECORD_DIRECTORY))
		return err_set(err, ERR_INVALID, "pull %.*s: not a file's version",
			       STR_ARG(wanted.path));
	pulling_ask(d, request, &wanted);
	return 0;
}

static int ask_list(struct syncd *d, struct serve_request *request, struct frame *frame,
		    struct err *err)
{
	struct buf target = BUF_INIT;
	struct sync_list wanted;

	if (sync_list_unpack(frame->body, &wanted, err) < 0 || path_check(wanted.path, err) < 0)
		return -1;
	path_to_target(&target, wanted.path, true);
	buf_adds(&target, "?format=text");
	gather_ask(d, request, &wanted, buf_str(&target));
	buf_clear(&target);
	return 0;
}

static int ask_history(struct syncd *d, struct serve_request *request, struct frame *frame,
		       struct err *err)
{
	struct buf target = BUF_INIT;
	struct sync_list wanted;

	if (sync_history_unpack(frame->body, &wanted, err) < 0 || check_file(wanted.path, err) < 0)
		return -1;
	path_to_target(&target, wanted.path, false);
	buf_adds(&target, "?versions&format=text");
	gather_ask(d, request, &wanted, buf_str(&target));
	buf_clear(&target);
	return 0;
}

static int ask_resolve(struct syncd *d, struct serve_request *request, struct frame *frame,
		       struct err *err)
{
	struct str name;

	if (sync_resolve_unpack(frame->body, &name, err) < 0)
		return -1;
	resolve_ask(d, request, name);
	return 0;
}

static int ask_carry(struct syncd *d, struct serve_request *request, struct frame *frame,
		     struct err *err)
{
	struct sync_carry carry;

	if (sync_carry_unpack(frame->body, &carry, err) < 0)
		return -1;
	carry_ask(d, request, &carry);
	return 0;
}

static int ask_bulk(struct syncd *d, struct serve_request *request, struct frame *frame,
		    struct err *err)
{
	return bulk_asked(d, request, frame->body, err);
}

static int ask_drain(struct syncd *d, struct serve_request *request, struct frame *frame,
		     struct err *err)
{
	(void)frame;
	(void)err;
	drain_look(d->drain);
	serve_reply(request, SYNC_DONE, (struct str)STR_INIT, NULL, 0);
	serve_end(request);
	return 0;
}

/* Each takes the request over and returns 0, or -1. */
static const struct kind {
	uint8_t type;
	int (*ask)(struct syncd *, struct serve_request *, struct frame *, struct err *);
} kinds[] = {
	{ SYNC_PULL, ask_pull },
	{ SYNC_LIST, ask_list },
	{ SYNC_HISTORY, ask_history },
	{ SYNC_RESOLVE, ask_resolve },
	{ SYNC_PUSH, push_ask },
	{ SYNC_PUSH_BEGIN, push_begin },
	{ SYNC_PUSH_MORE, push_more },
	{ SYNC_PUSH_NAME, push_name },
	{ SYNC_PUSH_DROP, push_drop },
	{ SYNC_DRAIN, ask_drain },
	{ SYNC_CARRY, ask_carry },
	{ SYNC_BULK, ask_bulk },
	{ SYNC_LOST, lost_ask },
	{ SYNC_COMPARE, compare_ask },
};

static void on_request(struct serve *serve, struct serve_request *request, struct frame *frame)
{
	struct syncd *d = serve_data(serve);
	struct err err;

	service_touch(d->service);
	if (d->leaving) {
		serve_end(request);
		return;
	}
	err_set(&err, ERR_UNSUPPORTED, "ask covey-syncd: unknown request %u", frame->type);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].type == frame->type && kinds[i].ask(d, request, frame, &err) == 0)
			return;
	serve_fail(request, &err);
}

static void on_gone(struct serve *serve, struct serve_request *request)
{
	struct asker *asker = request->data;

	(void)serve;
	asker->gone(asker);
}

static const struct serve_role conversation = { .request = on_request, .gone = on_gone };

static int start(struct service *service, struct err *err)
{
	struct syncd *d = mem_new(1, sizeof *d);
	struct buf path = BUF_INIT;

	if (identity_keys(service->conf, &d->keys, err) < 0) {
		free(d);
		return -1;
	}
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_lock(&d->lock);
	loop_guard(service->loop, &d->lock);
	service->data = d;
	d->service = service;
	d->loop = service->loop;
	d->store = service->store;
	d->check_ms = service->conf->timeouts.check_ms;
	d->first_byte_ms = service->conf->timeouts.pull_ms;
	d->stall_ms = d->first_byte_ms * STALL_FACTOR;
	d->push_ms = service->conf->timeouts.push_ms;
	d->disk = pool_new(DISK_THREADS);
	d->names = pool_new(NAME_THREADS);
	d->rounds = pool_new(ROUNDS);
	if (pool_start(d->rounds, err) < 0)
		return -1;
	d->fetcher = fetcher_new(d->loop, err);
	if (d->fetcher == NULL)
		return -1;
	buf_addf(&path, "%s/version.sock", store_run(d->store));
	d->version = caller_new(d->loop, path.data);
	buf_clear(&path);
	peers_start(d);
	if (d->keys.count > 0) {
		sign_keys_derive(&d->sign, &d->keys);
		fetcher_keys(d->fetcher, &d->sign, store_node(d->store));
	}
	drain_start(d);
	prune_start(d);
	scrub_start(d);
	if (d->keys.count > 0) {
		syncing_start(d);
		keeping_start(d);
		holding_start(d);
		directories_start(d);
		lost_start(d);
		owing_start(d);
	}
	d->serve = serve_new(d->loop, service_fd(service, "sync"), &conversation, d, err);
	return d->serve == NULL ? -1 : 0;
}

static bool busy(struct service *service)
{
	const struct syncd *d = service->data;

	return d->pulls != NULL || d->gatherings != NULL || d->carryings != NULL ||
	       d->bulkings != NULL || d->comparings != NULL ||
	       d->pushes != NULL || d->resolving > 0 ||
	       (d->keys.count > 0 && members_met(peers_view(d->peers))) || drain_busy(d->drain) ||
	       scrub_busy(d->scrub) || prune_busy(d->prune);
}

static void leave(struct syncd *d)
{
	d->leaving = true;
	serve_quiesce(d->serve);
	push_stop(d);
	pulling_stop(d);
	gather_stop(d);
	carry_stop(d);
	bulk_stop(d);
	compare_stop(d);
	syncd_rest(d);
}

static void leave_due(struct timer *timer)
{
	struct syncd *d = CONTAINER_OF(timer, struct syncd, leave);

	if (!pulling_passes(d))
		leave(d);
}

/*
 * What this process does by itself ends at once.  Contents of which somebody
 * has a part already are brought to their end.  Meanwhile no other pull
 * begins, for it would keep this process in turn; what else is asked for is
 * served, for it keeps nobody: what is not done when the last of these
 * contents is there can be asked again of the next process.
 */
static void stop(struct service *service)
{
	struct syncd *d = service->data;

	d->stopping = true;
	d->leave.fire = leave_due;
	pulling_begin_no_more(d);
	drain_stop(d->drain);
	workers_cut(d, true);
	if (d->syncing != NULL) {
		syncing_stop(d->syncing);
		keeping_stop(d->keeping);
		holding_stop(d->holding);
	}
	syncd_rest(d);
}

/* The pools first: their jobs' done() must not meet what is gone. */
static void release(struct service *service)
{
	struct syncd *d = service->data;

	if (d == NULL)
		return;
	if (d->stopping && !d->leaving)
		leave(d);	/* it took too long */
	timer_stop(&d->leave);
	workers_cut(d, true);
	workers_cut(d, false);
	syncd_unlock(d);
	pool_free(d->rounds);
	pool_free(d->disk);
	pool_free(d->names);
	syncd_lock(d);
	serve_free(d->serve);		/* its askers go, and may be the last that syncd_rest() waits for */
	scrub_free(d->scrub);
	drain_free(d->drain);
	syncing_free(d->syncing);
	keeping_free(d->keeping);
	holding_free(d->holding);
	free(d->directories);
	prune_free(d->prune);
	lost_free(d->lost);
	free(d->owing);
	peers_free(d->peers);
	fetcher_free(d->fetcher);
	caller_free(d->version);
	explicit_bzero(&d->keys, sizeof d->keys);
	explicit_bzero(&d->sign, sizeof d->sign);
	syncd_unlock(d);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

int main(int argc, char **argv)
{
	static const struct service_socket sockets[] = {
		{ .name = "sync", .kind = SERVICE_UNIX },
		{ .name = NULL },
	};
	static const struct service_role role = {
		.name = "covey-syncd",
		.summary = "Exchange contents, records and histories with other nodes.",
		.sockets = sockets,
		.exits_idle = true,
		.start = start,
		.busy = busy,
		.stop = stop,
		.free = release,
	};

	return service_main(argc, argv, &role);
}
