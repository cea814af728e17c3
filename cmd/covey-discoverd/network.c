/* network - the sockets of the gossip, and multicast */
#include "discoverd.h"

#include "clock.h"
#include "container.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sodium.h>
#include <unistd.h>

#define ANNOUNCE_MS 5000

void network_seal(const struct discoverd *d, struct str plain, struct buf *ret)
{
	seal_message(&d->keys, plain, ret);
}

static void send_message(void *data, const struct address *to, struct str plain)
{
	struct discoverd *d = data;

	if (d->unicast == NULL)
		return;
	if (d->carried_from.len != 0 && address_eq(to, &d->carried_from)) {
		network_seal(d, plain, d->carried);
		d->carried_from.len = 0;	/* one question, one answer */
		return;
	}
	if (!carry_only(d, to))
		sealed_send(d->unicast, to, plain);
	carry_sent(d, to, plain, d->expects);
}

uint64_t network_random(void *data)
{
	uint64_t n;

	(void)data;
	randombytes_buf(&n, sizeof n);
	return n;
}

static uint64_t wall_clock(void *data)
{
	(void)data;
	return clock_wall_ns();
}

static bool is_of_the_layout(void *data, uint64_t id)
{
	return layout_find(settle_layout(data), id) != NULL;
}

static void received(void *data, const struct wire *wire, const struct address *from)
{
	struct discoverd *d = data;

	carry_heard(d, wire, from);
	network_hear(d, wire, from);
}

void network_hear(struct discoverd *d, const struct wire *wire, const struct address *from)
{
	if (member_is_gone(d->gossip.view.self.state))
		return;
	if (gossip_is_answer(&d->gossip, wire))
		seeds_heard(d, from);
	gossip_receive(&d->gossip, wire, from, clock_mono_ms());
	standing_heard(d, wire);
	settle_receive(d, wire, from);
}

static void batch_done(void *data)
{
	settle_step(data);
	discoverd_changed(data);
}

struct buf *network_message(struct discoverd *d, uint64_t receiver)
{
	buf_reset(&d->packet);
	wire_pack_sender(&d->packet, d->gossip.group, &d->gossip.view.self);
	wire_pack_to(&d->packet, receiver, WIRE_DISCOVERY);
	return &d->packet;
}

void network_send(struct discoverd *d, const struct address *to)
{
	send_message(d, to, buf_str(&d->packet));
}

void network_ask(struct discoverd *d, const struct address *to)
{
	d->expects = true;
	network_send(d, to);
	d->expects = false;
}

const struct address *network_address(const struct discoverd *d, uint64_t id)
{
	const struct view_entry *entry = view_entry(&d->gossip.view, id);

	return entry != NULL ? &entry->member.discovery : NULL;
}

static struct sealed_socket *new_socket(struct discoverd *d, int fd, bool shared, struct err *err)
{
	static const struct sealed_role own = { .role = WIRE_DISCOVERY, .received = received,
						.batch_done = batch_done };
	static const struct sealed_role everybodys = { .role = WIRE_DISCOVERY, .received = received,
						       .batch_done = batch_done, .shared = true };

	return sealed_new(d->service->loop, fd, &d->keys, d->gossip.view.self.id,
			  shared ? &everybodys : &own, d, err);
}

static void announce(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, announce);

	if (!member_is_gone(d->gossip.view.self.state))
		gossip_announce(&d->gossip, &d->multicast_address);
	timer_start(d->service->loop, timer, ANNOUNCE_MS);
}

/* IPv4: on the interface that has node.address. */
static int join_four(struct discoverd *d, struct err *err)
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
static int join_six(struct discoverd *d, struct err *err)
{
	struct sockaddr_in6 group;
	struct ipv6_mreq request = { .ipv6mr_interface = 0 };

	memcpy(&group, &d->multicast_address.sa, sizeof group);
	request.ipv6mr_multiaddr = group.sin6_addr;
	if (setsockopt(d->multicast_fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request) < 0)
		return err_sys(err, "join group.multicast %s", d->service->conf->group.multicast);
	return 0;
}

static int open_multicast(struct discoverd *d, struct err *err)
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
	return a->sa.ss_family == AF_INET ? join_four(d, err) : join_six(d, err);
}

static int start_multicast(struct discoverd *d, struct err *err)
{
	if (address_parse(str_of(d->service->conf->group.multicast), &d->multicast_address, err) < 0)
		return err_context(err, "read group.multicast");
	if (open_multicast(d, err) < 0)
		return -1;
	d->multicast = new_socket(d, d->multicast_fd, true, err);
	if (d->multicast == NULL)
		return -1;
	d->announce.fire = announce;
	timer_start(d->service->loop, &d->announce, 0);
	return 0;
}

int network_start(struct discoverd *d, struct err *err)
{
	int fd = service_fd(d->service, "discovery");

	d->gossip.send = send_message;
	d->gossip.random = network_random;
	d->gossip.wall = wall_clock;
	d->gossip.belongs = is_of_the_layout;
	d->gossip.data = d;
	if (d->keys.count == 0 || fd < 0)
		return 0;	/* a group of one listens to nobody */
	d->unicast = new_socket(d, fd, false, err);
	if (d->unicast == NULL)
		return -1;
	return d->service->conf->group.multicast != NULL ? start_multicast(d, err) : 0;
}

void network_stop(struct discoverd *d)
{
	timer_stop(&d->announce);
	sealed_free(d->unicast);
	sealed_free(d->multicast);
	if (d->multicast_fd >= 0)
		close(d->multicast_fd);
	d->unicast = d->multicast = NULL;
	d->multicast_fd = -1;
}
