/*
 * network - the ways to other nodes: UDP, HTTP where that is deaf, multicast, seeds
 *
 * What is not answered by UDP for SILENT_MS goes by HTTP as well (courier.h):
 * to the HTTP address of the member whose discovery it is, or to the seed's
 * host at this node's own HTTP port.  One packet at a time goes to one place.
 *
 * Seeds are where to look for others first.  A numeric seed is used as it is.
 * A name is covey-syncd's business: it is asked every few seconds until it
 * knows, and every minute from then on, because names move.  What was found
 * stays when it fails later.
 */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "mem.h"
#include "sync_talk.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sodium.h>
#include <unistd.h>

#define SEED_ADDRESSES 8
#define ANNOUNCE_MS 5000		/* between announcements by multicast */
#define SILENT_MS 1200			/* without an answer by UDP, then HTTP is used too */
#define BATCHES_MAX 16			/* read in a round, at rest */
#define COURIER_MS 5000			/* for an answer by HTTP */
#define COURIER_REST_MS 1000		/* after a failure of HTTP; doubled up to */
#define COURIER_REST_MAX_MS 120000
#define WAYS_MAX (2 * MEMBERS_MAX)	/* then the least recently used one goes */
#define SEED_UNKNOWN_MS 3000	/* between questions for a name that nobody knows yet */
#define SEED_KNOWN_MS 60000
#define RESOLVE_MS 5000

struct seed {
	char *text;			/* "host:port", as configured, without http://; owned */
	struct address addresses[SEED_ADDRESSES];	/* found so far */
	bool answered[SEED_ADDRESSES];	/* since the start */
	size_t count;
	bool numeric;			/* needs no resolving */
	bool http;			/* the addresses are of its HTTP */
	struct call call;		/* RESOLVE, while one is under way */
	struct timer again;
	struct discoverd *discoverd;
};

/* To one discovery address. */
struct way {
	struct link link;		/* of discoverd.ways */
	struct address to;
	uint64_t asked;			/* ms: since then unanswered by UDP; 0: it is answered */
	uint64_t used;			/* ms */
	struct courier_peer courier;
};

/* seeds */

static void seeds_publish(struct discoverd *d)
{
	struct address all[GOSSIP_SEEDS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < d->seed_count; i++)
		for (size_t k = 0; k < d->seeds[i].count && count < GOSSIP_SEEDS_MAX; k++)
			all[count++] = d->seeds[i].addresses[k];
	gossip_seeds(&d->gossip, all, count);
}

/* If from is a seed's address it has answered. */
static void seeds_heard(struct discoverd *d, const struct address *from)
{
	for (size_t i = 0; i < d->seed_count; i++)
		for (size_t k = 0; k < d->seeds[i].count; k++)
			if (address_eq(&d->seeds[i].addresses[k], from))
				d->seeds[i].answered[k] = true;
}

/* How a seed is reached by HTTP; false: no seed is there, or it is not known.  *ret_only: nor by UDP. */
static bool seeds_http(const struct discoverd *d, const struct address *address, struct address *ret,
		       bool *ret_only)
{
	const struct address *own = &d->gossip.view.self.http;

	for (size_t i = 0; i < d->seed_count; i++) {
		const struct seed *seed = &d->seeds[i];

		for (size_t k = 0; k < seed->count; k++) {
			if (!address_eq(&seed->addresses[k], address))
				continue;
			*ret = *address;
			*ret_only = seed->http;
			if (!seed->http && own->len != 0)
				address_set_port(ret, address_port(own));
			return seed->http || own->len != 0;
		}
	}
	return false;
}

void network_count_seeds(const struct discoverd *d, struct council_seeds *ret)
{
	struct council_seeds seeds = { .count = 0 };

	for (size_t i = 0; i < d->seed_count; i++) {
		const struct seed *seed = &d->seeds[i];

		seeds.count += seed->count == 0;	/* a name that nobody knows yet */
		for (size_t k = 0; k < seed->count; k++) {
			if (address_eq(&seed->addresses[k], seed->http ? &d->gossip.view.self.http
									: &d->gossip.view.self.discovery))
				continue;
			seeds.count++;
			seeds.answered += seed->answered[k];
		}
	}
	*ret = seeds;
}

