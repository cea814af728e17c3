/*
 * inifile - state that programs write and shells read: node.ini, members.ini
 *
 *	[self]
 *	id = 7f3a9c2b11d0e4f5
 *
 * Read with inih, with its silent truncations made errors; written whole,
 * atomically and synced.  What was put comes back exactly: a section, key
 * or value that would not is refused when it is put.
 *
 * Writing: INIFILE_INIT, section and put in the file's order, save, clear.
 * The first mistake of a put is kept and reported by the save, so that
 * puts need no checks.
 *
 * (Not called ini: <ini.h> is inih's own.)
 */
#ifndef COVEY_INIFILE_H
#define COVEY_INIFILE_H

#include "buf.h"
#include "err.h"
#include "str.h"

#define INIFILE_LINE 190	/* bytes of a line, at most; a section's name has 48 */

/* One key; -1 with *err filled stops the reading. */
typedef int inifile_each(void *data, struct str section, struct str key, struct str value,
			 struct err *);

/*
 * Call each for every key in the file's order; section is empty before the
 * first.  A file that is not there is ERR_ABSENT, one that cannot be read
 * as INI is ERR_CORRUPT with file and line, as are errors of each.
 */
int inifile_read(const char *file, inifile_each *, void *data, struct err *);

/* The same of DIRECTORY/NAME. */
int inifile_load(const char *directory, const char *name, inifile_each *, void *data, struct err *);

/* The same from memory; file is only named in errors. */
int inifile_read_text(struct str text, const char *file, inifile_each *, void *data,
		      struct err *);

/* For each(): "bad KEY "VALUE"". */
int inifile_bad(struct str key, struct str value, struct err *);

struct inifile {
	struct buf text;
	struct err err;		/* of the first bad put */
};
#define INIFILE_INIT { .text = BUF_INIT, .err = ERR_INIT }

void inifile_clear(struct inifile *);		/* safe on INIFILE_INIT; reusable after */
void inifile_section(struct inifile *, const char *name);
void inifile_put(struct inifile *, const char *key, struct str value);
void inifile_putf(struct inifile *, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Replace the file by what was put; see file_replace(). */
int inifile_save(struct inifile *, const char *file, unsigned mode, struct err *);
/* The same of DIRECTORY/NAME, of the usual mode; then what was put is cleared. */
int inifile_store(struct inifile *, const char *directory, const char *name, struct err *);

#endif
