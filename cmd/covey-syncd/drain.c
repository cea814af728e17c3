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
 *
 * So there are two readers of the outbox.  One tells of what was never tried,
 * and goes on where it was.  The other begins anew when what was forgotten is
 * to be tried once more, and tells of nothing that the first has not told of.
 * Each has its own room, so that neither is in the other's way.
 */
#include "syncd.h"

#include "backoff.h"
#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"
#include "quorum.h"

#include <inttypes.h>

#define RUNNING_MAX 64			/* entries under way; threads */
#define RETRIES_RUNNING_MAX 48		/* of them, not for the first time; the others are for new ones */
#define RESTING_MAX 5000		/* remembered of those that did not get through */
#define BACK_OFFS 4			/* lengths of a pause: 1, 2, 4, 8 s */
#define BACK_OFF_MS 1000		/* the first */
#define NEW_MAX 10000			/* known at once; more stay in the outbox meanwhile */
#define AGAIN_MAX 5000
#define READ_MS 5000			/* between two looks into the outbox */
#define WRITER_MS 200			/* that a writer has to finish an entry by itself */
#define REREAD_MS 8000			/* at least, between two beginnings for want of room */
#define LARGE_BYTES (1u << 20)		/* a larger content is not given to keepers twice at once */
#define PUSH_LOOK_MS 100		/* between two looks whether somebody else does */
#define STORE_FACTOR 3			/* covey-versiond answers within so many times timeouts.store */

/* What an entry is in; in each the first is due first. */
enum entry_list {
	LIST_NEW,			/* never tried */
	LIST_AGAIN,			/* read once more */
	LIST_RUNNING,
	LIST_RESTING,			/* the first of BACK_OFFS */
	LISTS = LIST_RESTING + BACK_OFFS,
};

/* How a try ended. */
enum entry_end {
	ENTRY_DONE,			/* everybody has it, or there is nothing to be done */
	ENTRY_FAILED,			/* somebody lacks it who is there */
	ENTRY_AWAY,			/* everybody has it who is there */
};

/* One entry of the outbox, and the job of bringing it to everybody. */
struct entry {
	struct worker worker;
	struct link link;
	struct drain *drain;
	enum entry_list list;
	struct outbox_mark mark;
	struct buf path;
	struct version version;
	uint64_t due;			/* ms, monotonic */
	unsigned tries;			/* since it was worth trying at once */
	bool retry;			/* it was tried before */
	uint64_t generation;		/* of the drain, when it was last tried */
};

/* One of the two readers, and what it found. */
struct reader {
	struct outbox_reader *outbox;
	struct list found;
	size_t room;			/* for so many more */
	bool more;			/* there are than there was room for */
};

struct drain {
	struct worker worker;		/* reads, and starts what is due */
	struct list lists[LISTS];
	size_t retries_running;
	uint64_t generation;		/* how often it was worth trying everything at once */
	uint64_t parked;		/* forgotten until somebody returns */
	uint64_t missed;		/* forgotten for want of room: to be read once more */
	uint64_t read;			/* ms, monotonic: the next look into the outbox */
	bool want_all;			/* all of the outbox is to be read once more */
	bool rereading;			/* it is being, and not through yet */
	bool reading;			/* at this moment, without the lock */
	uint64_t reread_since;		/* ms, monotonic */
	/* while it reads, without the lock */
	struct reader new_ones, again;
	struct outbox_mark running[RUNNING_MAX];	/* entries under way when all is to be read once more */
	size_t running_count;
};

/* lists */

static void entry_move(struct entry *e, enum entry_list to)
{
	list_remove(&e->link);
	e->list = to;
	list_append(&e->drain->lists[to], &e->link);
}

static struct entry *first_of(const struct list *list)
{
	return LIST_FIRST(struct entry, list, link);
}

static void entry_free(struct entry *e)
{
	buf_clear(&e->path);
	free(e);
}

static void entry_forget(struct entry *e)
{
	list_remove(&e->link);
	entry_free(e);
}

