/*
 * directories - do the directories stand that something is in?
 *
 * Whoever stores a name settles the directories above it (storing.h).  What
 * he did not come to do, since he died or his outbox was lost, and what is of
 * a merged group or of an older release, is done here: of each directory
 * the first home up of what is in it has one live name settled, a round at
 * the start, after each change of the layout, after a sync that brought
 * something, and every hour.  One name is under way at a time.  Where nobody
 * is there the round rests, and goes on later behind what could not be settled.
 */
#include "syncd.h"

#include "call.h"
#include "container.h"
#include "log.h"
#include "mem.h"
#include "survey.h"
#include "version_talk.h"

#define SOON_MS 2000			/* after a change: others may follow */
#define HOUR_MS 3600000
#define AGAIN_MS 60000			/* after a round in which not all could be settled; and its rests */
#define FAILED_MAX 4			/* one after the other: then nobody is there */
#define STORE_FACTOR 3			/* covey-versiond answers within so many times timeouts.store */

struct directories {
	struct syncd *daemon;
	struct timer due;
	struct survey_directories list;
	size_t at;			/* of them */
	uint8_t mine[PARTITIONS / 8];
	struct job job;
	bool listed;			/* a round is under way, or rests */
	bool working, stopping;
	bool anew;			/* begin again when the job is done */
	bool failed;			/* something could not be settled in this round */
	unsigned failed_now;		/* how many, one after the other */
	/* the name that is settled: the job's while it works */
	struct buf path, type;
	struct record record;		/* version none: all directories are done */
	struct call call;
};

/* looking, in the pool */

static bool is_mine(const struct directories *d, unsigned partition)
{
	return d->mine[partition / 8] >> partition % 8 & 1;
}

/* One name in the directory at which something stands. */
static void find_name(struct directories *d, struct str directory)
{
	struct listing listing = LISTING_INIT;
	const struct list_entry *found;

	/* What is no directory here, or not any more, has nothing in it. */
	if (store_list(d->daemon->store, directory, STR(""), 1, false, &listing, NULL) < 0)
		return;
	if (listing.count > 0) {
		found = &listing.entries[0];
		d->record = *record_current(&found->record, &found->entry);
		path_join(&d->path, directory, str_of(found->name));
		if (record_has_content(&d->record) && found->type != NULL)
			buf_adds(&d->type, found->type);
	}
	listing_clear(&listing);
}

static void look(struct job *job)
{
	struct directories *d = CONTAINER_OF(job, struct directories, job);
	struct err err = ERR_INIT;

	if (!d->listed && survey_directories(d->daemon->store, &d->list, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "list the directories");
	d->listed = true;
	while (d->at < d->list.count && version_is_none(d->record.version)) {
		const struct survey_directory *in = &d->list.items[d->at++];

		if (in->path[0] != '\0' && is_mine(d, in->partition))
			find_name(d, str_of(in->path));
	}
}

/* settling, on the loop */

static void go_on(struct directories *d)
{
	buf_reset(&d->path);
	buf_reset(&d->type);
	d->record = (struct record){ .version = VERSION_NONE };
	d->working = true;
	pool_submit(d->daemon->disk, &d->job);
}

static void end_round(struct directories *d)
{
	survey_directories_clear(&d->list);
	d->listed = false;
	timer_start(d->daemon->loop, &d->due, d->failed ? AGAIN_MS : HOUR_MS);
}

/* What failed may be such as cannot be settled now: the others are not to wait for it. */
static void rest(struct directories *d)
{
	timer_start(d->daemon->loop, &d->due, AGAIN_MS);
}

static void stored(struct call *call, struct frame *frame)
{
	struct directories *d = CONTAINER_OF(call, struct directories, call);
	struct store_answer answer;
	bool settled = frame != NULL && frame->type == VERSION_TALK_STORED &&
		       store_answer_unpack(frame->body, &answer, NULL) == 0 && answer.confirmed;

	call_finish(call);
	d->failed = d->failed || !settled;
	d->failed_now = settled ? 0 : d->failed_now + 1;
	if (d->failed_now < FAILED_MAX)
		go_on(d);
	else
		rest(d);
}

static void looked(struct job *job)
{
	struct directories *d = CONTAINER_OF(job, struct directories, job);
	const struct store_ask ask = { .path = buf_str(&d->path), .record = d->record,
				       .type = buf_str(&d->type) };
	struct buf body = BUF_INIT;

	d->working = false;
	if (d->stopping) {
		syncd_rest(d->daemon);
	} else if (d->anew) {
		d->anew = false;
		directories_relaid(d);
	} else if (version_is_none(d->record.version)) {
		end_round(d);
	} else {
		d->call.answer = stored;
		store_ask_pack(&body, &ask);
		call_start(d->daemon->version, &d->call, VERSION_TALK_STORE, buf_str(&body),
			   STORE_FACTOR * d->daemon->service->conf->timeouts.store_ms);
		buf_clear(&body);
	}
}

static void begin_round(struct directories *d)
{
	survey_directories_clear(&d->list);
	d->failed = false;
	d->at = 0;
}

static void on_due(struct timer *timer)
{
	struct directories *d = CONTAINER_OF(timer, struct directories, due);

	if (peers_layout(d->daemon->peers)->epoch == 0)
		return;
	if (!d->listed)
		begin_round(d);
	d->failed_now = 0;
	for (unsigned p = 0; p < PARTITIONS; p++) {
		d->mine[p / 8] &= (uint8_t) ~(1u << p % 8);
		if (peers_first_home(d->daemon->peers, p))
			d->mine[p / 8] |= (uint8_t)(1u << p % 8);
	}
	go_on(d);
}

/* for the others */

void directories_relaid(struct directories *d)
{
	if (d->stopping)
		return;
	d->anew = d->working;
	call_finish(&d->call);
	if (d->working)
		return;
	d->listed = false;
	timer_start(d->daemon->loop, &d->due, SOON_MS);
}

void directories_start(struct syncd *daemon)
{
	struct directories *d = mem_new(1, sizeof *d);

	daemon->directories = d;
	d->daemon = daemon;
	d->due.fire = on_due;
	d->call = (struct call)CALL_INIT;
	d->list = (struct survey_directories)SURVEY_DIRECTORIES_INIT;
	d->job = (struct job){ .work = look, .done = looked, .home = daemon->loop };
	directories_relaid(d);
}

bool directories_rest(const struct directories *d)
{
	return d == NULL || !d->working;
}

void directories_stop(struct directories *d)
{
	d->stopping = true;
	timer_stop(&d->due);
	call_finish(&d->call);
}

void directories_free(struct directories *d)
{
	if (d == NULL)
		return;
	directories_stop(d);
	survey_directories_clear(&d->list);
	buf_clear(&d->path);
	buf_clear(&d->type);
	free(d);
}
