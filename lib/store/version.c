/* version - the name of one version of a path: (time, node, n) */
#include "version.h"

#include "calendar.h"

#define NS_PER_S UINT64_C(1000000000)
#define S_PER_DAY 86400
#define TIME_TEXT_BYTES 26	/* 20261122T110724.123456001Z */

int version_cmp(struct version a, struct version b)
{
	if (a.time != b.time)
		return a.time < b.time ? -1 : 1;
	if (a.node != b.node)
		return a.node < b.node ? -1 : 1;
	return (a.n > b.n) - (a.n < b.n);
}

/* The value's last n digits; where the next byte goes.  By hand: every GET writes two versions. */
static char *put(char *to, uint64_t value, size_t n)
{
	for (size_t i = n; i-- > 0; value /= 10)
		to[i] = (char)('0' + value % 10);
	return to + n;
}

static char *put_time(char *to, uint64_t time)
{
	uint64_t s = time / NS_PER_S;
	struct calendar_date date = calendar_date(s / S_PER_DAY);

	to = put(to, date.year, 4);
	to = put(to, date.month, 2);
	to = put(to, date.day, 2);
	*to++ = 'T';
	to = put(to, s / 3600 % 24, 2);
	to = put(to, s / 60 % 60, 2);
	to = put(to, s % 60, 2);
	*to++ = '.';
	to = put(to, time % NS_PER_S, 9);
	*to++ = 'Z';
	return to;
}

const char *version_format(char to[VERSION_TEXT], struct version v)
{
	char *end = put_time(to, v.time);
	size_t digits = 1;

	*end++ = '-';
	for (size_t i = 16; i-- > 0; v.node >>= 4)
		end[i] = "0123456789abcdef"[v.node & 15];
	end += 16;
	*end++ = '-';
	for (uint64_t n = v.n; n >= 10; n /= 10)
		digits++;
	*put(end, v.n, digits) = '\0';
	return to;
}

/* n digits at *text, which moves on; the caller has seen that they are there. */
static int parse_number(const char **text, size_t n, uint64_t max, uint64_t *ret)
{
	int status = str_u64((struct str){ *text, n }, max, ret);

	*text += n;
	return status;
}

static int time_parse(const char *text, uint64_t *ret)
{
	uint64_t year, month, day, hour, minute, second, ns, whole;

	if (parse_number(&text, 4, 9999, &year) < 0 || parse_number(&text, 2, 12, &month) < 0 ||
	    parse_number(&text, 2, 31, &day) < 0 || *text++ != 'T' ||
	    parse_number(&text, 2, 23, &hour) < 0 || parse_number(&text, 2, 59, &minute) < 0 ||
	    parse_number(&text, 2, 59, &second) < 0 || *text++ != '.' ||
	    parse_number(&text, 9, NS_PER_S - 1, &ns) < 0 || *text != 'Z')
		return -1;
	if (year < 1970 || month < 1 || day < 1)
		return -1;
	whole = calendar_days((struct calendar_date){ (unsigned)year, (unsigned)month,
			      (unsigned)day }) *
			S_PER_DAY +
		hour * 3600 + minute * 60 + second;
	if (whole > (UINT64_MAX - ns) / NS_PER_S)
		return -1;
	*ret = whole * NS_PER_S + ns;
	return 0;
}

int version_parse(struct str text, struct version *ret, struct err *err)
{
	struct str rest = { text.s, text.n }, part = STR_INIT;
	struct version v;
	char again[VERSION_TEXT];

	if (!str_cut(&rest, '-', &part) || part.n != TIME_TEXT_BYTES ||
	    time_parse(part.s, &v.time) < 0 || !str_cut(&rest, '-', &part) ||
	    str_hex64(part, &v.node) < 0 || str_u64(rest, VERSION_N_MAX, &v.n) < 0)
		return err_set(err, ERR_INVALID, "read version: malformed");
	/* What is left (30 February, capitals, leading zeros) shows when it is written again. */
	if (version_is_none(v) || !str_eq(text, str_of(version_format(again, v))))
		return err_set(err, ERR_INVALID, "read version: not as covey writes it");
	*ret = v;
	return 0;
}