static size_t count_resting(const struct drain *d)
{
	size_t count = 0;

	for (unsigned i = 0; i < BACK_OFFS; i++)
		count += d->lists[LIST_RESTING + i].count;
	return count;
}

/*
 * One entry: look, push, store, mark.  Each step is idempotent: it does not
 * matter what the writer did of it already, and a mark that is lost costs one
 * more round.
 */

/* It has ended, or is through with this one: versions of a path are chosen and committed in turn. */
static bool writer_is_through(struct store *store, const struct entry *e)
{
	struct store_entry newest = STORE_ENTRY_INIT;
	bool passed;

	if (!outbox_writer_lives(store, e->mark.segment))
		return true;
	passed = store_newest(store, buf_str(&e->path), STORE_RECORD, &newest, NULL) == 0 &&
		 (version_cmp(newest.record.version, e->version) > 0 ||
		  version_cmp(newest.entry.version, e->version) > 0);
	store_entry_clear(&newest);
	return passed;
}

enum look { LOOK_THERE, LOOK_DONE, LOOK_NOT_YET };

/* Is it still to be done, and what is it?  Without the lock. */
static enum look entry_look(const struct syncd *d, const struct entry *e, struct store_entry *ret)
{
	struct str path = buf_str(&e->path);
	struct err err;

	if (d->keys.count == 0)		/* a group of one, for ever */
		outbox_done(d->store, e->mark);
	if (outbox_is_done(d->store, e->mark))
		return LOOK_DONE;
	if (store_version(d->store, path, e->version, STORE_CONTENT, ret, &err) == 0)
		return LOOK_THERE;
	/*
	 * Its writer may be just about to commit it.  One that is through has done so
	 * before now, and it may be pruned again, or never will; what one left who died
	 * shows only when it was waited for.
	 */
	if (err.kind != ERR_ABSENT || !writer_is_through(d->store, e) ||
	    store_await(d->store, path, &err) < 0)
		return LOOK_NOT_YET;
	if (store_version(d->store, path, e->version, STORE_CONTENT, ret, &err) == 0)
		return LOOK_THERE;
	if (err.kind != ERR_ABSENT)
		return LOOK_NOT_YET;
	outbox_done(d->store, e->mark);
	return LOOK_DONE;
}

/* The path's keepers without this node; none where content only moves when it is read. */
static void keepers_of(const struct syncd *d, const struct entry *e, struct sync_push *ret)
{
	const struct layout *layout = peers_layout(d->peers);
	size_t copies = layout_copies(layout);
	struct layout_order order;

	ret->keeper_count = 0;
	if (copies < 2)
		return;
	layout_keepers(layout, buf_str(&e->path), &order);
	for (size_t i = 0; i < copies && i < order.count && i < HOLDERS_MAX; i++)
		if (order.ids[i] != store_node(d->store))
			ret->keepers[ret->keeper_count++] = order.ids[i];
	ret->wanted = (uint8_t)ret->keeper_count;
}

/* Its homes and keepers: *ret_away: one of them is not up.  False: none is. */
static bool anybody_there(const struct syncd *d, const struct entry *e, bool *ret_away)
{
	uint64_t nodes[QUORUM_HOMES_MAX + HOLDERS_MAX], self = store_node(d->store);
	struct sync_push keepers;
	struct quorum quorum;
	size_t count, others = 0, up = 0;

	quorum_begin(&quorum);
	quorum_add(&quorum, peers_layout(d->peers), path_partition(buf_str(&e->path)));
	count = quorum_homes(&quorum, nodes);
	keepers_of(d, e, &keepers);
	memcpy(nodes + count, keepers.keepers, keepers.keeper_count * sizeof nodes[0]);
	count += keepers.keeper_count;
	for (size_t i = 0; i < count; i++) {
		others += nodes[i] != self;
		up += nodes[i] != self && peers_up(d->peers, nodes[i]);
	}
	*ret_away = up < others;
	return others == 0 || up > 0;
}

