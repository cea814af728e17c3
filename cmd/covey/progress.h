/*
 * progress - a line on the terminal while a transfer takes long
 *
 * Shown on standard error only when that is a terminal, only after the
 * first second, and gone when the transfer is over.  There is one terminal:
 * the line that stands there may be called off by any thread.
 */
#ifndef COVEY_CMD_PROGRESS_H
#define COVEY_CMD_PROGRESS_H

#include "str.h"

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *name;	/* of the transfer; NULL: nothing is shown */
	uint64_t began, shown;	/* ms; shown 0: not yet */
};

void progress_begin(struct progress *, const char *name);
bool progress_wanted(const struct progress *);
void progress_show(struct progress *, uint64_t done, uint64_t total);	/* total 0: not known */
void progress_files(struct progress *, uint64_t done, uint64_t known, uint64_t bytes);	/* of many files */
void progress_end(struct progress *);

/* Whole lines on standard error, in place of the line that stands there until it is shown again. */
void progress_above(struct str lines);

/* "1.2M" */
#define SIZE_TEXT 16
const char *size_text(char to[SIZE_TEXT], uint64_t bytes);

#endif
