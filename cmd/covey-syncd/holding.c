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

enum step { SURVEY, ASK_HOMES, TAKE, ASK_KEEPERS, EVICT, DONE };

struct holding {
	struct syncd *daemon;
	struct timer due;
	uint64_t again_ms;
	bool running, done_once, stopping;
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
	enum step step;
	struct holdings holdings;
	struct surplus surplus;
	struct buf newer;		/* rows {path, record, type}: to be merged */
	struct job job;
	bool working;
	bool anew;			/* the round was cut off while the job works */
	bool failed;			/* the job's word */
	struct bulk question;		/* under way */
	struct posting posting;
	/* for the log, of the round */
	uint64_t began;			/* loop's ms */
	uint64_t items, messages, bytes, news, evicted, evicted_bytes;
};

static void go_on(struct holding *h);

static void clear_piece(struct holding *h)
{
	holdings_clear(&h->holdings);
	surplus_clear(&h->surplus);
	buf_reset(&h->newer);
}

static void failed(struct holding *h, const struct err *err, const char *what)
{
	log_err(LOG_LEVEL_WARNING, err, what);
	h->failed = true;
}

/* a piece of the store, in the pool */

static bool is_full(const struct holding *h)
{
	return h->holdings.items.len >= PIECE_BYTES || h->surplus.items.len >= PIECE_BYTES;
}

