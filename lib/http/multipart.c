/*
 * multipart - forms with files, as they arrive
 *
 * A delimiter is CR LF -- boundary.  A boundary holds no CR, so a match
 * that fails can begin again only at the byte that failed: bytes held back
 * are a prefix of the delimiter itself and are given out from there.
 */
#include "multipart.h"

#include "fields.h"
#include "pct.h"

enum state {
	FORM_PREAMBLE,		/* before the first delimiter: ignored */
	FORM_CONTENT,
	FORM_DELIMITER,		/* just behind one */
	FORM_DASH,		/* and behind one '-' of the last */
	FORM_PADDING,		/* spaces behind it */
	FORM_LF,
	FORM_HEAD,
	FORM_EPILOGUE,
};

void multipart_clear(struct multipart *form)
{
	buf_clear(&form->name);
	buf_clear(&form->filename);
	buf_clear(&form->type);
	buf_clear(&form->head);
	*form = (struct multipart)MULTIPART_INIT;
}

static void unquote(struct buf *to, struct str value)
{
	if (value.n < 2 || value.s[0] != '"') {
		buf_addstr(to, value);
		return;
	}
	for (size_t i = 1; i < value.n - 1; i++) {
		if (value.s[i] == '\\')
			i++;
		buf_addc(to, value.s[i]);
	}
}

/* The boundary, its quotes and backslashes taken off.  Whether there is one. */
static bool find_boundary(struct str content_type, struct buf *ret)
{
	struct str name, value;

	param_essence(&content_type);
	while (param_next(&content_type, PARAM_QUOTED, &name, &value) > 0) {
		if (!str_eq_nocase(name, STR("boundary")))
			continue;
		unquote(ret, value);
		return true;
	}
	return false;
}

/* RFC 2046: bchars, not ending in a space. */
static bool valid_boundary(struct str text)
{
	if (text.n == 0 || text.n > MULTIPART_BOUNDARY_BYTES || text.s[text.n - 1] == ' ')
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.s[i];

		if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
		    (c == '\0' || strchr("'()+_,-./:=? ", c) == NULL))
			return false;
	}
	return true;
}

int multipart_start(struct multipart *form, struct str content_type, struct refusal *refusal)
{
	struct buf boundary = BUF_INIT;
	bool valid;

	valid = fields_type_is(content_type, STR("multipart/form-data")) &&
		find_boundary(content_type, &boundary) &&
		valid_boundary(buf_str(&boundary));
	multipart_clear(form);
	if (valid) {
		memcpy(form->delimiter, "\r\n--", 4);
		memcpy(form->delimiter + 4, boundary.data, boundary.len);
		form->delimiter_n = 4 + boundary.len;
		form->matched = 2;	/* the first delimiter needs no CR LF before it */
	}
	buf_clear(&boundary);
	return valid ? 0 : refuse(refusal, 400, "the form has no valid boundary");
}

/*
 * The longest piece of content at the front of the input, or of what was
 * held back; empty when a delimiter was completed or the input used up.
 */
static struct str take_content(struct multipart *form, struct str *input)
{
	while (form->matched > 0 && form->matched < form->delimiter_n && input->n > 0) {
		if (*input->s != form->delimiter[form->matched]) {
			struct str held = { form->delimiter, form->matched };

			form->matched = 0;
			return held;
		}
		form->matched++;
		input->s++;
		input->n--;
	}
	if (form->matched == 0 && input->n > 0) {
		const char *cr = memchr(input->s, '\r', input->n);
		struct str piece = { input->s, cr ? (size_t)(cr - input->s) : input->n };

		input->s += piece.n;
		input->n -= piece.n;
		if (input->n > 0) {
			form->matched = 1;
			input->s++;
			input->n--;
		}
		return piece;
	}
	return (struct str)STR_INIT;
}

/* Content or preamble up to the next delimiter. */
static enum multipart_event content(struct multipart *form, struct str *input, struct str *ret_piece)
{
	bool preamble = form->state == FORM_PREAMBLE;

