/*
 * keeping - KEEP that goes: do the keepers have their contents?
 *
 * Of each partition its first home that is up asks, in rounds: one after
 * each change of the layout and every hour asks all keepers, one after some
 * have returned asks those.  What a keeper has not yet it is asked about
 * again, ever later.  A member that leaves asks about all that it has: when
 * the round is complete, everything has been taken over.
 *
 * A round surveys some directories, sends what that gave, and goes on with
 * the next ones, so that it needs little memory.
 */
#include "keeping.h"

#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"

#define SETTLE_MS 300			/* after a change: others may follow */
#define HOUR_MS 3600000
#define DAY_NS (86400ull * 1000000000)
#define COLLECT_BYTES (4u << 20)	/* surveyed ahead of sending */

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

static int each_path(void *data, const struct survey_path *found)
{
	struct keeping *k = data;

	for (size_t i = 0; i < found->count; i++) {
		const struct history_entry *entry = &found->entries[i];

		if (!record_has_content(&entry->record) || (k->leaving && !entry->content) ||
		    (i > 0 && entry->record.version.time < k->before))
			continue;
		collect(k, found->path, entry);
	}
	return 0;
}

static size_t collected(const struct keeping *k)
{
	size_t bytes = 0;

	for (size_t i = 0; i < k->keeper_count; i++)
		bytes += k->keepers[i].collected.len;
	return bytes;
}

static bool is_mine(const struct keeping *k, unsigned partition)
{
	return k->leaving || (k->mine[partition / 8] >> partition % 8 & 1);
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
		const struct survey_directory *in = &k->directories.items[k->at++];

		if (is_mine(k, in->partition) &&
		    survey(k->daemon->store, in, 1, k->layout.keep_versions, each_path, k, &err) < 0) {
			log_err(LOG_LEVEL_WARNING, &err, "look what there is to keep");
			k->job_failed = true;
		}
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
		buf_addstr(&k->keepers[i].ready, buf_str(&k->keepers[i].collected));
		buf_reset(&k->keepers[i].collected);
	}
	keeping_go_on(k);
}

/* the round */

static void complete(struct keeping *k)
{
	k->running = false;
	k->all = false;
	k->target_count = 0;
	survey_directories_clear(&k->directories);
	clear_keepers(k);
	if (k->leaving && !k->incomplete)
		peers_synced(k->daemon->peers, k->layout.epoch);
}

/* Send what is ready; survey more when nothing is; come to the end. */
void keeping_go_on(struct keeping *k)
{
	bool waiting = false, sending = false;

	for (size_t i = 0; i < k->keeper_count && !k->working; i++) {
		struct keeper *to = &k->keepers[i];

		if (to->ready.len > 0 && to->sent.len == 0)
			keeper_send(to);
		if (to->sent.len == 0 && to->ready.len == 0 && to->unsure.len > 0 &&
		    to->again.loop == NULL)
			keeper_later(to);
		sending = sending || to->sent.len > 0;
		waiting = waiting || to->unsure.len > 0;
	}
	if (k->working || sending || !k->running)
		return;
	if (!k->listed || k->at < k->directories.count) {
		k->working = true;
		pool_submit(k->daemon->disk, &k->job);
	} else if (!waiting) {
		complete(k);
	}
}

/* The first home that is up: of set B, which will be the ones, while joint. */
static bool asks_for(const struct keeping *k, unsigned partition)
{
	const struct members *view = peers_view(k->daemon->peers);
	struct layout_order order;

	layout_homes(&k->layout, layout_is_joint(&k->layout) ? LAYOUT_B : LAYOUT_A, partition, &order);
	for (size_t i = 0; i < order.count; i++) {
		const struct member *m = members_find(view, order.ids[i]);

		if (order.ids[i] == store_node(k->daemon->store))
			return true;
		if (m != NULL && m->state == MEMBER_UP)
			return false;
	}
	return false;
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
		if (asks_for(k, p))
			k->mine[p / 8] |= (uint8_t)(1u << p % 8);
	for (size_t i = 0; i < k->layout.count; i++)
		keeper_init(&k->keepers[k->keeper_count++], k, k->layout.members[i].id);
}

static void begin(struct keeping *k)
{
	uint64_t now = clock_wall_ns();

	clear_keepers(k);
	survey_directories_clear(&k->directories);
	k->anew = k->incomplete = k->job_failed = k->listed = k->running = false;
	k->at = 0;
	k->layout = *peers_layout(k->daemon->peers);
	k->leaving = keeping_leaves(&k->layout, store_node(k->daemon->store));
	k->before = k->layout.keep_days == 0 || k->layout.keep_days * DAY_NS > now
			    ? 0 : now - k->layout.keep_days * DAY_NS;
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
	free(k);
}
