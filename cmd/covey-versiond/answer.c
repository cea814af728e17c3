/*
 * answer - messages of other nodes, and records this node keeps as a home
 *
 * A CHECK is answered at once, on the loop.  If its lookup would block (a
 * directory is being made, or a writer died halfway) it waits in the pool.
 * A STORE is committed in the pool, those of one path one after the other,
 * unless the record is already here.  A STORE of a gate is answered when the
 * directory's names have been walked (struct gate_walk).  The layout may have
 * changed when a question returns from the pool, so it is judged again.
 */
#include "versiond.h"

#include "gate_confirm.h"
#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"

#define JOBS_MAX 4096			/* more questions are dropped: their askers repeat them */
#define WALK_BATCH 1000			/* names that are read at once */
#define WALKED_GATES 64			/* that are remembered */

/* Who waits for a gate walk. */
struct walk_waiter {
	struct link link;
	void (*done)(void *data, bool may_tell);
	void *data;
};

/*
 * A walk over the names of a directory whose gate has arrived, for gate_confirm.h.
 *
 * All who bring the gate while the walk runs share it.  A finished walk is
 * remembered and covers every gate up to its own, because whoever stored a
 * name later was told of the gate.  It is void under another layout, with
 * which this node may have received names that were acknowledged elsewhere.
 * A process that stops ends its walks without an answer: the next one is
 * asked again.
 */
struct gate_walk {
	struct link link;
	struct versiond *versiond;
	struct job job;
	struct gate_confirm confirm;
	struct buf directory;			/* owned */
	struct list waiters;
	struct version gate;
	uint64_t lineage, epoch;		/* in which it began */
	struct listing batch;			/* of the directory's names; owned */
	size_t next_in_batch;			/* index of the next name in it */
	struct buf found;			/* the path of the next name; empty: there is none */
	bool listed;
	bool reading;				/* a job of the pool reads the next name */
};

/* A finished walk: under this layout others may be told of its gate and of each lower one. */
struct walked_gate {
	struct buf directory;			/* owned */
	struct version gate;			/* none: the place is free */
	uint64_t lineage, epoch;
};

/* A directory that others are to know: asker.make. */
struct making {
	struct link link;			/* set once it is made, until all homes know it */
	struct job job;
	struct versiond *versiond;
	uint64_t id;
	struct buf path;
	struct commit commit;
	int result;
	struct err err;
};

struct answers {
	struct list walks;			/* that run */
	struct walked_gate walked[WALKED_GATES];
	size_t walked_next;			/* the oldest */
	struct list makings;			/* that not all homes know yet */
};

/* A record that this node keeps as a home, in the pool. */
struct record_keeping {
	struct job job;
	struct versiond *versiond;
	struct str path, type;		/* its owner's, until it is finished */
	struct record record;
	uint32_t keep;
	bool on_disk;
	/* kept: it is durable, and others may be told so. */
	void (*finish)(struct record_keeping *, bool kept);
};

struct question {
	struct lookup_wait wait;
	struct versiond *versiond;
	struct address from;
	struct serve_request *request;	/* NULL: it came by UDP, or its asker is gone */
	bool by_http;
	enum wire_type type;
	uint64_t asker, lineage;	/* the sender's id, and its layout's */
	struct wire_check check;
	struct wire_store store;
	struct buf text;		/* what their slices point to */
	struct record_keeping keeping;
};

/* where answers go */

/* The answer to a CARRY, which may be empty, ends the request. */
static void reply_carried(struct versiond *v, struct serve_request *request, struct str plain)
{
	struct buf packet = BUF_INIT;

	if (plain.n > 0) {
		seal_message(&v->keys, plain, &packet);
		stats_count_sent(v, true, plain);
	}
	local_reply(v, request, VERSION_TALK_CARRIED, buf_str(&packet));
	buf_clear(&packet);
}

static void reply(struct versiond *v, const struct address *from, struct serve_request *request,
		  struct str plain)
{
	if (request != NULL)
		reply_carried(v, request, plain);
	else if (from != NULL && plain.n > 0)
		group_send(v, from, plain);
}

/* a question that has to wait */

