/*
 * json - what another covey program said in JSON, by jansson
 *
 * Members that are missing or of another type read as empty, so that a
 * newer node's answer, or an older one's, is shown as far as it goes.
 */
#ifndef COVEY_JSON_H
#define COVEY_JSON_H

#include "err.h"
#include "str.h"

#include <jansson.h>

/* The value is the caller's to json_decref(); what names its origin in errors, which are ERR_CORRUPT. */
int json_read(json_t **ret, struct str text, const char *what, struct err *);

const char *json_text(const json_t *object, const char *member);	/* or "" */
uint64_t json_number(const json_t *object, const char *member);	/* or 0 */
bool json_flag(const json_t *object, const char *member);	/* or false */

#endif
