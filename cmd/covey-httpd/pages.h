/*
 * pages - /.covey/: is it alive, is it ready, what is going on
 */
#ifndef COVEY_HTTPD_PAGES_H
#define COVEY_HTTPD_PAGES_H

struct conn;
struct page;

void page_start(struct conn *);
void page_free(struct page *);		/* NULL is fine; no job may be running */

#endif