static void question_free(struct question *q)
{
	buf_clear(&q->text);
	free(q);
}

/* There is no answer.  UDP is silent then; a CARRY gets an empty one. */
static void reply_nothing(struct versiond *v, const struct address *from, struct serve_request *request)
{
	reply(v, from, request, STR(""));
}

static void question_gone(struct serve_request *request)
{
	struct question *q = request->data;

	q->request = NULL;
}

static void question_copy(struct question *q, const struct wire *wire)
{
	q->type = wire->type;
	q->asker = wire->sender.id;
	q->lineage = wire->sender.lineage;
	if (wire->type == WIRE_CHECK) {
		q->check = wire->check;
		buf_addstr(&q->text, wire->check.path);
		q->check.path = buf_str(&q->text);
		return;
	}
	q->store = wire->store;
	buf_addstr(&q->text, wire->store.path);
	buf_addstr(&q->text, wire->store.type);
	q->store.path = (struct str){ q->text.data, wire->store.path.n };
	q->store.type = (struct str){ q->text.data + wire->store.path.n, wire->store.type.n };
}

/* The answer, if there is one, and the end of the question. */
static void question_finish(struct question *q, enum home_step step)
{
	struct versiond *v = q->versiond;
	struct str plain = step == HOME_ANSWER ? buf_str(&v->answer) : (struct str)STR_INIT;

	if (q->request != NULL || !q->by_http)
		reply(v, &q->from, q->request, plain);
	question_free(q);
}

/* When nobody writes there; the layout may be another by now. */
static void question_judge(struct lookup_wait *wait, bool unblocked)
{
	struct question *q = CONTAINER_OF(wait, struct question, wait);
	struct versiond *v = q->versiond;
	struct wire wire = { .sender = { .id = q->asker, .lineage = q->lineage },
			     .type = WIRE_CHECK, .check = q->check };

	if (!unblocked)
		question_finish(q, HOME_NOTHING);
	else if (q->type == WIRE_STORE)
		question_finish(q, home_stored(&v->home, q->asker, &q->store, &v->answer));
	else
		question_finish(q, home_receive(&v->home, &wire, group_clock(v), &v->answer));
}

static struct question *question_keep(struct versiond *v, const struct wire *wire,
				      const struct address *from, struct serve_request *request)
{
	struct question *q = mem_new(1, sizeof *q);

	q->versiond = v;
	q->request = request;
	q->by_http = request != NULL;
	if (from != NULL)
		q->from = *from;
	question_copy(q, wire);
	q->wait = (struct lookup_wait){ .versiond = v, .then = question_judge,
					.path = q->type == WIRE_CHECK ? q->check.path : q->store.path };
	if (request != NULL) {
		request->data = q;
		request->gone = question_gone;
	}
	return q;
}

/* the names behind a gate */

static void walk_add_waiter(struct gate_walk *w, void (*done)(void *data, bool may_tell), void *data)
{
	struct walk_waiter *waiter = mem_new(1, sizeof *waiter);

	waiter->done = done;
	waiter->data = data;
	list_append(&w->waiters, &waiter->link);
	w->versiond->jobs++;			/* until walk_tell(): the process stays for it */
}

static void walk_tell(struct gate_walk *w, bool may_tell)
{
	struct walk_waiter *waiter = LIST_FIRST(struct walk_waiter, &w->waiters, link);

	list_remove(&waiter->link);
	waiter->done(waiter->data, may_tell);
	free(waiter);
	versiond_returned(w->versiond);
}

static bool gate_is_walked(const struct versiond *v, struct str directory, struct version gate)
{
	const struct layout *layout = &v->home.layout;

	for (size_t i = 0; i < WALKED_GATES; i++) {
		const struct walked_gate *walked = &v->answers->walked[i];

		if (walked->lineage == layout->lineage && walked->epoch == layout->epoch &&
		    version_cmp(walked->gate, gate) >= 0 &&
		    str_eq(buf_str(&walked->directory), directory))
			return true;
	}
	return false;
}