static struct sync_push push_of(const struct entry *e, const struct store_entry *what)
{
	struct sync_push wanted = { .path = buf_str(&e->path), .record = what->record,
				    .type = str_of(what->type) };

	keepers_of(e->worker.daemon, e, &wanted);
	return wanted;
}

/* The content to every keeper: one that is a home as well then has the record, too. */
static bool entry_push(struct entry *e, const struct store_entry *what)
{
	const struct sync_push wanted = push_of(e, what);

	return what->fd < 0 || wanted.keeper_count == 0 || push_to_all(&e->worker, &wanted, what->fd);
}

/*
 * Its writer is still giving it to all keepers that lack it, perhaps: then those
 * say at once that they have it.  One that returns meanwhile waits for no other.
 */
static void await_push(struct entry *e, const struct store_entry *what)
{
	struct sync_push wanted = push_of(e, what);

	while (what->record.size > LARGE_BYTES && push_is_under_way(e->worker.daemon, &wanted) &&
	       worker_wait(&e->worker, clock_mono_ms() + PUSH_LOOK_MS))
		wanted = push_of(e, what);	/* the layout may be another one */
}

static bool is_last_answer(struct str body)
{
	struct store_answer answer;

	return store_answer_unpack(body, &answer, NULL) < 0 || answer.last;
}

/*
 * The record at every home, and the directories above, or before a directory's
 * end its gate (storing.h).  The last answer says whether every home has it;
 * where one is away it is not waited for.
 */
static bool entry_store(struct entry *e, const struct store_entry *what, bool away)
{
	struct syncd *d = e->worker.daemon;
	const struct store_ask ask = { .path = buf_str(&e->path), .record = what->record,
				       .type = str_of(what->type) };
	struct buf body = BUF_INIT, stored = BUF_INIT;
	struct store_answer answer;
	bool all;

	store_ask_pack(&body, &ask);
	all = worker_ask_versiond(&e->worker, VERSION_TALK_STORE, buf_str(&body),
				  STORE_FACTOR * d->service->conf->timeouts.store_ms,
				  away ? NULL : is_last_answer, VERSION_TALK_STORED, &stored, NULL) == 0 &&
	      store_answer_unpack(buf_str(&stored), &answer, NULL) == 0 && answer.all;
	buf_clear(&body);
	buf_clear(&stored);
	return all;
}

static enum entry_end entry_try(struct entry *e)
{
	struct store_entry what = STORE_ENTRY_INIT;
	struct syncd *d = e->worker.daemon;
	uint64_t epoch = peers_layout(d->peers)->epoch;
	bool away = false, pushed = false, stored = false;
	enum look look;

	if (!anybody_there(d, e, &away))
		return away ? ENTRY_AWAY : ENTRY_FAILED;
	syncd_unlock(d);
	look = entry_look(d, e, &what);
	syncd_lock(d);
	if (look == LOOK_THERE)
		await_push(e, &what);
	if (look == LOOK_THERE && !worker_is_cut(&e->worker))
		pushed = entry_push(e, &what);
	if (look == LOOK_THERE && !worker_is_cut(&e->worker))
		stored = entry_store(e, &what, away);
	store_entry_clear(&what);
	/* The keepers may be others now: who asks them what they have may have looked before this. */
	pushed = pushed && epoch == peers_layout(d->peers)->epoch;
	if (pushed && stored) {
		syncd_unlock(d);
		outbox_done(d->store, e->mark);
		syncd_lock(d);
	}
	if ((pushed && stored) || look == LOOK_DONE)
		return ENTRY_DONE;
	return away ? ENTRY_AWAY : ENTRY_FAILED;
}

static void entry_run(struct worker *w);

/* what is tried when */

/* The first that is due, or NULL: new ones, then whichever is due first. */
static struct entry *next_due(const struct drain *d, uint64_t now)
{
	struct entry *e = first_of(&d->lists[LIST_NEW]), *best = NULL;

