/* upload - bodies on their way in: PUT and POST, raw or as a form */
#include "upload_inside.h"

#include "answer.h"
#include "loop/conn.h"
#include "container.h"
#include "form.h"
#include "group.h"
#include "mem.h"
#include "peer.h"
#include "push.h"
#include "work.h"

#define CHUNK_BYTES (256u << 10)
#define PASS_BYTES (1u << 20)	/* a longer body is pushed on before it is whole */
#define FIRST_BYTES (16u << 10)		/* of a chunk whose body's length is not known */

void upload_free(struct upload *u)
{
	if (u == NULL)
		return;
	form_free(u->form);
	free(u->chunks[0].data);
	free(u->chunks[1].data);
	free(u);
}

static struct item *raw_item(struct upload *u)
{
	return &u->conn->request.work->items[0];
}

/* chunks to the disk */

static struct push *push_of(struct worker *w, const struct item *item)
{
	struct layout layout = LAYOUT_NONE;

	if (w->httpd->group != NULL)
		group_layout(w->httpd->group, &layout);
	return push_new(w, buf_str(&item->path), &layout, stage_fd(item->stage), NULL, 0,
			layout_copies_beside(&layout, store_node(w->httpd->store)));
}

/* What is on its way to this node goes on to a keeper at once. */
static void pass_on(struct upload *u)
{
	struct item *item;

	if (u->form != NULL || u->pushed || u->failed)
		return;
	item = raw_item(u);
	if (item->push == NULL && !u->passing && stage_size(item->stage) >= PASS_BYTES) {
		u->passing = true;
		item->push = push_of(u->conn->worker, item);
		if (item->push != NULL)
			push_early(item->push);
	}
	if (item->push != NULL)
		push_more(item->push, stage_size(item->stage));
}

static void job_done(struct job *job, struct upload *u)
{
	(void)job;
	if (--u->running > 0)
		return;
	u->chunks[!u->filling].len = 0;
	pass_on(u);
	conn_resume(u->conn);
}

static void write_work(struct job *job)
{
	struct upload *u = CONTAINER_OF(job, struct upload, write_job);
	struct chunk *chunk = &u->chunks[!u->filling];
	struct item *item = raw_item(u);

	if (stage_write(item->stage, chunk->data, chunk->len, &u->err) < 0)
		u->failed = true;
}

static void form_work(struct job *job)
{
	struct upload *u = CONTAINER_OF(job, struct upload, write_job);
	struct chunk *chunk = &u->chunks[!u->filling];

	if (form_add(u->form, (struct str){ chunk->data, chunk->len }, &u->err) < 0)
		u->failed = true;
}

static void write_done(struct job *job)
{
	job_done(job, CONTAINER_OF(job, struct upload, write_job));
}

static void hash_work(struct job *job)
{
	struct upload *u = CONTAINER_OF(job, struct upload, hash_job);
	struct chunk *chunk = &u->chunks[!u->filling];

	stage_hash(raw_item(u)->stage, chunk->data, chunk->len);
}

static void hash_done(struct job *job)
{
	job_done(job, CONTAINER_OF(job, struct upload, hash_job));
}

/* The chunk that was filled goes to the pool, the client fills the other. */
static void send_chunk(struct upload *u)
{
	struct worker *w = u->conn->worker;

	if (u->form == NULL && !u->begun &&
	    stage_begin(w->httpd->store, &raw_item(u)->stage, &u->err) < 0) {
		u->failed = true;
		return;
	}
	u->begun = true;
	u->filling = !u->filling;
	u->write_job = (struct job){ .work = u->form ? form_work : write_work,
				     .done = write_done,
				     .home = w->loop };
	u->hash_job = (struct job){ .work = hash_work, .done = hash_done, .home = w->loop };
	u->running = u->form ? 1 : 2;
	pool_submit(w->httpd->pool, &u->write_job);
	if (u->form == NULL)
		pool_submit(w->httpd->pool, &u->hash_job);
}

/* chunks from the client */

static void grow(struct upload *u, struct chunk *chunk)
{
	const struct head *head = &u->conn->head;
	size_t cap = chunk->cap ? 4 * chunk->cap : FIRST_BYTES;

	if (u->begun)
		cap = CHUNK_BYTES;
	else if (head->framing == FRAMING_LENGTH)
		cap = head->length < CHUNK_BYTES ? (size_t)head->length + 1 : CHUNK_BYTES;
	if (cap > CHUNK_BYTES)
		cap = CHUNK_BYTES;
	chunk->data = mem_resize(chunk->data, cap, 1);
	chunk->cap = cap;
}