/* Over the oldest one. */
static void walk_remember(const struct gate_walk *w)
{
	struct answers *answers = w->versiond->answers;
	struct walked_gate *walked = &answers->walked[answers->walked_next];

	answers->walked_next = (answers->walked_next + 1) % WALKED_GATES;
	walked->gate = w->gate;
	walked->lineage = w->lineage;
	walked->epoch = w->epoch;
	buf_reset(&walked->directory);
	buf_addstr(&walked->directory, buf_str(&w->directory));
}

static void walk_end(struct gate_walk *w, bool may_tell)
{
	list_remove(&w->link);
	gate_confirm_clear(&w->confirm);
	if (may_tell)
		walk_remember(w);
	while (w->waiters.first != NULL)
		walk_tell(w, may_tell);
	listing_clear(&w->batch);
	buf_clear(&w->directory);
	buf_clear(&w->found);
	free(w);
}

static void walk_over(struct gate_confirm *confirm, bool may_tell)
{
	walk_end(CONTAINER_OF(confirm, struct gate_walk, confirm), may_tell);
}

/* Where a file has the directory's name the whole of it is read at once. */
static int walk_list(struct gate_walk *w, struct str after, struct listing *ret, struct err *err)
{
	struct store *store = w->versiond->service->store;
	struct str directory = buf_str(&w->directory);

	if (store_list(store, directory, after, WALK_BATCH, false, ret, err) == 0)
		return 0;
	return err->kind == ERR_CONFLICT ? store_list(store, directory, after, 0, true, ret, err) : -1;
}

static bool entry_stands(const struct list_entry *entry)
{
	return record_name_kind(&entry->record, &entry->entry) != NAME_ABSENT;
}

/* True: w->found is the next live name of the batch. */
static bool walk_next_in_batch(struct gate_walk *w)
{
	while (w->next_in_batch < w->batch.count) {
		const struct list_entry *entry = &w->batch.entries[w->next_in_batch++];

		if (entry_stands(entry)) {
			path_join(&w->found, buf_str(&w->directory), str_of(entry->name));
			return true;
		}
	}
	return false;
}

/* Read the batch that follows the present one, which is empty at first. */
static void walk_read_batch(struct gate_walk *w)
{
	struct str last = w->batch.count == 0 ? (struct str)STR_INIT :
			  str_of(w->batch.entries[w->batch.count - 1].name);
	struct listing batch = LISTING_INIT;
	struct err err = ERR_INIT;

	w->listed = walk_list(w, last, &batch, &err) == 0 || err.kind == ERR_ABSENT;
	if (!w->listed)
		log_err(LOG_LEVEL_WARNING, &err, "list a directory");
	listing_clear(&w->batch);
	w->batch = batch;
	w->next_in_batch = 0;
}

/* A name that is stored later need not be found: its writer is told of the gate. */
static void walk_read(struct job *job)
{
	struct gate_walk *w = CONTAINER_OF(job, struct gate_walk, job);

	buf_reset(&w->found);
	while (!walk_next_in_batch(w) && w->batch.more)
		walk_read_batch(w);
}

static void walk_read_done(struct job *job)
{
	struct gate_walk *w = CONTAINER_OF(job, struct gate_walk, job);
	struct versiond *v = w->versiond;

	w->reading = false;
	if (w->listed) {
		gate_confirm_found(&w->confirm, buf_str(&w->found), clock_mono_ms());
		group_schedule(v);
	} else {
		walk_end(w, false);
	}
	versiond_returned(v);
}

static void walk_on(struct gate_confirm *confirm)
{
	struct gate_walk *w = CONTAINER_OF(confirm, struct gate_walk, confirm);

	if (w->versiond->stopping) {
		walk_end(w, false);
		return;
	}
	w->reading = true;
	w->job.work = walk_read;
	w->job.done = walk_read_done;
	versiond_submit(w->versiond, w->versiond->pool, &w->job);
}

/* A running walk of this directory, under this layout, of this gate or a greater one. */
static struct gate_walk *walk_find(const struct versiond *v, struct str directory, struct version gate)
{
	LIST_EACH(struct gate_walk, w, &v->answers->walks, link)
		if (w->lineage == v->home.layout.lineage && w->epoch == v->home.layout.epoch &&
		    version_cmp(w->gate, gate) >= 0 &&
		    str_eq(buf_str(&w->directory), directory))
			return w;
	return NULL;
}

