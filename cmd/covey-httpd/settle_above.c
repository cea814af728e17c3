/*
 * settle_above - the directories above a write, known to their homes
 *
 *	NEWEST	of the directory; a file there is a conflict
 *	commit	a record above what is there, when that is none or dead
 *	STORE	the live one, and go on above it when that is not known either
 */
#include "settle_inside.h"

#include "container.h"
#include "group.h"
#include "httpd.h"

#define SLACK_MS 250

static void ask(struct above *);

void above_init(struct above *a, struct settle *s)
{
	a->settle = s;
	a->call = (struct call)CALL_INIT;
}

void above_clear(struct above *a)
{
	call_finish(&a->call);
}

static void fail(struct above *a)
{
	a->failed = true;
	settle_changed(a->settle);
}

/* The next one up, or the end. */
static void go_up(struct above *a, bool known)
{
	a->path = path_parent(a->path);
	if (known || a->path.n == 0) {
		a->done = true;
		settle_changed(a->settle);
	} else {
		ask(a);
	}
}

static void stored(struct call *call, struct frame *frame)
{
	struct above *a = CONTAINER_OF(call, struct above, call);
	struct store_answer answer;
	bool told = frame != NULL && frame->type == VERSION_TALK_STORED &&
		    store_answer_unpack(frame->body, &answer, NULL) == 0;

	call_finish(call);
	if (told && answer.other)
		a->other = true;
	if (!told || answer.other || !answer.settled) {
		fail(a);
		return;
	}
	if (answer.all)
		outbox_finish(a->settle->worker->httpd->outbox, a->commit.mark);
	go_up(a, answer.known);
}

static void send_to(struct above *a, enum version_talk type, struct buf *body, uint64_t timeout_ms,
		 void (*answer)(struct call *, struct frame *))
{
	a->call.answer = answer;
	call_start(a->settle->worker->version, &a->call, (uint8_t)type, buf_str(body),
		   timeout_ms + SLACK_MS);
	buf_clear(body);
}

static void store(struct above *a)
{
	struct store_ask question = { .path = a->path, .record = a->record };
	struct buf body = BUF_INIT;

	store_ask_pack(&body, &question);
	send_to(a, VERSION_TALK_STORE, &body, a->settle->worker->httpd->conf->timeouts.store_ms,
	     stored);
}

/* in the pool */

/* Somebody else may have made it meanwhile. */
static int is_needed(const struct commit *commit, const struct store_entry *now, struct err *err)
{
	struct above *a = commit->data;

	if (store_stands(now) == STANDS_FILE && version_cmp(now->record.version, commit->above) > 0)
		return err_set(err, ERR_CONFLICT, "a file stands where a directory is needed");
	if (!now->directory || version_cmp(now->entry.version, commit->above) <= 0)
		return 0;
	a->record = now->entry;
	return err_set(err, ERR_EXISTS, "the directory is there");
}

static void commit_work(struct job *job)
{
	struct above *a = CONTAINER_OF(job, struct above, job);

	a->result = store_commit(a->settle->worker->httpd->store, &a->commit, &a->err);
	if (a->result == 0)
		a->record = a->commit.record;
}

static void committed(struct job *job)
{
	struct above *a = CONTAINER_OF(job, struct above, job);

	a->running = false;
	a->other = a->result < 0 && a->err.kind == ERR_CONFLICT;
	if (a->result == 0 || a->err.kind == ERR_EXISTS)
		store(a);
	else
		fail(a);
}

static void commit(struct above *a, const struct newest_answer *answer)
{
	struct httpd *h = a->settle->worker->httpd;

	a->commit = (struct commit)COMMIT_INIT;
	a->commit.path = a->path;
	a->commit.flags = RECORD_DIRECTORY;
	a->commit.above = answer->record.version;
	a->commit.clock = answer->clock;
	a->commit.outbox = h->outbox;
	a->commit.condition = is_needed;
	a->commit.data = a;
	a->running = true;
	a->job = (struct job){ .work = commit_work, .done = committed,
			       .home = a->settle->worker->loop };
	pool_submit(h->pool, &a->job);
}

/* on the loop */

static void asked(struct call *call, struct frame *frame)
{
	struct above *a = CONTAINER_OF(call, struct above, call);
	struct newest_answer answer;
	bool told = frame != NULL && frame->type == VERSION_TALK_ANSWER &&
		    newest_answer_unpack(frame->body, &answer, NULL) == 0;

	call_finish(call);
	if (!told || answer.standing == STANDING_UNCONFIRMED) {
		fail(a);
	} else if (!record_is_live(&answer.record)) {
		commit(a, &answer);
	} else if (answer.record.flags & RECORD_DIRECTORY) {
		a->record = answer.record;
		store(a);
	} else {
		a->other = true;
		fail(a);
	}
}

static void ask(struct above *a)
{
	struct newest_ask question = { .path = a->path, .purpose = NEWEST_WRITE };
	struct buf body = BUF_INIT;

	a->commit = (struct commit)COMMIT_INIT;	/* the mark was of the one below */
	newest_ask_pack(&body, &question);
	send_to(a, VERSION_TALK_NEWEST, &body, a->settle->worker->httpd->conf->timeouts.check_ms,
	     asked);
}

void above_start(struct above *a)
{
	if (a->wanted)
		return;
	a->wanted = true;
	a->path = path_parent(buf_str(&a->settle->path));
	if (a->path.n == 0)
		a->done = true;
	else
		ask(a);
}