static void seed_rest(struct seed *seed)
{
	timer_start(seed->discoverd->service->loop, &seed->again,
		    seed->count > 0 ? SEED_KNOWN_MS : SEED_UNKNOWN_MS);
}

/* An address that was there before keeps whether it has answered. */
static void seed_addresses(struct seed *seed, const struct sync_addresses *found)
{
	struct seed was = *seed;

	seed->count = found->count < SEED_ADDRESSES ? found->count : SEED_ADDRESSES;
	for (size_t i = 0; i < seed->count; i++) {
		seed->addresses[i] = found->list[i];
		seed->answered[i] = false;
		for (size_t k = 0; k < was.count; k++)
			if (was.answered[k] && address_eq(&was.addresses[k], &found->list[i]))
				seed->answered[i] = true;
	}
}

static void seed_resolved(struct call *call, struct frame *frame)
{
	struct seed *seed = CONTAINER_OF(call, struct seed, call);
	struct sync_addresses found;

	if (frame != NULL)
		call_finish(call);
	if (frame != NULL && frame->type == SYNC_ADDRESSES &&
	    sync_addresses_unpack(frame->body, &found, NULL) == 0 && found.count > 0) {
		seed_addresses(seed, &found);
		seeds_publish(seed->discoverd);
	}
	seed_rest(seed);
}

static void seed_resolve(struct timer *timer)
{
	struct seed *seed = CONTAINER_OF(timer, struct seed, again);
	struct buf body = BUF_INIT;

	sync_resolve_pack(&body, str_of(seed->text));
	seed->call.answer = seed_resolved;
	call_start(seed->discoverd->sync, &seed->call, SYNC_RESOLVE, buf_str(&body), RESOLVE_MS);
	buf_clear(&body);
}

static int seeds_start(struct discoverd *d, struct err *err)
{
	const struct conf *conf = d->service->conf;

	d->seeds = mem_new(conf->group.seed_count, sizeof *d->seeds);
	for (size_t i = 0; i < conf->group.seed_count; i++) {
		struct seed *seed = &d->seeds[d->seed_count++];
		struct str text = str_of(conf->group.seeds[i]);

		seed->http = str_starts(text, STR(CONF_SEED_HTTP));
		if (seed->http)
			text = (struct str){ text.s + strlen(CONF_SEED_HTTP),
					     text.n - strlen(CONF_SEED_HTTP) };
		seed->text = mem_copy(text.s, text.n);
		seed->discoverd = d;
		seed->call = (struct call)CALL_INIT;
		seed->again.fire = seed_resolve;
		if (text.n > RESOLVE_NAME_MAX)
			return err_set(err, ERR_INVALID, "read group.seeds: %s is too long", seed->text);
		seed->numeric = address_parse(text, &seed->addresses[0], NULL) == 0;
		seed->count = seed->numeric;
		if (!seed->numeric)
			timer_start(d->service->loop, &seed->again, 0);
	}
	seeds_publish(d);
	return 0;
}

static void seeds_stop(struct discoverd *d)
{
	for (size_t i = 0; i < d->seed_count; i++) {
		timer_stop(&d->seeds[i].again);
		call_finish(&d->seeds[i].call);
		free(d->seeds[i].text);
	}
	free(d->seeds);
	d->seeds = NULL;
	d->seed_count = 0;
}

/* ways */

static struct way *way_find(struct discoverd *d, const struct address *to)
{
	LIST_EACH(struct way, way, &d->ways, link)
		if (address_eq(&way->to, to))
			return way;
	return NULL;
}

static void way_free(struct way *way)
{
	courier_forget(&way->courier);
	list_remove(&way->link);
	free(way);
}

static void way_make_room(struct discoverd *d)
{
	struct way *oldest = LIST_FIRST(struct way, &d->ways, link);

	if (d->ways.count < WAYS_MAX)
		return;
	LIST_EACH(struct way, way, &d->ways, link)
		if (way->used < oldest->used)
			oldest = way;
	way_free(oldest);
}

