/*
 * rmdir - an empty directory is removed from a group
 *
 * rmdir_run() has these steps, one below the other:
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
 *	5	the entry ends, at the gate's version, as any write (write.h)
 *
 * Where no majority answers before the last step nothing is removed.  After
 * a 409 of step 4, or a 503, the gate stays behind: it hides nothing, and
 * whoever stores a name in the directory next makes the entry anew, above it.
 */
#include "rmdir.h"

#include "answer.h"
#include "loop/conn.h"
#include "container.h"
#include "group.h"
#include "inventory.h"
#include "mem.h"
#include "write.h"

enum rmdir_step {
	RMDIR_ASK,
	RMDIR_LIST,
	RMDIR_COMMIT_GATE,
	RMDIR_STORE_GATE,
	RMDIR_LIST_AGAIN,
	RMDIR_LIST_EVERY_HOME,
	RMDIR_END,
	RMDIR_OVER,
};

struct rmdir {
	struct conn *conn;
	enum rmdir_step step;		/* the next one */
	struct inventory inventory;	/* of step 2, then of step 4 */
	struct buf gate;		/* path of the gate */
	struct commit commit;		/* of the gate */
	struct job job;
	int result;			/* of the commit */
	struct err err;
	struct call call;		/* STORE of the gate */
	bool gate_stored;		/* at a majority */
};

static enum outcome entry_ask(struct rmdir *);
static enum outcome names_list(struct rmdir *);
static enum outcome gate_commit(struct rmdir *);
static enum outcome gate_store(struct rmdir *);
static enum outcome names_list_again(struct rmdir *);
static enum outcome names_list_everywhere(struct rmdir *);
static enum outcome entry_end(struct rmdir *);

/*
 * Each step looks at what the one before it came to.  One that answers waits,
 * too: for the request's end.
 */
static void rmdir_run(struct rmdir *r)
{
	enum outcome outcome = GO_ON;

	while (outcome == GO_ON)
		switch (r->step++) {
		case RMDIR_ASK:
			outcome = entry_ask(r);
			break;
		case RMDIR_LIST:
			outcome = names_list(r);
			break;
		case RMDIR_COMMIT_GATE:
			outcome = gate_commit(r);
			break;
		case RMDIR_STORE_GATE:
			outcome = gate_store(r);
			break;
		case RMDIR_LIST_AGAIN:
			outcome = names_list_again(r);
			break;
		case RMDIR_LIST_EVERY_HOME:
			outcome = names_list_everywhere(r);
			break;
		case RMDIR_END:
			outcome = entry_end(r);
			break;
		case RMDIR_OVER:
			return;
		}
}

static void rmdir_go_on(struct conn *c)
{
	rmdir_run(c->request.rmdir);
}

static void rmdir_refuse(struct conn *c, int status, const char *why)
{
	c->request.ask.confirmed = status != 503;
	answer_version_error(c, status, str_of(why));
}

static void rmdir_cannot_tell(struct conn *c)
{
	rmdir_refuse(c, 503, "too few homes of the directory answer: nothing was removed");
}

/* 1: the entry */

static enum outcome entry_ask(struct rmdir *r)
{
	struct conn *c = r->conn;

	return ask_start(&c->request.ask, c, buf_str(&c->request.path), NEWEST_READ, VERSION_NONE,
			 rmdir_go_on) ? GO_ON : WAIT;
}

/* 2, 4: what is in it */

static void names_list_begin(struct rmdir *r, struct version gate, bool every_home)
{
	struct inventory_ask ask = { .path = buf_str(&r->conn->request.path), .gate = gate,
				     .every_home = every_home, .limit = 1 };

	inventory_end(&r->inventory);
	memset(&r->inventory, 0, sizeof r->inventory);
	inventory_start(&r->inventory, r->conn, &ask, rmdir_go_on);
}

/* True: it was answered. */
static bool directory_is_in_use(struct rmdir *r)
{
	if (!r->inventory.confirmed)
		rmdir_cannot_tell(r->conn);
	else if (r->inventory.count > 0)
		rmdir_refuse(r->conn, 409, "the directory is not empty");
	else
		return false;
	return true;
}

