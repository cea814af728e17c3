/*
 * pulling - PULL: one content on its way, and those who wait for it
 *
 * There is one struct pulling per path and record, however many ask.  Whom to
 * ask and what to believe is decided by pull.h; here are the socket, the
 * disk and the askers:
 *
 *	opening    is the content here already?  else an empty stage
 *	asking     a holder sends, which is waited for timeouts.pull, or only for
 *	           timeouts.check where gossip suspects it or it was silent lately;
 *	           what came goes to the stage in a job, while the next bytes come
 *	           in; the holder is held back when the disk is slower
 *	checking   all bytes are there: their sha256
 *	keeping    verified, and the askers told; the commit makes it a version
 *
 * At most one job is under way for a pulling, so its stage needs no lock.
 *
 * When every asker has gone, a pull that is small or more than half done
 * goes on (somebody wanted it, and the next one will be quick); another is
 * given up, for bytes cost more than asking again.
 */
#include "pulling.h"

#include "container.h"
#include "log.h"
#include "mem.h"
#include "pct.h"

#include <unistd.h>

#define RUNNING_MAX 64			/* pulls with a stage; more wait their turn */
#define WANTED_MAX 512			/* pulls at once, beyond which nothing is begun for nobody */
#define HOLD_BYTES (120u << 10)		/* waiting for the disk: more, and the holder is held back */
#define SMALL_BYTES (4u << 20)		/* goes on without askers */

static void step(struct pulling *p);

/* the end */

static void start_queued(struct syncd *d);

static void pulling_free(struct pulling *p)
{
	struct syncd *d = p->daemon;

	fetch_cancel(&p->fetch);
	timer_stop(&p->wait);
	timer_stop(&p->progress);
	stage_free(p->stage);
	if (p->present >= 0)
		close(p->present);
	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		d->pulls = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	buf_clear(&p->path);
	buf_clear(&p->type);
	buf_clear(&p->filling);
	buf_clear(&p->writing);
	free(p);
	service_touch(d->service);
	start_queued(d);
	syncd_rest(d);
}

/* Stop as soon as the job lets go.  The askers have been told. */
static void give_up(struct pulling *p)
{
	p->given_up = true;
	fetch_cancel(&p->fetch);
	timer_stop(&p->wait);
	if (!p->working)
		pulling_free(p);
}

static void fail(struct pulling *p, const struct err *err)
{
	askers_failed(p, err);
	give_up(p);
}

/* jobs */

static void job_done(struct job *job)
{
	struct pulling *p = CONTAINER_OF(job, struct pulling, job);

	p->working = false;
	if (p->given_up)
		pulling_free(p);
	else if (p->failed)
		fail(p, &p->err);
	else
		p->then(p);
}

static void submit(struct pulling *p, void (*work)(struct job *), void (*then)(struct pulling *))
{
	p->job.work = work;
	p->then = then;
	p->working = true;
	pool_submit(p->daemon->disk, &p->job);
}

/* opening */

static void look_here(struct job *job)
{
	struct pulling *p = CONTAINER_OF(job, struct pulling, job);
	struct store_entry entry = STORE_ENTRY_INIT;

	if (store_version(p->daemon->store, buf_str(&p->path), p->record.version, STORE_CONTENT,
			  &entry, NULL) == 0 && entry.fd >= 0) {
		p->present = entry.fd;
		entry.fd = -1;
	}
	store_entry_clear(&entry);
	if (p->present < 0)
		p->failed = stage_begin_passing(p->daemon->store, p->record.size, &p->stage,
						&p->err) < 0;
}

static void looked_here(struct pulling *p)
{
	if (p->present >= 0) {
		askers_done(p);
		pulling_free(p);
		return;
	}
	step(p);
}

static void make_stage(struct job *job)
{
	struct pulling *p = CONTAINER_OF(job, struct pulling, job);

	stage_free(p->stage);
	p->stage = NULL;
	p->failed = stage_begin_passing(p->daemon->store, p->record.size, &p->stage,
						&p->err) < 0;
}

/* asking */

static void write_down(struct job *job)
{
	struct pulling *p = CONTAINER_OF(job, struct pulling, job);

	p->failed = stage_add(p->stage, p->writing.data, p->writing.len, &p->err) < 0;
}

static void flush(struct pulling *p);

static void written_down(struct pulling *p)
{
	p->readable += p->writing.len;
	buf_reset(&p->writing);
	if (p->progress.loop == NULL)
		askers_progress(p);
	if (p->filling.len > 0)
		flush(p);
	else if (!p->asking)
		step(p);
}

