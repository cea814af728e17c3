/*
 * seal - packets that only holders of the group's key can make or read
 *
 *	offset size
 *	0      3    "cvy"
 *	3      1    protocol version, in clear, authenticated
 *	4      24   nonce, never used twice
 *	28          XChaCha20-Poly1305 of the message, then 16 bytes of tag
 *
 * (RFC 8439 with the longer nonce of draft-irtf-cfrg-xchacha, by libsodium:
 * 24 bytes are enough to be drawn at random.)
 *
 * The key file has one key per line, 64 hexadecimal digits; empty lines
 * and lines that begin with '#' do not count.  The first key seals, and all
 * open, so that a key can be changed node by node: the new one is added below
 * the old one, then goes before it, then the old one goes.  One that has just
 * gone still opens for a moment (keyring.h).  A packet that does not open
 * leaves no trace, and deserves no answer.
 *
 * seal_keys_parse() makes libsodium ready, and so comes first.
 */
#ifndef COVEY_SEAL_H
#define COVEY_SEAL_H

#include "err.h"
#include "str.h"
#include "wire.h"

#include <stdint.h>

#define SEAL_KEYS 2		/* in one file */
#define SEAL_OPENING (2 * SEAL_KEYS)	/* with those that have just gone */
#define SEAL_KEY_BYTES 32
#define SEAL_NONCE_BYTES 24

struct seal_keys {
	struct {
		uint8_t bytes[SEAL_KEY_BYTES];
		uint64_t group;		/* derived from the key, to tell it from others: which it is may be told */
	} list[SEAL_OPENING];
	size_t count;
};
#define SEAL_KEYS_INIT { .count = 0 }

/* A key file's text, of at most SEAL_KEYS. */
int seal_keys_parse(struct str text, struct seal_keys *ret, struct err *);

/* What tells a key from others, and may be told: 8 hexadecimal digits.  Returns to. */
#define SEAL_KEY_NAME 9
const char *seal_key_name(char to[SEAL_KEY_NAME], const struct seal_keys *, size_t i);

/* The packet's length.  plain has at most WIRE_PLAIN_BYTES. */
size_t seal_close(const struct seal_keys *, uint8_t protocol,
		  const uint8_t nonce[SEAL_NONCE_BYTES], struct str plain, uint8_t to[WIRE_BYTES]);

struct sealed {
	uint8_t protocol;
	size_t n;			/* bytes of the message */
	char plain[WIRE_PLAIN_BYTES];
};

/* It looks like a sealed message: one that does not open is of another key, or was changed. */
bool seal_is_sealed(struct str packet);

/* 0, or -1: not for us. */
int seal_open(const struct seal_keys *, struct str packet, struct sealed *ret);

/*
 * The same for what travels in the body of POST /.covey/msg, at most
 * WIRE_LONG_BYTES when sealed, or WIRE_CONTENTS_BYTES.
 */
#define SEAL_LONG_PLAIN_BYTES (WIRE_LONG_BYTES - (WIRE_BYTES - WIRE_PLAIN_BYTES))
#define SEAL_CONTENTS_PLAIN_BYTES (WIRE_CONTENTS_BYTES - (WIRE_BYTES - WIRE_PLAIN_BYTES))
/* Appends, of this release's protocol, with a nonce that is drawn here. */
void seal_message(const struct seal_keys *, struct str plain, struct buf *to);
/* Replaces what *ret holds; on failure it is untouched. */
int seal_open_long(const struct seal_keys *, struct str packet, uint8_t *ret_protocol, struct buf *ret);

#endif
