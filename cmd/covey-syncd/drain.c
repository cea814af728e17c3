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
 * must not keep what others lack from being read.
 */
#include "drain.h"

#include "container.h"
#include "log.h"
#include "mem.h"

#define ENTRIES_MAX 20000		/* known at once; more stay in the outbox meanwhile */
#define READ_MS 5000			/* between two looks into the outbox */
#define WRITER_MS 200			/* that a writer has to finish it by itself */
#define BACK_OFF_MS 1000		/* doubled up to */
#define BACK_OFF_MAX_MS 8000

/* entries */

static void append(struct drained **first, struct drained **last, struct drained *e)
{
	e->next = NULL;
	e->prev = *last;
	if (*last != NULL)
		(*last)->next = e;
	else
		*first = e;
	*last = e;
}

static void forget(struct drained *e)
{
	struct drain *d = e->drain;

	if (e->prev != NULL)
		e->prev->next = e->next;
	else
		d->first = e->next;
	if (e->next != NULL)
		e->next->prev = e->prev;
	else
		d->last = e->prev;
	d->count--;
	drained_free(e);
}

/* As many as may run; the tick comes when the next is due. */
static void start_due(struct drain *d)
{
	uint64_t now = loop_now(d->daemon->loop), next = UINT64_MAX;

	for (struct drained *e = d->first, *after; e != NULL; e = after) {
		after = e->next;	/* it may be over, and gone, at once */
		if (d->running >= DRAIN_RUNNING_MAX || d->stopping)
			return;
		if (e->running)
			continue;
		if (e->due <= now) {
			e->running = true;
			e->kicks = d->kicks;
			d->running++;
			drained_run(e);
		} else if (e->due < next) {
			next = e->due;
		}
	}
	if (next != UINT64_MAX)
		timer_start(d->daemon->loop, &d->tick, next - now);
}

static void on_tick(struct timer *timer)
{
	start_due(CONTAINER_OF(timer, struct drain, tick));
}

static void try_later(struct drained *e)
{
	struct drain *d = e->drain;

	e->back_off = e->back_off == 0 ? BACK_OFF_MS : e->back_off * 2;
	if (e->back_off > BACK_OFF_MAX_MS)
		e->back_off = BACK_OFF_MAX_MS;
	if (e->kicks != d->kicks)	/* meanwhile it became worth trying */
		e->back_off = BACK_OFF_MS;
	e->due = loop_now(d->daemon->loop) + e->back_off;
}

void drain_over(struct drained *e)
{
	struct drain *d = e->drain;

	e->running = false;
	d->running--;
	service_touch(d->daemon->service);
	if (e->done) {
		forget(e);
	} else if (e->away && e->kicks == d->kicks) {
		d->parked++;
		forget(e);
	} else {
		try_later(e);
	}
	if (d->more && d->count < ENTRIES_MAX / 2 && !d->reading && !d->stopping)
		timer_start(d->daemon->loop, &d->read, 0);
	if (!d->stopping)	/* not from here: it may have ended within its first step */
		timer_start(d->daemon->loop, &d->tick, 0);
	syncd_rest(d->daemon);
}

/* reading */

/* Only what is running is known when all is read again. */
static bool is_known(const struct drain *d, struct outbox_mark mark)
{
	for (size_t i = 0; i < d->kept_count; i++)
		if (d->kept[i].segment == mark.segment && d->kept[i].offset == mark.offset)
			return true;
	return false;
}

static int take(void *data, const struct outbox_entry *found)
{
	struct drain *d = data;
	struct drained *e;

	if (is_known(d, found->mark))
		return 0;
	d->more = d->count + d->found_count >= ENTRIES_MAX;
	if (d->more)
		return -1;
	e = mem_new(1, sizeof *e);
	e->drain = d;
	e->mark = found->mark;
	e->version = found->version;
	e->entry = (struct store_entry)STORE_ENTRY_INIT;
	e->call = (struct call)CALL_INIT;
	buf_addstr(&e->path, found->path);
	append(&d->found, &d->found_last, e);
	d->found_count++;
	return 0;
}

