/*
 * scrub - once a month all contents are read again, and what is bad is pulled again: LOST
 *
 * A round may take days: it reads slowly, and the disk serves others first.
 * How far it is stands in scrub.ini, so that the next process goes on from
 * there.
 */
#include "syncd.h"

#include "backoff.h"
#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"
#include "scrub_file.h"

#include <linux/ioprio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * LOST: contents that were here and are bad, to be had again
 *
 * Each is asked for at once, of everybody who might have it, then again,
 * ever later, until it is here or the version is known no more; and when
 * somebody returns.  What this node is no keeper of is left to whoever reads
 * it.  A restart forgets: the homes ask a keeper every hour, too.
 */

#define LOST_BYTES (4u << 20)		/* of items; what is more, the homes ask for */
#define LOST_AGAIN_MS 2000		/* doubled up to */
#define LOST_AGAIN_MAX_MS 600000

struct lost {
	struct worker worker;
	struct buf items;
	uint64_t due;			/* ms, monotonic: they are asked for again */
	unsigned tries;			/* since something was lost, or somebody returned */
};

/* It is still to be had. */
static bool lost_is_wanted(struct store *store, const struct keep_item *item)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct buf path = BUF_INIT;
	struct err err;
	bool wanted;

	if (store_version(store, item->path, item->record.version, STORE_RECORD, &entry, &err) < 0)
		return err.kind != ERR_ABSENT;
	wanted = !entry.content;
	store_entry_clear(&entry);
	if (!wanted) {
		path_to_target(&path, item->path, false);
		log_line(LOG_LEVEL_INFO, "scrub: %s is whole again", path.data);
		buf_clear(&path);
	}
	return wanted;
}

/* Without a layout nobody knows yet. */
static bool lost_is_duty(const struct lost *l, const struct keep_item *item)
{
	const struct layout *layout = peers_layout(l->worker.daemon->peers);
	uint64_t self = store_node(l->worker.daemon->store);

	return layout->epoch == 0 || layout_keeps(layout, item->path, self) ||
	       (layout_copies(layout) < 2 && item->record.version.node == self);
}

/* Those that are still to be had: remember them, and pull them unless the disk is full. */
static void pull_lost(struct lost *l)
{
	struct syncd *d = l->worker.daemon;
	struct buf items = l->items, wanted = BUF_INIT;
	struct str rest = buf_str(&items);
	struct keep_item item;
	bool full;

	l->items = (struct buf)BUF_INIT;
	syncd_unlock(d);
	while (keep_item_next(&rest, &item) == 1)
		if (lost_is_wanted(d->store, &item))
			keep_item_pack(&wanted, &item);
	full = store_writable(d->store, NULL) < 0;
	syncd_lock(d);
	for (rest = buf_str(&wanted); keep_item_next(&rest, &item) == 1;) {
		if (!lost_is_duty(l, &item))
			continue;
		keep_item_pack(&l->items, &item);
		if (!full)
			pull_kept(d, &item, item.record.version.node);
	}
	buf_clear(&items);
	buf_clear(&wanted);
}

static void lost_run(struct worker *w)
{
	struct lost *l = CONTAINER_OF(w, struct lost, worker);

	while (worker_wait_until(w, &l->due)) {
		l->due = NEVER;
		pull_lost(l);
		if (l->items.len == 0 || l->due != NEVER)
			continue;
		l->due = clock_mono_ms() + backoff_ms(LOST_AGAIN_MS, LOST_AGAIN_MAX_MS, l->tries++);
	}
}

/* What could not be had might be now. */
static void lost_now(struct lost *l)
{
	l->tries = 0;
	worker_set_due(&l->worker, &l->due, 0);
}

static void lost_returned(struct syncd *d, uint64_t id)
{
	(void)id;
	lost_now(d->lost);
}

static void lost_add(struct lost *l, const struct keep_item *item)
{
	if (l == NULL || l->items.len > LOST_BYTES)	/* NULL: a group of one */
		return;
	keep_item_pack(&l->items, item);
	lost_now(l);
}

int request_lost(struct syncd *d, struct serve_request *request, struct frame *frame, struct err *err)
{
	struct str rest = frame->body;
	struct keep_item item;

	if (keep_item_next(&rest, &item) != 1 || rest.n > 0)
		return err_set(err, ERR_INVALID, "read LOST: malformed");
	lost_add(d->lost, &item);
	request_done(request);
	return 0;
}

static struct worker *lost_make(struct syncd *d)
{
	struct lost *l = mem_new(1, sizeof *l);

	d->lost = l;
	l->due = NEVER;
	return &l->worker;
}

static void lost_clear(struct syncd *d)
{
	buf_clear(&d->lost->items);
}

const struct upkeep lost_upkeep = {
	.in_group = true,
	.make = lost_make,
	.run = lost_run,
	.clear = lost_clear,
	.returned = lost_returned,
};

/* the rounds */

#define NS_PER_S 1000000000u
#define DAY_S 86400
#define MONTH_S (30 * DAY_S)
#define SOON_MS 5000			/* after the start, which has more to do */
#define SAVE_MS 60000			/* between two times that scrub.ini is written */
#define RATE (16u << 20)		/* bytes a second, at most: a month is 40 TB */
#define LOOK_BYTES (16u << 10)		/* that a look at a path counts as */
#define NAP_BYTES (256u << 10)		/* read between two naps */

