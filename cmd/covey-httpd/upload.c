/*
 * upload - bodies on their way in: PUT and POST, raw or as a form
 *
 * First whether the request can be one at all and what its head says of the
 * body, then the body as it comes; write.c has what becomes of it.
 */
#include "upload.h"

#include "answer.h"
#include "loop/conn.h"
#include "container.h"
#include "fields.h"
#include "handlers.h"
#include "mem.h"
#include "multipart.h"
#include "range.h"
#include "reply.h"
#include "write.h"

#define CHUNK_BYTES (256u << 10)
#define FIRST_BYTES (16u << 10)		/* of a chunk whose body's length is not known */
#define FILES_MAX 1000			/* in one form */

struct chunk {
	char *data;			/* owned */
	size_t len, cap;
};

struct upload {
	struct conn *conn;
	bool is_form;			/* multipart/form-data; else a raw body */
	struct multipart multipart;
	bool in_file;			/* the current part is a file: its content counts */
	void (*pushed)(struct conn *);	/* takes what another node pushed; or NULL */
	void (*whole)(struct conn *, struct str);	/* wants it whole, in memory; or NULL */
	struct chunk chunks[2];
	unsigned filling;		/* which one the client fills */
	unsigned running;		/* jobs that have the other one */
	bool begun;			/* some of the body went to the disk: the rest must too */
	bool gone;			/* the client left, or its body is no body */
	int status;			/* what to answer then; 0: nothing */
	const char *why;
	bool failed;			/* a job did; err says why */
	struct err err;
	struct job write_job, hash_job;
};

static struct upload *upload_new(struct conn *c)
{
	struct upload *u = c->request.upload = mem_new(1, sizeof *u);

	u->conn = c;
	u->multipart = (struct multipart)MULTIPART_INIT;
	return u;
}

void upload_free(struct upload *u)
{
	if (u == NULL)
		return;
	multipart_clear(&u->multipart);
	free(u->chunks[0].data);
	free(u->chunks[1].data);
	free(u);
}

static struct write_item *raw_item(struct upload *u)
{
	return &u->conn->request.write->items[0];
}

/* The content type that is worth keeping of the one a client named, or "". */
static void upload_type(const struct mime *mime, struct str type, struct str path,
			char to[RECORD_TYPE_MAX + 1])
{
	to[0] = '\0';
	if (type.s == NULL || !fields_type_valid(type) || type.n > RECORD_TYPE_MAX ||
	    fields_type_is(type, STR("application/x-www-form-urlencoded")) ||
	    str_eq_nocase(type, mime_of(mime, path)))
		return;
	memcpy(to, type.s, type.n);
	to[type.n] = '\0';
}

/* a form: each of its files is an item of the write, which starts when all of it has arrived */

static int form_refused(const struct refusal *refusal, struct err *err)
{
	enum err_kind kind = refusal->status == 413 || refusal->status == 431 ? ERR_TOO_LARGE :
										ERR_INVALID;

	return err_set(err, kind, "read form: %s", refusal->why);
}

static int form_begin(struct upload *u, struct err *err)
{
	struct conn *c = u->conn;
	struct refusal refusal;

	u->is_form = true;
	c->request.write->form = answer_wants_page(c);
	if (multipart_start(&u->multipart, head_get(&c->head, FIELD_CONTENT_TYPE), &refusal) < 0)
		return form_refused(&refusal, err);
	return 0;
}

/* It goes to the request's path or, if that is a directory, below it under its own name. */
static int form_begin_file(struct upload *u, struct err *err)
{
	const struct httpd *h = u->conn->worker->httpd;
	const struct request *r = &u->conn->request;
	struct write_item *item;
	struct buf path = BUF_INIT;

	if (r->write->count == FILES_MAX)
		return err_set(err, ERR_TOO_LARGE, "read form: more than %d files", FILES_MAX);
	if (r->write->count > 0 && !r->slash)
		return err_set(err, ERR_INVALID,
			       "read form: several files want a directory, with a slash at its end");
	if (r->slash)
		path_join(&path, buf_str(&r->path), buf_str(&u->multipart.filename));
	else
		buf_addstr(&path, buf_str(&r->path));
	item = write_add(r->write, buf_str(&path));
	buf_clear(&path);
	if (path_check(buf_str(&item->path), err) < 0)
		return -1;
	upload_type(h->mime, buf_str(&u->multipart.type), buf_str(&item->path), item->type);
	return stage_begin(h->store, &item->stage, err);
}

