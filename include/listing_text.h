/*
 * listing_text - indexes and histories as lines of text, for people, tools and peers
 *
 * One line per name of an index, sorted by the bytes of the decoded name:
 *
 *	NAME TAB TYPE TAB SIZE TAB VERSION TAB TIME[ TAB SHA256 TAB MTIME] LF
 *
 *	NAME     percent-encoded (all but A-Z a-z 0-9 - . _ ~); with a slash
 *	         at its end for a directory
 *	TYPE     file, directory or deleted (only with ?deleted); to another
 *	         node also ended, of a directory that was removed
 *	SIZE     bytes; 0 for what is not a file
 *	VERSION  the newest version's id, or - (a directory without a record)
 *	TIME     when it was made, 2026-11-22T11:07:24.123456001Z, or -: the
 *	         version's time, unless it is a conditional child
 *	SHA256   of a file alone: of its content
 *	MTIME    of a file alone: the client's, s since 1970; 0 when none was given
 *
 * A home tells another node both registers of each name in place of what
 * stands there: the directory's newest record (directory or ended), then
 * the file's (file or deleted), as far as it knows any.
 *
 * One line per version of a path, newest first:
 *
 *	RECORD TAB CONTENT[ TAB conflict] LF
 *
 *	RECORD   VERSION FLAGS SIZE SHA256 MTIME[@MADE][ TYPE], see record.h
 *	CONTENT  here or away: whether the node that was asked holds the bytes
 *	conflict among versions that may have been written without knowing of
 *	         each other: neighbours that are blind, of more than one node
 *
 * Line and row map one to one; any other spelling is refused.  Rows point
 * into the line, or into memory that the caller gave.
 */
#ifndef COVEY_LISTING_TEXT_H
#define COVEY_LISTING_TEXT_H

#include "buf.h"
#include "err.h"
#include "record.h"
#include "str.h"

#include <stdbool.h>

enum listing_type { LISTING_FILE, LISTING_DIRECTORY, LISTING_DELETED, LISTING_ENDED };

struct listing_row {
	struct str name;	/* one component, decoded, without a slash */
	enum listing_type type;
	uint64_t size;		/* bytes; 0 unless a file */
	struct version version;	/* none: only of a directory */
	uint64_t made;		/* as in the record: 0 at the version's time */
	uint8_t sha256[SHA256_BYTES];	/* of a file's content; else zeros */
	uint32_t mtime;		/* the client's, s since 1970; 0: not given, or no file */
};

/* The name stays the caller's. */
struct listing_row listing_row_of(struct str name, const struct record *, enum listing_type);

/* The version that stands at the name; where nothing stands, the newest that is known. */
struct listing_row listing_row_of_standing(struct str name, const struct record *file, const struct record *entry);
/* What was there and is not any more: a file, a directory, or both.  How many rows. */
size_t listing_rows_of_gone(struct str name, const struct record *file, const struct record *entry,
			    struct listing_row to[2]);

static inline uint64_t listing_row_made(const struct listing_row *row)
{
	return row->made != 0 ? row->made : row->version.time;
}

struct history_row {
	struct record record;
	struct str type;	/* explicit content type, or empty */
	bool here;		/* the content is at the node that was asked */
	bool conflict;		/* see above; listing_text_conflicts() finds them */
};

const char *listing_type_name(enum listing_type);	/* "file" */

/* Of a directory that is there, or was. */
static inline bool listing_row_is_directory(const struct listing_row *row)
{
	return row->type == LISTING_DIRECTORY || row->type == LISTING_ENDED;
}

/* A time, not 0, as RFC 3339 has it: "2026-11-22T11:07:24.123456001Z" */
void listing_text_time(struct buf *, uint64_t ns);

/* Mark the conflicts of a whole history, newest first. */
void listing_text_conflicts(struct history_row *, size_t count);

void listing_text_row(struct buf *, const struct listing_row *);
/* Up to two lines: what is known of a name's file and of its directory; version none: nothing. */
void listing_text_registers(struct buf *, struct str name, const struct record *file,
			    const struct record *entry);
void listing_text_version(struct buf *, const struct history_row *);

/* A line without its LF.  The name is decoded into scratch, which is reset first. */
int listing_text_parse_row(struct str line, struct buf *scratch, struct listing_row *ret,
			   struct err *);
int listing_text_parse_version(struct str line, struct history_row *ret, struct err *);

#endif
