/*
 * upkeep - what is to be forgotten: versions beyond the layout's keep rule
 *
 * Everything is looked through when the rule changes, every day, and when the
 * disk is nearly full.
 */
#include "syncd.h"

#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"

#include <sys/statvfs.h>

#define DAY_MS 86400000
#define DAY_NS (86400ull * 1000000000)
#define SOON_MS 5000			/* after a change of the rule */
#define LOOK_MS 60000			/* between two looks at the free space */
#define NEAR_FACTOR 2			/* of limits.min_free: the disk is nearly full */
#define REST_MS 1800000			/* between two times for that reason */

struct upkeep {
	struct syncd *daemon;
	struct timer due, look;
	struct prune_rule rule;		/* of the job */
	struct prune_count count;
	uint32_t versions, days;	/* of the layout when it was last looked at */
	uint32_t job_versions, job_days;	/* the same when the job began */
	uint64_t last;			/* loop's ms; 0: never */
	struct job job;
	bool working, stopping;
};

static void prune(struct job *job)
{
	struct upkeep *u = CONTAINER_OF(job, struct upkeep, job);
	struct err err;

	if (store_prune_all(u->daemon->store, &u->rule, NULL, NULL, &u->count, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "prune");
}

static void pruned(struct job *job)
{
	struct upkeep *u = CONTAINER_OF(job, struct upkeep, job);

	bool changed = u->versions != u->job_versions || u->days != u->job_days;

	u->working = false;
	if (u->count.records > 0 || u->count.contents > 0)
		log_line(LOG_LEVEL_INFO, "pruned %llu versions and the content of %llu: %llu bytes",
			 (unsigned long long)u->count.records, (unsigned long long)u->count.contents,
			 (unsigned long long)u->count.bytes);
	if (u->stopping)
		syncd_rest(u->daemon);
	else
		timer_start(u->daemon->loop, &u->due, changed ? 0 : DAY_MS);
}

static void on_due(struct timer *timer)
{
	struct upkeep *u = CONTAINER_OF(timer, struct upkeep, due);
	uint64_t now = clock_wall_ns();

	if (u->working || u->versions == 0)
		return;
	u->rule = (struct prune_rule){ .versions = u->versions };
	if (u->days > 0 && u->days * DAY_NS < now)
		u->rule.before = now - u->days * DAY_NS;
	u->job_versions = u->versions;
	u->job_days = u->days;
	u->count = (struct prune_count){ .records = 0 };
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

static void on_look(struct timer *timer)
{
	struct upkeep *u = CONTAINER_OF(timer, struct upkeep, look);
	uint64_t now = loop_now(u->daemon->loop);

	if ((u->last == 0 || now - u->last > REST_MS) && is_nearly_full(u->daemon->service->conf))
		on_due(&u->due);
	timer_start(u->daemon->loop, &u->look, LOOK_MS);
}

void upkeep_relaid(struct upkeep *u)
{
	const struct layout *layout = peers_layout(u->daemon->peers);

	if (u->stopping || (layout->keep_versions == u->versions && layout->keep_days == u->days))
		return;
	u->versions = layout->keep_versions;
	u->days = layout->keep_days;
	timer_start(u->daemon->loop, &u->due, SOON_MS);
}

void upkeep_start(struct syncd *d)
{
	struct upkeep *u = mem_new(1, sizeof *u);

	d->upkeep = u;
	u->daemon = d;
	u->due.fire = on_due;
	u->look.fire = on_look;
	u->job = (struct job){ .work = prune, .done = pruned, .home = d->loop };
	timer_start(d->loop, &u->look, LOOK_MS);
	upkeep_relaid(u);
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
	free(u);
}
