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

void pack_u8(struct buf *, uint8_t);
void pack_u16(struct buf *, uint16_t);
void pack_u32(struct buf *, uint32_t);
void pack_u64(struct buf *, uint64_t);
void pack_bytes(struct buf *, const void *, size_t n);	/* as they are */
void pack_str(struct buf *, struct str);		/* a u16 of length, then the bytes; at most 65,535 */

struct unpack {
	struct str rest;
	bool failed;
};

static inline struct unpack unpack_of(struct str bytes)
{
	return (struct unpack){ .rest = bytes, .failed = false };
}

uint8_t unpack_u8(struct unpack *);
uint16_t unpack_u16(struct unpack *);
uint32_t unpack_u32(struct unpack *);
uint64_t unpack_u64(struct unpack *);
void unpack_bytes(struct unpack *, void *, size_t n);	/* zeros on failure */
struct str unpack_str(struct unpack *, size_t max);	/* points into the message */

/* 0 when everything was read, exactly to the end; else -1. */
int unpack_end(const struct unpack *);

#endif
