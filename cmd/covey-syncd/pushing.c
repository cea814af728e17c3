/*
 * pushing - PUSH: one content to its keepers
 *
 * As many keepers as are wanted are given it at once, in their order, those
 * that failed lately last.  One that refuses or breaks off is replaced by
 * the next; one that is silent for too long gets the next tried beside it.
 * The body is read from a descriptor that may still grow; then what it is
 * is told at the end (peer_http.h).
 */
#include "pushing.h"

#include "container.h"
#include "mem.h"
#include "peer_http.h"

#include <unistd.h>

#define HURRY_MS 30			/* at least, before the next is tried beside */
#define HURRY_FACTOR 4			/* of the usual time */
#define MIB_MS 60			/* more for each MiB */
#define PROBES 4			/* pushes at once to a keeper that failed lately */
#define EARLY_BYTES (256u << 10)	/* a larger body is not sent to one that has it */

static void start_some(struct pushing *p);

bool pushing_is_named(const struct pushing *p)
{
	return !version_is_none(p->record.version);
}

size_t pushing_have(const struct pushing *p, uint64_t nodes[HOLDERS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < p->count; i++)
		if (p->tries[i].state == TRY_HAS)
			nodes[count++] = p->tries[i].node;
	return count;
}

static size_t count_of(const struct pushing *p, enum try_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < p->count; i++)
		count += p->tries[i].state == state;
	return count;
}

bool pushing_is_done(const struct pushing *p)
{
	return count_of(p, TRY_HAS) + count_of(p, TRY_NEEDLESS) == p->count;
}

void pushing_free(struct pushing *p)
{
	struct syncd *d = p->daemon;

	for (size_t i = 0; i < p->count; i++)
		fetch_cancel(&p->tries[i].fetch);
	timer_stop(&p->hurry);
	timer_stop(&p->over);
	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		d->pushes = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	buf_clear(&p->path);
	buf_clear(&p->type);
	close(p->fd);
	free(p);
	service_touch(d->service);
	syncd_rest(d);
}

static void free_later(struct timer *timer)
{
	pushing_free(CONTAINER_OF(timer, struct pushing, over));
}

/* Nobody waits and nothing is under way: but not from within whatever is going on. */
static void rest(struct pushing *p)
{
	if (p->settled == NULL && pushing_is_named(p) && count_of(p, TRY_RUNNING) == 0) {
		p->over.fire = free_later;
		timer_start(p->daemon->loop, &p->over, 0);
	}
}

void pushing_leave(struct pushing *p)
{
	p->settled = NULL;
	timer_stop(&p->hurry);
	rest(p);
}

static void settle(struct pushing *p)
{
	void (*settled)(struct pushing *) = p->settled;
	size_t have = count_of(p, TRY_HAS);

	if (settled != NULL && pushing_is_named(p) &&
	    (have >= p->wanted ||
	     (count_of(p, TRY_RUNNING) == 0 && count_of(p, TRY_IDLE) == 0))) {
		p->settled = NULL;
		timer_stop(&p->hurry);
		settled(p);
	}
	rest(p);
}

/* one keeper */

static uint64_t patience(const struct pushing *p, const struct push_try *t)
{
	uint64_t usual = HURRY_FACTOR * peers_push_ms(p->daemon->peers, t->node);

	return (usual > HURRY_MS ? usual : HURRY_MS) + (p->available >> 20) * MIB_MS;
}

/* How long it may take to put it on disk there. */
static uint64_t answer_ms(const struct pushing *p)
{
	return p->daemon->push_ms + (p->available >> 20) * MIB_MS;
}

static void try_over(struct push_try *t, enum try_state state)
{
	struct pushing *p = t->pushing;
	struct peers *peers = p->daemon->peers;

	t->state = state;
	if (state == TRY_FAILED && t->early && pushing_is_named(p)) {
		/* the network may have lost it long ago: once more, with the whole */
		t->early = false;
		t->state = TRY_IDLE;
	} else if (state == TRY_HAS) {
		peers_push_done(peers, t->node, loop_now(p->daemon->loop) - t->since);
	} else if (state == TRY_FAILED) {
		peers_push_failed(peers, t->node);
	}
	start_some(p);
	settle(p);
}

static int on_head(struct fetch *fetch, const struct fetch_head *head, struct err *err)
{
	struct push_try *t = CONTAINER_OF(fetch, struct push_try, fetch);

	(void)err;
	peers_note(t->pushing->daemon->peers, t->node, NULL);
	t->status = head->status;
	if (t->status == 200 && t->pushing->available > EARLY_BYTES) {
		fetch_cancel(fetch);
		try_over(t, TRY_HAS);
	}
	return 0;
}

static int on_body(struct fetch *fetch, const void *bytes, size_t n, struct err *err)
{
	(void)fetch;
	(void)bytes;
	(void)n;
	(void)err;
	return 0;
}

static void on_end(struct fetch *fetch, const struct err *err)
{
	struct push_try *t = CONTAINER_OF(fetch, struct push_try, fetch);

	if (err != NULL) {
		peers_note(t->pushing->daemon->peers, t->node, err);
		try_over(t, TRY_FAILED);
		return;
	}
	try_over(t, t->status == 200 || t->status == 201 ? TRY_HAS :
		    t->status == 410 ? TRY_NEEDLESS : TRY_FAILED);
}

static void record_text(const struct pushing *p, struct buf *text)
{
	record_format(text, &p->record, buf_str(&p->type));
}