static struct way *way_to_address(struct discoverd *d, const struct address *to)
{
	struct way *way = way_find(d, to);

	if (way == NULL) {
		way_make_room(d);
		way = mem_new(1, sizeof *way);
		way->to = *to;
		list_append(&d->ways, &way->link);
	}
	way->used = clock_mono_ms();
	return way;
}

/* The HTTP address of who is at this discovery address.  *ret_only: UDP is not spoken there. */
static bool way_http(const struct discoverd *d, const struct address *to, struct address *ret,
		     bool *ret_only)
{
	bool is_seed = seeds_http(d, to, ret, ret_only);

	*ret_only = is_seed && *ret_only;
	for (size_t i = 0; i < d->gossip.view.count; i++) {
		const struct member *m = &d->gossip.view.entries[i].member;

		if (address_eq(&m->discovery, to) && m->http.len != 0) {
			*ret = m->http;
			return true;
		}
	}
	return is_seed;
}

/* sending */

static void network_send_plain(void *data, const struct address *to, struct str plain)
{
	struct discoverd *d = data;
	struct address http;
	bool only = false, by_http;
	struct way *way;

	if (d->unicast == NULL)
		return;
	if (d->carried_from.len != 0 && address_eq(to, &d->carried_from)) {
		seal_message(&d->keys, plain, d->carried);
		d->carried_from.len = 0;	/* one question, one answer */
		return;
	}
	by_http = way_http(d, to, &http, &only);
	if (!only)
		sealed_send(d->unicast, to, plain);
	way = way_to_address(d, to);
	if (way->asked == 0 && d->expects)
		way->asked = clock_mono_ms();
	/* Two that rest read a question and its answer within three rounds. */
	if (by_http && (only || (way->asked != 0 && clock_mono_ms() - way->asked >=
				 (d->rests ? 3 * GOSSIP_REST_MS : SILENT_MS))) &&
	    courier_has_room(d->courier, &way->courier))
		courier_send(d->courier, &way->courier, &http, plain);
}

static uint64_t network_random(void *data)
{
	uint64_t n;

	(void)data;
	randombytes_buf(&n, sizeof n);
	return n;
}

static uint64_t gossip_wall(void *data)
{
	(void)data;
	return clock_wall_ns();
}

static bool is_of_the_layout(void *data, uint64_t id)
{
	const struct discoverd *d = data;

	return layout_find(agent_layout(&d->agent), id) != NULL;
}

static void network_note_key(struct discoverd *d, struct view_entry *entry, bool other_key)
{
	uint64_t now = clock_mono_ms();

	if (entry == NULL)
		return;
	/* Anybody may send from its address: one that is heard is not shut out. */
	if (other_key && entry->opened != 0 && now - entry->opened < VIEW_DOWN_MS)
		return;
	if (!other_key)
		entry->opened = now;
	d->gossip.view.changes += entry->other_key != other_key;
	entry->other_key = other_key;
}

static void network_refused(void *data, const struct address *from, bool sealed)
{
	struct discoverd *d = data;

	unopened_count(d->unopened, UNOPENED_DISCOVERY);
	for (size_t i = 0; sealed && i < d->gossip.view.count; i++)
		if (address_eq(&d->gossip.view.entries[i].member.discovery, from))
			network_note_key(d, &d->gossip.view.entries[i], true);
}

/* A message from there, however it came. */
static void network_hear(struct discoverd *d, const struct wire *wire, const struct address *from)
{
	if (member_is_gone(d->gossip.view.self.state))
		return;
	/* A node of another release says all the time that it is there. */
	if (wire->type != WIRE_GOSSIP && wire->type != WIRE_OTHER)
		discoverd_stir(d);
	if (gossip_is_answer(&d->gossip, wire))
		seeds_heard(d, from);
	network_note_key(d, view_entry(&d->gossip.view, wire->sender.id), false);
	gossip_receive(&d->gossip, wire, from, clock_mono_ms());
	memory_heard(d, wire);
	agent_hear(&d->agent, wire, from, clock_mono_ms());
}

