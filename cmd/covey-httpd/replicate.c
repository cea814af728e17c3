/* replicate - a version that this node's disk has, on its way to its homes and keepers */
#include "replicate.h"

#include "backoff.h"
#include "container.h"
#include "group.h"
#include "httpd.h"
#include "mem.h"
#include "quorum.h"
#include "sync_talk.h"

#define HOMES_RETRY_MS 250	/* until homes of which no majority answered are asked again, at first */
#define HOMES_RETRY_MAX_MS 4000	/* and at most */
#define HOMES_LAST_MS 500	/* what the last try leaves them to answer */
#define AFTER_MS 500		/* STORE: for the homes that answer after a majority */
#define HOLD_MS 200		/* STORE waits so long for a push to homes */
#define LOOK_MS 20		/* for a layout that is known to be there */
#define GROWING_MS 10000	/* covey-syncd's answer while a body arrives */
#define LARGE_MS 60000		/* to push a large content */

/* The content on its way to some keepers. */
struct push {
	struct sync_push to;		/* keepers; path, record and type are filled in when it is sent */
	uint64_t epoch;			/* of the layout whose keepers they are */
	uint64_t token;			/* covey-syncd's, of a body that grows; 0: none */
	uint64_t told;			/* bytes that covey-syncd knows of */
	struct call call;		/* BEGIN, then NAME; or PUSH */
	struct call more;
};

struct replicate {
	struct worker *worker;
	void (*changed)(void *owner);
	void *owner;
	struct str path;
	const struct record *record;	/* NULL: not chosen yet, the body still arrives */
	const char *type;
	int fd;
	bool left;			/* nobody waits for it */
	bool majority, every_home;	/* has the record */
	bool pushing;			/* `push` is under way */
	bool grows;			/* its body was large enough to be pushed as it grows */
	bool passed_over;		/* a keeper could not be had */
	struct layout layout;		/* of now */
	uint64_t until;			/* ms, loop's clock: so long somebody waits */
	/* homes */
	struct call store;
	struct timer store_later;	/* so long it waits for the push, or for the next try */
	uint64_t store_began;		/* ms, loop's clock; 0: it waits for the push */
	unsigned tries;			/* that reached no majority */
	uint64_t epoch;			/* of the layout whose majority it was; 0: none yet */
	unsigned homes, homes_answered;
	struct timer look;		/* for a newer layout */
	/* keepers */
	struct push push;
	uint64_t size;			/* bytes of a body that grows which are in fd */
	uint64_t have[HOLDERS_MAX];	/* disks with the content, without this one; members or not */
	size_t have_count;
	uint64_t exhausted;		/* epoch of a layout of whose members no more could be had */
};

static uint64_t self_id(const struct replicate *r)
{
	return store_node(r->worker->httpd->store);
}

/* copies: the disks that have the content */

static bool is_among(const uint64_t *ids, size_t count, uint64_t id)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static bool has_copy(const struct replicate *r, uint64_t id)
{
	return id == self_id(r) || is_among(r->have, r->have_count, id);
}

/* This disk and those of members: who left the layout meanwhile counts no more. */
static size_t copies_counted(const struct replicate *r)
{
	size_t count = 1;

	for (size_t i = 0; i < r->have_count; i++)
		count += layout_may_keep(&r->layout, r->have[i]);
	return count;
}

/* By the layout of now: disks that must have it before it is confirmed. */
static size_t copies_missing(const struct replicate *r)
{
	size_t needed = record_has_content(r->record) ?
				1 + layout_copies_beside(&r->layout, self_id(r)) : 0;
	size_t there = copies_counted(r);

	return needed > there ? needed - there : 0;
}

/* With one copy the node that made it is the keeper. */
static size_t keepers_missing(const struct replicate *r)
{
	struct layout_order order;
	size_t missing = 0, copies = layout_copies(&r->layout);

	if (!record_has_content(r->record) || r->layout.copies <= 1)
		return 0;
	layout_keepers(&r->layout, r->path, &order);
	for (size_t i = 0; i < copies && i < order.count; i++)
		missing += !has_copy(r, order.ids[i]);
	return missing;
}

/* what has been reached */

/* The homes answered by a layout that this process has not been told of yet. */
static bool is_behind(const struct replicate *r)
{
	return r->epoch > r->layout.epoch;
}

static bool is_storing(const struct replicate *r)
{
	return r->store.caller != NULL || r->store_later.loop != NULL;
}