/* More of the body.  Blocks. */
static int form_add(struct upload *u, struct str bytes, struct err *err)
{
	struct multipart *m = &u->multipart;
	struct write *w = u->conn->request.write;
	struct refusal refusal;
	struct str piece;

	for (;;) {
		switch (multipart_next(m, &bytes, &piece, &refusal)) {
		case MULTIPART_MORE:
			return 0;
		case MULTIPART_REFUSED:
			return form_refused(&refusal, err);
		case MULTIPART_PART:
			u->in_file = m->has_filename && m->filename.len > 0;
			if (u->in_file && form_begin_file(u, err) < 0)
				return -1;
			break;
		case MULTIPART_CONTENT:
			if (u->in_file && stage_add(w->items[w->count - 1].stage, piece.s, piece.n,
						    err) < 0)
				return -1;
			break;
		case MULTIPART_PART_END:
			u->in_file = false;
			break;
		}
	}
}

static int form_finish(const struct upload *u, struct err *err)
{
	if (!u->multipart.done)
		return err_set(err, ERR_INVALID, "read form: it ends before its last boundary");
	if (u->conn->request.write->count == 0)
		return err_set(err, ERR_INVALID, "read form: there is no file in it");
	return 0;
}

/* chunks to the disk */

static void chunk_done(struct job *job, struct upload *u)
{
	(void)job;
	if (--u->running > 0)
		return;
	u->chunks[!u->filling].len = 0;
	if (!u->is_form && u->pushed == NULL && !u->failed)
		write_grown(u->conn->request.write);
	conn_resume(u->conn);
}

static void chunk_write(struct job *job)
{
	struct upload *u = CONTAINER_OF(job, struct upload, write_job);
	struct chunk *chunk = &u->chunks[!u->filling];
	struct write_item *item = raw_item(u);

	if (stage_write(item->stage, chunk->data, chunk->len, &u->err) < 0)
		u->failed = true;
}

static void chunk_add_to_form(struct job *job)
{
	struct upload *u = CONTAINER_OF(job, struct upload, write_job);
	struct chunk *chunk = &u->chunks[!u->filling];

	if (form_add(u, (struct str){ chunk->data, chunk->len }, &u->err) < 0)
		u->failed = true;
}

static void chunk_written(struct job *job)
{
	chunk_done(job, CONTAINER_OF(job, struct upload, write_job));
}

static void chunk_hash(struct job *job)
{
	struct upload *u = CONTAINER_OF(job, struct upload, hash_job);
	struct chunk *chunk = &u->chunks[!u->filling];

	stage_hash(raw_item(u)->stage, chunk->data, chunk->len);
}

static void chunk_hashed(struct job *job)
{
	chunk_done(job, CONTAINER_OF(job, struct upload, hash_job));
}

/* The chunk that was filled goes to the pool, the client fills the other. */
static void chunk_submit(struct upload *u)
{
	struct worker *w = u->conn->worker;

	if (!u->is_form && !u->begun &&
	    stage_begin(w->httpd->store, &raw_item(u)->stage, &u->err) < 0) {
		u->failed = true;
		return;
	}
	u->begun = true;
	u->filling = !u->filling;
	u->write_job = (struct job){ .work = u->is_form ? chunk_add_to_form : chunk_write,
				     .done = chunk_written,
				     .home = w->loop };
	u->hash_job = (struct job){ .work = chunk_hash, .done = chunk_hashed, .home = w->loop };
	u->running = u->is_form ? 1 : 2;
	pool_submit(w->httpd->pool, &u->write_job);
	if (!u->is_form)
		pool_submit(w->httpd->pool, &u->hash_job);
}

/* chunks from the client */

static void chunk_grow(struct upload *u, struct chunk *chunk)
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

static void upload_refuse(struct upload *u, int status, const char *why)
{
	u->gone = true;
	u->status = status;
	u->why = why;
}

/* The content among the bytes is moved together at `to`; what follows the body stays in *bytes. */
static void chunk_take(struct upload *u, struct str *bytes, char *to)
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
		upload_refuse(u, refusal.status, refusal.why);
}

