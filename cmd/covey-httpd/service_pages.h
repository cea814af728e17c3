/*
 * service_pages - /.covey/: is it alive, is it ready, what is going on
 */
#ifndef COVEY_HTTPD_SERVICE_PAGES_H
#define COVEY_HTTPD_SERVICE_PAGES_H

#include "str.h"

struct conn;
struct view;

void service_page(struct conn *);
void service_answer(struct conn *, int status, const char *type, struct str body);

/* views.c: what the other roles have to say, too */
void view_status(struct conn *);
void view_layout(struct conn *);
void view_metrics(struct conn *);
void view_free(struct view *);		/* NULL is fine */

#endif
