/* http_head - what the head parser takes and what it refuses, fed at once and byte by byte */
#include "head.h"
#include "unit.h"

#include "mem.h"

#define TAIL "Host: a\r\n\r\n"
#define H(line) "GET / HTTP/1.1\r\nHost: a\r\n" line "\r\n\r\n"

struct attempt {
	const char *bytes;
	int status;		/* 0: accepted */
};

static const struct attempt attempts[] = {
	/* the request line */
	{ "GET / HTTP/1.1\r\n" TAIL, 0 },
	{ "\r\nGET / HTTP/1.1\r\n" TAIL, 0 },
	{ "\r\n\r\nGET / HTTP/1.1\r\n" TAIL, 400 },
	{ "GET / HTTP/1.1\n" TAIL, 400 },
	{ "GET / HTTP/1.1\r\nHost: a\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a\r\n\n", 400 },
	{ "GET / HTTP/1.1\r" TAIL, 400 },
	{ "GET  / HTTP/1.1\r\n" TAIL, 400 },
	{ "GET /  HTTP/1.1\r\n" TAIL, 400 },
	{ "GET / HTTP/1.1 \r\n" TAIL, 400 },
	{ " GET / HTTP/1.1\r\n" TAIL, 400 },
	{ "GET\t/ HTTP/1.1\r\n" TAIL, 400 },
	{ "GET /\tHTTP/1.1\r\n" TAIL, 400 },
	{ "GET /a b HTTP/1.1\r\n" TAIL, 400 },
	{ "GET /\r\n" TAIL, 400 },
	{ "GET\r\n" TAIL, 400 },
	{ "GET / HTTP/1\r\n" TAIL, 400 },
	{ "GET / HTTP/1.10\r\n" TAIL, 400 },
	{ "GET / http/1.1\r\n" TAIL, 400 },
	{ "GET / HTTP/x.1\r\n" TAIL, 400 },
	{ "GET / HTTP/1.2\r\n" TAIL, 0 },
	{ "GET / HTTP/2.0\r\n" TAIL, 505 },
	{ "GET / HTTP/0.9\r\n" TAIL, 505 },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
	{ "\x16\x03\x01\x02", 400 },
	{ "BREW / HTTP/1.1\r\n" TAIL, 0 },
	{ "get / HTTP/1.1\r\n" TAIL, 0 },
	{ "G@T / HTTP/1.1\r\n" TAIL, 400 },
	/* the target */
	{ "GET /\xc3\xa4|[]\\^{}\"<> HTTP/1.1\r\n" TAIL, 0 },
	{ "GET /a#b HTTP/1.1\r\n" TAIL, 400 },
	{ "GET /a\x7f HTTP/1.1\r\n" TAIL, 400 },
	{ "GET a HTTP/1.1\r\n" TAIL, 400 },
	{ "GET * HTTP/1.1\r\n" TAIL, 400 },
	{ "OPTIONS * HTTP/1.1\r\n" TAIL, 0 },
	{ "GET http://b/c HTTP/1.1\r\n" TAIL, 0 },
	{ "GET http://b:80?q HTTP/1.1\r\n" TAIL, 0 },
	{ "GET http:///c HTTP/1.1\r\n" TAIL, 400 },
	{ "GET http://u@b/c HTTP/1.1\r\n" TAIL, 400 },
	{ "GET HTTPS://b/c HTTP/1.1\r\n" TAIL, 0 },
	{ "GET http://b/c HTTP/1.1\r\n\r\n", 400 },
	{ "GET ftp://b/c HTTP/1.1\r\n" TAIL, 400 },
	{ "GET b:80 HTTP/1.1\r\n" TAIL, 400 },
	{ "CONNECT b:80 HTTP/1.1\r\n" TAIL, 501 },
	/* Host */
	{ "GET / HTTP/1.1\r\n\r\n", 400 },
	{ "GET / HTTP/1.0\r\n\r\n", 0 },
	{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400 },
	{ H("Host: a"), 400 },
	{ H("host: b"), 400 },
	{ "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: a:800000\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0 },
	{ "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400 },
	{ "GET / HTTP/1.1\r\nHost: [::1/]\r\n\r\n", 400 },
	/* field lines */
	{ H("A:"), 0 },
	{ H("A:b"), 0 },
	{ H("A:\t b \t"), 0 },
	{ H("A: \x80\xff"), 0 },
	{ H("A : b"), 400 },
	{ H("A\t: b"), 400 },
	{ H(": b"), 400 },
	{ H("A"), 400 },
	{ H("A b: c"), 400 },
	{ H("A\x80: b"), 400 },
	{ H(" A: b"), 400 },
	{ H("A: b\r\n c"), 400 },
	{ H("A: b\r\n\tc"), 400 },
	{ "GET / HTTP/1.1\r\n A: b\r\n" TAIL, 400 },
	{ H("A: b\rC: d"), 400 },
	{ H("A: b\nC: d"), 400 },
	{ H("A: b\x01"), 400 },
	{ H("A: 12345678\x1f" "12345678"), 400 },
	{ H("A: b\x7f"), 400 },
	{ H("A: 1234567\x7f" "12345678"), 400 },
	{ H("A: b\x0b"), 400 },
	/* where the body ends */
	{ H("Content-Length: 5"), 0 },
	{ H("Content-Length: 0005"), 0 },
	{ H("Content-Length: 5\r\nContent-Length: 5"), 400 },
	{ H("Content-Length: 5\r\ncontent-length: 6"), 400 },
	{ H("Content-Length: 5, 5"), 400 },
	{ H("Content-Length: 5,6"), 400 },
	{ H("Content-Length : 5"), 400 },
	{ H("Content-Length: +5"), 400 },
	{ H("Content-Length: -5"), 400 },
	{ H("Content-Length: 0x5"), 400 },
	{ H("Content-Length: 5 6"), 400 },
	{ H("Content-Length: 5;"), 400 },
	{ H("Content-Length:"), 400 },
	{ H("Content-Length: five"), 400 },
	{ H("Content-Length: 9223372036854775807"), 0 },
	{ H("Content-Length: 9223372036854775808"), 413 },
	{ H("Content-Length: 99999999999999999999999"), 413 },
	{ H("Transfer-Encoding: chunked"), 0 },
	{ H("Transfer-Encoding: CHUNKED"), 0 },
	{ H("Transfer-Encoding:\tchunked "), 0 },
	{ H("Transfer-Encoding: chunked\r\nContent-Length: 5"), 400 },
	{ H("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400 },
	{ H("Content-Length: 5\r\nTransfer-Encoding: identity"), 400 },
	{ H("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400 },
	{ H("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), 400 },
	{ H("Transfer-Encoding : chunked"), 400 },
	{ H("Transfer-Encoding: chunked, chunked"), 501 },
	{ H("Transfer-Encoding: gzip, chunked"), 501 },
	{ H("Transfer-Encoding: chunked, gzip"), 501 },
	{ H("Transfer-Encoding: identity"), 501 },
	{ H("Transfer-Encoding: xchunked"), 501 },
	{ H("Transfer-Encoding: \"chunked\""), 501 },
	{ H("Transfer-Encoding: chunked;q=1"), 501 },
	{ H("Transfer-Encoding:"), 501 },
	{ H("Transfer-Encoding: chun\r\n ked"), 400 },
	{ H("Transfer-Encoding: \x0b" "chunked"), 400 },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
	{ H("Transfer_Encoding: chunked"), 0 },
	/* what may come once, what may be expected */
	{ H("Range: bytes=0-\r\nRange: bytes=1-"), 400 },
	{ H("Content-Type: a/b\r\nContent-Type: a/b"), 400 },
	{ H("Accept: a/b\r\nAccept: c/d"), 0 },
	{ H("Expect: 100-continue"), 0 },
	{ H("Expect: 100-Continue"), 0 },
	{ H("Expect: 200-ok"), 417 },
	{ H("Expect: 100-continue, x"), 417 },
	{ "GET / HTTP/1.0\r\nExpect: x\r\n\r\n", 0 },
};

static int parse_bytewise(struct head *head, const char *bytes, size_t n, struct refusal *refusal)
{
	int r = 0;

	head_reset(head);
	for (size_t i = 1; i <= n && r == 0; i++)
		r = head_parse(head, bytes, i, refusal);
	return r;
}

static int judge(const char *bytes, size_t n, struct head *head)
{
	struct refusal at_once = { 0, NULL }, bytewise = { 0, NULL };
	static struct head other;
	int r, s;

	*head = (struct head)HEAD_INIT;
	r = head_parse(head, bytes, n, &at_once);
	s = parse_bytewise(&other, bytes, n, &bytewise);
	CHECK(r == s);
	CHECK(at_once.status == bytewise.status);
	CHECK(r != 1 || (head->size == other.size && head->field_count == other.field_count));
	return r < 0 ? at_once.status : r == 0 ? 1 : 0;
}

static struct head head;

static void test_attempts(void)
{
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		int status = judge(attempts[i].bytes, strlen(attempts[i].bytes), &head);

		CHECK(status == attempts[i].status);
		if (status != attempts[i].status)
			fprintf(stderr, "got %d, want %d: %s\n", status, attempts[i].status,
				attempts[i].bytes);
	}
}

static void test_nul(void)
{
	static const char in_value[] = "GET / HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n";
	static const char in_name[] = "GET / HTTP/1.1\r\nHost: a\r\nA\0: b\r\n\r\n";
	static const char in_target[] = "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char first[] = "\0GET / HTTP/1.1\r\nHost: a\r\n\r\n";

	CHECK(judge(in_value, sizeof(in_value) - 1, &head) == 400);
	CHECK(judge(in_name, sizeof(in_name) - 1, &head) == 400);
	CHECK(judge(in_target, sizeof(in_target) - 1, &head) == 400);
	CHECK(judge(first, sizeof(first) - 1, &head) == 400);
}

/* before, n times `fill`, after */
static int judge_long(const char *before, const char *fill, size_t n, const char *after)
{
	struct buf text = BUF_INIT;
	int status;

	buf_adds(&text, before);
	for (size_t i = 0; i < n; i++)
		buf_adds(&text, fill);
	buf_adds(&text, after);
	status = judge(text.data, text.len, &head);
	buf_clear(&text);
	return status;
}

static void test_limits(void)
{
	CHECK(judge_long("GET /", "a", HEAD_TARGET_BYTES - 1, " HTTP/1.1\r\n" TAIL) == 0);
	CHECK(judge_long("GET /", "a", HEAD_TARGET_BYTES, " HTTP/1.1\r\n" TAIL) == 414);
	CHECK(judge_long("GET /", "a", HEAD_TARGET_BYTES + 100, " HTTP/1.1\r\n" TAIL) == 414);
	CHECK(judge_long("GET /", "a", HEAD_BYTES, "") == 414);
	CHECK(judge_long("GET / HTTP/1.1\r\nHost: a\r\nA: ", "a", HEAD_BYTES - 32, "\r\n\r\n") == 0);
	CHECK(judge_long("GET / HTTP/1.1\r\nHost: a\r\nA: ", "a", HEAD_BYTES - 31, "\r\n\r\n") == 431);
	CHECK(judge_long("GET / HTTP/1.1\r\nHost: a\r\nA: ", "a", HEAD_BYTES, "") == 431);
	CHECK(judge_long("GET / HTTP/1.1\r\nHost: a\r\n", "A: b\r\n", HEAD_FIELDS - 1, "\r\n") == 0);
	CHECK(judge_long("GET / HTTP/1.1\r\nHost: a\r\n", "A: b\r\n", HEAD_FIELDS, "\r\n") == 431);
}

static int parse(const char *text)
{
	struct refusal refusal;

	head_reset(&head);
	return head_parse(&head, text, strlen(text), &refusal);
}

static void test_content(void)
{
	struct buf scratch = BUF_INIT;

	CHECK(parse("PUT /a%20b?x=1?2 HTTP/1.1\r\nhOST: h:1\r\nAccept:a/b\r\nACCEPT: \tc/d \r\n"
		    "Content-Length: 7\r\nExpect: 100-continue\r\nCovey-X: 1\r\n\r\nGET /") == 1);
	CHECK(head.method == METHOD_PUT && str_eq(head.method_text, STR("PUT")));
	CHECK(str_eq(head.path, STR("/a%20b")) && str_eq(head.query, STR("x=1?2")));
	CHECK(str_eq(head.host, STR("h:1")) && head.minor == 1 && head.keep_alive);
	CHECK(head.framing == FRAMING_LENGTH && head.length == 7 && head.expect_continue);
	CHECK(head.covey && head.field_count == 6);
	CHECK(str_eq(head_get(&head, FIELD_ACCEPT), STR("a/b")));
	CHECK(str_eq(head_list(&head, FIELD_ACCEPT, &scratch), STR("a/b, c/d")));
	CHECK(head_get(&head, FIELD_RANGE).s == NULL);
	buf_clear(&scratch);
	CHECK(parse(H("coveY-ePoch: 7")) == 1 && head.covey);
	CHECK(str_eq(head_get(&head, FIELD_COVEY_EPOCH), STR("7")));
	CHECK(parse(H("Covey-Epoch: 7\r\nCovey-Epoch: 7")) == -1);

	CHECK(parse("GET / HTTP/1.0\r\n\r\n") == 1);
	CHECK(head.minor == 0 && !head.keep_alive && head.query.s == NULL && !head.covey);
	CHECK(head.framing == FRAMING_NONE && head.host.n == 0 && head.field_count == 0);
	CHECK(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n") == 1 && head.keep_alive);
	CHECK(parse(H("Connection: x, Close")) == 1 && !head.keep_alive);
	CHECK(parse(H("Connection: x\r\nConnection: close")) == 1 && !head.keep_alive);
	CHECK(parse(H("Connection: x\r\nConnection: y")) == 1 && head.keep_alive);
	CHECK(parse(H("Connection: closed")) == 1 && head.keep_alive);
	CHECK(parse("GET http://B:8/c?d HTTP/1.1\r\n" TAIL) == 1);
	CHECK(str_eq(head.host, STR("B:8")) && str_eq(head.path, STR("/c")) &&
	      str_eq(head.query, STR("d")));
	CHECK(parse("GET http://b?d HTTP/1.1\r\n" TAIL) == 1 && str_eq(head.path, STR("/")));
	CHECK(parse("OPTIONS http://b HTTP/1.1\r\n" TAIL) == 1 && str_eq(head.path, STR("*")));
	CHECK(parse("GET /? HTTP/1.1\r\n" TAIL) == 1 && head.query.s != NULL && head.query.n == 0);
	CHECK(parse("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" TAIL) == 1);
	CHECK(head.framing == FRAMING_CHUNKED);
}

/* Every field has its name in the table, however it is written. */
static void test_names(void)
{
	static const char *const names[FIELD_COUNT] = {
		[FIELD_ACCEPT] = "Accept",
		[FIELD_ACCEPT_ENCODING] = "Accept-Encoding",
		[FIELD_AVAILABLE_DICTIONARY] = "Available-Dictionary",
		[FIELD_AUTHORIZATION] = "Authorization",
		[FIELD_CACHE_CONTROL] = "Cache-Control",
		[FIELD_CONNECTION] = "Connection",
		[FIELD_CONTENT_DIGEST] = "Content-Digest",
		[FIELD_CONTENT_DISPOSITION] = "Content-Disposition",
		[FIELD_CONTENT_ENCODING] = "Content-Encoding",
		[FIELD_CONTENT_LENGTH] = "Content-Length",
		[FIELD_CONTENT_RANGE] = "Content-Range",
		[FIELD_CONTENT_TYPE] = "Content-Type",
		[FIELD_COVEY_DICTIONARY] = "Covey-Dictionary",
		[FIELD_COVEY_EPOCH] = "Covey-Epoch",
		[FIELD_COVEY_PUSH] = "Covey-Push",
		[FIELD_COVEY_SIGNATURE] = "Covey-Signature",
		[FIELD_COVEY_VERSION] = "Covey-Version",
		[FIELD_EXPECT] = "Expect",
		[FIELD_HOST] = "Host",
		[FIELD_IF_MATCH] = "If-Match",
		[FIELD_IF_MODIFIED_SINCE] = "If-Modified-Since",
		[FIELD_IF_NONE_MATCH] = "If-None-Match",
		[FIELD_IF_RANGE] = "If-Range",
		[FIELD_IF_UNMODIFIED_SINCE] = "If-Unmodified-Since",
		[FIELD_ORIGIN] = "Origin",
		[FIELD_PREFER] = "Prefer",
		[FIELD_RANGE] = "Range",
		[FIELD_REPR_DIGEST] = "Repr-Digest",
		[FIELD_SEC_FETCH_SITE] = "Sec-Fetch-Site",
		[FIELD_TRANSFER_ENCODING] = "Transfer-Encoding",
		[FIELD_USER_AGENT] = "User-Agent",
		[FIELD_WANT_REPR_DIGEST] = "Want-Repr-Digest",
		[FIELD_X_OC_MTIME] = "X-OC-Mtime",
	};

	for (int f = 0; f < FIELD_COUNT; f++) {
		struct str name = str_of(names[f] != NULL ? names[f] : "");
		char *upper = mem_copy(name.s, name.n);

		for (size_t i = 0; i < name.n; i++)
			if (upper[i] >= 'a' && upper[i] <= 'z')
				upper[i] = (char)(upper[i] - 'a' + 'A');
		CHECK(name.n > 0 && field_of(name) == (enum field)f);
		CHECK(field_of((struct str){ upper, name.n }) == (enum field)f);
		upper[0] = 'Z';
		CHECK(field_of((struct str){ upper, name.n }) == FIELD_COUNT);
		free(upper);
	}
	CHECK(field_of(STR("")) == FIELD_COUNT);
	CHECK(field_of(STR("x")) == FIELD_COUNT);
	CHECK(field_of(STR("if-unmodified-since-then")) == FIELD_COUNT);
}

int main(void)
{
	test_attempts();
	test_nul();
	test_limits();
	test_content();
	test_names();
	return UNIT_RESULT();
}