static enum outcome names_list(struct rmdir *r)
{
	const struct ask *ask = &r->conn->request.ask;

	if (ask->certainty == CERTAINTY_UNCONFIRMED)
		rmdir_cannot_tell(r->conn);
	else if (!record_is_live(&ask->entry))
		rmdir_refuse(r->conn, 404, "no such directory");
	else
		names_list_begin(r, VERSION_NONE, false);
	return WAIT;
}

static enum outcome names_list_again(struct rmdir *r)
{
	if (r->gate_stored)
		names_list_begin(r, r->commit.record.version, false);
	else
		rmdir_cannot_tell(r->conn);
	return WAIT;
}

/* A name that was never confirmed is passed over only by what every home tells. */
static enum outcome names_list_everywhere(struct rmdir *r)
{
	if (r->inventory.confirmed && r->inventory.count == 0)
		return GO_ON;
	names_list_begin(r, r->commit.record.version, true);
	return WAIT;
}

/* 3: the gate */

static void gate_commit_job(struct job *job)
{
	struct rmdir *r = CONTAINER_OF(job, struct rmdir, job);

	r->result = store_commit(r->conn->worker->httpd->store, &r->commit, &r->err);
}

static void gate_committed(struct job *job)
{
	struct rmdir *r = CONTAINER_OF(job, struct rmdir, job);
	struct conn *c = r->conn;

	rmdir_run(r);
	conn_resume(c);
}

static enum outcome gate_commit(struct rmdir *r)
{
	struct conn *c = r->conn;
	const struct ask *ask = &c->request.ask;

	if (directory_is_in_use(r))
		return WAIT;
	path_to_gate(&r->gate, buf_str(&c->request.path));
	r->commit = (struct commit)COMMIT_INIT;
	r->commit.path = buf_str(&r->gate);
	r->commit.flags = RECORD_DELETED;
	r->commit.above = version_later(version_later(ask->entry.version, ask->record.version),
					r->inventory.gate);
	if (r->commit.above.time < UINT64_MAX)
		r->commit.above.time++;
	r->commit.clock = ask->clock != 0 ? ask->clock : group_clock(c->worker->httpd->group);
	r->job = (struct job){ .work = gate_commit_job, .done = gate_committed,
			       .home = c->worker->loop, .key = path_hash(buf_str(&c->request.path)) };
	c->state = CONN_BUSY;
	pool_submit(c->worker->httpd->pool, &r->job);
	return WAIT;
}

static void gate_answered(struct call *call, struct frame *frame)
{
	struct rmdir *r = CONTAINER_OF(call, struct rmdir, call);
	struct conn *c = r->conn;
	struct store_answer answer;

	r->gate_stored = frame != NULL && frame->type == VERSION_TALK_STORED &&
			 store_answer_unpack(frame->body, &answer, NULL) == 0 && answer.confirmed;
	call_finish(call);
	rmdir_run(r);
	conn_resume(c);
}

static enum outcome gate_store(struct rmdir *r)
{
	struct worker *worker = r->conn->worker;
	struct store_ask ask = { .path = buf_str(&r->gate), .record = r->commit.record };
	struct buf body = BUF_INIT;

	if (r->result < 0) {
		answer_err(r->conn, &r->err);
		return WAIT;
	}
	r->call.answer = gate_answered;
	store_ask_pack(&body, &ask);
	call_start(worker->version, &r->call, VERSION_TALK_STORE, buf_str(&body),
		   worker->httpd->conf->timeouts.store_ms + VERSIOND_SLACK_MS);
	buf_clear(&body);
	return WAIT;
}

/* 5: the entry's end */

static enum outcome entry_end(struct rmdir *r)
{
	if (!directory_is_in_use(r))
		write_entry_end(r->conn->request.write, r->commit.record.version);
	return WAIT;
}

void rmdir_start(struct conn *c)
{
	struct rmdir *r = mem_new(1, sizeof *r);

	r->conn = c;
	r->call = (struct call)CALL_INIT;
	c->request.rmdir = r;
	rmdir_run(r);
}

void rmdir_free(struct rmdir *r)
{
	if (r == NULL)
		return;
	inventory_end(&r->inventory);
	call_finish(&r->call);
	buf_clear(&r->gate);
	free(r);
}
