/*
 * output - what people and programs see of a sub-command: rows, lines of JSON, progress
 */
#ifndef COVEY_CMD_OUTPUT_H
#define COVEY_CMD_OUTPUT_H

#include "buf.h"
#include "json.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A table: rows whose columns are as wide as they must be.  A control
 * character in a cell is shown as '?', because a name must not move the
 * cursor of whoever lists it.
 */
#define TABLE_COLUMNS 8

struct table {
	struct buf cells;	/* each ends with a NUL */
	size_t columns;
	size_t count;		/* of cells */
	size_t widths[TABLE_COLUMNS];	/* characters */
	unsigned right;		/* bit i: column i is set flush right */
};
#define TABLE_INIT(columns_, right_) \
	{ .cells = BUF_INIT, .columns = (columns_), .right = (right_) }

void table_add(struct table *, const char *cell);	/* the next cell, row by row */
void table_print(struct table *);	/* to standard output; clears it */

/* "1.2M" */
#define SIZE_TEXT 16
const char *size_text(char to[SIZE_TEXT], uint64_t bytes);

/* Takes the value: a line of JSON, whole among those of other threads.  0, or the exit status; it is told. */
int print_json(json_t *);

/*
 * Progress: a line on standard error while a transfer takes long.  It is
 * shown only on a terminal and after the first second, and is removed when
 * the transfer is over.  There is one terminal: any thread may remove the
 * line that another one shows.
 */
struct progress {
	const char *name;	/* of the transfer; NULL: nothing is shown */
	uint64_t began, shown;	/* ms; shown 0: not yet */
};

void progress_begin(struct progress *, const char *name);
void progress_show(struct progress *, uint64_t done, uint64_t total);	/* total 0: not known */
void progress_files(struct progress *, uint64_t done, uint64_t known, uint64_t bytes);	/* of many files */
void progress_end(struct progress *);

/* Whole lines on standard error; the line of progress is removed until it is shown again. */
void progress_above(struct str lines);

#endif
