/* http_body - bodies by length and in chunks, at once and byte by byte */
#include "body.h"
#include "unit.h"

struct attempt {
	const char *bytes;
	const char *content;	/* NULL: refused */
	int status;
};

#define LONG_EXTENSION ";aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct attempt attempts[] = {
	{ "0\r\n\r\n", "", 0 },
	{ "5\r\nhello\r\n0\r\n\r\n", "hello", 0 },
	{ "00005\r\nhello\r\n000\r\n\r\n", "hello", 0 },
	{ "a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n", "0123456789x", 0 },
	{ "A;x=y\r\n0123456789\r\n0;z\r\n\r\n", "0123456789", 0 },
	{ "5 ;x=\"a;b\" \r\nhello\r\n0\t;y\r\n\r\n", "hello", 0 },
	{ "1\r\nx\r\n0\r\nRepr-Digest: abc\r\nX: y\r\n\r\n", "x", 0 },
	{ "5\nhello\r\n0\r\n\r\n", NULL, 400 },
	{ "5\r\nhello\n0\r\n\r\n", NULL, 400 },
	{ "5\r\nhelloo\r\n0\r\n\r\n", NULL, 400 },
	{ "5\r\nhell\r\n0\r\n\r\n", NULL, 400 },
	{ "5\r\nhello\r\n0\r\n\n", NULL, 400 },
	{ "5\r\nhello\r\n0\n\r\n", NULL, 400 },
	{ "\r\n5\r\nhello\r\n0\r\n\r\n", NULL, 400 },
	{ " 5\r\nhello\r\n0\r\n\r\n", NULL, 400 },
	{ "5 \r\nhello\r\n0\r\n\r\n", NULL, 400 },
	{ "5 5\r\nhello\r\n0\r\n\r\n", NULL, 400 },
	{ "5\x0b\r\nhello\r\n0\r\n\r\n", NULL, 400 },
	{ "0x5\r\nhello\r\n0\r\n\r\n", NULL, 400 },
	{ "+5\r\nhello\r\n0\r\n\r\n", NULL, 400 },
	{ "-1\r\n", NULL, 400 },
	{ "5_0\r\n", NULL, 400 },
	{ ";x\r\n", NULL, 400 },
	{ "g\r\n", NULL, 400 },
	{ "5;a\nb\r\nhello\r\n0\r\n\r\n", NULL, 400 },
	{ "5;a\rb\r\nhello\r\n0\r\n\r\n", NULL, 400 },
	{ "5;\x01\r\nhello\r\n0\r\n\r\n", NULL, 400 },
	{ "5\rhello\r\n", NULL, 400 },
	{ "10000000000000000\r\n", NULL, 400 },
	{ "ffffffffffffffff\r\n", NULL, 413 },
	{ "8000000000000000\r\n", NULL, 413 },
	{ "1\r\nx\r\n7fffffffffffffff\r\n", NULL, 413 },
	{ "fff\r\n", NULL, 413 },
	{ "0\r\nA: b\n\r\n", NULL, 400 },
	{ "0\r\nA : b\r\n\r\n", NULL, 400 },
	{ "0\r\n A: b\r\n\r\n", NULL, 400 },
	{ "0\r\nA: b\r\n c\r\n\r\n", NULL, 400 },
	{ "0\r\nA\r\n\r\n", NULL, 400 },
};

#define LIMIT 1000

/* Feed in pieces of `step` bytes; -1 refused, 0 unfinished, 1 done. */
static int feed(struct body *body, const char *bytes, size_t n, size_t step, struct buf *content,
		size_t *used, struct refusal *refusal)
{
	*used = 0;
	while (!body->done && *used < n) {
		struct str input = { bytes + *used, n - *used < step ? n - *used : step }, piece;
		size_t before = input.n;
		int r;

		while ((r = body_next(body, &input, &piece, refusal)) > 0)
			buf_addstr(content, piece);
		if (r < 0)
			return -1;
		*used += before - input.n;
	}
	return body->done;
}

static const struct head chunked = { .framing = FRAMING_CHUNKED };

