/*
 * rmdir - an empty directory is removed from a group
 *
 * In a group of one it is write.h's.
 */
#ifndef COVEY_HTTPD_RMDIR_H
#define COVEY_HTTPD_RMDIR_H

struct conn;
struct rmdir;

void rmdir_start(struct conn *);
void rmdir_free(struct rmdir *);	/* NULL is fine; no job may be running */

#endif
