/*
 * upkeep - what is to be forgotten: versions beyond the numbers this node keeps by
 *
 * Everything is looked through when the numbers change, every day, and when
 * the disk is nearly full.  Numbers that were lowered wait an hour
 * (keep_file.h): what will go by them is counted and told at once.
 */
#include "syncd.h"

#include "container.h"
#include "keep_file.h"
#include "log.h"
#include "mem.h"

#include <inttypes.h>
#include <sys/statvfs.h>

#define DAY_MS 86400000
#define SOON_MS 5000			/* after a change of the numbers */
#define LOOK_MS 60000			/* between two looks at the free space, and at the hour */
#define NEAR_FACTOR 2			/* of limits.min_free: the disk is nearly full */
#define REST_MS 1800000			/* between two times for that reason */

struct upkeep {
	struct syncd *daemon;
	char *directory;		/* STORE/state; owned */
	struct timer due, look;
	struct keep_file keep;
	uint64_t passed;		/* loop's ms up to which the hour has been counted */
	struct prune_rule rule;		/* of the job */
	struct prune_count count;
	struct keep_numbers by;		/* the rule's */
	bool counts;			/* the job prunes nothing: it counts what lowered numbers take */
	int rc;				/* its word */
	uint64_t last;			/* loop's ms, of the last pruning; 0: never */
	struct job job;
	bool working, stopping;
};

static bool waits(const struct upkeep *u)
{
	return u->keep.lowered.versions != 0;
}

static bool same(struct keep_numbers a, struct keep_numbers b)
{
	return a.versions == b.versions && a.days == b.days;
}

