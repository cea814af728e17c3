/*
 * post - POST /.covey/msg: sealed messages to other nodes, and BULK, from them
 *
 * CARRY brings a packet of another role as it is.  What covey-syncd itself asks
 * and answers is bulk.h's.
 */
#include "syncd.h"

#include "clock.h"
#include "container.h"
#include "mem.h"
#include "peer_http.h"

#include <sodium.h>

#define OWN_ANSWER_MS 20000		/* covey-versiond may have to read a partition first */

static int post_head(struct fetch *fetch, const struct fetch_head *head, struct err *err)
{
	(void)fetch;
	if (head->status == 200 || head->status == 204)
		return 0;
	return err_set(err, ERR_AWAY, "ask peer by HTTP: it answers %d", head->status);
}

static int post_body(struct fetch *fetch, const void *bytes, size_t n, struct err *err)
{
	struct post *m = CONTAINER_OF(fetch, struct post, fetch);

	if (n > WIRE_LONG_BYTES - m->answer.len)
		return err_set(err, ERR_TOO_LARGE, "ask peer by HTTP: its answer is too long");
	buf_add(&m->answer, bytes, n);
	return 0;
}

static void post_set(struct post *m, const struct address *peer, struct str target,
			struct str packet, uint64_t patience_ms)
{
	buf_reset(&m->answer);
	m->fetch = (struct fetch){
		.method = FETCH_POST, .peer = peer, .target = target, .content = packet,
		.first_byte_ms = patience_ms, .stall_ms = patience_ms,
		.head = post_head, .body = post_body,
	};
}

/* One fetch, to its end.  Not beyond *due, which may change meanwhile; NULL: without end. */
static int post_fetch(struct worker *w, struct fetch *fetch, const uint64_t *due,
			 struct err *err)
{
	struct fetch_set *set = fetch_open(w->daemon->fetcher, err);
	struct fetch *over = NULL;

	if (set == NULL || fetch_start(set, fetch, err) < 0) {
		fetch_close(set);
		return -1;
	}
	while (over == NULL && !worker_is_cut(w) && (due == NULL || clock_mono_ms() < *due))
		over = worker_await(w, set, due == NULL ? NEVER : *due);
	fetch_close(set);
	if (over == NULL)
		return err_set(err, worker_is_cut(w) ? ERR_AWAY : ERR_TIMEOUT,
			       "fetch from peer: nobody waits for it any more");
	return fetch->err.kind == ERR_NONE ? 0 : err_pass(err, &fetch->err);
}

/* bulk messages that go */

static void bulk_seal(const struct syncd *d, const struct bulk *bulk, struct buf *to)
{
	struct buf plain = BUF_INIT;

	bulk_pack(&plain, bulk);
	seal_message(&d->keys, buf_str(&plain), to);
	buf_clear(&plain);
}

static int bulk_open(const struct syncd *d, struct str packet, struct buf *plain,
		     struct bulk *ret)
{
	uint8_t protocol;

	if (seal_open_long(&d->keys, packet, &protocol, plain) < 0 ||
	    protocol != MEMBER_PROTOCOL)
		return -1;
	return bulk_unpack(buf_str(plain), store_node(d->store), ret);
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
static int bulk_set(const struct syncd *d, struct post *m, const struct bulk *question,
		    struct buf *packet, uint64_t patience_ms, struct err *err)
{
	const struct address *peer = peers_http(d->peers, question->receiver);

