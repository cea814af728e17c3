/*
 * prune - what is to be forgotten: versions beyond the numbers this node keeps by
 *
 * Everything is looked through when the numbers change, every day, and when
 * the disk is nearly full.  Numbers that were lowered wait an hour
 * (keep_file.h): what will go by them is counted and told at once.
 */
#include "syncd.h"

#include "clock.h"
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

struct pruner {
	struct worker worker;
	uint64_t due;			/* ms, monotonic: the next round */
	struct keep_file keep;
	uint64_t passed;		/* ms, monotonic, up to which the hour has been counted */
	uint64_t last;			/* ms, monotonic, of the last pruning; 0: never */
};

static bool hour_runs(const struct pruner *u)
{
	return u->keep.lowered.versions != 0;
}

static bool numbers_eq(struct keep_numbers a, struct keep_numbers b)
{
	return a.versions == b.versions && a.days == b.days;
}

static void prune_save(const struct pruner *u)
{
	struct err err;

	if (keep_file_save(u->worker.daemon->service->state, &u->keep, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err,
			"remember by which keep.versions and keep.days this node prunes");
}

/* The hour is over, or a person has ended it. */
static void hour_over(struct pruner *u)
{
	log_line(LOG_LEVEL_INFO, "from now on this node prunes by keep.versions %" PRIu32 ", keep.days %"
		 PRIu32, u->keep.now.versions, u->keep.now.days);
	worker_set_due(&u->worker, &u->due, 0);
}

/* covey prune has dropped what the lowered numbers take. */
static bool ended_by_person(struct pruner *u)
{
	struct keep_file file;

	if (!hour_runs(u) || keep_file_load(u->worker.daemon->service->state, &file, NULL) < 0 ||
	    file.lowered.versions != 0 || !numbers_eq(file.now, u->keep.lowered))
		return false;
	u->keep = file;
	return true;
}

static void log_hour(const struct pruner *u)
{
	const struct keep_file *k = &u->keep;
	uint32_t minutes = (k->left + 59) / 60;

	if (k->versions + k->contents == 0)
		log_line(LOG_LEVEL_INFO, "in %" PRIu32 " min this node prunes by keep.versions %" PRIu32
			 ", keep.days %" PRIu32 ": nothing would be dropped now", minutes, k->lowered.versions,
			 k->lowered.days);
	else
		log_line(LOG_LEVEL_WARNING, "in %" PRIu32 " min this node prunes by keep.versions %" PRIu32
			 ", keep.days %" PRIu32 ", which drops %" PRIu64 " versions and the content of %" PRIu64
			 " more, %" PRIu64 " bytes: covey layout set with the numbers before keeps them, covey "
			 "prune drops them now", minutes, k->lowered.versions, k->lowered.days, k->versions,
			 k->contents, k->bytes);
}

/*
 * What the lowered numbers will take.  A store of which nothing is remembered,
 * and that has nothing to lose, waits for nothing.
 */
static void lowered_counted(struct pruner *u, struct keep_numbers by, bool whole,
			    const struct prune_count *count)
{
	struct keep_file *k = &u->keep;

	if (!numbers_eq(by, k->lowered))
		return;			/* they are others by now: counted anew */
	k->counted = true;
	k->versions = count->records;
	k->contents = count->contents;
	k->bytes = count->bytes;
	if (whole && k->now.versions == 0 && k->versions + k->contents == 0)
		keep_passed(k, KEEP_WAIT_S);
	else if (whole)
		log_hour(u);
	prune_save(u);
}

/* Prune, or count what the lowered numbers will take. */
static void prune_round(struct pruner *u)
{
	struct syncd *d = u->worker.daemon;
	bool counts = hour_runs(u) && !u->keep.counted;
	struct keep_numbers by = counts ? u->keep.lowered : u->keep.now;
	struct prune_rule rule = { .versions = by.versions,
				   .before = prune_before(store_clock(d->store), by.days),
				   .only_counts = counts };
	struct prune_count count = { .records = 0 };
	struct err err;
	int rc;

	u->due = NEVER;
	if (by.versions == 0)
		return;
	if (!counts)
		u->last = clock_mono_ms();
	syncd_unlock(d);
	rc = store_prune_all(d->store, &rule, NULL, NULL, &count, &err);
	if (rc < 0)
		log_err(LOG_LEVEL_WARNING, &err, counts ? "count what lower numbers drop" : "prune");
	syncd_lock(d);
	if (counts)
		lowered_counted(u, by, rc == 0, &count);
	else if (count.records > 0 || count.contents > 0)
		log_line(LOG_LEVEL_INFO, "pruned %llu versions and the content of %llu: %llu bytes",
			 (unsigned long long)count.records, (unsigned long long)count.contents,
			 (unsigned long long)count.bytes);
	if (counts || (hour_runs(u) && !u->keep.counted) || !numbers_eq(by, u->keep.now))
		u->due = clock_mono_ms();
	else if (u->due == NEVER)
		u->due = clock_mono_ms() + DAY_MS;
}

static bool is_nearly_full(const struct conf *conf)
{
	struct statvfs st;

	return statvfs(conf->node.store, &st) == 0 &&
	       (uint64_t)st.f_bavail * st.f_frsize < NEAR_FACTOR * conf->limits.min_free;
}

static void count_hour(struct pruner *u, uint64_t now)
{
	uint64_t seconds = (now - u->passed) / 1000;

	u->passed += seconds * 1000;
	if (!hour_runs(u))
		return;
	if (ended_by_person(u) || keep_passed(&u->keep, seconds))
		hour_over(u);
	prune_save(u);
}

static void prune_run(struct worker *w)
{
	struct pruner *u = CONTAINER_OF(w, struct pruner, worker);
	uint64_t now = u->passed, look = now + LOOK_MS;

	while (worker_wait(w, u->due < look ? u->due : look)) {
		now = clock_mono_ms();
		if (now >= look) {
			count_hour(u, now);
			if ((u->last == 0 || now - u->last > REST_MS) && is_nearly_full(w->daemon->service->conf))
				u->due = now;
			look = now + LOOK_MS;
		}
		if (now >= u->due)
			prune_round(u);
	}
}

/* What a person has just dropped is not to be brought back. */
struct keep_numbers prune_numbers(struct pruner *u)
{
	if (!worker_is_cut(&u->worker) && ended_by_person(u))
		hour_over(u);
	return u->keep.now.versions != 0 ? u->keep.now : (struct keep_numbers){ UINT32_MAX, 0 };
}

static void prune_relaid(struct syncd *d)
{
	const struct layout *layout = peers_layout(d->peers);
	struct pruner *u = d->prune;
	bool ran = hour_runs(u);

	if (worker_is_cut(&u->worker) || layout->epoch == 0)
		return;
	ended_by_person(u);
	if (!keep_told(&u->keep, (struct keep_numbers){ layout->keep_versions, layout->keep_days }))
		return;
	if (ran && !hour_runs(u))
		log_line(LOG_LEVEL_INFO, "keep.versions and keep.days were set back within the hour: nothing "
			 "is dropped by the lower numbers");
	u->passed = clock_mono_ms();
	prune_save(u);
	u->due = u->passed + (hour_runs(u) ? 0 : SOON_MS);
	worker_wake(&u->worker);
}

/* What cannot be read is not known: all waits. */
static struct worker *prune_make(struct syncd *d)
{
	struct pruner *u = mem_new(1, sizeof *u);
	struct err err;

	d->prune = u;
	if (keep_file_load(d->service->state, &u->keep, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err,
			"start without knowing by which keep.versions and keep.days this node pruned");
	u->passed = clock_mono_ms();
	u->due = u->passed + SOON_MS;
	u->worker.daemon = d;
	count_hour(u, u->passed);
	prune_relaid(d);
	return &u->worker;
}

static bool prune_is_busy(const struct syncd *d)
{
	return hour_runs(d->prune);
}

const struct upkeep prune_upkeep = {
	.make = prune_make,
	.run = prune_run,
	.relaid = prune_relaid,
	.busy = prune_is_busy,
};
