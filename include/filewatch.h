/*
 * filewatch - files that people change while this process runs
 *
 *	filewatch_new, filewatch_add, read the files, loop_run: changed(), filewatch_free
 *
 * changed() is called on the loop within moments after one of the paths leads
 * to another file than before, to none or again to one, or after its file was
 * written and closed: however that came about, by a rename into its place, by
 * another target of a symbolic link on the way, as certbot and Kubernetes do
 * it, or by a directory that comes back.  Several changes at once are one
 * call, and a call does not mean that the bytes are others.
 *
 * The kernel tells (inotify(7)), so that a process at rest is not woken.  What it
 * cannot tell, because too many watch or a directory may not be read, is looked
 * for every FILEWATCH_LOOK_MS.  A file system that others change too (NFS) tells
 * nothing of that: there somebody has to say it, by SIGHUP.
 *
 * For the loop's thread.
 */
#ifndef COVEY_FILEWATCH_H
#define COVEY_FILEWATCH_H

#include "loop.h"

#include <stdbool.h>

#define FILEWATCH_LOOK_MS 5000

struct filewatch;

struct filewatch *filewatch_new(struct loop *, void (*changed)(void *data), void *data);
void filewatch_free(struct filewatch *);	/* NULL is fine */

/*
 * path: absolute; copied; a file or nothing yet; one that is watched already stays so.
 * Read it after this, or a change may be missed.
 */
void filewatch_add(struct filewatch *, const char *path);

/*
 * Each name that is looked up on the way to path, with the directory it is in,
 * whose own path has no symbolic link.  turns: the name is the file's, a link's,
 * or there is none: whoever changes it changes where the path leads.
 */
void filewatch_way(const char *path,
		   void (*step)(void *data, const char *directory, const char *name, bool turns),
		   void *data);

#endif
