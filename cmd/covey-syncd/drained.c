/*
 * drained - one entry of the outbox, until everybody has it
 *
 *	look	is it still to be done, and what is it?
 *	push	its content to every keeper: one that is a home as well then has
 *		the record, too
 *	store	its record at every home, and the directories above, or before
 *		a directory's end its gate (storing.h)
 *	finish	mark it done
 *
 * Each is idempotent: it does not matter what the writer did of it already,
 * and a mark that is lost costs one more round.
 */
#include "drain.h"

#include "container.h"
#include "mem.h"
#include "quorum.h"

#define STORE_FACTOR 3			/* covey-versiond answers within so many times timeouts.store */

static struct store *store_of(const struct drained *e)
{
	return e->drain->daemon->store;
}

static void fail(struct drained *e, const struct err *err)
{
	e->err = *err;
	e->done = false;
	drain_over(e);
}

static void submit(struct drained *e, void (*work)(struct job *), void (*done)(struct job *))
{
	e->job = (struct job){ .work = work, .done = done, .home = e->drain->daemon->loop };
	pool_submit(e->drain->daemon->disk, &e->job);
}

/* finish */

static void mark_done(struct job *job)
{
	struct drained *e = CONTAINER_OF(job, struct drained, job);

	outbox_done(store_of(e), e->mark);
}

static void marked_done(struct job *job)
{
	struct drained *e = CONTAINER_OF(job, struct drained, job);

	e->done = true;
	drain_over(e);
}

static void finish(struct drained *e)
{
	struct err err;

	/* The keepers may be others now: who asks them what they have may have looked before this. */
	if (e->epoch != peers_layout(e->drain->daemon->peers)->epoch)
		e->all_pushed = false;
	if (e->all_stored && e->all_pushed) {
		submit(e, mark_done, marked_done);
		return;
	}
	err_set(&err, ERR_AWAY, "drain %.100s: not every %s has it", e->path.data,
		e->all_pushed ? "home" : "keeper");
	fail(e, &err);
}

/* store */

static void stored(struct call *call, struct frame *frame)
{
	struct drained *e = CONTAINER_OF(call, struct drained, call);
	struct store_answer answer;
	struct err err;

	err_set(&err, ERR_AWAY, "store %.100s: covey-versiond is away", e->path.data);
	if (frame == NULL) {
		fail(e, &err);
		return;
	}
	if (frame->type != VERSION_TALK_STORED ||
	    store_answer_unpack(frame->body, &answer, &err) < 0) {
		if (frame->type == FRAME_FAILED)
			frame_failed_unpack(frame->body, &err);
		call_finish(call);
		fail(e, &err);
		return;
	}
	if (!answer.last && !e->away)	/* the last says whether every home has it */
		return;
	call_finish(call);
	e->all_stored = answer.all;
	finish(e);
}

static void store_record(struct drained *e)
{
	struct syncd *d = e->drain->daemon;
	const struct store_ask ask = { .path = buf_str(&e->path), .record = e->entry.record,
				       .type = str_of(e->entry.type) };
	struct buf body = BUF_INIT;

	e->call = (struct call)CALL_INIT;
	e->call.answer = stored;
	store_ask_pack(&body, &ask);
	call_start(d->version, &e->call, VERSION_TALK_STORE, buf_str(&body),
		   STORE_FACTOR * d->service->conf->timeouts.store_ms);
	buf_clear(&body);
}

/* push */

/* The path's keepers without this node; none where content only moves when it is read. */
static void keepers_of(const struct drained *e, struct sync_push *ret)
{
	const struct layout *layout = peers_layout(e->drain->daemon->peers);
	size_t copies = layout_copies(layout);
	struct layout_order order;

	ret->keeper_count = 0;
	if (copies < 2)
		return;
	layout_keepers(layout, buf_str(&e->path), &order);
	for (size_t i = 0; i < copies && i < order.count && i < HOLDERS_MAX; i++)
		if (order.ids[i] != store_node(store_of(e)))
			ret->keepers[ret->keeper_count++] = order.ids[i];
	ret->wanted = (uint8_t)ret->keeper_count;
}

static void pushed(struct pushing *p)
{
	struct drained *e = p->data;

	e->pushing = NULL;
	e->all_pushed = pushing_is_done(p);
	store_record(e);
}

