/* httpdate - the date of header fields, without the C library's locks and time zones */
#include "httpdate.h"

#include "calendar.h"

#define DAY UINT64_C(86400)
#define LAST UINT64_C(253402300799)	/* of the year 9999 */

static const char day_names[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const long_day_names[7] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
					       "Thursday", "Friday", "Saturday" };
static const char month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

struct time {
	unsigned year, day;
	unsigned hour, minute, second;
};

static void put2(char *to, unsigned value)
{
	to[0] = (char)('0' + value / 10 % 10);
	to[1] = (char)('0' + value % 10);
}

struct str httpdate_format(char to[HTTPDATE_TEXT], uint64_t seconds)
{
	uint64_t s = seconds < LAST ? seconds : LAST;
	struct calendar_date date = calendar_date(s / DAY);

	memcpy(to, "Day, 00 Mon 0000 00:00:00 GMT", HTTPDATE_TEXT);
	memcpy(to, day_names[(s / DAY + 4) % 7], 3);
	put2(to + 5, date.day);
	memcpy(to + 8, month_names[date.month - 1], 3);
	put2(to + 12, date.year / 100);
	put2(to + 14, date.year % 100);
	put2(to + 17, (unsigned)(s % DAY / 3600));
	put2(to + 20, (unsigned)(s % 3600 / 60));
	put2(to + 23, (unsigned)(s % 60));
	return (struct str){ to, HTTPDATE_TEXT - 1 };
}

/* Match text against a form of digits and literals; d, y, h, m and s collect digits, bbb is the month. */
static bool match(struct str text, const char *form, struct time *t, struct str *month)
{
	if (text.n != strlen(form))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		unsigned digit = (unsigned)(unsigned char)text.s[i] - '0';
		unsigned *to = form[i] == 'd' ? &t->day :
			       form[i] == 'y' ? &t->year :
			       form[i] == 'h' ? &t->hour :
			       form[i] == 'm' ? &t->minute :
			       form[i] == 's' ? &t->second : NULL;

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

/* 0 with the seconds of a time that exists; a leap second counts as the one before it. */
static int seconds_of(const struct time *t, struct str month_name, uint64_t *ret)
{
	bool early = t->year < 1970;
	/* After 400 years the calendar is the same again. */
	struct calendar_date date = { .year = t->year + (early ? 2000 : 0), .month = 1, .day = t->day };

	while (date.month <= 12 && memcmp(month_name.s, month_names[date.month - 1], 3) != 0)
		date.month++;
	if (!calendar_exists(date) || t->hour > 23 || t->minute > 59 || t->second > 60)
		return -1;
	*ret = early ? 0 : calendar_days(date) * DAY + t->hour * UINT64_C(3600) +
			   t->minute * UINT64_C(60) + (t->second > 59 ? 59 : t->second);
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
	unsigned this_year = calendar_date(now / DAY).year;
	unsigned year = this_year / 100 * 100 + two_digits;

	return year > this_year + 50 ? year - 100 : year;
}

int httpdate_parse(struct str text, uint64_t now, uint64_t *ret)
{
	struct time t = { 0 };
	struct str month = STR(""), rest = text;

	if (text.n == 0)
		return -1;
	if (take_day_name(&rest, false)) {
		if (match(rest, ", dd bbb yyyy hh:mm:ss GMT", &t, &month))
			return seconds_of(&t, month, ret);
		t = (struct time){ 0 };
		if (match(rest, " bbb dd hh:mm:ss yyyy", &t, &month))
			return seconds_of(&t, month, ret);
		rest = text;
		t = (struct time){ 0 };
	}
	if (!take_day_name(&rest, true) || !match(rest, ", dd-bbb-yy hh:mm:ss GMT", &t, &month))
		return -1;
	t.year = full_year(t.year, now);
	return seconds_of(&t, month, ret);
}
