/*
 * carry - what covey-syncd does for covey-discoverd: packets by HTTP, DRAIN
 *
 * What is not answered by UDP for SILENT_MS goes by HTTP as well: to the
 * HTTP address of the member whose discovery it is, or to the seed's host
 * at this node's own HTTP port.  One packet at a time goes to one place; what
 * finds none free is lost, as a packet may be.  Where HTTP fails too it is
 * tried ever later.
 */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "mem.h"
#include "sync_talk.h"

#define SILENT_MS 1200
#define CARRY_MS 5000
#define AGAIN_MS 1000			/* after a failure; doubled up to */
#define AGAIN_MAX_MS 120000
#define WAKE_MS 1000			/* after covey-syncd may have ended */
#define PATHS_MAX (2 * MEMBERS_MAX)	/* then the one that was used longest ago goes */

struct path {
	struct discoverd *discoverd;
	struct address to;
	uint64_t asked;			/* ms: since then unanswered by UDP; 0: it is answered */
	uint64_t used;			/* ms */
	uint64_t not_before, again_ms;	/* HTTP fails there */
	struct call call;
	struct path *next;
};

static struct path **find(struct discoverd *d, const struct address *to)
{
	struct path **link = &d->paths;

	while (*link != NULL && !address_eq(&(*link)->to, to))
		link = &(*link)->next;
	return link;
}

static void drop(struct path **link)
{
	struct path *path = *link;

	*link = path->next;
	call_finish(&path->call);
	buf_clear(&path->call.packet);
	free(path);
}

static void make_room(struct discoverd *d)
{
	struct path **oldest = &d->paths;
	size_t count = 0;

	for (struct path **link = &d->paths; *link != NULL; link = &(*link)->next, count++)
		if ((*link)->used < (*oldest)->used)
			oldest = link;
	if (count >= PATHS_MAX)
		drop(oldest);
}

static struct path *path_to(struct discoverd *d, const struct address *to)
{
	struct path **link = find(d, to);

	if (*link == NULL) {
		make_room(d);
		link = find(d, to);
		*link = mem_new(1, sizeof **link);
		(*link)->discoverd = d;
		(*link)->to = *to;
		(*link)->call = (struct call)CALL_INIT;
		(*link)->again_ms = AGAIN_MS;
	}
	(*link)->used = clock_mono_ms();
	return *link;
}

/* by HTTP */

static bool http_of(const struct discoverd *d, const struct address *to, struct address *ret)
{
	bool only;

	for (size_t i = 0; i < d->gossip.view.count; i++) {
		const struct member *m = &d->gossip.view.entries[i].member;

		if (address_eq(&m->discovery, to) && m->http.len != 0) {
			*ret = m->http;
			return true;
		}
	}
	return seeds_http(d, to, ret, &only);
}

bool carry_only(const struct discoverd *d, const struct address *to)
{
	struct address http;
	bool only = false;

	return seeds_http(d, to, &http, &only) && only;
}

static int open_packet(const struct discoverd *d, struct str packet, struct sealed *sealed,
		       struct wire *ret)
{
	if (packet.n > WIRE_BYTES || seal_open(&d->keys, packet, sealed) < 0)
		return -1;
	if (wire_unpack((struct str){ .s = sealed->plain, .n = sealed->n }, sealed->protocol,
			sealed->group, ret) < 0)
		return -1;
	return wire_is_for(ret, d->gossip.view.self.id, WIRE_DISCOVERY) ? 0 : -1;
}

static void carried(struct call *call, struct frame *frame)
{
	struct path *path = CONTAINER_OF(call, struct path, call);
	struct discoverd *d = path->discoverd;
	struct address to = path->to;
	struct sealed sealed;
	struct wire wire;

	if (frame == NULL || frame->type != SYNC_CARRIED) {
		path->not_before = clock_mono_ms() + path->again_ms;
		path->again_ms = path->again_ms < AGAIN_MAX_MS ? 2 * path->again_ms : AGAIN_MAX_MS;
	} else {
		path->again_ms = AGAIN_MS;
	}
	if (frame != NULL)
		call_finish(call);
	if (frame == NULL || frame->type != SYNC_CARRIED || frame->body.n == 0 ||
	    open_packet(d, frame->body, &sealed, &wire) < 0)
		return;
	network_hear(d, &wire, &to);
	settle_step(d);
	discoverd_changed(d);
}