	if (e != NULL && e->due <= now)
		return e;
	if (d->retries_running >= RETRIES_RUNNING_MAX)
		return NULL;
	for (unsigned i = 0; i < LISTS; i++) {
		e = first_of(&d->lists[i]);
		if (i != LIST_RUNNING && e != NULL && e->due <= now &&
		    (best == NULL || e->due < best->due))
			best = e;
	}
	return best;
}

/* As many as may run. */
static void start_due(struct drain *d)
{
	uint64_t now = clock_mono_ms();
	struct entry *e;

	while (!worker_is_cut(&d->worker) && d->lists[LIST_RUNNING].count < RUNNING_MAX &&
	       (e = next_due(d, now)) != NULL) {
		e->retry = e->list != LIST_NEW;
		e->generation = d->generation;
		d->retries_running += e->retry;
		entry_move(e, LIST_RUNNING);
		e->worker = (struct worker){ .run = entry_run, .own = true };
		worker_start(d->worker.daemon, &e->worker, d->worker.daemon->entries);
	}
}

/* When the next is due; nobody needs to look when one could run that had no room: another ends then. */
static uint64_t first_due(const struct drain *d, uint64_t now)
{
	uint64_t next = NEVER;

	for (unsigned i = 0; i < LISTS; i++) {
		const struct entry *e = first_of(&d->lists[i]);

		if (i != LIST_RUNNING && e != NULL && e->due > now && e->due < next)
			next = e->due;
	}
	return next;
}

static void try_later(struct entry *e)
{
	struct drain *d = e->drain;
	unsigned back_off;

	if (e->generation != d->generation)	/* meanwhile it became worth trying */
		e->tries = 0;
	back_off = e->tries < BACK_OFFS ? e->tries : BACK_OFFS - 1;
	e->tries++;
	e->due = clock_mono_ms() + backoff_ms(BACK_OFF_MS, NEVER, back_off);
	entry_move(e, (enum entry_list)(LIST_RESTING + back_off));
	worker_wake(&d->worker);
}

static void drain_look(struct drain *d)
{
	worker_set_due(&d->worker, &d->read, 0);
}

static void read_if_room(struct drain *d)
{
	if (d->reading)
		return;
	if ((d->new_ones.more && d->lists[LIST_NEW].count < NEW_MAX / 2) ||
	    (d->rereading && d->lists[LIST_AGAIN].count < AGAIN_MAX / 2))
		drain_look(d);
}

static void entry_release(struct worker *w)
{
	entry_free(CONTAINER_OF(w, struct entry, worker));
}

static void entry_run(struct worker *w)
{
	struct entry *e = CONTAINER_OF(w, struct entry, worker);
	struct drain *d = e->drain;
	enum entry_end end = entry_try(e);
	bool park = end == ENTRY_AWAY && e->generation == d->generation;

	d->retries_running -= e->retry;
	if (end != ENTRY_DONE && !park && count_resting(d) < RESTING_MAX) {
		try_later(e);
	} else {
		d->parked += park;
		d->missed += end != ENTRY_DONE && !park;
		list_remove(&e->link);
		w->release = entry_release;
	}
	read_if_room(d);
	start_due(d);
}

/* reading, without the lock */

/* Entries still running when all is read once more are skipped. */
static bool is_running(const struct drain *d, struct outbox_mark mark)
{
	for (size_t i = 0; i < d->running_count; i++)
		if (d->running[i].segment == mark.segment && d->running[i].offset == mark.offset)
			return true;
	return false;
}

static int take_entry(struct drain *d, struct reader *reader, const struct outbox_entry *found)
{
	struct entry *e;

	reader->more = reader->found.count >= reader->room;
	if (reader->more)
		return -1;
	e = mem_new(1, sizeof *e);
	e->drain = d;
	e->mark = found->mark;
	e->version = found->version;
	buf_addstr(&e->path, found->path);
	list_append(&reader->found, &e->link);
	return 0;
}

static int take_new_entry(void *data, const struct outbox_entry *found)
{
	struct drain *d = data;

	return take_entry(d, &d->new_ones, found);
}

