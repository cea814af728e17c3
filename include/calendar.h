/*
 * calendar - days since 1970 as dates of the Gregorian calendar, and back
 *
 * Done here, not by gmtime(), because that takes a lock all threads share.
 */
#ifndef COVEY_CALENDAR_H
#define COVEY_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

struct calendar_date {
	unsigned year;		/* from 1970 on */
	unsigned month, day;	/* from 1 on */
};

struct calendar_date calendar_date(uint64_t days);

/* A date that does not exist (30 February) gives the day of some other date. */
uint64_t calendar_days(struct calendar_date);

/* Whether there is such a date, from 1970 on. */
bool calendar_exists(struct calendar_date);

#endif
