/* buf - a buffer of bytes that grows */
#include "buf.h"

#include "mem.h"

#include <stdarg.h>

#define SMALLEST 64		/* bytes of a first allocation */

void buf_clear(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf)BUF_INIT;
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	if (buf->data != NULL)
		buf->data[0] = '\0';
}

char *buf_reserve(struct buf *buf, size_t room)
{
	size_t want = buf->len + room + 1;

	if (want > buf->cap) {
		size_t cap = buf->cap ? buf->cap : SMALLEST;

		while (cap < want)
			cap *= 2;
		buf->data = mem_resize(buf->data, cap, 1);
		buf->cap = cap;
		buf->data[buf->len] = '\0';
	}
	return buf->data + buf->len;
}

void buf_add(struct buf *buf, const void *bytes, size_t n)
{
	char *to = buf_reserve(buf, n);

	if (n > 0)
		memcpy(to, bytes, n);
	buf->len += n;
	buf->data[buf->len] = '\0';
}

void buf_adds(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_addstr(struct buf *buf, struct str text)
{
	buf_add(buf, text.s, text.n);
}

void buf_addc(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void buf_addf(struct buf *buf, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		abort();
	va_start(args, format);
	vsnprintf(buf_reserve(buf, (size_t)n), (size_t)n + 1, format, args);
	va_end(args);
	buf->len += (size_t)n;
}

void buf_drop(struct buf *buf, size_t n)
{
	if (n == 0)
		return;
	buf->len -= n;
	memmove(buf->data, buf->data + n, buf->len + 1);
}

char *buf_take(struct buf *buf)
{
	char *text;

	buf_reserve(buf, 0);
	text = buf->data;
	*buf = (struct buf)BUF_INIT;
	return text;
}
