/* answer - the parts that answers have in common, and errors whole */
#include "answer.h"

#include "loop/conn.h"
#include "digest.h"
#include "door.h"
#include "fields.h"
#include "group.h"
#include "httpdate.h"
#include "log.h"
#include "render.h"
#include "reply.h"

#include <errno.h>
#include <stdarg.h>

/* "VERSION" with its quotes; returns to. */
static struct str answer_etag(char to[ETAG_TEXT], struct version version)
{
	size_t n;

	to[0] = '"';
	version_format(to + 1, version);
	n = strlen(to);
	to[n++] = '"';
	return (struct str){ to, n };
}

/* The process is to stop, or others wait for a place. */
static bool answer_is_last(const struct conn *c)
{
	struct httpd *h = c->worker->httpd;

	return c->last || c->has_body || atomic_load_explicit(&h->draining, memory_order_relaxed) ||
	       atomic_load_explicit(&h->connections, memory_order_relaxed) >=
		       h->conf->limits.connections;
}

struct cond_target answer_target(char etag[ETAG_TEXT], const struct record *record)
{
	return (struct cond_target){
		.exists = record_is_live(record),
		.etag = answer_etag(etag, record->version),
		.modified = record->mtime ? record->mtime : record_made(record) / 1000000000,
	};
}

/* The Date field's value now. */
static struct str answer_date(struct worker *w)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec != w->date_second) {
		httpdate_format(w->date, (uint64_t)now.tv_sec);
		w->date_second = now.tv_sec;
	}
	return str_of(w->date);
}

static void answer_connection_field(struct conn *c)
{
	c->last = answer_is_last(c);
	if (c->last)
		reply_field(&c->output.text, "Connection", STR("close"));
	else if (c->head.minor == 0)
		reply_field(&c->output.text, "Connection", STR("keep-alive"));
}

void answer_begin(struct conn *c, int status)
{
	c->answer_status = status;
	reply_start(&c->output.text, status, answer_date(c->worker));
	c->answer_fields = c->output.text.len;
	answer_connection_field(c);
}

static void answer_add_cache_control(const struct conn *c, const char *value, struct buf *to)
{
	if (!door_is_private(c)) {
		reply_field(to, "Cache-Control", str_of(value));
		return;
	}
	reply_fieldf(to, "Cache-Control", "private, %s", value);
	reply_field(to, "Vary", STR("Authorization"));
}

void answer_cache_control(struct conn *c, const char *value)
{
	answer_add_cache_control(c, value, &c->output.text);
}

void answer_count(struct conn *c, bool confirmed)
{
	struct answers *answers = c->worker->answers;

	/* Inetd style other processes raise it, too. */
	atomic_fetch_add_explicit(confirmed ? &answers->confirmed : &answers->unconfirmed, 1,
				  memory_order_relaxed);
}

void answer_state_text(const struct conn *c, struct buf *ret)
{
	const struct ask *ask = &c->request.ask;

	freshness_version_state(ret, ask->confirmed, ask->answered, ask->asked);
}

void answer_version_state(struct conn *c)
{
	bool confirmed = c->request.ask.confirmed;
	struct buf value = BUF_INIT;

	answer_count(c, confirmed);
	if (confirmed) {
		reply_field(&c->output.text, "Version-State", STR("confirmed"));
		return;
	}
	answer_state_text(c, &value);
	reply_field(&c->output.text, "Version-State", buf_str(&value));
	buf_clear(&value);
}

void answer_cache_status(struct conn *c, struct cache_status *status)
{
	struct buf value = BUF_INIT;

	status->cache = str_of(c->worker->httpd->conf->node.name);
	freshness_cache_status(&value, status);
	reply_field(&c->output.text, "Cache-Status", buf_str(&value));
	buf_clear(&value);
}

void answer_begin_list(struct conn *c, enum media media, struct str links)
{
	struct buf *out = &c->output.text;
	struct cache_status status = { .source = CACHE_HIT };

	answer_begin(c, 200);
	reply_field(out, "Content-Type", str_of(fields_media_type(media)));
	answer_cache_control(c, "no-cache");
	reply_field(out, "Vary", STR("Accept"));
	reply_field(out, "X-Content-Type-Options", STR("nosniff"));
	if (media == MEDIA_HTML)
		reply_field(out, "Content-Security-Policy", STR(RENDER_CSP));
	answer_version_state(c);
	answer_cache_status(c, &status);
	if (links.n > 0)
		reply_field(out, "Link", links);
}

