/*
 * httpdate - the date of header fields (RFC 9110, section 5.6.7)
 *
 * Written in the one preferred form, read in all three that RFC 9110
 * demands.  Times are seconds since 1970, UTC, up to the year 9999.  A date
 * before 1970 is read as 0: nothing here is as old as either.
 */
#ifndef COVEY_HTTPDATE_H
#define COVEY_HTTPDATE_H

#include "str.h"

#include <stdint.h>

#define HTTPDATE_TEXT 30	/* bytes that hold "Sun, 06 Nov 1994 08:49:37 GMT" with its NUL */

/* Returns to as a slice. */
struct str httpdate_format(char to[HTTPDATE_TEXT], uint64_t seconds);

/* now places the two-digit years of the RFC 850 form.  0, or -1 with *ret untouched. */
int httpdate_parse(struct str, uint64_t now, uint64_t *ret);

#endif
