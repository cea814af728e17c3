/*
 * rmdir - an empty directory is removed from a group
 *
 *	1	the entry is live, as a reader is told
 *	2	nothing is in the directory, as a reader is told
 *	3	the gate, two ticks above all that is known of the name, is on this
 *		node's disk and at a majority of the homes of what is in the directory.
 *		One above may be an entry that was made late for something in it
 *		(storing.h): that has ended, too
 *	4	nothing is in it once more, as those tell who know of the gate: who
 *		stored a name there before it is seen now, and who does so later
 *		finds the gate, and makes the directory anew
 *	5	the entry ends, at the gate's version
 *
 * Where no majority answers before the last step nothing is removed.  After
 * a 409 of step 4, or a 503, the gate stays behind: it hides nothing, and
 * whoever stores a name in the directory next makes the entry anew, above it.
 */
#include "rmdir.h"

#include "answer.h"
#include "conn.h"
#include "container.h"
#include "freshness.h"
#include "get.h"
#include "group.h"
#include "inventory.h"
#include "mem.h"
#include "reply.h"
#include "settle.h"

#define SLACK_MS 250		/* covey-versiond's own steps, on a busy machine */

struct rmdir {
	struct conn *conn;
	struct inventory inventory;	/* of step 2, then of step 4 */
	bool every_home;		/* is waited for in step 4 */
	struct buf gate;		/* path of the gate */
	struct call call;
	struct job job;
	struct commit commit;		/* of the gate, then of the entry's end */
	int result;
	struct err err;
	struct settle *settle;
	struct timer limit;		/* the client waits no longer */
	bool answered;
};

void rmdir_free(struct rmdir *r)
{
	if (r == NULL)
		return;
	inventory_end(&r->inventory);
	call_finish(&r->call);
	timer_stop(&r->limit);
	settle_leave(r->settle);
	buf_clear(&r->gate);
	free(r);
}

static void refuse(struct conn *c, int status, const char *why)
{
	c->request.ask.confirmed = status != 503;
	get_absent(c, status, str_of(why));
}

static void cannot_tell(struct conn *c)
{
	refuse(c, 503, "too few homes of the directory answer: nothing was removed");
}

static void list(struct conn *c, struct version gate, void (*listed)(struct conn *))
{
	struct rmdir *r = c->request.rmdir;
	struct inventory_ask ask = { .path = buf_str(&c->request.path), .gate = gate,
				     .every_home = r->every_home, .limit = 1 };

	inventory_end(&r->inventory);
	memset(&r->inventory, 0, sizeof r->inventory);
	inventory_start(&r->inventory, c, &ask, listed);
}

/* True: it was answered. */
static bool is_in_use(struct conn *c)
{
	const struct inventory *inv = &c->request.rmdir->inventory;

	if (!inv->confirmed)
		cannot_tell(c);
	else if (inv->count > 0)
		refuse(c, 409, "the directory is not empty");
	else
		return false;
	return true;
}

/* 5: the entry's end, known to its homes */

static uint64_t patience_ms(const struct conn *c)
{
	return c->request.prefer.has_wait ? 1000 * c->request.prefer.wait :
					    c->worker->httpd->conf->timeouts.store_ms;
}

static void answer(struct rmdir *r, int status)
{
	struct conn *c = r->conn;
	struct buf *out = &c->output.text, value = BUF_INIT;
	struct prefer applied = c->request.prefer;
	unsigned homes[2], copies;
	char etag[ETAG_TEXT];

	r->answered = true;
	timer_stop(&r->limit);
	answer_begin(c, status);
	reply_field(out, "ETag", answer_etag(etag, r->commit.record.version));
	answer_count(c, status == 204);
	settle_tell(r->settle, &homes[0], &homes[1], &copies);
	if (status == 204)
		buf_adds(&value, "confirmed");
	else
		freshness_write_state(&value, homes[0], homes[1], copies);
	reply_field(out, "Version-State", buf_str(&value));
	buf_reset(&value);
	applied.respond_async &= status == 202;
	prefer_applied(&value, &applied);
	if (value.len > 0)
		reply_field(out, "Preference-Applied", buf_str(&value));
	buf_clear(&value);
	if (status == 204)
		answer_end(c);
	else
		answer_end_text(c, (struct str)STR_INIT);
}

static void end_told(void *owner)
{
	struct rmdir *r = owner;
	enum settle_state state = settle_state(r->settle);

	if (r->answered || state == SETTLE_OPEN)
		return;
	answer(r, state == SETTLE_GOOD ? 204 : 202);
	conn_resume(r->conn);
}

static void too_long(struct timer *timer)
{
	struct rmdir *r = CONTAINER_OF(timer, struct rmdir, limit);

	answer(r, 202);
	conn_resume(r->conn);
}

