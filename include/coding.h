/*
 * coding - a content in fewer bytes: zstd (RFC 8878), or dcz (RFC 9842) by what the receiver has already
 *
 * dcz is a content of which the receiver has another, its dictionary, most
 * often the version before: 40 bytes that tell the dictionary's sha256, then
 * a zstd frame that refers to it.  `zstd -d --patch-from=DICTIONARY` reads it.
 * Windows are what the RFCs allow: 8 MiB, and of dcz a quarter more than
 * the dictionary, if that is more.
 *
 * What is coded, and what it is coded by, has at most CODING_MOST bytes, so
 * that a coder takes some 140 MiB at most; and there are CODING_AT_ONCE of
 * them in a process.  Whoever would be one more sends, or asks for, the content as it is:
 *
 *	coding_enter		false: there are enough
 *	dictionary_read		of dcz; both sides read it anew, and believe its sha256 alone
 *	coding_encode, or decoder_new, decoder_add..., decoder_end, decoder_free
 *	dictionary_clear
 *	coding_leave
 *
 * Both block: they are for threads that may.  A decoder takes any bytes:
 * what is no such coding, or is more than it should be, is ERR_CORRUPT.
 */
#ifndef COVEY_CODING_H
#define COVEY_CODING_H

#include "err.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODING_LEAST (16u << 10)	/* bytes: what is smaller is not worth it */
#define CODING_MOST (64u << 20)		/* bytes: of a content, and of a dictionary */
#define CODING_AT_ONCE 2		/* coders of a process */
#define CODING_SHA256 32

enum coding { CODING_NONE, CODING_ZSTD, CODING_DCZ };

#define CODING_ZSTD_NAME "zstd"
#define CODING_DCZ_NAME "dcz"

/* As Content-Encoding has it; CODING_NONE: another, or none. */
enum coding coding_of(struct str name);
const char *coding_name(enum coding);	/* not of CODING_NONE */

static inline bool coding_is_for(uint64_t size)
{
	return size >= CODING_LEAST && size <= CODING_MOST;
}

/* How much longer than for a content of this size as it is another node is waited for, which may have to code it. */
uint64_t coding_patience_ms(uint64_t size);

/* Any thread. */
bool coding_enter(void);
void coding_leave(void);

struct dictionary {
	char *bytes;			/* owned; NULL: there is none */
	size_t size;
	uint8_t sha256[CODING_SHA256];
};
#define DICTIONARY_INIT { .bytes = NULL }
/* From the start of an open file, which may be removed meanwhile; ERR_CORRUPT: it is not what has this sha256. */
int dictionary_read(struct dictionary *, int fd, uint64_t size, const uint8_t sha256[CODING_SHA256], struct err *);
void dictionary_clear(struct dictionary *);	/* safe on DICTIONARY_INIT */

/*
 * The first `size` bytes of a file, coded into another that is empty.  By no
 * dictionary (NULL) it is zstd.  ERR_TOO_LARGE: an eighth is not saved, which mostly shows early.
 */
int coding_encode(const struct dictionary *, int from, uint64_t size, int to, uint64_t *ret_size, struct err *);

struct decoder;

/* Of what it has decoded, the next bytes; -1 stops it. */
typedef int decoder_take_fn(void *data, const void *bytes, size_t n, struct err *);

/* The dictionary (NULL: it is zstd) has to stay.  size: so many bytes have to come out. */
struct decoder *decoder_new(const struct dictionary *, uint64_t size);
int decoder_add(struct decoder *, const void *, size_t n, decoder_take_fn *, void *data, struct err *);
int decoder_end(struct decoder *, struct err *);	/* no more comes: was it whole? */
void decoder_free(struct decoder *);		/* NULL is fine */

#endif
