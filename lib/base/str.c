/* str - slices of text, and the bounded parsers for what comes from outside */
#include "str.h"

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}

bool str_eq_nocase(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.s[i]) != lower(b.s[i]))
			return false;
	return true;
}

bool str_starts(struct str text, struct str prefix)
{
	return text.n >= prefix.n &&
	       str_eq((struct str){ text.s, prefix.n }, prefix);
}

bool str_ends(struct str text, struct str suffix)
{
	return text.n >= suffix.n &&
	       str_eq((struct str){ text.s + text.n - suffix.n, suffix.n }, suffix);
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? memcmp(a.s, b.s, n) : 0;

	if (order != 0)
		return order;
	return (a.n > b.n) - (a.n < b.n);
}

struct str str_trim(struct str text)
{
	while (text.n > 0 && (text.s[0] == ' ' || text.s[0] == '\t'))
		text.s++, text.n--;
	while (text.n > 0 && (text.s[text.n - 1] == ' ' || text.s[text.n - 1] == '\t'))
		text.n--;
	return text;
}

bool str_cut(struct str *rest, char separator, struct str *ret)
{
	const char *at;

	if (rest->s == NULL)
		return false;
	at = rest->n ? memchr(rest->s, separator, rest->n) : NULL;
	if (at == NULL) {
		*ret = *rest;
		*rest = (struct str)STR_INIT;
		return true;
	}
	*ret = (struct str){ rest->s, (size_t)(at - rest->s) };
	rest->n -= ret->n + 1;
	rest->s = at + 1;
	return true;
}

int str_u64(struct str text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.n == 0)
		return -1;
	for (size_t i = 0; i < text.n; i++) {
		uint64_t digit = (uint64_t)(text.s[i] - '0');

		if (text.s[i] < '0' || text.s[i] > '9')
			return -1;
		if (value > (UINT64_MAX - digit) / 10)
			return -1;
		value = value * 10 + digit;
	}
	if (value > max)
		return -1;
	*ret = value;
	return 0;
}

int str_u32(struct str text, uint32_t *ret)
{
	uint64_t value;

	if (str_u64(text, UINT32_MAX, &value) < 0)
		return -1;
	*ret = (uint32_t)value;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int str_hex64(struct str text, uint64_t *ret)
{
	uint64_t value = 0;

	if (text.n == 0 || text.n > 16)
		return -1;
	for (size_t i = 0; i < text.n; i++) {
		int digit = hex_digit(text.s[i]);

		if (digit < 0)
			return -1;
		value = value << 4 | (uint64_t)digit;
	}
	*ret = value;
	return 0;
}

void str_to_hex(char *to, const void *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *from = bytes;

	for (size_t i = 0; i < n; i++) {
		to[2 * i] = digits[from[i] >> 4];
		to[2 * i + 1] = digits[from[i] & 15];
	}
	to[2 * n] = '\0';
}

int str_from_hex(struct str text, void *bytes, size_t n)
{
	unsigned char *to = bytes;

	if (text.n != 2 * n)
		return -1;
	for (size_t i = 0; i < text.n; i++)
		if (hex_digit(text.s[i]) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		to[i] = (unsigned char)(hex_digit(text.s[2 * i]) << 4 |
					hex_digit(text.s[2 * i + 1]));
	return 0;
}
