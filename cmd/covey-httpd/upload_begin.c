/* upload_begin - PUT and POST, before their body: whether it can be one, and what becomes of it */
#include "upload_inside.h"

#include "answer.h"
#include "conn.h"
#include "fields.h"
#include "form.h"
#include "handlers.h"
#include "mem.h"
#include "range.h"
#include "reply.h"
#include "work.h"

#define EARLY_BYTES (1u << 20)	/* the homes are asked before a larger body, when the client waits for that */

/* Why this request cannot be an upload, or NULL. */
static const char *malformed(struct conn *c, int *status)
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

static int digest_field(struct conn *c, enum field field, struct wanted *wanted)
{
	struct buf scratch = BUF_INIT;
	int r = wanted_parse(wanted, head_list(&c->head, field, &scratch));

	buf_clear(&scratch);
	return r;
}

/* The type that is worth keeping: one that the name does not suggest. */
static void take_type(struct conn *c, struct item *item)
{
	struct str type = head_get(&c->head, FIELD_CONTENT_TYPE);

	upload_type(c->worker->httpd->mime, type, buf_str(&item->path), item->type);
}

void upload_type(const struct mime *mime, struct str type, struct str path,
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

static void read_body_of(struct conn *c, uint64_t max)
{
	struct body *body = &c->body;
	struct refusal refusal;

	body_clear(body);
	*body = (struct body)BODY_INIT;
	if (body_start(body, &c->head, max, &refusal) < 0) {
		answer_error(c, refusal.status, "%s", refusal.why);
		return;
	}
	if (c->head.expect_continue && conn_early(c).n == 0 && !body->done)
		buf_adds(&c->output.text, REPLY_CONTINUE);
	conn_read_body(c);
}

/* A body whose length is told, and that the disk has no room for, is not asked for. */
static bool fits(struct conn *c)
{
	struct err err;

	if (c->head.framing != FRAMING_LENGTH ||
	    store_fits(c->worker->httpd->store, c->head.length, &err) == 0)
		return true;
	answer_err(c, &err);
	return false;
}

static void read_body(struct conn *c)
{
	if (fits(c))
		read_body_of(c, c->worker->httpd->conf->limits.max_body);
}

static struct upload *upload_new(struct conn *c)
{
	struct upload *u = c->request.upload = mem_new(1, sizeof *u);

	u->conn = c;
	return u;
}

void upload_pushed(struct conn *c)
{
	upload_new(c)->pushed = true;
	c->request.work = work_new(c, WORK_FILE);
	work_add(c->request.work, buf_str(&c->request.path));
	if (fits(c))
		read_body_of(c, 0);	/* another node has accepted it */
}

void upload_whole(struct conn *c, uint64_t max, void (*whole)(struct conn *, struct str))
{
	upload_new(c)->whole = whole;
	if (c->head.framing == FRAMING_NONE)
		answer_error(c, 411, "say Content-Length, or use Transfer-Encoding: chunked");
	else
		read_body_of(c, max);
}

/* -1: answered. */
static int prepare_raw(struct conn *c, struct work *work)
{
	struct item *item = work_add(work, buf_str(&c->request.path));
	struct str mtime = head_get(&c->head, FIELD_X_OC_MTIME);
	uint64_t seconds = 0;

	take_type(c, item);
	if (digest_field(c, FIELD_REPR_DIGEST, &work->repr) < 0 ||
	    digest_field(c, FIELD_CONTENT_DIGEST, &work->content) < 0) {
		answer_error(c, 400, "Repr-Digest or Content-Digest is malformed");
		return -1;
	}
	if (mtime.s != NULL && str_u64(mtime, UINT32_MAX, &seconds) == 0)
		work->mtime = (uint32_t)seconds;
	return 0;
}

static bool is_form(const struct conn *c)
{
	return c->head.method == METHOD_POST &&
	       fields_type_is(head_get(&c->head, FIELD_CONTENT_TYPE), STR("multipart/form-data"));
}

/* Whether sending the body in vain costs a client more than asking the homes once more does. */
static bool is_large(const struct conn *c)
{
	return c->head.framing != FRAMING_LENGTH || c->head.length > EARLY_BYTES;
}

void upload_start(struct conn *c)
{
	int status;
	const char *why = malformed(c, &status);
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
	c->request.work = work_new(c, WORK_FILE);
	if (form) {
		u->form = form_new(c, &u->err);
		if (u->form == NULL) {
			answer_err(c, &u->err);
			return;
		}
	} else if (prepare_raw(c, c->request.work) < 0) {
		return;
	}
	if (cond_is_update(&c->request.cond) || (c->head.expect_continue && is_large(c)))
		work_welcome(c, read_body);
	else if (!c->head.expect_continue || work_is_welcome_here(c))
		read_body(c);
}
