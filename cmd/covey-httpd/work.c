/*
 * work - changes to the store on behalf of a request
 *
 * The group has been asked on the loop (work_ask.c).  In the pool: stage,
 * sync, compare digests, commit.  The client's conditions are judged under
 * the path's lock, by condition().
 */
#include "work_inside.h"

#include "answer.h"
#include "clock.h"
#include "conn.h"
#include "container.h"
#include "digest.h"
#include "fields.h"
#include "handlers.h"
#include "join.h"
#include "mem.h"
#include "memory.h"
#include "reply.h"

#include <unistd.h>

struct work *work_new(struct conn *c, enum work_kind kind)
{
	struct work *work = mem_new(1, sizeof *work);

	work->conn = c;
	work->kind = kind;
	work->ask = (struct ask)ASK_INIT;
	work->gather = (struct gather)GATHER_INIT;
	return work;
}

void work_free(struct work *work)
{
	if (work == NULL)
		return;
	ask_end(&work->ask);
	gather_end(&work->gather);
	for (size_t i = 0; i < work->count; i++) {
		stage_free(work->items[i].stage);
		buf_clear(&work->items[i].small);
		buf_clear(&work->items[i].path);
		if (work->items[i].copy >= 0)
			close(work->items[i].copy);
	}
	free(work->items);
	free(work);
}

struct item *work_add(struct work *work, struct str path)
{
	struct item *item;

	work->items = mem_resize(work->items, work->count + 1, sizeof *work->items);
	item = &work->items[work->count++];
	*item = (struct item){
		.path = BUF_INIT, .small = BUF_INIT, .copy = -1, .commit = COMMIT_INIT
	};
	buf_addstr(&item->path, path);
	return item;
}

/* what must hold */

int work_judge_cond(const struct conn *c, const struct record *newest, struct err *err)
{
	char text[ETAG_TEXT];
	struct cond_target target = { .exists = work_is_file(newest),
				      .etag = answer_etag(text, newest->version),
				      .modified = answer_modified(newest) };

	switch (cond_check(&c->request.cond, &target)) {
	case COND_MALFORMED:
		return err_set(err, ERR_INVALID, "If-Match or If-None-Match is not a list of entity tags");
	case COND_FAILED:
		if (!target.exists)
			return err_set(err, ERR_PRECONDITION, "nothing is there");
		return err_set(err, ERR_PRECONDITION, "the newest version is %s", text);
	case COND_NOT_MODIFIED:
	case COND_GO:
		break;
	}
	return 0;
}

int work_judge_kind(const struct work *work, const struct record *newest, bool directory,
		      struct err *err)
{
	directory = work_is_directory(newest) || (directory && !work_is_file(newest));
	switch (work->kind) {
	case WORK_FILE:
		if (directory)
			return err_set(err, ERR_CONFLICT,
				       "a directory stands there: put the file into it, with its name behind the slash");
		break;
	case WORK_DELETE:
		if (directory)
			return err_set(err, ERR_CONFLICT,
				       "a directory stands there: DELETE it with a slash at the end");
		if (!work_is_file(newest))
			return err_set(err, ERR_ABSENT, "no such file");
		break;
	case WORK_MKDIR:
		if (work_is_file(newest))
			return err_set(err, ERR_CONFLICT, "a file stands there");
		break;
	case WORK_RMDIR:
		if (!directory)
			return err_set(err, ERR_ABSENT, "no such directory");
		break;
	}
	return 0;
}

/* Under the path's lock, with what stands there. */
static int condition(const struct commit *commit, const struct store_entry *now, struct err *err)
{
	const struct item *item = CONTAINER_OF((uintptr_t)commit, struct item, commit);
	const struct work *work = commit->data;
	const struct record *newest = &now->record;

	if (version_cmp(item->theirs.version, newest->version) > 0)
		newest = &item->theirs;
	if (work_judge_cond(work->conn, newest, err) < 0)
		return -1;
	if (work->kind == WORK_MKDIR && work_is_directory(newest) && work_is_directory(&now->record))
		return err_set(err, ERR_EXISTS, "the directory is there");
	return work_judge_kind(work, newest, now->directory || item->their_directory, err);
}