	while (form->matched < form->delimiter_n) {
		struct str piece;

		if (input->n == 0)
			return MULTIPART_MORE;
		piece = take_content(form, input);
		if (piece.n > 0 && !preamble) {
			*ret_piece = piece;
			return MULTIPART_CONTENT;
		}
	}
	form->matched = 0;
	form->state = FORM_DELIMITER;
	return preamble ? MULTIPART_MORE : MULTIPART_PART_END;
}

/* One byte between a delimiter and the head of a part: 0 or -1. */
static int behind_delimiter(struct multipart *form, char c, struct refusal *refusal)
{
	bool space = c == ' ' || c == '\t';

	if (form->state == FORM_DELIMITER && c == '-') {
		form->state = FORM_DASH;
	} else if (form->state == FORM_DASH && c == '-') {
		form->state = FORM_EPILOGUE;
		form->done = true;
	} else if (form->state == FORM_LF && c == '\n') {
		form->state = FORM_HEAD;
		form->has_filename = form->has_disposition = false;
		buf_reset(&form->name);
		buf_reset(&form->filename);
		buf_reset(&form->type);
		buf_reset(&form->head);
		form->line = 0;
	} else if ((form->state == FORM_DELIMITER || form->state == FORM_PADDING) && c == '\r') {
		form->state = FORM_LF;
	} else if ((form->state == FORM_DELIMITER || form->state == FORM_PADDING) && space) {
		form->state = FORM_PADDING;
	} else {
		return refuse(refusal, 400, "a boundary of the form is malformed");
	}
	return 0;
}

/* Append a quoted name's inside: \" and \\, and what WHATWG forms escape: %22 %0D %0A. */
static void add_unquoted(struct buf *to, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		struct str rest = { text.s + i, text.n - i };

		if (rest.n > 1 && rest.s[0] == '\\' && (rest.s[1] == '"' || rest.s[1] == '\\')) {
			buf_addc(to, rest.s[1]);
			i++;
		} else if (str_starts(rest, STR("%22"))) {
			buf_addc(to, '"');
			i += 2;
		} else if (rest.n > 2 && str_eq_nocase((struct str){ rest.s, 3 }, STR("%0d"))) {
			buf_addc(to, '\r');
			i += 2;
		} else if (rest.n > 2 && str_eq_nocase((struct str){ rest.s, 3 }, STR("%0a"))) {
			buf_addc(to, '\n');
			i += 2;
		} else {
			buf_addc(to, rest.s[0]);
		}
	}
}

/* UTF-8'language'percent-encoded (RFC 8187).  1, or 0 when it is something else: then it does not count. */
static int add_extended(struct buf *to, struct str text)
{
	struct str charset, language;

	if (!str_cut(&text, '\'', &charset) || !str_eq_nocase(charset, STR("UTF-8")) ||
	    !str_cut(&text, '\'', &language) || text.s == NULL)
		return 0;
	return pct_decode(to, text) == 0;
}

static void add_value(struct buf *to, struct str value)
{
	if (value.s[0] == '"')
		add_unquoted(to, (struct str){ value.s + 1, value.n - 2 });
	else
		buf_addstr(to, value);
}

static void drop_directories(struct buf *name)
{
	const char *slash = name->len ? memrchr(name->data, '/', name->len) : NULL;

	if (slash != NULL)
		buf_drop(name, (size_t)(slash - name->data) + 1);
}

/*
 * A Content-Disposition of a part (`form-data; name="f"; filename="x"`)
 * into name, filename and has_filename, however a browser or curl wrote it.
 * NULL, or what is wrong with it.
 */
