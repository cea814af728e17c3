/*
 * pushed - a content that another node gives to this one, as a keeper
 *
 * Its version is told in the header, or in the trailer when it was chosen
 * meanwhile.  It is committed as it is; whatever does not fit leaves nothing
 * behind.
 */
#include "peer.h"

#include "answer.h"
#include "loop/conn.h"
#include "container.h"
#include "group.h"
#include "peer_http.h"
#include "upload.h"
#include "write.h"

static bool push_is_here(struct conn *c, const struct record *record)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	bool here = store_version(c->worker->httpd->store, buf_str(&c->request.path),
				  record->version, STORE_RECORD, &entry, NULL) == 0 &&
		    entry.content;

	store_entry_clear(&entry);
	return here;
}

static void pushed_answer(struct conn *c, int status)
{
	answer_begin(c, status);
	answer_end_text(c, (struct str)STR_INIT);
}

static int push_parse(struct str field, struct record *ret, struct str *ret_type, struct err *err)
{
	if (record_parse(field, ret, ret_type, err) < 0)
		return -1;
	return record_has_content(ret) ? 0 : err_set(err, ERR_INVALID, "it has no content");
}

/* Before the body: whether it is wanted at all. */
void pushed_start(struct conn *c)
{
	struct str field = head_get(&c->head, FIELD_COVEY_PUSH), type;
	struct record record;
	struct err err;

	if (store_fits(c->worker->httpd->store, 0, &err) < 0)
		answer_err(c, &err);
	else if (str_eq(field, STR(PEER_PUSH_LATER)))
		upload_pushed(c);
	else if (push_parse(field, &record, &type, &err) < 0)
		answer_error(c, 400, PEER_PUSH ": %s", err.text);
	else if (push_is_here(c, &record))
		pushed_answer(c, 200);
	else
		upload_pushed(c);
}

/* in the pool */

static int pushed_commit(struct write *w, struct write_item *item, struct err *err)
{
	struct httpd *h = w->worker->httpd;
	const struct record *record = &item->existing;
	struct layout layout;

	if (write_stage_item(w, item, err) < 0)
		return -1;
	if (stage_size(item->stage) != record->size ||
	    memcmp(stage_sha256(item->stage), record->sha256, SHA256_BYTES) != 0)
		return err_set(err, ERR_INVALID, "take %s: the body is not the record's content",
			       item->path.data);
	group_layout(h->group, &layout);
	item->commit.path = buf_str(&item->path);
	item->commit.stage = item->stage;
	item->commit.flags = record->flags;
	item->commit.mtime = record->mtime;
	item->commit.made = record->made;
	item->commit.type = str_of(item->type);
	item->commit.fixed = record->version;
	item->commit.keep = layout.keep_versions;
	return store_commit(h->store, &item->commit, err);
}

static void pushed_commit_job(struct job *job)
{
	struct write *w = CONTAINER_OF(job, struct write, job);

	w->result = pushed_commit(w, &w->items[0], &w->err);
}

static void pushed_committed(struct job *job)
{
	struct write *w = CONTAINER_OF(job, struct write, job);
	struct conn *c = w->conn;

	if (w->result < 0)
		answer_err(c, &w->err);
	else
		pushed_answer(c, w->items[0].commit.dropped ? 410 : 201);
	conn_resume(c);
}

/* on the loop */

void pushed_finish(struct conn *c)
{
	struct write *w = c->request.write;
	struct write_item *item = &w->items[0];
	struct str type, field = head_get(&c->head, FIELD_COVEY_PUSH);

	if (str_eq(field, STR(PEER_PUSH_LATER))) {
		if (peer_trailer_refused(c))
			return;
		field = body_trailer(&c->body, FIELD_COVEY_VERSION);
	}
	if (push_parse(field, &item->existing, &type, &w->err) < 0) {
		answer_error(c, 400, PEER_VERSION ": %s", w->err.text);
		return;
	}
	memcpy(item->type, type.s ? type.s : "", type.n);
	w->job = (struct job){ .work = pushed_commit_job, .done = pushed_committed,
			       .home = c->worker->loop, .key = path_hash(buf_str(&item->path)) };
	c->state = CONN_BUSY;
	pool_submit(c->worker->httpd->pool, &w->job);
}