void answer_end_fields(struct conn *c)
{
	struct buf *out = &c->output.text;
	struct buf signature = BUF_INIT;

	peer_sign(c, c->answer_status,
		  (struct str){ out->data + c->answer_fields, out->len - c->answer_fields },
		  &signature);
	buf_addstr(out, buf_str(&signature));
	buf_clear(&signature);
	reply_end(out);
}

void answer_end(struct conn *c)
{
	answer_end_fields(c);
	conn_answered(c);
}

/* Another node believes all that a home tells: a signature of the whole follows. */
static void answer_end_signed(struct conn *c, struct str body)
{
	struct buf *out = &c->output.text;
	struct digest *digest = digest_new();
	uint8_t sha256[32];

	digest_add(digest, body.s, body.n);
	digest_end(digest, sha256);
	digest_free(digest);
	reply_field(out, "Transfer-Encoding", STR("chunked"));
	reply_field(out, "Trailer", STR(SIGN_BODY ", " SIGN_FIELD));
	answer_end_fields(c);
	if (body.n > 0) {
		buf_addf(out, "%zx\r\n", body.n);
		buf_addstr(out, body);
		buf_adds(out, "\r\n");
	}
	buf_adds(out, "0\r\n");
	peer_sign_body(c, sha256, out);
	reply_end(out);
	conn_answered(c);
}

void answer_end_text(struct conn *c, struct str body)
{
	if (c->request.body_signed && c->head.method != METHOD_HEAD) {
		answer_end_signed(c, body);
		return;
	}
	reply_length(&c->output.text, body.n);
	answer_end_fields(c);
	if (c->head.method != METHOD_HEAD)
		buf_addstr(&c->output.text, body);
	conn_answered(c);
}

static void answer_log_error(struct conn *c, int status, struct str detail)
{
	char number[8];
	struct log_field fields[] = {
		{ "COVEY_STATUS", { number, (size_t)snprintf(number, sizeof number, "%d", status) } },
		{ "COVEY_METHOD", c->head.method_text },
		{ "COVEY_TARGET", c->head.path },
	};
	size_t shown = c->head.path.n < 200 ? c->head.path.n : 200;

	log_fields(LOG_LEVEL_WARNING, fields, sizeof fields / sizeof *fields, "%.*s %.*s: %d %.*s",
		   STR_ARG(c->head.method_text), (int)shown, c->head.path.s ? c->head.path.s : "",
		   status, STR_ARG(detail));
}

/*
 * An error that another node is told is not logged: it knows what to do.  Who
 * sends a sealed message that could be opened is such a node, too.
 */
static bool answer_is_for_a_node(const struct conn *c, int status)
{
	return c->request.peer || (c->request.sealed && status == 503);
}

bool answer_wants_page(const struct conn *c)
{
	static const enum media offers[] = { MEDIA_TEXT, MEDIA_HTML };
	struct buf scratch = BUF_INIT;
	bool html = fields_accept(head_list(&c->head, FIELD_ACCEPT, &scratch), offers, 2) == MEDIA_HTML;

	buf_clear(&scratch);
	return html;
}

/*
 * A browser gets a page.  Its link upwards leads to the directory that was
 * asked for, where the form of a failed upload is.
 */
static void answer_error_page(struct conn *c, struct reply_error *error, struct buf *path)
{
	error->page = answer_wants_page(c);
	error->node = str_of(c->worker->httpd->conf->node.name);
	if (c->request.slash)
		path_join(path, buf_str(&c->request.path), STR("."));
	else
		buf_addstr(path, buf_str(&c->request.path));
	error->path = buf_str(path);
}

/* The client is told detail; the log, of a server's error, what is in logged, unless that is nothing. */
static void answer_error_whole(struct conn *c, int status, struct str fields, struct str detail,
			       struct str logged)
{
	struct buf scratch = BUF_INIT, lines = BUF_INIT, path = BUF_INIT;
	struct reply_error error = {
		.status = status,
		.detail = detail,
		.date = answer_date(c->worker),
		.head = c->head.method == METHOD_HEAD,
	};