static void flush(struct pulling *p)
{
	struct buf empty = p->writing;

	p->writing = p->filling;
	p->filling = empty;
	submit(p, write_down, written_down);
	fetch_resume(&p->fetch);
}

static int on_head(struct fetch *fetch, const struct fetch_head *head, struct err *err)
{
	struct pulling *p = CONTAINER_OF(fetch, struct pulling, fetch);

	peers_note(p->daemon->peers, p->asked, NULL);
	return pull_head(&p->steps, head->status, head->length, head->etag, head->content_range,
			 err);
}

static int on_body(struct fetch *fetch, const void *bytes, size_t n, struct err *err)
{
	struct pulling *p = CONTAINER_OF(fetch, struct pulling, fetch);
	size_t drop;

	if (pull_body(&p->steps, n, &drop, err) < 0)
		return -1;
	buf_add(&p->filling, (const char *)bytes + drop, n - drop);
	if (p->filling.len > HOLD_BYTES)
		fetch_pause(fetch);
	if (!p->working && p->filling.len > 0)
		flush(p);
	return 0;
}

static void on_end(struct fetch *fetch, const struct err *err)
{
	struct pulling *p = CONTAINER_OF(fetch, struct pulling, fetch);

	if (err != NULL && !p->doubted)		/* so short a wait proves nothing */
		peers_note(p->daemon->peers, p->asked, err);
	pull_end(&p->steps, err);
	p->asking = false;
	if (!p->working)
		step(p);
}

static void target_of(const struct pulling *p, struct buf *target)
{
	char version[VERSION_TEXT];

	path_to_target(target, buf_str(&p->path), false);
	buf_addf(target, "?version=%s", version_format(version, p->record.version));
}

static void ask(struct timer *timer)
{
	struct pulling *p = CONTAINER_OF(timer, struct pulling, wait);
	const struct address *peer = peers_http(p->daemon->peers, p->asked);
	struct buf target = BUF_INIT;
	struct err err = ERR_INIT;

	target_of(p, &target);
	p->doubted = peers_sick(p->daemon->peers, p->asked);
	p->fetch.first_byte_ms = p->doubted && p->daemon->check_ms < p->daemon->first_byte_ms ?
					 p->daemon->check_ms : p->daemon->first_byte_ms;
	p->fetch.peer = peer;
	p->fetch.node = p->asked;
	p->fetch.target = buf_str(&target);
	if (peer == NULL)
		err_set(&err, ERR_ABSENT, "pull from %016llx: not a member",
			(unsigned long long)p->asked);
	else
		fetch_start(p->daemon->fetcher, &p->fetch, &err);
	buf_clear(&target);
	if (err.kind != ERR_NONE)
		on_end(&p->fetch, &err);
}

static void made_stage(struct pulling *p)
{
	timer_start(p->daemon->loop, &p->wait, 0);
}

/*
 * From zero, on an empty stage: those who have the old one's descriptor will
 * get the new one's, and nobody is told of a stage while the job changes it.
 */
static void start_over(struct pulling *p)
{
	timer_stop(&p->progress);
	p->readable = p->told = 0;
	askers_new_stage(p);
	submit(p, make_stage, made_stage);
}

static void ask_next(struct pulling *p, const struct pull_ask *how)
{
	p->asking = true;
	p->asked = how->node;
	p->fetch.offset = how->offset;
	if (how->restart)
		start_over(p);
	else
		timer_start(p->daemon->loop, &p->wait, how->wait_ms);
}

/* checking, keeping */

static void check(struct job *job)
{
	struct pulling *p = CONTAINER_OF(job, struct pulling, job);

	p->failed = stage_end(p->stage, &p->err) < 0;
	p->right = !p->failed && stage_size(p->stage) == p->record.size &&
		   memcmp(stage_sha256(p->stage), p->record.sha256, SHA256_BYTES) == 0;
}

static void checked(struct pulling *p)
{
	pull_checked(&p->steps, p->right);
	step(p);
}

static void keep(struct job *job)
{
	struct pulling *p = CONTAINER_OF(job, struct pulling, job);
	struct commit commit = COMMIT_INIT;

	commit.path = buf_str(&p->path);
	commit.stage = p->stage;
	commit.flags = p->record.flags;
	commit.mtime = p->record.mtime;
	commit.made = p->record.made;
	commit.type = buf_str(&p->type);
	commit.fixed = p->record.version;
	commit.keep = p->keep;
	if (store_writable(p->daemon->store, &p->err) < 0 ||	/* read, but not kept */
	    stage_sync(p->stage, &p->err) < 0 ||
	    store_commit(p->daemon->store, &commit, &p->err) < 0)
		log_err(LOG_LEVEL_WARNING, &p->err, "keep what was pulled");
}

