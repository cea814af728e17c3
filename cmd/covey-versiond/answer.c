/*
 * answer - other nodes' questions, and records this node keeps as a home
 *
 * A CHECK is answered at once, from the loop; one that would have to wait
 * (for a directory that is being made, or for what a writer left who died)
 * does so in the pool, where it holds up nobody else.  A STORE is committed in
 * the pool, those of one path one after the other, unless the record is there;
 * one of a gate is answered when what stands behind it is settled (inside.c).
 * When a question comes back from there the layout may have changed, and it is
 * judged anew.
 */
#include "versiond.h"

#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"

#define JOBS_MAX 4096			/* questions beyond are dropped: they will be repeated */
#define WAITS_MAX 8			/* then nobody is told anything: it will be asked again */

struct question {
	struct talk_waiting waiting;	/* of the request */
	struct job job;
	struct versiond *versiond;
	struct address from;
	struct serve_request *request;	/* NULL: it came by UDP; or nobody waits any more */
	bool by_http;
	enum wire_type type;
	uint64_t asker, lineage;	/* the sender's id, and its layout's */
	struct wire_check check;
	struct wire_store store;
	struct buf text;		/* what their slices point to */
	uint32_t keep;
	unsigned waits;
	bool on_disk;
};

/* where answers go */

static void reply_udp(struct versiond *v, const struct address *to, struct str plain)
{
	sealed_send(v->socket, to, plain);
	stats_count_sent(v, false, plain);
}

static void reply(struct versiond *v, const struct address *from, struct serve_request *request,
		  struct str plain)
{
	if (request != NULL)
		carry_reply(v, request, plain);
	else if (from != NULL && plain.n > 0)
		reply_udp(v, from, plain);
}

/* a question that has to wait */

static void question_free(struct question *q)
{
	buf_clear(&q->text);
	free(q);
}

/* Nothing follows: say so to who waits. */
static void drop(struct versiond *v, const struct address *from, struct serve_request *request)
{
	reply(v, from, request, STR(""));
}

static void gone(struct talk_waiting *waiting)
{
	CONTAINER_OF(waiting, struct question, waiting)->request = NULL;
}

static void copy_question(struct question *q, const struct wire *wire)
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

static struct str path_of(const struct question *q)
{
	return q->type == WIRE_CHECK ? q->check.path : q->store.path;
}

static struct question *keep_question(struct versiond *v, const struct wire *wire,
				      const struct address *from, struct serve_request *request)
{
	struct question *q = mem_new(1, sizeof *q);

	q->versiond = v;
	q->request = request;
	q->by_http = request != NULL;
	if (from != NULL)
		q->from = *from;
	copy_question(q, wire);
	q->job.key = path_hash(path_of(q));
	if (request != NULL) {
		q->waiting.gone = gone;
		request->data = &q->waiting;
	}
	return q;
}

/* The answer, if there is one, and the end of the question. */
static void finish(struct question *q, enum home_step step)
{
	struct versiond *v = q->versiond;
	struct str plain = step == HOME_ANSWER ? buf_str(&v->answer) : (struct str)STR_INIT;

	if (q->request != NULL)
		q->request->data = NULL;
	if (q->request != NULL || !q->by_http)
		reply(v, &q->from, q->request, plain);
	question_free(q);
}

/* waiting for a writer */

static void wait_work(struct job *job)
{
	struct question *q = CONTAINER_OF(job, struct question, job);

	look_await(q->versiond, path_of(q));
}

static void look_again(struct question *q);

static void wait_done(struct job *job)
{
	struct question *q = CONTAINER_OF(job, struct question, job);
	struct versiond *v = q->versiond;

	look_again(q);
	versiond_returned(v);
}

/* False: nobody is writing there. */
static bool wait_for_writer(struct question *q)
{
	if (!look_would_wait(q->versiond, path_of(q)))
		return false;
	if (q->waits++ == WAITS_MAX) {
		finish(q, HOME_NOTHING);
		return true;
	}
	q->job.work = wait_work;
	q->job.done = wait_done;
	versiond_submit(q->versiond, q->versiond->pool, &q->job);
	return true;
}