static void end_committed(struct job *job)
{
	struct rmdir *r = CONTAINER_OF(job, struct rmdir, job);
	struct conn *c = r->conn;
	uint64_t wait = c->request.prefer.respond_async ? 0 : patience_ms(c);
	struct settle_what what = { .path = buf_str(&c->request.path),
				    .record = r->commit.record,
				    .mark = r->commit.mark,
				    .fd = -1,
				    .wait_ms = wait };

	if (r->result < 0) {
		answer_err(c, &r->err);
		conn_resume(c);
		return;
	}
	r->settle = settle_start(c->worker, &what, end_told, r);
	if (wait == 0) {
		answer(r, 202);
		conn_resume(c);
		return;
	}
	r->limit.fire = too_long;
	timer_start(c->worker->loop, &r->limit, wait);
}

static void commit_work(struct job *job)
{
	struct rmdir *r = CONTAINER_OF(job, struct rmdir, job);

	r->result = store_commit(r->conn->worker->httpd->store, &r->commit, &r->err);
}

static void commit(struct rmdir *r, void (*committed)(struct job *))
{
	struct conn *c = r->conn;

	r->job = (struct job){ .work = commit_work, .done = committed, .home = c->worker->loop,
			       .key = path_hash(buf_str(&c->request.path)) };
	c->state = CONN_BUSY;
	pool_submit(c->worker->httpd->pool, &r->job);
}

static void end_entry(struct conn *c)
{
	struct rmdir *r = c->request.rmdir;
	struct version gate = r->commit.record.version;

	r->commit = (struct commit)COMMIT_INIT;
	r->commit.path = buf_str(&c->request.path);
	r->commit.flags = RECORD_DELETED | RECORD_DIRECTORY;
	r->commit.fixed = gate;
	r->commit.outbox = c->worker->httpd->outbox;
	commit(r, end_committed);
}

/* 4: nothing is in it, as they tell who know of the gate */

/* A name that was never confirmed is passed over only by what every home tells. */
static void listed_again(struct conn *c)
{
	struct rmdir *r = c->request.rmdir;

	if ((!r->inventory.confirmed || r->inventory.count > 0) && !r->every_home) {
		r->every_home = true;
		list(c, r->commit.record.version, listed_again);
	} else if (!is_in_use(c)) {
		end_entry(c);
	}
}

/* 3: the gate */

static void gate_stored(struct call *call, struct frame *frame)
{
	struct rmdir *r = CONTAINER_OF(call, struct rmdir, call);
	struct conn *c = r->conn;
	struct store_answer answer;
	bool settled = frame != NULL && frame->type == VERSION_TALK_STORED &&
		       store_answer_unpack(frame->body, &answer, NULL) == 0 && answer.confirmed;

	call_finish(call);
	if (settled) {
		list(c, r->commit.record.version, listed_again);
	} else {
		cannot_tell(c);
		conn_resume(c);
	}
}

static void store_gate_at_homes(struct rmdir *r)
{
	struct worker *w = r->conn->worker;
	struct store_ask ask = { .path = buf_str(&r->gate), .record = r->commit.record };
	struct buf body = BUF_INIT;

	r->call.answer = gate_stored;
	store_ask_pack(&body, &ask);
	call_start(w->version, &r->call, VERSION_TALK_STORE, buf_str(&body),
		   w->httpd->conf->timeouts.store_ms + SLACK_MS);
	buf_clear(&body);
}

static void gate_committed(struct job *job)
{
	struct rmdir *r = CONTAINER_OF(job, struct rmdir, job);

	if (r->result == 0) {
		store_gate_at_homes(r);
		return;
	}
	answer_err(r->conn, &r->err);
	conn_resume(r->conn);
}

static struct version later(struct version a, struct version b)
{
	return version_cmp(a, b) > 0 ? a : b;
}

static void close_gate(struct conn *c)
{
	struct rmdir *r = c->request.rmdir;
	const struct ask *ask = &c->request.ask;

	path_to_gate(&r->gate, buf_str(&c->request.path));
	r->commit = (struct commit)COMMIT_INIT;
	r->commit.path = buf_str(&r->gate);
	r->commit.flags = RECORD_DELETED;
	r->commit.above = later(later(ask->entry.version, ask->record.version), r->inventory.gate);
	if (r->commit.above.time < UINT64_MAX)
		r->commit.above.time++;
	r->commit.clock = ask->clock != 0 ? ask->clock : group_clock(c->worker->httpd->group);
	commit(r, gate_committed);
}

/* 2: nothing is in it */

static void listed(struct conn *c)
{
	if (!is_in_use(c))
		close_gate(c);
}

/* 1: it is there */

static void asked(struct conn *c)
{
	const struct ask *ask = &c->request.ask;

	if (ask->certainty == CERTAINTY_UNCONFIRMED)
		cannot_tell(c);
	else if (!record_is_live(&ask->entry))
		refuse(c, 404, "no such directory");
	else
		list(c, VERSION_NONE, listed);
}

void rmdir_start(struct conn *c)
{
	struct rmdir *r = mem_new(1, sizeof *r);

	r->conn = c;
	r->call = (struct call)CALL_INIT;
	c->request.rmdir = r;
	if (ask_start(&c->request.ask, c, buf_str(&c->request.path), NEWEST_READ, VERSION_NONE, asked))
		asked(c);
}
