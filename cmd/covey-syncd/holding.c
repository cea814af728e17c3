/*
 * holding - what this node holds outside its partitions: no deleted file, nothing outdated
 *
 * A home hears of everything, and a keeper is given each content.  Neither
 * tells a node that holds a path for another reason, or keeps it without
 * being its home, what became of it.  So in a round at the start and every
 * hour it asks the homes, and merges what they tell: then tree/ shows what
 * is the newest.  Of what is not, its own copy goes when it is no keeper and
 * all keepers have said that they have it.
 *
 * A round goes through the store piece by piece, so that it needs little
 * memory, and asks one node at a time: nobody waits for it.  Whom to ask what,
 * and what the answers come to, is holdings.h's and surplus.h's.
 */
#include "syncd.h"

#include "backoff.h"
#include "clock.h"
#include "container.h"
#include "holdings.h"
#include "log.h"
#include "mem.h"
#include "surplus.h"
#include "survey.h"

#define SOON_MS 2000			/* after the start, and after a layout that cut a round off */
#define HOUR_MS 3600000
#define AGAIN_MS 60000			/* after a round in which not all was told; doubled up to HOUR_MS */
#define PIECE_BYTES (256u << 10)	/* of what is asked about */
#define ANSWER_MS 30000

struct holding {
	struct worker worker;
	uint64_t due;			/* ms, monotonic: a round begins, or begins again */
	unsigned failures;		/* rounds that were not complete, one after the other */
	bool running, done_once;
	/* a round */
	struct layout layout;
	uint8_t mine[PARTITIONS / 8];
	bool evicts;			/* contents may go, by this layout */
	uint64_t before;		/* ns: contents from before go by keep.days, everywhere */
	struct survey_directories directories;
	bool listed;
	size_t at;			/* of the directories */
	struct buf after;		/* a path in it: the rest is to be looked at yet */
	bool incomplete;
	/* a piece */
	struct holdings holdings;
	struct surplus surplus;
	struct buf newer;		/* rows {path, record, type}: to be merged */
	/* for the log, of the round */
	uint64_t items, messages, bytes, news, evicted, evicted_bytes;
};

static void clear_piece(struct holding *h)
{
	holdings_clear(&h->holdings);
	surplus_clear(&h->surplus);
	buf_reset(&h->newer);
}

static void piece_failed(struct holding *h, const struct err *err, const char *what)
{
	log_err(LOG_LEVEL_WARNING, err, what);
	h->incomplete = true;
}

/* a piece of the store, without the lock */

static bool piece_is_full(const struct holding *h)
{
	return h->holdings.items.len >= PIECE_BYTES || h->surplus.items.len >= PIECE_BYTES;
}

/* A content that is here and not the newest of its path. */
static void spare_add(struct holding *h, struct str path, const struct history_entry *entry)
{
	const struct keep_item item = { .record = entry->record, .type = str_of(entry->type),
					.path = path };

	if (h->evicts && entry->content && record_made(&entry->record) >= h->before &&
	    !layout_keeps(&h->layout, path, store_node(h->worker.daemon->store)))
		surplus_add(&h->surplus, &item);
}

/* The file's newest; NULL: there is none. */
static const struct history_entry *newest_of(const struct history_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!(entries[i].record.flags & RECORD_DIRECTORY))
			return &entries[i];
	return NULL;
}

static int holding_path(void *data, const struct survey_path *found)
{
	const struct history_entry *newest = newest_of(found->entries, found->count);
	struct holding *h = data;

	for (size_t i = 0; i < found->count; i++)
		if (&found->entries[i] != newest)
			spare_add(h, found->path, &found->entries[i]);
	if (newest != NULL && record_has_content(&newest->record))
		holdings_add(&h->holdings, found->path, newest->record.version);
	if (!piece_is_full(h))
		return 0;
	buf_addstr(&h->after, found->path);
	return 1;
}

/* h->after is where it ends, or empty at the end. */
static void survey_directory(struct holding *h, const struct survey_directory *in)
{
	struct buf after = h->after;
	struct err err;

	h->after = (struct buf)BUF_INIT;
	if (survey_behind(h->worker.daemon->store, in, buf_str(&after), h->layout.keep_versions,
			  holding_path, h, &err) < 0)
		piece_failed(h, &err, "look at what is held here");
	buf_clear(&after);
}

