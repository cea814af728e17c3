/*
 * give - small contents to keepers, those for one keeper in one message (TAKE)
 *
 * A content that somebody wants pushed is a gift, with a part for each keeper
 * that is to have it: the first ones that did not fail lately.  A keeper has a
 * giver, which gives it all that wait in one message, and then those that
 * came meanwhile: the busier, the more at once.  A gift is over when all its
 * keepers have taken it.  When one has not, or not soon, it is pushed (push.c),
 * which tries others beside those that are slow; what a keeper has already
 * costs nothing more than the question.
 */
#include "syncd.h"

#include "clock.h"
#include "container.h"
#include "mem.h"

#include <unistd.h>

#define GIVE_BYTES (192u << 10)		/* of one message, about */
#define GIVE_LEAST_MS 100		/* is waited for an answer, at least */

_Static_assert(GIVE_BYTES + KEEP_ITEM_BYTES_MAX < SEAL_CONTENTS_PLAIN_BYTES && TAKE_ITEM_BYTES_MAX < GIVE_BYTES,
	       "a message with its head is no longer than it may be");

struct part {				/* of a gift, for one keeper */
	struct link link;		/* waits for its giver */
	struct gift *gift;
	uint64_t node;
	bool has;
};

struct gift {
	struct syncd *daemon;
	struct asker asker;
	struct buf wanted;		/* a sync_push, packed */
	struct sync_push push;		/* the same, which points into it */
	int fd;				/* owned */
	struct part parts[HOLDERS_MAX];
	size_t count, open;		/* parts; those that are not over */
};

struct giver {
	struct worker worker;
	struct link link;		/* in givers */
	uint64_t node;
	struct list parts;		/* that wait */
	bool runs;
};

/* gifts */

static void gift_free(struct gift *g)
{
	buf_clear(&g->wanted);
	if (g->fd >= 0)
		close(g->fd);
	free(g);
}

static void gift_answer(struct gift *g)
{
	struct sync_have have = { .count = 0 };
	struct buf body = BUF_INIT;

	for (size_t i = 0; i < g->count; i++)
		have.nodes[have.count++] = g->parts[i].node;
	sync_have_pack(&body, &have);
	asker_answer(&g->asker, SYNC_HAVE, buf_str(&body));
	buf_clear(&body);
}

/* It goes the way of all that are not small. */
static void gift_push(struct gift *g)
{
	struct serve_request *request = g->asker.request;

	g->asker.request = NULL;
	push_start(g->daemon, request, &g->push, g->fd);
	g->fd = -1;
}

static void part_over(struct part *part, bool has)
{
	struct gift *g = part->gift;
	bool all = true;

	part->has = has;
	if (--g->open > 0)
		return;
	for (size_t i = 0; i < g->count; i++)
		all = all && g->parts[i].has;
	if (all)
		gift_answer(g);
	else if (g->daemon->leaving)
		asker_end(&g->asker);
	else if (g->asker.request != NULL)	/* else the outbox knows */
		gift_push(g);
	gift_free(g);
}

static void gift_asker_gone(struct serve_request *request)
{
	struct gift *g = request->data;

	g->asker.request = NULL;
}

/* givers */

static struct giver *giver_find(struct syncd *d, uint64_t node)
{
	struct giver *giver;

	LIST_EACH(struct giver, known, &d->givers, link)
		if (known->node == node)
			return known;
	giver = mem_new(1, sizeof *giver);
	giver->node = node;
	list_append(&d->givers, &giver->link);
	return giver;
}

void givers_free(struct syncd *d)
{
	LIST_EACH(struct giver, giver, &d->givers, link) {
		list_remove(&giver->link);
		free(giver);
	}
}

/* As many as wait and one message holds. */
static size_t giver_take(struct giver *giver, struct part **parts)
{
	size_t bytes = 0, n = 0;
	struct part *part;

	while (n < TAKE_ITEMS_MAX && (part = LIST_FIRST(struct part, &giver->parts, link)) != NULL) {
		bytes += part->gift->push.record.size + KEEP_ITEM_BYTES_MAX;
		if (n > 0 && bytes > GIVE_BYTES)
			break;
		list_remove(&part->link);
		parts[n++] = part;
	}
	return n;
}