/* A question of a peer shows that UDP from it works, an answer that UDP to it works too. */
static bool is_question(const struct wire *wire)
{
	return (wire->type == WIRE_GOSSIP && !wire->gossip.answer) || wire->type == WIRE_WANT ||
	       wire->type == WIRE_PREPARE || wire->type == WIRE_ACCEPT || wire->type == WIRE_CHANGE;
}

static void network_received(void *data, const struct wire *wire, const struct address *from)
{
	struct discoverd *d = data;
	struct way *way = is_question(wire) ? NULL : way_find(d, from);

	if (way != NULL)
		way->asked = 0;
	network_hear(d, wire, from);
	if (d->rests)		/* or who stopped and started since the last round only seems to be up */
		discoverd_changed(d);
}

static void network_batch_done(void *data)
{
	layouts_step(data);
	discoverd_changed(data);
}

void network_rest(struct discoverd *d, bool rest)
{
	sealed_rest(d->unicast, rest);
	if (d->multicast != NULL)
		sealed_rest(d->multicast, rest);
}

void network_read(struct discoverd *d)
{
	size_t batches = 1;

	d->gossip.late = true;
	while (sealed_read(d->unicast) && batches < BATCHES_MAX)
		batches++;
	if (d->multicast != NULL)
		sealed_read(d->multicast);
	d->gossip.late = false;
	if (batches > 1)	/* so much comes from no quiet group, and the kernel may have no room for it */
		discoverd_stir(d);
}

static void network_received_by_http(void *data, const struct courier_answer *answer)
{
	struct address to = CONTAINER_OF(answer->peer, struct way, courier)->to;

	if (answer->wire == NULL)
		return;
	network_hear(data, answer->wire, &to);
	network_batch_done(data);
}

void network_carried(struct discoverd *d, struct str packet, struct buf *ret)
{
	struct buf plain = BUF_INIT;
	struct wire wire;

	if (d->courier != NULL && courier_open(d->courier, packet, &plain, &wire) == 0) {
		d->carried = ret;
		d->carried_from = wire.sender.discovery;
		network_hear(d, &wire, &wire.sender.discovery);
		d->carried_from.len = 0;
		d->carried = NULL;
		network_batch_done(d);
	} else if (d->courier != NULL) {
		unopened_count(d->unopened, UNOPENED_HTTP);
	}
	buf_clear(&plain);
}

/* As agent.message: what is packed behind it goes out by network_send(). */
static struct buf *network_message(void *data, uint64_t receiver)
{
	struct discoverd *d = data;

	buf_reset(&d->packet);
	wire_pack_sender(&d->packet, d->gossip.group, &d->gossip.view.self);
	wire_pack_to(&d->packet, receiver, WIRE_DISCOVERY);
	return &d->packet;
}

/* As agent.send.  expects: an answer should come soon; it goes by HTTP too when none does. */
static void network_send(void *data, const struct address *to, bool expects)
{
	struct discoverd *d = data;

	d->expects = expects;
	if (expects)
		discoverd_stir(d);
	network_send_plain(d, to, buf_str(&d->packet));
	d->expects = false;
}

static struct sealed_socket *network_socket(struct discoverd *d, int fd, bool shared, struct err *err)
{
	static const struct sealed_role own = { .role = WIRE_DISCOVERY, .received = network_received,
						.batch_done = network_batch_done,
						.refused = network_refused };
	static const struct sealed_role everybodys = { .role = WIRE_DISCOVERY, .received = network_received,
						       .batch_done = network_batch_done, .shared = true };

	return sealed_new(d->service->loop, fd, &d->keys, d->gossip.view.self.id,
			  shared ? &everybodys : &own, d, err);
}

static void multicast_announce(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, announce);

	if (!member_is_gone(d->gossip.view.self.state))
		gossip_announce(&d->gossip, &d->multicast_address);
	timer_start(d->service->loop, timer, ANNOUNCE_MS);
}