enum replicate_state replicate_state(const struct replicate *r)
{
	if (r->majority && copies_missing(r) == 0 && !is_behind(r))
		return REPLICATE_CONFIRMED;
	if ((!r->majority && !is_storing(r)) || (!r->pushing && copies_missing(r) > 0))
		return REPLICATE_HOPELESS;
	return REPLICATE_OPEN;
}

struct replicate_counts replicate_counts(const struct replicate *r)
{
	return (struct replicate_counts){ .homes_answered = r->homes_answered, .homes = r->homes,
					  .copies = (unsigned)copies_counted(r) };
}

uint64_t replicate_epoch(const struct replicate *r)
{
	return r->epoch;
}

bool replicate_is_over(const struct replicate *r)
{
	return !is_storing(r) && !r->pushing;
}

bool replicate_is_complete(const struct replicate *r)
{
	return r->every_home && keepers_missing(r) == 0 && !is_behind(r);
}

static void changed(struct replicate *r);
static void store_at_homes(struct replicate *r);

/* keepers */

/*
 * To the keepers that have not got it, `wanted` of them.  The first are those
 * of the layout, then the other members.
 */
static bool push_to_keepers(struct replicate *r, size_t wanted)
{
	struct push *p = &r->push;
	struct layout_order order;

	if (r->worker->sync == NULL || r->fd < 0 || r->pushing || wanted == 0)
		return false;
	*p = (struct push){ .epoch = r->layout.epoch, .call = CALL_INIT, .more = CALL_INIT };
	layout_keepers(&r->layout, r->path, &order);
	for (size_t i = 0; i < order.count && p->to.keeper_count < HOLDERS_MAX; i++)
		if (!has_copy(r, order.ids[i]))
			p->to.keepers[p->to.keeper_count++] = order.ids[i];
	p->to.wanted = (uint8_t)wanted;
	r->pushing = p->to.keeper_count > 0;
	return r->pushing;
}

static uint64_t push_ms(const struct replicate *r)
{
	return r->record->size > LARGE_BYTES ? LARGE_MS : r->worker->httpd->conf->timeouts.push_ms;
}

static void push_send(struct replicate *r, enum sync_talk type, uint64_t limit_ms,
		      void (*answer)(struct call *, struct frame *))
{
	struct push *p = &r->push;
	struct buf body = BUF_INIT;

	p->to.path = r->path;
	if (r->record != NULL) {
		p->to.record = *r->record;
		p->to.type = str_of(r->type);
	}
	p->call.answer = answer;
	sync_push_pack(&body, &p->to);
	call_start_with(r->worker->sync, &p->call, (uint8_t)type, buf_str(&body), r->fd, limit_ms);
	buf_clear(&body);
}

/* Keepers that were not needed for the answer. */
static void push_rest(struct replicate *r);

static void push_note_have(struct replicate *r, const struct frame *frame)
{
	struct push *p = &r->push;
	struct sync_have have = { .count = 0 };
	size_t before = r->have_count;

	if (frame != NULL && sync_have_unpack(frame->body, &have, NULL) < 0)
		have.count = 0;
	for (size_t i = 0; i < have.count && r->have_count < HOLDERS_MAX; i++)
		if (!has_copy(r, have.nodes[i]))
			r->have[r->have_count++] = have.nodes[i];
	if (r->have_count - before < p->to.wanted)
		r->exhausted = p->epoch;
	r->passed_over |= have.count == 0;
	for (size_t i = 0; i < have.count && i < p->to.keeper_count; i++)
		r->passed_over |= !is_among(have.nodes, have.count, p->to.keepers[i]);
}

static void push_answered(struct call *call, struct frame *frame)
{
	struct push *p = CONTAINER_OF(call, struct push, call);
	struct replicate *r = CONTAINER_OF(p, struct replicate, push);
	bool have = frame != NULL && frame->type == SYNC_HAVE;

	call_finish(call);
	if (!have && p->token != 0) {
		p->token = 0;		/* covey-syncd lost it: it is pushed whole */
		push_send(r, SYNC_PUSH, push_ms(r), push_answered);
		return;
	}
	push_note_have(r, have ? frame : NULL);
	call_finish(&p->more);
	r->pushing = false;
	if (r->left)
		push_rest(r);
	if (r->store_began == 0)
		store_at_homes(r);
	changed(r);
}

