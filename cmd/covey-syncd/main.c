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

#include "container.h"
#include "identity.h"
#include "log.h"
#include "mem.h"
#include "path.h"

#define STALL_FACTOR 3			/* silence in mid-transfer may last so many times timeouts.pull */

/* In the order in which they are started. */
static const struct upkeep *const upkeeps[UPKEEPS] = {
	&drain_upkeep, &prune_upkeep, &scrub_upkeep, &keep_upkeep, &directories_upkeep, &sync_upkeep,
	&holding_upkeep, &lost_upkeep, &merge_upkeep,
};

void syncd_rest(struct syncd *d)
{
	if (d->stopping && !d->leaving && !pull_has_waiters(d))
		timer_start(d->loop, &d->leave, 0);
	if (d->leaving && d->workers.count == 0)
		service_finished(d->service);
}

void syncd_returned(struct syncd *d, uint64_t id)
{
	for (size_t i = 0; i < UPKEEPS; i++)
		if (upkeeps[i]->returned != NULL && d->upkeep[i] != NULL)
			upkeeps[i]->returned(d, id);
}

void syncd_lost(struct syncd *d)
{
	for (size_t i = 0; i < UPKEEPS; i++)
		if (upkeeps[i]->lost != NULL && d->upkeep[i] != NULL)
			upkeeps[i]->lost(d);
}

void syncd_relaid(struct syncd *d)
{
	for (size_t i = 0; i < UPKEEPS; i++)
		if (upkeeps[i]->relaid != NULL && d->upkeep[i] != NULL)
			upkeeps[i]->relaid(d);
}

int check_file_path(struct str path, struct err *err)
{
	if (path.n == 0)
		return err_set(err, ERR_INVALID, "read request: the root directory is no file");
	return path_check(path, err);
}

static const struct {
	uint8_t type;
	request_fn *ask;
} kinds[] = {
	{ SYNC_PULL, request_pull },
	{ SYNC_LIST, request_list },
	{ SYNC_HISTORY, request_list },
	{ SYNC_RESOLVE, request_resolve },
	{ SYNC_PUSH, request_push },
	{ SYNC_PUSH_BEGIN, request_push_begin },
	{ SYNC_PUSH_MORE, request_push_more },
	{ SYNC_PUSH_NAME, request_push_name },
	{ SYNC_PUSH_DROP, request_push_drop },
	{ SYNC_DRAIN, request_drain },
	{ SYNC_CARRY, request_carry },
	{ SYNC_BULK, request_bulk },
	{ SYNC_LOST, request_lost },
	{ SYNC_COMPARE, request_compare },
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

static const struct serve_role conversation = { .request = on_request };

/* Each with a thread at least, so that no job ever runs where it is started, on the loop. */
static int start_pools(struct syncd *d, struct err *err)
{
	const struct {
		struct pool **pool;
		unsigned threads;
	} pools[] = {
		{ &d->rounds, UPKEEPS },	  { &d->pull_threads, PULL_THREADS },
		{ &d->push_threads, PUSH_THREADS }, { &d->entries, ENTRY_THREADS },
		{ &d->exchanges, LAYOUT_MEMBERS_MAX }, { &d->asks, ASK_THREADS },
		{ &d->names, NAME_THREADS },	  { &d->hashers, HASH_THREADS },
		{ &d->coders, CODE_THREADS },
	};

	for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
		*pools[i].pool = pool_new(pools[i].threads);
		if (pool_start(*pools[i].pool, err) < 0)
			return -1;
	}
	return 0;
}

static void upkeep_start(struct syncd *d, size_t i)
{
	d->upkeep[i] = upkeeps[i]->make(d);
	d->upkeep[i]->run = upkeeps[i]->run;
	d->upkeep[i]->own = true;
	worker_start(d, d->upkeep[i], d->rounds);
}

static void counts_open(struct syncd *d)
{
	struct err err = ERR_INIT;

	d->counts = delta_open(store_run(d->store), &err);
	if (err.kind != ERR_NONE)
		log_err(LOG_LEVEL_WARNING, &err, "count what coding saves from zero");
}

