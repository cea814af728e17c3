/* sealed - a UDP socket that speaks sealed messages only */
#include "sealed.h"

#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <sys/socket.h>

#define BATCH 32
#define STRANGERS 16			/* sources that are told of in a minute; more are not */
#define STRANGER_MS 60000
#define RECEIVE_ROOM (1 << 20)		/* bytes the kernel keeps while this process is busy */

struct slot {
	struct sockaddr_storage address;
	struct iovec iov;
	uint8_t bytes[WIRE_BYTES + 1];	/* one more, so that a longer packet shows */
};

struct sealed_socket {
	struct watch watch;
	const struct seal_keys *keys;
	uint64_t self;			/* this node's id */
	const struct sealed_role *role;
	void *data;
	bool six;			/* an IPv6 socket, which may carry IPv4 too */
	bool receiving;
	size_t received;		/* bytes of the message */
	struct {			/* never used twice: a random start, then counting */
		uint8_t start[SEAL_NONCE_BYTES - sizeof(uint64_t)];
		uint64_t count;
	} nonce;
	struct {
		struct address from;	/* without its port */
		uint64_t told;		/* ms; 0: no place is taken */
	} strangers[STRANGERS];
	size_t waiting;			/* packets to send */
	struct slot in[BATCH], out[BATCH];
	struct mmsghdr in_heads[BATCH], out_heads[BATCH];
};

static void sealed_flush(struct sealed_socket *s)
{
	size_t sent = 0;

	while (sent < s->waiting) {
		int n = sendmmsg(s->watch.fd, s->out_heads + sent, (unsigned)(s->waiting - sent),
				 MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		sent += n > 0 ? (size_t)n : 1;	/* an address that cannot be reached: the next */
	}
	s->waiting = 0;
}

static void to_six(struct slot *slot, struct msghdr *head)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	memcpy(&in, &slot->address, sizeof in);
	in6.sin6_port = in.sin_port;
	in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&in6.sin6_addr.s6_addr[12], &in.sin_addr, sizeof in.sin_addr);
	memcpy(&slot->address, &in6, sizeof in6);
	head->msg_namelen = sizeof in6;
}

static void to_four(struct address *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6;

	memcpy(&in6, &address->sa, sizeof in6);
	if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
		return;
	in.sin_port = in6.sin6_port;
	memcpy(&in.sin_addr, &in6.sin6_addr.s6_addr[12], sizeof in.sin_addr);
	*address = (struct address){ .len = sizeof in };
	memcpy(&address->sa, &in, sizeof in);
}

void sealed_send(struct sealed_socket *s, const struct address *to, struct str plain)
{
	struct slot *slot = &s->out[s->waiting];
	struct msghdr *head = &s->out_heads[s->waiting].msg_hdr;
	uint8_t nonce[SEAL_NONCE_BYTES];

	if (to->len == 0)
		return;
	s->nonce.count++;
	memcpy(nonce, s->nonce.start, sizeof s->nonce.start);
	memcpy(nonce + sizeof s->nonce.start, &s->nonce.count, sizeof s->nonce.count);
	slot->address = to->sa;
	slot->iov.iov_base = slot->bytes;
	slot->iov.iov_len = seal_close(s->keys, MEMBER_PROTOCOL, nonce, plain, slot->bytes);
	*head = (struct msghdr){ .msg_name = &slot->address, .msg_namelen = to->len,
				 .msg_iov = &slot->iov, .msg_iovlen = 1 };
	if (s->six && to->sa.ss_family == AF_INET)
		to_six(slot, head);
	s->waiting++;
	if (s->waiting == BATCH || !s->receiving)
		sealed_flush(s);
}

/* Whether it is to be told of: once in a while, and no flood where everyone is another. */
static bool is_new_stranger(struct sealed_socket *s, const struct address *from)
{
	uint64_t now = clock_mono_ms();
	size_t place = STRANGERS;

	for (size_t i = 0; i < STRANGERS; i++) {
		bool old = s->strangers[i].told == 0 || now - s->strangers[i].told >= STRANGER_MS;

		if (!old && address_eq(&s->strangers[i].from, from))
			return false;
		if (old)
			place = i;
	}
	if (place == STRANGERS)
		return false;
	s->strangers[place].from = *from;
	s->strangers[place].told = now;
	return true;
}