static void read_outbox(struct job *job)
{
	struct drain *d = CONTAINER_OF(job, struct drain, job);
	struct err err = ERR_INIT;

	if (d->reread) {
		outbox_reader_free(d->reader);
		d->reader = outbox_reader_new(d->daemon->store);
	}
	d->more = false;
	if (outbox_read(d->reader, take, d, &err) < 0 && !d->more)
		log_err(LOG_LEVEL_WARNING, &err, "read the outbox");
	if (d->found_count == 0 && outbox_sweep(d->daemon->store, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "sweep the outbox");
}

/* They are read again. */
static void forget_resting(struct drain *d)
{
	struct drained *e, *next;

	d->parked = 0;
	d->kept_count = 0;
	for (e = d->first; e != NULL; e = next) {
		next = e->next;
		if (e->running)
			d->kept[d->kept_count++] = e->mark;
		else
			forget(e);
	}
}

static void start_reading(struct drain *d)
{
	if (d->reading) {
		d->read_again = true;
		return;
	}
	d->reading = true;
	d->read_again = false;
	d->reread = d->want_all;
	d->want_all = false;
	if (d->reread)
		forget_resting(d);
	pool_submit(d->daemon->disk, &d->job);
}

static void outbox_was_read(struct job *job)
{
	struct drain *d = CONTAINER_OF(job, struct drain, job);
	uint64_t due = loop_now(d->daemon->loop) + WRITER_MS;
	struct drained *e;

	d->reading = d->reread = false;
	d->kept_count = 0;
	while ((e = d->found) != NULL) {
		d->found = e->next;
		e->due = due;
		append(&d->first, &d->last, e);
		d->count++;
	}
	d->found_last = NULL;
	d->found_count = 0;
	if (d->stopping) {
		syncd_rest(d->daemon);
		return;
	}
	start_due(d);
	if (d->read_again)
		start_reading(d);
	else
		timer_start(d->daemon->loop, &d->read, READ_MS);
}

static void on_read(struct timer *timer)
{
	start_reading(CONTAINER_OF(timer, struct drain, read));
}

/* for the others */

void drain_now(struct drain *d)
{
	uint64_t now = loop_now(d->daemon->loop);

	if (d->stopping)
		return;
	d->kicks++;
	for (struct drained *e = d->first; e != NULL; e = e->next) {
		if (e->running || e->back_off == 0)
			continue;
		e->back_off = 0;
		e->due = now;
	}
	start_due(d);
	d->want_all = d->want_all || d->parked > 0;
	start_reading(d);
}

void drain_look(struct drain *d)
{
	if (!d->stopping)
		start_reading(d);
}

bool drain_busy(const struct drain *d)
{
	return d->count > 0 || d->parked > 0;
}

bool drain_rests(const struct drain *d)
{
	return d == NULL || (d->running == 0 && !d->reading);
}

void drain_stop(struct drain *d)
{
	d->stopping = true;
	timer_stop(&d->tick);
	timer_stop(&d->read);
	for (struct drained *e = d->first, *next; e != NULL; e = next) {
		next = e->next;
		if (e->running)
			drained_cut(e);
	}
}

void drain_start(struct syncd *daemon)
{
	struct drain *d = mem_new(1, sizeof *d);

	daemon->drain = d;
	d->daemon = daemon;
	d->reader = outbox_reader_new(daemon->store);
	d->tick.fire = on_tick;
	d->read.fire = on_read;
	d->job = (struct job){ .work = read_outbox, .done = outbox_was_read, .home = daemon->loop };
	start_reading(d);
}

void drain_free(struct drain *d)
{
	if (d == NULL)
		return;
	timer_stop(&d->tick);
	timer_stop(&d->read);
	while (d->first != NULL)
		forget(d->first);
	outbox_reader_free(d->reader);
	free(d);
}
