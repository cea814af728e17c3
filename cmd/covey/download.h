/*
 * download - one version's content, whole and checked, or not at all
 *
 * Into a file it goes by way of FILE.VERSION.part beside it, which is
 * renamed when all is there and its digest is right.  A part that an
 * earlier try left is continued, when the node still has that version as
 * the one asked for.  Into a pipe it goes as it comes; a transfer that
 * breaks off is continued where it was.
 */
#ifndef COVEY_CMD_DOWNLOAD_H
#define COVEY_CMD_DOWNLOAD_H

#include "client.h"

/*
 * Fetch target into the file, or into descriptor out when file is NULL.
 * The exit status; everything is told.  what names it for people.
 */
int download(struct client *, struct str target, const char *what, const char *file, int out);

#endif
