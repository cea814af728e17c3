/* courier - sealed packets that go by HTTP, where UDP does not do */
#include "courier.h"

#include "backoff.h"
#include "clock.h"
#include "mem.h"
#include "sync_talk.h"

struct courier {
	struct caller *sync;
	const struct seal_keys *keys;
	uint64_t self;
	struct courier_role role;
	void *data;
};

struct packet {
	struct link link;		/* of the peer's */
	struct call call;
	struct courier *courier;
	struct courier_peer *peer;
	uint64_t sent;			/* ms */
};

static void packet_free(struct packet *packet)
{
	call_finish(&packet->call);
	list_remove(&packet->link);
	free(packet);
}

static void carried(struct call *call, struct frame *frame)
{
	struct packet *packet = CONTAINER_OF(call, struct packet, call);
	struct courier *courier = packet->courier;
	struct courier_answer answer = { .peer = packet->peer, .sent = packet->sent };
	struct courier_peer *peer = packet->peer;
	struct buf plain = BUF_INIT;
	struct wire wire;

	packet_free(packet);
	if (frame == NULL || frame->type != SYNC_CARRIED) {
		peer->rest_until = clock_mono_ms() + backoff_ms(courier->role.rest_ms,
								courier->role.rest_max_ms,
								peer->failures++);
		return;
	}
	peer->rest_until = 0;
	peer->failures = 0;
	if (frame->body.n > 0 && courier_open(courier, frame->body, &plain, &wire) == 0) {
		answer.wire = &wire;
		answer.bytes = plain.len;
	}
	courier->role.answered(courier->data, &answer);
	buf_clear(&plain);
}

struct courier *courier_new(struct caller *sync, const struct seal_keys *keys, uint64_t self,
			    const struct courier_role *role, void *data)
{
	struct courier *courier = mem_new(1, sizeof *courier);

	*courier = (struct courier){ .sync = sync, .keys = keys, .self = self, .role = *role,
				     .data = data };
	return courier;
}

void courier_free(struct courier *courier)
{
	free(courier);
}

bool courier_has_room(const struct courier *courier, const struct courier_peer *peer)
{
	return peer->packets.count < courier->role.at_once && clock_mono_ms() >= peer->rest_until;
}

void courier_send(struct courier *courier, struct courier_peer *peer, const struct address *http,
		  struct str plain)
{
	struct sync_carry question = { .http = *http, .to = courier->role.to == WIRE_VERSIONS ?
							    SYNC_TO_VERSIONS : SYNC_TO_DISCOVERY };
	struct buf sealed = BUF_INIT;
	struct packet *packet = mem_new(1, sizeof *packet);

	*packet = (struct packet){ .call = CALL_INIT, .courier = courier, .peer = peer,
				   .sent = clock_mono_ms() };
	packet->call.answer = carried;
	list_append(&peer->packets, &packet->link);
	seal_message(courier->keys, plain, &sealed);
	question.packet = buf_str(&sealed);
	call_start_message(courier->sync, &packet->call, SYNC_CARRY, &sync_carry_message, &question,
			   courier->role.timeout_ms);
	buf_clear(&sealed);
}

void courier_forget(struct courier_peer *peer)
{
	LIST_EACH(struct packet, packet, &peer->packets, link)
		packet_free(packet);
}

int courier_open(const struct courier *courier, struct str packet, struct buf *plain,
		 struct wire *ret)
{
	uint8_t protocol;

	if (seal_open_long(courier->keys, packet, &protocol, plain) < 0 ||
	    wire_unpack(buf_str(plain), protocol, ret) < 0 ||
	    !wire_is_for(ret, courier->self, courier->role.to))
		return -1;
	return 0;
}