static void rekey(struct service *service)
{
	struct syncd *d = service->data;
	struct sign_keys sign;

	sign_keys_derive(&sign, &d->keys);
	fetcher_keys(d->fetcher, &sign, store_node(d->store));
	explicit_bzero(&sign, sizeof sign);
}

static void reload(struct service *service)
{
	struct syncd *d = service->data;

	keyring_reload(&d->keyring);
}

static int start(struct service *service, struct err *err)
{
	struct syncd *d = mem_new(1, sizeof *d);
	struct buf path = BUF_INIT;

	if (keyring_start(&d->keyring, service, &d->keys, rekey, err) < 0) {
		free(d);
		return -1;
	}
	pthread_mutex_init(&d->lock, NULL);
	syncd_lock(d);
	loop_guard(service->loop, &d->lock);
	service->data = d;
	d->service = service;
	d->loop = service->loop;
	d->store = service->store;
	d->check_ms = service->conf->timeouts.check_ms;
	d->first_byte_ms = service->conf->timeouts.pull_ms;
	d->stall_ms = d->first_byte_ms * STALL_FACTOR;
	d->push_ms = service->conf->timeouts.push_ms;
	d->delta = service->conf->group.delta;
	counts_open(d);
	d->unopened = unopened_open(store_run(d->store), NULL);
	d->fetcher = fetcher_new(err);
	if (d->fetcher == NULL || start_pools(d, err) < 0)
		return -1;
	buf_addf(&path, "%s/version.sock", store_run(d->store));
	d->version = caller_new(d->loop, path.data);
	buf_clear(&path);
	peers_start(d);
	if (d->keys.count > 0)
		rekey(service);
	for (size_t i = 0; i < UPKEEPS; i++)
		if (!upkeeps[i]->in_group || d->keys.count > 0)
			upkeep_start(d, i);
	d->serve = serve_new(d->loop, service_fd(service, "sync"), &conversation, d, err);
	return d->serve == NULL ? -1 : 0;
}

static bool busy(struct service *service)
{
	const struct syncd *d = service->data;

	for (size_t i = 0; i < UPKEEPS; i++)
		if (upkeeps[i]->busy != NULL && d->upkeep[i] != NULL && upkeeps[i]->busy(d))
			return true;
	return d->asked > 0 || (d->keys.count > 0 && members_met(peers_view(d->peers)));
}

static void leave(struct syncd *d)
{
	d->leaving = true;
	serve_quiesce(d->serve);
	pull_stop(d);
	workers_cut(d, false);
	syncd_rest(d);
}

static void leave_due(struct timer *timer)
{
	struct syncd *d = CONTAINER_OF(timer, struct syncd, leave);

	if (!d->leaving && !pull_has_waiters(d))
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
	pull_begin_no_more(d);
	workers_cut(d, true);
	syncd_rest(d);
}

/* The threads first, which may be about to answer somebody. */
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
	pool_free(d->pull_threads);
	pool_free(d->push_threads);
	pool_free(d->entries);
	pool_free(d->exchanges);
	pool_free(d->asks);
	pool_free(d->names);
	pool_free(d->hashers);
	pool_free(d->coders);
	syncd_lock(d);
	timer_stop(&d->leave);
	serve_free(d->serve);
	for (size_t i = 0; i < UPKEEPS; i++) {
		if (upkeeps[i]->clear != NULL && d->upkeep[i] != NULL)
			upkeeps[i]->clear(d);
		free(d->upkeep[i]);
	}
	free(d->push_peers);
	delta_close(d->counts);
	givers_free(d);
	peers_free(d->peers);
	fetcher_free(d->fetcher);
	caller_free(d->version);
	keyring_clear(&d->keyring);
	unopened_close(d->unopened);
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
	/* What names are resolved by; files and links there come and go. */
	static const char *const reads[] = { "/etc", "/run/systemd/resolve", "/run/resolvconf",
					     "/run/NetworkManager", NULL };
	static const struct service_role role = {
		.name = "covey-syncd",
		.summary = "Exchange contents, records and histories with other nodes.",
		.sockets = sockets,
		.exits_idle = true,
		.reads = reads,
		.start = start,
		.busy = busy,
		.reload = reload,
		.stop = stop,
		.free = release,
	};

	return service_main(argc, argv, &role);
}
