/*
 * head - the head of an HTTP/1.x request, parsed strictly
 *
 * Two passes.  The first looks for line ends only, and goes on where it
 * stopped when more bytes come; the second parses the lines, once all are
 * there and stay where they are.
 */
#include "head.h"

#include "chars.h"

/* field lines */

struct field_name {
	uint8_t n;		/* bytes of the name */
	uint8_t field;		/* enum field */
	const char *lower;
};

/* By length, so that a look-up compares with the few names of its length; the ends stop it. */
static const struct field_name field_names[] = {
	{ 0, FIELD_COUNT, "" },
	{ 4, FIELD_HOST, "host" },
	{ 5, FIELD_RANGE, "range" },
	{ 6, FIELD_ACCEPT, "accept" },
	{ 6, FIELD_EXPECT, "expect" },
	{ 6, FIELD_ORIGIN, "origin" },
	{ 6, FIELD_PREFER, "prefer" },
	{ 8, FIELD_IF_MATCH, "if-match" },
	{ 8, FIELD_IF_RANGE, "if-range" },
	{ 10, FIELD_CONNECTION, "connection" },
	{ 10, FIELD_USER_AGENT, "user-agent" },
	{ 10, FIELD_COVEY_PUSH, "covey-push" },
	{ 10, FIELD_X_OC_MTIME, "x-oc-mtime" },
	{ 11, FIELD_REPR_DIGEST, "repr-digest" },
	{ 11, FIELD_COVEY_EPOCH, "covey-epoch" },
	{ 12, FIELD_CONTENT_TYPE, "content-type" },
	{ 13, FIELD_CACHE_CONTROL, "cache-control" },
	{ 13, FIELD_IF_NONE_MATCH, "if-none-match" },
	{ 13, FIELD_AUTHORIZATION, "authorization" },
	{ 13, FIELD_CONTENT_RANGE, "content-range" },
	{ 13, FIELD_COVEY_VERSION, "covey-version" },
	{ 14, FIELD_CONTENT_LENGTH, "content-length" },
	{ 14, FIELD_CONTENT_DIGEST, "content-digest" },
	{ 14, FIELD_SEC_FETCH_SITE, "sec-fetch-site" },
	{ 15, FIELD_ACCEPT_ENCODING, "accept-encoding" },
	{ 15, FIELD_COVEY_SIGNATURE, "covey-signature" },
	{ 16, FIELD_WANT_REPR_DIGEST, "want-repr-digest" },
	{ 16, FIELD_CONTENT_ENCODING, "content-encoding" },
	{ 16, FIELD_COVEY_DICTIONARY, "covey-dictionary" },
	{ 17, FIELD_IF_MODIFIED_SINCE, "if-modified-since" },
	{ 17, FIELD_TRANSFER_ENCODING, "transfer-encoding" },
	{ 19, FIELD_IF_UNMODIFIED_SINCE, "if-unmodified-since" },
	{ 19, FIELD_CONTENT_DISPOSITION, "content-disposition" },
	{ 20, FIELD_AVAILABLE_DICTIONARY, "available-dictionary" },
	{ 0, FIELD_COUNT, "" },
};

#define LONGEST 20

/* The first entry of each length; 0 where there is none. */
static const uint8_t first_of_length[LONGEST + 1] = {
	[4] = 1, [5] = 2, [6] = 3, [8] = 7, [10] = 9, [11] = 13, [12] = 15, [13] = 16,
	[14] = 21, [15] = 24, [16] = 26, [17] = 29, [19] = 31, [20] = 33,
};

/* The known names are letters and '-', which setting bit 5 maps one to one among token bytes. */
static bool same_name(const char *name, const char *lower, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((name[i] | 0x20) != lower[i])
			return false;
	return true;
}

enum field field_of(struct str name)
{
	const struct field_name *k;

	if (name.n == 0 || name.n > LONGEST)
		return FIELD_COUNT;
	for (k = &field_names[first_of_length[name.n]]; k->n == name.n; k++)
		if (same_name(name.s, k->lower, name.n))
			return (enum field)k->field;
	return FIELD_COUNT;
}

