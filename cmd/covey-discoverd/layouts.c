/*
 * layouts - the disk and the timer around agent.h, which agrees on layouts
 *
 * The pool writes promises and layouts.  What the agent says goes to the log.
 */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "layout_file.h"
#include "log.h"

#include <inttypes.h>
#include <sodium.h>

static void log_words(void *data, bool warning, const char *text)
{
	(void)data;
	log_line(warning ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s", text);
}

static void submit_write(struct discoverd *d, struct layout_write *s, void (*work)(struct job *),
			 void (*done)(struct job *))
{
	s->job = (struct job){ .work = work, .done = done, .home = d->service->loop };
	pool_submit(d->pool, &s->job);
}

static void promise_work(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, promising.job);
	struct layout_write *s = &d->promising;

	s->rc = memory_save_promise(d, &s->promise, &s->err);
}

static void promise_done(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, promising.job);

	if (d->promising.rc < 0)
		log_err(LOG_LEVEL_WARNING, &d->promising.err, "give no vote on the next layout");
	agent_promised(&d->agent, d->promising.rc == 0, clock_mono_ms());
	layouts_step(d);
}

static void write_promise(void *data, const struct synod_promise *promise)
{
	struct discoverd *d = data;

	d->promising.promise = *promise;
	submit_write(d, &d->promising, promise_work, promise_done);
}

/* Of another lineage: its homes and keepers may lack what this store has, so all of it is owed to them. */
static int prepare_lineage(struct discoverd *d, struct layout_write *s)
{
	if (memory_load_promise(d, s->layout.lineage, &s->promise, &s->err) < 0)
		return -1;
	if (synod_is_past(&s->promise, &s->layout))
		return err_set(&s->err, ERR_DENIED, "this node has been at epoch %" PRIu64 " of lineage %016"
			       PRIx64 ", and not only at epoch %" PRIu64, s->promise.instance - 1,
			       s->layout.lineage, s->layout.epoch);
	return s->left != 0 ? store_owe_later(d->service->store, s->layout.lineage, &s->err) : 0;
}

static void layout_work(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, adopting.job);
	struct layout_write *s = &d->adopting;

	s->promise = SYNOD_PROMISE_NONE;
	if (s->layout.lineage != s->left)
		s->rc = prepare_lineage(d, s);
	else
		s->rc = 0;
	if (s->rc == 0)
		s->rc = layout_save(d->directory.data, &s->layout, &s->err);
}

static void layout_done(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, adopting.job);

	if (d->adopting.rc < 0)
		log_err(LOG_LEVEL_WARNING, &d->adopting.err, "do not adopt the layout");
	agent_written(&d->agent, d->adopting.rc == 0, &d->adopting.promise, clock_mono_ms());
	layouts_step(d);
}

static void write_layout(void *data, const struct layout *layout)
{
	struct discoverd *d = data;

	d->adopting.layout = *layout;
	d->adopting.left = agent_layout(&d->agent)->lineage;
	submit_write(d, &d->adopting, layout_work, layout_done);
}

static void layout_used(void *data)
{
	struct discoverd *d = data;

	local_publish_layout(d);
	discoverd_hurry(d);
	discoverd_drain(d);
}

/* steps */

void layouts_step(struct discoverd *d)
{
	uint64_t now = clock_mono_ms(), due;
	struct council_seeds seeds;

	if (d->unicast == NULL)
		return;
	network_count_seeds(d, &seeds);
	agent_step(&d->agent, &seeds, now);
	due = d->agent.due;
	if (due != 0)
		timer_start(d->service->loop, &d->layouts_due, due > now ? due - now : 0);
	else
		timer_stop(&d->layouts_due);
}

static void step_due(struct timer *timer)
{
	layouts_step(CONTAINER_OF(timer, struct discoverd, layouts_due));
}

/* For a group that this node may found: the numbers of its store's last layout, else the configuration's. */
static struct layout_numbers founding_numbers(const struct discoverd *d)
{
	const struct conf *conf = d->service->conf;
	struct layout_numbers numbers = {
		.homes = (uint8_t)conf->replication.homes,
		.copies = (uint8_t)conf->replication.copies,
		.keep_versions = (uint32_t)conf->keep.versions,
		.keep_days = (uint32_t)conf->keep.days,
	};
	struct err err;
	int before = memory_numbers_before(d, &numbers, &err);

	if (before < 0)
		log_err(LOG_LEVEL_WARNING, &err, "start without the numbers by which this store lived");
	else if (before > 0 && agent_layout(&d->agent)->epoch == 0)
		log_line(LOG_LEVEL_INFO, "a group founded here has the numbers by which this store last "
			 "lived: homes %u, copies %u, keep.versions %" PRIu32 ", keep.days %" PRIu32,
			 numbers.homes, numbers.copies, numbers.keep_versions, numbers.keep_days);
	return numbers;
}

void layouts_start(struct discoverd *d)
{
	struct layout_numbers numbers = founding_numbers(d);
	struct agent *a = &d->agent;

	a->view = &d->gossip.view;
	a->data = d;
	a->message = network_message;
	a->send = network_send;
	a->write_promise = write_promise;
	a->write_layout = write_layout;
	a->used = layout_used;
	a->say = log_words;
	a->random = network_random;
	d->layouts_due.fire = step_due;
	agent_init(a, &numbers, &a->council.layout, &a->acceptor.promise, clock_mono_ms());
}

void layouts_stop(struct discoverd *d)
{
	timer_stop(&d->layouts_due);
}