/* A content that is here and not the newest of its path. */
static void add_spare(struct holding *h, struct str path, const struct history_entry *entry)
{
	const struct keep_item item = { .record = entry->record, .type = str_of(entry->type),
					.path = path };

	if (h->evicts && entry->content && record_made(&entry->record) >= h->before &&
	    !layout_keeps(&h->layout, path, store_node(h->daemon->store)))
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

static int each_path(void *data, const struct survey_path *found)
{
	const struct history_entry *newest = newest_of(found->entries, found->count);
	struct holding *h = data;

	for (size_t i = 0; i < found->count; i++)
		if (&found->entries[i] != newest)
			add_spare(h, found->path, &found->entries[i]);
	if (newest != NULL && record_has_content(&newest->record))
		holdings_add(&h->holdings, found->path, newest->record.version);
	if (!is_full(h))
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
	if (survey_behind(h->daemon->store, in, buf_str(&after), h->layout.keep_versions,
			  each_path, h, &err) < 0)
		failed(h, &err, "look at what is held here");
	buf_clear(&after);
}

static void survey_piece(struct job *job)
{
	struct holding *h = CONTAINER_OF(job, struct holding, job);
	struct err err;

	if (!h->listed && survey_directories(h->daemon->store, &h->directories, &err) < 0)
		failed(h, &err, "look at what is held here");
	h->listed = true;
	while (h->at < h->directories.count && !is_full(h)) {
		const struct survey_directory *in = &h->directories.items[h->at];

		if (!(h->mine[in->partition / 8] >> in->partition % 8 & 1))
			survey_directory(h, in);
		h->at += h->after.len == 0;
	}
}

/* asking */

static void posted(struct posting *posting, const struct err *err);

static void post(struct holding *h, uint64_t node, enum bulk_type type, struct str body)
{
	struct syncd *d = h->daemon;
	const struct address *peer = peers_http(d->peers, node);
	struct buf packet = BUF_INIT;
	struct err err;

	h->question = bulk_ask(d, node, type);
	h->question.lineage = h->layout.lineage;
	h->question.epoch = h->layout.epoch;
	h->posting.done = posted;
	if (peer == NULL) {
		err_set(&err, ERR_AWAY, "ask about what is held here: the node is not known");
		posted(&h->posting, &err);
		return;
	}
	h->question.body = body;
	bulk_seal(d, &h->question, &packet);
	h->question.body = (struct str)STR_INIT;
	h->messages++;
	h->bytes += packet.len;
	posting_start(d, &h->posting, peer, "sync", buf_str(&packet), ANSWER_MS);
	buf_clear(&packet);
}

static void newer(void *data, const struct holdings_newer *told)
{
	struct holding *h = data;

	pack_str(&h->newer, told->path);
	pack_record(&h->newer, &told->record);
	pack_str(&h->newer, told->type);
	h->news++;
}

static void count(struct holding *h, const struct bulk *answer)
{
	if (h->step == ASK_HOMES && answer != NULL)
		holdings_answered(&h->holdings, answer->body, newer, h);
	else if (h->step == ASK_HOMES)
		holdings_failed(&h->holdings);
	else if (answer != NULL)
		surplus_answered(&h->surplus, answer->body);
	else
		surplus_failed(&h->surplus);
}

static void posted(struct posting *posting, const struct err *err)
{
	struct holding *h = CONTAINER_OF(posting, struct holding, posting);
	struct syncd *d = h->daemon;
	enum bulk_verdict verdict = BULK_NOTHING;
	struct buf plain = BUF_INIT;
	struct bulk answer;

	peers_note(d->peers, h->question.receiver, err);
	if (err == NULL && bulk_open(d, buf_str(&posting->answer), &plain, &answer) == 0)
		verdict = bulk_judge(&h->question, &answer);
	if (verdict == BULK_NEWER)
		peers_behind(d->peers, h->question.receiver, answer.epoch);
	h->bytes += posting->answer.len;
	count(h, verdict == BULK_COUNTS ? &answer : NULL);
	buf_clear(&plain);
	go_on(h);
}

/* False: everybody was asked. */
static bool ask_next(struct holding *h)
{
	bool homes = h->step == ASK_HOMES, some;
	struct buf question = BUF_INIT;
	uint64_t node;

	some = homes ? holdings_next(&h->holdings, &node, &question)
		     : surplus_next(&h->surplus, &node, &question);
	if (some)
		post(h, node, homes ? BULK_NEWEST : BULK_KEEP, buf_str(&question));
	buf_clear(&question);
	return some;
}

/* what was told, in the pool */

/* The path's newest is another now: what was, may go. */
static void add_spares_of(struct holding *h, struct str path)
{
	struct history history = HISTORY_INIT;
	const struct history_entry *newest;

	if (store_history(h->daemon->store, path, &history, NULL) < 0)
		return;
	newest = newest_of(history.entries, history.count);
	for (size_t i = 0; i < history.count; i++)
		if (&history.entries[i] != newest)
			add_spare(h, path, &history.entries[i]);
	history_clear(&history);
}

static void take_newer(struct job *job)
{
	struct holding *h = CONTAINER_OF(job, struct holding, job);
	struct unpack in = unpack_of(buf_str(&h->newer));
	struct err err;

	while (in.rest.n > 0) {
		struct str path = unpack_str(&in, PATH_BYTES), type;
		struct record record;

		unpack_record(&in, &record);
		type = unpack_str(&in, RECORD_TYPE_MAX);
		if (store_merge(h->daemon->store, path, &record, type, h->layout.keep_versions,
				&err) < 0)
			failed(h, &err, "take what is newer");
		else
			add_spares_of(h, path);
	}
}

static void evict_spares(struct job *job)
{
	struct holding *h = CONTAINER_OF(job, struct holding, job);
	struct keep_item item;
	struct err err;

	while (surplus_take(&h->surplus, &item)) {
		uint64_t bytes = 0;

		if (store_evict(h->daemon->store, item.path, item.record.version, &bytes, &err) < 0)
			failed(h, &err, "let go of what others keep");
		h->evicted += bytes > 0;
		h->evicted_bytes += bytes;
	}
}

/* the round */

static void begin(struct holding *h);

static void worked(struct job *job)
{
	struct holding *h = CONTAINER_OF(job, struct holding, job);

	h->working = false;
	if (h->stopping) {
		syncd_rest(h->daemon);
		return;
	}
	if (h->anew) {
		begin(h);
		return;
	}
	h->incomplete = h->incomplete || h->failed;
	h->step++;
	go_on(h);
}

static void work(struct holding *h, void (*what)(struct job *))
{
	h->job = (struct job){ .work = what, .done = worked, .home = h->daemon->loop };
	h->working = true;
	h->failed = false;
	pool_submit(h->daemon->disk, &h->job);
}

static void end_round(struct holding *h)
{
	h->running = false;
	h->done_once = true;
	survey_directories_clear(&h->directories);
	if (h->items > 0 || h->evicted > 0)
		log_line(LOG_LEVEL_INFO, "asked about %llu names held here: %llu messages, %llu bytes, "
			 "%llu ms; %llu were newer elsewhere, %llu contents of %llu bytes went",
			 (unsigned long long)h->items, (unsigned long long)h->messages,
			 (unsigned long long)h->bytes,
			 (unsigned long long)(loop_now(h->daemon->loop) - h->began),
			 (unsigned long long)h->news, (unsigned long long)h->evicted,
			 (unsigned long long)h->evicted_bytes);
	if (!h->incomplete)
		h->again_ms = AGAIN_MS;
	timer_start(h->daemon->loop, &h->due, h->incomplete ? h->again_ms : HOUR_MS);
	if (h->incomplete)
		h->again_ms = h->again_ms * 2 > HOUR_MS ? HOUR_MS : h->again_ms * 2;
}

static void begin_piece(struct holding *h)
{
	const struct members *view = peers_view(h->daemon->peers);

	clear_piece(h);
	holdings_begin(&h->holdings, &h->layout);
	surplus_begin(&h->surplus, &h->layout);
	for (size_t i = 0; i < h->layout.count; i++) {
		uint64_t id = h->layout.members[i].id;
		const struct member *m = members_find(view, id);

		if (m == NULL || m->state != MEMBER_UP || peers_sick(h->daemon->peers, id))
			holdings_late(&h->holdings, id);
	}
	h->step = SURVEY;
	work(h, survey_piece);
}

static void end_piece(struct holding *h)
{
	h->items += h->holdings.item_count;
	h->incomplete = h->incomplete || holdings_open(&h->holdings) > 0;
	clear_piece(h);
	if (h->at < h->directories.count)
		begin_piece(h);
	else
		end_round(h);
}

/* From one step of a piece to the next, as far as nothing has to be waited for. */
static void go_on(struct holding *h)
{
	if (h->step == ASK_HOMES) {
		if (ask_next(h))
			return;
		h->step = TAKE;
		work(h, take_newer);
	} else if (h->step == ASK_KEEPERS) {
		if (ask_next(h))
			return;
		h->step = EVICT;
		work(h, evict_spares);
	} else {
		end_piece(h);
	}
}

/* False: it is a home of everything. */
static bool set_up(struct holding *h)
{
	uint64_t self = store_node(h->daemon->store);
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
	h->before = prune_before(store_clock(h->daemon->store), h->layout.keep_days);
	return others;
}

static void begin(struct holding *h)
{
	h->running = h->anew = h->incomplete = h->listed = false;
	survey_directories_clear(&h->directories);
	buf_reset(&h->after);
	h->at = 0;
	h->items = h->messages = h->bytes = h->news = h->evicted = h->evicted_bytes = 0;
	h->began = loop_now(h->daemon->loop);
	h->layout = *peers_layout(h->daemon->peers);
	if (h->layout.epoch == 0)
		return;
	if (!set_up(h)) {
		end_round(h);
		return;
	}
	h->running = true;
	begin_piece(h);
}

static void on_due(struct timer *timer)
{
	struct holding *h = CONTAINER_OF(timer, struct holding, due);

	posting_clear(&h->posting);
	if (h->working)
		h->anew = true;
	else
		begin(h);
}

/* for the others */

/* Answers count at one epoch: a round that is under way begins again. */
void holding_relaid(struct holding *h)
{
	if (!h->stopping && (h->running || !h->done_once))
		timer_start(h->daemon->loop, &h->due, SOON_MS);
}

void holding_start(struct syncd *d)
{
	struct holding *h = mem_new(1, sizeof *h);

	d->holding = h;
	h->daemon = d;
	h->due.fire = on_due;
	h->again_ms = AGAIN_MS;
	timer_start(d->loop, &h->due, SOON_MS);
}

bool holding_rests(const struct holding *h)
{
	return h == NULL || !h->working;
}

void holding_stop(struct holding *h)
{
	h->stopping = true;
	timer_stop(&h->due);
	posting_clear(&h->posting);
}

void holding_free(struct holding *h)
{
	if (h == NULL)
		return;
	holding_stop(h);
	clear_piece(h);
	buf_clear(&h->newer);
	buf_clear(&h->after);
	survey_directories_clear(&h->directories);
	free(h);
}