int wanted_parse(struct wanted *wanted, struct str field)
{
	int r256 = field.s ? fields_digest_parse(field, wanted->sha256) : 0;
	int r512 = field.s ? fields_digest_parse_512(field, wanted->sha512) : 0;

	wanted->has_256 |= r256 > 0;
	wanted->has_512 |= r512 > 0;
	return r256 < 0 || r512 < 0 ? -1 : 0;
}

/* in the pool */

static int check_digest(const struct wanted *wanted, const struct item *item, const char *field,
			struct err *err)
{
	uint8_t sha512[SHA512_BYTES];

	if (wanted->has_256 &&
	    memcmp(wanted->sha256, stage_sha256(item->stage), SHA256_BYTES) != 0)
		return err_set(err, ERR_INVALID, "%s: the content that arrived has another sha-256",
			       field);
	if (!wanted->has_512)
		return 0;
	/* Asked for rarely: read again, where the other is made while the body arrives. */
	if (digest_file_512(stage_fd(item->stage), sha512) < 0)
		return err_sys(err, "read staged content");
	if (memcmp(wanted->sha512, sha512, SHA512_BYTES) != 0)
		return err_set(err, ERR_INVALID, "%s: the content that arrived has another sha-512",
			       field);
	return 0;
}

static int complete_stage(struct work *work, struct item *item, struct err *err)
{
	struct store *store = work->conn->worker->httpd->store;

	if (item->stage == NULL &&
	    (stage_begin(store, &item->stage, err) < 0 ||
	     (item->copy >= 0 ? stage_copy(item->stage, item->copy, err) :
				stage_add(item->stage, item->small.data, item->small.len, err)) < 0))
		return -1;
	if (stage_sync(item->stage, err) < 0 ||
	    check_digest(&work->repr, item, "Repr-Digest", err) < 0 ||
	    check_digest(&work->content, item, "Content-Digest", err) < 0)
		return -1;
	return 0;
}

/* Peers may have files in a directory that is empty here. */
static int check_empty(struct work *work, struct item *item, struct err *err)
{
	struct join_page page = { .deleted = false };
	struct join_rows rows = JOIN_ROWS_INIT;
	struct listing here = LISTING_INIT;
	bool empty;

	if (work->gather.count == 0)
		return 0;
	/* Deletions that are known here count against what peers still list. */
	store_list(work->conn->worker->httpd->store, buf_str(&item->path), (struct str)STR_INIT, 0,
		   true, &here, NULL);
	join_listing(&rows, &here, &work->gather, &page);
	empty = rows.count == 0;
	join_rows_clear(&rows);
	listing_clear(&here);
	return empty ? 0 : err_set(err, ERR_EXISTS, "the directory is not empty");
}

static int commit_item(struct work *work, struct item *item, struct err *err)
{
	static const uint8_t flags[] = {
		[WORK_FILE] = 0,
		[WORK_DELETE] = RECORD_DELETED,
		[WORK_MKDIR] = RECORD_DIRECTORY,
		[WORK_RMDIR] = RECORD_DELETED | RECORD_DIRECTORY,
	};

	if (work->kind == WORK_FILE && complete_stage(work, item, err) < 0)
		return -1;
	if (work->kind == WORK_RMDIR && check_empty(work, item, err) < 0)
		return -1;
	item->commit.path = buf_str(&item->path);
	item->commit.stage = item->stage;
	item->commit.flags = flags[work->kind];
	item->commit.mtime = work->mtime;
	item->commit.type = str_of(item->type);
	item->commit.above = item->theirs.version;
	item->commit.condition = condition;
	item->commit.data = work;
	return store_commit(work->conn->worker->httpd->store, &item->commit, err);
}

