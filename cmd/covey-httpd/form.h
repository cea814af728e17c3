/*
 * form - files posted as multipart/form-data (curl -F, a browser's form)
 *
 * Each file becomes one version: at the request's path, or, when that is
 * a directory, below it under its own name.  Nothing is committed before
 * the whole form has arrived.
 */
#ifndef COVEY_HTTPD_FORM_H
#define COVEY_HTTPD_FORM_H

#include "err.h"
#include "str.h"

struct conn;
struct form;
struct write;

struct form *form_new(struct conn *, struct err *);	/* NULL on failure */
void form_free(struct form *);				/* NULL is fine */
/* More of the body; may block on the disk. */
int form_add(struct form *, struct str bytes, struct err *);
/* The body is complete: its files become the write's. */
int form_finish(struct form *, struct write *, struct err *);

#endif