/* Bytes that came with the head. */
static void chunk_take_prefix(struct upload *u, struct chunk *chunk)
{
	struct conn *c = u->conn;
	struct str prefix = conn_body_prefix(c), bytes;

	if (prefix.n > chunk->cap - chunk->len)
		prefix.n = chunk->cap - chunk->len;
	bytes = prefix;
	chunk_take(u, &bytes, chunk->data + chunk->len);
	conn_body_prefix_taken(c, prefix.n - bytes.n);
}

/* 1: some came; 0: none for now. */
static int chunk_receive(struct upload *u, struct chunk *chunk)
{
	struct conn *c = u->conn;
	char *to = chunk->data + chunk->len;
	struct str bytes = { to, 0 };
	int r = conn_receive(c, to, chunk->cap - chunk->len, &bytes.n);

	if (r < 0)
		upload_refuse(u, 0, NULL);
	if (r <= 0)
		return r == 0 ? 0 : 1;
	chunk_take(u, &bytes, to);
	if (bytes.n > 0)
		conn_put_back(c, bytes);
	return 1;
}

static bool chunks_fill(struct upload *u)
{
	struct conn *c = u->conn;

	while (upload_welcome(c)) {
		struct chunk *chunk = &u->chunks[u->filling];

		if (chunk->len == chunk->cap)
			chunk_grow(u, chunk);
		if (conn_body_prefix(c).n > 0)
			chunk_take_prefix(u, chunk);
		else if (chunk_receive(u, chunk) == 0)
			return false;
	}
	return true;
}

/* the end of the body */

static void upload_answer_failure(struct upload *u)
{
	struct conn *c = u->conn;

	if (u->failed)
		answer_err(c, &u->err);
	else if (u->status != 0)
		answer_error(c, u->status, "%s", u->why);
	else
		conn_abort(c);
}

/* Adds what the field says; -1: it is malformed. */
static int digests_parse(struct body_digests *digests, struct str field)
{
	int r256 = field.s ? fields_digest_parse(field, digests->sha256) : 0;
	int r512 = field.s ? fields_digest_parse_512(field, digests->sha512) : 0;

	digests->has_256 |= r256 > 0;
	digests->has_512 |= r512 > 0;
	return r256 < 0 || r512 < 0 ? -1 : 0;
}

static void upload_finish(struct upload *u)
{
	struct conn *c = u->conn;
	struct write *w = c->request.write;
	struct chunk *last = &u->chunks[u->filling];

	if (u->whole != NULL) {
		u->whole(c, (struct str){ last->data, last->len });
		return;
	}
	/* A trailer may carry the digests too. */
	if (digests_parse(&w->repr, body_trailer(&c->body, FIELD_REPR_DIGEST)) < 0 ||
	    digests_parse(&w->content, body_trailer(&c->body, FIELD_CONTENT_DIGEST)) < 0) {
		answer_error(c, 400, "a digest in the trailer is malformed");
		return;
	}
	if (!u->is_form && !u->begun) {
		struct buf *small = &raw_item(u)->small;

		*small = (struct buf){ .data = last->data, .len = last->len, .cap = last->cap };
		*last = (struct chunk){ .data = NULL };
	} else if (last->len > 0) {
		chunk_submit(u);
		return;
	}
	if (u->pushed != NULL)
		u->pushed(c);
	else if (u->is_form && form_finish(u, &u->err) < 0)
		answer_err(c, &u->err);
	else
		write_start(w);
}

/* what conn.c asks for */

bool upload_step(struct conn *c)
{
	struct upload *u = c->request.upload;
	bool blocked = !chunks_fill(u);

	if (u->gone || u->failed || c->body.done) {
		if (u->running > 0)
			return false;
		c->has_body = !c->body.done;
		if (u->gone || u->failed)
			upload_answer_failure(u);
		else
			upload_finish(u);
		return c->state != CONN_BODY;
	}
	if (blocked || u->running > 0)
		return false;
	chunk_submit(u);
	return true;
}

void upload_stalled(struct conn *c)
{
	struct upload *u = c->request.upload;

	if (u->running == 0)
		upload_refuse(u, 408, "the body stalled");
}

/* before the body */

/* max: bytes; 0: no limit. */
static void upload_begin(struct conn *c, uint64_t max)
{
	struct body *body = &c->body;
	struct refusal refusal;

	body_clear(body);
	*body = (struct body)BODY_INIT;
	if (body_start(body, &c->head, max, &refusal) < 0) {
		answer_error(c, refusal.status, "%s", refusal.why);
		return;
	}
	if (c->head.expect_continue && conn_body_prefix(c).n == 0 && !body->done)
		buf_adds(&c->output.text, REPLY_CONTINUE);
	conn_read_body(c);
}