/* The gate is durable here.  done(false): others may not be told yet that it is. */
static void walk_gate(struct versiond *v, struct str gate_path, struct version gate,
		      void (*done)(void *data, bool may_tell), void *data)
{
	struct gate_walk *w = walk_find(v, path_parent(gate_path), gate);

	if (gate_is_walked(v, path_parent(gate_path), gate)) {
		done(data, true);
		return;
	}
	if (w != NULL) {
		walk_add_waiter(w, done, data);
		return;
	}
	w = mem_new(1, sizeof *w);
	w->versiond = v;
	buf_addstr(&w->directory, path_parent(gate_path));
	w->gate = gate;
	w->lineage = v->home.layout.lineage;
	w->epoch = v->home.layout.epoch;
	w->batch.more = true;
	w->listed = true;
	list_append(&v->answers->walks, &w->link);
	walk_add_waiter(w, done, data);
	w->confirm.next = walk_on;
	w->confirm.done = walk_over;
	gate_confirm_start(&w->confirm, &v->asker, gate_path, gate);
}

void answers_cut_walks(struct versiond *v)
{
	struct gate_walk *w;

	if (v->answers == NULL)
		return;
	w = LIST_FIRST(struct gate_walk, &v->answers->walks, link);
	while (w != NULL) {
		if (w->reading) {
			w = LIST_NEXT(struct gate_walk, w, link);
		} else {
			walk_end(w, false);	/* who is told may end others */
			w = LIST_FIRST(struct gate_walk, &v->answers->walks, link);
		}
	}
}

/* keeping a record */

/* A disk that refuses writes is logged every COMPLAIN_MS, not for each record.  On any thread. */
static bool is_worth_a_line(struct versiond *v, const struct err *err)
{
	uint64_t now = clock_mono_ms(), due = atomic_load(&v->complain_at);

	return err->kind != ERR_AWAY ||
	       (now >= due && atomic_compare_exchange_strong(&v->complain_at, &due, now + COMPLAIN_MS));
}

static struct commit record_commit(const struct record_keeping *k)
{
	struct commit c = commit_of_record(k->path, &k->record, k->type, NULL, k->keep);

	c.wal = k->versiond->wal;
	return c;
}

static void record_note(struct record_keeping *k, int status, const struct err *err)
{
	k->on_disk = status == 0;
	if (!k->on_disk && is_worth_a_line(k->versiond, err))
		log_err(LOG_LEVEL_WARNING, err, "keep a record");
}

static void record_work(struct job *job)
{
	struct record_keeping *k = CONTAINER_OF(job, struct record_keeping, job);
	struct commit c = record_commit(k);
	struct err err = ERR_INIT;
	int status = store_commit(k->versiond->service->store, &c, &err);

	record_note(k, status, &err);
}

/* In the pool, as one: those that came while others were written. */
void answer_keep_records(struct job **jobs, size_t count)
{
	struct record_keeping *k = CONTAINER_OF(jobs[0], struct record_keeping, job);
	struct versiond *v = k->versiond;
	struct commit commits[STORE_COMMIT_MOST], *pointers[STORE_COMMIT_MOST];
	struct err errs[STORE_COMMIT_MOST];
	int statuses[STORE_COMMIT_MOST];

	for (size_t i = 0; i < count; i++) {
		commits[i] = record_commit(CONTAINER_OF(jobs[i], struct record_keeping, job));
		pointers[i] = &commits[i];
	}
	store_commit_together(v->service->store, pointers, count, statuses, errs);
	for (size_t i = 0; i < count; i++) {
		k = CONTAINER_OF(jobs[i], struct record_keeping, job);
		if (statuses[i] != STORE_COMMIT_ALONE) {
			record_note(k, statuses[i], &errs[i]);
			continue;
		}
		k->job.work = record_work;
		k->job.key = path_hash(k->path);
		pool_submit(v->pool, jobs[i]);
		jobs[i] = NULL;
	}
}

static void record_finish(void *data, bool kept)
{
	struct record_keeping *k = data;

	k->finish(k, kept);
}

