/*
 * carry - packets that travel by HTTP
 *
 * What UDP leaves unanswered, and what is too long for it, covey-syncd
 * carries to the other node in POST /.covey/msg, and brings the answer back.
 * A peer that answered that way, and not by UDP, is asked both ways for
 * a while; a peer that answered neither way is left in peace for a moment.
 */
#include "versiond.h"

#include "clock.h"
#include "container.h"
#include "mem.h"
#include "sync_talk.h"

#define HEARD_MS 2000			/* UDP that worked so lately is given one more try */
#define HTTP_MS 10000			/* how long it is remembered that UDP does not work */
#define PAUSE_MS 1000			/* after a failure */
#define CARRYING_MAX 16			/* at once to one peer */

struct peer_link {
	uint64_t id;
	uint64_t heard_udp;		/* ms: its last answer that came by UDP */
	uint64_t http_until;		/* ms: UDP does not work */
	uint64_t pause_until;		/* ms: nor does HTTP */
	unsigned carrying;
};

struct carry {
	struct call call;
	struct carrier *carrier;
	struct carry *next, *prev;
	uint64_t id;			/* peer */
	uint64_t sent;			/* ms */
};

struct carrier {
	struct versiond *versiond;
	struct caller *sync;
	struct peer_link *links;		/* owned; one per peer that was ever asked */
	size_t count;
	struct carry *first;		/* under way */
};

struct carrier *carrier_new(struct versiond *v)
{
	struct carrier *carrier = mem_new(1, sizeof *carrier);
	struct buf path = BUF_INIT;

	buf_addf(&path, "%s/sync.sock", store_run(v->service->store));
	carrier->versiond = v;
	carrier->sync = caller_new(v->service->loop, path.data);
	buf_clear(&path);
	return carrier;
}

static struct peer_link *link_of(struct carrier *carrier, uint64_t id)
{
	for (size_t i = 0; i < carrier->count; i++)
		if (carrier->links[i].id == id)
			return &carrier->links[i];
	carrier->links = mem_resize(carrier->links, carrier->count + 1, sizeof *carrier->links);
	carrier->links[carrier->count] = (struct peer_link){ .id = id };
	return &carrier->links[carrier->count++];
}

void carry_heard_udp(struct carrier *carrier, uint64_t id)
{
	struct peer_link *link = link_of(carrier, id);

	link->heard_udp = clock_mono_ms();
	link->http_until = 0;
}

/* sealing for HTTP */

static void close_long(struct versiond *v, struct str plain, struct buf *to)
{
	seal_message(&v->keys, plain, to);
	stats_count_sent(v, true, plain);
}

/* *wire points into *plain.  0, or -1: it is not for us. */
static int open_long(struct versiond *v, struct str packet, struct buf *plain, struct wire *wire)
{
	uint64_t group;
	uint8_t protocol;

	if (seal_open_long(&v->keys, packet, &protocol, &group, plain) < 0 ||
	    wire_unpack(buf_str(plain), protocol, group, wire) < 0 ||
	    !wire_is_for(wire, v->self.id, WIRE_VERSIONS))
		return -1;
	stats_count(v, true, STATS_RECEIVED, wire->type, plain->len);
	return 0;
}

/* to others */

static void carry_end(struct carry *carry)
{
	struct carrier *carrier = carry->carrier;

	call_finish(&carry->call);
	link_of(carrier, carry->id)->carrying--;
	if (carry->prev != NULL)
		carry->prev->next = carry->next;
	else
		carrier->first = carry->next;
	if (carry->next != NULL)
		carry->next->prev = carry->prev;
	free(carry);
}

/* The peer was there.  What it said by UDP since the question counts for more. */
static void carried(struct carry *carry, struct str packet)
{
	struct versiond *v = carry->carrier->versiond;
	struct peer_link *link = link_of(carry->carrier, carry->id);
	struct buf plain = BUF_INIT;
	struct wire wire;

	link->pause_until = 0;
	if (link->heard_udp < carry->sent)
		link->http_until = clock_mono_ms() + HTTP_MS;
	if (packet.n > 0 && open_long(v, packet, &plain, &wire) == 0 && wire.sender.id == carry->id)
		group_heard(v, &wire);
	buf_clear(&plain);
}