static void look_again(struct question *q)
{
	struct versiond *v = q->versiond;
	struct wire wire = { .sender = { .id = q->asker, .lineage = q->lineage },
			     .type = WIRE_CHECK, .check = q->check };

	if (wait_for_writer(q))
		return;
	if (q->type == WIRE_STORE)
		finish(q, home_stored(&v->home, q->asker, &q->store, &v->answer));
	else
		finish(q, home_receive(&v->home, &wire, group_clock(v), &v->answer));
}

/* keeping a record */

/* A disk that takes nothing is told of now and then, not for each record that comes.  Any thread. */
static bool is_worth_a_line(struct versiond *v, const struct err *err)
{
	uint64_t now = clock_mono_ms(), due = atomic_load(&v->complain_at);

	return err->kind != ERR_AWAY ||
	       (now >= due && atomic_compare_exchange_strong(&v->complain_at, &due, now + COMPLAIN_MS));
}

static int keep_record(struct versiond *v, struct str path, const struct record *record,
		       struct str type, uint32_t keep)
{
	struct err err = ERR_INIT;

	if (store_merge(v->service->store, path, record, type, keep, &err) == 0)
		return 0;
	if (is_worth_a_line(v, &err))
		log_err(LOG_LEVEL_WARNING, &err, "keep a record");
	return -1;
}

static void count_commit(struct versiond *v, bool on_disk)
{
	v->stats->commits += on_disk;
	v->stats->refused += !on_disk;
}

static void store_work(struct job *job)
{
	struct question *q = CONTAINER_OF(job, struct question, job);

	q->on_disk = keep_record(q->versiond, q->store.path, &q->store.record, q->store.type,
				 q->keep) == 0;
}

static void store_over(void *data, bool kept)
{
	struct question *q = data;

	if (kept)
		look_again(q);
	else
		finish(q, HOME_NOTHING);
}

static void store_done(struct job *job)
{
	struct question *q = CONTAINER_OF(job, struct question, job);
	struct versiond *v = q->versiond;

	count_commit(v, q->on_disk);
	if (q->on_disk && path_is_gate(q->store.path))
		inside_settle(v, q->store.path, q->store.record.version, store_over, q);
	else
		store_over(q, q->on_disk);
	versiond_returned(v);
}

/* A question of this node's own: asker.commit. */
struct own_commit {
	struct job job;
	struct versiond *versiond;
	uint64_t id;
	struct record record;
	struct buf path, type;
	uint32_t keep;
	bool on_disk;
};

static void own_work(struct job *job)
{
	struct own_commit *own = CONTAINER_OF(job, struct own_commit, job);

	own->on_disk = keep_record(own->versiond, buf_str(&own->path), &own->record,
				   buf_str(&own->type), own->keep) == 0;
}

static void own_over(void *data, bool kept)
{
	struct own_commit *own = data;
	struct versiond *v = own->versiond;

	asker_committed(&v->asker, own->id, kept, clock_mono_ms());
	group_stir(v);
	buf_clear(&own->path);
	buf_clear(&own->type);
	free(own);
}

static void own_done(struct job *job)
{
	struct own_commit *own = CONTAINER_OF(job, struct own_commit, job);
	struct versiond *v = own->versiond;

	count_commit(v, own->on_disk);
	if (own->on_disk && path_is_gate(buf_str(&own->path)))
		inside_settle(v, buf_str(&own->path), own->record.version, own_over, own);
	else
		own_over(own, own->on_disk);
	versiond_returned(v);
}

void answer_commit(void *data, uint64_t id, const struct store_ask *ask)
{
	struct versiond *v = data;
	struct own_commit *own = mem_new(1, sizeof *own);

	own->versiond = v;
	own->id = id;
	own->record = ask->record;
	own->keep = v->home.layout.keep_versions;
	buf_addstr(&own->path, ask->path);
	buf_addstr(&own->type, ask->type);
	own->job.key = path_hash(ask->path);
	own->job.work = own_work;
	own->job.done = own_done;
	versiond_submit(v, v->pool, &own->job);
}

/* A directory that others are to know: asker.make. */
struct making {
	struct job job;
	struct making *next;		/* of those that are made and not yet at all homes */
	struct versiond *versiond;
	uint64_t id;
	struct buf path;
	struct commit commit;
	int result;
	struct err err;
};