static void test_attempt(const struct attempt *attempt, size_t step)
{
	struct body body = BODY_INIT;
	struct buf content = BUF_INIT, bytes = BUF_INIT;
	struct refusal refusal = { 0, NULL };
	size_t used;
	int r;

	buf_adds(&bytes, attempt->bytes);
	buf_adds(&bytes, "NEXT");
	CHECK(body_start(&body, &chunked, LIMIT, &refusal) == 0);
	r = feed(&body, bytes.data, bytes.len, step, &content, &used, &refusal);
	CHECK(r == (attempt->content ? 1 : -1));
	CHECK(refusal.status == attempt->status);
	if (refusal.status != attempt->status)
		fprintf(stderr, "got %d, want %d: %s\n", refusal.status, attempt->status,
			attempt->bytes);
	if (attempt->content != NULL) {
		CHECK(str_eq(buf_str(&content), str_of(attempt->content)));
		CHECK(body.received == content.len);
		CHECK(used == bytes.len - 4);
	}
	buf_clear(&content);
	buf_clear(&bytes);
	body_clear(&body);
}

static void test_length(void)
{
	struct head head = { .framing = FRAMING_LENGTH, .length = 5 };
	struct body body = BODY_INIT;
	struct buf content = BUF_INIT;
	struct refusal refusal = { 0, NULL };
	size_t used;

	for (size_t step = 1; step < 9; step++) {
		buf_reset(&content);
		CHECK(body_start(&body, &head, 5, &refusal) == 0);
		CHECK(feed(&body, "helloGET", 8, step, &content, &used, &refusal) == 1);
		CHECK(used == 5 && str_eq(buf_str(&content), STR("hello")));
	}
	CHECK(body_start(&body, &head, 4, &refusal) == -1 && refusal.status == 413);
	CHECK(body_start(&body, &head, 0, &refusal) == 0);
	CHECK(feed(&body, "hell", 4, 4, &content, &used, &refusal) == 0 && !body.done);
	head.length = 0;
	CHECK(body_start(&body, &head, 4, &refusal) == 0 && body.done);
	head.framing = FRAMING_NONE;
	CHECK(body_start(&body, &head, 4, &refusal) == 0 && body.done);
	buf_clear(&content);
	body_clear(&body);
}

static void test_trailers(void)
{
	static const char bytes[] = "0\r\nA: b\r\nrepr-digest: \t x \r\n\r\n";
	struct body body = BODY_INIT;
	struct buf content = BUF_INIT;
	struct refusal refusal = { 0, NULL };
	size_t used;

	CHECK(body_start(&body, &chunked, 0, &refusal) == 0);
	CHECK(feed(&body, bytes, sizeof(bytes) - 1, 3, &content, &used, &refusal) == 1);
	CHECK(str_eq(body_trailer(&body, FIELD_REPR_DIGEST), STR("x")));
	CHECK(body_trailer(&body, FIELD_CONTENT_DIGEST).s == NULL);
	buf_clear(&content);
	body_clear(&body);
}

/* before, then `fill` for ever: refused at last with this status. */
static void test_bound(const char *before, const char *fill, int status)
{
	struct body body = BODY_INIT;
	struct buf content = BUF_INIT;
	struct refusal refusal = { 0, NULL };
	size_t used;
	int r;

	CHECK(body_start(&body, &chunked, 0, &refusal) == 0);
	r = feed(&body, before, strlen(before), 99, &content, &used, &refusal);
	for (int i = 0; i < 40000 && r == 0; i++)
		r = feed(&body, fill, strlen(fill), 99, &content, &used, &refusal);
	CHECK(r == -1 && refusal.status == status);
	buf_clear(&content);
	body_clear(&body);
}

/* Extensions that are shorter than their chunks may go on for ever. */
static void test_signed_chunks(void)
{
	struct body body = BODY_INIT;
	struct buf content = BUF_INIT, chunk = BUF_INIT;
	struct refusal refusal = { 0, NULL };
	size_t used;
	int r = 0;

	buf_adds(&chunk, "40" LONG_EXTENSION "\r\n");
	for (int i = 0; i < 64; i++)
		buf_addc(&chunk, 'x');
	buf_adds(&chunk, "\r\n");
	CHECK(body_start(&body, &chunked, 0, &refusal) == 0);
	for (int i = 0; i < 1000 && r == 0; i++)
		r = feed(&body, chunk.data, chunk.len, 99, &content, &used, &refusal);
	CHECK(r == 0 && body.received == 64000);
	buf_clear(&content);
	buf_clear(&chunk);
	body_clear(&body);
}

int main(void)
{
	test_signed_chunks();
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		for (size_t step = 1; step < 20; step++)
			test_attempt(&attempts[i], step);
	test_length();
	test_trailers();
	test_bound("", "1" LONG_EXTENSION "\r\nx\r\n", 400);
	test_bound("1 ", " ", 400);
	test_bound("0\r\n", "A: b\r\n", 431);
	test_bound("0\r\n", "A", 431);
	return UNIT_RESULT();
}
