/*
 * comparing - COMPARE: homes that differ are to take from each other what they lack
 *
 * Whoever found out, home or not, tells every home of the partition, himself
 * among them.  Nothing depends on it: who does not hear it compares within
 * the hour.
 */
#include "syncd.h"

#include "container.h"
#include "mem.h"
#include "quorum.h"

#define PATIENCE_MS 2000

struct comparing {
	struct syncd *daemon;
	struct comparing *next, *prev;
	struct posting posting;
};

static void comparing_free(struct comparing *c)
{
	struct syncd *d = c->daemon;

	posting_clear(&c->posting);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		d->comparings = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	free(c);
	syncd_rest(d);
}

static void told(struct posting *posting, const struct err *err)
{
	(void)err;
	comparing_free(CONTAINER_OF(posting, struct comparing, posting));
}

static void tell(struct syncd *d, uint64_t home, unsigned partition)
{
	const struct address *address = peers_http(d->peers, home);
	struct bulk bulk = bulk_ask(d, home, BULK_COMPARE);
	struct buf body = BUF_INIT, packet = BUF_INIT;
	struct comparing *c;

	if (address == NULL)
		return;
	c = mem_new(1, sizeof *c);
	c->daemon = d;
	c->next = d->comparings;
	if (c->next != NULL)
		c->next->prev = c;
	d->comparings = c;
	sync_compare_pack(&body, partition);
	bulk.body = buf_str(&body);
	bulk_seal(d, &bulk, &packet);
	c->posting.done = told;
	posting_start(d, &c->posting, address, "sync", buf_str(&packet), PATIENCE_MS);
	buf_clear(&body);
	buf_clear(&packet);
}

int compare_ask(struct syncd *d, struct serve_request *request, struct frame *frame,
		struct err *err)
{
	uint64_t homes[QUORUM_HOMES_MAX], self = store_node(d->store);
	struct quorum quorum;
	unsigned partition;
	size_t count;

	if (sync_compare_unpack(frame->body, &partition, err) < 0)
		return -1;
	quorum_begin(&quorum);
	quorum_add(&quorum, peers_layout(d->peers), partition);
	count = quorum_homes(&quorum, homes);
	for (size_t i = 0; i < count; i++)
		if (homes[i] != self)
			tell(d, homes[i], partition);
	if (d->syncing != NULL)
		syncing_compare(d->syncing, partition);
	serve_reply(request, SYNC_DONE, (struct str)STR_INIT, NULL, 0);
	serve_end(request);
	return 0;
}

int compare_told(struct syncd *d, struct serve_request *request, const struct bulk *bulk,
		 struct err *err)
{
	unsigned partition;

	if (sync_compare_unpack(bulk->body, &partition, err) < 0)
		return -1;
	syncing_compare(d->syncing, partition);
	bulk_reply(d, request, bulk, BULK_COMPARED, (struct str)STR_INIT);
	return 0;
}

void compare_stop(struct syncd *d)
{
	while (d->comparings != NULL)
		comparing_free(d->comparings);
}
