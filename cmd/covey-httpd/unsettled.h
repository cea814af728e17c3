/*
 * unsettled - a version that a minority of its homes knows, read
 *
 * Nobody was found to have its content, and so covey-versiond could not
 * make a majority know it.  It is fetched, then stored at the homes: then it
 * is confirmed.  When it cannot be had and every home had answered, it never
 * was confirmed, and never will be: the next lower version is asked for.
 */
#ifndef COVEY_HTTPD_UNSETTLED_H
#define COVEY_HTTPD_UNSETTLED_H

struct conn;
struct unsettled;

/* request.ask has it; goes on at get_settled(), get_unsettled() or get_below(). */
void unsettled_start(struct conn *);
void unsettled_free(struct unsettled *);	/* NULL is fine */

#endif
