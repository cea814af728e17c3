/*
 * handlers - what the routing table in request.c leads to
 *
 * Each is called with a parsed request, and answers or goes on later as
 * conn.h describes.
 */
#ifndef COVEY_HTTPD_HANDLERS_H
#define COVEY_HTTPD_HANDLERS_H

struct conn;

void get_start(struct conn *);		/* GET, HEAD of a file */
void index_start(struct conn *);	/* GET, HEAD of a directory */
void history_start(struct conn *);	/* ?versions */
void upload_start(struct conn *);	/* PUT, POST with a body */
void delete_start(struct conn *);
void directory_start(struct conn *);	/* PUT, DELETE of a directory */
void restore_start(struct conn *);	/* POST ?restore= */

#endif
