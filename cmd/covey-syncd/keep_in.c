/*
 * keep_in - KEEP that comes: have we the content of these?
 *
 * What is not here is pulled, from whoever might have it; the asker is told
 * so, and will ask again.
 */
#include "syncd.h"

#include "container.h"
#include "mem.h"

struct keep_asked {
	struct syncd *daemon;
	struct asker asker;		/* request NULL: it went away, or it is this node itself */
	void (*told)(void *data, struct str states);	/* then; NULL: forgotten */
	void *data;
	struct job job;
	uint32_t keep;			/* versions of a path, here */
	struct buf plain;		/* the message */
	struct bulk bulk;		/* points into plain */
	struct buf states;		/* a u8 per item */
	bool malformed;
};

/* So many newer ones are here that nobody is to keep it any more; the asker does not know of them. */
static bool is_beyond(const struct keep_asked *k, const struct keep_item *item)
{
	struct history history = HISTORY_INIT;
	size_t newer = 0;

	if (store_history(k->daemon->store, item->path, &history, NULL) < 0)
		return false;
	for (size_t i = 0; i < history.count; i++)
		newer += !(history.entries[i].record.flags & RECORD_DIRECTORY) &&
			 version_cmp(history.entries[i].record.version, item->record.version) > 0;
	history_clear(&history);
	return k->keep > 0 && newer >= k->keep;
}

static enum keep_state state_of(const struct keep_asked *k, const struct keep_item *item)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct err err = ERR_INIT;
	bool here = store_version(k->daemon->store, item->path, item->record.version, STORE_RECORD,
				  &entry, &err) == 0 && entry.content;

	store_entry_clear(&entry);
	if (here || (err.kind == ERR_ABSENT && is_beyond(k, item)))
		return KEEP_HAVE;
	return store_writable(k->daemon->store, NULL) == 0 ? KEEP_PULLING : KEEP_FULL;
}

static void look(struct job *job)
{
	struct keep_asked *k = CONTAINER_OF(job, struct keep_asked, job);
	struct str rest = k->bulk.body;
	struct keep_item item;
	int rc;

	while ((rc = keep_item_next(&rest, &item)) == 1)
		pack_u8(&k->states, (uint8_t)state_of(k, &item));
	k->malformed = rc < 0;
}

static void add(struct sync_pull *pull, uint64_t node, uint64_t self)
{
	for (size_t i = 0; i < pull->holder_count; i++)
		if (pull->holders[i] == node)
			return;
	if (node != self && pull->holder_count < HOLDERS_MAX)
		pull->holders[pull->holder_count++] = node;
}

bool keep_pull(struct syncd *d, const struct keep_item *item, uint64_t sender)
{
	const struct layout *layout = peers_layout(d->peers);
	struct sync_pull pull = { .path = item->path, .record = item->record, .type = item->type };
	uint64_t self = store_node(d->store);
	struct layout_order order;

	layout_keepers(layout, item->path, &order);
	for (size_t i = 0; i < layout_copies(layout); i++)
		add(&pull, order.ids[i], self);
	add(&pull, sender, self);
	add(&pull, item->record.version.node, self);
	for (size_t i = 0; i < order.count; i++)
		add(&pull, order.ids[i], self);
	return pulling_want(d, &pull);
}

static void pull_missing(struct keep_asked *k)
{
	struct str rest = k->bulk.body, states = buf_str(&k->states);
	enum keep_state state;
	struct keep_item item;

	while (keep_state_next(&states, &state) == 1 && keep_item_next(&rest, &item) == 1)
		if (state == KEEP_PULLING && !keep_pull(k->daemon, &item, k->bulk.sender))
			return;		/* no room for more: the home asks again */
}

static void looked(struct job *job)
{
	struct keep_asked *k = CONTAINER_OF(job, struct keep_asked, job);
	struct syncd *d = k->daemon;
	struct err err;

	err_set(&err, ERR_INVALID, "read KEEP: malformed");
	if (k->asker.request != NULL && k->malformed)
		serve_fail(k->asker.request, &err);
	else if (k->asker.request != NULL)
		bulk_reply(d, k->asker.request, &k->bulk, BULK_KEPT, buf_str(&k->states));
	if (!k->malformed && !d->stopping)
		pull_missing(k);
	if (k->told != NULL)
		k->told(k->data, buf_str(&k->states));
	buf_clear(&k->plain);
	buf_clear(&k->states);
	free(k);
	d->keeps_asked--;
	syncd_rest(d);
}

static void asker_gone(struct asker *asker)
{
	asker->request = NULL;
}

static struct keep_asked *begin(struct syncd *d, struct buf *plain)
{
	struct keep_asked *k = mem_new(1, sizeof *k);

	k->daemon = d;
	k->asker.gone = asker_gone;
	k->plain = *plain;
	*plain = (struct buf)BUF_INIT;
	k->keep = prune_numbers(d->prune).versions;
	k->job = (struct job){ .work = look, .done = looked, .home = d->loop };
	d->keeps_asked++;
	return k;
}

/* Older or newer than ours, its layout says nothing about a content: it is kept in any case. */
void keep_asked(struct syncd *d, struct serve_request *request, struct buf *plain,
		const struct bulk *bulk)
{
	struct keep_asked *k = begin(d, plain);

	k->bulk = *bulk;
	k->asker.request = request;
	request->data = &k->asker;
	pool_submit(d->disk, &k->job);
}

struct keep_asked *keep_own(struct syncd *d, struct str items,
			    void (*told)(void *data, struct str states), void *data)
{
	struct buf plain = BUF_INIT;
	struct keep_asked *k;

	buf_addstr(&plain, items);
	k = begin(d, &plain);
	k->bulk = (struct bulk){ .sender = store_node(d->store), .body = buf_str(&k->plain) };
	k->told = told;
	k->data = data;
	pool_submit(d->disk, &k->job);
	return k;
}

void keep_own_forget(struct keep_asked *k)
{
	k->told = NULL;
}
