/*
 * buf - a buffer of bytes that grows
 *
 * data is always NUL-terminated behind len once anything was added, so a
 * buf of text can be printed; NULs inside are allowed.  BUF_INIT is safe
 * to clear.  A struct buf may be moved by assignment.
 */
#ifndef COVEY_BUF_H
#define COVEY_BUF_H

#include "str.h"

#include <stddef.h>

struct buf {
	char *data;		/* owned; NULL while nothing was added */
	size_t len;		/* bytes in use */
	size_t cap;		/* bytes allocated */
};
#define BUF_INIT { .data = NULL, .len = 0, .cap = 0 }

void buf_clear(struct buf *);			/* frees; reusable after */
void buf_reset(struct buf *);			/* empties, keeps the memory */
char *buf_reserve(struct buf *, size_t room);	/* room bytes free behind len; where they begin */
void buf_add(struct buf *, const void *, size_t n);
void buf_adds(struct buf *, const char *text);
void buf_addstr(struct buf *, struct str);
void buf_addc(struct buf *, char);
void buf_addf(struct buf *, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void buf_drop(struct buf *, size_t n);		/* the first n bytes go */
char *buf_take(struct buf *);			/* the text, now the caller's to free; the buf is empty */

static inline struct str buf_str(const struct buf *buf)
{
	return (struct str){ .s = buf->data, .n = buf->len };
}

#endif