/* A body whose length is told, and that the disk has no room for, is not asked for. */
static void upload_begin_if_it_fits(struct conn *c, uint64_t max)
{
	struct err err;

	if (c->head.framing == FRAMING_LENGTH &&
	    store_fits(c->worker->httpd->store, c->head.length, &err) < 0)
		answer_err(c, &err);
	else
		upload_begin(c, max);
}

void upload_receive(struct conn *c)
{
	upload_begin_if_it_fits(c, c->worker->httpd->conf->limits.max_body);
}

void upload_pushed(struct conn *c, void (*pushed)(struct conn *))
{
	upload_new(c)->pushed = pushed;
	write_add(write_new(c, WRITE_FILE), buf_str(&c->request.path));
	upload_begin_if_it_fits(c, 0);	/* another node has accepted it */
}

void upload_whole(struct conn *c, uint64_t max, void (*whole)(struct conn *, struct str))
{
	upload_new(c)->whole = whole;
	if (c->head.framing == FRAMING_NONE)
		answer_error(c, 411, "say Content-Length, or use Transfer-Encoding: chunked");
	else
		upload_begin(c, max);
}

/* Why this request cannot be an upload, or NULL. */
static const char *upload_malformed(struct conn *c, int *status)
{
	struct str range = head_get(&c->head, FIELD_CONTENT_RANGE);
	struct str encoding = head_get(&c->head, FIELD_CONTENT_ENCODING);
	uint64_t size;

	*status = 400;
	if (range.s != NULL && (range_upload(range, &size) < 0 ||
				c->head.framing != FRAMING_LENGTH || size != c->head.length))
		return "Content-Range: parts of a file cannot be uploaded";
	if (encoding.n > 0 && !str_eq_nocase(encoding, STR("identity"))) {
		*status = 415;
		return "Content-Encoding: send the content as it is";
	}
	*status = 411;
	if (c->head.framing == FRAMING_NONE)
		return "say Content-Length, or use Transfer-Encoding: chunked";
	return NULL;
}

/* What the head says of a raw body.  -1: answered. */
static int raw_begin(struct conn *c, struct write *w)
{
	struct write_item *item = write_add(w, buf_str(&c->request.path));
	struct str mtime = head_get(&c->head, FIELD_X_OC_MTIME);
	struct buf scratch = BUF_INIT;
	uint64_t seconds = 0;
	int malformed_digest;

	upload_type(c->worker->httpd->mime, head_get(&c->head, FIELD_CONTENT_TYPE),
		    buf_str(&item->path), item->type);
	if (mtime.s != NULL && str_u64(mtime, UINT32_MAX, &seconds) == 0)
		w->mtime = (uint32_t)seconds;
	malformed_digest = digests_parse(&w->repr, head_list(&c->head, FIELD_REPR_DIGEST, &scratch));
	buf_reset(&scratch);
	malformed_digest |= digests_parse(&w->content,
					  head_list(&c->head, FIELD_CONTENT_DIGEST, &scratch));
	buf_clear(&scratch);
	if (malformed_digest < 0)
		answer_error(c, 400, "Repr-Digest or Content-Digest is malformed");
	return malformed_digest;
}

static bool is_form(const struct conn *c)
{
	return c->head.method == METHOD_POST &&
	       fields_type_is(head_get(&c->head, FIELD_CONTENT_TYPE), STR("multipart/form-data"));
}

void upload_start(struct conn *c)
{
	int status;
	const char *why = upload_malformed(c, &status);
	bool form = is_form(c);
	struct upload *u;

	if (why != NULL) {
		answer_error(c, status, "%s", why);
		return;
	}
	if (!form && c->request.slash) {
		answer_error(c, 400, "POST to a directory wants multipart/form-data (curl -F file=@FILE)");
		return;
	}
	u = upload_new(c);
	write_new(c, WRITE_FILE);
	if (form && form_begin(u, &u->err) < 0) {
		answer_err(c, &u->err);
		return;
	}
	if (!form && raw_begin(c, c->request.write) < 0)
		return;
	write_upload(c->request.write);
}
