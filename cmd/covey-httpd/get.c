/*
 * get - GET and HEAD of a file: the newest version, or the one asked for
 *
 *	get_start	how fresh must it be?  whom to ask
 *	checked		what is here, what is elsewhere: serve, or pull
 *	get_serve	the whole, parts of it, or 304
 */
#include "get.h"

#include "answer.h"
#include "conn.h"
#include "fields.h"
#include "handlers.h"
#include "httpdate.h"
#include "memory.h"
#include "stream.h"
#include "range.h"
#include "reply.h"
#include "unsettled.h"

#include <unistd.h>

#define INLINE_BYTES (16u << 10)	/* such a body leaves with its head, in one segment */

/* the answer */

static bool is_active(struct str type)
{
	return fields_type_is(type, STR("text/html")) ||
	       fields_type_is(type, STR("application/xhtml+xml")) ||
	       fields_type_is(type, STR("image/svg+xml")) ||
	       fields_type_is(type, STR("text/xml")) || fields_type_is(type, STR("application/xml"));
}

static struct str type_of(struct conn *c)
{
	const struct request *r = &c->request;

	if (r->entry.type[0] != '\0')
		return str_of(r->entry.type);
	return mime_of(c->worker->httpd->mime, buf_str(&r->path));
}

/* What 200, 206 and 304 have in common. */
static void version_fields(struct conn *c, struct str etag)
{
	struct buf *out = &c->output.text;
	const struct request *r = &c->request;
	char date[HTTPDATE_TEXT];

	reply_field(out, "ETag", etag);
	reply_field(out, "Last-Modified", httpdate_format(date, answer_modified(&r->entry.record)));
	if (version_is_none(r->query.version))
		reply_field(out, "Cache-Control", STR("no-cache"));
	else
		reply_field(out, "Cache-Control", STR("max-age=31536000, immutable"));
	answer_version_state(c);
	get_cache_status(c);
	if (r->aged)
		reply_fieldf(out, "Age", "%llu", (unsigned long long)r->age);
}

void get_cache_status(struct conn *c)
{
	struct buf *out = &c->output.text;
	struct buf value = BUF_INIT;
	struct cache_status status = { .cache = str_of(c->worker->httpd->conf->node.name),
				       .source = CACHE_HIT };

	stream_cache_status(c, &status);
	freshness_cache_status(&value, &status);
	reply_field(out, "Cache-Status", buf_str(&value));
	buf_clear(&value);
}

static void content_fields(struct conn *c, struct str type)
{
	struct buf *out = &c->output.text;
	struct buf scratch = BUF_INIT, value = BUF_INIT;

	reply_field(out, "Accept-Ranges", STR("bytes"));
	reply_field(out, "X-Content-Type-Options", STR("nosniff"));
	if (is_active(type))
		reply_field(out, "Content-Security-Policy", STR("sandbox"));
	if (fields_wants_sha256(head_list(&c->head, FIELD_WANT_REPR_DIGEST, &scratch))) {
		fields_digest(&value, c->request.entry.record.sha256);
		reply_field(out, "Repr-Digest", buf_str(&value));
	}
	buf_clear(&scratch);
	buf_clear(&value);
}

/* The bytes of one range, into the text when they are few. */
static int add_small(struct conn *c, uint64_t from, size_t n)
{
	char *to = buf_reserve(&c->output.text, n);
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(c->request.entry.fd, to + got, n - got, (off_t)(from + got));

		if (r <= 0)
			return -1;
		got += (size_t)r;
	}
	c->output.text.len += n;
	c->output.text.data[c->output.text.len] = '\0';
	return 0;
}

static void give_file(struct conn *c)
{
	output_file(&c->output, c->request.entry.fd);
	c->request.entry.fd = -1;
}

static void send_one(struct conn *c, uint64_t from, uint64_t length)
{
	reply_length(&c->output.text, length);
	reply_end(&c->output.text);
	if (c->head.method != METHOD_HEAD && length > 0) {
		if (length <= INLINE_BYTES && !stream_active(c)) {
			if (add_small(c, from, (size_t)length) < 0) {
				conn_abort(c);
				return;
			}
		} else {
			give_file(c);
			output_insert(&c->output, from, length);
			stream_limit_output(c);
		}
	}
	conn_answered(c);
}

