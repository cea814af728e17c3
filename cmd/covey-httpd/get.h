/*
 * get - GET and HEAD of a file, for those who found its content elsewhere
 */
#ifndef COVEY_HTTPD_GET_H
#define COVEY_HTTPD_GET_H

#include "str.h"

struct conn;

/* Answer from request.entry, which is live and open (or a HEAD's record). */
void get_serve(struct conn *);
/* An error that says how sure it is. */
void get_absent(struct conn *, int status, struct str why);
void get_cache_status(struct conn *);

#endif
