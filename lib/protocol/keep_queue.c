/* keep_queue - KEEP to one keeper: what it is asked next, and what it has not yet */
#include "keep_queue.h"

#include "bulk.h"

#define COMING_MS 200			/* before a batch of which some has come is asked about again */
#define PAUSE_MS 1000			/* after a pass: halved or doubled, up to */
#define PAUSE_MAX_MS 30000
#define STUCK_MS 4000			/* after such a pause nothing had come */

void keep_queue_clear(struct keep_queue *q)
{
	size_t limit = q->limit;

	buf_clear(&q->ready);
	buf_clear(&q->sent);
	buf_clear(&q->rest);
	*q = (struct keep_queue){ .limit = limit };
}

static size_t remembered(const struct keep_queue *q)
{
	return q->rest.len + q->again + (q->sent_again ? q->sent.len : 0);
}

bool inquiry_is_full(const struct keep_queue *q)
{
	return !q->stuck && remembered(q) > q->limit / 2;
}

bool inquiry_is_over(const struct keep_queue *q)
{
	return q->ready.len + q->sent.len + q->rest.len == 0;
}

static void put_before(struct buf *to, struct str items)
{
	struct buf all = BUF_INIT;

	buf_addstr(&all, items);
	buf_addstr(&all, buf_str(to));
	buf_clear(to);
	*to = all;
}

void keep_queue_add(struct keep_queue *q, struct str items)
{
	buf_addstr(&q->ready, items);
}

bool keep_queue_next(struct keep_queue *q, size_t max)
{
	size_t n = q->again > 0 ? q->again : q->ready.len;
	struct str rest = { q->ready.data, n };
	struct keep_item item;

	if (q->sent.len > 0 || n == 0 || (q->pausing && q->again > 0))
		return false;
	while (n - rest.n < max && keep_item_next(&rest, &item) == 1)
		;
	q->sent_again = q->again > 0;
	buf_add(&q->sent, q->ready.data, n - rest.n);
	buf_drop(&q->ready, q->sent.len);
	if (q->sent_again)
		q->again -= q->sent.len;
	return true;
}

/* How long to wait, when that is not known already. */
static uint64_t pause_for(struct keep_queue *q, uint64_t ms)
{
	if (q->pausing)
		return 0;
	q->pausing = true;
	return ms;
}

/* Somebody may have to wait now: all has been asked about, and some is left. */
static uint64_t end_pass(struct keep_queue *q)
{
	uint64_t pause = q->come ? q->pause_ms / 2 : q->pause_ms * 2;

	if (q->ready.len > 0 || q->rest.len == 0 || q->pausing)
		return 0;
	q->stuck = q->stuck || (!q->come && q->pause_ms > STUCK_MS);
	q->come = false;
	if (pause < PAUSE_MS)
		pause = PAUSE_MS;
	q->pause_ms = pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
	return pause_for(q, q->pause_ms);
}

/* Of what was sent: what it has not, and whether it has some. */
static bool compare(const struct buf *sent, struct str states, struct buf *lacks)
{
	struct str rest = buf_str(sent), item_text;
	struct keep_item item;
	enum keep_state state;
	bool some = false;

	for (item_text = rest; keep_item_next(&rest, &item) == 1; item_text = rest) {
		item_text.n -= rest.n;
		if (keep_state_next(&states, &state) == 1 && state == KEEP_HAVE)
			some = true;
		else
			buf_addstr(lacks, item_text);
	}
	return some;
}

/* Remember new ones that it has not, as many as may be. */
static void remember(struct keep_queue *q, struct str items)
{
	size_t room = q->limit > remembered(q) ? q->limit - remembered(q) : 0;
	struct str rest = items, before = items;
	struct keep_item item;

	while (keep_item_next(&rest, &item) == 1 && items.n - rest.n <= room)
		before = rest;
	q->missed = q->missed || before.n > 0;
	buf_add(&q->rest, items.s, items.n - before.n);
}

uint64_t keep_queue_answered(struct keep_queue *q, struct str states)
{
	struct buf lacks = BUF_INIT;
	bool again = q->sent_again, some = compare(&q->sent, states, &lacks);
	uint64_t wait = 0;

	buf_reset(&q->sent);
	q->sent_again = false;
	if (again && some) {
		q->come = true;
		q->stuck = false;
		put_before(&q->ready, buf_str(&lacks));
		q->again += lacks.len;
		if (lacks.len > 0)
			wait = pause_for(q, COMING_MS);
	} else if (again) {
		buf_addstr(&q->rest, buf_str(&lacks));
	} else {
		remember(q, buf_str(&lacks));
	}
	buf_clear(&lacks);
	return wait > 0 ? wait : end_pass(q);
}

uint64_t keep_queue_failed(struct keep_queue *q)
{
	struct str new_ones = { q->ready.data + q->again, q->ready.len - q->again };

	if (q->sent_again)
		buf_addstr(&q->rest, buf_str(&q->sent));
	buf_add(&q->rest, q->ready.data, q->again);
	q->again = 0;
	if (!q->sent_again)
		remember(q, buf_str(&q->sent));
	remember(q, new_ones);
	buf_reset(&q->sent);
	buf_reset(&q->ready);
	q->sent_again = false;
	q->come = false;
	q->stuck = true;
	return end_pass(q);
}

void keep_queue_due(struct keep_queue *q)
{
	q->pausing = false;
	if (q->again > 0)
		return;
	put_before(&q->ready, buf_str(&q->rest));
	q->again = q->rest.len;
	buf_reset(&q->rest);
}
