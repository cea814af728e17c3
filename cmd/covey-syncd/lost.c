/*
 * lost - LOST: contents that were here and are bad, to be had again
 *
 * Each is asked for at once, of everybody who might have it, then again,
 * ever later, until it is here or the version is known no more; and when
 * somebody returns.  What this node is no keeper of is left to whoever reads
 * it.  A restart forgets: the homes ask a keeper every hour, too (keeping.c).
 */
#include "syncd.h"

#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"

#define BYTES (4u << 20)		/* of items; what is more, the homes ask for */
#define AGAIN_MS 2000			/* doubled up to */
#define AGAIN_MAX_MS 600000

struct lost {
	struct worker worker;
	struct buf items;
	uint64_t due;			/* ms, monotonic: they are asked for again */
	uint64_t again_ms;
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

/* Without a layout nobody knows yet. */
static bool is_duty(const struct lost *l, const struct keep_item *item)
{
	const struct layout *layout = peers_layout(l->worker.daemon->peers);
	uint64_t self = store_node(l->worker.daemon->store);

	return layout->epoch == 0 || layout_keeps(layout, item->path, self) ||
	       (layout_copies(layout) < 2 && item->record.version.node == self);
}

/* Those that are still to be had: remember them, and pull them unless the disk is full. */
static void pull_lost(struct lost *l)
{
	struct syncd *d = l->worker.daemon;
	struct buf items = l->items, wanted = BUF_INIT;
	struct str rest = buf_str(&items);
	struct keep_item item;
	bool full;

	l->items = (struct buf)BUF_INIT;
	syncd_unlock(d);
	while (keep_item_next(&rest, &item) == 1)
		if (is_wanted(d->store, &item))
			keep_item_pack(&wanted, &item);
	full = store_writable(d->store, NULL) < 0;
	syncd_lock(d);
	for (rest = buf_str(&wanted); keep_item_next(&rest, &item) == 1;) {
		if (!is_duty(l, &item))
			continue;
		keep_item_pack(&l->items, &item);
		if (!full)
			keep_pull(d, &item, item.record.version.node);
	}
	buf_clear(&items);
	buf_clear(&wanted);
}

static void lost_run(struct worker *w)
{
	struct lost *l = CONTAINER_OF(w, struct lost, worker);

	while (worker_wait(w, l->due)) {
		if (clock_mono_ms() < l->due)
			continue;
		l->due = NEVER;
		pull_lost(l);
		if (l->items.len == 0 || l->due != NEVER)
			continue;
		l->due = clock_mono_ms() + l->again_ms;
		l->again_ms = l->again_ms * 2 < AGAIN_MAX_MS ? l->again_ms * 2 : AGAIN_MAX_MS;
	}
}

void lost_now(struct lost *l)
{
	if (l == NULL)
		return;
	l->again_ms = AGAIN_MS;
	l->due = clock_mono_ms();
	worker_wake(&l->worker);
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
	l->due = NEVER;
	l->again_ms = AGAIN_MS;
	l->worker = (struct worker){ .run = lost_run, .own = true };
	worker_start(d, &l->worker, d->rounds);
}

void lost_free(struct lost *l)
{
	if (l == NULL)
		return;
	buf_clear(&l->items);
	free(l);
}
