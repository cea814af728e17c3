/* request - one request: what it asks for, and what was found out about it */
#include "request.h"

#include "answer.h"
#include "door.h"
#include "loop/conn.h"
#include "fields.h"
#include "group.h"
#include "floods.h"
#include "handlers.h"
#include "hosts.h"
#include "pull.h"
#include "reply.h"

#define ALLOWED "GET, HEAD, PUT, POST, DELETE, OPTIONS"

void request_end(struct conn *c)
{
	struct request *r = &c->request;
	bool took = r->end != NULL || r->upload != NULL;

	ask_end(&r->ask);
	pull_end(c);
	if (r->rules != NULL)
		door_request_end(c);
	if (r->end != NULL)
		r->end(c);
	upload_free(r->upload);
	store_entry_clear(&r->entry);
	query_clear(&r->query);
	cond_clear(&r->cond);
	buf_reset(&r->path);
	r->end = NULL;
	r->get = NULL;			/* whichever it is */
	r->upload = NULL;
	if (took)		/* memory, for as long as it was under way */
		service_touch(c->worker->httpd->service);
	r->head_begun = r->slash = r->site = r->aged = r->peer = r->body_signed = r->sealed = false;
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
	if (floods_refused(c) || (!c->request.peer && hosts_refused(c)))
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

static void request_bound_wait(struct conn *c)
{
	struct prefer *prefer = &c->request.prefer;
	uint64_t most = c->worker->httpd->conf->limits.prefer_wait_ms / 1000;

	if (!prefer->has_wait || prefer->wait <= most)
		return;
	prefer->wait = most;
	if (request_is_write(c))
		floods_note(c->worker->httpd, FLOOD_WAIT, &c->line->source);
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
	request_bound_wait(c);
	return 0;
}

static void request_read(struct conn *c)
{
	const struct request *r = &c->request;

	if (!version_is_none(r->query.restore))
		answer_error(c, 400, "?restore= wants a POST");
	else if (!r->slash && !r->query.versions)
		get_start(c);
	else if (!r->query.versions && !version_is_none(r->query.version))
		answer_error(c, 400, "?version= is for files");
	else if (!get_start_site(c))
		index_start(c);
}

/* Whether the door lets in who asks for this; without rules it does. */
static bool request_admitted(struct conn *c, bool (*admits)(struct conn *))
{
	return c->request.rules == NULL || admits(c);
}

void request_go_on(struct conn *c)
{
	if (str_starts(c->head.path, STR("/.covey/"))) {
		if (request_admitted(c, door_admits_page))
			page_start(c);
		return;
	}
	service_touch(c->worker->httpd->service);
	if (c->head.method == METHOD_OPTIONS) {
		request_options(c);
		return;
	}
	if (request_parse(c) < 0 || !request_admitted(c, door_admits))
		return;
	if (request_is_write(c))
		write_start(c);
	else
		request_read(c);
}

void request_begin(struct conn *c)
{
	if (!request_refused(c) && (!door_is_closed(c->worker->httpd) || door_enter(c)))
		request_go_on(c);
}
