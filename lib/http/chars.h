/*
 * chars - which bytes may stand where in HTTP/1.x, as one table of bits
 */
#ifndef COVEY_HTTP_CHARS_H
#define COVEY_HTTP_CHARS_H

#include <stdbool.h>

enum char_class {
	CHAR_TOKEN = 1,		/* RFC 9110, section 5.6.2: tchar */
	CHAR_VALUE = 2,		/* section 5.5: field-vchar, space, tab, obs-text */
	CHAR_TARGET = 4,	/* visible, no '#'; and bytes above 0x7f, as curl sends them */
	CHAR_HOST = 8,		/* RFC 3986, section 3.2.2: reg-name, with its '%' */
};

extern const unsigned char char_classes[256];

static inline bool char_is(char c, enum char_class class)
{
	return char_classes[(unsigned char)c] & class;
}

#endif
