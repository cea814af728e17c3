/*
 * keep - the contents: do their keepers have them?  KEEP that comes, and KEEP that goes
 */
#include "syncd.h"

#include "backoff.h"
#include "clock.h"
#include "container.h"
#include "discover_talk.h"
#include "keep_queue.h"
#include "log.h"
#include "mem.h"
#include "survey.h"

/*
 * KEEP that comes: have we the content of these?
 *
 * What is not here is pulled, from whoever might have it; the asker is told
 * so, and asks again.
 */

/* So many newer ones are here that nobody is to keep it any more; the asker does not know of them. */
static bool version_is_beyond(struct store *store, const struct keep_item *item, uint32_t keep)
{
	struct history history = HISTORY_INIT;
	size_t newer = 0;

	if (keep == 0 || store_history(store, item->path, &history, NULL) < 0)
		return false;
	for (size_t i = 0; i < history.count; i++)
		newer += !(history.entries[i].record.flags & RECORD_DIRECTORY) &&
			 version_cmp(history.entries[i].record.version, item->record.version) > 0;
	history_clear(&history);
	return newer >= keep;
}

static enum keep_state keep_state_of(struct store *store, const struct keep_item *item, uint32_t keep)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct err err = ERR_INIT;
	bool here = store_version(store, item->path, item->record.version, STORE_RECORD, &entry,
				  &err) == 0 && entry.content;

	store_entry_clear(&entry);
	if (here || (err.kind == ERR_ABSENT && version_is_beyond(store, item, keep)))
		return KEEP_HAVE;
	return store_writable(store, NULL) == 0 ? KEEP_PULLING : KEEP_FULL;
}

/* How it is with each of these, which the sender asks about; what is missing is pulled from now on. */
static int answer_keep(struct syncd *d, struct str items, uint64_t sender, struct buf *states)
{
	uint32_t keep = prune_numbers(d->prune).versions;
	struct str rest = items, told;
	enum keep_state state;
	struct keep_item item;
	int rc;

	syncd_unlock(d);
	while ((rc = keep_item_next(&rest, &item)) == 1)
		pack_u8(states, (uint8_t)keep_state_of(d->store, &item, keep));
	syncd_lock(d);
	rest = items;
	told = buf_str(states);
	while (rc == 0 && keep_state_next(&told, &state) == 1 && keep_item_next(&rest, &item) == 1)
		if (state == KEEP_PULLING && !pull_kept(d, &item, sender))
			break;		/* no room for more: the home asks again */
	return rc;
}

/* Older or newer than ours, the asker's layout says nothing about a content: it is kept in any case. */
void keep_run(struct worker *w)
{
	struct bulk_job *b = CONTAINER_OF(w, struct bulk_job, asked.worker);
	struct buf states = BUF_INIT;
	struct err err;

	if (answer_keep(w->daemon, b->bulk.body, b->bulk.sender, &states) < 0) {
		err_set(&err, ERR_INVALID, "read KEEP: malformed");
		asker_fail(&b->asked.asker, &err);
	} else {
		bulk_reply(w->daemon, &b->asked.asker, &b->bulk, BULK_KEPT, buf_str(&states));
	}
	buf_clear(&states);
}

/*
 * KEEP that goes: do the keepers have their contents?
 *
 * Of each partition its first home that is up asks, in rounds: one after
 * each change of the layout and every hour asks all keepers, one after some
 * have returned asks those.  What a keeper has not yet it is asked about
 * again.  A member that leaves asks about all that it has: when the round is
 * complete, everything has been taken over.
 *
 * A round looks at a piece of the store, asks about what that gave, and goes
 * on with the next piece when every keeper has most of it, so that it needs
 * little memory.  It does not wait for keepers that are stuck; what they
 * missed, and what could not be read, the next round is for, which follows
 * such a one soon.  What is asked when is keep_queue.h's.
 */

#define SETTLE_MS 300			/* after a change: others may follow */
#define HOUR_MS 3600000
#define AGAIN_MS 1000			/* after a round that was not complete; doubled up to HOUR_MS */
#define PIECE_BYTES (KEEP_QUEUE_LIMIT / 4)
#define BATCH_BYTES (56u << 10)
#define ANSWER_MS 30000

struct keeper {
	uint64_t id;
	bool asked;			/* about all that it is to keep, in this round */
	struct buf collected;		/* items, of the piece */
	struct keep_queue keep_queue;
	uint64_t again;			/* ms, monotonic: then keep_queue_due(); NEVER: nothing waits */
	struct post post;		/* which carries keep_queue.sent */
	struct bulk question;		/* the same without its body */
	char trouble[64];		/* why it has not what it was asked about, for people; or empty */
};

