/*
 * tally - counts that outlive the process that counts
 *
 * A file of the run directory, mapped: who counts writes to memory, and the
 * next process goes on from there, also after a crash.  It is not synced: what
 * a power cut takes of it is counted from zero again, as after any boot that
 * empties the directory.  A file of another size or kind is begun anew.
 *
 * Several processes may have one open; what they raise has to be atomic then.
 */
#ifndef COVEY_TALLY_H
#define COVEY_TALLY_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

/*
 * bytes of counts, zeros at first.  kind: what they are; another when the same
 * bytes come to mean something else.  Never NULL: where the file cannot be had
 * *why says so (ERR_INIT before), and they last as long as this process.
 */
void *tally_open(const char *path, uint64_t kind, size_t bytes, struct err *why);
/* The same of RUN/NAME.tally, where a node's programs keep theirs. */
void *tally_open_in(const char *run, const char *name, uint64_t kind, size_t bytes, struct err *why);
void tally_close(void *, size_t bytes);		/* NULL is fine */

#endif
