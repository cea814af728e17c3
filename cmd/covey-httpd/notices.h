/*
 * notices - what the log says once when it changes, and not with every request
 *
 * That writes are not confirmed any more, and that they are again; that the
 * disk is nearly full, and that it has room again.  What was said last is
 * known to the next process, too, and to those beside it that inetd starts.
 * Any thread.
 */
#ifndef COVEY_HTTPD_NOTICES_H
#define COVEY_HTTPD_NOTICES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct conn;
struct httpd;

struct notices {
	atomic_bool unconfirmed;	/* the log said so */
	atomic_uint_least64_t last;	/* ms since the boot: when that was seen last */
	atomic_bool nearly_full;	/* the log said so */
};

/* A write is about to be answered, confirmed or with 202. */
void notices_write(struct conn *, bool confirmed);
/* Something was written to the disk.  Blocks. */
void notices_disk(struct httpd *);

#endif
