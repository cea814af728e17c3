/*
 * drain_read - the outbox, as far as there is room for its entries
 *
 * One reader tells of what was never tried, and goes on where it was.  The
 * other begins anew when what was forgotten is to be tried once more, and
 * tells of nothing that the first has not told of.  Each has its own room,
 * so that neither is in the other's way.
 */
#include "drain.h"

#include "container.h"
#include "log.h"
#include "mem.h"

#define NEW_MAX 10000			/* known at once; more stay in the outbox meanwhile */
#define AGAIN_MAX 5000
#define READ_MS 5000			/* between two looks into the outbox */
#define WRITER_MS 200			/* that a writer has to finish an entry by itself */
#define REREAD_MS 8000			/* at least, between two beginnings for want of room */

/* the job */

/* Those that ran when all was to be read once more are known yet. */
static bool is_known(const struct drain *d, struct outbox_mark mark)
{
	for (size_t i = 0; i < d->kept_count; i++)
		if (d->kept[i].segment == mark.segment && d->kept[i].offset == mark.offset)
			return true;
	return false;
}

static int take(struct drain *d, struct drain_reader *reader, const struct outbox_entry *found)
{
	struct drained *e;

	reader->more = reader->found.count >= reader->room;
	if (reader->more)
		return -1;
	e = mem_new(1, sizeof *e);
	e->drain = d;
	e->mark = found->mark;
	e->version = found->version;
	e->entry = (struct store_entry)STORE_ENTRY_INIT;
	e->call = (struct call)CALL_INIT;
	buf_addstr(&e->path, found->path);
	if (reader->found.last != NULL)
		reader->found.last->next = e;
	else
		reader->found.first = e;
	reader->found.last = e;
	reader->found.count++;
	return 0;
}

static int take_new(void *data, const struct outbox_entry *found)
{
	struct drain *d = data;

	return take(d, &d->new_ones, found);
}

static int take_again(void *data, const struct outbox_entry *found)
{
	struct drain *d = data;

	if (is_known(d, found->mark) || !outbox_was_told(d->new_ones.outbox, found->mark))
		return 0;
	return take(d, &d->again, found);
}

static void read_with(struct drain *d, struct drain_reader *reader,
		      int (*each)(void *data, const struct outbox_entry *))
{
	struct err err = ERR_INIT;

	reader->more = false;
	if (outbox_read(reader->outbox, each, d, &err) < 0 && !reader->more)
		log_err(LOG_LEVEL_WARNING, &err, "read the outbox");
}

static void read_outbox(struct job *job)
{
	struct drain *d = CONTAINER_OF(job, struct drain, job);
	struct err err = ERR_INIT;

	if (d->reread) {
		outbox_reader_free(d->again.outbox);
		d->again.outbox = outbox_reader_new(d->daemon->store);
	}
	read_with(d, &d->new_ones, take_new);
	if (d->rereading)
		read_with(d, &d->again, take_again);
	if (d->new_ones.found.count + d->again.found.count == 0 &&
	    outbox_remove_done(d->daemon->store, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "sweep the outbox");
}

/* before it, after it */

/* They are read once more. */
static void forget_resting(struct drain *d)
{
	const struct drained *running = d->lists[DRAIN_RUNNING].first;

	d->parked = d->missed = 0;
	for (d->kept_count = 0; running != NULL; running = running->next)
		d->kept[d->kept_count++] = running->mark;
	for (unsigned i = 0; i < DRAIN_LISTS; i++)
		while (i != DRAIN_RUNNING && d->lists[i].first != NULL)
			drain_forget(d->lists[i].first);
}

/* For want of room something was forgotten, and all else has been tried. */
static bool is_time_to_reread(const struct drain *d)
{
	return d->missed > 0 && !d->rereading && !d->new_ones.more &&
	       d->lists[DRAIN_NEW].count + d->lists[DRAIN_AGAIN].count == 0 &&
	       loop_now(d->daemon->loop) >= d->reread_since + REREAD_MS;
}

static size_t room(size_t max, size_t count)
{
	return max > count ? max - count : 0;
}

void drain_read(struct drain *d)
{
	if (d->reading) {
		d->read_again = true;
		return;
	}
	d->reading = true;
	d->read_again = false;
	d->reread = d->want_all || is_time_to_reread(d);
	d->want_all = false;
	if (d->reread) {
		d->rereading = true;
		d->reread_since = loop_now(d->daemon->loop);
		forget_resting(d);
	}
	d->new_ones.room = room(NEW_MAX, d->lists[DRAIN_NEW].count);
	d->again.room = room(AGAIN_MAX, d->lists[DRAIN_AGAIN].count);
	pool_submit(d->daemon->disk, &d->job);
}

static void take_found(struct drain *d, struct drain_reader *reader, enum drain_list list)
{
	uint64_t due = loop_now(d->daemon->loop) + WRITER_MS;
	struct drained *e;

	while ((e = reader->found.first) != NULL) {
		reader->found.first = e->next;
		e->due = due;
		drain_put(d, e, list);
	}
	reader->found = (struct drained_list){ .count = 0 };
}

static void outbox_was_read(struct job *job)
{
	struct drain *d = CONTAINER_OF(job, struct drain, job);

	d->reading = d->reread = false;
	take_found(d, &d->new_ones, DRAIN_NEW);
	take_found(d, &d->again, DRAIN_AGAIN);
	d->rereading = d->rereading && d->again.more;
	if (d->stopping) {
		syncd_rest(d->daemon);
		return;
	}
	drain_tick(d);
	drain_tell_status(d);
	if (d->read_again)
		drain_read(d);
	else
		timer_start(d->daemon->loop, &d->read, READ_MS);
}

void drain_read_more(struct drain *d)
{
	if (d->reading || d->stopping)
		return;
	if ((d->new_ones.more && d->lists[DRAIN_NEW].count < NEW_MAX / 2) ||
	    (d->rereading && d->lists[DRAIN_AGAIN].count < AGAIN_MAX / 2))
		timer_start(d->daemon->loop, &d->read, 0);
}

static void on_read(struct timer *timer)
{
	drain_read(CONTAINER_OF(timer, struct drain, read));
}

void drain_read_begin(struct drain *d)
{
	d->read.fire = on_read;
	d->job = (struct job){ .work = read_outbox, .done = outbox_was_read,
			       .home = d->daemon->loop };
	d->new_ones.outbox = outbox_reader_new(d->daemon->store);
	d->again.outbox = outbox_reader_new(d->daemon->store);
	drain_read(d);
}

void drain_read_free(struct drain *d)
{
	timer_stop(&d->read);
	outbox_reader_free(d->new_ones.outbox);
	outbox_reader_free(d->again.outbox);
}
