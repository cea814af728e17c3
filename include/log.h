/*
 * log - the one place that tells the operator something
 *
 * Lines go to stderr as "PROGRAM: sentence", or "PROGRAM: warning: sentence",
 * or to the journal with their level and fields when systemd connected stderr
 * to it: errors without fields by stderr, since their process often ends at
 * once, all else by the journal's own socket.  Whoever runs several nodes names
 * the one in the environment (LOG_NODE): then time and name come first.  Only
 * cmd/ and the service skeleton log; libraries return errors.  Any thread may.
 *
 * Errors of one kind come in floods, as from every write to a full disk: of
 * log_err() and log_fields(), beyond LOG_ALIKE in LOG_ALIKE_MS, they are
 * counted, and the next one says how many there were.
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

#define LOG_NODE "COVEY_LOG_NODE"	/* of the environment: the node's name */
#define LOG_ALIKE 10
#define LOG_ALIKE_MS 60000

/* Once, before the first line; program must stay.  quiet: nothing goes to stderr. */
void log_open(const char *program, int quiet);
/* Lines beyond this level are left out; LOG_LEVEL_INFO before this is called. */
void log_limit(enum log_level);
/* "error", "warning" or "info"; 0 or -1. */
int log_level_parse(struct str, enum log_level *ret);

void log_line(enum log_level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * The same with up to LOG_FIELDS_MAX fields, which stderr does not show.  Of one
 * kind are those with the same format and the same first field.
 */
#define LOG_FIELDS_MAX 8
void log_fields(enum log_level, const struct log_field *, size_t count, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* "what: the error's sentence".  Of one kind are those with the same what. */
void log_err(enum log_level, const struct err *, const char *what);

#endif
