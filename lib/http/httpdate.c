/* httpdate - the date of header fields, without the C library's locks and time zones */
#include "httpdate.h"

#define DAY 86400u
#define YEAR_MAX 9999

static const char day_names[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const long_day_names[7] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
					       "Thursday", "Friday", "Saturday" };
static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

struct date {
	unsigned year, month, day;	/* month from 0, day from 1 */
	unsigned hour, minute, second;
};

static bool leap(unsigned year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned month_days(unsigned year, unsigned month)
{
	static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month] + (month == 1 && leap(year));
}

/* Days from 1970 to the first of January of that year. */
static uint64_t days_before(unsigned year)
{
	uint64_t y = year - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 - 719162;
}

static struct date date_of(uint64_t seconds)
{
	uint64_t days = seconds / DAY, clock = seconds % DAY;
	struct date d = { .hour = (unsigned)(clock / 3600), .minute = (unsigned)(clock / 60 % 60),
			  .second = (unsigned)(clock % 60) };

	d.year = 1970 + (unsigned)(days / 366);	/* at most a few years low */
	while (days_before(d.year + 1) <= days)
		d.year++;
	days -= days_before(d.year);
	while (days >= month_days(d.year, d.month))
		days -= month_days(d.year, d.month++);
	d.day = (unsigned)days + 1;
	return d;
}

static void put2(char *to, unsigned value)
{
	to[0] = (char)('0' + value / 10 % 10);
	to[1] = (char)('0' + value % 10);
}

struct str httpdate_format(char to[HTTPDATE_TEXT], uint64_t seconds)
{
	const uint64_t last = days_before(YEAR_MAX + 1) * DAY - 1;
	uint64_t s = seconds < last ? seconds : last;
	struct date d = date_of(s);

	memcpy(to, "Day, 00 Mon 0000 00:00:00 GMT", HTTPDATE_TEXT);
	memcpy(to, day_names[(s / DAY + 4) % 7], 3);
	put2(to + 5, d.day);
	memcpy(to + 8, month_names[d.month], 3);
	put2(to + 12, d.year / 100);
	put2(to + 14, d.year % 100);
	put2(to + 17, d.hour);
	put2(to + 20, d.minute);
	put2(to + 23, d.second);
	return (struct str){ to, HTTPDATE_TEXT - 1 };
}

/* Match text against a form of digits and literals; d, y, h, m and s collect digits, bbb is the month. */
static bool match(struct str text, const char *form, struct date *d, struct str *month)
{
	if (text.n != strlen(form))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		unsigned digit = (unsigned)(unsigned char)text.s[i] - '0';
		unsigned *to = form[i] == 'd' ? &d->day :
			       form[i] == 'y' ? &d->year :
			       form[i] == 'h' ? &d->hour :
			       form[i] == 'm' ? &d->minute :
			       form[i] == 's' ? &d->second : NULL;

		if (form[i] == 'b') {
			*month = (struct str){ text.s + i, 3 };
			i += 2;
		} else if (form[i] == 'd' && text.s[i] == ' ' && text.s[i + 1] != ' ') {
			continue;	/* asctime pads the day with a space */
		} else if (to != NULL) {
			if (digit > 9)
				return false;
			*to = *to * 10 + digit;
		} else if (form[i] != text.s[i]) {
			return false;
		}
	}
	return true;
}

/* 0 with the seconds of a date that exists; a leap second counts as the one before it. */
static int seconds_of(const struct date *d, struct str month_name, uint64_t *ret)
{
	unsigned month = 0;
	uint64_t days;

	while (month < 12 && memcmp(month_name.s, month_names[month], 3) != 0)
		month++;
	if (month == 12 || d->year < 1970 || d->year > YEAR_MAX || d->day < 1 ||
	    d->day > month_days(d->year, month) || d->hour > 23 || d->minute > 59 || d->second > 60)
		return -1;
	days = days_before(d->year) + d->day - 1;
	for (unsigned m = 0; m < month; m++)
		days += month_days(d->year, m);
	*ret = days * DAY + d->hour * 3600 + d->minute * 60 + (d->second > 59 ? 59 : d->second);
	return 0;
}

static bool take_day_name(struct str *text, bool whole)
{
	for (int i = 0; i < 7; i++) {
		struct str name = str_of(whole ? long_day_names[i] : day_names[i]);

		if (str_starts(*text, name)) {
			text->s += name.n;
			text->n -= name.n;
			return true;
		}
	}
	return false;
}

/* More than 50 years ahead means the century before (RFC 9110). */
static unsigned full_year(unsigned two_digits, uint64_t now)
{
	unsigned this_year = date_of(now).year;
	unsigned year = this_year / 100 * 100 + two_digits;

	return year > this_year + 50 ? year - 100 : year;
}

int httpdate_parse(struct str text, uint64_t now, uint64_t *ret)
{
	struct date d = { 0 };
	struct str month = STR(""), rest = text;

	if (take_day_name(&rest, false)) {
		if (match(rest, ", dd bbb yyyy hh:mm:ss GMT", &d, &month))
			return seconds_of(&d, month, ret);
		d = (struct date){ 0 };
		if (match(rest, " bbb dd hh:mm:ss yyyy", &d, &month))
			return seconds_of(&d, month, ret);
		rest = text;
		d = (struct date){ 0 };
	}
	if (!take_day_name(&rest, true) || !match(rest, ", dd-bbb-yy hh:mm:ss GMT", &d, &month))
		return -1;
	d.year = full_year(d.year, now);
	return seconds_of(&d, month, ret);
}