struct keeping {
	struct worker worker;
	uint64_t due;			/* ms, monotonic: a round begins, or begins again */
	uint64_t hour;			/* the same of the hourly one */
	unsigned failures;		/* rounds that were not complete, one after the other */
	bool all;			/* asked, not only targets */
	uint64_t targets[LAYOUT_MEMBERS_MAX];
	size_t target_count;
	/* a round */
	struct layout layout;
	bool asks_all;			/* keepers */
	bool leaving;			/* this node, with this layout */
	struct fetch_set *fetches;
	struct keeper keepers[LAYOUT_MEMBERS_MAX];
	size_t keeper_count;
	struct survey_directories directories;
	bool listed;			/* directories are */
	size_t at;			/* of them */
	struct buf after;		/* a path in it: the rest is to be looked at yet */
	uint8_t mine[PARTITIONS / 8];
	struct keep_numbers numbers;
	uint64_t before;		/* ns: contents from before are not kept, but for the newest */
	bool incomplete;		/* something was not looked at, */
	bool unread;			/* since it could not be read */
};

/* a piece of the store, without the lock */

static struct keeper *keeper_of(struct keeping *k, uint64_t id)
{
	for (size_t i = 0; i < k->keeper_count; i++)
		if (k->keepers[i].id == id)
			return &k->keepers[i];
	return NULL;
}

/* One version: to those of its keepers that are to be asked. */
static void collect_version(struct keeping *k, struct str path, const struct history_entry *entry)
{
	const struct keep_item item = { .record = entry->record, .type = str_of(entry->type),
					.path = path };
	uint64_t self = store_node(k->worker.daemon->store);
	struct layout_order order;

	layout_keepers(&k->layout, path, &order);
	for (size_t i = 0; i < layout_copies(&k->layout) && i < order.count; i++) {
		struct keeper *to = keeper_of(k, order.ids[i]);

		if (to == NULL || (order.ids[i] == self && entry->content))
			continue;
		if (order.ids[i] == self || to->asked)
			keep_item_pack(&to->collected, &item);
	}
}

static size_t collected_bytes(const struct keeping *k)
{
	size_t bytes = 0;

	for (size_t i = 0; i < k->keeper_count; i++)
		bytes += k->keepers[i].collected.len;
	return bytes;
}

static int collect_path(void *data, const struct survey_path *found)
{
	struct keeping *k = data;

	for (size_t i = 0; i < found->count; i++) {
		const struct history_entry *entry = &found->entries[i];

		if (!record_has_content(&entry->record) || (k->leaving && !entry->content) ||
		    (i > 0 && record_made(&entry->record) < k->before))
			continue;
		collect_version(k, found->path, entry);
	}
	if (collected_bytes(k) < PIECE_BYTES)
		return 0;
	buf_addstr(&k->after, found->path);
	return 1;
}

/* k->after is where it ends, or empty at the end. */
static int survey_rest_of(struct keeping *k, const struct survey_directory *in, struct err *err)
{
	struct buf after = k->after;
	int status;

	k->after = (struct buf)BUF_INIT;
	status = survey_behind(k->worker.daemon->store, in, buf_str(&after), k->numbers.versions,
			       collect_path, k, err);
	buf_clear(&after);
	return status;
}

static void keep_not_read(struct keeping *k, const struct err *err)
{
	log_err(LOG_LEVEL_WARNING, err, "look for contents that their keepers lack");
	k->unread = k->incomplete = true;
}

static void survey_piece(struct keeping *k)
{
	struct err err;

	if (!k->listed && survey_directories(k->worker.daemon->store, &k->directories, &err) < 0)
		keep_not_read(k, &err);
	k->listed = true;
	while (k->at < k->directories.count && collected_bytes(k) < PIECE_BYTES) {
		const struct survey_directory *in = &k->directories.items[k->at];

		if ((k->leaving || partition_is_in(k->mine, in->partition)) && survey_rest_of(k, in, &err) < 0)
			keep_not_read(k, &err);
		k->at += k->after.len == 0;
	}
	for (size_t i = 0; i < k->keeper_count; i++) {
		keep_queue_add(&k->keepers[i].keep_queue, buf_str(&k->keepers[i].collected));
		buf_reset(&k->keepers[i].collected);
	}
}

/* asking */

/* A member that leaves tells people whom it waits for. */
static void tell_trouble(struct keeping *k)
{
	struct peers *peers = k->worker.daemon->peers;
	char text[DISCOVER_WAITS_MAX + 1];

	for (size_t i = 0; k->leaving && i < k->keeper_count; i++) {
		const struct keeper *to = &k->keepers[i];
		const struct member *m = members_find(peers_view(peers), to->id);

		if (to->trouble[0] == '\0' || inquiry_is_over(&to->keep_queue))
			continue;
		snprintf(text, sizeof text, "node %016llx %s: %s", (unsigned long long)to->id,
			 m != NULL ? m->name : "", to->trouble);
		peers_waits(peers, text);
		return;
	}
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
}

