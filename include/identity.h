/*
 * identity - who this node is to the others of its group
 *
 * What the configuration says of it, as other nodes are told, and the keys
 * by which they know that it is one of them.
 */
#ifndef COVEY_IDENTITY_H
#define COVEY_IDENTITY_H

#include "buf.h"
#include "conf.h"
#include "member.h"
#include "seal.h"

#include <stdint.h>

/*
 * Its id, name and addresses, as the configuration says (node.address with
 * the port of each listen), its region and weight, and whether it is a guest.
 */
int identity_member(const struct conf *, uint64_t id, struct member *ret, struct err *);

/*
 * By what the roles of one node know each other on their store, and people
 * this node: its address and its run directory.  Appended.
 */
void identity_roles(const struct conf *, struct buf *to);

#define IDENTITY_KEY_FILE_BYTES 4096	/* more in a key file is refused */

/* The keys of group.key_file; none when that is not given. */
int identity_keys(const struct conf *, struct seal_keys *ret, struct err *);

/*
 * group.key_file is there for every user of this machine to read, or write:
 * what is to be done, in words that name it.  NULL: it is not.  The caller's to free.
 */
char *identity_key_exposed(const struct conf *);
char *identity_tls_exposed(const struct conf *);	/* the same of the keys of tls.key */

#endif
