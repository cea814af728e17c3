/*
 * recent - which paths were checked when, for Cache-Control: max-age=N
 *
 * Only what a majority of its homes confirmed to a reader is remembered, and
 * only of a path where no directory's entry hides the file's newest version.
 * A fixed table: what it forgets is asked again.  Any thread.
 */
#ifndef COVEY_HTTPD_RECENT_H
#define COVEY_HTTPD_RECENT_H

#include "version.h"

#include <stdbool.h>
#include <stdint.h>

struct recent;

struct recent *recent_new(void);
void recent_free(struct recent *);
/* At ms, by clock_boot_ms(), this version of the file was the newest anywhere, and what stands there by it. */
void recent_note(struct recent *, struct str path, struct version newest, uint64_t ms);
void recent_forget(struct recent *, struct str path);
/* What was the newest then, and when that was; false: nothing is known. */
bool recent_find(struct recent *, struct str path, struct version *ret_newest, uint64_t *ret_ms);

#endif
