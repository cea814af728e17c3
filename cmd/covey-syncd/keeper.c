/*
 * keeper - KEEP to one keeper: what it is asked, and what it has not yet
 *
 * Items go in batches, one at a time.  What is not HAVE is asked about again,
 * ever later; of a keeper that does not answer, everything.
 */
#include "keeping.h"

#include "container.h"
#include "mem.h"

#define UNSURE_BYTES (8u << 20)		/* remembered of one keeper; the next round asks about the rest */
#define BATCH_BYTES (56u << 10)
#define AGAIN_MS 1000			/* doubled up to */
#define AGAIN_MAX_MS 30000
#define ANSWER_MS 30000

static void on_again(struct timer *timer)
{
	struct keeper *to = CONTAINER_OF(timer, struct keeper, again);

	buf_addstr(&to->ready, buf_str(&to->unsure));
	buf_reset(&to->unsure);
	keeping_go_on(to->keeping);
}

void keeper_later(struct keeper *to)
{
	timer_start(to->keeping->daemon->loop, &to->again, to->again_ms);
	to->again_ms = to->again_ms * 2 > AGAIN_MAX_MS ? AGAIN_MAX_MS : to->again_ms * 2;
}

static void not_sure(struct keeper *to, struct str items)
{
	if (to->unsure.len + items.n <= UNSURE_BYTES)
		buf_addstr(&to->unsure, items);
	else
		to->keeping->incomplete = true;
}

/* Compare the answer with what was sent. */
static void judge(struct keeper *to, struct str states)
{
	struct str rest = buf_str(&to->sent), item_text;
	struct keep_item item;
	enum keep_state state;

	for (item_text = rest; keep_item_next(&rest, &item) == 1; item_text = rest) {
		item_text.n -= rest.n;
		if (keep_state_next(&states, &state) != 1 || state != KEEP_HAVE)
			not_sure(to, item_text);
	}
}

static void posted(struct posting *posting, const struct err *err)
{
	struct keeper *to = CONTAINER_OF(posting, struct keeper, posting);
	struct syncd *d = to->keeping->daemon;
	struct buf plain = BUF_INIT;
	struct bulk bulk;

	peers_note(d->peers, to->id, err);
	if (err == NULL && bulk_open(d, buf_str(&posting->answer), &plain, &bulk) == 0 &&
	    bulk.type == BULK_KEPT) {
		judge(to, bulk.body);
		buf_reset(&to->sent);
	} else {
		not_sure(to, buf_str(&to->sent));
		not_sure(to, buf_str(&to->ready));
		buf_reset(&to->sent);
		buf_reset(&to->ready);
	}
	buf_clear(&plain);
	keeping_go_on(to->keeping);
}

/* What is kept here itself. */
static void pull_own(struct keeper *to)
{
	struct str rest = buf_str(&to->ready);
	struct keep_item item;

	while (keep_item_next(&rest, &item) == 1)
		if (!keep_pull(to->keeping->daemon, &item, item.record.version.node))
			break;		/* no room for more: the rest is asked for again */
	buf_drop(&to->ready, to->ready.len - rest.n);
	if (to->ready.len > 0) {
		not_sure(to, buf_str(&to->ready));
		buf_reset(&to->ready);
	}
}

void keeper_send(struct keeper *to)
{
	struct syncd *d = to->keeping->daemon;
	const struct address *peer = peers_http(d->peers, to->id);
	struct str rest = buf_str(&to->ready), before = rest;
	struct bulk bulk = bulk_begin(d, BULK_KEEP);
	struct buf packet = BUF_INIT;
	struct keep_item item;

	if (to->id == store_node(d->store)) {
		pull_own(to);
		return;
	}
	while (to->ready.len - rest.n < BATCH_BYTES && keep_item_next(&rest, &item) == 1)
		before = rest;
	buf_add(&to->sent, to->ready.data, to->ready.len - before.n);
	buf_drop(&to->ready, to->sent.len);
	if (peer == NULL) {
		struct err err;

		err_set(&err, ERR_AWAY, "keep: the keeper is not known");
		posted(&to->posting, &err);
		return;
	}
	bulk.body = buf_str(&to->sent);
	bulk_seal(d, &bulk, &packet);
	to->posting.done = posted;
	posting_start(d, &to->posting, peer, "sync", buf_str(&packet), ANSWER_MS);
	buf_clear(&packet);
}

void keeper_init(struct keeper *to, struct keeping *keeping, uint64_t id)
{
	*to = (struct keeper){ .keeping = keeping, .id = id, .again_ms = AGAIN_MS,
			       .again.fire = on_again };
}

void keeper_clear(struct keeper *to)
{
	posting_clear(&to->posting);
	timer_stop(&to->again);
	buf_clear(&to->collected);
	buf_clear(&to->ready);
	buf_clear(&to->sent);
	buf_clear(&to->unsure);
}
