/* pack - numbers and bytes in network order, written and read with bounds */
#include "pack.h"

#include <endian.h>

void pack_uint(struct buf *buf, size_t bytes, uint64_t value)
{
	value = htobe64(value);
	buf_add(buf, (const char *)&value + sizeof value - bytes, bytes);
}

void pack_bytes(struct buf *buf, const void *bytes, size_t n)
{
	buf_add(buf, bytes, n);
}

void pack_str(struct buf *buf, struct str text)
{
	if (text.n > UINT16_MAX)
		abort();	/* callers bound what they send; a cut message would lie */
	pack_u16(buf, (uint16_t)text.n);
	buf_addstr(buf, text);
}

void unpack_bytes(struct unpack *in, void *to, size_t n)
{
	if (in->failed || in->rest.n < n) {
		in->failed = true;
		memset(to, 0, n);
		return;
	}
	if (n > 0)
		memcpy(to, in->rest.s, n);
	in->rest.s += n;
	in->rest.n -= n;
}

uint64_t unpack_uint(struct unpack *in, size_t bytes)
{
	uint64_t value = 0;

	unpack_bytes(in, (char *)&value + sizeof value - bytes, bytes);
	return be64toh(value);
}

struct str unpack_str(struct unpack *in, size_t max)
{
	size_t n = unpack_u16(in);
	struct str text;

	if (in->failed || n > max || in->rest.n < n) {
		in->failed = true;
		return (struct str)STR_INIT;
	}
	text = (struct str){ in->rest.s, n };
	in->rest.s += n;
	in->rest.n -= n;
	return text;
}

int unpack_end(const struct unpack *in)
{
	return in->failed || in->rest.n > 0 ? -1 : 0;
}