static void step(struct pulling *p)
{
	struct pull_ask how;

	switch (pull_next(&p->steps, &how)) {
	case PULL_ASK:
		ask_next(p, &how);
		return;
	case PULL_CHECK:
		submit(p, check, checked);
		return;
	case PULL_DONE:
		p->verified = true;
		askers_done(p);
		submit(p, keep, pulling_free);
		return;
	case PULL_FAILED:
		fail(p, &p->steps.why);
		return;
	}
}

/* askers */

static struct pulling *find(const struct syncd *d, const struct sync_pull *wanted)
{
	for (struct pulling *p = d->pulls; p != NULL; p = p->next)
		if (!p->given_up && record_eq(&p->record, &wanted->record) &&
		    str_eq(buf_str(&p->path), wanted->path))
			return p;
	return NULL;
}

static void start_queued(struct syncd *d)
{
	struct pulling *oldest = NULL;
	unsigned running = 0;

	for (struct pulling *p = d->pulls; p != NULL; p = p->next) {
		running += p->running;
		if (!p->running)
			oldest = p;
	}
	if (oldest == NULL || running >= RUNNING_MAX || d->stopping)
		return;
	oldest->running = true;
	submit(oldest, look_here, looked_here);
}

static struct pulling *begin(struct syncd *d, const struct sync_pull *wanted)
{
	struct pulling *p = mem_new(1, sizeof *p);

	p->daemon = d;
	p->present = -1;
	p->record = wanted->record;
	p->keep = prune_numbers(d->prune).versions;
	buf_addstr(&p->path, wanted->path);
	buf_addstr(&p->type, wanted->type);
	pull_begin(&p->steps, &p->record);
	p->fetch = (struct fetch){
		.stall_ms = d->stall_ms,
		.head = on_head, .body = on_body, .end = on_end,
	};
	p->wait.fire = ask;
	p->progress.fire = askers_progress_due;
	p->job.done = job_done;
	p->job.home = d->loop;
	p->job.key = path_hash(buf_str(&p->path));
	p->next = d->pulls;
	if (p->next != NULL)
		p->next->prev = p;
	d->pulls = p;
	return p;
}

void pulling_unwanted(struct pulling *p)
{
	if (!p->given_up && !p->verified && p->record.size > SMALL_BYTES &&
	    p->steps.have < p->record.size / 2)
		give_up(p);
}

bool pulling_want(struct syncd *d, const struct sync_pull *wanted)
{
	struct pulling *p = find(d, wanted);
	size_t count = 0;

	for (const struct pulling *q = d->pulls; q != NULL; q = q->next)
		count++;
	if (p == NULL && count >= WANTED_MAX)
		return false;
	if (p == NULL)
		p = begin(d, wanted);
	for (size_t i = 0; i < wanted->holder_count; i++)
		pull_add(&p->steps, wanted->holders[i], peers_sick(d->peers, wanted->holders[i]));
	start_queued(d);
	return true;
}

void pulling_ask(struct syncd *d, struct serve_request *request, const struct sync_pull *wanted)
{
	struct pulling *p = find(d, wanted);
	bool joined = p != NULL;

	/* With a new one each moment, this process would never come to its end. */
	if (!joined && d->stopping) {
		askers_put_off(request);
		return;
	}
	if (!joined)
		p = begin(d, wanted);
	for (size_t i = 0; i < wanted->holder_count; i++)
		pull_add(&p->steps, wanted->holders[i], peers_sick(d->peers, wanted->holders[i]));
	askers_add(p, request);
	if (!joined)
		start_queued(d);
	else if (p->verified)
		askers_done(p);
	else if (p->readable > 0)
		askers_progress(p);
}

bool pulling_passes(const struct syncd *d)
{
	const struct pulling *p = d->pulls;

	while (p != NULL && (p->verified || p->told == 0 || p->waiters == NULL))
		p = p->next;
	return p != NULL;
}

void pulling_begin_no_more(struct syncd *d)
{
	struct pulling *p = d->pulls;

	while (p != NULL) {
		struct pulling *next = p->next;

		if (!p->running) {
			askers_put_off_all(p);
			pulling_free(p);
		}
		p = next;
	}
}

void pulling_stop(struct syncd *d)
{
	struct pulling *p = d->pulls;

	while (p != NULL) {
		struct pulling *next = p->next;

		if (!p->verified) {
			askers_left(p);
			give_up(p);
		}
		p = next;
	}
}