struct scrubber {
	struct worker worker;
	bool running;			/* a round is: file is its own */
	struct scrub_file file;
	uint64_t saved;			/* ms, monotonic */
	uint64_t unpaid;		/* bytes, since the last nap */
};

static uint64_t wall_s(void)
{
	return clock_wall_ns() / NS_PER_S;
}

/* a round, without the lock */

static void scrub_save(struct scrubber *s)
{
	struct err err;

	if (scrub_file_save(s->worker.daemon->service->state, &s->file, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "save how far scrub has come");
	s->saved = clock_mono_ms();
}

static bool scrub_pace(void *data, size_t bytes)
{
	struct scrubber *s = data;
	struct timespec nap;

	if (worker_is_cut(&s->worker))
		return false;
	s->file.bytes += bytes;
	s->unpaid += bytes > 0 ? bytes : LOOK_BYTES;
	if (s->unpaid < NAP_BYTES)
		return true;
	nap.tv_sec = 0;		/* NAP_BYTES are a fraction of RATE, and so is a piece */
	nap.tv_nsec = (long)(s->unpaid * NS_PER_S / RATE);
	s->unpaid = 0;
	nanosleep(&nap, NULL);
	return true;
}

static void scrub_reached(void *data, struct str path)
{
	struct scrubber *s = data;

	buf_reset(&s->file.position);
	buf_addstr(&s->file.position, path);
	if (clock_mono_ms() - s->saved > SAVE_MS)
		scrub_save(s);
}

static void scrub_found_bad(void *data, const struct scrub_bad *bad)
{
	struct scrubber *s = data;
	const struct keep_item item = { .record = bad->record, .type = bad->type,
					.path = bad->path };
	char version[VERSION_TEXT];
	struct buf path = BUF_INIT;

	path_to_target(&path, bad->path, false);
	log_line(LOG_LEVEL_ERROR, "scrub: version %s is bad: %s; set aside as %s in history%s",
		 version_format(version, bad->record.version), bad->why, bad->aside, path.data);
	buf_clear(&path);
	s->file.bad++;
	syncd_lock(s->worker.daemon);
	lost_add(s->worker.daemon->lost, &item);
	syncd_unlock(s->worker.daemon);
}

static void scrub_failed(void *data, struct str path, const struct err *err)
{
	(void)data, (void)path;
	log_line(LOG_LEVEL_ERROR, "%s", err->text);
}

static void scrub_from_position(struct scrubber *s)
{
	struct scrub scrub = { .go_on = scrub_pace, .reached = scrub_reached, .bad = scrub_found_bad,
			       .failed = scrub_failed, .data = s };
	struct buf from = BUF_INIT;
	struct err err;

	if (s->file.began == 0)
		s->file.began = wall_s();
	buf_addstr(&from, buf_str(&s->file.position));	/* which moves on meanwhile */
	if (store_scrub_from(s->worker.daemon->store, buf_str(&from), &scrub, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "scrub");
	if (!scrub.stopped) {
		s->file.last = wall_s();
		s->file.began = 0;
		buf_reset(&s->file.position);
	}
	scrub_save(s);
	buf_clear(&from);
}

/* Seconds until the next round; 0: now, or one is under way. */
static uint64_t scrub_wait_s(const struct scrubber *s)
{
	uint64_t now = wall_s(), last = scrub_file_last(&s->file, now);

	return s->file.began != 0 || now - last >= MONTH_S ? 0 : MONTH_S - (now - last);
}

static void scrub_round(struct scrubber *s)
{
	struct syncd *d = s->worker.daemon;

	s->running = true;
	syncd_unlock(d);
	scrub_from_position(s);
	syncd_lock(d);
	s->running = false;
	if (s->file.began == 0)
		log_line(LOG_LEVEL_INFO, "scrub: a round is done; with those before: %llu bytes, %llu bad",
			 (unsigned long long)s->file.bytes, (unsigned long long)s->file.bad);
}

static void scrub_run(struct worker *w)
{
	struct scrubber *s = CONTAINER_OF(w, struct scrubber, worker);
	uint64_t wait = 0;

	/* This thread's alone; where there are no such classes the pace has to do. */
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
	while (worker_wait(w, clock_mono_ms() + (wait * 1000 > SOON_MS ? wait * 1000 : SOON_MS))) {
		if (scrub_wait_s(s) == 0)
			scrub_round(s);
		wait = scrub_wait_s(s) < DAY_S ? scrub_wait_s(s) : DAY_S;	/* clocks are set */
	}
}

/* A store without the file is as good as scrubbed: it is new, or was not kept track of before. */
static void scrub_load(struct scrubber *s)
{
	struct err err;

	if (scrub_file_load(s->worker.daemon->service->state, &s->file, &err) == 0)
		return;
	if (err.kind != ERR_ABSENT)
		log_line(LOG_LEVEL_WARNING, "%s", err.text);
	s->file.last = wall_s();
	scrub_save(s);
}

static struct worker *scrub_make(struct syncd *d)
{
	struct scrubber *s = mem_new(1, sizeof *s);

	d->scrub = s;
	s->worker.daemon = d;
	scrub_load(s);
	return &s->worker;
}

static bool scrub_is_busy(const struct syncd *d)
{
	return d->scrub->running || scrub_wait_s(d->scrub) == 0;
}

static void scrub_clear(struct syncd *d)
{
	scrub_file_clear(&d->scrub->file);
}

const struct upkeep scrub_upkeep = {
	.make = scrub_make, .run = scrub_run, .clear = scrub_clear, .busy = scrub_is_busy
};
