/*
 * str - slices of text, and the bounded parsers for what comes from outside
 *
 * A slice points into memory that somebody else owns; it is not
 * NUL-terminated.  Every number that a client, a peer, a file or the
 * command line gives goes through str_u64() or one of its kin.
 */
#ifndef COVEY_STR_H
#define COVEY_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *s;		/* not owned; may be NULL when n is 0 */
	size_t n;		/* bytes */
};
#define STR_INIT { .s = NULL, .n = 0 }

/* A slice of a string literal, and the arguments for a "%.*s". */
#define STR(literal) ((struct str){ .s = (literal), .n = sizeof(literal) - 1 })
#define STR_ARG(slice) (int)(slice).n, (slice).s ? (slice).s : ""

static inline struct str str_of(const char *s)
{
	return (struct str){ .s = s, .n = s ? strlen(s) : 0 };
}

bool str_eq(struct str, struct str);
bool str_eq_nocase(struct str, struct str);	/* ASCII only, as HTTP wants */
bool str_starts(struct str, struct str prefix);
bool str_ends(struct str, struct str suffix);
int str_cmp(struct str, struct str);		/* by bytes; <0, 0, >0 */
struct str str_trim(struct str);		/* without spaces and tabs at its ends */

/*
 * Take what stands before the next separator off the front of *rest.
 * False when *rest is exhausted (its s is then NULL); "a," gives "a" and "".
 */
bool str_cut(struct str *rest, char separator, struct str *ret);

/* Decimal digits only, at most max.  0, or -1 with *ret untouched. */
int str_u64(struct str, uint64_t max, uint64_t *ret);
int str_u32(struct str, uint32_t *ret);

/* Exactly 16 or fewer lower- or upper-case hexadecimal digits, at least one. */
int str_hex64(struct str, uint64_t *ret);

/* Hexadecimal text of n bytes, lower case; to holds 2 * n + 1. */
void str_to_hex(char *to, const void *bytes, size_t n);

/* n bytes from exactly 2 * n hexadecimal digits. */
int str_from_hex(struct str, void *bytes, size_t n);

#endif