/* Eight bytes at a time: none of them below 0x20, none 0x7f. */
static bool all_visible(uint64_t word)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
	uint64_t deleted = word ^ (ones * 0x7f);
	uint64_t below = (word - ones * 0x20) & ~word & high;
	uint64_t zero = (deleted - ones) & ~deleted & high;

	return (below | zero) == 0;
}

static bool valid_value(struct str value)
{
	size_t i = 0;

	for (; i + 8 <= value.n; i += 8) {
		uint64_t word;

		memcpy(&word, value.s + i, 8);
		if (all_visible(word))
			continue;
		for (size_t j = i; j < i + 8; j++)
			if (!char_is(value.s[j], CHAR_VALUE))
				return false;
	}
	for (; i < value.n; i++)
		if (!char_is(value.s[i], CHAR_VALUE))
			return false;
	return true;
}

const char *field_parse(struct str line, struct head_field *ret)
{
	struct str value;
	size_t n = 0;

	while (n < line.n && char_is(line.s[n], CHAR_TOKEN))
		n++;
	if (n == 0 && line.n > 0 && (line.s[0] == ' ' || line.s[0] == '\t'))
		return "a field line is folded";
	if (n == line.n || line.s[n] != ':')
		return "a field line is malformed before its colon";
	if (n == 0)
		return "a field has no name";
	value = str_trim((struct str){ line.s + n + 1, line.n - n - 1 });
	if (!valid_value(value))
		return "a field value has a control character";
	ret->name = (struct str){ line.s, n };
	ret->value = value;
	return NULL;
}

static bool field_has_token(struct str list, struct str token)
{
	struct str item;

	while (str_cut(&list, ',', &item))
		if (str_eq_nocase(str_trim(item), token))
			return true;
	return false;
}

/* the head */

/* The request line beside its target: method, version, spaces. */
#define LINE_BYTES (HEAD_TARGET_BYTES + 64)

void head_reset(struct head *head)
{
	memset(head, 0, offsetof(struct head, fields));
	head->scanned = 0;
	head->repeated = 0;
	memset(head->place, 0, sizeof(head->place));
}

/* One empty line before the request line is passed over (RFC 9112, section 2.2). */
static size_t request_line_begins(const char *bytes, size_t n)
{
	return n >= 2 && bytes[0] == '\r' && bytes[1] == '\n' ? 2 : 0;
}

/* A complete line of `length` bytes without its LF: 1 at the end of the head, 0, or -1. */
static int judge_line(const struct head *head, const char *line, size_t length, size_t begin,
		      struct refusal *refusal)
{
	if (head->scanned == begin && length > LINE_BYTES)
		return refuse(refusal, 414, "the request target is too long");
	if (head->scanned + length + 1 > HEAD_BYTES)
		return refuse(refusal, 431, "the request head is too long");
	if (length == 0 || line[length - 1] != '\r')
		return refuse(refusal, 400, "a line does not end in CR LF");
	if (length > 1)
		return 0;
	if (head->scanned == 0)
		return 0;
	if (head->scanned == begin)
		return refuse(refusal, 400, "the request line is empty");
	return 1;
}

/* 1 when scanned stands behind the head's empty line, 0 when more bytes are needed, -1. */
static int find_end(struct head *head, const char *bytes, size_t n, struct refusal *refusal)
{
	size_t begin = request_line_begins(bytes, n);

	if (n > begin && bytes[begin] != '\r' && !char_is(bytes[begin], CHAR_TOKEN))
		return refuse(refusal, 400, "this is not an HTTP request");
	while (head->scanned < n) {
		const char *line = bytes + head->scanned;
		const char *lf = memchr(line, '\n', n - head->scanned);
		size_t length = lf ? (size_t)(lf - line) : n - head->scanned;
		int r;

		if (lf == NULL)
			break;
		r = judge_line(head, line, length, begin, refusal);
		if (r < 0)
			return -1;
		head->scanned += length + 1;
		if (r == 1)
			return 1;
	}
	if (head->scanned <= begin && n - head->scanned > LINE_BYTES)
		return refuse(refusal, 414, "the request target is too long");
	if (n >= HEAD_BYTES)
		return refuse(refusal, 431, "the request head is too long");
	return 0;
}

