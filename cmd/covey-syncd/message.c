/*
 * message - POST /.covey/msg: sealed messages to other nodes, and their answers
 *
 * A packet of another role goes as it is.  What covey-syncd itself asks and
 * answers is bulk.h's.
 */
#include "syncd.h"

#include "clock.h"
#include "container.h"
#include "peer_http.h"

#include <sodium.h>

static int message_head(struct fetch *fetch, const struct fetch_head *head, struct err *err)
{
	(void)fetch;
	if (head->status == 200 || head->status == 204)
		return 0;
	return err_set(err, ERR_AWAY, "ask peer by HTTP: it answers %d", head->status);
}

static int message_body(struct fetch *fetch, const void *bytes, size_t n, struct err *err)
{
	struct message *m = CONTAINER_OF(fetch, struct message, fetch);

	if (n > WIRE_LONG_BYTES - m->answer.len)
		return err_set(err, ERR_TOO_LARGE, "ask peer by HTTP: its answer is too long");
	buf_add(&m->answer, bytes, n);
	return 0;
}

static void message_set(struct message *m, const struct address *peer, struct str target,
			struct str packet, uint64_t patience_ms)
{
	buf_reset(&m->answer);
	m->fetch = (struct fetch){
		.method = FETCH_POST, .peer = peer, .target = target, .content = packet,
		.first_byte_ms = patience_ms, .stall_ms = patience_ms,
		.head = message_head, .body = message_body,
	};
}

int message_carry(struct worker *w, struct message *m, const struct address *peer, enum sync_to to,
		  struct str packet, uint64_t patience_ms, struct err *err)
{
	message_set(m, peer,
		    to == SYNC_TO_VERSIONS ? STR(PEER_MSG "versions") : STR(PEER_MSG "discovery"),
		    packet, patience_ms);
	return worker_fetch(w, &m->fetch, NULL, err);
}

/* bulk messages */

void bulk_seal(const struct syncd *d, const struct bulk *bulk, struct buf *to)
{
	struct buf plain = BUF_INIT;

	bulk_pack(&plain, bulk);
	seal_message(&d->keys, buf_str(&plain), to);
	buf_clear(&plain);
}

int bulk_open(const struct syncd *d, struct str packet, struct buf *plain, struct bulk *ret)
{
	uint64_t group;
	uint8_t protocol;

	if (seal_open_long(&d->keys, packet, &protocol, &group, plain) < 0 ||
	    protocol != MEMBER_PROTOCOL)
		return -1;
	return bulk_unpack(buf_str(plain), group, store_node(d->store), ret);
}

struct bulk bulk_ask(const struct syncd *d, uint64_t node, enum bulk_type type)
{
	const struct layout *layout = peers_layout(d->peers);
	struct bulk bulk = { .group = d->keys.list[0].group, .sender = store_node(d->store),
			     .receiver = node, .lineage = layout->lineage, .epoch = layout->epoch,
			     .type = type };

	randombytes_buf(&bulk.id, sizeof bulk.id);
	return bulk;
}

/* Sealed, to be sent to its receiver; -1 when that is not known. */
static int bulk_set(const struct syncd *d, struct message *m, const struct bulk *question,
		    struct buf *packet, uint64_t patience_ms, struct err *err)
{
	const struct address *peer = peers_http(d->peers, question->receiver);

	if (peer == NULL)
		return err_set(err, ERR_AWAY, "ask peer by HTTP: the node is not known");
	bulk_seal(d, question, packet);
	message_set(m, peer, STR(PEER_MSG "sync"), buf_str(packet), patience_ms);
	return 0;
}

int bulk_start(const struct syncd *d, struct fetch_set *set, struct message *m,
	       const struct bulk *question, uint64_t patience_ms, struct err *err)
{
	struct buf packet = BUF_INIT;
	int rc = bulk_set(d, m, question, &packet, patience_ms, err);

	if (rc == 0)
		rc = fetch_start(set, &m->fetch, err);
	buf_clear(&packet);
	return rc;
}

bool bulk_judged(struct syncd *d, const struct bulk *question, const struct message *m,
		 const struct err *how, struct buf *plain, struct bulk *ret)
{
	enum bulk_verdict verdict = BULK_NOTHING;

	peers_note(d->peers, question->receiver, how);
	if (how == NULL && bulk_open(d, buf_str(&m->answer), plain, ret) == 0)
		verdict = bulk_judge(question, ret);
	if (verdict == BULK_NEWER)
		peers_behind(d->peers, question->receiver, ret->epoch);
	return verdict == BULK_COUNTS;
}

int bulk_exchange(struct worker *w, const struct bulk *question, uint64_t patience_ms, const uint64_t *due,
		  struct buf *plain, struct bulk *ret)
{
	struct message m = { .answer = BUF_INIT };
	struct syncd *d = w->daemon;
	struct buf packet = BUF_INIT;
	struct err err;
	int rc = bulk_set(d, &m, question, &packet, patience_ms, &err);

	if (rc == 0)
		rc = worker_fetch(w, &m.fetch, due, &err);
	if (worker_is_cut(w) || (rc < 0 && due != NULL && clock_mono_ms() >= *due))
		rc = -1;		/* which says nothing about the peer */
	else
		rc = bulk_judged(d, question, &m, rc < 0 ? &err : NULL, plain, ret) ? 0 : -1;
	buf_clear(&packet);
	buf_clear(&m.answer);
	return rc;
}