static void send_parts(struct conn *c, const struct ranges *ranges, struct str type)
{
	struct buf *out = &c->output.text;
	uint64_t size = c->request.entry.record.size;
	char boundary[VERSION_TEXT];
	struct str mark = str_of(version_format(boundary, c->request.entry.record.version));

	reply_fieldf(out, "Content-Type", "multipart/byteranges; boundary=%.*s", STR_ARG(mark));
	reply_length(out, range_length(ranges, size, type, mark));
	reply_end(out);
	if (c->head.method != METHOD_HEAD) {
		give_file(c);
		for (size_t i = 0; i < ranges->count; i++) {
			range_part(out, &ranges->range[i], size, type, mark);
			output_insert(&c->output, ranges->range[i].from, ranges->range[i].length);
		}
		range_end(out, mark);
		stream_limit_output(c);
	}
	conn_answered(c);
}

static void unsatisfiable(struct conn *c, struct str etag)
{
	struct buf fields = BUF_INIT, value = BUF_INIT;

	range_content_none(&value, c->request.entry.record.size);
	reply_field(&fields, "Content-Range", buf_str(&value));
	reply_field(&fields, "ETag", etag);
	answer_error_with(c, 416, buf_str(&fields), STR("the range lies behind the end"));
	buf_clear(&fields);
	buf_clear(&value);
}

static void send_content(struct conn *c, const struct cond_target *target)
{
	struct request *r = &c->request;
	struct str type = type_of(c), field = head_get(&c->head, FIELD_RANGE);
	enum range_verdict verdict = RANGE_WHOLE;
	struct buf value = BUF_INIT;
	struct ranges ranges;

	if (field.s != NULL && c->head.method == METHOD_GET &&
	    cond_range(&r->cond, target, (uint64_t)time(NULL)))
		verdict = range_parse(field, r->entry.record.size, &ranges);
	if (verdict == RANGE_UNSATISFIABLE) {
		unsatisfiable(c, target->etag);
		return;
	}
	answer_begin(c, verdict == RANGE_PARTIAL ? 206 : 200);
	version_fields(c, target->etag);
	content_fields(c, type);
	if (verdict == RANGE_PARTIAL && ranges.count > 1) {
		send_parts(c, &ranges, type);
		return;
	}
	reply_field(&c->output.text, "Content-Type", type);
	if (verdict == RANGE_WHOLE) {
		send_one(c, 0, r->entry.record.size);
		return;
	}
	range_content(&value, &ranges.range[0], r->entry.record.size);
	reply_field(&c->output.text, "Content-Range", buf_str(&value));
	buf_clear(&value);
	send_one(c, ranges.range[0].from, ranges.range[0].length);
}

void get_serve(struct conn *c)
{
	struct request *r = &c->request;
	char text[ETAG_TEXT];
	struct cond_target target = { .exists = true,
				      .etag = answer_etag(text, r->entry.record.version),
				      .modified = answer_modified(&r->entry.record) };

	switch (cond_check(&r->cond, &target)) {
	case COND_GO:
		send_content(c, &target);
		break;
	case COND_NOT_MODIFIED:
		answer_begin(c, 304);
		version_fields(c, target.etag);
		answer_end(c);
		break;
	case COND_FAILED:
		answer_error(c, 412, "the newest version is %.*s", STR_ARG(target.etag));
		break;
	case COND_MALFORMED:
		answer_error(c, 400, "If-Match or If-None-Match is not a list of entity tags");
		break;
	}
}

/* what there is */

void get_absent(struct conn *c, int status, struct str why)
{
	struct buf fields = BUF_INIT, value = BUF_INIT;
	const struct ask *ask = &c->request.ask;

	answer_count(c, ask->confirmed);
	freshness_version_state(&value, ask->confirmed, ask->answered, ask->asked);
	reply_field(&fields, "Version-State", buf_str(&value));
	if (c->request.aged)
		reply_fieldf(&fields, "Age", "%llu", (unsigned long long)c->request.age);
	answer_error_with(c, status, buf_str(&fields), why);
	buf_clear(&fields);
	buf_clear(&value);
}

