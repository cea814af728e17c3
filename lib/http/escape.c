/* escape - names of any bytes inside JSON, HTML and quoted strings */
#include "escape.h"

#define REPLACEMENT "\xef\xbf\xbd"	/* U+FFFD */

static bool continues(struct str text, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (i >= text.n || ((unsigned char)text.s[i] & 0xc0) != 0x80)
			return false;
	return true;
}

/* Bytes of the well-formed UTF-8 sequence at the front (1 to 4), or 0 (RFC 3629). */
static size_t utf8_length(struct str text)
{
	unsigned char a, b;

	if (text.n == 0)
		return 0;
	a = (unsigned char)text.s[0];
	b = text.n > 1 ? (unsigned char)text.s[1] : 0;
	if (a < 0x80)
		return 1;
	if (a >= 0xc2 && a <= 0xdf)
		return continues(text, 1, 2) ? 2 : 0;
	if (a >= 0xe0 && a <= 0xef) {
		if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f))
			return 0;	/* overlong, surrogate */
		return continues(text, 1, 3) ? 3 : 0;
	}
	if (a >= 0xf0 && a <= 0xf4) {
		if ((a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f))
			return 0;	/* overlong, beyond U+10FFFF */
		return continues(text, 1, 4) ? 4 : 0;
	}
	return 0;
}

/* Append what stands for one ASCII byte. */
typedef void escape_byte(struct buf *, char);

static void escape(struct buf *buf, struct str text, escape_byte *ascii)
{
	while (text.n > 0) {
		size_t n = utf8_length(text);

		if (n == 1)
			ascii(buf, text.s[0]);
		else if (n > 1)
			buf_add(buf, text.s, n);
		else
			buf_adds(buf, REPLACEMENT);
		n = n ? n : 1;
		text.s += n;
		text.n -= n;
	}
}

static void json_byte(struct buf *buf, char c)
{
	if (c == '"' || c == '\\') {
		buf_addc(buf, '\\');
		buf_addc(buf, c);
	} else if (c == '\n') {
		buf_adds(buf, "\\n");
	} else if (c == '\t') {
		buf_adds(buf, "\\t");
	} else if ((unsigned char)c < 0x20 || c == 0x7f) {
		buf_addf(buf, "\\u%04x", (unsigned char)c);
	} else {
		buf_addc(buf, c);
	}
}

void escape_json(struct buf *buf, struct str text)
{
	buf_addc(buf, '"');
	escape(buf, text, json_byte);
	buf_addc(buf, '"');
}

static void html_byte(struct buf *buf, char c)
{
	static const char *const references[] = {
		['"'] = "&quot;", ['&'] = "&amp;", ['\''] = "&#39;", ['<'] = "&lt;", ['>'] = "&gt;",
	};
	unsigned char byte = (unsigned char)c;

	if (byte < sizeof references / sizeof references[0] && references[byte] != NULL)
		buf_adds(buf, references[byte]);
	else if (byte < 0x20 || byte == 0x7f)
		buf_adds(buf, REPLACEMENT);
	else
		buf_addc(buf, c);
}

void escape_html(struct buf *buf, struct str text)
{
	escape(buf, text, html_byte);
}