static enum method method_of(struct str name)
{
	static const struct {
		struct str name;
		enum method method;
	} methods[] = {
		{ { "GET", 3 }, METHOD_GET },	    { { "HEAD", 4 }, METHOD_HEAD },
		{ { "PUT", 3 }, METHOD_PUT },	    { { "POST", 4 }, METHOD_POST },
		{ { "DELETE", 6 }, METHOD_DELETE }, { { "OPTIONS", 7 }, METHOD_OPTIONS },
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (str_eq(name, methods[i].name))
			return methods[i].method;
	return METHOD_OTHER;
}

static int parse_version(struct head *head, struct str version, struct refusal *refusal)
{
	if (version.n != 8 || memcmp(version.s, "HTTP/", 5) != 0 || version.s[6] != '.' ||
	    version.s[5] < '0' || version.s[5] > '9' || version.s[7] < '0' || version.s[7] > '9')
		return refuse(refusal, 400, "the request line does not end in an HTTP version");
	if (version.s[5] != '1')
		return refuse(refusal, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	head->minor = version.s[7] == '0' ? 0 : 1;
	return 0;
}

/* uri-host [ ":" port ], the host not empty (RFC 9110, section 7.2). */
static bool valid_host(struct str host)
{
	size_t i = 0;

	if (host.n > 0 && host.s[0] == '[') {
		for (i = 1; i < host.n && host.s[i] != ']'; i++)
			if (!char_is(host.s[i], CHAR_HOST) && host.s[i] != ':')
				return false;
		if (i < 2 || i++ == host.n)
			return false;
	} else {
		while (i < host.n && char_is(host.s[i], CHAR_HOST))
			i++;
		if (i == 0)
			return false;
	}
	if (i == host.n)
		return true;
	if (host.s[i++] != ':' || host.n - i > 5)
		return false;
	for (; i < host.n; i++)
		if (host.s[i] < '0' || host.s[i] > '9')
			return false;
	return true;
}

static void set_path(struct head *head, struct str path)
{
	const char *mark = memchr(path.s, '?', path.n);

	head->path = path;
	if (mark == NULL)
		return;
	head->path.n = (size_t)(mark - path.s);
	head->query = (struct str){ mark + 1, path.n - head->path.n - 1 };
}

/* absolute-form: http://HOST/path (RFC 9112, section 3.2.2); its host counts, not the field's. */
static int parse_absolute(struct head *head, struct str target, struct refusal *refusal)
{
	struct str rest;
	size_t n = 0;

	if (target.n > 7 && str_eq_nocase((struct str){ target.s, 7 }, STR("http://")))
		rest = (struct str){ target.s + 7, target.n - 7 };
	else if (target.n > 8 && str_eq_nocase((struct str){ target.s, 8 }, STR("https://")))
		rest = (struct str){ target.s + 8, target.n - 8 };
	else if (head->method == METHOD_OTHER)
		return refuse(refusal, 501, "this method is not known here");
	else
		return refuse(refusal, 400, "the request target is not a path");
	while (n < rest.n && rest.s[n] != '/' && rest.s[n] != '?')
		n++;
	head->host = (struct str){ rest.s, n };
	if (!valid_host(head->host))
		return refuse(refusal, 400, "the request target has no valid host");
	rest = (struct str){ rest.s + n, rest.n - n };
	if (rest.n > 0)
		set_path(head, rest);
	if (head->path.n == 0)
		head->path = head->method == METHOD_OPTIONS && head->query.s == NULL ? STR("*")
										     : STR("/");
	return 0;
}

static int parse_target(struct head *head, struct str target, struct refusal *refusal)
{
	if (target.n > HEAD_TARGET_BYTES)
		return refuse(refusal, 414, "the request target is too long");
	for (size_t i = 0; i < target.n; i++)
		if (!char_is(target.s[i], CHAR_TARGET))
			return refuse(refusal, 400, "the request target has a forbidden character");
	if (target.n > 0 && target.s[0] == '/') {
		set_path(head, target);
		return 0;
	}
	if (head->method == METHOD_OPTIONS && str_eq(target, STR("*"))) {
		head->path = target;
		return 0;
	}
	return parse_absolute(head, target, refusal);
}

static int parse_request_line(struct head *head, struct str line, struct refusal *refusal)
{
	struct str target, version;
	const char *space;
	size_t n = 0;

	while (n < line.n && char_is(line.s[n], CHAR_TOKEN))
		n++;
	if (n == 0 || n == line.n || line.s[n] != ' ')
		return refuse(refusal, 400, "the request line does not begin with a method");
	head->method_text = (struct str){ line.s, n };
	head->method = method_of(head->method_text);
	target = (struct str){ line.s + n + 1, line.n - n - 1 };
	space = target.n ? memchr(target.s, ' ', target.n) : NULL;
	if (space == NULL)
		return refuse(refusal, 400, "the request line does not end in an HTTP version");
	version = (struct str){ space + 1, target.n - (size_t)(space - target.s) - 1 };
	target.n = (size_t)(space - target.s);
	if (parse_version(head, version, refusal) < 0)
		return -1;
	return parse_target(head, target, refusal);
}

#define BIT(field) (UINT64_C(1) << (field))

/* These must not come twice: which one counts would be anybody's guess. */
static const uint64_t singletons =
	BIT(FIELD_AUTHORIZATION) | BIT(FIELD_CONTENT_DISPOSITION) | BIT(FIELD_CONTENT_LENGTH) |
	BIT(FIELD_CONTENT_RANGE) | BIT(FIELD_CONTENT_TYPE) | BIT(FIELD_COVEY_DICTIONARY) | BIT(FIELD_COVEY_EPOCH) |
	BIT(FIELD_COVEY_PUSH) | BIT(FIELD_COVEY_SIGNATURE) | BIT(FIELD_COVEY_VERSION) |
	BIT(FIELD_HOST) |
	BIT(FIELD_IF_MODIFIED_SINCE) | BIT(FIELD_IF_RANGE) | BIT(FIELD_IF_UNMODIFIED_SINCE) |
	BIT(FIELD_ORIGIN) | BIT(FIELD_RANGE) | BIT(FIELD_SEC_FETCH_SITE) |
	BIT(FIELD_TRANSFER_ENCODING) | BIT(FIELD_X_OC_MTIME);

static int add_field(struct head *head, struct str line, struct refusal *refusal)
{
	struct head_field *to = &head->fields[head->field_count];
	const char *wrong;
	enum field field;

	if (head->field_count == HEAD_FIELDS)
		return refuse(refusal, 431, "the request has too many fields");
	wrong = field_parse(line, to);
	if (wrong != NULL)
		return refuse(refusal, 400, wrong);
	head->field_count++;
	field = field_of(to->name);
	if (to->name.n > 6 && str_eq_nocase((struct str){ to->name.s, 6 }, STR("Covey-")))
		head->covey = true;
	if (field == FIELD_COUNT)
		return 0;
	if (head->place[field] == 0) {
		head->place[field] = (uint8_t)head->field_count;
		return 0;
	}
	if (singletons & BIT(field))
		return refuse(refusal, 400, "a field came twice that may come only once");
	head->repeated |= BIT(field);
	return 0;
}

static int check_host(struct head *head, struct refusal *refusal)
{
	struct str host = head_get(head, FIELD_HOST);

	if (host.s == NULL)
		return head->minor == 0 ? 0 : refuse(refusal, 400, "the Host field is missing");
	if (!valid_host(host))
		return refuse(refusal, 400, "the Host field is not a host");
	if (head->host.s == NULL)
		head->host = host;
	return 0;
}

static int set_framing(struct head *head, struct refusal *refusal)
{
	struct str length = head_get(head, FIELD_CONTENT_LENGTH);
	struct str coding = head_get(head, FIELD_TRANSFER_ENCODING);

	if (coding.s != NULL) {
		if (length.s != NULL)
			return refuse(refusal, 400, "Content-Length and Transfer-Encoding contradict");
		if (head->minor == 0)
			return refuse(refusal, 400, "HTTP/1.0 has no Transfer-Encoding");
		if (!str_eq_nocase(coding, STR("chunked")))
			return refuse(refusal, 501, "no Transfer-Encoding but chunked is known here");
		head->framing = FRAMING_CHUNKED;
		return 0;
	}
	if (length.s == NULL)
		return 0;
	for (size_t i = 0; i < length.n; i++)
		if (length.s[i] < '0' || length.s[i] > '9')
			return refuse(refusal, 400, "Content-Length is not a number");
	if (length.n == 0)
		return refuse(refusal, 400, "Content-Length is empty");
	if (str_u64(length, INT64_MAX, &head->length) < 0)
		return refuse(refusal, 413, "the body is too large");
	head->framing = FRAMING_LENGTH;
	return 0;
}

struct str head_list(const struct head *head, enum field field, struct buf *scratch)
{
	if (!(head->repeated & BIT(field)))
		return head_get(head, field);
	buf_reset(scratch);
	for (size_t i = 0; i < head->field_count; i++) {
		if (field_of(head->fields[i].name) != field)
			continue;
		if (scratch->len > 0)
			buf_adds(scratch, ", ");
		buf_addstr(scratch, head->fields[i].value);
	}
	return buf_str(scratch);
}

/* Like field_has_token() over every line of the field. */
static bool has_token(const struct head *head, enum field field, struct str token)
{
	if (!(head->repeated & BIT(field)))
		return field_has_token(head_get(head, field), token);
	for (size_t i = 0; i < head->field_count; i++)
		if (field_of(head->fields[i].name) == field &&
		    field_has_token(head->fields[i].value, token))
			return true;
	return false;
}

/* Whether the connection goes on (RFC 9112, section 9.3) and what the client expects. */
static int set_manners(struct head *head, struct refusal *refusal)
{
	struct str expect = head_get(head, FIELD_EXPECT);

	if (has_token(head, FIELD_CONNECTION, STR("close")))
		head->keep_alive = false;
	else
		head->keep_alive = head->minor == 1 ||
				   has_token(head, FIELD_CONNECTION, STR("keep-alive"));
	if (expect.s == NULL || head->minor == 0)
		return 0;
	if (!str_eq_nocase(expect, STR("100-continue")) || head->repeated & BIT(FIELD_EXPECT))
		return refuse(refusal, 417, "nothing but 100-continue can be expected here");
	head->expect_continue = true;
	return 0;
}

/* The next line of a head whose line ends have been checked. */
static struct str take_line(const char **at, const char *end)
{
	const char *lf = memchr(*at, '\n', (size_t)(end - *at));
	struct str line = { *at, (size_t)(lf - *at) - 1 };

	*at = lf + 1;
	return line;
}

int head_parse(struct head *head, const char *bytes, size_t n, struct refusal *refusal)
{
	const char *at = bytes + request_line_begins(bytes, n), *end;
	struct str line;
	int r;

	r = find_end(head, bytes, n, refusal);
	if (r <= 0)
		return r;
	end = bytes + head->scanned;
	if (parse_request_line(head, take_line(&at, end), refusal) < 0)
		return -1;
	while (line = take_line(&at, end), line.n > 0)
		if (add_field(head, line, refusal) < 0)
			return -1;
	if (check_host(head, refusal) < 0 || set_framing(head, refusal) < 0 ||
	    set_manners(head, refusal) < 0)
		return -1;
	head->size = head->scanned;
	return 1;
}