/* If-Match: * and the like hold of nothing too. */
static void nothing_there(struct conn *c)
{
	struct cond_target target = { .exists = false };

	if (cond_check(&c->request.cond, &target) == COND_FAILED)
		answer_error(c, 412, "nothing is there");
	else
		get_absent(c, 404, STR("no such file"));
}

/* The version that is to be answered; entry says what is here. */
static void serve(struct conn *c, const struct record *wanted)
{
	struct request *r = &c->request;
	bool here = version_cmp(r->entry.record.version, wanted->version) == 0;

	if (record_is_live(wanted) ? (wanted->flags & RECORD_DIRECTORY) != 0 :
				     (here && r->entry.directory) || r->ask.directory)
		answer_redirect(c, 301, buf_str(&r->path), true, c->head.query);
	else if (!record_is_live(wanted))
		nothing_there(c);
	else if (here && (r->entry.content || c->head.method == METHOD_HEAD))
		get_serve(c);
	else
		stream_start(c, wanted);
}

static enum store_want want_of(const struct conn *c)
{
	return c->head.method == METHOD_HEAD ? STORE_RECORD : STORE_CONTENT;
}

static int look_here(struct conn *c, struct err *err)
{
	struct request *r = &c->request;

	return store_newest(c->worker->httpd->store, buf_str(&r->path), want_of(c), &r->entry, err);
}

/* What somebody knows, and nobody can vouch for: the newest of it. */
static void serve_unconfirmed(struct conn *c)
{
	struct request *r = &c->request;
	bool here = version_cmp(r->entry.record.version, r->ask.record.version) >= 0;
	struct record wanted = here ? r->entry.record : r->ask.record;

	r->ask.confirmed = false;
	if (r->freshness.no_cache)
		get_absent(c, 504, STR("the newest version cannot be confirmed now"));
	else
		serve(c, &wanted);
}

/*
 * A version that was newer here by the time the group had answered is a
 * write that goes on beside this request: not what was confirmed.
 */
static void serve_confirmed(struct conn *c)
{
	struct request *r = &c->request;
	struct httpd *h = c->worker->httpd;
	const struct record *wanted = &r->ask.record;
	struct store_entry exactly = STORE_ENTRY_INIT;

	if (h->grouped)
		memory_note(h->memory, buf_str(&r->path), wanted->version, r->ask.began);
	if (version_cmp(r->entry.record.version, wanted->version) > 0 && record_is_live(wanted) &&
	    store_version(h->store, buf_str(&r->path), wanted->version, want_of(c), &exactly,
			  NULL) == 0) {
		store_entry_clear(&r->entry);
		r->entry = exactly;
	}
	serve(c, wanted);
}

static void checked(struct conn *c)
{
	struct request *r = &c->request;
	struct err err;

	if (look_here(c, &err) < 0) {
		answer_err(c, &err);
		return;
	}
	/* In a group of one what is here is all there is; a person's file may have replaced it. */
	if (!c->worker->httpd->grouped) {
		r->ask.record = r->entry.record;
		r->ask.confirmed = !r->entry.foreign;
	}
	if (r->ask.standing == STANDING_UNSETTLED)
		unsettled_start(c);
	else if (r->ask.confirmed)
		serve_confirmed(c);
	else
		serve_unconfirmed(c);
}

void get_below(struct conn *c)
{
	struct request *r = &c->request;
	struct version version = r->ask.record.version;

	store_entry_clear(&r->entry);
	stream_free(r->stream);		/* it was for the other one */
	r->stream = NULL;
	if (ask_start(&r->ask, c, buf_str(&r->path), NEWEST_BELOW, version, checked))
		checked(c);
}

void get_settled(struct conn *c)
{
	serve_confirmed(c);
}

void get_unsettled(struct conn *c)
{
	serve_unconfirmed(c);
}

