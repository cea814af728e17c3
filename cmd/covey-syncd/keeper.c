/*
 * keeper - KEEP to one keeper: what it is asked, and what it has not yet
 *
 * What is asked when is keep_queue.h's; here are the messages.  A keeper that
 * is this node itself is asked as any other, without a message.
 */
#include "keeping.h"

#include "container.h"

#define BATCH_BYTES (56u << 10)
#define ANSWER_MS 30000

static void on_again(struct timer *timer)
{
	struct keeper *to = CONTAINER_OF(timer, struct keeper, again);

	keep_queue_due(&to->keep_queue);
	keeping_go_on(to->keeping);
}

static void go_on(struct keeper *to, uint64_t wait)
{
	if (wait > 0)
		timer_start(to->keeping->daemon->loop, &to->again, wait);
	keeping_go_on(to->keeping);
}

/* Of an answer, or of none. */
static void note_trouble(struct keeper *to, bool answered, struct str states)
{
	enum keep_state state;

	to->trouble[0] = '\0';
	if (!answered)
		snprintf(to->trouble, sizeof to->trouble, "it does not answer");
	while (answered && keep_state_next(&states, &state) == 1)
		if (state == KEEP_FULL)
			snprintf(to->trouble, sizeof to->trouble, "its disk is full");
	keeping_heard(to->keeping);
}

static void posted(struct posting *posting, const struct err *err)
{
	struct keeper *to = CONTAINER_OF(posting, struct keeper, posting);
	struct syncd *d = to->keeping->daemon;
	struct buf plain = BUF_INIT;
	struct bulk bulk;
	uint64_t wait;
	bool counts;

	peers_note(d->peers, to->id, err);
	counts = err == NULL && bulk_open(d, buf_str(&posting->answer), &plain, &bulk) == 0 &&
		 bulk_judge(&to->question, &bulk) == BULK_COUNTS;
	note_trouble(to, counts, counts ? bulk.body : STR(""));
	if (counts)
		wait = keep_queue_answered(&to->keep_queue, bulk.body);
	else
		wait = keep_queue_failed(&to->keep_queue);
	buf_clear(&plain);
	go_on(to, wait);
}

static void own_looked(void *data, struct str states)
{
	struct keeper *to = data;

	to->own = NULL;
	go_on(to, keep_queue_answered(&to->keep_queue, states));
}

static void post(struct keeper *to)
{
	struct syncd *d = to->keeping->daemon;
	const struct address *peer = peers_http(d->peers, to->id);
	struct bulk bulk = bulk_ask(d, to->id, BULK_KEEP);
	struct buf packet = BUF_INIT;
	struct err err;

	if (peer == NULL) {
		err_set(&err, ERR_AWAY, "keep: the keeper is not known");
		posted(&to->posting, &err);
		return;
	}
	to->question = bulk;
	bulk.body = buf_str(&to->keep_queue.sent);
	bulk_seal(d, &bulk, &packet);
	to->posting.done = posted;
	posting_start(d, &to->posting, peer, "sync", buf_str(&packet), ANSWER_MS);
	buf_clear(&packet);
}

void keeper_send(struct keeper *to)
{
	struct syncd *d = to->keeping->daemon;

	if (!keep_queue_next(&to->keep_queue, BATCH_BYTES))
		return;
	if (to->id == store_node(d->store))
		to->own = keep_own(d, buf_str(&to->keep_queue.sent), own_looked, to);
	else
		post(to);
}

void keeper_init(struct keeper *to, struct keeping *keeping, uint64_t id)
{
	*to = (struct keeper){ .keeping = keeping, .id = id, .keep_queue = KEEP_QUEUE_INIT,
			       .again.fire = on_again };
}

void keeper_clear(struct keeper *to)
{
	if (to->own != NULL)
		keep_own_forget(to->own);
	to->own = NULL;
	posting_clear(&to->posting);
	timer_stop(&to->again);
	buf_clear(&to->collected);
	keep_queue_clear(&to->keep_queue);
}
