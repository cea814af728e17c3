/*
 * pack - numbers and bytes in network order, written and read with bounds
 *
 * Writers append to a buf.  A reader walks a slice; once it has met the
 * end or a value out of bounds it stays failed and gives zeros, so that a
 * message is read field by field and judged once:
 *
 *	struct unpack in = unpack_of(body);
 *	uint64_t id = unpack_u64(&in);
 *	struct str path = unpack_str(&in, PATH_BYTES);
 *	if (unpack_end(&in) < 0)
 *		return err_set(err, ERR_INVALID, "read message: malformed");
 */
#ifndef COVEY_PACK_H
#define COVEY_PACK_H

#include "buf.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

void pack_uint(struct buf *, size_t bytes, uint64_t);	/* the low ones of at most 8 */
void pack_bytes(struct buf *, const void *, size_t n);	/* as they are */
void pack_str(struct buf *, struct str);		/* a u16 of length, then the bytes; at most 65,535 */

static inline void pack_u8(struct buf *buf, uint8_t value)
{
	pack_uint(buf, sizeof value, value);
}

static inline void pack_u16(struct buf *buf, uint16_t value)
{
	pack_uint(buf, sizeof value, value);
}

static inline void pack_u32(struct buf *buf, uint32_t value)
{
	pack_uint(buf, sizeof value, value);
}

static inline void pack_u64(struct buf *buf, uint64_t value)
{
	pack_uint(buf, sizeof value, value);
}

struct unpack {
	struct str rest;
	bool failed;
};

static inline struct unpack unpack_of(struct str bytes)
{
	return (struct unpack){ .rest = bytes, .failed = false };
}

uint64_t unpack_uint(struct unpack *, size_t bytes);
void unpack_bytes(struct unpack *, void *, size_t n);	/* zeros on failure */
struct str unpack_str(struct unpack *, size_t max);	/* points into the message */

/* 0 when everything was read, exactly to the end; else -1. */
int unpack_end(const struct unpack *);

static inline uint8_t unpack_u8(struct unpack *in)
{
	return (uint8_t)unpack_uint(in, 1);
}

static inline uint16_t unpack_u16(struct unpack *in)
{
	return (uint16_t)unpack_uint(in, 2);
}

static inline uint32_t unpack_u32(struct unpack *in)
{
	return (uint32_t)unpack_uint(in, 4);
}

static inline uint64_t unpack_u64(struct unpack *in)
{
	return (uint64_t)unpack_uint(in, 8);
}

#endif
