/*
 * scrubbing - once a month all contents are read again, and what is bad is had anew
 *
 * A round has a thread of its own, for it may take days: it reads slowly,
 * and the disk serves others first.  How far it is stands in scrub.ini, so
 * that the next process goes on from there.  When something was bad the job
 * ends, and begins again behind it: the loop asks for what was found.
 */
#include "syncd.h"

#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"
#include "scrub_file.h"

#include <linux/ioprio.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000u
#define DAY_S 86400
#define MONTH_S (30 * DAY_S)
#define SOON_MS 5000			/* after the start, which has more to do */
#define SAVE_MS 60000			/* between two times that scrub.ini is written */
#define RATE (16u << 20)		/* bytes a second, at most: a month is 40 TB */
#define LOOK_BYTES (16u << 10)		/* that a look at a path counts as */
#define NAP_BYTES (256u << 10)		/* read between two naps */

struct scrubbing {
	struct syncd *daemon;
	struct pool *thread;
	struct timer due;
	struct job job;
	char *directory;		/* STORE/state; owned */
	bool working;
	atomic_bool stop;
	/* the job's */
	struct scrub_file file;
	struct buf found;		/* items: bad, and nobody was asked yet */
	uint64_t saved;			/* ms, monotonic */
	uint64_t unpaid;		/* bytes, since the last nap */
};

static uint64_t wall_s(void)
{
	return clock_wall_ns() / NS_PER_S;
}

/* the job */

static void save(struct scrubbing *s)
{
	struct err err;

	if (scrub_file_save(s->directory, &s->file, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "save how far scrub has come");
	s->saved = clock_mono_ms();
}

static bool go_on(void *data, size_t bytes)
{
	struct scrubbing *s = data;
	struct timespec nap;

	if (atomic_load(&s->stop) || (bytes == 0 && s->found.len > 0))
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

static void reached(void *data, struct str path)
{
	struct scrubbing *s = data;

	buf_reset(&s->file.position);
	buf_addstr(&s->file.position, path);
	if (clock_mono_ms() - s->saved > SAVE_MS)
		save(s);
}

static void was_bad(void *data, const struct scrub_bad *bad)
{
	struct scrubbing *s = data;
	const struct keep_item item = { .record = bad->record, .type = bad->type,
					.path = bad->path };
	char version[VERSION_TEXT];
	struct buf path = BUF_INIT;

	path_to_target(&path, bad->path, false);
	log_line(LOG_LEVEL_ERROR, "scrub: version %s is bad: %s; set aside as %s in history%s",
		 version_format(version, bad->record.version), bad->why, bad->aside, path.data);
	buf_clear(&path);
	keep_item_pack(&s->found, &item);
	s->file.bad++;
}

static void failed(void *data, struct str path, const struct err *err)
{
	(void)data, (void)path;
	log_line(LOG_LEVEL_ERROR, "%s", err->text);
}

static void work(struct job *job)
{
	struct scrubbing *s = CONTAINER_OF(job, struct scrubbing, job);
	struct scrub scrub = { .go_on = go_on, .reached = reached, .bad = was_bad,
			       .failed = failed, .data = s };
	struct buf from = BUF_INIT;
	struct err err;

	/* This thread's alone; where there are no such classes the pace has to do. */
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
	if (s->file.began == 0)
		s->file.began = wall_s();
	buf_addstr(&from, buf_str(&s->file.position));	/* which moves on meanwhile */
	if (store_scrub_from(s->daemon->store, buf_str(&from), &scrub, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "scrub");
	if (!scrub.stopped) {
		s->file.last = wall_s();
		s->file.began = 0;
		buf_reset(&s->file.position);
	}
	save(s);
	buf_clear(&from);
}

/* the loop */

/* Seconds until the next round; 0: now, or one is under way. */
static uint64_t wait_s(const struct scrubbing *s)
{
	uint64_t now = wall_s(), last = scrub_file_last(&s->file, now);

	return s->file.began != 0 || now - last >= MONTH_S ? 0 : MONTH_S - (now - last);
}

static void plan(struct scrubbing *s)
{
	uint64_t wait = wait_s(s) < DAY_S ? wait_s(s) : DAY_S;	/* clocks are set */

	timer_start(s->daemon->loop, &s->due, wait * 1000 > SOON_MS ? wait * 1000 : SOON_MS);
}

static void begin(struct scrubbing *s)
{
	s->working = true;
	pool_submit(s->thread, &s->job);
}

static void on_due(struct timer *timer)
{
	struct scrubbing *s = CONTAINER_OF(timer, struct scrubbing, due);

	if (wait_s(s) > 0)
		plan(s);
	else
		begin(s);
}

static void worked(struct job *job)
{
	struct scrubbing *s = CONTAINER_OF(job, struct scrubbing, job);
	struct str rest = buf_str(&s->found);
	struct keep_item item;

	s->working = false;
	while (keep_item_next(&rest, &item) == 1)
		lost_add(s->daemon->lost, &item);
	buf_reset(&s->found);
	if (atomic_load(&s->stop)) {
		syncd_rest(s->daemon);
		return;
	}
	if (s->file.began != 0) {
		begin(s);
		return;
	}
	log_line(LOG_LEVEL_INFO, "scrub: a round is done; with those before: %llu bytes, %llu bad",
		 (unsigned long long)s->file.bytes, (unsigned long long)s->file.bad);
	plan(s);
}

/* A store without the file is as good as scrubbed: it is new, or was not kept track of before. */
static void load(struct scrubbing *s)
{
	struct err err;

	if (scrub_file_load(s->directory, &s->file, &err) == 0)
		return;
	if (err.kind != ERR_ABSENT)
		log_line(LOG_LEVEL_WARNING, "%s", err.text);
	s->file.last = wall_s();
	save(s);
}

void scrubbing_start(struct syncd *d)
{
	struct scrubbing *s = mem_new(1, sizeof *s);
	struct buf directory = BUF_INIT;

	d->scrubbing = s;
	s->daemon = d;
	buf_addf(&directory, "%s/state", d->service->conf->node.store);
	s->directory = buf_take(&directory);
	s->thread = pool_new(1);
	s->due.fire = on_due;
	s->job = (struct job){ .work = work, .done = worked, .home = d->loop };
	load(s);
	plan(s);
}

bool scrubbing_busy(const struct scrubbing *s)
{
	return s->working || wait_s(s) == 0;
}

bool scrubbing_rests(const struct scrubbing *s)
{
	return !s->working;
}

void scrubbing_stop(struct scrubbing *s)
{
	atomic_store(&s->stop, true);
	timer_stop(&s->due);
}

void scrubbing_free(struct scrubbing *s)
{
	if (s == NULL)
		return;
	scrubbing_stop(s);
	pool_free(s->thread);
	scrub_file_clear(&s->file);
	buf_clear(&s->found);
	free(s->directory);
	free(s);
}