static void survey_piece(struct holding *h)
{
	struct err err;

	if (!h->listed && survey_directories(h->worker.daemon->store, &h->directories, &err) < 0)
		piece_failed(h, &err, "look at what is held here");
	h->listed = true;
	while (h->at < h->directories.count && !piece_is_full(h)) {
		const struct survey_directory *in = &h->directories.items[h->at];

		if (!partition_is_in(h->mine, in->partition))
			survey_directory(h, in);
		h->at += h->after.len == 0;
	}
}

/* asking */

/* 0: *ret counts, and points into plain.  Not after the time at which the round begins again. */
static int holding_ask(struct holding *h, uint64_t node, enum bulk_type type, struct str body,
		    struct buf *plain, struct bulk *ret)
{
	struct bulk question = bulk_ask(h->worker.daemon, node, type);
	int rc;

	question.lineage = h->layout.lineage;
	question.epoch = h->layout.epoch;
	question.body = body;
	h->messages++;
	h->bytes += body.n;
	buf_reset(plain);
	rc = bulk_exchange(&h->worker, &question, ANSWER_MS, &h->due, plain, ret);
	h->bytes += plain->len;
	return rc;
}

static void newer_add(void *data, const struct holdings_newer *told)
{
	struct holding *h = data;

	pack_str(&h->newer, told->path);
	pack_record(&h->newer, &told->record);
	pack_str(&h->newer, told->type);
	h->news++;
}

/* Cut, or to begin anew. */
static bool holding_is_abandoned(struct holding *h)
{
	return worker_is_cut(&h->worker) || clock_mono_ms() >= h->due;
}

/* One after the other, since nobody waits for it. */
static void ask_homes(struct holding *h)
{
	struct buf question = BUF_INIT, plain = BUF_INIT;
	struct bulk answer;
	uint64_t node;

	while (!holding_is_abandoned(h) && holdings_next(&h->holdings, &node, &question)) {
		if (holding_ask(h, node, BULK_NEWEST, buf_str(&question), &plain, &answer) == 0)
			holdings_answered(&h->holdings, answer.body, newer_add, h);
		else
			holdings_failed(&h->holdings);
		buf_reset(&question);
	}
	buf_clear(&question);
	buf_clear(&plain);
}

static void ask_keepers(struct holding *h)
{
	struct buf question = BUF_INIT, plain = BUF_INIT;
	struct bulk answer;
	uint64_t node;

	while (!holding_is_abandoned(h) && surplus_next(&h->surplus, &node, &question)) {
		if (holding_ask(h, node, BULK_KEEP, buf_str(&question), &plain, &answer) == 0)
			surplus_answered(&h->surplus, answer.body);
		else
			surplus_failed(&h->surplus);
		buf_reset(&question);
	}
	buf_clear(&question);
	buf_clear(&plain);
}

/* what was told, without the lock */

/* The path's newest is another now: what was, may go. */
static void spare_add_all(struct holding *h, struct str path)
{
	struct history history = HISTORY_INIT;
	const struct history_entry *newest;

	if (store_history(h->worker.daemon->store, path, &history, NULL) < 0)
		return;
	newest = newest_of(history.entries, history.count);
	for (size_t i = 0; i < history.count; i++)
		if (&history.entries[i] != newest)
			spare_add(h, path, &history.entries[i]);
	history_clear(&history);
}

static void take_newer(struct holding *h)
{
	struct unpack in = unpack_of(buf_str(&h->newer));
	struct err err;

	while (in.rest.n > 0) {
		struct str path = unpack_str(&in, PATH_BYTES), type;
		struct record record;

		unpack_record(&in, &record);
		type = unpack_str(&in, RECORD_TYPE_MAX);
		if (store_merge(h->worker.daemon->store, path, &record, type, h->layout.keep_versions,
				&err) < 0)
			piece_failed(h, &err, "take what is newer");
		else
			spare_add_all(h, path);
	}
}

static void evict_spares(struct holding *h)
{
	struct keep_item item;
	struct err err;

	while (surplus_take(&h->surplus, &item)) {
		uint64_t bytes = 0;

		if (store_evict(h->worker.daemon->store, item.path, item.record.version, &bytes, &err) < 0)
			piece_failed(h, &err, "let go of what others keep");
		h->evicted += bytes > 0;
		h->evicted_bytes += bytes;
	}
}

/* the round */

