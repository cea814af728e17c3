/*
 * sweep - what commits that died left in tmp/
 *
 * A file on its way to its name (place.c, directory.c) has one in tmp/ for a
 * moment, under the path's lock, and whoever dies then leaves it: a body of
 * any size.  The path's next commit would remove it, should there ever be
 * one.  The name ends in the path's hash, so that its lock can be tried: who
 * holds it is alive, and cleans up himself.
 */
#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define HASH_DIGITS 16

static void drop(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) < 0 && errno == EISDIR)
		unlinkat(dir, name, AT_REMOVEDIR);
}

static int sweep_name(void *data, const char *name)
{
	struct store *store = data;
	struct str text = str_of(name);
	struct lock lock = LOCK_INIT;
	uint64_t hash;

	if (!str_starts(text, STR(",")) || text.n < HASH_DIGITS ||
	    str_hex64((struct str){ text.s + text.n - HASH_DIGITS, HASH_DIGITS }, &hash) < 0)
		return 0;	/* not covey's */
	if (lock_try(&lock, store->dir, DISK_LOCK_FILE, counters_slot(hash))) {
		drop(store->tmp, name);
		lock_release(&lock);
	}
	return 0;
}

int disk_sweep(struct store *store, struct err *err)
{
	return look_names(store->tmp, ".", sweep_name, store, err);
}
