/*
 * conn_input - the bytes that a connection receives
 *
 *	input:	| earlier requests | head | body, as far as it came with the head ... |
 *		0                  taken  taken + head.size
 *	beyond:	what was received behind the body: the next request
 *
 * A head points into input and must not move until its request is over:
 * only then what was taken goes, and what lies beyond joins the rest.
 */
#include "conn_inside.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES 8192		/* room for a head at first */

static ssize_t receive(struct conn *c, char *to, size_t n)
{
	ssize_t got;

	do
		got = c->socket ? recv(c->in, to, n, 0) : read(c->in, to, n);
	while (got < 0 && errno == EINTR);
	/* Less than there was room for: the rest has not come yet. */
	if (got < (ssize_t)n)
		c->readable = false;
	if (got == 0 || (got < 0 && errno != EAGAIN))
		c->eof = true;
	return got;
}

struct str input_of_head(const struct conn *c)
{
	if (c->input.len == c->taken)
		return (struct str)STR_INIT;
	return (struct str){ c->input.data + c->taken, c->input.len - c->taken };
}

void input_receive_head(struct conn *c)
{
	ssize_t got;

	if (c->taken > 0) {
		buf_drop(&c->input, c->taken);
		c->taken = 0;
	}
	got = receive(c, buf_reserve(&c->input, RECEIVE_BYTES), RECEIVE_BYTES);
	if (got > 0)
		c->input.len += (size_t)got;
}

bool input_is_behind(const struct conn *c)
{
	return c->beyond.len > 0 || c->input.len > c->taken + c->head.size;
}

void input_next(struct conn *c)
{
	c->taken += c->head.size;
	if (c->taken == c->input.len) {
		c->taken = 0;
		buf_reset(&c->input);
	}
	buf_add(&c->input, c->beyond.data, c->beyond.len);
	buf_reset(&c->beyond);
}

int conn_receive(struct conn *c, char *to, size_t n, size_t *ret_n)
{
	ssize_t got;

	if (c->eof || c->gone)
		return -1;
	if (!c->readable)
		return 0;
	got = receive(c, to, n);
	if (got <= 0)
		return c->eof ? -1 : 0;
	*ret_n = (size_t)got;
	conn_expect(c);
	return 1;
}

struct str conn_early(const struct conn *c)
{
	size_t start = c->taken + c->head.size;

	return (struct str){ c->input.data + start, c->input.len - start };
}

void conn_early_taken(struct conn *c, size_t n)
{
	char *start = c->input.data + c->taken + c->head.size;

	c->input.len -= n;
	memmove(start, start + n, (size_t)(c->input.data + c->input.len - start));
}

void conn_put_back(struct conn *c, struct str bytes)
{
	buf_addstr(&c->beyond, bytes);
}