/* Its version is on this disk: the keepers may have it. */
static void push_name(struct replicate *r)
{
	struct push *p = &r->push;
	struct sync_name name = { .token = p->token, .record = *r->record,
				  .type = str_of(r->type) };
	struct buf body = BUF_INIT;

	if (p->token == 0) {
		push_send(r, SYNC_PUSH, push_ms(r), push_answered);
		return;
	}
	p->call.answer = push_answered;
	sync_name_pack(&body, &name);
	call_start(r->worker->sync, &p->call, SYNC_PUSH_NAME, buf_str(&body), push_ms(r));
	buf_clear(&body);
}

static void push_rest(struct replicate *r)
{
	if (!r->passed_over && push_to_keepers(r, keepers_missing(r)))
		push_name(r);
}

/* What the layout of now asks for, while somebody waits for it. */
static void push_more(struct replicate *r)
{
	if (r->exhausted != r->layout.epoch && push_to_keepers(r, copies_missing(r)))
		push_name(r);
}

/* a body that grows */

static void growth_tell(struct replicate *r);

static void growth_told(struct call *call, struct frame *frame)
{
	struct push *p = CONTAINER_OF(call, struct push, more);
	struct replicate *r = CONTAINER_OF(p, struct replicate, push);

	call_finish(call);
	if (r->record == NULL && (frame == NULL || frame->type != SYNC_DONE))
		p->token = 0;
	growth_tell(r);
}

/* One at a time: what comes meanwhile is told together. */
static void growth_tell(struct replicate *r)
{
	struct push *p = &r->push;
	struct buf body = BUF_INIT;

	if (!r->pushing || p->token == 0 || p->more.caller != NULL || p->told == r->size ||
	    r->record != NULL)
		return;
	p->told = r->size;
	p->more.answer = growth_told;
	sync_more_pack(&body, &(struct sync_more){ p->token, r->size });
	call_start(r->worker->sync, &p->more, SYNC_PUSH_MORE, buf_str(&body), GROWING_MS);
	buf_clear(&body);
}

static void growth_begun(struct call *call, struct frame *frame)
{
	struct push *p = CONTAINER_OF(call, struct push, call);
	struct replicate *r = CONTAINER_OF(p, struct replicate, push);

	if (frame != NULL && frame->type == SYNC_TOKEN)
		sync_token_unpack(frame->body, &p->token, NULL);
	call_finish(call);
	if (r->record != NULL)
		push_name(r);
	else
		growth_tell(r);
}

void replicate_grown(struct replicate *r, uint64_t bytes)
{
	r->size = bytes;
	if (!r->grows && bytes >= LARGE_BYTES) {
		r->grows = true;
		group_layout(r->worker->httpd->group, &r->layout);
		if (push_to_keepers(r, layout_copies_beside(&r->layout, self_id(r))))
			push_send(r, SYNC_PUSH_BEGIN, GROWING_MS, growth_begun);
	}
	growth_tell(r);
}

static void push_end(struct replicate *r)
{
	struct push *p = &r->push;
	struct call drop = CALL_INIT;
	struct buf body = BUF_INIT;

	if (!r->pushing)
		return;
	call_cancel(&p->call);
	call_finish(&p->more);
	if (p->token == 0 || r->record != NULL)
		return;
	sync_token_pack(&body, p->token);
	call_start(r->worker->sync, &drop, SYNC_PUSH_DROP, buf_str(&body), 0);
	call_finish(&drop);	/* sent, or not: then it goes with covey-syncd */
	buf_clear(&body);
}

/* homes */

uint64_t replicate_pause_ms(unsigned tries, uint64_t left_ms)
{
	uint64_t pause = backoff_ms(HOMES_RETRY_MS, HOMES_RETRY_MAX_MS, tries);

	if (left_ms <= HOMES_LAST_MS)
		return left_ms;
	return pause < left_ms - HOMES_LAST_MS ? pause : left_ms - HOMES_LAST_MS;
}

/* While somebody waits for a majority.  A STORE that failed at once would fail at once again. */
static void store_again_later(struct replicate *r)
{
	uint64_t now = loop_now(r->worker->loop);
	uint64_t left = r->until > now ? r->until - now : 0;
	uint64_t pause = replicate_pause_ms(r->tries, left);

	if (r->majority || r->left || now < r->store_began + HOMES_RETRY_MS || pause == left)
		return;
	r->tries++;
	timer_start(r->worker->loop, &r->store_later, pause);
}

