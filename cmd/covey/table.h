/*
 * table - rows of text for people, their columns as wide as they must be
 *
 * Control characters in a cell are shown as '?': a name is not to move
 * the cursor of whoever lists it.
 */
#ifndef COVEY_CMD_TABLE_H
#define COVEY_CMD_TABLE_H

#include "buf.h"

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

#endif
