/*
 * keyring - the group's keys, as the key file has them now
 *
 * The file is watched, and looked at again when the role reloads (service.h).
 * What was said under the former keys goes on: who seals, opens, signs and
 * checks only ever looks at the role's struct seal_keys, which changes on the
 * service's loop.  A key that is taken out of the file still opens for
 * KEYRING_LINGER_MS, for what was on its way; it seals no more.  A file that
 * cannot be used is logged, and the keys stay as they were.
 *
 *	keyring_start		in start() of the role
 *	keyring_reload		in its reload()
 *	keyring_clear
 */
#ifndef COVEY_KEYRING_H
#define COVEY_KEYRING_H

#include "seal.h"
#include "service.h"

#define KEYRING_LINGER_MS 5000

struct keyring {
	struct seal_keys *keys;		/* the role's; none: a group of one */
	size_t in_file;			/* the first so many; the others linger */
	struct service *service;
	void (*changed)(struct service *);
	struct timer linger;
};
#define KEYRING_INIT { .keys = NULL }

/*
 * Read the file into *keys, which stays where it is.  changed, or NULL, is
 * called after each change of *keys but this first one.
 */
int keyring_start(struct keyring *, struct service *, struct seal_keys *keys,
		  void (*changed)(struct service *), struct err *);
void keyring_reload(struct keyring *);
void keyring_clear(struct keyring *);		/* safe on KEYRING_INIT; *keys is overwritten */

#endif
