/*
 * lost - LOST: contents that were here and are bad, to be had again
 *
 * Each is asked for at once, of everybody who might have it, then again,
 * ever later, until it is here or the version is known no more; and when
 * somebody returns.  What this node is no keeper of is left to whoever reads
 * it.  A restart forgets: the homes ask a keeper every hour, too (keeping.c).
 */
#include "syncd.h"

#include "container.h"
#include "log.h"
#include "mem.h"

#define BYTES (4u << 20)		/* of items; what is more, the homes ask for */
#define AGAIN_MS 2000			/* doubled up to */
#define AGAIN_MAX_MS 600000

struct lost {
	struct syncd *daemon;
	struct buf items;
	struct buf looked;		/* the job's: those that it is about, then what is left of them */
	struct timer again;
	uint64_t again_ms;
	struct job job;
	bool full;			/* the job's: there is no room for what would come */
	bool working, stopping;
};

/* It is still to be had. */
static bool is_wanted(struct store *store, const struct keep_item *item)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct buf path = BUF_INIT;
	struct err err;
	bool wanted;

	if (store_version(store, item->path, item->record.version, STORE_RECORD, &entry, &err) < 0)
		return err.kind != ERR_ABSENT;
	wanted = !entry.content;
	store_entry_clear(&entry);
	if (!wanted) {
		path_to_target(&path, item->path, false);
		log_line(LOG_LEVEL_INFO, "scrub: %s is whole again", path.data);
		buf_clear(&path);
	}
	return wanted;
}

static void look(struct job *job)
{
	struct lost *l = CONTAINER_OF(job, struct lost, job);
	struct buf left = BUF_INIT;
	struct str rest = buf_str(&l->looked);
	struct keep_item item;

	while (keep_item_next(&rest, &item) == 1)
		if (is_wanted(l->daemon->store, &item))
			keep_item_pack(&left, &item);
	buf_clear(&l->looked);
	l->looked = left;
	l->full = store_writable(l->daemon->store, NULL) < 0;
}

/* Without a layout nobody knows yet. */
static bool is_duty(const struct lost *l, const struct keep_item *item)
{
	const struct layout *layout = peers_layout(l->daemon->peers);
	uint64_t self = store_node(l->daemon->store);

	return layout->epoch == 0 || layout_keeps(layout, item->path, self) ||
	       (layout_copies(layout) < 2 && item->record.version.node == self);
}

static void looked(struct job *job)
{
	struct lost *l = CONTAINER_OF(job, struct lost, job);
	struct str rest = buf_str(&l->looked);
	struct keep_item item;

	l->working = false;
	if (l->stopping) {
		syncd_rest(l->daemon);
		return;
	}
	while (keep_item_next(&rest, &item) == 1) {
		if (!is_duty(l, &item))
			continue;
		keep_item_pack(&l->items, &item);
		if (!l->full)
			keep_pull(l->daemon, &item, item.record.version.node);
	}
	buf_reset(&l->looked);
	if (l->items.len == 0)
		return;
	timer_start(l->daemon->loop, &l->again, l->again_ms);
	l->again_ms = l->again_ms * 2 < AGAIN_MAX_MS ? l->again_ms * 2 : AGAIN_MAX_MS;
}

static void on_again(struct timer *timer)
{
	struct lost *l = CONTAINER_OF(timer, struct lost, again);
	struct buf empty = l->looked;

	if (l->working || l->items.len == 0)
		return;
	l->looked = l->items;
	l->items = empty;
	l->working = true;
	pool_submit(l->daemon->disk, &l->job);
}

void lost_now(struct lost *l)
{
	if (l == NULL || l->stopping)
		return;
	l->again_ms = AGAIN_MS;
	timer_start(l->daemon->loop, &l->again, 0);
}

void lost_add(struct lost *l, const struct keep_item *item)
{
	if (l == NULL || l->items.len > BYTES)
		return;
	keep_item_pack(&l->items, item);
	lost_now(l);
}

int lost_ask(struct syncd *d, struct serve_request *request, struct frame *frame, struct err *err)
{
	struct str rest = frame->body;
	struct keep_item item;

	if (keep_item_next(&rest, &item) != 1 || rest.n > 0)
		return err_set(err, ERR_INVALID, "read LOST: malformed");
	lost_add(d->lost, &item);
	serve_reply(request, SYNC_DONE, (struct str)STR_INIT, NULL, 0);
	serve_end(request);
	return 0;
}

void lost_start(struct syncd *d)
{
	struct lost *l = mem_new(1, sizeof *l);

	d->lost = l;
	l->daemon = d;
	l->again.fire = on_again;
	l->job = (struct job){ .work = look, .done = looked, .home = d->loop };
}

bool lost_rests(const struct lost *l)
{
	return l == NULL || !l->working;
}

void lost_stop(struct lost *l)
{
	if (l == NULL)
		return;
	l->stopping = true;
	timer_stop(&l->again);
}

void lost_free(struct lost *l)
{
	if (l == NULL)
		return;
	lost_stop(l);
	buf_clear(&l->items);
	buf_clear(&l->looked);
	free(l);
}