static void save(const struct upkeep *u)
{
	struct err err;

	if (keep_file_save(u->directory, &u->keep, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "save the numbers of keep");
}

/* The hour is over, or a person has ended it. */
static void lowered(struct upkeep *u)
{
	log_line(LOG_LEVEL_INFO, "from now on this node prunes by keep.versions %" PRIu32 ", keep.days %"
		 PRIu32, u->keep.now.versions, u->keep.now.days);
	timer_start(u->daemon->loop, &u->due, 0);
}

/* covey prune has dropped what the lowered numbers take. */
static bool ended_by_person(struct upkeep *u)
{
	struct keep_file file;

	if (!waits(u) || keep_file_load(u->directory, &file, NULL) < 0 ||
	    file.lowered.versions != 0 || !same(file.now, u->keep.lowered))
		return false;
	u->keep = file;
	return true;
}

static void log_waiting(const struct upkeep *u)
{
	const struct keep_file *k = &u->keep;

	if (k->versions + k->contents == 0)
		log_line(LOG_LEVEL_INFO, "keep.versions %" PRIu32 ", keep.days %" PRIu32 " count here in %"
			 PRIu32 " min; nothing would go now", k->lowered.versions, k->lowered.days,
			 (k->left + 59) / 60);
	else
		log_line(LOG_LEVEL_WARNING, "by keep.versions %" PRIu32 ", keep.days %" PRIu32 " %" PRIu64
			 " versions and the content of %" PRIu64 " more, %" PRIu64 " bytes, go in %" PRIu32
			 " min: covey layout set with the numbers before keeps them, covey prune drops "
			 "them now", k->lowered.versions, k->lowered.days, k->versions, k->contents,
			 k->bytes, (k->left + 59) / 60);
}

static void prune(struct job *job)
{
	struct upkeep *u = CONTAINER_OF(job, struct upkeep, job);
	struct err err;

	u->rc = store_prune_all(u->daemon->store, &u->rule, NULL, NULL, &u->count, &err);
	if (u->rc < 0)
		log_err(LOG_LEVEL_WARNING, &err, u->counts ? "count what lower numbers drop" : "prune");
}

/* A store of which nothing is remembered, and that has nothing to lose, waits for nothing. */
static void counted(struct upkeep *u)
{
	struct keep_file *k = &u->keep;

	if (!same(u->by, k->lowered))
		return;			/* they are others by now: counted anew */
	k->counted = true;
	k->versions = u->count.records;
	k->contents = u->count.contents;
	k->bytes = u->count.bytes;
	if (u->rc == 0 && k->now.versions == 0 && k->versions + k->contents == 0)
		keep_passed(k, KEEP_WAIT_S);
	else if (u->rc == 0)
		log_waiting(u);
	save(u);
}

static void pruned(struct job *job)
{
	struct upkeep *u = CONTAINER_OF(job, struct upkeep, job);
	bool again;

	u->working = false;
	if (u->counts)
		counted(u);
	else if (u->count.records > 0 || u->count.contents > 0)
		log_line(LOG_LEVEL_INFO, "pruned %llu versions and the content of %llu: %llu bytes",
			 (unsigned long long)u->count.records, (unsigned long long)u->count.contents,
			 (unsigned long long)u->count.bytes);
	again = u->counts || (waits(u) && !u->keep.counted) || !same(u->by, u->keep.now);
	if (u->stopping)
		syncd_rest(u->daemon);
	else
		timer_start(u->daemon->loop, &u->due, again ? 0 : DAY_MS);
}

static void on_due(struct timer *timer)
{
	struct upkeep *u = CONTAINER_OF(timer, struct upkeep, due);

	if (u->working)
		return;
	u->counts = waits(u) && !u->keep.counted;
	u->by = u->counts ? u->keep.lowered : u->keep.now;
	if (u->by.versions == 0)
		return;
	u->rule = (struct prune_rule){ .versions = u->by.versions,
				       .before = prune_before(store_clock(u->daemon->store), u->by.days),
				       .only_counts = u->counts };
	u->count = (struct prune_count){ .records = 0 };
	if (!u->counts)
		u->last = loop_now(u->daemon->loop);
	u->working = true;
	pool_submit(u->daemon->disk, &u->job);
}

static bool is_nearly_full(const struct conf *conf)
{
	struct statvfs st;

	return statvfs(conf->node.store, &st) == 0 &&
	       (uint64_t)st.f_bavail * st.f_frsize < NEAR_FACTOR * conf->limits.min_free;
}

static void count_hour(struct upkeep *u, uint64_t now)
{
	uint64_t seconds = (now - u->passed) / 1000;

	u->passed += seconds * 1000;
	if (!waits(u))
		return;
	if (ended_by_person(u) || keep_passed(&u->keep, seconds))
		lowered(u);
	save(u);
}

static void on_look(struct timer *timer)
{
	struct upkeep *u = CONTAINER_OF(timer, struct upkeep, look);
	uint64_t now = loop_now(u->daemon->loop);

	count_hour(u, now);
	if ((u->last == 0 || now - u->last > REST_MS) && is_nearly_full(u->daemon->service->conf))
		on_due(&u->due);
	timer_start(u->daemon->loop, &u->look, LOOK_MS);
}

/* What a person has just dropped is not to be brought back. */
struct keep_numbers upkeep_numbers(struct upkeep *u)
{
	if (!u->stopping && ended_by_person(u))
		lowered(u);
	return u->keep.now.versions != 0 ? u->keep.now : (struct keep_numbers){ UINT32_MAX, 0 };
}

void upkeep_relaid(struct upkeep *u)
{
	const struct layout *layout = peers_layout(u->daemon->peers);
	bool waited = waits(u);

	if (u->stopping || layout->epoch == 0)
		return;
	ended_by_person(u);
	if (!keep_told(&u->keep, (struct keep_numbers){ layout->keep_versions, layout->keep_days }))
		return;
	if (waited && !waits(u))
		log_line(LOG_LEVEL_INFO, "the numbers that were lowered are not any more: nothing goes by "
			 "them");
	u->passed = loop_now(u->daemon->loop);
	save(u);
	timer_start(u->daemon->loop, &u->due, waits(u) ? 0 : SOON_MS);
}

/* What cannot be read is not known: all waits. */
void upkeep_start(struct syncd *d)
{
	struct upkeep *u = mem_new(1, sizeof *u);
	struct buf directory = BUF_INIT;
	struct err err;

	d->upkeep = u;
	u->daemon = d;
	u->due.fire = on_due;
	u->look.fire = on_look;
	u->job = (struct job){ .work = prune, .done = pruned, .home = d->loop };
	buf_addf(&directory, "%s/state", d->service->conf->node.store);
	u->directory = buf_take(&directory);
	if (keep_file_load(u->directory, &u->keep, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "start without the numbers of keep");
	u->passed = loop_now(d->loop);
	timer_start(d->loop, &u->look, LOOK_MS);
	timer_start(d->loop, &u->due, SOON_MS);
	count_hour(u, u->passed);
	upkeep_relaid(u);
}

bool upkeep_busy(const struct upkeep *u)
{
	return waits(u);
}

bool upkeep_rests(const struct upkeep *u)
{
	return u == NULL || !u->working;
}

void upkeep_stop(struct upkeep *u)
{
	u->stopping = true;
	timer_stop(&u->due);
	timer_stop(&u->look);
}

void upkeep_free(struct upkeep *u)
{
	if (u == NULL)
		return;
	upkeep_stop(u);
	free(u->directory);
	free(u);
}
