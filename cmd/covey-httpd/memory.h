/*
 * memory - which paths were checked when, for Cache-Control: max-age=N
 *
 * Only what a majority of its homes confirmed to a reader is remembered, and
 * only of a path where no directory's entry hides the file's newest version.
 * A fixed table: what it forgets is asked again.  Any thread.
 */
#ifndef COVEY_HTTPD_MEMORY_H
#define COVEY_HTTPD_MEMORY_H

#include "version.h"

#include <stdbool.h>
#include <stdint.h>

struct memory;

struct memory *memory_new(void);
void memory_free(struct memory *);
/* At ms, by clock_boot_ms(), this version of the file was the newest anywhere, and what stands there by it. */
void memory_note(struct memory *, struct str path, struct version newest, uint64_t ms);
void memory_forget(struct memory *, struct str path);
/* What was the newest then, and when that was; false: nothing is known. */
bool memory_find(struct memory *, struct str path, struct version *ret_newest, uint64_t *ret_ms);

#endif