static void record_done(struct job *job)
{
	struct record_keeping *k = CONTAINER_OF(job, struct record_keeping, job);
	struct versiond *v = k->versiond;

	v->stats->commits += k->on_disk;
	v->stats->refused += !k->on_disk;
	if (k->on_disk && path_is_gate(k->path))
		walk_gate(v, k->path, k->record.version, record_finish, k);
	else
		k->finish(k, k->on_disk);
	versiond_returned(v);
}

static void record_keep(struct versiond *v, struct record_keeping *k, struct str path, struct str type,
			const struct record *record, void (*finish)(struct record_keeping *, bool kept))
{
	struct list one = { .first = NULL };

	*k = (struct record_keeping){ .versiond = v, .path = path, .type = type, .record = *record,
				      .keep = v->home.layout.keep_versions, .finish = finish };
	k->job = (struct job){ .done = record_done, .home = v->service->loop };
	v->jobs++;
	list_append(&one, &k->job.link);
	batch_submit(v->records, &one);
}

/* Another node's. */
static void store_finish(struct record_keeping *k, bool kept)
{
	struct question *q = CONTAINER_OF(k, struct question, keeping);

	if (kept)
		lookup_when_unblocked(&q->wait);
	else
		question_finish(q, HOME_NOTHING);
}

/* A question of this node's own: asker.commit. */
struct own_commit {
	struct record_keeping keeping;
	uint64_t id;
	struct buf path, type;
};

static void own_finish(struct record_keeping *k, bool kept)
{
	struct own_commit *own = CONTAINER_OF(k, struct own_commit, keeping);
	struct versiond *v = k->versiond;

	asker_committed(&v->asker, own->id, kept, clock_mono_ms());
	group_schedule(v);
	buf_clear(&own->path);
	buf_clear(&own->type);
	free(own);
}

/* As asker.commit. */
static void commit_here(void *data, uint64_t id, const struct store_ask *ask)
{
	struct own_commit *own = mem_new(1, sizeof *own);

	own->id = id;
	buf_addstr(&own->path, ask->path);
	buf_addstr(&own->type, ask->type);
	record_keep(data, &own->keeping, buf_str(&own->path), buf_str(&own->type), &ask->record, own_finish);
}

/* directories that are made here */

/* The condition of the commit: newer records must not be hidden; a live directory is fine as it is. */
static int directory_may_be_made(const struct commit *c, const struct store_entry *now, struct err *err)
{
	if (record_is_live(&now->entry) && version_cmp(now->entry.version, c->above) > 0)
		return 0;
	if (version_cmp(now->entry.version, c->above) > 0 ||
	    version_cmp(now->record.version, c->above) > 0)
		return err_set(err, ERR_CONFLICT, "make %.*s: it has changed meanwhile", STR_ARG(c->path));
	return 0;
}

static void directory_make_work(struct job *job)
{
	struct making *making = CONTAINER_OF(job, struct making, job);
	struct versiond *v = making->versiond;

	making->result = store_commit(v->service->store, &making->commit, &making->err);
	if (making->result < 0 && making->err.kind != ERR_CONFLICT)
		log_err(LOG_LEVEL_WARNING, &making->err, "make a directory");
}

static void making_free(struct making *making)
{
	buf_clear(&making->path);
	free(making);
}

static void directory_made(struct job *job)
{
	struct making *making = CONTAINER_OF(job, struct making, job);
	struct versiond *v = making->versiond;
	const struct record *made = making->result == 0 ? &making->commit.record : NULL;

	list_prepend(&v->answers->makings, &making->link);
	asker_made(&v->asker, making->id, made, clock_mono_ms());
	group_schedule(v);
	versiond_returned(v);
}

/* As asker.make. */
static void directory_make(void *data, uint64_t id, const struct make_ask *ask)
{
	struct versiond *v = data;
	struct making *making = mem_new(1, sizeof *making);

	making->versiond = v;
	making->id = id;
	buf_addstr(&making->path, ask->path);
	making->commit = (struct commit)COMMIT_INIT;
	making->commit.path = buf_str(&making->path);
	making->commit.flags = RECORD_DIRECTORY;
	making->commit.above = ask->above;
	making->commit.clock = ask->time;
	making->commit.condition = directory_may_be_made;
	making->commit.outbox = v->outbox;
	making->job.key = path_hash(ask->path);
	making->job.work = directory_make_work;
	making->job.done = directory_made;
	versiond_submit(v, v->pool, &making->job);
}