/* IPv4: on the interface that has node.address. */
static int multicast_join_four(struct discoverd *d, struct err *err)
{
	struct sockaddr_in group, own;
	struct ip_mreqn request = { .imr_ifindex = 0 };
	int fd = service_fd(d->service, "discovery");

	memcpy(&group, &d->multicast_address.sa, sizeof group);
	request.imr_multiaddr = group.sin_addr;
	if (d->gossip.view.self.discovery.sa.ss_family == AF_INET) {
		memcpy(&own, &d->gossip.view.self.discovery.sa, sizeof own);
		request.imr_address = own.sin_addr;
	}
	if (setsockopt(d->multicast_fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) < 0)
		return err_sys(err, "join group.multicast %s", d->service->conf->group.multicast);
	if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request) < 0)
		return err_sys(err, "send to group.multicast %s", d->service->conf->group.multicast);
	return 0;
}

/* IPv6: on the interface that routes there. */
static int multicast_join_six(struct discoverd *d, struct err *err)
{
	struct sockaddr_in6 group;
	struct ipv6_mreq request = { .ipv6mr_interface = 0 };

	memcpy(&group, &d->multicast_address.sa, sizeof group);
	request.ipv6mr_multiaddr = group.sin6_addr;
	if (setsockopt(d->multicast_fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request) < 0)
		return err_sys(err, "join group.multicast %s", d->service->conf->group.multicast);
	return 0;
}

static int multicast_open(struct discoverd *d, struct err *err)
{
	const struct address *a = &d->multicast_address;
	int on = 1;

	d->multicast_fd = socket(a->sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->multicast_fd < 0)
		return err_sys(err, "open socket for group.multicast");
	/* Several nodes of one host listen there. */
	if (setsockopt(d->multicast_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    bind(d->multicast_fd, (const struct sockaddr *)&a->sa, a->len) < 0)
		return err_sys(err, "bind group.multicast %s", d->service->conf->group.multicast);
	return a->sa.ss_family == AF_INET ? multicast_join_four(d, err) : multicast_join_six(d, err);
}

static int multicast_start(struct discoverd *d, struct err *err)
{
	if (address_parse(str_of(d->service->conf->group.multicast), &d->multicast_address, err) < 0)
		return err_context(err, "read group.multicast");
	if (multicast_open(d, err) < 0)
		return -1;
	d->multicast = network_socket(d, d->multicast_fd, true, err);
	if (d->multicast == NULL)
		return -1;
	d->announce.fire = multicast_announce;
	timer_start(d->service->loop, &d->announce, 0);
	return 0;
}

static void network_start_courier(struct discoverd *d)
{
	static const struct courier_role role = {
		.to = WIRE_DISCOVERY, .at_once = 1, .timeout_ms = COURIER_MS,
		.rest_ms = COURIER_REST_MS, .rest_max_ms = COURIER_REST_MAX_MS,
		.answered = network_received_by_http,
	};

	d->courier = courier_new(d->sync, &d->keys, d->gossip.view.self.id, &role, d);
}

int network_start(struct discoverd *d, struct err *err)
{
	int fd = service_fd(d->service, "discovery");

	d->gossip.send = network_send_plain;
	d->gossip.random = network_random;
	d->gossip.wall = gossip_wall;
	d->gossip.belongs = is_of_the_layout;
	d->gossip.data = d;
	d->agent.message = network_message;
	d->agent.send = network_send;
	d->agent.random = network_random;
	if (seeds_start(d, err) < 0)
		return -1;
	if (d->keys.count == 0)
		return 0;	/* a group of one listens to nobody */
	network_start_courier(d);
	if (fd < 0)
		return 0;
	d->unicast = network_socket(d, fd, false, err);
	if (d->unicast == NULL)
		return -1;
	return d->service->conf->group.multicast != NULL ? multicast_start(d, err) : 0;
}

void network_stop(struct discoverd *d)
{
	seeds_stop(d);
	timer_stop(&d->announce);
	LIST_EACH(struct way, way, &d->ways, link)
		way_free(way);
	courier_free(d->courier);
	d->courier = NULL;
	sealed_free(d->unicast);
	sealed_free(d->multicast);
	if (d->multicast_fd >= 0)
		close(d->multicast_fd);
	d->unicast = d->multicast = NULL;
	d->multicast_fd = -1;
}
