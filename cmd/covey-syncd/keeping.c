/*
 * keeping - KEEP that goes: do the keepers have their contents?
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
 * such a one soon.
 */
#include "keeping.h"

#include "container.h"
#include "discover_talk.h"
#include "log.h"
#include "mem.h"

#define SETTLE_MS 300			/* after a change: others may follow */
#define HOUR_MS 3600000
#define AGAIN_MS 1000			/* after a round that was not complete; doubled up to HOUR_MS */
#define COLLECT_BYTES (INQUIRY_LIMIT / 4)	/* a piece */

static struct keeper *keeper_of(struct keeping *k, uint64_t id)
{
	for (size_t i = 0; i < k->keeper_count; i++)
		if (k->keepers[i].id == id)
			return &k->keepers[i];
	return NULL;
}

static void clear_keepers(struct keeping *k)
{
	for (size_t i = 0; i < k->keeper_count; i++)
		keeper_clear(&k->keepers[i]);
	k->keeper_count = 0;
}

/* collecting */

static bool is_target(const struct keeping *k, uint64_t id)
{
	if (k->all)
		return true;
	for (size_t i = 0; i < k->target_count; i++)
		if (k->targets[i] == id)
			return true;
	return false;
}

/* One version: to those of its keepers that are to be asked. */
static void collect(struct keeping *k, struct str path, const struct history_entry *entry)
{
	const struct keep_item item = { .record = entry->record, .type = str_of(entry->type),
					.path = path };
	uint64_t self = store_node(k->daemon->store);
	struct layout_order order;

	layout_keepers(&k->layout, path, &order);
	for (size_t i = 0; i < layout_copies(&k->layout) && i < order.count; i++) {
		struct keeper *to = keeper_of(k, order.ids[i]);

		if (to == NULL || (order.ids[i] == self && entry->content))
			continue;
		if (order.ids[i] == self || is_target(k, order.ids[i]))
			keep_item_pack(&to->collected, &item);
	}
}

static size_t collected(const struct keeping *k)
{
	size_t bytes = 0;

	for (size_t i = 0; i < k->keeper_count; i++)
		bytes += k->keepers[i].collected.len;
	return bytes;
}

static int each_path(void *data, const struct survey_path *found)
{
	struct keeping *k = data;

	for (size_t i = 0; i < found->count; i++) {
		const struct history_entry *entry = &found->entries[i];

		if (!record_has_content(&entry->record) || (k->leaving && !entry->content) ||
		    (i > 0 && record_made(&entry->record) < k->before))
			continue;
		collect(k, found->path, entry);
	}
	if (collected(k) < COLLECT_BYTES)
		return 0;
	buf_addstr(&k->after, found->path);
	return 1;
}

static bool is_mine(const struct keeping *k, unsigned partition)
{
	return k->leaving || (k->mine[partition / 8] >> partition % 8 & 1);
}

/* k->after is where it ends, or empty at the end. */
static int survey_rest(struct keeping *k, const struct survey_directory *in, struct err *err)
{
	struct buf after = k->after;
	int status;

	k->after = (struct buf)BUF_INIT;
	status = survey_behind(k->daemon->store, in, buf_str(&after), k->numbers.versions,
			       each_path, k, err);
	buf_clear(&after);
	return status;
}

static void survey_some(struct job *job)
{
	struct keeping *k = CONTAINER_OF(job, struct keeping, job);
	struct err err = ERR_INIT;

	if (!k->listed && survey_directories(k->daemon->store, &k->directories, &err) < 0) {
		log_err(LOG_LEVEL_WARNING, &err, "look what there is to keep");
		k->job_failed = true;
	}
	k->listed = true;
	while (k->at < k->directories.count && collected(k) < COLLECT_BYTES) {
		const struct survey_directory *in = &k->directories.items[k->at];

		if (is_mine(k, in->partition) && survey_rest(k, in, &err) < 0) {
			log_err(LOG_LEVEL_WARNING, &err, "look what there is to keep");
			k->job_failed = true;
		}
		k->at += k->after.len == 0;
	}
}

static void begin(struct keeping *k);

static void surveyed(struct job *job)
{
	struct keeping *k = CONTAINER_OF(job, struct keeping, job);

	k->working = false;
	if (k->stopping) {
		syncd_rest(k->daemon);
		return;
	}
	if (k->anew) {
		begin(k);
		return;
	}
	k->incomplete = k->incomplete || k->job_failed;
	for (size_t i = 0; i < k->keeper_count; i++) {
		inquiry_add(&k->keepers[i].inquiry, buf_str(&k->keepers[i].collected));
		buf_reset(&k->keepers[i].collected);
	}
	keeping_go_on(k);
}

/* the round */

static void end_round(struct keeping *k, bool all_have)
{
	k->running = false;
	survey_directories_clear(&k->directories);
	clear_keepers(k);
	k->target_count = 0;
	k->all = k->incomplete;
	if (!k->incomplete) {
		peers_waits(k->daemon->peers, "");
		if (k->leaving)
			peers_synced(k->daemon->peers, k->layout.epoch);
		return;
	}
	if (all_have && !k->job_failed)
		k->again_ms = AGAIN_MS;
	timer_start(k->daemon->loop, &k->settle, k->again_ms);
	k->again_ms = k->again_ms * 2 > HOUR_MS ? HOUR_MS : k->again_ms * 2;
}