/* As asker.made_end. */
static void directory_made_end(void *data, uint64_t id, bool everywhere)
{
	struct versiond *v = data;

	LIST_EACH(struct making, making, &v->answers->makings, link) {
		if (making->id != id)
			continue;
		if (everywhere)
			outbox_finish(v->outbox, making->commit.mark);
		list_remove(&making->link);
		making_free(making);
		return;
	}
}

/* what comes */

static void store_begin(struct versiond *v, const struct wire *wire, const struct address *from,
			struct serve_request *request)
{
	struct question *q;

	if (v->jobs >= JOBS_MAX) {
		reply_nothing(v, from, request);
		return;
	}
	q = question_keep(v, wire, from, request);
	record_keep(v, &q->keeping, q->store.path, q->store.type, &q->store.record, store_finish);
}

/* The record is already durable here: its content brought it, or another brought the same entry. */
static bool store_is_kept(struct versiond *v, const struct wire_store *store)
{
	bool entry = store->record.flags & RECORD_DIRECTORY;
	struct home_found found;

	return (entry || record_has_content(&store->record)) &&
	       !lookup_would_wait(v, store->path) &&
	       lookup_find(v, store->path, VERSION_NONE, false, &found) == 0 &&
	       record_eq(entry ? &found.entry : &found.record, &store->record);
}

/* True: the CHECK's path is being written, and it is answered later. */
static bool check_waits(struct versiond *v, const struct wire *wire,
			const struct address *from, struct serve_request *request)
{
	if (wire->type != WIRE_CHECK || !lookup_would_wait(v, wire->check.path))
		return false;
	if (v->jobs >= JOBS_MAX)
		reply_nothing(v, from, request);
	else
		lookup_when_unblocked(&question_keep(v, wire, from, request)->wait);
	return true;
}

static void question_answer(struct versiond *v, const struct wire *wire, const struct address *from,
			    struct serve_request *request)
{
	if (check_waits(v, wire, from, request))
		return;
	switch (home_receive(&v->home, wire, group_clock(v), &v->answer)) {
	case HOME_ANSWER:
		reply(v, from, request, buf_str(&v->answer));
		return;
	case HOME_COMMIT:
		if (store_is_kept(v, &wire->store) &&
		    home_stored(&v->home, wire->sender.id, &wire->store, &v->answer) ==
			    HOME_ANSWER)
			reply(v, from, request, buf_str(&v->answer));
		else
			store_begin(v, wire, from, request);
		return;
	case HOME_FETCH:
		group_behind(v, wire->type == WIRE_CHECK ? wire->check.epoch : wire->store.epoch,
			     wire->sender.id, &wire->sender.discovery);
		break;
	case HOME_NOTHING:
		break;
	}
	reply_nothing(v, from, request);
}

void answer_message(struct versiond *v, const struct wire *wire, const struct address *from,
		    struct serve_request *request)
{
	if (wire->type == WIRE_CHECK || wire->type == WIRE_STORE) {
		question_answer(v, wire, from, request);
		return;
	}
	if (wire->type == WIRE_RECORD || wire->type == WIRE_STORED || wire->type == WIRE_STALE)
		asker_receive(&v->asker, wire, clock_mono_ms());
	reply_nothing(v, from, request);
}

void answers_start(struct versiond *v)
{
	v->answers = mem_new(1, sizeof *v->answers);
	v->asker.commit = commit_here;
	v->asker.make = directory_make;
	v->asker.made_end = directory_made_end;
}

void answers_stop(struct versiond *v)
{
	if (v->answers == NULL)
		return;
	LIST_EACH(struct making, making, &v->answers->makings, link)
		making_free(making);
	for (size_t i = 0; i < WALKED_GATES; i++)
		buf_clear(&v->answers->walked[i].directory);
	free(v->answers);
	v->answers = NULL;
}