	/* Before a head is whole its fields mean nothing. */
	if (c->head.size > 0) {
		error.json = fields_accepts_problem(head_list(&c->head, FIELD_ACCEPT, &scratch));
		answer_error_page(c, &error, &path);
	}
	c->last = answer_is_last(c) || c->head.size == 0;
	error.close = c->last;
	buf_addstr(&lines, fields);
	if (door_is_private(c))
		answer_add_cache_control(c, "no-cache", &lines);
	peer_sign(c, status, fields, &lines);
	error.fields = buf_str(&lines);
	reply_error(&c->output.text, &error);
	buf_clear(&scratch);
	buf_clear(&lines);
	buf_clear(&path);
	if (logged.n > 0 && status >= 500 && status != 501 && status != 504 && status != 505 &&
	    !answer_is_for_a_node(c, status))
		answer_log_error(c, status, logged);
	conn_answered(c);
}

void answer_error_with(struct conn *c, int status, struct str fields, struct str detail)
{
	answer_error_whole(c, status, fields, detail, detail);
}

void answer_error_quietly(struct conn *c, int status, struct str fields, struct str detail)
{
	answer_error_whole(c, status, fields, detail, (struct str)STR_INIT);
}

void answer_error(struct conn *c, int status, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	answer_error_with(c, status, (struct str)STR_INIT, str_of(text));
}

void answer_version_error(struct conn *c, int status, struct str why)
{
	struct buf fields = BUF_INIT, value = BUF_INIT;

	answer_count(c, c->request.ask.confirmed);
	answer_state_text(c, &value);
	reply_field(&fields, "Version-State", buf_str(&value));
	if (c->request.aged)
		reply_fieldf(&fields, "Age", "%llu", (unsigned long long)c->request.age);
	answer_error_with(c, status, buf_str(&fields), why);
	buf_clear(&fields);
	buf_clear(&value);
}

void answer_unconfirmed(struct conn *c)
{
	answer_version_error(c, 504, STR("this cannot be confirmed now"));
}

static int answer_status(enum err_kind kind)
{
	switch (kind) {
	case ERR_INVALID:
		return 400;
	case ERR_DENIED:
		return 403;
	case ERR_ABSENT:
		return 404;
	case ERR_EXISTS:
	case ERR_CONFLICT:
		return 409;
	case ERR_PRECONDITION:
		return 412;
	case ERR_TOO_LARGE:
		return 413;
	case ERR_UNSUPPORTED:
		return 501;
	case ERR_AWAY:
		return 503;
	case ERR_TIMEOUT:
		return 504;
	case ERR_FULL:
		return 507;
	case ERR_NONE:
	case ERR_CORRUPT:
	case ERR_SYSTEM:
		break;
	}
	return 500;
}

/* This machine cannot do it just now, but another node may. */
static bool answer_is_for_now(const struct err *err)
{
	return err->sys == EIO || err->sys == EROFS || err->sys == EAGAIN;
}

void answer_err(struct conn *c, const struct err *err)
{
	int status = answer_is_for_now(err) ? 503 : answer_status(err->kind);

	if (err->sys == EMFILE || err->sys == ENFILE) {
		floods_answer_busy(c, FLOOD_DESCRIPTORS, "too many files are open here: come again");
		return;
	}
	answer_error_whole(c, status, (struct str)STR_INIT, str_of(err_reason(err)),
			   str_of(err->text));
}

void answer_cut(struct conn *c, const struct err *err)
{
	answer_log_error(c, 200, str_of(err->text));
	conn_abort(c);
}

void answer_redirect(struct conn *c, int status, struct str location)
{
	struct buf body = BUF_INIT;

	answer_begin(c, status);
	reply_field(&c->output.text, "Location", location);
	/* A directory may be a file one day: a browser must not remember the redirect. */
	answer_cache_control(c, "no-cache");
	answer_version_state(c);
	buf_addstr(&body, location);
	buf_addc(&body, '\n');
	answer_end_text(c, buf_str(&body));
	buf_clear(&body);
}