/* It was silent lately, and some are trying it already.  One that refuses is soon done with each. */
static bool is_crowded(const struct syncd *d, uint64_t node)
{
	size_t count = 0;

	if (!peers_sick(d->peers, node))
		return false;
	for (const struct pushing *p = d->pushes; p != NULL; p = p->next)
		for (size_t i = 0; i < p->count; i++)
			count += p->tries[i].node == node && p->tries[i].state == TRY_RUNNING;
	return count > PROBES;	/* this one among them */
}

static void start_try(struct push_try *t)
{
	struct pushing *p = t->pushing;
	bool named = pushing_is_named(p);
	struct buf target = BUF_INIT, record = BUF_INIT;
	struct sign_part field = { STR(PEER_PUSH), STR(PEER_PUSH_LATER) };

	path_to_target(&target, buf_str(&p->path), false);
	if (named) {
		record_text(p, &record);
		field.value = buf_str(&record);
	}
	t->status = 0;
	t->early = !named;
	t->since = loop_now(p->daemon->loop);
	t->fetch = (struct fetch){
		.method = FETCH_PUT, .peer = peers_http(p->daemon->peers, t->node),
		.target = buf_str(&target), .fields = &field, .field_count = 1, .node = t->node,
		.fd = p->fd, .available = p->available, .last = named,
		.first_byte_ms = answer_ms(p), .stall_ms = p->daemon->stall_ms,
		.head = on_head, .body = on_body, .end = on_end,
	};
	t->state = TRY_RUNNING;
	/* One that does not answer is not to have a connection of every writer. */
	if (t->fetch.peer == NULL || is_crowded(p->daemon, t->node) ||
	    fetch_start(p->daemon->fetcher, &t->fetch, NULL) < 0)
		t->state = TRY_FAILED;
	buf_clear(&target);
	buf_clear(&record);
}

/* all keepers */

/* The next to try: in order, those that failed lately after the others. */
static struct push_try *next_try(struct pushing *p)
{
	struct push_try *late = NULL;

	for (size_t i = 0; i < p->count; i++) {
		struct push_try *t = &p->tries[i];

		if (t->state != TRY_IDLE)
			continue;
		if (!peers_push_late(p->daemon->peers, t->node))
			return t;
		if (late == NULL)
			late = t;
	}
	return late;
}

/* False: nobody is left. */
static bool start_one(struct pushing *p)
{
	struct push_try *t;

	while ((t = next_try(p)) != NULL) {
		start_try(t);
		if (t->state == TRY_RUNNING)
			return true;
	}
	return false;
}

static void set_hurry(struct pushing *p)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < p->count; i++)
		if (p->tries[i].state == TRY_RUNNING && patience(p, &p->tries[i]) > longest)
			longest = patience(p, &p->tries[i]);
	if (longest > 0)
		timer_start(p->daemon->loop, &p->hurry, longest);
}

static void on_hurry(struct timer *timer)
{
	struct pushing *p = CONTAINER_OF(timer, struct pushing, hurry);

	if (start_one(p))
		set_hurry(p);
}

/* Until as many are under way as are still wanted. */
static void start_some(struct pushing *p)
{
	if (p->settled == NULL && pushing_is_named(p))
		return;
	while (count_of(p, TRY_HAS) + count_of(p, TRY_RUNNING) < p->wanted)
		if (!start_one(p))
			break;
}

struct pushing *pushing_begin(struct syncd *d, const struct sync_push *wanted, int fd,
			      uint64_t available)
{
	struct pushing *p = mem_new(1, sizeof *p);

	p->daemon = d;
	p->fd = fd;
	p->available = available;
	p->record = wanted->record;
	p->wanted = wanted->wanted;
	buf_addstr(&p->path, wanted->path);
	buf_addstr(&p->type, wanted->type);
	for (size_t i = 0; i < wanted->keeper_count; i++) {
		if (wanted->keepers[i] == store_node(d->store))
			continue;
		p->tries[p->count++] = (struct push_try){ .pushing = p, .node = wanted->keepers[i] };
	}
	p->hurry.fire = on_hurry;
	p->next = d->pushes;
	if (p->next != NULL)
		p->next->prev = p;
	d->pushes = p;
	return p;
}

void pushing_start(struct pushing *p)
{
	start_some(p);
	if (pushing_is_named(p))
		set_hurry(p);
	settle(p);
}

void pushing_more(struct pushing *p, uint64_t available)
{
	if (available <= p->available)
		return;
	p->available = available;
	for (size_t i = 0; i < p->count; i++)
		fetch_more(&p->tries[i].fetch, available);
}

void pushing_name(struct pushing *p, const struct record *record, struct str type)
{
	struct sign_part trailer = { STR(PEER_VERSION), STR_INIT };
	struct buf text = BUF_INIT;

	p->record = *record;
	buf_reset(&p->type);
	buf_addstr(&p->type, type);
	pushing_more(p, record->size);
	record_text(p, &text);
	trailer.value = buf_str(&text);
	for (size_t i = 0; i < p->count; i++) {
		struct push_try *t = &p->tries[i];

		t->since = loop_now(p->daemon->loop);
		t->fetch.first_byte_ms = answer_ms(p);
		if (t->state == TRY_RUNNING)
			fetch_last(&t->fetch, &trailer, 1);
		else if (t->state == TRY_FAILED)
			t->state = TRY_IDLE;
	}
	buf_clear(&text);
	start_some(p);
	set_hurry(p);
	settle(p);
}