static void wait_for_keeper(struct keeper *to, uint64_t pause_ms)
{
	if (pause_ms > 0)
		to->again = clock_mono_ms() + pause_ms;
}

/* This node itself is asked as any other, without a message. */
static void ask_self(struct keeping *k, struct keeper *to)
{
	struct syncd *d = k->worker.daemon;
	struct buf states = BUF_INIT;

	answer_keep(d, buf_str(&to->keep_queue.sent), to->id, &states);
	wait_for_keeper(to, keep_queue_answered(&to->keep_queue, buf_str(&states)));
	buf_clear(&states);
}

static void keeper_answered(struct keeping *k, struct keeper *to, const struct err *how)
{
	struct buf plain = BUF_INIT;
	struct bulk answer = { .body = STR_INIT };
	bool counts = bulk_judged(k->worker.daemon, &to->question, &to->post, how, &plain, &answer);

	note_trouble(to, counts, counts ? answer.body : STR(""));
	tell_trouble(k);
	wait_for_keeper(to, counts ? keep_queue_answered(&to->keep_queue, answer.body)
				   : keep_queue_failed(&to->keep_queue));
	buf_clear(&plain);
}

static void ask_keeper(struct keeping *k, struct keeper *to)
{
	struct syncd *d = k->worker.daemon;
	struct bulk question;
	struct err err;

	to->question = bulk_ask(d, to->id, BULK_KEEP);
	question = to->question;
	question.body = buf_str(&to->keep_queue.sent);
	if (bulk_start(d, k->fetches, &to->post, &question, ANSWER_MS, &err) < 0)
		keeper_answered(k, to, &err);
}

/* Ask each about what is ready.  Returns whether something is under way, or there is no room for more. */
static bool ask_keepers(struct keeping *k)
{
	uint64_t now = clock_mono_ms();
	bool busy = false;

	for (size_t i = 0; i < k->keeper_count; i++) {
		struct keeper *to = &k->keepers[i];

		if (to->again <= now) {
			to->again = NEVER;
			keep_queue_due(&to->keep_queue);
		}
		if (keep_queue_next(&to->keep_queue, BATCH_BYTES)) {
			if (to->id == store_node(k->worker.daemon->store))
				ask_self(k, to);
			else
				ask_keeper(k, to);
		}
		busy = busy || to->keep_queue.sent.len > 0 || inquiry_is_full(&to->keep_queue);
	}
	return busy;
}

/* A batch is ready to be sent at once, without waiting for anything. */
static bool keepers_are_ready(const struct keeping *k)
{
	for (size_t i = 0; i < k->keeper_count; i++) {
		const struct keep_queue *q = &k->keepers[i].keep_queue;

		if (q->sent.len == 0 && q->ready.len > 0 && !(q->pausing && q->again > 0))
			return true;
	}
	return false;
}

static void await_keepers(struct keeping *k)
{
	uint64_t due = k->due;
	struct fetch *over;
	struct keeper *to;

	for (size_t i = 0; i < k->keeper_count; i++)
		if (k->keepers[i].again < due)
			due = k->keepers[i].again;
	over = worker_await(&k->worker, k->fetches, due);
	if (over == NULL)
		return;
	to = CONTAINER_OF(over, struct keeper, post.fetch);
	keeper_answered(k, to, over->err.kind == ERR_NONE ? NULL : &over->err);
}

/* the round */

/* All there is was asked about: it is over when nothing waits that this round could bring. */
static bool round_is_complete(struct keeping *k, bool *ret_all_have)
{
	bool all_have = true, all_stuck = true;

	for (size_t i = 0; i < k->keeper_count; i++) {
		const struct keep_queue *q = &k->keepers[i].keep_queue;

		k->incomplete = k->incomplete || q->missed;
		all_have = all_have && inquiry_is_over(q);
		all_stuck = all_stuck && (inquiry_is_over(q) || q->stuck);
	}
	*ret_all_have = all_have;
	return all_have || (k->incomplete && all_stuck);
}

/* Cut, or to begin anew. */
static bool round_is_abandoned(struct keeping *k)
{
	return worker_is_cut(&k->worker) || clock_mono_ms() >= k->due;
}

static bool keeper_is_target(const struct keeping *k, uint64_t id)
{
	for (size_t i = 0; i < k->target_count; i++)
		if (k->targets[i] == id)
			return true;
	return k->all;
}

