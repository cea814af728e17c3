/* body - where the body of a request ends: by length, or chunk by chunk */
#include "body.h"

#include "chars.h"

enum state {
	BODY_CONTENT,		/* of a length, or of a chunk */
	BODY_SIZE,		/* digits of a chunk's size */
	BODY_SPACE,		/* behind them, where only an extension may follow */
	BODY_EXTENSION,
	BODY_SIZE_LF,
	BODY_CONTENT_CR,	/* behind the content of a chunk */
	BODY_CONTENT_LF,
	BODY_TRAILER,
	BODY_PLAIN,		/* content of a length, without chunks */
};

void body_clear(struct body *body)
{
	buf_clear(&body->trailers);
	*body = (struct body)BODY_INIT;
}

int body_start(struct body *body, const struct head *head, uint64_t max, struct refusal *refusal)
{
	if (max > 0 && head->framing == FRAMING_LENGTH && head->length > max)
		return refuse(refusal, 413, "the body is larger than this node takes");
	body_clear(body);
	body->limit = max;
	if (head->framing == FRAMING_CHUNKED) {
		body->state = BODY_SIZE;
		return 0;
	}
	body->state = BODY_PLAIN;
	body->left = head->framing == FRAMING_LENGTH ? head->length : 0;
	body->done = body->left == 0;
	return 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The line of a chunk's size has ended. */
static int begin_chunk(struct body *body, struct refusal *refusal)
{
	if (body->left > INT64_MAX - body->received ||
	    (body->limit > 0 && body->left > body->limit - body->received))
		return refuse(refusal, 413, "the body is larger than this node takes");
	body->state = body->left > 0 ? BODY_CONTENT : BODY_TRAILER;
	return 0;
}

static int size_byte(struct body *body, char c, struct refusal *refusal)
{
	int digit = hex_value(c);

	if (digit >= 0) {
		if (++body->digits > 16)
			return refuse(refusal, 400, "a chunk size has too many digits");
		body->left = body->left << 4 | (uint64_t)digit;
		return 0;
	}
	if (body->digits == 0)
		return refuse(refusal, 400, "a chunk has no size");
	if (c == '\r')
		body->state = BODY_SIZE_LF;
	else if (c == ';')
		body->state = BODY_EXTENSION;
	else if (c == ' ' || c == '\t')
		body->state = BODY_SPACE;
	else
		return refuse(refusal, 400, "a chunk size is not a number");
	return 0;
}

static int extension_byte(struct body *body, char c, struct refusal *refusal)
{
	if (++body->extension > BODY_EXTENSION_BYTES + body->received)
		return refuse(refusal, 400, "chunk extensions are too long");
	if (body->state == BODY_SPACE) {
		if (c == ';')
			body->state = BODY_EXTENSION;
		else if (c != ' ' && c != '\t')
			return refuse(refusal, 400, "a chunk size is not a number");
		return 0;
	}
	if (c == '\r')
		body->state = BODY_SIZE_LF;
	else if (!char_is(c, CHAR_VALUE))
		return refuse(refusal, 400, "a chunk extension has a control character");
	return 0;
}

/* A trailer line ended: the last one is empty. */
static int end_trailer_line(struct body *body, struct refusal *refusal)
{
	struct str line = { body->trailers.data + body->line, body->trailers.len - body->line };
	struct head_field field;
	const char *wrong;

	if (line.n < 2 || line.s[line.n - 2] != '\r')
		return refuse(refusal, 400, "a line does not end in CR LF");
	line.n -= 2;
	if (line.n == 0) {
		body->done = true;
		return 0;
	}
	wrong = field_parse(line, &field);
	if (wrong != NULL)
		return refuse(refusal, 400, wrong);
	body->line = body->trailers.len;
	return 0;
}

static int trailer_byte(struct body *body, char c, struct refusal *refusal)
{
	if (body->trailers.len == BODY_TRAILER_BYTES)
		return refuse(refusal, 431, "the trailers are too long");
	buf_addc(&body->trailers, c);
	return c == '\n' ? end_trailer_line(body, refusal) : 0;
}

/* One byte of the framing between chunks. */
static int framing_byte(struct body *body, char c, struct refusal *refusal)
{
	switch ((enum state)body->state) {
	case BODY_SIZE:
		return size_byte(body, c, refusal);
	case BODY_SPACE:
	case BODY_EXTENSION:
		return extension_byte(body, c, refusal);
	case BODY_SIZE_LF:
		return c == '\n' ? begin_chunk(body, refusal)
				 : refuse(refusal, 400, "a line does not end in CR LF");
	case BODY_CONTENT_CR:
		body->state = BODY_CONTENT_LF;
		return c == '\r' ? 0 : refuse(refusal, 400, "a chunk is longer than its size");
	case BODY_CONTENT_LF:
		body->state = BODY_SIZE;
		body->digits = 0;
		return c == '\n' ? 0 : refuse(refusal, 400, "a chunk is longer than its size");
	case BODY_TRAILER:
		return trailer_byte(body, c, refusal);
	case BODY_CONTENT:
	case BODY_PLAIN:
		break;
	}
	return 0;
}

/* Content at the front of the input, as much as belongs to this chunk or body. */
static void take_content(struct body *body, struct str *input, struct str *ret_piece)
{
	size_t n = input->n < body->left ? input->n : (size_t)body->left;

	*ret_piece = (struct str){ input->s, n };
	input->s += n;
	input->n -= n;
	body->left -= n;
	body->received += n;
	if (body->left > 0)
		return;
	if (body->state == BODY_PLAIN)
		body->done = true;
	else
		body->state = BODY_CONTENT_CR;
}

int body_next(struct body *body, struct str *input, struct str *ret_piece, struct refusal *refusal)
{
	while (!body->done && input->n > 0) {
		if (body->state == BODY_PLAIN || body->state == BODY_CONTENT) {
			take_content(body, input, ret_piece);
			return 1;
		}
		if (framing_byte(body, *input->s, refusal) < 0)
			return -1;
		input->s++;
		input->n--;
	}
	return 0;
}

bool body_trailer_next(struct str *rest, struct head_field *ret)
{
	struct str line;

	while (str_cut(rest, '\n', &line) && line.n > 1) {
		line.n--;
		if (field_parse(line, ret) == NULL)
			return true;
	}
	return false;
}

struct str body_trailer(const struct body *body, enum field field)
{
	struct str rest = buf_str(&body->trailers);
	struct head_field found;

	while (body_trailer_next(&rest, &found))
		if (field_of(found.name) == field)
			return found.value;
	return (struct str)STR_INIT;
}
