/*
 * work_commit - a change reaches this node's disk, in the pool
 *
 *	stage	the bodies, while the group is asked
 *	commit	all is known: the client's conditions are judged under each
 *		path's lock
 */
#include "work_inside.h"

#include "conn.h"
#include "container.h"
#include "digest.h"
#include "group.h"

/* the body */

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

int work_complete_stage(struct work *work, struct item *item, struct err *err)
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

/* the version */

/* Under the path's lock, with what stands there. */
static int condition(const struct commit *commit, const struct store_entry *now, struct err *err)
{
	struct item *item = CONTAINER_OF((uintptr_t)commit, struct item, commit);
	const struct work *work = commit->data;
	struct registers here = work_registers(now), known = work_together(item, &here);
	struct record standing;

	/*
	 * Who deletes what is being deleted here just now must not be told that
	 * it is gone: others may still see it.  Once more does no harm.
	 */
	if (work->kind == WORK_DELETE && record_is_live(&item->theirs) && !record_is_live(&known.file))
		known.file = item->theirs;
	standing = work_standing(&known);
	if (work_judge_cond(work->conn, &standing, err) < 0 || work_judge_alone(work->conn, err) < 0)
		return -1;
	item->replaced = record_is_live(&standing);
	if (work->kind == WORK_MKDIR && record_is_live(&known.entry)) {
		item->existing = known.entry;
		return err_set(err, ERR_EXISTS, "the directory is there");
	}
	return work_judge_kind(item, work, &known, err);
}

/* Of the files of a form the answer has to say which one. */
static int name_item(const struct work *work, const struct item *item, struct err *err)
{
	struct buf target = BUF_INIT;
	struct err was = *err;

	if (work->count == 1)
		return -1;
	path_to_target(&target, buf_str(&item->path), false);
	err_set(err, was.kind, "%.*s: %s", STR_ARG(buf_str(&target)), err_reason(&was));
	buf_clear(&target);
	return -1;
}

static int commit_item(struct work *work, struct item *item, struct err *err)
{
	static const uint8_t flags[] = {
		[WORK_FILE] = 0,
		[WORK_DELETE] = RECORD_DELETED,
		[WORK_MKDIR] = RECORD_DIRECTORY,
		[WORK_RMDIR] = RECORD_DELETED | RECORD_DIRECTORY,
	};
	struct httpd *h = work->conn->worker->httpd;

	item->commit.path = buf_str(&item->path);
	item->commit.stage = item->stage;
	item->commit.flags = flags[work->kind] | (work->unconfirmed ? RECORD_BLIND : 0);
	item->commit.mtime = work->mtime;
	item->commit.type = str_of(item->type);
	item->commit.above = version_cmp(item->their_entry.version, item->theirs.version) > 0 ?
				     item->their_entry.version : item->theirs.version;
	item->commit.clock = item->clock;
	item->commit.ungrouped = !h->grouped;
	item->commit.outbox = h->outbox;
	item->commit.condition = condition;
	item->commit.data = work;
	if (h->group != NULL && item->clock == 0)
		item->commit.clock = group_clock(h->group);
	return store_commit(h->store, &item->commit, err) < 0 ? name_item(work, item, err) : 0;
}

static void commit_all(struct work *work)
{
	for (size_t i = 0; i < work->count && work->result == 0; i++)
		work->result = commit_item(work, &work->items[i], &work->err);
}

static void stage_all(struct work *work)
{
	for (size_t i = 0; i < work->count && work->stage_result == 0; i++)
		if (work->kind == WORK_FILE && !work->items[i].staged) {
			work->items[i].staged = true;
			work->stage_result = work_complete_stage(work, &work->items[i],
								 &work->stage_err);
		}
}

static void commit_job(struct job *job)
{
	struct work *work = CONTAINER_OF(job, struct work, job);

	stage_all(work);	/* in a group that was done meanwhile */
	work->result = work->stage_result;
	work->err = work->stage_err;
	commit_all(work);
	notices_disk(work->conn->worker->httpd);
}

static void committed(struct job *job)
{
	struct work *work = CONTAINER_OF(job, struct work, job);
	struct conn *c = work->conn;

	work_committed(c);
	conn_resume(c);
}

void work_commit(struct conn *c)
{
	struct work *work = c->request.work;

	work->job = (struct job){ .work = commit_job, .done = committed, .home = c->worker->loop,
				  .key = path_hash(buf_str(&work->items[0].path)) };
	c->state = CONN_BUSY;
	pool_submit(c->worker->httpd->pool, &work->job);
}

static void stage_job(struct job *job)
{
	stage_all(CONTAINER_OF(job, struct work, job));
}

static void staged(struct job *job)
{
	struct work *work = CONTAINER_OF(job, struct work, job);
	struct conn *c = work->conn;

	work->staging = false;
	work_ready(c);
	conn_resume(c);
}

void work_stage(struct conn *c)
{
	struct work *work = c->request.work;

	work->staging = true;
	work->job = (struct job){ .work = stage_job, .done = staged, .home = c->worker->loop };
	pool_submit(c->worker->httpd->pool, &work->job);
}