bool upload_welcome(const struct conn *c)
{
	const struct upload *u = c->request.upload;

	return u != NULL && !c->body.done && !u->gone && !u->failed &&
	       u->chunks[u->filling].len < CHUNK_BYTES;
}

static void refuse(struct upload *u, int status, const char *why)
{
	u->gone = true;
	u->status = status;
	u->why = why;
}

/* The content among the bytes is moved together at `to`; what follows the body stays in *bytes. */
static void take(struct upload *u, struct str *bytes, char *to)
{
	struct chunk *chunk = &u->chunks[u->filling];
	struct refusal refusal = { .status = 400, .why = "the body is malformed" };
	struct str piece;
	int r;

	while ((r = body_next(&u->conn->body, bytes, &piece, &refusal)) > 0) {
		memmove(to, piece.s, piece.n);
		to += piece.n;
		chunk->len += piece.n;
	}
	if (r < 0)
		refuse(u, refusal.status, refusal.why);
}

/* Bytes that came with the head. */
static void take_early(struct upload *u, struct chunk *chunk)
{
	struct conn *c = u->conn;
	struct str early = conn_body_prefix(c), bytes = early;

	if (bytes.n > chunk->cap - chunk->len)
		bytes.n = chunk->cap - chunk->len;
	early = bytes;
	take(u, &bytes, chunk->data + chunk->len);
	conn_body_prefix_taken(c, early.n - bytes.n);
}

/* 1: some came; 0: none for now. */
static int take_more(struct upload *u, struct chunk *chunk)
{
	struct conn *c = u->conn;
	char *to = chunk->data + chunk->len;
	struct str bytes = { to, 0 };
	int r = conn_receive(c, to, chunk->cap - chunk->len, &bytes.n);

	if (r < 0)
		refuse(u, 0, NULL);
	if (r <= 0)
		return r == 0 ? 0 : 1;
	take(u, &bytes, to);
	if (bytes.n > 0)
		conn_put_back(c, bytes);
	return 1;
}

static bool receive(struct upload *u)
{
	struct conn *c = u->conn;

	while (upload_welcome(c)) {
		struct chunk *chunk = &u->chunks[u->filling];

		if (chunk->len == chunk->cap)
			grow(u, chunk);
		if (conn_body_prefix(c).n > 0)
			take_early(u, chunk);
		else if (take_more(u, chunk) == 0)
			return false;
	}
	return true;
}

/* ends */

static void fail(struct upload *u)
{
	struct conn *c = u->conn;

	if (u->failed)
		answer_err(c, &u->err);
	else if (u->status != 0)
		answer_error(c, u->status, "%s", u->why);
	else
		conn_abort(c);
}

static void finish(struct upload *u)
{
	struct conn *c = u->conn;
	struct work *work = c->request.work;
	struct chunk *last = &u->chunks[u->filling];

	if (u->whole != NULL) {
		u->whole(c, (struct str){ last->data, last->len });
		return;
	}
	/* A trailer may carry the digests too. */
	if (wanted_parse(&work->repr, body_trailer(&c->body, FIELD_REPR_DIGEST)) < 0 ||
	    wanted_parse(&work->content, body_trailer(&c->body, FIELD_CONTENT_DIGEST)) < 0) {
		answer_error(c, 400, "a digest in the trailer is malformed");
		return;
	}
	if (u->form == NULL && !u->begun) {
		struct buf *small = &raw_item(u)->small;

		*small = (struct buf){ .data = last->data, .len = last->len, .cap = last->cap };
		*last = (struct chunk){ .data = NULL };
	} else if (last->len > 0) {
		send_chunk(u);
		return;
	}
	if (u->pushed) {
		pushed_finish(c);
		return;
	}
	if (u->form != NULL && form_finish(u->form, work, &u->err) < 0) {
		answer_err(c, &u->err);
		return;
	}
	c->state = CONN_BUSY;
	work_run(c);
}

bool upload_step(struct conn *c)
{
	struct upload *u = c->request.upload;
	bool blocked = !receive(u);

	if (u->gone || u->failed || c->body.done) {
		if (u->running > 0)
			return false;
		c->has_body = !c->body.done;
		if (u->gone || u->failed)
			fail(u);
		else
			finish(u);
		return c->state != CONN_BODY;
	}
	if (blocked || u->running > 0)
		return false;
	send_chunk(u);
	return true;
}

void upload_stalled(struct conn *c)
{
	struct upload *u = c->request.upload;

	if (u->running == 0)
		refuse(u, 408, "the body stalled");
}