/* False: there is nobody to be asked. */
static bool round_begin(struct keeping *k)
{
	struct syncd *d = k->worker.daemon;

	k->layout = *peers_layout(d->peers);
	k->leaving = keep_leaves(&k->layout, store_node(d->store));
	k->numbers = prune_numbers(d->prune);
	k->before = prune_before(store_clock(d->store), k->numbers.days);
	if (k->layout.count < 2 || (layout_copies(&k->layout) < 2 && !k->leaving))
		return false;
	k->fetches = fetch_open(d->fetcher, NULL);
	if (k->fetches == NULL)
		return false;
	peers_first_home_of(d->peers, k->mine);
	for (size_t i = 0; i < k->layout.count; i++) {
		uint64_t id = k->layout.members[i].id;

		k->keepers[k->keeper_count++] = (struct keeper){
			.id = id, .asked = keeper_is_target(k, id), .keep_queue = KEEP_QUEUE_INIT, .again = NEVER };
	}
	k->asks_all = k->all;
	k->all = false;
	k->target_count = 0;
	return true;
}

bool keep_leaves(const struct layout *layout, uint64_t self)
{
	const struct layout_member *m = layout_find(layout, self);

	return layout_is_joint(layout) && m != NULL && !(m->sets & LAYOUT_B);
}

static void round_clear(struct keeping *k)
{
	fetch_close(k->fetches);
	k->fetches = NULL;
	for (size_t i = 0; i < k->keeper_count; i++) {
		buf_clear(&k->keepers[i].collected);
		buf_clear(&k->keepers[i].post.answer);
		keep_queue_clear(&k->keepers[i].keep_queue);
	}
	k->keeper_count = 0;
	survey_directories_clear(&k->directories);
	k->listed = k->incomplete = k->unread = false;
	k->at = 0;
	buf_clear(&k->after);
}

/* Whom it was to ask the next one asks. */
static void round_abandon(struct keeping *k)
{
	for (size_t i = 0; i < k->keeper_count; i++)
		if (k->keepers[i].asked && k->target_count < LAYOUT_MEMBERS_MAX)
			k->targets[k->target_count++] = k->keepers[i].id;
	k->all = k->all || k->asks_all;
}

static void round_end(struct keeping *k, bool all_have)
{
	struct peers *peers = k->worker.daemon->peers;

	k->all = k->all || k->incomplete;
	if (!k->incomplete) {
		peers_waits(peers, "");
		if (k->leaving)
			peers_synced(peers, k->layout.epoch);
		return;
	}
	if (all_have && !k->unread)
		k->failures = 0;
	if (k->due == NEVER)
		k->due = clock_mono_ms() + backoff_ms(AGAIN_MS, HOUR_MS, k->failures);
	k->failures++;
}

static void keep_round(struct keeping *k)
{
	bool all_have = false, complete = false;

	k->due = NEVER;
	if (!round_begin(k))
		return;
	while (!complete && !round_is_abandoned(k)) {
		if (ask_keepers(k)) {
			if (!keepers_are_ready(k))
				await_keepers(k);
		} else if (!k->listed || k->at < k->directories.count) {
			syncd_unlock(k->worker.daemon);
			survey_piece(k);
			syncd_lock(k->worker.daemon);
		} else {
			complete = round_is_complete(k, &all_have);
			if (!complete && !keepers_are_ready(k))
				await_keepers(k);
		}
	}
	if (complete)
		round_end(k, all_have);
	else
		round_abandon(k);
	round_clear(k);
}

static void keeping_run(struct worker *w)
{
	struct keeping *k = CONTAINER_OF(w, struct keeping, worker);

	while (worker_wait(w, k->due < k->hour ? k->due : k->hour)) {
		uint64_t now = clock_mono_ms();

		if (now >= k->hour)
			keep_ask_all(w->daemon);
		else if (now >= k->due)
			keep_round(k);
	}
}

static void keeping_soon(struct keeping *k)
{
	worker_set_due(&k->worker, &k->due, SETTLE_MS);
}

void keep_ask_all(struct syncd *d)
{
	struct keeping *k = d->keeping;

	k->all = true;
	k->failures = 0;
	k->hour = clock_mono_ms() + HOUR_MS;
	keeping_soon(k);
}

static void keeping_returned(struct syncd *d, uint64_t id)
{
	struct keeping *k = d->keeping;

	if (k->target_count == LAYOUT_MEMBERS_MAX)
		k->all = true;
	else
		k->targets[k->target_count++] = id;
	keeping_soon(k);
}

static struct worker *keeping_make(struct syncd *d)
{
	struct keeping *k = mem_new(1, sizeof *k);

	d->keeping = k;
	keep_ask_all(d);
	return &k->worker;
}

const struct upkeep keep_upkeep = {
	.in_group = true,
	.make = keeping_make,
	.run = keeping_run,
	.returned = keeping_returned,
	.lost = keep_ask_all,
	.relaid = keep_ask_all,
};
