/* ask - the sub-commands that show what a node answers in JSON */
#ifndef COVEY_CMD_ASK_H
#define COVEY_CMD_ASK_H

#include "client.h"

#include "json.h"

/*
 * GET the target as JSON.  0 with *ret, the caller's; else the exit status,
 * with everything told.  what names the thing asked for.
 */
int ask_json(const char *url, struct str target, const char *what, json_t **ret);
/* The same over a connection that stays. */
int ask_json_by(struct client *, struct str target, const char *what, json_t **ret);

/*
 * Of an entry of an index: the last component of its href, without a
 * directory's slash, which is the exact name, percent-encoded; the JSON
 * name is UTF-8 and may have lost bytes.
 */
struct str entry_name(const json_t *entry);
bool entry_is_directory(const json_t *entry);

/* Print it for programs, one line of JSON, whole among those of other threads. */
int print_json(const json_t *value);

/* "2026-11-22T11:07:24.123456001Z" as people want it: without the fraction, with a space. */
const char *time_text(char to[32], const char *time);

#endif
