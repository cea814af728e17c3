/*
 * group - the network, the asker's timer, and the view of the group
 *
 * A packet goes to a peer by UDP.  It goes by HTTP too (courier.h) if the
 * peer left an earlier attempt unanswered, or answered lately by HTTP and not
 * by UDP, and by HTTP alone if it is too long for UDP.
 */
#include "versiond.h"

#include "clock.h"
#include "container.h"
#include "identity.h"
#include "log.h"
#include "mem.h"

#include <inttypes.h>
#include <sodium.h>

#define FIRST_VIEW_MS 1000		/* at the start, for discoverd to answer */

#define UDP_HEARD_MS 2000		/* after an answer by UDP, HTTP waits for one attempt more */
#define UDP_DEAF_MS 10000		/* how long a peer is asked both ways */
#define COURIER_REST_MS 1000		/* after a failure of HTTP */
#define COURIER_AT_ONCE 16		/* packets to one peer */

/* How a peer is reached. */
struct way {
	struct link link;		/* of versiond.ways */
	uint64_t id;
	uint64_t heard_udp;		/* ms: its last answer that came by UDP */
	uint64_t http_until;		/* ms: until then it is asked both ways */
	struct courier_peer courier;
};

/* time */

static void asker_set_timer(struct versiond *v)
{
	uint64_t now;

	if (v->asker.due == 0) {
		timer_stop(&v->tick);
		return;
	}
	now = clock_mono_ms();
	timer_start(v->service->loop, &v->tick, v->asker.due > now ? v->asker.due - now : 0);
}

static void asker_due(struct timer *timer)
{
	struct versiond *v = CONTAINER_OF(timer, struct versiond, tick);

	asker_tick(&v->asker, clock_mono_ms());
	asker_set_timer(v);
}

void group_schedule(struct versiond *v)
{
	if (v->socket != NULL)
		asker_set_timer(v);
}

uint64_t group_clock(const struct versiond *v)
{
	int64_t offset = v->view != NULL ? view_client_view(v->view)->clock_offset : 0;

	return clock_wall_ns() + (uint64_t)offset;
}

static uint64_t asker_wall(void *data)
{
	return group_clock(data);
}

static uint64_t asker_random(void *data)
{
	struct versiond *v = data;

	return layout_mix(v->random++);
}

/* packets */

static struct way *way_to_peer(struct versiond *v, uint64_t id)
{
	struct way *way;

	LIST_EACH(struct way, old, &v->ways, link)
		if (old->id == id)
			return old;
	way = mem_new(1, sizeof *way);
	way->id = id;
	list_append(&v->ways, &way->link);
	return way;
}

void group_send(struct versiond *v, const struct address *to, struct str plain)
{
	sealed_send(v->socket, to, plain);
	stats_count_sent(v, false, plain);
}

static bool is_time_for_http(const struct way *way, unsigned attempt)
{
	uint64_t now = clock_mono_ms();
	bool works = way->heard_udp > 0 && now - way->heard_udp < UDP_HEARD_MS;

	return now < way->http_until || attempt >= (works ? 2 : 1);
}

/* As asker.send. */
static void send_to_peer(void *data, const struct peer_target *to, struct str plain,
			 unsigned attempt)
{
	struct versiond *v = data;
	bool fits = plain.n <= WIRE_PLAIN_BYTES && to->versions.len > 0;
	struct way *way = way_to_peer(v, to->id);

	if (fits)
		group_send(v, &to->versions, plain);
	if (to->http.len == 0 ||
	    (fits && !(is_time_for_http(way, attempt) && courier_has_room(v->courier, &way->courier))))
		return;
	courier_send(v->courier, &way->courier, &to->http, plain);
	stats_count_sent(v, true, plain);
}

/* UDP has failed unless the peer answered by it since the question. */
static void group_received_by_http(void *data, const struct courier_answer *answer)
{
	struct way *way = CONTAINER_OF(answer->peer, struct way, courier);
	struct versiond *v = data;

	if (way->heard_udp < answer->sent)
		way->http_until = clock_mono_ms() + UDP_DEAF_MS;
	if (answer->wire == NULL)
		return;
	stats_count(v, true, STATS_RECEIVED, answer->wire->type, answer->bytes);
	if (answer->wire->sender.id == way->id)
		asker_receive(&v->asker, answer->wire, clock_mono_ms());
	asker_set_timer(v);
}

int group_carried(struct versiond *v, struct serve_request *request, struct str packet,
		  struct err *err)
{
	struct buf plain = BUF_INIT;
	struct wire wire;
	int rc = -1;

	if (v->socket != NULL && courier_open(v->courier, packet, &plain, &wire) == 0) {
		stats_count(v, true, STATS_RECEIVED, wire.type, plain.len);
		answer_message(v, &wire, NULL, request);
		asker_set_timer(v);
		rc = 0;
	} else {
		unopened_count(v->unopened, UNOPENED_HTTP);
		err_set(err, ERR_DENIED, "open a message: it is not of this group");
	}
	buf_clear(&plain);
	return rc;
}

static void group_received(void *data, const struct wire *wire, const struct address *from)
{
	struct versiond *v = data;
	struct way *way;

	if (v->stopped)
		return;
	stats_count(v, false, STATS_RECEIVED, wire->type, sealed_received(v->socket));
	if (wire->type == WIRE_RECORD || wire->type == WIRE_STORED || wire->type == WIRE_STALE) {
		way = way_to_peer(v, wire->sender.id);
		way->heard_udp = clock_mono_ms();
		way->http_until = 0;
	}
	answer_message(v, wire, from, NULL);
}