static void answered(struct call *call, struct frame *frame)
{
	struct carry *carry = CONTAINER_OF(call, struct carry, call);

	if (frame != NULL && frame->type == SYNC_CARRIED)
		carried(carry, frame->body);
	else
		link_of(carry->carrier, carry->id)->pause_until = clock_mono_ms() + PAUSE_MS;
	group_stir(carry->carrier->versiond);
	carry_end(carry);
}

static void start_carry(struct versiond *v, struct peer_link *link, const struct address *http,
			struct str plain)
{
	struct carrier *carrier = v->carrier;
	struct carry *carry = mem_new(1, sizeof *carry);
	struct sync_carry question = { .http = *http, .to = SYNC_TO_VERSIONS };
	struct buf packet = BUF_INIT, body = BUF_INIT;

	*carry = (struct carry){ .call = CALL_INIT, .carrier = carrier, .next = carrier->first,
				 .id = link->id, .sent = clock_mono_ms() };
	if (carrier->first != NULL)
		carrier->first->prev = carry;
	carrier->first = carry;
	link->carrying++;
	close_long(v, plain, &packet);
	question.packet = buf_str(&packet);
	sync_carry_pack(&body, &question);
	carry->call.answer = answered;
	call_start(carrier->sync, &carry->call, SYNC_CARRY, buf_str(&body),
		   v->service->conf->timeouts.store_ms);
	buf_clear(&packet);
	buf_clear(&body);
}

static bool is_time_for_http(const struct peer_link *link, uint64_t now, unsigned attempt)
{
	bool works = link->heard_udp > 0 && now - link->heard_udp < HEARD_MS;

	if (link->carrying >= CARRYING_MAX || now < link->pause_until)
		return false;
	return now < link->http_until || attempt >= (works ? 2 : 1);
}

void carry_send(void *data, const struct peer_target *to, struct str plain, unsigned attempt)
{
	struct versiond *v = data;
	bool fits = plain.n <= WIRE_PLAIN_BYTES && to->versions.len > 0;
	struct peer_link *link = link_of(v->carrier, to->id);

	if (fits) {
		sealed_send(v->socket, &to->versions, plain);
		stats_count_sent(v, false, plain);
	}
	if (to->http.len > 0 && (!fits || is_time_for_http(link, clock_mono_ms(), attempt)))
		start_carry(v, link, &to->http, plain);
}

void carrier_free(struct carrier *carrier)
{
	if (carrier == NULL)
		return;
	for (struct carry *carry = carrier->first, *next; carry != NULL; carry = next) {
		next = carry->next;
		call_finish(&carry->call);
		free(carry);
	}
	caller_free(carrier->sync);
	free(carrier->links);
	free(carrier);
}

/* from others */

void carry_reply(struct versiond *v, struct serve_request *request, struct str plain)
{
	struct buf packet = BUF_INIT;

	if (plain.n > 0)
		close_long(v, plain, &packet);
	serve_reply(request, VERSION_TALK_CARRIED, buf_str(&packet), NULL, 0);
	serve_end(request);
	buf_clear(&packet);
	talk_ended(v);
}

int carry_request(struct versiond *v, struct serve_request *request, struct str packet,
		  struct err *err)
{
	struct buf plain = BUF_INIT;
	struct wire wire;

	if (v->socket == NULL || open_long(v, packet, &plain, &wire) < 0) {
		buf_clear(&plain);
		return err_set(err, ERR_DENIED, "open a message: it is not of this group");
	}
	if (wire.type == WIRE_CHECK || wire.type == WIRE_STORE) {
		answer_question(v, &wire, NULL, request);
	} else {
		group_heard(v, &wire);
		carry_reply(v, request, STR(""));
	}
	group_stir(v);
	buf_clear(&plain);
	return 0;
}
