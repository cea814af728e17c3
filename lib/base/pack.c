/* pack - numbers and bytes in network order, written and read with bounds */
#include "pack.h"

#include <endian.h>

void pack_u8(struct buf *buf, uint8_t value)
{
	buf_add(buf, &value, 1);
}

void pack_u16(struct buf *buf, uint16_t value)
{
	value = htobe16(value);
	buf_add(buf, &value, sizeof value);
}

void pack_u32(struct buf *buf, uint32_t value)
{
	value = htobe32(value);
	buf_add(buf, &value, sizeof value);
}

void pack_u64(struct buf *buf, uint64_t value)
{
	value = htobe64(value);
	buf_add(buf, &value, sizeof value);
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

uint8_t unpack_u8(struct unpack *in)
{
	uint8_t value;

	unpack_bytes(in, &value, sizeof value);
	return value;
}

uint16_t unpack_u16(struct unpack *in)
{
	uint16_t value;

	unpack_bytes(in, &value, sizeof value);
	return be16toh(value);
}

uint32_t unpack_u32(struct unpack *in)
{
	uint32_t value;

	unpack_bytes(in, &value, sizeof value);
	return be32toh(value);
}

uint64_t unpack_u64(struct unpack *in)
{
	uint64_t value;

	unpack_bytes(in, &value, sizeof value);
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
