/* get - GET and HEAD of a file, once it is found: the whole, parts of it, or 304 */
#include "get.h"

#include "answer.h"
#include "conn.h"
#include "fields.h"
#include "httpdate.h"
#include "stream.h"
#include "range.h"
#include "reply.h"

#include <unistd.h>

#define INLINE_BYTES (16u << 10)	/* such a body leaves with its head, in one segment */

/* the answer */

/* Whether a browser runs what is in it: HTML, and XML of any kind. */
static bool is_active(struct str type)
{
	const struct str ends[] = { STR("html"), STR("xml"), STR("xsl") };
	struct str essence;

	str_cut(&type, ';', &essence);
	essence = str_trim(essence);
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		if (essence.n >= ends[i].n &&
		    str_eq_nocase((struct str){ essence.s + essence.n - ends[i].n, ends[i].n }, ends[i]))
			return true;
	return false;
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
	uint64_t modified = answer_modified(&r->entry.record);
	char date[HTTPDATE_TEXT];

	reply_field(out, "ETag", etag);
	/* Never later than Date (RFC 9110, section 8.8.2.1). */
	if (modified <= (uint64_t)c->worker->date_second)
		reply_field(out, "Last-Modified", httpdate_format(date, modified));
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
	answer_end_fields(c);
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
	answer_end_fields(c);
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

	if (field.s != NULL && c->head.method == METHOD_GET && cond_range(&r->cond, target))
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
	struct buf why = BUF_INIT;
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
		buf_addf(&why, "the newest version is %.*s", STR_ARG(target.etag));
		get_absent(c, 412, buf_str(&why));
		buf_clear(&why);
		break;
	case COND_MALFORMED:
		answer_error(c, 400, "If-Match or If-None-Match is not a list of entity tags");
		break;
	}
}

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