static int take_old_entry(void *data, const struct outbox_entry *found)
{
	struct drain *d = data;

	if (is_running(d, found->mark) || !outbox_was_told(d->new_ones.outbox, found->mark))
		return 0;
	return take_entry(d, &d->again, found);
}

static void read_with(struct drain *d, struct reader *reader,
		      int (*each)(void *data, const struct outbox_entry *))
{
	struct err err = ERR_INIT;

	reader->more = false;
	if (outbox_read(reader->outbox, each, d, &err) < 0 && !reader->more)
		log_err(LOG_LEVEL_WARNING, &err, "read the outbox");
}

static void read_outbox(struct drain *d, bool from_start)
{
	struct store *store = d->worker.daemon->store;
	struct err err = ERR_INIT;

	if (from_start) {
		outbox_reader_free(d->again.outbox);
		d->again.outbox = outbox_reader_new(store);
	}
	read_with(d, &d->new_ones, take_new_entry);
	if (d->rereading)
		read_with(d, &d->again, take_old_entry);
	if (d->new_ones.found.count + d->again.found.count == 0 && outbox_remove_done(store, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "sweep the outbox");
}

/* the round: read, and start what is due */

/* They are read once more. */
static void forget_resting(struct drain *d)
{
	d->parked = d->missed = d->running_count = 0;
	LIST_EACH(const struct entry, e, &d->lists[LIST_RUNNING], link)
		d->running[d->running_count++] = e->mark;
	for (unsigned i = 0; i < LISTS; i++)
		if (i != LIST_RUNNING)
			LIST_EACH(struct entry, e, &d->lists[i], link)
				entry_forget(e);
}

/* For want of room something was forgotten, and all else has been tried. */
static bool is_time_to_reread(const struct drain *d)
{
	return d->missed > 0 && !d->rereading && !d->new_ones.more &&
	       d->lists[LIST_NEW].count + d->lists[LIST_AGAIN].count == 0 &&
	       clock_mono_ms() >= d->reread_since + REREAD_MS;
}

static size_t room_for(size_t max, size_t count)
{
	return max > count ? max - count : 0;
}

static void take_found(struct reader *reader, enum entry_list list)
{
	uint64_t due = clock_mono_ms() + WRITER_MS;

	LIST_EACH(struct entry, e, &reader->found, link) {
		e->due = due;
		entry_move(e, list);
	}
}

static size_t count_writes(const struct drain *d)
{
	size_t count = d->parked + d->missed;

	for (unsigned i = 0; i < LISTS; i++)
		count += d->lists[i].count;
	return count;
}

static void drain_read(struct drain *d)
{
	struct syncd *daemon = d->worker.daemon;
	bool from_start = d->want_all || is_time_to_reread(d);
	size_t count;

	d->read = clock_mono_ms() + READ_MS;
	d->want_all = false;
	if (from_start) {
		d->rereading = true;
		d->reread_since = clock_mono_ms();
		forget_resting(d);
	}
	d->new_ones.room = room_for(NEW_MAX, d->lists[LIST_NEW].count);
	d->again.room = room_for(AGAIN_MAX, d->lists[LIST_AGAIN].count);
	d->reading = true;
	syncd_unlock(daemon);
	read_outbox(d, from_start);
	syncd_lock(daemon);
	d->reading = false;
	take_found(&d->new_ones, LIST_NEW);
	take_found(&d->again, LIST_AGAIN);
	d->rereading = d->rereading && d->again.more;
	count = count_writes(d);
	service_status(daemon->service, "%zu write%s to bring to other nodes", count,
		       count == 1 ? "" : "s");
}

static void drain_run(struct worker *w)
{
	struct drain *d = CONTAINER_OF(w, struct drain, worker);
	uint64_t now = clock_mono_ms(), next = now;

	while (worker_wait(w, d->read < next ? d->read : next)) {
		start_due(d);
		if (clock_mono_ms() >= d->read)
			drain_read(d);
		start_due(d);
		now = clock_mono_ms();
		next = first_due(d, now);
	}
}

/* for the others */

/* What did not get through might now. */
static void drain_now(struct syncd *daemon)
{
	struct drain *d = daemon->drain;
	uint64_t now = clock_mono_ms();

	d->generation++;
	for (unsigned i = 0; i < BACK_OFFS; i++)
		LIST_EACH(struct entry, e, &d->lists[LIST_RESTING + i], link) {
			e->tries = 0;
			e->due = now;
		}
	d->want_all = d->want_all || d->parked > 0 || d->missed > 0;
	drain_look(d);
}

static void drain_returned(struct syncd *d, uint64_t id)
{
	(void)id;
	drain_now(d);
}

int request_drain(struct syncd *d, struct serve_request *request, struct frame *frame, struct err *err)
{
	(void)frame;
	(void)err;
	drain_look(d->drain);
	request_done(request);
	return 0;
}

static bool drain_is_busy(const struct syncd *d)
{
	return count_writes(d->drain) > 0;
}

static struct worker *drain_make(struct syncd *daemon)
{
	struct drain *d = mem_new(1, sizeof *d);

	daemon->drain = d;
	d->new_ones.outbox = outbox_reader_new(daemon->store);
	d->again.outbox = outbox_reader_new(daemon->store);
	return &d->worker;
}

static void drain_clear(struct syncd *daemon)
{
	struct drain *d = daemon->drain;

	for (unsigned i = 0; i < LISTS; i++)
		LIST_EACH(struct entry, e, &d->lists[i], link)
			entry_forget(e);
	outbox_reader_free(d->new_ones.outbox);
	outbox_reader_free(d->again.outbox);
}

const struct upkeep drain_upkeep = {
	.make = drain_make,
	.run = drain_run,
	.clear = drain_clear,
	.returned = drain_returned,
	.relaid = drain_now,
	.busy = drain_is_busy,
};

/*
 * A node that came over from another group tells this one all it knows
 *
 * covey-discoverd marks that in the store before it adopts a layout of another
 * lineage.  Here each version that is known gets an entry in the outbox, which
 * is drained as ever: so it reaches its homes and keepers, and no version is
 * lost.  It begins a moment after the layout is here, when the other roles
 * have it too: what one of them stores by the old layout until then is
 * committed already, and so among what is found.
 */

#define MERGE_MS 3000			/* after a layout; and after a failure */

struct merging {
	struct worker worker;
	uint64_t due;			/* ms, monotonic */
};

static void merge_soon(struct syncd *d)
{
	worker_set_due(&d->merging->worker, &d->merging->due, MERGE_MS);
}

static void merge_outbox(struct merging *o)
{
	struct syncd *d = o->worker.daemon;
	const struct layout *layout = peers_layout(d->peers);
	uint64_t lineage = layout->lineage, owed = 0;
	uint32_t keep = layout->keep_versions;
	struct err err;
	int rc;

	if (layout->epoch == 0)
		return;
	syncd_unlock(d);
	rc = store_owe_marked(d->store, lineage, keep, &owed, &err);
	if (rc < 0)
		log_err(LOG_LEVEL_WARNING, &err, "put what this node knows into the outbox");
	else if (owed > 0)
		log_line(LOG_LEVEL_INFO, "bring %" PRIu64 " versions that this node knows to the group "
			 "that it came over to", owed);
	syncd_lock(d);
	if (owed > 0)
		drain_now(d);
	if (rc < 0)
		merge_soon(d);
}

static void merge_run(struct worker *w)
{
	struct merging *o = CONTAINER_OF(w, struct merging, worker);

	while (worker_wait_until(w, &o->due)) {
		o->due = NEVER;
		merge_outbox(o);
	}
}

static struct worker *merge_make(struct syncd *d)
{
	struct merging *o = mem_new(1, sizeof *o);

	d->merging = o;
	o->due = clock_mono_ms() + MERGE_MS;
	return &o->worker;
}

const struct upkeep merge_upkeep = {
	.in_group = true, .make = merge_make, .run = merge_run, .relaid = merge_soon
};
