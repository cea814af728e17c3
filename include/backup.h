/*
 * backup - a copy of a store that keeps its records, and a store from such a copy
 *
 * A backup is a directory with what a store has, as it is there, but for
 * run/, tmp/ and the reserve, and with a file of its own, backup.ini:
 *
 *	[backup]
 *	node = 7f3a9c2b11d0e4f5
 *	whole = yes		written last; no: it is being made, renewed, or was cut
 *				off: names of the old one may be gone by then
 *				whose content the new one does not have yet
 *
 * The node may run meanwhile.  Each file is copied by one open descriptor:
 * its bytes, its record and its time are of the same version, whatever takes
 * its name then.  tree/ goes before history/, as versions do, and there a
 * mark before what it names; what is written after a directory was read is in
 * the next backup.  Names that the
 * store has no more go.  A file of the same size, time (in nanoseconds) and
 * record is not copied again.
 *
 * What is copied is read back where it could have been lost: times and
 * extended attributes that the file system there does not keep are an error.
 *
 * Functions return 0, or -1 with *err filled.
 */
#ifndef COVEY_BACKUP_H
#define COVEY_BACKUP_H

#include "err.h"

#include <stdint.h>

struct backup_count {
	uint64_t copied, same, went;	/* files, and links; those whose names went */
	uint64_t bytes;			/* copied */
	uint64_t elsewhere;		/* newest versions in tree/ whose content is on other nodes */
};

/*
 * Make or renew the backup of the store in `to`, which is made if it is not
 * there.  ERR_CONFLICT: it is the backup of another node, or not empty and
 * none, or somebody else is just making it.  ERR_CORRUPT: the store has lost
 * its records.
 */
int backup_make(const char *store, const char *to, struct backup_count *, struct err *);

/*
 * Make the store of a whole backup.  The store has nothing in tree/ and
 * history/ yet (ERR_EXISTS), and no program has it open (ERR_CONFLICT).  It
 * is another node then, with the id *ret_node, which owes all that it knows
 * to its group.  Cut off, it is refused by store_open() until it is made
 * again.  All files become of the user the store's directory belongs to.
 * prepare() is called with a path of its state/ when all is copied, before it
 * can be opened; -1 leaves it as if cut off.
 */
int backup_recover(const char *from, const char *store,
		   int (*prepare)(const char *state, struct err *), uint64_t *ret_node,
		   struct backup_count *, struct err *);

#endif
