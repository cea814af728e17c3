/*
 * adopt - a layout becomes the one that this node uses
 *
 * It is used, and told to anybody, only when it is on disk.  While one is
 * written another may wait, the newest that came.
 */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "layout_file.h"
#include "log.h"

#include <inttypes.h>

#define AGAIN_MS 1000		/* after a layout could not be written */

static void write_layout(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, settle.job);

	d->settle.rc = layout_save(d->directory.data, &d->settle.writing, &d->settle.err);
}

void adopt_tell(struct discoverd *d, uint64_t to, const struct address *address, uint64_t id)
{
	wire_pack_layout(network_message(d, to), id, settle_layout(d));
	network_send(d, address);
}

/* Whoever decided it tells all; the others hear of it at once, not with the gossip. */
static void tell_everybody(struct discoverd *d)
{
	for (size_t i = 0; i < d->gossip.view.count; i++) {
		const struct member *m = &d->gossip.view.entries[i].member;

		if (m->state == MEMBER_UP)
			adopt_tell(d, m->id, &m->discovery, 0);
	}
}

static void log_layout(const struct layout *layout)
{
	log_line(LOG_LEVEL_INFO, "layout %016" PRIx64 " epoch %" PRIu64 ": %zu members%s",
		 layout->lineage, layout->epoch, layout->count,
		 layout_is_joint(layout) ? ", joint" : "");
}

static void use_layout(struct discoverd *d, const struct layout *layout)
{
	struct settle *s = &d->settle;
	struct member *self = &d->gossip.view.self;
	bool decided = s->proposer.phase == SYNOD_DECIDED && layout_eq(&s->proposer.value, layout);
	bool forced = layout->epoch == s->forced;

	council_told(&s->council, layout, clock_mono_ms());
	synod_stop(&s->proposer);
	self->lineage = layout->lineage;
	self->epoch = layout->epoch;
	self->synced = 0;
	log_layout(layout);
	watch_publish_layout(d);
	if (decided || forced)
		tell_everybody(d);
	discoverd_hurry(d);
	carry_poke(d);
}

static void layout_written(struct job *);

/* What waits is judged again: a solo group that has just grown gives itself up for nobody. */
static void write_next(struct discoverd *d)
{
	struct settle *s = &d->settle;

	if (s->busy)
		return;
	if (council_meet(&s->council, &s->next) != COUNCIL_ADOPT)
		s->next = LAYOUT_NONE;
	if (s->next.epoch == 0)
		return;
	s->busy = true;
	s->writing = s->next;
	s->next = LAYOUT_NONE;
	s->job.work = write_layout;
	s->job.done = layout_written;
	s->job.home = d->service->loop;
	pool_submit(d->pool, &s->job);
}

static void layout_written(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, settle.job);
	struct settle *s = &d->settle;

	s->busy = false;
	if (s->rc == 0) {
		use_layout(d, &s->writing);
	} else {
		log_err(LOG_LEVEL_WARNING, &s->err, "adopt no layout");
		if (s->next.epoch == 0)
			s->next = s->writing;
		timer_start(d->service->loop, &s->again, AGAIN_MS);
		return;
	}
	write_next(d);
	settle_step(d);
}

static void write_again(struct timer *timer)
{
	write_next(CONTAINER_OF(timer, struct discoverd, settle.again));
}

/* What is being written comes first; of two that wait the newer one. */
void adopt_layout(struct discoverd *d, const struct layout *layout)
{
	struct settle *s = &d->settle;

	if (s->busy && s->writing.lineage == layout->lineage && s->writing.epoch >= layout->epoch)
		return;
	if (s->next.epoch != 0 && s->next.lineage == layout->lineage &&
	    s->next.epoch >= layout->epoch)
		return;
	s->next = *layout;
	write_next(d);
}

void adopt_start(struct discoverd *d)
{
	d->settle.again.fire = write_again;
}

void adopt_stop(struct discoverd *d)
{
	timer_stop(&d->settle.again);
}
