/*
 * calendar - days since 1970 as dates, and back
 *
 * Years are counted from March, so that the leap day is the last of its
 * year and 153 days make five months.
 */
#include "calendar.h"

#define DAYS_BEFORE_1970 719468		/* since 0000-03-01 */
#define DAYS_OF_ERA 146097		/* 400 years */

struct calendar_date calendar_date(uint64_t days)
{
	uint64_t n = days + DAYS_BEFORE_1970;
	uint64_t era = n / DAYS_OF_ERA, in_era = n % DAYS_OF_ERA;
	uint64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	uint64_t in_year = in_era - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * in_year + 2) / 153;
	struct calendar_date date = {
		.month = (unsigned)(month < 10 ? month + 3 : month - 9),
		.day = (unsigned)(in_year - (153 * month + 2) / 5 + 1),
	};

	date.year = (unsigned)(era * 400 + year + (date.month <= 2));
	return date;
}

uint64_t calendar_days(struct calendar_date date)
{
	uint64_t year = date.year - (date.month <= 2);
	uint64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
	uint64_t in_year = (153 * month + 2) / 5 + date.day - 1;
	uint64_t in_era = year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + in_year;

	return year / 400 * DAYS_OF_ERA + in_era - DAYS_BEFORE_1970;
}

bool calendar_exists(struct calendar_date date)
{
	struct calendar_date same;

	if (date.year < 1970 || date.month < 1 || date.month > 12 || date.day < 1 || date.day > 31)
		return false;
	same = calendar_date(calendar_days(date));
	return same.year == date.year && same.month == date.month && same.day == date.day;
}
