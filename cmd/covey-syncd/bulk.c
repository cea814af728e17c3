/*
 * bulk - sealed batches: those that come (BULK), and those that go
 *
 * What comes is opened here; digests, records and which version is the newest
 * are covey-versiond's to answer, contents ours.
 */
#include "syncd.h"

#include "call.h"
#include "container.h"
#include "mem.h"

#include <sodium.h>

#define ANSWER_MS 20000			/* covey-versiond may have to read a partition first */

struct bulking {
	struct syncd *daemon;
	struct bulking *next, *prev;
	struct asker asker;
	struct call call;		/* to covey-versiond */
};

void bulk_seal(const struct syncd *d, const struct bulk *bulk, struct buf *to)
{
	struct buf plain = BUF_INIT;

	bulk_pack(&plain, bulk);
	seal_message(&d->keys, buf_str(&plain), to);
	buf_clear(&plain);
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

int bulk_open(const struct syncd *d, struct str packet, struct buf *plain, struct bulk *ret)
{
	uint64_t group;
	uint8_t protocol;

	if (seal_open_long(&d->keys, packet, &protocol, &group, plain) < 0 ||
	    protocol != MEMBER_PROTOCOL)
		return -1;
	return bulk_unpack(buf_str(plain), group, store_node(d->store), ret);
}

void bulk_reply(struct syncd *d, struct serve_request *request, const struct bulk *question,
		enum bulk_type type, struct str body)
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
	serve_reply(request, SYNC_BULK, buf_str(&packet), NULL, 0);
	serve_end(request);
	buf_clear(&packet);
}

/* to covey-versiond */

static void bulking_free(struct bulking *b)
{
	struct syncd *d = b->daemon;

	call_finish(&b->call);
	if (b->prev != NULL)
		b->prev->next = b->next;
	else
		d->bulkings = b->next;
	if (b->next != NULL)
		b->next->prev = b->prev;
	free(b);
	syncd_rest(d);
}

static void answered(struct call *call, struct frame *frame)
{
	struct bulking *b = CONTAINER_OF(call, struct bulking, call);
	struct buf packet = BUF_INIT;
	struct err err;

	err_set(&err, ERR_AWAY, "answer peer: covey-versiond is away");
	if (frame != NULL && frame->type == FRAME_FAILED)
		frame_failed_unpack(frame->body, &err);
	if (frame != NULL && frame->type == VERSION_TALK_SYNCED &&
	    frame->body.n <= SEAL_LONG_PLAIN_BYTES) {
		seal_message(&b->daemon->keys, frame->body, &packet);
		serve_reply(b->asker.request, SYNC_BULK, buf_str(&packet), NULL, 0);
		serve_end(b->asker.request);
		buf_clear(&packet);
	} else {
		serve_fail(b->asker.request, &err);
	}
	bulking_free(b);
}

static void asker_gone(struct asker *asker)
{
	bulking_free(CONTAINER_OF(asker, struct bulking, asker));
}

static void ask_versiond(struct syncd *d, struct serve_request *request, struct str plain)
{
	struct bulking *b = mem_new(1, sizeof *b);

	b->daemon = d;
	b->asker = (struct asker){ .request = request, .gone = asker_gone };
	b->call = (struct call)CALL_INIT;
	b->call.answer = answered;
	b->next = d->bulkings;
	if (b->next != NULL)
		b->next->prev = b;
	d->bulkings = b;
	request->data = &b->asker;
	call_start(d->version, &b->call, VERSION_TALK_SYNC, plain, ANSWER_MS);
}

static int refuse(struct err *err)
{
	return err_set(err, ERR_DENIED, "read message: not of this group");
}

int bulk_asked(struct syncd *d, struct serve_request *request, struct str packet, struct err *err)
{
	struct buf plain = BUF_INIT;
	struct bulk bulk;
	int rc = 0;

	if (d->keys.count == 0 || bulk_open(d, packet, &plain, &bulk) < 0)
		rc = refuse(err);
	else if (bulk.type == BULK_SYNC || bulk.type == BULK_NEWEST)
		ask_versiond(d, request, buf_str(&plain));
	else if (bulk.type == BULK_KEEP)
		keep_asked(d, request, &plain, &bulk);
	else if (bulk.type == BULK_COMPARE)
		rc = compare_told(d, request, &bulk, err);
	else
		rc = refuse(err);
	buf_clear(&plain);
	return rc;
}

void bulk_stop(struct syncd *d)
{
	while (d->bulkings != NULL)
		answered(&d->bulkings->call, NULL);
}
