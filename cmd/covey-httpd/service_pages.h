/*
 * service_pages - /.covey/: is it alive, is it ready, what is going on
 */
#ifndef COVEY_HTTPD_SERVICE_PAGES_H
#define COVEY_HTTPD_SERVICE_PAGES_H

struct conn;
struct view;

void service_page(struct conn *);
void view_free(struct view *);		/* NULL is fine */

#endif