static void tell_of_stranger(struct sealed_socket *s, struct address from, struct str packet)
{
	struct address host = from;
	char text[ADDRESS_TEXT];

	address_set_port(&host, 0);
	if (s->role->shared || !is_new_stranger(s, &host))
		return;
	log_line(LOG_LEVEL_WARNING, "a packet from %s is dropped: %s", address_format(text, &from),
		 seal_is_sealed(packet) ? "it was sealed with another key than this group's, or changed on its way" :
					  "it is no sealed message");
}

static void receive_one(struct sealed_socket *s, const struct mmsghdr *head, const struct slot *slot)
{
	struct address from = { .sa = slot->address, .len = head->msg_hdr.msg_namelen };
	struct str packet = { .s = (const char *)slot->bytes, .n = head->msg_len };
	struct sealed sealed;
	struct wire wire;

	if (s->six && from.sa.ss_family == AF_INET6)
		to_four(&from);
	if ((head->msg_hdr.msg_flags & MSG_TRUNC) || seal_open(s->keys, packet, &sealed) < 0) {
		tell_of_stranger(s, from, packet);
		if (s->role->refused != NULL && !s->role->shared)
			s->role->refused(s->data, &from, seal_is_sealed(packet));
		return;
	}
	if (wire_unpack((struct str){ .s = sealed.plain, .n = sealed.n }, sealed.protocol, &wire) < 0 ||
	    !wire_is_for(&wire, s->self, s->role->role))
		return;
	s->received = sealed.n;
	s->role->received(s->data, &wire, &from);
}

size_t sealed_received(const struct sealed_socket *s)
{
	return s->received;
}

bool sealed_read(struct sealed_socket *s)
{
	int n;

	for (size_t i = 0; i < BATCH; i++) {
		s->in[i].iov = (struct iovec){ s->in[i].bytes, sizeof s->in[i].bytes };
		s->in_heads[i].msg_hdr = (struct msghdr){ .msg_name = &s->in[i].address,
							  .msg_namelen = sizeof s->in[i].address,
							  .msg_iov = &s->in[i].iov,
							  .msg_iovlen = 1 };
	}
	n = recvmmsg(s->watch.fd, s->in_heads, BATCH, MSG_DONTWAIT, NULL);
	s->receiving = true;
	for (int i = 0; i < n; i++)
		receive_one(s, &s->in_heads[i], &s->in[i]);
	if (s->role->batch_done != NULL)
		s->role->batch_done(s->data);
	s->receiving = false;
	sealed_flush(s);
	return n == BATCH;
}

static void ready(struct watch *watch, uint32_t events)
{
	(void)events;
	sealed_read(CONTAINER_OF(watch, struct sealed_socket, watch));
}

void sealed_rest(struct sealed_socket *s, bool rest)
{
	watch_change(&s->watch, rest ? 0 : EPOLLIN);
}

struct sealed_socket *sealed_new(struct loop *loop, int fd, const struct seal_keys *keys,
				 uint64_t self, const struct sealed_role *role, void *data, struct err *err)
{
	struct sealed_socket *s;
	struct address own;
	int room = RECEIVE_ROOM;

	if (sock_address(fd, &own, err) < 0)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);	/* as much as the system allows */
	s = mem_new(1, sizeof *s);
	s->watch.fd = fd;
	s->watch.ready = ready;
	s->keys = keys;
	s->self = self;
	s->role = role;
	s->data = data;
	s->six = own.sa.ss_family == AF_INET6;
	randombytes_buf(s->nonce.start, sizeof s->nonce.start);
	if (watch_start(loop, &s->watch, EPOLLIN, err) < 0) {
		free(s);
		return NULL;
	}
	return s;
}

void sealed_free(struct sealed_socket *s)
{
	if (s == NULL)
		return;
	watch_stop(&s->watch);
	free(s);
}