	if (peer == NULL)
		return err_set(err, ERR_AWAY, "ask peer by HTTP: the node is not known");
	bulk_seal(d, question, packet);
	post_set(m, peer, question->type == BULK_TAKE ? STR(PEER_MSG "contents") : STR(PEER_MSG "sync"),
		 buf_str(packet), patience_ms);
	return 0;
}

int bulk_start(const struct syncd *d, struct fetch_set *set, struct post *m,
	       const struct bulk *question, uint64_t patience_ms, struct err *err)
{
	struct buf packet = BUF_INIT;
	int rc = bulk_set(d, m, question, &packet, patience_ms, err);

	if (rc == 0)
		rc = fetch_start(set, &m->fetch, err);
	buf_clear(&packet);
	return rc;
}

bool bulk_judged(struct syncd *d, const struct bulk *question, const struct post *m,
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
	struct post m = { .answer = BUF_INIT };
	struct syncd *d = w->daemon;
	struct buf packet = BUF_INIT;
	struct err err;
	int rc = bulk_set(d, &m, question, &packet, patience_ms, &err);

	if (rc == 0)
		rc = post_fetch(w, &m.fetch, due, &err);
	if (worker_is_cut(w) || (rc < 0 && due != NULL && clock_mono_ms() >= *due))
		rc = -1;		/* which says nothing about the peer */
	else
		rc = bulk_judged(d, question, &m, rc < 0 ? &err : NULL, plain, ret) ? 0 : -1;
	buf_clear(&packet);
	buf_clear(&m.answer);
	return rc;
}

/*
 * BULK: sealed batches that come.  Digests, records and which version is the
 * newest are covey-versiond's to answer, contents keep.c's, and COMPARE sync.c's.
 */

static void bulk_run(struct worker *w)
{
	struct bulk_job *b = CONTAINER_OF(w, struct bulk_job, asked.worker);
	struct buf answer = BUF_INIT, packet = BUF_INIT;
	struct err err;

	if (worker_ask_versiond(w, VERSION_TALK_SYNC, buf_str(&b->asked.text), OWN_ANSWER_MS, NULL,
				VERSION_TALK_SYNCED, &answer, &err) < 0) {
		asker_fail(&b->asked.asker, &err);
	} else if (answer.len > SEAL_LONG_PLAIN_BYTES) {
		err_set(&err, ERR_AWAY, "answer peer: covey-versiond says too much");
		asker_fail(&b->asked.asker, &err);
	} else {
		seal_message(&w->daemon->keys, buf_str(&answer), &packet);
		asker_answer(&b->asked.asker, SYNC_BULK, buf_str(&packet));
	}
	buf_clear(&answer);
	buf_clear(&packet);
}

void bulk_reply(struct syncd *d, struct asker *a, const struct bulk *question, enum bulk_type type,
		struct str body)
{
	const struct layout *layout = peers_layout(d->peers);
	struct bulk answer = bulk_answer(question);
	struct buf packet = BUF_INIT;

	answer.group = d->keys.list[0].group;
	answer.lineage = layout->lineage;
	answer.epoch = layout->epoch;
	answer.type = type;
	answer.body = body;
	bulk_seal(d, &answer, &packet);
	asker_answer(a, SYNC_BULK, buf_str(&packet));
	buf_clear(&packet);
}

int request_bulk(struct syncd *d, struct serve_request *request, struct frame *frame, struct err *err)
{
	struct buf plain = BUF_INIT;
	struct bulk_job *b;
	struct bulk bulk;
	int rc = err_set(err, ERR_DENIED, "read message: not of this group");

	if (d->keys.count > 0 && bulk_open(d, frame->body, &plain, &bulk) == 0) {
		if (bulk.type == BULK_SYNC || bulk.type == BULK_NEWEST || bulk.type == BULK_KEEP) {
			b = mem_new(1, sizeof *b);
			*b = (struct bulk_job){ .asked.text = plain, .bulk = bulk };
			asked_start(d, &b->asked, bulk.type == BULK_KEEP ? keep_run : bulk_run, request,
				    d->asks);
			return 0;
		}
		if (bulk.type == BULK_COMPARE)
			rc = compare_told(d, request, &bulk, err);
	} else if (d->keys.count > 0) {
		unopened_count(d->unopened, UNOPENED_HTTP);
	}
	buf_clear(&plain);
	return rc;
}

/* CARRY: a sealed packet of another role, by HTTP */

struct carry_job {
	struct asked asked;		/* with the packet */
	struct address http;
	enum sync_to to;
};

static void carry_run(struct worker *w)
{
	struct carry_job *c = CONTAINER_OF(w, struct carry_job, asked.worker);
	struct post m = { .answer = BUF_INIT };
	struct err err;

	post_set(&m, &c->http,
		    c->to == SYNC_TO_VERSIONS ? STR(PEER_MSG "versions") : STR(PEER_MSG "discovery"),
		    buf_str(&c->asked.text), w->daemon->first_byte_ms);
	if (post_fetch(w, &m.fetch, NULL, &err) < 0)
		asker_fail(&c->asked.asker, &err);
	else
		asker_answer(&c->asked.asker, SYNC_CARRIED, buf_str(&m.answer));
	buf_clear(&m.answer);
}

int request_carry(struct syncd *d, struct serve_request *request, struct frame *frame, struct err *err)
{
	struct sync_carry carry;
	struct carry_job *c;

	if (sync_carry_unpack(frame->body, &carry, err) < 0)
		return -1;
	c = mem_new(1, sizeof *c);
	c->http = carry.http;
	c->to = carry.to;
	buf_addstr(&c->asked.text, carry.packet);
	asked_start(d, &c->asked, carry_run, request, d->asks);
	return 0;
}