static void push(struct drained *e)
{
	struct sync_push wanted = { .path = buf_str(&e->path), .record = e->entry.record,
				    .type = str_of(e->entry.type) };

	keepers_of(e, &wanted);
	e->epoch = peers_layout(e->drain->daemon->peers)->epoch;
	e->all_pushed = e->entry.fd < 0 || wanted.keeper_count == 0;
	if (e->all_pushed) {
		store_record(e);
		return;
	}
	e->pushing = pushing_begin(e->drain->daemon, &wanted, e->entry.fd, e->entry.record.size);
	e->entry.fd = -1;
	e->pushing->settled = pushed;
	e->pushing->data = e;
	pushing_start(e->pushing);
}

/* look */

static int open_entry(struct drained *e)
{
	return store_version(store_of(e), buf_str(&e->path), e->version, STORE_CONTENT, &e->entry,
			     &e->err);
}

/* It has ended, or is through with this one: versions of a path are chosen and committed in turn. */
static bool writer_is_through(const struct drained *e)
{
	struct store_entry newest = STORE_ENTRY_INIT;
	bool passed;

	if (!outbox_writer_lives(store_of(e), e->mark.segment))
		return true;
	passed = store_newest(store_of(e), buf_str(&e->path), STORE_RECORD, &newest, NULL) == 0 &&
		 (version_cmp(newest.record.version, e->version) > 0 ||
		  version_cmp(newest.entry.version, e->version) > 0);
	store_entry_clear(&newest);
	return passed;
}

static void look(struct job *job)
{
	struct drained *e = CONTAINER_OF(job, struct drained, job);

	if (e->drain->daemon->keys.count == 0)	/* a group of one, for ever */
		outbox_done(store_of(e), e->mark);
	e->absent = outbox_is_done(store_of(e), e->mark);
	e->done = e->absent;
	if (e->absent || open_entry(e) == 0)
		return;
	/*
	 * Its writer may be just about to commit it.  One that is through has done so
	 * before now, and it may be pruned again, or never will; what one left who died
	 * shows only when it was waited for.
	 */
	if (e->err.kind == ERR_ABSENT && writer_is_through(e) &&
	    store_await(store_of(e), buf_str(&e->path), &e->err) == 0) {
		if (open_entry(e) == 0)
			return;
		e->done = e->err.kind == ERR_ABSENT;
	}
	e->absent = true;
	if (e->done)
		outbox_done(store_of(e), e->mark);
}

static void looked(struct job *job)
{
	struct drained *e = CONTAINER_OF(job, struct drained, job);

	if (e->absent || e->drain->stopping) {
		drain_over(e);
		return;
	}
	push(e);
}

/* Its homes and keepers: is one of them away, and is any there? */
static bool anybody_there(struct drained *e)
{
	const struct peers *peers = e->drain->daemon->peers;
	uint64_t nodes[QUORUM_HOMES_MAX + HOLDERS_MAX];
	struct sync_push keepers;
	struct quorum quorum;
	size_t count, others = 0, up = 0;

	quorum_begin(&quorum);
	quorum_add(&quorum, peers_layout(peers), path_partition(buf_str(&e->path)));
	count = quorum_homes(&quorum, nodes);
	keepers_of(e, &keepers);
	memcpy(nodes + count, keepers.keepers, keepers.keeper_count * sizeof nodes[0]);
	count += keepers.keeper_count;
	for (size_t i = 0; i < count; i++) {
		others += nodes[i] != store_node(store_of(e));
		up += nodes[i] != store_node(store_of(e)) && peers_up(peers, nodes[i]);
	}
	e->away = up < others;
	return others == 0 || up > 0;
}

void drained_run(struct drained *e)
{
	struct err err;

	if (!anybody_there(e)) {
		err_set(&err, ERR_AWAY, "drain %.100s: nobody is there", e->path.data);
		fail(e, &err);
		return;
	}
	store_entry_clear(&e->entry);
	submit(e, look, looked);
}

void drained_cut(struct drained *e)
{
	bool waits = e->call.caller != NULL || e->pushing != NULL;
	struct err err;

	call_finish(&e->call);
	if (e->pushing != NULL)
		pushing_free(e->pushing);
	e->pushing = NULL;
	err_set(&err, ERR_AWAY, "drain: covey-syncd is stopping");
	if (waits)
		fail(e, &err);
}

void drained_free(struct drained *e)
{
	store_entry_clear(&e->entry);
	buf_clear(&e->path);
	free(e);
}