/* What came since it was read is not to be hidden; a directory that stands does as it is. */
static int no_more_is_known(const struct commit *c, const struct store_entry *now, struct err *err)
{
	if (record_is_live(&now->entry) && version_cmp(now->entry.version, c->above) > 0)
		return 0;
	if (version_cmp(now->entry.version, c->above) > 0 ||
	    version_cmp(now->record.version, c->above) > 0)
		return err_set(err, ERR_CONFLICT, "make %.*s: it has changed meanwhile", STR_ARG(c->path));
	return 0;
}

static void make_work(struct job *job)
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

static void make_done(struct job *job)
{
	struct making *making = CONTAINER_OF(job, struct making, job);
	struct versiond *v = making->versiond;
	const struct record *made = making->result == 0 ? &making->commit.record : NULL;

	making->next = v->making;
	v->making = making;
	asker_made(&v->asker, making->id, made, clock_mono_ms());
	group_stir(v);
	versiond_returned(v);
}

void answer_make(void *data, uint64_t id, const struct make_ask *ask)
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
	making->commit.condition = no_more_is_known;
	making->commit.outbox = v->outbox;
	making->job.key = path_hash(ask->path);
	making->job.work = make_work;
	making->job.done = make_done;
	versiond_submit(v, v->pool, &making->job);
}

void answer_made_end(void *data, uint64_t id, bool everywhere)
{
	struct versiond *v = data;
	struct making **p = &v->making, *making;

	while ((making = *p) != NULL && making->id != id)
		p = &making->next;
	if (making == NULL)
		return;
	*p = making->next;
	if (everywhere)
		outbox_finish(v->outbox, making->commit.mark);
	making_free(making);
}

void answer_stop(struct versiond *v)
{
	while (v->making != NULL) {
		struct making *making = v->making;

		v->making = making->next;
		making_free(making);
	}
}

/* what comes */

static void begin_store(struct versiond *v, const struct wire *wire, const struct address *from,
			struct serve_request *request)
{
	struct question *q;

	if (v->jobs >= JOBS_MAX) {
		drop(v, from, request);
		return;
	}
	q = keep_question(v, wire, from, request);
	q->keep = v->home.layout.keep_versions;
	q->job.work = store_work;
	q->job.done = store_done;
	versiond_submit(v, v->pool, &q->job);
}

/* The record is here already, as that of a directory which others have settled, or came with its content. */
static bool is_kept(struct versiond *v, const struct wire_store *store)
{
	bool entry = store->record.flags & RECORD_DIRECTORY;
	struct home_found found;

	return (entry || record_has_content(&store->record)) &&
	       !look_would_wait(v, store->path) &&
	       look_up(v, store->path, VERSION_NONE, false, &found) == 0 &&
	       record_eq(entry ? &found.entry : &found.record, &store->record);
}

/* True: a CHECK of a path that is being written; it is answered later. */
static bool comes_too_early(struct versiond *v, const struct wire *wire,
			    const struct address *from, struct serve_request *request)
{
	if (wire->type != WIRE_CHECK || !look_would_wait(v, wire->check.path))
		return false;
	if (v->jobs >= JOBS_MAX)
		drop(v, from, request);
	else
		look_again(keep_question(v, wire, from, request));
	return true;
}

void answer_question(struct versiond *v, const struct wire *wire, const struct address *from,
		     struct serve_request *request)
{
	if (comes_too_early(v, wire, from, request))
		return;
	switch (home_receive(&v->home, wire, group_clock(v), &v->answer)) {
	case HOME_ANSWER:
		reply(v, from, request, buf_str(&v->answer));
		return;
	case HOME_COMMIT:
		if (is_kept(v, &wire->store) &&
		    home_stored(&v->home, wire->sender.id, &wire->store, &v->answer) ==
			    HOME_ANSWER)
			reply(v, from, request, buf_str(&v->answer));
		else
			begin_store(v, wire, from, request);
		return;
	case HOME_FETCH:
		group_behind(v, wire->type == WIRE_CHECK ? wire->check.epoch : wire->store.epoch,
			     wire->sender.id, &wire->sender.discovery);
		break;
	case HOME_NOTHING:
		break;
	}
	drop(v, from, request);
}
