/*
 * unit - what every unit test needs: CHECK() counts and tells where, and
 * main() ends with `return UNIT_RESULT();`.
 */
#ifndef COVEY_UNIT_H
#define COVEY_UNIT_H

#include <stdio.h>

static int unit_failures;
static int unit_checks;

#define CHECK(condition) \
	do { \
		unit_checks++; \
		if (!(condition)) { \
			unit_failures++; \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
		} \
	} while (0)

/* A test that checked nothing has failed too. */
#define UNIT_RESULT() \
	(fprintf(stderr, "%d checks, %d failed\n", unit_checks, unit_failures), \
	 unit_failures > 0 || unit_checks == 0)

#endif