/* From this node's disk or not at all. */
static void serve_local(struct conn *c)
{
	struct request *r = &c->request;
	struct err err;

	ask_none(&r->ask, c);
	if (look_here(c, &err) < 0) {
		answer_err(c, &err);
		return;
	}
	r->ask.confirmed &= !r->entry.foreign;
	if (!r->ask.confirmed && (r->freshness.no_cache ||
				  (r->freshness.has_max_age && !r->freshness.has_max_stale)))
		get_absent(c, 504, STR("the newest version cannot be confirmed without asking"));
	else if (version_is_none(r->entry.record.version) && !r->ask.confirmed)
		get_absent(c, 504, STR("this node knows of nothing there"));
	else if (record_is_live(&r->entry.record) && !(r->entry.record.flags & RECORD_DIRECTORY) &&
		 !r->entry.content && c->head.method == METHOD_GET)
		get_absent(c, 504, STR("the newest version's content is not on this node"));
	else
		serve(c, &r->entry.record);
}

/*
 * What was confirmed recently enough, and is still the newest that is known
 * here, is answered without asking again.
 */
static bool serve_remembered(struct conn *c)
{
	struct request *r = &c->request;
	struct httpd *h = c->worker->httpd;
	uint64_t now = loop_now(c->worker->loop), then;
	struct version newest;

	if (!h->grouped || !memory_find(h->memory, buf_str(&r->path), &newest, &then) ||
	    !freshness_allows(&r->freshness, now - then) || look_here(c, NULL) < 0)
		return false;
	if (version_cmp(r->entry.record.version, newest) != 0 || r->entry.foreign ||
	    r->entry.directory || (record_is_live(&r->entry.record) && !r->entry.content)) {
		store_entry_clear(&r->entry);
		return false;
	}
	ask_none(&r->ask, c);
	r->ask.confirmed = true;
	r->aged = true;
	r->age = (now - then) / 1000;
	serve(c, &r->entry.record);
	return true;
}

/* ?version=: never changes, so nobody needs to be asked when it is here. */
static void version_checked(struct conn *c)
{
	struct request *r = &c->request;

	if (version_cmp(r->ask.record.version, r->query.version) != 0)
		get_absent(c, 404, STR("no such version"));
	else if (!record_is_live(&r->ask.record) || r->ask.record.flags & RECORD_DIRECTORY)
		get_absent(c, 404, STR("this version is a deletion or a directory"));
	else
		stream_start(c, &r->ask.record);
}

static void version_start(struct conn *c)
{
	struct request *r = &c->request;
	struct err err;

	if (store_version(c->worker->httpd->store, buf_str(&r->path), r->query.version, want_of(c),
			  &r->entry, &err) < 0 &&
	    err.kind != ERR_ABSENT) {
		answer_err(c, &err);
		return;
	}
	ask_none(&r->ask, c);
	if (r->entry.content || (c->head.method == METHOD_HEAD && record_is_live(&r->entry.record))) {
		r->ask.confirmed = true;	/* one version is one content, for ever */
		get_serve(c);
	} else if (!version_is_none(r->entry.record.version) &&
		   (!record_is_live(&r->entry.record) ||
		    r->entry.record.flags & RECORD_DIRECTORY)) {
		get_absent(c, 404, STR("this version is a deletion or a directory"));
	} else if (r->freshness.only_if_cached) {
		get_absent(c, 504, STR("this version's content is not on this node"));
	} else if (ask_start(&r->ask, c, buf_str(&r->path), NEWEST_ONE, r->query.version,
			     version_checked)) {
		version_checked(c);
	}
}

void get_start(struct conn *c)
{
	struct request *r = &c->request;

	if (!version_is_none(r->query.version))
		version_start(c);
	else if ((r->freshness.has_max_age || r->freshness.has_max_stale) && serve_remembered(c))
		return;
	else if (r->freshness.only_if_cached)
		serve_local(c);
	else if (ask_start(&r->ask, c, buf_str(&r->path), NEWEST_READ, VERSION_NONE, checked))
		checked(c);
}
