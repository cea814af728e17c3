/*
 * log - the one place that tells the operator something
 *
 * Lines go to stderr as "PROGRAM: sentence", or to the journal with their
 * fields when systemd connected stderr to it.  Only cmd/ and the service
 * skeleton log; libraries return errors.  Any thread may.
 */
#ifndef COVEY_LOG_H
#define COVEY_LOG_H

#include "err.h"
#include "str.h"

#include <stddef.h>

enum log_level {		/* as syslog(3) numbers them */
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
};

struct log_field {
	const char *name;	/* "COVEY_PATH": capitals, digits and underscores */
	struct str value;	/* any bytes */
};

/* Once, before the first line; program must stay.  quiet: nothing goes to stderr. */
void log_open(const char *program, int quiet);

void log_line(enum log_level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with up to LOG_FIELDS_MAX fields, which stderr does not show. */
#define LOG_FIELDS_MAX 8
void log_fields(enum log_level, const struct log_field *, size_t count, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* "what: the error's sentence" */
void log_err(enum log_level, const struct err *, const char *what);

#endif
