/* reply - answers: status line, header fields, and errors whole */
#include "reply.h"

#include "escape.h"
#include "render.h"

#include <stdarg.h>

#define FIELD_GUESS 100		/* bytes of most values that are formatted */

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

/* "Unknown" for a status that covey never sends. */
static const char *reply_reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

static void add_number(struct buf *buf, uint64_t value)
{
	char digits[20];
	size_t n = 0;

	do {
		digits[sizeof(digits) - ++n] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	buf_add(buf, digits + sizeof(digits) - n, n);
}

void reply_start(struct buf *buf, int status, struct str date)
{
	buf_adds(buf, "HTTP/1.1 ");
	add_number(buf, (uint64_t)status);
	buf_addc(buf, ' ');
	buf_adds(buf, reply_reason(status));
	buf_adds(buf, "\r\n");
	if (date.n > 0)
		reply_field(buf, "Date", date);
}

/* What was appended from `from` on is a value: it stays on its line. */
static void keep_in_line(struct buf *buf, size_t from)
{
	for (size_t i = from; i < buf->len; i++)
		if ((unsigned char)buf->data[i] < 0x20 || buf->data[i] == 0x7f)
			buf->data[i] = ' ';
}

void reply_field(struct buf *buf, const char *name, struct str value)
{
	size_t from;

	buf_adds(buf, name);
	buf_adds(buf, ": ");
	from = buf->len;
	buf_addstr(buf, value);
	keep_in_line(buf, from);
	buf_adds(buf, "\r\n");
}

void reply_fieldf(struct buf *buf, const char *name, const char *format, ...)
{
	char *to;
	va_list args, again;
	size_t from;
	int n;

	buf_adds(buf, name);
	buf_adds(buf, ": ");
	from = buf->len;
	to = buf_reserve(buf, FIELD_GUESS);
	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(to, FIELD_GUESS + 1, format, args);
	if (n > FIELD_GUESS)
		vsnprintf(buf_reserve(buf, (size_t)n), (size_t)n + 1, format, again);
	va_end(again);
	va_end(args);
	if (n < 0)
		abort();
	buf->len += (size_t)n;
	keep_in_line(buf, from);
	buf_adds(buf, "\r\n");
}

void reply_length(struct buf *buf, uint64_t bytes)
{
	buf_adds(buf, "Content-Length: ");
	add_number(buf, bytes);
	buf_adds(buf, "\r\n");
}

void reply_end(struct buf *buf)
{
	buf_adds(buf, "\r\n");
}

/* RFC 9457; its type is "about:blank", so the title is the status's own. */
static void problem(struct buf *body, const struct reply_error *error)
{
	buf_adds(body, "{\"type\":\"about:blank\",\"title\":");
	escape_json(body, str_of(reply_reason(error->status)));
	buf_addf(body, ",\"status\":%d,\"detail\":", error->status);
	escape_json(body, error->detail);
	buf_adds(body, "}\n");
}

/* The detail is one line, whatever a name in it holds. */
static void plain(struct buf *body, const struct reply_error *error)
{
	if (error->detail.n > 0)
		buf_addstr(body, error->detail);
	else
		buf_adds(body, reply_reason(error->status));
	keep_in_line(body, 0);
	buf_addc(body, '\n');
}

void reply_error(struct buf *buf, const struct reply_error *error)
{
	const char *type = error->json ? "application/problem+json" :
			   error->page ? "text/html; charset=utf-8" : "text/plain; charset=utf-8";
	struct buf body = BUF_INIT;

	if (error->json)
		problem(&body, error);
	else if (error->page)
		render_error_html(&body, error->path, error->node, reply_reason(error->status), error->detail);
	else
		plain(&body, error);
	reply_start(buf, error->status, error->date);
	reply_field(buf, "Content-Type", str_of(type));
	reply_length(buf, body.len);
	reply_field(buf, "Vary", STR("Accept"));
	reply_field(buf, "X-Content-Type-Options", STR("nosniff"));
	if (error->page && !error->json)
		reply_field(buf, "Content-Security-Policy", STR(RENDER_CSP));
	if (error->close)
		reply_field(buf, "Connection", STR("close"));
	buf_addstr(buf, error->fields);
	reply_end(buf);
	if (!error->head)
		buf_addstr(buf, buf_str(&body));
	buf_clear(&body);
}