static void carry(struct path *path, const struct address *http, struct str plain)
{
	struct discoverd *d = path->discoverd;
	struct buf packet = BUF_INIT, body = BUF_INIT;
	struct sync_carry ask = { .http = *http, .to = SYNC_TO_DISCOVERY };

	network_seal(d, plain, &packet);
	ask.packet = buf_str(&packet);
	sync_carry_pack(&body, &ask);
	path->call.answer = carried;
	call_start(d->sync, &path->call, SYNC_CARRY, buf_str(&body), CARRY_MS);
	buf_clear(&packet);
	buf_clear(&body);
}

void carry_sent(struct discoverd *d, const struct address *to, struct str plain, bool expects)
{
	struct path *path = path_to(d, to);
	uint64_t now = clock_mono_ms();
	struct address http;
	bool only = carry_only(d, to);

	if (path->asked == 0 && expects)
		path->asked = now;
	if (!only && (path->asked == 0 || now - path->asked < SILENT_MS))
		return;
	if (path->call.caller == NULL && now >= path->not_before && http_of(d, to, &http))
		carry(path, &http, plain);
}

void carry_heard(struct discoverd *d, const struct wire *wire, const struct address *from)
{
	struct path *path;

	/* A question only shows that the other direction works. */
	if ((wire->type == WIRE_GOSSIP && !wire->gossip.answer) || wire->type == WIRE_WANT ||
	    wire->type == WIRE_PREPARE || wire->type == WIRE_ACCEPT || wire->type == WIRE_CHANGE)
		return;
	path = *find(d, from);
	if (path != NULL)
		path->asked = 0;
}

void carry_receive(struct discoverd *d, struct str packet, struct buf *ret)
{
	struct sealed sealed;
	struct wire wire;

	if (d->keys.count == 0 || open_packet(d, packet, &sealed, &wire) < 0)
		return;
	d->carried = ret;
	d->carried_from = wire.sender.discovery;
	network_hear(d, &wire, &wire.sender.discovery);
	d->carried_from.len = 0;
	d->carried = NULL;
	settle_step(d);
	discoverd_changed(d);
}

/* DRAIN */

static void drained(struct call *call, struct frame *frame)
{
	struct discoverd *d = CONTAINER_OF(call, struct discoverd, drain);

	if (frame != NULL)
		call_finish(call);
	if (!d->drain_again)
		return;
	d->drain_again = false;
	carry_poke(d);
}

void carry_poke(struct discoverd *d)
{
	if (d->sync == NULL || d->unicast == NULL)
		return;
	if (d->drain.caller != NULL) {
		d->drain_again = true;
		return;
	}
	d->drain.answer = drained;
	call_start(d->sync, &d->drain, SYNC_DRAIN, STR(""), CARRY_MS);
}

/* All wait for what it has to do here for a joint layout, and nobody else may ask anything of it. */
static void wake(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, wake);
	const struct layout *layout = settle_layout(d);
	const struct member *self = &d->gossip.view.self;

	if (layout_is_joint(layout) && layout_find(layout, self->id) != NULL &&
	    self->synced != layout->epoch && !member_is_gone(self->state))
		carry_poke(d);
}

void carry_unwatched(struct discoverd *d)
{
	timer_start(d->service->loop, &d->wake, WAKE_MS);
}

void carry_start(struct discoverd *d)
{
	d->wake.fire = wake;
	carry_poke(d);
}

void carry_stop(struct discoverd *d)
{
	timer_stop(&d->wake);
	call_finish(&d->drain);
	while (d->paths != NULL)
		drop(&d->paths);
}
