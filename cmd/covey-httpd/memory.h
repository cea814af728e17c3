/*
 * memory - which paths were checked when, for Cache-Control: max-age=N
 *
 * Only what a majority of its homes confirmed is remembered.  A fixed
 * table: what it forgets is asked again.  Any thread.
 */
#ifndef COVEY_HTTPD_MEMORY_H
#define COVEY_HTTPD_MEMORY_H

#include "version.h"

#include <stdbool.h>
#include <stdint.h>

struct memory;

struct memory *memory_new(void);
void memory_free(struct memory *);
/* At now_ms this version was the newest anywhere. */
void memory_note(struct memory *, struct str path, struct version newest, uint64_t now_ms);
/* What was the newest then, and when that was; false: nothing is known. */
bool memory_find(struct memory *, struct str path, struct version *ret_newest, uint64_t *ret_ms);

#endif
