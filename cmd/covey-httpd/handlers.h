/*
 * handlers - what the routing table in request.c leads to
 *
 * Each is called with a parsed request, and answers or goes on later as
 * conn.h describes.  What a kind of request remembers beyond struct request
 * is freed at the request's end; NULL is fine, and no job may be running.
 */
#ifndef COVEY_HTTPD_HANDLERS_H
#define COVEY_HTTPD_HANDLERS_H

struct conn;
struct get;
struct index;
struct msg;
struct page;

void get_start(struct conn *);		/* GET, HEAD of a file */
void get_free(struct get *);
void index_start(struct conn *);	/* GET, HEAD of a directory */
void history_start(struct conn *);	/* ?versions */
void index_free(struct index *);	/* of both */
void page_start(struct conn *);		/* /.covey/, but for msg */
void page_free(struct page *);
void pushed_start(struct conn *);	/* PUT of another node, with Covey-Push */
void msg_start(struct conn *);		/* POST /.covey/msg: a sealed message for another role */
void msg_free(struct msg *);
void upload_start(struct conn *);	/* PUT, POST with a body */
void delete_start(struct conn *);
void directory_start(struct conn *);	/* PUT, DELETE of a directory */
void restore_start(struct conn *);	/* POST ?restore= */

#endif
