/*
 * get - GET and HEAD of a file
 */
#ifndef COVEY_HTTPD_GET_H
#define COVEY_HTTPD_GET_H

struct get;

void get_free(struct get *);		/* NULL is fine; no job may be running */

#endif
