/* pct - percent-encoding of paths and queries (RFC 3986, section 2.1) */
#include "pct.h"

static bool unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static void encode(struct buf *buf, struct str text, bool keep_slash)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.s[i];

		if (unreserved(c) || (keep_slash && c == '/'))
			buf_addc(buf, c);
		else
			buf_addf(buf, "%%%02X", (unsigned char)c);
	}
}

void pct_encode(struct buf *buf, struct str text)
{
	encode(buf, text, true);
}

void pct_encode_component(struct buf *buf, struct str text)
{
	encode(buf, text, false);
}

int pct_decode(struct buf *buf, struct str text)
{
	size_t was = buf->len;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char byte;

		if (text.s[i] != '%') {
			buf_addc(buf, text.s[i]);
			continue;
		}
		if (text.n - i < 3 ||
		    str_from_hex((struct str){ text.s + i + 1, 2 }, &byte, 1) < 0) {
			buf->len = was;
			if (buf->data != NULL)
				buf->data[was] = '\0';
			return -1;
		}
		buf_addc(buf, (char)byte);
		i += 2;
	}
	return 0;
}