static void store_take(struct replicate *r, const struct store_answer *answer)
{
	if (answer->confirmed && !r->majority)
		r->epoch = answer->epoch;
	r->majority |= answer->confirmed;
	r->every_home |= answer->all;
	r->homes = answer->counts.homes;
	r->homes_answered = answer->counts.homes_answered;
}

static void store_answered(struct call *call, struct frame *frame)
{
	struct replicate *r = CONTAINER_OF(call, struct replicate, store);
	struct store_answer answer;

	if (frame == NULL || frame->type != VERSION_TALK_STORED ||
	    store_answer_unpack(frame->body, &answer, NULL) < 0) {
		call_finish(call);
	} else {
		store_take(r, &answer);
		if (answer.last) {
			call_finish(call);
			store_again_later(r);
		}
	}
	changed(r);
}

static void store_at_homes(struct replicate *r)
{
	struct store_ask question = { .path = r->path, .record = *r->record,
				      .type = str_of(r->type) };
	struct buf body = BUF_INIT;

	timer_stop(&r->store_later);
	r->store_began = loop_now(r->worker->loop);
	r->store.answer = store_answered;
	store_ask_pack(&body, &question);
	call_start(r->worker->version, &r->store, VERSION_TALK_STORE, buf_str(&body),
		   r->worker->httpd->conf->timeouts.store_ms + AFTER_MS);
	buf_clear(&body);
}

static void store_due(struct timer *timer)
{
	store_at_homes(CONTAINER_OF(timer, struct replicate, store_later));
}

/* The homes by the layout of now; this node has the record. */
static void homes_begin(const struct replicate *r, struct quorum *quorum)
{
	quorum_begin(quorum);
	quorum_add(quorum, &r->layout, path_partition(r->path));
	quorum_answered(quorum, self_id(r));
}

/*
 * A home that is given the content needs no pointer to it, which it would
 * have to put on disk and then to replace.  So STORE waits for the push when
 * this node and the keepers it pushes to are a majority of the homes.
 */
static bool push_reaches_majority(const struct replicate *r)
{
	const struct sync_push *to = &r->push.to;
	struct quorum quorum;

	if (!r->pushing || r->record->size > LARGE_BYTES)
		return false;
	homes_begin(r, &quorum);
	for (size_t i = 0; i < to->wanted && i < to->keeper_count; i++)
		quorum_answered(&quorum, to->keepers[i]);
	return quorum_reached(&quorum);
}

/* The homes there are, and this one of them, until more is told. */
static void homes_count(struct replicate *r)
{
	struct quorum quorum;
	uint32_t answered, homes;

	homes_begin(r, &quorum);
	quorum_tell(&quorum, &answered, &homes);
	r->homes_answered = answered;
	r->homes = homes;
}

/* the whole */

static void look_again(struct timer *timer)
{
	changed(CONTAINER_OF(timer, struct replicate, look));
}

/* The owner may free it. */
static void changed(struct replicate *r)
{
	group_layout(r->worker->httpd->group, &r->layout);
	if (!r->left) {
		push_more(r);
		if (is_behind(r))
			timer_start(r->worker->loop, &r->look, LOOK_MS);
	}
	r->changed(r->owner);
}

struct replicate *replicate_new(struct worker *w, struct str path, int fd,
				void (*on_change)(void *owner), void *owner)
{
	struct replicate *r = mem_new(1, sizeof *r);

	r->worker = w;
	r->changed = on_change;
	r->owner = owner;
	r->path = path;
	r->fd = fd;
	r->store = (struct call)CALL_INIT;
	r->store_later.fire = store_due;
	r->look.fire = look_again;
	return r;
}

void replicate_start(struct replicate *r, const struct record *record, const char *type,
		     uint64_t wait_ms)
{
	r->record = record;
	r->type = type;
	r->until = loop_now(r->worker->loop) + wait_ms;
	group_layout(r->worker->httpd->group, &r->layout);
	homes_count(r);
	if (r->pushing ? r->push.call.caller == NULL : push_to_keepers(r, copies_missing(r)))
		push_name(r);		/* else when the answer to BEGIN has come */
	if (push_reaches_majority(r))
		timer_start(r->worker->loop, &r->store_later, HOLD_MS);
	else
		store_at_homes(r);
}

void replicate_leave(struct replicate *r)
{
	r->left = true;
	push_rest(r);
}

void replicate_free(struct replicate *r)
{
	if (r == NULL)
		return;
	call_finish(&r->store);
	push_end(r);
	timer_stop(&r->store_later);
	timer_stop(&r->look);
	free(r);
}