/* All there is was asked about: it ends when nothing waits that this round could bring. */
static void end_perhaps(struct keeping *k)
{
	bool all_have = true, all_stuck = true;

	for (size_t i = 0; i < k->keeper_count; i++) {
		const struct inquiry *q = &k->keepers[i].inquiry;

		k->incomplete = k->incomplete || q->missed;
		all_have = all_have && inquiry_is_over(q);
		all_stuck = all_stuck && (inquiry_is_over(q) || q->stuck);
	}
	if (all_have || (k->incomplete && all_stuck))
		end_round(k, all_have);
}

/* A member that leaves tells people whom it waits for. */
void keeping_heard(struct keeping *k)
{
	const struct members *view = peers_view(k->daemon->peers);
	char text[DISCOVER_WAITS_MAX + 1];

	for (size_t i = 0; k->leaving && i < k->keeper_count; i++) {
		const struct keeper *to = &k->keepers[i];
		const struct member *m = members_find(view, to->id);

		if (to->trouble[0] == '\0' || inquiry_is_over(&to->inquiry))
			continue;
		snprintf(text, sizeof text, "node %016llx %s: %s", (unsigned long long)to->id,
			 m != NULL ? m->name : "", to->trouble);
		peers_waits(k->daemon->peers, text);
		return;
	}
}

/* Send what is ready; survey more when there is room for it; come to the end. */
void keeping_go_on(struct keeping *k)
{
	bool busy = false;

	for (size_t i = 0; i < k->keeper_count && !k->working; i++) {
		keeper_send(&k->keepers[i]);
		busy = busy || k->keepers[i].inquiry.sent.len > 0 ||
		       inquiry_is_full(&k->keepers[i].inquiry);
	}
	if (k->working || busy || !k->running)
		return;
	if (!k->listed || k->at < k->directories.count) {
		k->working = true;
		pool_submit(k->daemon->disk, &k->job);
	} else {
		end_perhaps(k);
	}
}

bool keeping_leaves(const struct layout *layout, uint64_t self)
{
	const struct layout_member *m = layout_find(layout, self);

	return layout_is_joint(layout) && m != NULL && !(m->sets & LAYOUT_B);
}

static void set_up(struct keeping *k)
{
	memset(k->mine, 0, sizeof k->mine);
	for (unsigned p = 0; p < PARTITIONS; p++)
		if (peers_first_home(k->daemon->peers, p))
			k->mine[p / 8] |= (uint8_t)(1u << p % 8);
	for (size_t i = 0; i < k->layout.count; i++)
		keeper_init(&k->keepers[k->keeper_count++], k, k->layout.members[i].id);
}

static void begin(struct keeping *k)
{
	clear_keepers(k);
	survey_directories_clear(&k->directories);
	k->anew = k->incomplete = k->job_failed = k->listed = k->running = false;
	k->at = 0;
	buf_reset(&k->after);
	k->layout = *peers_layout(k->daemon->peers);
	k->leaving = keeping_leaves(&k->layout, store_node(k->daemon->store));
	k->numbers = prune_numbers(k->daemon->prune);
	k->before = prune_before(store_clock(k->daemon->store), k->numbers.days);
	if (k->layout.count < 2 || (layout_copies(&k->layout) < 2 && !k->leaving))
		return;
	set_up(k);
	k->running = true;
	keeping_go_on(k);
}

static void on_settled(struct timer *timer)
{
	struct keeping *k = CONTAINER_OF(timer, struct keeping, settle);

	if (k->working)
		k->anew = true;
	else
		begin(k);
}

static void on_hour(struct timer *timer)
{
	keeping_relaid(CONTAINER_OF(timer, struct keeping, hourly));
}

/* for the others */

void keeping_relaid(struct keeping *k)
{
	if (k->stopping)
		return;
	k->all = true;
	k->again_ms = AGAIN_MS;
	timer_start(k->daemon->loop, &k->settle, SETTLE_MS);
	timer_start(k->daemon->loop, &k->hourly, HOUR_MS);
}

void keeping_returned(struct keeping *k, uint64_t id)
{
	if (k->stopping)
		return;
	if (k->target_count == LAYOUT_MEMBERS_MAX)
		k->all = true;
	else
		k->targets[k->target_count++] = id;
	timer_start(k->daemon->loop, &k->settle, SETTLE_MS);
}

void keeping_start(struct syncd *d)
{
	struct keeping *k = mem_new(1, sizeof *k);

	d->keeping = k;
	k->daemon = d;
	k->settle.fire = on_settled;
	k->hourly.fire = on_hour;
	k->job = (struct job){ .work = survey_some, .done = surveyed, .home = d->loop };
	keeping_relaid(k);
}

bool keeping_rests(const struct keeping *k)
{
	return k == NULL || !k->working;
}

void keeping_stop(struct keeping *k)
{
	k->stopping = true;
	timer_stop(&k->settle);
	timer_stop(&k->hourly);
	if (!k->working)
		clear_keepers(k);
}

void keeping_free(struct keeping *k)
{
	if (k == NULL)
		return;
	keeping_stop(k);
	clear_keepers(k);
	survey_directories_clear(&k->directories);
	buf_clear(&k->after);
	free(k);
}