static void group_batch_done(void *data)
{
	struct versiond *v = data;

	service_touch(v->service);
	asker_set_timer(v);
}

/* a newer layout exists */

void group_behind(struct versiond *v, uint64_t epoch, uint64_t node,
		  const struct address *discovery)
{
	v->stats->behind += view_client_behind(v->view, epoch, node, discovery);
}

static void asker_behind(void *data, uint64_t epoch, uint64_t node,
			 const struct address *discovery)
{
	group_behind(data, epoch, node, discovery);
}

/* the view and the layout */

/*
 * What is on disk is good until discoverd tells more, but for one thing: a
 * disk does not know what it has forgotten.  Until discoverd has said that
 * it forgot nothing this node answers as no home.
 */
static void asker_use_view(struct versiond *v, const struct group_view *view)
{
	const struct member *self = members_find(&view->members, v->self.id);

	asker_members(&v->asker, &view->members);
	if (view->layout.epoch != 0)
		asker_layout(&v->asker, &view->layout, clock_mono_ms());
	v->home.silent = view->state == VIEW_REMEMBERED || self == NULL ||
			 self->flags & MEMBER_SILENT;
	if (!v->stopping)
		service_status(v->service, "epoch %" PRIu64 ", %zu other nodes%s",
			       v->home.layout.epoch, asker_peers(&v->asker),
			       v->home.silent ? ", answers as no home" : "");
}

static void view_changed(void *data, const struct group_view *now, const struct group_view *before)
{
	struct versiond *v = data;

	(void)before;
	asker_use_view(v, now);
	asker_set_timer(v);
}

static void view_failed(void *data, const struct err *err)
{
	(void)data;
	log_err(LOG_LEVEL_WARNING, err, "watch the group");
}

/* The first question already finds a home that speaks: that is worth a wait. */
static void start_watching(struct versiond *v)
{
	static const struct view_events events = { .changed = view_changed, .failed = view_failed };

	v->view = view_client_new(store_run(v->service->store), v->service->state, &events, v);
	asker_use_view(v, view_client_view(v->view));
	view_client_ask(v->view, FIRST_VIEW_MS, NULL);
	view_client_start(v->view, v->service->loop);
}

static void start_asking(struct versiond *v)
{
	const struct conf *conf = v->service->conf;

	asker_init(&v->asker, &v->home, conf->timeouts.check_ms, conf->timeouts.store_ms);
	v->asker.send = send_to_peer;
	v->asker.behind = asker_behind;
	v->asker.random = asker_random;
	v->asker.wall = asker_wall;
	v->asker.data = v;
	answers_start(v);
	v->tick.fire = asker_due;
}

static void group_start_courier(struct versiond *v)
{
	struct courier_role role = { .to = WIRE_VERSIONS, .at_once = COURIER_AT_ONCE,
				     .timeout_ms = v->service->conf->timeouts.store_ms,
				     .rest_ms = COURIER_REST_MS, .rest_max_ms = COURIER_REST_MS,
				     .answered = group_received_by_http };
	struct buf path = BUF_INIT;

	buf_addf(&path, "%s/sync.sock", store_run(v->service->store));
	v->sync = caller_new(v->service->loop, path.data);
	v->courier = courier_new(v->sync, &v->keys, v->self.id, &role, v);
	buf_clear(&path);
}

static void group_rekey(struct service *service)
{
	struct versiond *v = service->data;

	home_group(&v->home, v->keys.list[0].group);
}

static void group_refused(void *data, const struct address *from, bool sealed)
{
	struct versiond *v = data;

	(void)from;
	(void)sealed;
	unopened_count(v->unopened, UNOPENED_VERSIONS);
}

int group_start(struct versiond *v, struct err *err)
{
	static const struct sealed_role role = { .role = WIRE_VERSIONS, .received = group_received,
						 .batch_done = group_batch_done, .refused = group_refused };
	int fd = service_fd(v->service, "versions");

	v->unopened = unopened_open(store_run(v->service->store), NULL);
	if (keyring_start(&v->keyring, v->service, &v->keys, group_rekey, err) < 0 ||
	    identity_member(v->service->conf, store_node(v->service->store), &v->self, err) < 0)
		return -1;
	home_init(&v->home, v->keys.count > 0 ? v->keys.list[0].group : 0, &v->self);
	v->home.lookup = lookup_find;
	v->home.data = v;
	if (v->keys.count == 0 || fd < 0)
		return 0;
	v->socket = sealed_new(v->service->loop, fd, &v->keys, v->self.id, &role, v, err);
	if (v->socket == NULL || outbox_open(&v->outbox, v->service->store, err) < 0 ||
	    wal_open(&v->wal, v->service->store, err) < 0)
		return -1;
	group_start_courier(v);
	randombytes_buf(&v->random, sizeof v->random);
	start_asking(v);
	start_watching(v);
	return 0;
}

void group_stop(struct versiond *v)
{
	timer_stop(&v->tick);
	view_client_free(v->view);
	LIST_EACH(struct way, way, &v->ways, link) {
		courier_forget(&way->courier);
		free(way);
	}
	courier_free(v->courier);
	caller_free(v->sync);
	sealed_free(v->socket);
	asker_clear(&v->asker);
	answers_stop(v);
	wal_close(v->wal);
	outbox_close(v->outbox);
	home_clear(&v->home);
	buf_clear(&v->answer);
	keyring_clear(&v->keyring);
	unopened_close(v->unopened);
}
