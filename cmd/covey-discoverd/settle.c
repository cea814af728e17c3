/*
 * settle - layouts: the sockets, the disk and the timer around agent.h
 *
 * Promises and layouts are written by the pool; what the agent says is logged.
 */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "layout_file.h"
#include "log.h"

#include <inttypes.h>
#include <sodium.h>

const struct layout *settle_layout(const struct discoverd *d)
{
	return agent_layout(&d->agent);
}

/* what the agent asks for */

static struct buf *message(void *data, uint64_t to)
{
	return network_message(data, to);
}

static void send_message(void *data, const struct address *to, bool expects)
{
	if (expects)
		network_ask(data, to);
	else
		network_send(data, to);
}

static void say(void *data, bool warning, const char *text)
{
	(void)data;
	log_line(warning ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s", text);
}

static void submit(struct discoverd *d, struct settling *s, void (*work)(struct job *),
		   void (*done)(struct job *))
{
	s->job = (struct job){ .work = work, .done = done, .home = d->service->loop };
	pool_submit(d->pool, &s->job);
}

static void promise_work(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, promising.job);
	struct settling *s = &d->promising;

	s->rc = state_save_promise(d, &s->promise, &s->err);
}

static void promise_done(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, promising.job);

	if (d->promising.rc < 0)
		log_err(LOG_LEVEL_WARNING, &d->promising.err, "give no vote on the next layout");
	agent_promised(&d->agent, d->promising.rc == 0, clock_mono_ms());
	settle_step(d);
}

static void write_promise(void *data, const struct synod_promise *promise)
{
	struct discoverd *d = data;

	d->promising.promise = *promise;
	submit(d, &d->promising, promise_work, promise_done);
}

/* In another lineage's group: what is known here its homes and keepers may not know. */
static int prepare_lineage(struct discoverd *d, struct settling *s)
{
	if (state_load_promise(d, s->layout.lineage, &s->promise, &s->err) < 0)
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
	struct settling *s = &d->adopting;

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
	settle_step(d);
}

static void write_layout(void *data, const struct layout *layout)
{
	struct discoverd *d = data;

	d->adopting.layout = *layout;
	d->adopting.left = settle_layout(d)->lineage;
	submit(d, &d->adopting, layout_work, layout_done);
}

static void used(void *data)
{
	struct discoverd *d = data;

	watch_publish_layout(d);
	discoverd_hurry(d);
	carry_poke(d);
}

/* steps */

void settle_step(struct discoverd *d)
{
	uint64_t now = clock_mono_ms(), due;
	struct council_seeds seeds;

	if (d->unicast == NULL)
		return;
	seeds_count(d, &seeds);
	agent_step(&d->agent, &seeds, now);
	due = d->agent.due;
	if (due != 0)
		timer_start(d->service->loop, &d->settle_due, due > now ? due - now : 0);
	else
		timer_stop(&d->settle_due);
}

static void due(struct timer *timer)
{
	settle_step(CONTAINER_OF(timer, struct discoverd, settle_due));
}

void settle_receive(struct discoverd *d, const struct wire *wire, const struct address *from)
{
	agent_hear(&d->agent, wire, from, clock_mono_ms());
}

void settle_fetch(struct discoverd *d, uint64_t from, const struct address *address)
{
	agent_fetch(&d->agent, from, address);
}

void settle_synced(struct discoverd *d, uint64_t epoch)
{
	if (!agent_synced(&d->agent, epoch))
		return;
	discoverd_hurry(d);
	settle_step(d);
}

/* Of a group that this node may found: those by which its store last lived, else the configuration's. */
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
	int before = state_numbers_before(d, &numbers, &err);

	if (before < 0)
		log_err(LOG_LEVEL_WARNING, &err, "start without the numbers by which this store lived");
	else if (before > 0 && settle_layout(d)->epoch == 0)
		log_line(LOG_LEVEL_INFO, "a group founded here has the numbers by which this store last "
			 "lived: homes %u, copies %u, keep.versions %" PRIu32 ", keep.days %" PRIu32,
			 numbers.homes, numbers.copies, numbers.keep_versions, numbers.keep_days);
	return numbers;
}

void settle_start(struct discoverd *d)
{
	struct layout_numbers numbers = founding_numbers(d);
	struct agent *a = &d->agent;

	a->view = &d->gossip.view;
	a->data = d;
	a->message = message;
	a->send = send_message;
	a->write_promise = write_promise;
	a->write_layout = write_layout;
	a->used = used;
	a->say = say;
	a->random = network_random;
	d->settle_due.fire = due;
	agent_init(a, &numbers, &a->council.layout, &a->acceptor.promise, clock_mono_ms());
}

void settle_stop(struct discoverd *d)
{
	timer_stop(&d->settle_due);
}
