/*
 * directories - do the directories stand that something is in?
 *
 * Whoever stores a name replicates the directories above it (storing.h).  What
 * he did not come to do, since he died or his outbox was lost, and what is of
 * a merged group or of an older release, is done here: of each directory
 * the first home up of what is in it has one live name replicated, a round at
 * the start, after each change of the layout, after a sync that brought
 * something, and every hour.  One name is under way at a time.  Where nobody
 * is there the round rests, and goes on later behind what failed.
 */
#include "syncd.h"

#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"
#include "survey.h"
#include "version_talk.h"

#define SOON_MS 2000			/* after a change: others may follow */
#define HOUR_MS 3600000
#define AGAIN_MS 60000			/* after a round in which something failed; and its rests */
#define FAILED_MAX 4			/* one after the other: then nobody is there */
#define STORE_FACTOR 3			/* covey-versiond answers within so many times timeouts.store */

struct directories {
	struct worker worker;
	uint64_t due;			/* ms, monotonic: the next round */
	bool relaid;			/* the round under way begins again, when it is due */
	uint8_t mine[PARTITIONS / 8];
	bool failed;			/* something could not be replicated in this round */
};

/* STORE of one name in the directory at which something stands; empty: there is none. */
static void find_name(struct store *store, struct str directory, struct buf *ask)
{
	struct listing listing = LISTING_INIT;
	struct buf path = BUF_INIT;

	buf_reset(ask);
	/* What is no directory here, or not any more, has nothing in it. */
	if (store_list(store, directory, STR(""), 1, false, &listing, NULL) < 0)
		return;
	if (listing.count > 0) {
		const struct list_entry *found = &listing.entries[0];
		struct store_ask store_ask = { .record = *record_current(&found->record, &found->entry),
					       .anew = true };

		path_join(&path, directory, str_of(found->name));
		store_ask.path = buf_str(&path);
		if (record_has_content(&store_ask.record) && found->type != NULL)
			store_ask.type = str_of(found->type);
		store_ask_pack(ask, &store_ask);
		buf_clear(&path);
	}
	listing_clear(&listing);
}

static bool replicate_name(struct directories *d, struct str ask)
{
	struct syncd *daemon = d->worker.daemon;
	struct store_answer answer;
	struct buf stored = BUF_INIT;
	bool done;

	done = worker_ask_versiond(&d->worker, VERSION_TALK_STORE, ask,
				   STORE_FACTOR * daemon->service->conf->timeouts.store_ms, NULL,
				   VERSION_TALK_STORED, &stored, NULL) == 0 &&
	       store_answer_unpack(buf_str(&stored), &answer, NULL) == 0 && answer.confirmed;
	buf_clear(&stored);
	d->failed = d->failed || !done;
	return done;
}

/*
 * What failed may be such as cannot be replicated now: the others are not to
 * wait for it.  When several fail one after the other, nobody is there.
 */
static void replicate_each(struct directories *d, const struct survey_directories *list)
{
	struct syncd *daemon = d->worker.daemon;
	struct buf ask = BUF_INIT;
	unsigned failures = 0;

	for (size_t i = 0; i < list->count && !d->relaid && !worker_is_cut(&d->worker); i++) {
		const struct survey_directory *in = &list->items[i];

		if (in->path[0] == '\0' || !partition_is_in(d->mine, in->partition))
			continue;
		syncd_unlock(daemon);
		find_name(daemon->store, str_of(in->path), &ask);
		syncd_lock(daemon);
		if (ask.len == 0 || d->relaid)
			continue;
		failures = replicate_name(d, buf_str(&ask)) ? 0 : failures + 1;
		if (failures == FAILED_MAX) {
			d->due = clock_mono_ms() + AGAIN_MS;
			while (!d->relaid && clock_mono_ms() < d->due && worker_wait(&d->worker, d->due))
				;
			peers_first_home_of(daemon->peers, d->mine);
			failures = 0;
		}
	}
	buf_clear(&ask);
}

static void directories_round(struct directories *d)
{
	struct survey_directories list = SURVEY_DIRECTORIES_INIT;
	struct syncd *daemon = d->worker.daemon;
	struct err err;

	d->failed = d->relaid = false;
	peers_first_home_of(daemon->peers, d->mine);
	syncd_unlock(daemon);
	if (survey_directories(daemon->store, &list, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "list the directories");
	syncd_lock(daemon);
	replicate_each(d, &list);
	if (!d->relaid)
		d->due = clock_mono_ms() + (d->failed ? AGAIN_MS : HOUR_MS);
	survey_directories_clear(&list);
}

static void directories_run(struct worker *w)
{
	struct directories *d = CONTAINER_OF(w, struct directories, worker);

	while (worker_wait_until(w, &d->due)) {
		d->due = NEVER;
		if (peers_layout(w->daemon->peers)->epoch != 0)
			directories_round(d);
	}
}

void directories_begin(struct syncd *daemon)
{
	struct directories *d = daemon->directories;

	d->relaid = true;
	worker_set_due(&d->worker, &d->due, SOON_MS);
}

static struct worker *directories_make(struct syncd *daemon)
{
	struct directories *d = mem_new(1, sizeof *d);

	daemon->directories = d;
	directories_begin(daemon);
	return &d->worker;
}

const struct upkeep directories_upkeep = {
	.in_group = true, .make = directories_make, .run = directories_run, .relaid = directories_begin
};
