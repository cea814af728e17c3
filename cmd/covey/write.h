/*
 * write - what the sub-commands that write share: how sure to be, and what came of it
 *
 * A write that this node alone has (202) is a failure that passes, 75:
 * the file is on its disk and goes to the others by itself, but nobody
 * has said yet that it arrived.  With --async that is enough.
 */
#ifndef COVEY_CMD_WRITE_H
#define COVEY_CMD_WRITE_H

#include "ask.h"

#include <stdatomic.h>

#define OPTION_ASYNC { "async", 0, NULL, "this node's disk is enough, the others follow" }
#define OPTION_WAIT { "wait", 0, "SECONDS", "for the group to confirm; default timeouts.store" }
#define WRITE_WAIT_MAX 3600	/* s */

struct write {
	char prefer[40];	/* a header line, or "" */
	uint64_t wait_s;	/* of --wait, or 0 */
	bool async;
	bool json, quiet;	/* how to tell the outcome */
};

/* From the values of --async and --wait. */
int write_init(struct write *, const char *async, const char *wait, struct err *);

/* Into the exchange's headers, behind those there are. */
void write_ask(const struct write *, struct exchange *);

/* Tell what came of it, and return the exit status. */
int write_told(const struct write *, const struct exchange *, const char *path);

/* Of one of many: only a refusal is told; what is not confirmed is counted in *unsure. */
int write_counted(const struct write *, const struct exchange *, const char *path,
		  atomic_uint_least64_t *unsure);
/* And told at the end; all is how many were written. */
void write_told_unsure(uint64_t unsure, uint64_t all);

#endif
