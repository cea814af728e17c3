/*
 * sign - HTTP requests, and their answers, that only holders of the group's key can make
 *
 *	Covey-Signature: v2 <sender, hex> <receiver, hex> <time, ns since 1970> <nonce, hex> <mac, hex>
 *
 * The mac is BLAKE2b (RFC 7693), keyed with a key derived from the group's, over the
 * sender's and the receiver's ids, the method, the target as sent, every
 * Covey-* field, Range, ETag, Content-Range, Content-Encoding, Accept-Encoding
 * and Available-Dictionary with their values, the time and the nonce.  Each part goes in with its length, and the fields sorted,
 * so that no other request has the same bytes.  The body is not covered: it
 * is sealed, or its sha256 is among the fields.
 *
 * A trailer that carries fields of its own is signed as a request of the
 * method SIGN_TRAILER with its request's nonce, so that it belongs to no
 * other.  An answer is signed as a request of the method SIGN_ANSWER whose
 * target is its status, by the receiver and for the sender, with the
 * request's nonce; where its body has to be believed too, the answer's
 * trailer, of the method SIGN_ANSWER_TRAILER, has SIGN_BODY with the body's
 * sha256 in hex.
 *
 * As with sealed packets the first key signs and all are believed.
 *
 * A request is good at its receiver alone, for SIGN_WINDOW_NS around the
 * receiver's clock, once: what was accepted is remembered for twice that.
 * Whoever is refused as OLD held a key, and may be told the receiver's clock,
 * to sign again.  The memory is bounded; when more is accepted than it holds,
 * it forgets the oldest and from then on believes nothing signed before.  An
 * answer is good for the request that has its nonce, which is asked once.
 *
 * Pure: times and nonces are parameters.  A struct sign_memory is for one
 * thread at a time; the rest keeps nothing.
 */
#ifndef COVEY_SIGN_H
#define COVEY_SIGN_H

#include "seal.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGN_FIELD "Covey-Signature"
#define SIGN_TRAILER "trailer of PUT"	/* no request has such a method */
#define SIGN_ANSWER "answer"
#define SIGN_ANSWER_TRAILER "trailer of answer"
#define SIGN_BODY "Covey-Body"
#define SIGN_NONCE_BYTES 16
#define SIGN_FIELDS_MAX 16		/* that are covered, in one request */
#define SIGN_TEXT 192			/* bytes that hold any signature's text, with its NUL */
#define SIGN_WINDOW_NS (60ull * 1000000000)
#define SIGN_REMEMBERED_MAX (1u << 17)	/* at least so many; at most twice */

struct sign_keys {
	struct {
		uint8_t bytes[SEAL_KEY_BYTES];
	} list[SEAL_OPENING];
	size_t count;
};
#define SIGN_KEYS_INIT { .count = 0 }

void sign_keys_derive(struct sign_keys *, const struct seal_keys *);

/* Whether a field's name is covered; the signature itself is not. */
bool sign_covers(struct str name);

struct sign_part {
	struct str name;		/* in any case */
	struct str value;		/* without the space around it */
};

struct sign_request {
	uint64_t sender, receiver;	/* node ids */
	struct str method, target;	/* as sent */
	const struct sign_part *fields;	/* in any order; those not covered do not count */
	size_t field_count;
};

/* Returns to; the request has at most SIGN_FIELDS_MAX covered fields. */
const char *sign_make(char to[SIGN_TEXT], const struct sign_keys *, const struct sign_request *,
		      uint64_t time, const uint8_t nonce[SIGN_NONCE_BYTES]);

/* A set of what was accepted; keys are pieces of macs, never 0. */
struct sign_generation {
	uint64_t *slots;		/* owned; 0: free */
	size_t room, count;
	uint64_t began;			/* ns: when its first came */
	uint64_t latest;		/* ns: the greatest time signed in it */
};

struct sign_memory {
	struct sign_generation now, before;
	uint64_t floor;			/* ns: nothing signed up to then is believed */
};
#define SIGN_MEMORY_INIT { .floor = 0 }
void sign_memory_clear(struct sign_memory *);	/* safe on SIGN_MEMORY_INIT */

/*
 * Believe nothing signed before this moment: for a process that starts, and
 * does not know what an earlier one has accepted.
 */
void sign_memory_since(struct sign_memory *, uint64_t time);

enum sign_verdict {
	SIGN_OK,
	SIGN_FORGED,		/* not by a holder of a key, or not this request */
	SIGN_ELSEWHERE,		/* by one, for another node */
	SIGN_OLD,		/* by one, but not now by this clock */
	SIGN_REPLAYED,		/* accepted before */
};

/* Who asks, and what its answer has to repeat. */
struct sign_asker {
	uint64_t id;
	uint8_t nonce[SIGN_NONCE_BYTES];
};

/*
 * text: the value of Covey-Signature.  The request's receiver is this node;
 * its sender is not looked at, but told, of what is OK or OLD.
 */
enum sign_verdict sign_check(struct sign_memory *, const struct sign_keys *,
			     const struct sign_request *, struct str text, uint64_t now,
			     struct sign_asker *ret);
/* An answer, or its trailer, by this very sender for this receiver, to the request of this nonce. */
bool sign_check_answer(const struct sign_keys *, const struct sign_request *, struct str text,
		       const uint8_t nonce[SIGN_NONCE_BYTES]);

#endif
