/*
 * output - what a connection has to send: text with pieces of a file between
 *
 * Text is appended to output->text; output_file() says that the next bytes
 * on the wire come from the file.  Several answers may follow each other
 * as long as they are text alone; a file goes with the last one.
 */
#ifndef COVEY_HTTPD_OUTPUT_H
#define COVEY_HTTPD_OUTPUT_H

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>

struct insert {
	size_t at;		/* behind this many bytes of text */
	uint64_t offset, left;	/* bytes of the file */
};

struct output {
	struct buf text;
	size_t sent;		/* bytes of text */
	struct insert *inserts;	/* owned; in the order of at */
	size_t insert_count, insert_room, insert_next;
	int file;		/* owned, or -1 */
	uint64_t available;	/* the file may be read up to here by now */
	bool hold;		/* the last OUTPUT_HOLD_BYTES of it wait until it is verified */
};
#define OUTPUT_HOLD_BYTES 16384
#define OUTPUT_INIT { .file = -1, .available = UINT64_MAX }

enum output_result {
	OUTPUT_DONE,		/* nothing is left */
	OUTPUT_BLOCKED,		/* the other side does not read at the moment */
	OUTPUT_TURN,		/* enough for now, others want to be served */
	OUTPUT_STARVED,		/* the file has to grow first */
	OUTPUT_BROKEN,		/* the connection is of no more use */
};

/* The file becomes the output's; pieces of it are inserted by output_insert(). */
void output_file(struct output *, int fd);
void output_insert(struct output *, uint64_t offset, uint64_t bytes);
/* The file goes, and what was to be sent of it. */
void output_drop_file(struct output *);

bool output_pending(const struct output *);
/* *progress is set when bytes were sent. */
enum output_result output_flush(struct output *, int fd, bool socket, bool *progress);
void output_clear(struct output *);

#endif