/* False: it is a home of everything. */
static bool holding_round_begin(struct holding *h)
{
	uint64_t self = store_node(h->worker.daemon->store);
	bool others = false;

	memset(h->mine, 0, sizeof h->mine);
	for (unsigned p = 0; p < PARTITIONS; p++) {
		struct quorum homes;

		quorum_begin(&homes);
		quorum_add(&homes, &h->layout, p);
		if (quorum_has(&homes, self))
			h->mine[p / 8] |= (uint8_t)(1u << p % 8);
		else
			others = true;
	}
	/* With one copy content stays where it was put, and its keeper has none to show. */
	h->evicts = layout_copies(&h->layout) > 1 && !layout_is_joint(&h->layout);
	/* By the layout's own numbers: what goes by them only after an hour goes by nothing else before. */
	h->before = prune_before(store_clock(h->worker.daemon->store), h->layout.keep_days);
	return others;
}

static void piece_begin(struct holding *h)
{
	struct peers *peers = h->worker.daemon->peers;
	const struct members *view = peers_view(peers);

	clear_piece(h);
	holdings_begin(&h->holdings, &h->layout);
	surplus_begin(&h->surplus, &h->layout);
	for (size_t i = 0; i < h->layout.count; i++) {
		uint64_t id = h->layout.members[i].id;
		const struct member *m = members_find(view, id);

		if (m == NULL || m->state != MEMBER_UP || peers_sick(peers, id))
			holdings_late(&h->holdings, id);
	}
}

/* Look at a piece of the store, ask about it, take what is newer, and let go of what others keep. */
static void holding_piece(struct holding *h)
{
	struct syncd *d = h->worker.daemon;

	piece_begin(h);
	syncd_unlock(d);
	survey_piece(h);
	syncd_lock(d);
	ask_homes(h);
	syncd_unlock(d);
	take_newer(h);
	syncd_lock(d);
	ask_keepers(h);
	if (holding_is_abandoned(h))
		return;
	syncd_unlock(d);
	evict_spares(h);
	syncd_lock(d);
	h->items += h->holdings.item_count;
	h->incomplete = h->incomplete || holdings_open(&h->holdings) > 0;
}

static void holding_round_clear(struct holding *h)
{
	clear_piece(h);
	survey_directories_clear(&h->directories);
	buf_clear(&h->after);
	h->running = h->incomplete = h->listed = false;
	h->at = 0;
	h->items = h->messages = h->bytes = h->news = h->evicted = h->evicted_bytes = 0;
}

static void holding_round_end(struct holding *h, uint64_t took_ms)
{
	h->done_once = true;
	if (h->items > 0 || h->evicted > 0)
		log_line(LOG_LEVEL_INFO, "asked about %llu names held here: %llu messages, %llu bytes, "
			 "%llu ms; %llu were newer elsewhere, %llu contents of %llu bytes went",
			 (unsigned long long)h->items, (unsigned long long)h->messages,
			 (unsigned long long)h->bytes, (unsigned long long)took_ms,
			 (unsigned long long)h->news, (unsigned long long)h->evicted,
			 (unsigned long long)h->evicted_bytes);
	if (h->due == NEVER)
		h->due = clock_mono_ms() +
			 (h->incomplete ? backoff_ms(AGAIN_MS, HOUR_MS, h->failures) : HOUR_MS);
	h->failures = h->incomplete ? h->failures + 1 : 0;
}

static void holding_round(struct holding *h)
{
	uint64_t began = clock_mono_ms();

	h->due = NEVER;
	h->layout = *peers_layout(h->worker.daemon->peers);
	if (h->layout.epoch == 0)
		return;
	h->running = true;
	if (holding_round_begin(h))
		do
			holding_piece(h);
		while (h->at < h->directories.count && !holding_is_abandoned(h));
	if (!holding_is_abandoned(h))
		holding_round_end(h, clock_mono_ms() - began);
	holding_round_clear(h);
}

static void holding_run(struct worker *w)
{
	struct holding *h = CONTAINER_OF(w, struct holding, worker);

	while (worker_wait_until(w, &h->due))
		holding_round(h);
	buf_clear(&h->newer);
}

/* Answers count at one epoch: a round that is under way begins again. */
static void holding_relaid(struct syncd *d)
{
	struct holding *h = d->holding;

	if (h->running || !h->done_once)
		worker_set_due(&h->worker, &h->due, SOON_MS);
}

static struct worker *holding_make(struct syncd *d)
{
	struct holding *h = mem_new(1, sizeof *h);

	d->holding = h;
	h->due = clock_mono_ms() + SOON_MS;
	return &h->worker;
}

const struct upkeep holding_upkeep = {
	.in_group = true, .make = holding_make, .run = holding_run, .relaid = holding_relaid
};
