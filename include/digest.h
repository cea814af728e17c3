/*
 * digest - SHA-256 in pieces, SHA-512 of files (FIPS 180-4, by libcrypto), and base64 for them
 *
 *	digest_new	digest_add...	digest_end	digest_free
 *
 * Hashing cannot fail: a libcrypto without SHA-256 aborts, as memory does (mem.h).
 */
#ifndef COVEY_DIGEST_H
#define COVEY_DIGEST_H

#include "buf.h"
#include "str.h"

#include <stdint.h>

struct digest;			/* one running hash; use by one thread at a time */

struct digest *digest_new(void);
void digest_free(struct digest *);		/* NULL is fine */
void digest_add(struct digest *, const void *, size_t n);
void digest_end(struct digest *, uint8_t ret[32]);	/* only digest_free() may follow */
void digest_of(const void *, size_t n, uint8_t ret[32]);	/* all three, of what is in memory */

/* SHA-512 of what a file holds; 0, or -1 and errno. */
int digest_file_512(int fd, uint8_t ret[64]);

/* RFC 4648 base64 with padding, as structured fields use it. */
void base64_encode(struct buf *, const void *, size_t n);
int base64_decode(struct str, uint8_t *to, size_t n);	/* exactly n bytes, or -1 */

#endif
