/* request - one request: what it asks for, and what was found out about it */
#include "request.h"

#include "answer.h"
#include "loop/conn.h"
#include "fields.h"
#include "handlers.h"
#include "peer.h"
#include "pull.h"
#include "reply.h"
#include "rmdir.h"
#include "upload.h"
#include "write.h"

#define ALLOWED "GET, HEAD, PUT, POST, DELETE, OPTIONS"
#define SERVICE "/.covey/"

void request_end(struct conn *c)
{
	struct request *r = &c->request;

	ask_end(&r->ask);
	pull_free(r->pull);
	page_free(r->page);
	get_free(r->get);
	msg_free(r->msg);
	index_free(r->index);
	rmdir_free(r->rmdir);
	write_end(r->write);
	upload_free(r->upload);
	store_entry_clear(&r->entry);
	query_clear(&r->query);
	cond_clear(&r->cond);
	buf_reset(&r->path);
	r->pull = NULL;
	r->page = NULL;
	r->get = NULL;
	r->msg = NULL;
	r->index = NULL;
	r->rmdir = NULL;
	r->write = NULL;
	r->upload = NULL;
	r->head_begun = r->slash = r->aged = r->peer = r->body_signed = false;
}

static void request_options(struct conn *c)
{
	answer_begin(c, 204);
	reply_field(&c->output.text, "Allow", STR(ALLOWED));
	reply_field(&c->output.text, "Accept-Ranges", STR("bytes"));
	answer_end(c);
}

static bool request_is_write(const struct conn *c)
{
	return c->head.method == METHOD_PUT || c->head.method == METHOD_POST ||
	       c->head.method == METHOD_DELETE;
}

/* What is refused whatever the path is. True: it was answered. */
static bool request_refused(struct conn *c)
{
	if (c->head.covey && peer_refused(c))
		return true;
	if (c->head.method == METHOD_OTHER)
		answer_error_with(c, 501, STR("Allow: " ALLOWED "\r\n"),
				  STR("this method is not known here"));
	else if (request_is_write(c) && fields_cross_site(&c->head))
		answer_error(c, 403, "a page of another site may not write here");
	else
		return false;
	return true;
}

/* The request's fields and target into struct request. -1: answered. */
static int request_parse(struct conn *c)
{
	struct request *r = &c->request;
	struct err err;

	if (path_from_target(&r->path, &r->slash, c->head.path, &err) < 0) {
		if (err.kind == ERR_TOO_LARGE)
			answer_error(c, 414, "%s", err_reason(&err));
		else
			answer_err(c, &err);
		return -1;
	}
	if (c->head.query.s != NULL && query_parse(&r->query, c->head.query, request_is_write(c), &err) < 0) {
		answer_err(c, &err);
		return -1;
	}
	cond_take(&r->cond, &c->head, (uint64_t)time(NULL));
	r->freshness = freshness_parse(head_get(&c->head, FIELD_CACHE_CONTROL));
	r->prefer = prefer_parse(head_get(&c->head, FIELD_PREFER));
	return 0;
}

static bool request_has_read_parameters(const struct query *q)
{
	return q->versions || q->deleted || q->has_after || q->limit > 0 ||
	       q->format != QUERY_FORMAT_NONE || !version_is_none(q->version);
}

static void request_read(struct conn *c)
{
	const struct request *r = &c->request;

	if (!version_is_none(r->query.restore))
		answer_error(c, 400, "?restore= wants a POST");
	else if (r->query.versions)
		history_start(c);
	else if (!r->slash)
		get_start(c);
	else if (!version_is_none(r->query.version))
		answer_error(c, 400, "?version= is for files");
	else
		index_start(c);
}

/* A push of peer_http.h, whose signature is checked already. */
static void request_push(struct conn *c)
{
	if (c->head.method != METHOD_PUT || c->request.slash ||
	    c->head.framing == FRAMING_NONE)
		answer_error(c, 400, "a push is a PUT of a file with its content");
	else
		pushed_start(c);
}

static void request_write(struct conn *c)
{
	const struct request *r = &c->request;
	bool restore = !version_is_none(r->query.restore);
	struct err err;

	/* Writes wait for the disk, and no loop may do that. */
	if (pool_start(c->worker->httpd->pool, &err) < 0)
		answer_err(c, &err);
	else if (request_has_read_parameters(&r->query) || (restore && c->head.method != METHOD_POST))
		answer_error(c, 400, "a write takes no parameters but POST ?restore=VERSION");
	else if (restore)
		restore_start(c);
	else if (head_get(&c->head, FIELD_COVEY_PUSH).s != NULL)
		request_push(c);
	else if (c->head.method == METHOD_DELETE && !r->slash)
		delete_start(c);
	else if (r->slash && c->head.method != METHOD_POST)
		directory_start(c);
	else
		upload_start(c);
}

void request_begin(struct conn *c)
{
	if (request_refused(c))
		return;
	if (c->head.method == METHOD_POST && str_eq(c->head.path, STR(SERVICE "msg"))) {
		service_touch(c->worker->httpd->service);
		msg_start(c);
		return;
	}
	if (str_starts(c->head.path, STR(SERVICE))) {
		page_start(c);
		return;
	}
	service_touch(c->worker->httpd->service);
	if (c->head.method == METHOD_OPTIONS) {
		request_options(c);
		return;
	}
	if (request_parse(c) < 0)
		return;
	if (request_is_write(c))
		request_write(c);
	else
		request_read(c);
}