static void commit_all(struct job *job)
{
	struct work *work = CONTAINER_OF(job, struct work, job);

	for (size_t i = 0; i < work->count && work->result == 0; i++)
		work->result = commit_item(work, &work->items[i], &work->err);
}

/* the answer */

static bool replaced_all(const struct work *work)
{
	for (size_t i = 0; i < work->count; i++)
		if (!record_is_live(&work->items[i].commit.before))
			return false;
	return true;
}

static int status_of(const struct work *work)
{
	if (work->unconfirmed)
		return 202;
	if (work->kind == WORK_DELETE || work->kind == WORK_RMDIR || replaced_all(work))
		return 204;
	return 201;
}

static void remember(struct work *work)
{
	struct httpd *h = work->conn->worker->httpd;

	for (size_t i = 0; i < work->count && h->grouped && work->answered == work->asked; i++)
		memory_note(h->memory, buf_str(&work->items[i].path),
			    work->items[i].commit.record.version, clock_mono_ms());
}

/* Back to the page that the form stood on: an index, or a history. */
static void answer_form(struct conn *c, struct str path)
{
	if (!version_is_none(c->request.query.restore))
		answer_redirect(c, 303, path, false, STR("versions"));
	else
		answer_redirect(c, 303, c->request.slash ? path : path_parent(path), true,
				(struct str)STR_INIT);
}

static void answer_work(struct conn *c, int status)
{
	struct work *work = c->request.work;
	char etag[ETAG_TEXT];

	if (work->form) {
		answer_form(c, buf_str(&c->request.path));
		return;
	}
	answer_begin(c, status);
	if (work->count == 1 && work->result == 0)
		reply_field(&c->output.text, "ETag",
			    answer_etag(etag, work->items[0].commit.record.version));
	answer_version_state(c);
	if (status == 204)
		answer_end(c);
	else
		answer_end_text(c, (struct str)STR_INIT);
}

static void committed(struct job *job)
{
	struct work *work = CONTAINER_OF(job, struct work, job);
	struct conn *c = work->conn;

	c->request.ask.confirmed = !work->unconfirmed;
	c->request.ask.asked = work->asked;
	c->request.ask.answered = work->answered;
	if (work->result == 0) {
		remember(work);
		answer_work(c, status_of(work));
	} else if (work->kind == WORK_MKDIR && work->err.kind == ERR_EXISTS) {
		answer_work(c, work->unconfirmed ? 202 : 204);
	} else {
		answer_err(c, &work->err);
	}
	conn_resume(c);
}

/* the beginning */

/* True: the peers are asked what they have in the directory first. */
static bool gather(struct conn *c)
{
	struct work *work = c->request.work;
	struct sync_list list = { .path = buf_str(&c->request.path), .deleted = true };
	struct buf body = BUF_INIT;

	if (work->kind != WORK_RMDIR || work->ask.asked == 0 || work->gather.done != NULL)
		return false;
	sync_list_pack(&body, &list);
	gather_start(&work->gather, c, &work->ask, SYNC_LIST, buf_str(&body), work_submit);
	buf_clear(&body);
	return true;
}

void work_submit(struct conn *c)
{
	struct work *work = c->request.work;

	if (gather(c))
		return;
	work->job = (struct job){ .work = commit_all, .done = committed, .home = c->worker->loop };
	c->state = CONN_BUSY;
	pool_submit(c->worker->httpd->pool, &work->job);
}

/* requests without a body */

static void start_simple(struct conn *c, enum work_kind kind)
{
	if (c->has_body) {
		answer_error(c, 400, "this request takes no body");
		return;
	}
	c->request.work = work_new(c, kind);
	work_add(c->request.work, buf_str(&c->request.path));
	work_run(c);
}

void delete_start(struct conn *c)
{
	start_simple(c, WORK_DELETE);
}

void directory_start(struct conn *c)
{
	if (c->request.path.len == 0)
		answer_error(c, 409, "the root directory is always there");
	else
		start_simple(c, c->head.method == METHOD_PUT ? WORK_MKDIR : WORK_RMDIR);
}