/* 0, or -1: the content cannot be read, which the push will say. */
static int part_add(const struct part *part, struct buf *to)
{
	const struct sync_push *push = &part->gift->push;
	struct take_item item = { .record = push->record, .type = push->type, .path = push->path };
	char bytes[TAKE_CONTENT_MAX];
	size_t n = (size_t)push->record.size;

	if (pread(part->gift->fd, bytes, n, 0) != (ssize_t)n)
		return -1;
	item.content = (struct str){ bytes, n };
	take_item_pack(to, &item);
	return 0;
}

/* Of so many parts what came of each; without an answer of none. */
static void giver_note(struct part **parts, size_t count, struct str states)
{
	for (size_t i = 0; i < count; i++) {
		enum take_state state = TAKE_NOT;

		take_state_next(&states, &state);
		part_over(parts[i], state == TAKE_HAS);
	}
}

static void giver_give(struct giver *giver, struct part **parts, size_t count)
{
	struct syncd *d = giver->worker.daemon;
	struct bulk question = bulk_ask(d, giver->node, BULK_TAKE), answer;
	struct buf items = BUF_INIT, plain = BUF_INIT;
	uint64_t began = clock_mono_ms(), due = push_patience_ms(d, giver->node);
	int rc = 0;

	due = began + (due > GIVE_LEAST_MS ? due : GIVE_LEAST_MS);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = part_add(parts[i], &items);
	question.body = buf_str(&items);
	if (rc == 0)
		rc = bulk_exchange(&giver->worker, &question, d->push_ms, &due, &plain, &answer);
	if (rc == 0)
		push_took(d, giver->node, clock_mono_ms() - began);
	giver_note(parts, count, rc == 0 ? answer.body : (struct str)STR_INIT);
	buf_clear(&items);
	buf_clear(&plain);
}

static void giver_run(struct worker *w)
{
	struct giver *giver = CONTAINER_OF(w, struct giver, worker);
	struct part *parts[TAKE_ITEMS_MAX];
	size_t n;

	while ((n = giver_take(giver, parts)) > 0) {
		if (worker_is_cut(w))
			giver_note(parts, n, (struct str)STR_INIT);
		else
			giver_give(giver, parts, n);
	}
	giver->runs = false;
}

static void part_wait(struct part *part)
{
	struct syncd *d = part->gift->daemon;
	struct giver *giver = giver_find(d, part->node);

	list_append(&giver->parts, &part->link);
	if (giver->runs)
		return;
	giver->runs = true;
	giver->worker = (struct worker){ .run = giver_run };
	worker_start(d, &giver->worker, d->push_threads);
}

/* The first keepers that did not fail lately; false: there are not as many as are wanted. */
static bool gift_choose(struct gift *g)
{
	const struct syncd *d = g->daemon;

	for (size_t i = 0; i < g->push.keeper_count && g->count < g->push.wanted; i++)
		if (g->push.keepers[i] != store_node(d->store) && !push_is_late(d, g->push.keepers[i]))
			g->parts[g->count++] = (struct part){ .gift = g, .node = g->push.keepers[i] };
	g->open = g->count;
	return g->count == g->push.wanted;
}

bool give_start(struct syncd *d, struct serve_request *request, const struct sync_push *wanted, int fd)
{
	struct gift *g;

	if (d->keys.count == 0 || wanted->record.size > TAKE_CONTENT_MAX)
		return false;
	g = mem_new(1, sizeof *g);
	g->daemon = d;
	g->fd = -1;
	sync_push_pack(&g->wanted, wanted);
	if (sync_push_unpack(buf_str(&g->wanted), &g->push, NULL) < 0 || !gift_choose(g)) {
		gift_free(g);
		return false;
	}
	g->fd = fd;
	g->asker.request = request;
	request->data = g;
	request->gone = gift_asker_gone;
	for (size_t i = 0; i < g->count; i++)
		part_wait(&g->parts[i]);
	return true;
}