static const char *read_disposition(struct multipart *form, struct str value)
{
	struct str name, text;
	bool has_name = false, extended = false;
	int r;

	if (!str_eq_nocase(param_essence(&value), STR("form-data")))
		return "a part of the form is not form-data";
	while ((r = param_next(&value, PARAM_FORM, &name, &text)) > 0) {
		if (str_eq_nocase(name, STR("name"))) {
			buf_reset(&form->name);
			add_value(&form->name, text);
			has_name = true;
		} else if (str_eq_nocase(name, STR("filename")) && !extended) {
			buf_reset(&form->filename);
			add_value(&form->filename, text);
			form->has_filename = true;
		} else if (str_eq_nocase(name, STR("filename*")) && !extended) {
			struct buf decoded = BUF_INIT;

			extended = add_extended(&decoded, text);
			if (extended) {
				buf_reset(&form->filename);
				buf_addstr(&form->filename, buf_str(&decoded));
				form->has_filename = true;
			}
			buf_clear(&decoded);
		}
	}
	if (r < 0)
		return "a Content-Disposition of the form is malformed";
	drop_directories(&form->filename);
	return has_name ? NULL : "a part of the form has no name";
}

static const char *part_field(struct multipart *form, const struct head_field *field)
{
	switch ((int)field_of(field->name)) {
	case FIELD_CONTENT_DISPOSITION:
		if (form->has_disposition)
			return "a part of the form has two Content-Dispositions";
		form->has_disposition = true;
		return read_disposition(form, field->value);
	case FIELD_CONTENT_TYPE:
		if (form->type.len > 0 || !fields_type_valid(field->value))
			return "a part of the form has no valid Content-Type";
		buf_addstr(&form->type, field->value);
		return NULL;
	}
	if (str_eq_nocase(field->name, STR("Content-Transfer-Encoding")) &&
	    !str_eq_nocase(field->value, STR("binary")) &&
	    !str_eq_nocase(field->value, STR("8bit")) && !str_eq_nocase(field->value, STR("7bit")))
		return "a part of the form has a Content-Transfer-Encoding";
	return NULL;
}

/* A line of the part's head has ended: 1 with its last, empty one, 0, or -1. */
static int head_line(struct multipart *form, struct refusal *refusal)
{
	struct str line = { form->head.data + form->line, form->head.len - form->line };
	struct head_field field;
	const char *wrong;

	if (line.n < 2 || line.s[line.n - 2] != '\r')
		return refuse(refusal, 400, "a line does not end in CR LF");
	line.n -= 2;
	if (line.n == 0) {
		if (!form->has_disposition)
			return refuse(refusal, 400, "a part of the form has no name");
		return 1;
	}
	wrong = field_parse(line, &field);
	if (wrong == NULL)
		wrong = part_field(form, &field);
	if (wrong != NULL)
		return refuse(refusal, 400, wrong);
	form->line = form->head.len;
	return 0;
}

static enum multipart_event head(struct multipart *form, struct str *input, struct refusal *refusal)
{
	while (input->n > 0) {
		char c = *input->s;
		int r;

		if (form->head.len == MULTIPART_HEAD_BYTES) {
			refuse(refusal, 431, "the fields of a part of the form are too long");
			return MULTIPART_REFUSED;
		}
		buf_addc(&form->head, c);
		input->s++;
		input->n--;
		if (c != '\n')
			continue;
		r = head_line(form, refusal);
		if (r < 0)
			return MULTIPART_REFUSED;
		if (r == 1) {
			form->state = FORM_CONTENT;
			return MULTIPART_PART;
		}
	}
	return MULTIPART_MORE;
}

enum multipart_event multipart_next(struct multipart *form, struct str *input,
				    struct str *ret_piece, struct refusal *refusal)
{
	while (input->n > 0) {
		enum multipart_event event = MULTIPART_MORE;

		switch ((enum state)form->state) {
		case FORM_PREAMBLE:
		case FORM_CONTENT:
			event = content(form, input, ret_piece);
			break;
		case FORM_HEAD:
			event = head(form, input, refusal);
			break;
		case FORM_DELIMITER:
		case FORM_DASH:
		case FORM_PADDING:
		case FORM_LF:
			if (behind_delimiter(form, *input->s, refusal) < 0)
				return MULTIPART_REFUSED;
			input->s++;
			input->n--;
			break;
		case FORM_EPILOGUE:
			*input = (struct str){ input->s + input->n, 0 };
			break;
		}
		if (event != MULTIPART_MORE)
			return event;
	}
	return MULTIPART_MORE;
}
