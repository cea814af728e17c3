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

/* What became of a version that was not settled (unsettled.h). */
void get_settled(struct conn *);	/* request.ask's is the newest, entry has its content */
void get_unsettled(struct conn *);	/* nobody can vouch for it */
void get_below(struct conn *);		/* it never was: go on with the next lower one */

#endif
