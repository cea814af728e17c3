/* version - the name of one version of a path: (time, node, n) */
#include "version.h"

#include <inttypes.h>

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

struct date {
	unsigned year, month, day;
};

/*
 * The calendar is done here, not by gmtime(), because that takes a lock all
 * threads share.  Years are counted from March, so that the leap day is the
 * last of its year and 153 days make five months.
 */
static struct date date_of_day(uint64_t days)
{
	uint64_t n = days + 719468;	/* since 0000-03-01 */
	uint64_t era = n / 146097, in_era = n % 146097;
	uint64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	uint64_t in_year = in_era - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * in_year + 2) / 153;
	struct date date = {
		.month = (unsigned)(month < 10 ? month + 3 : month - 9),
		.day = (unsigned)(in_year - (153 * month + 2) / 5 + 1),
	};

	date.year = (unsigned)(era * 400 + year + (date.month <= 2));
	return date;
}

/* Only for years from 1970 on; a day that is not in its month gives some other day. */
static uint64_t day_of_date(struct date date)
{
	uint64_t year = date.year - (date.month <= 2);
	uint64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
	uint64_t in_year = (153 * month + 2) / 5 + date.day - 1;
	uint64_t in_era = year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + in_year;

	return year / 400 * 146097 + in_era - 719468;
}

const char *version_format(char to[VERSION_TEXT], struct version v)
{
	uint64_t s = v.time / NS_PER_S;
	struct date date = date_of_day(s / S_PER_DAY);

	snprintf(to, VERSION_TEXT,
		 "%04u%02u%02uT%02" PRIu64 "%02" PRIu64 "%02" PRIu64 ".%09" PRIu64 "Z-%016" PRIx64
		 "-%u",
		 date.year, date.month, date.day, s / 3600 % 24, s / 60 % 60, s % 60,
		 v.time % NS_PER_S, v.node, v.n);
	return to;
}

/* n digits at *text, which moves on; the caller has seen that they are there. */
static int number(const char **text, size_t n, uint64_t max, uint64_t *ret)
{
	int status = str_u64((struct str){ *text, n }, max, ret);

	*text += n;
	return status;
}

static int time_parse(const char *text, uint64_t *ret)
{
	uint64_t year, month, day, hour, minute, second, ns, whole;

	if (number(&text, 4, 9999, &year) < 0 || number(&text, 2, 12, &month) < 0 ||
	    number(&text, 2, 31, &day) < 0 || *text++ != 'T' ||
	    number(&text, 2, 23, &hour) < 0 || number(&text, 2, 59, &minute) < 0 ||
	    number(&text, 2, 59, &second) < 0 || *text++ != '.' ||
	    number(&text, 9, NS_PER_S - 1, &ns) < 0 || *text != 'Z')
		return -1;
	if (year < 1970 || month < 1 || day < 1)
		return -1;
	whole = day_of_date((struct date){ (unsigned)year, (unsigned)month, (unsigned)day }) *
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
	uint64_t n;

	if (!str_cut(&rest, '-', &part) || part.n != TIME_TEXT_BYTES ||
	    time_parse(part.s, &v.time) < 0 || !str_cut(&rest, '-', &part) ||
	    str_hex64(part, &v.node) < 0 || str_u64(rest, UINT16_MAX, &n) < 0)
		return err_set(err, ERR_INVALID, "read version: malformed");
	v.n = (uint16_t)n;
	/* What is left (30 February, capitals, leading zeros) shows when it is written again. */
	if (version_is_none(v) || !str_eq(text, str_of(version_format(again, v))))
		return err_set(err, ERR_INVALID, "read version: not as covey writes it");
	*ret = v;
	return 0;
}
