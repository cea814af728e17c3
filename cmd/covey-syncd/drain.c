/*
 * drain - DRAIN: the outbox, until everybody has what is in it
 *
 * Entries are tried in the order they were made, some at a time.  What did
 * not get through is tried again after a second, then ever later, up to eight;
 * at once when a member returns or the layout changes.  No later than that:
 * whom a link failed in one direction was never away, so nobody tells when he
 * is back, and then everything is to reach him within ten seconds.
 *
 * What everybody has who is there is forgotten, to be read again from the
 * outbox when somebody returns: a node that is away for long, or for ever,
 * must not keep what others lack from being read.  Nor must one that is there
 * and refuses: only so many entries are remembered after a try; the others
 * are read once more, some at a time, and those that were never tried always
 * come first.
 */
#include "drain.h"

#include "container.h"
#include "mem.h"

#define RESTING_MAX 5000		/* remembered of those that did not get through */
#define AGAIN_RUNNING_MAX 48		/* of those running; the others are for new ones */
#define BACK_OFF_MS 1000		/* doubled DRAIN_BACK_OFFS - 1 times */

/* lists */

static void list_take(struct drained *e)
{
	struct drained_list *list = &e->drain->lists[e->list];

	if (e->prev != NULL)
		e->prev->next = e->next;
	else
		list->first = e->next;
	if (e->next != NULL)
		e->next->prev = e->prev;
	else
		list->last = e->prev;
	list->count--;
}

void drain_put(struct drain *d, struct drained *e, enum drain_list which)
{
	struct drained_list *list = &d->lists[which];

	e->list = which;
	e->next = NULL;
	e->prev = list->last;
	if (list->last != NULL)
		list->last->next = e;
	else
		list->first = e;
	list->last = e;
	list->count++;
}

void drain_forget(struct drained *e)
{
	list_take(e);
	drained_free(e);
}

static size_t resting(const struct drain *d)
{
	size_t count = 0;

	for (unsigned i = 0; i < DRAIN_BACK_OFFS; i++)
		count += d->lists[DRAIN_RESTING + i].count;
	return count;
}

/* trying */

/* The first that is due, or NULL: new ones, then whichever is due first. */
static struct drained *next_of(const struct drain *d, uint64_t now)
{
	struct drained *e = d->lists[DRAIN_NEW].first, *best = NULL;

	if (e != NULL && e->due <= now)
		return e;
	if (d->running_again >= AGAIN_RUNNING_MAX)
		return NULL;
	for (unsigned i = 0; i < DRAIN_LISTS; i++) {
		e = d->lists[i].first;
		if (i != DRAIN_RUNNING && e != NULL && e->due <= now &&
		    (best == NULL || e->due < best->due))
			best = e;
	}
	return best;
}

/* The tick comes when the next is due; nobody needs one to see what could run when another ends. */
static void set_tick(struct drain *d, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < DRAIN_LISTS; i++) {
		const struct drained *e = d->lists[i].first;

		if (i != DRAIN_RUNNING && e != NULL && e->due > now && e->due < next)
			next = e->due;
	}
	if (next != UINT64_MAX)
		timer_start(d->daemon->loop, &d->tick, next - now);
}

/* As many as may run. */
void drain_tick(struct drain *d)
{
	uint64_t now = loop_now(d->daemon->loop);
	struct drained *e;

	while (!d->stopping && d->lists[DRAIN_RUNNING].count < DRAIN_RUNNING_MAX &&
	       (e = next_of(d, now)) != NULL) {
		list_take(e);
		e->first = e->list == DRAIN_NEW;
		e->kicks = d->kicks;
		d->running_again += !e->first;
		drain_put(d, e, DRAIN_RUNNING);
		drained_run(e);		/* it may be over, and gone, at once */
	}
	if (!d->stopping)
		set_tick(d, now);
}

static void on_tick(struct timer *timer)
{
	drain_tick(CONTAINER_OF(timer, struct drain, tick));
}

static void try_later(struct drained *e)
{
	struct drain *d = e->drain;
	unsigned back_off;

	if (e->kicks != d->kicks)	/* meanwhile it became worth trying */
		e->tries = 0;
	back_off = e->tries < DRAIN_BACK_OFFS ? e->tries : DRAIN_BACK_OFFS - 1;
	e->tries++;
	e->due = loop_now(d->daemon->loop) + ((uint64_t)BACK_OFF_MS << back_off);
	list_take(e);
	drain_put(d, e, (enum drain_list)(DRAIN_RESTING + back_off));
}

void drain_over(struct drained *e)
{
	struct drain *d = e->drain;

	d->running_again -= !e->first;
	service_touch(d->daemon->service);
	if (e->done) {
		drain_forget(e);
	} else if (e->away && e->kicks == d->kicks) {
		d->parked++;
		drain_forget(e);
	} else if (resting(d) >= RESTING_MAX) {
		d->missed++;
		drain_forget(e);
	} else {
		try_later(e);
	}
	drain_read_more(d);
	if (!d->stopping)	/* not from here: it may have ended within its first step */
		timer_start(d->daemon->loop, &d->tick, 0);
	syncd_rest(d->daemon);
}

/* for the others */

void drain_now(struct drain *d)
{
	uint64_t now = loop_now(d->daemon->loop);

	if (d->stopping)
		return;
	d->kicks++;
	for (unsigned i = 0; i < DRAIN_BACK_OFFS; i++)
		for (struct drained *e = d->lists[DRAIN_RESTING + i].first; e != NULL; e = e->next) {
			e->tries = 0;
			e->due = now;
		}
	drain_tick(d);
	d->want_all = d->want_all || d->parked > 0 || d->missed > 0;
	drain_read(d);
}

void drain_look(struct drain *d)
{
	if (!d->stopping)
		drain_read(d);
}

static size_t count_writes(const struct drain *d)
{
	size_t count = d->parked + d->missed;

	for (unsigned i = 0; i < DRAIN_LISTS; i++)
		count += d->lists[i].count;
	return count;
}

bool drain_busy(const struct drain *d)
{
	return count_writes(d) > 0;
}

void drain_tell_status(const struct drain *d)
{
	size_t count = count_writes(d);

	service_status(d->daemon->service, "%zu write%s to bring to other nodes", count,
		       count == 1 ? "" : "s");
}

bool drain_rests(const struct drain *d)
{
	return d == NULL || (d->lists[DRAIN_RUNNING].count == 0 && !d->reading);
}

void drain_stop(struct drain *d)
{
	d->stopping = true;
	timer_stop(&d->tick);
	timer_stop(&d->read);
	for (struct drained *e = d->lists[DRAIN_RUNNING].first, *next; e != NULL; e = next) {
		next = e->next;
		drained_cut(e);
	}
}

void drain_start(struct syncd *daemon)
{
	struct drain *d = mem_new(1, sizeof *d);

	daemon->drain = d;
	d->daemon = daemon;
	d->tick.fire = on_tick;
	drain_read_begin(d);
}

void drain_free(struct drain *d)
{
	if (d == NULL)
		return;
	timer_stop(&d->tick);
	for (unsigned i = 0; i < DRAIN_LISTS; i++)
		while (d->lists[i].first != NULL)
			drain_forget(d->lists[i].first);
	drain_read_free(d);
	free(d);
}
