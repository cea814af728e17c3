/*
 * local - a node of this machine: its configuration, its store, its programs
 */
#ifndef COVEY_CMD_LOCAL_H
#define COVEY_CMD_LOCAL_H

#include "command.h"

#include "buf.h"
#include "call.h"
#include "conf.h"
#include "discover_talk.h"
#include "view_client.h"

/* A configuration; NULL: conf_default().  0, or the exit status after everything was told. */
int local_conf(struct conf *ret, const char *conf_file);

/* The same, and what is to be done by it; the exit status. */
int local_run(const struct arguments *, const char *conf_file,
	      int (*run)(const struct arguments *, const struct conf *));

/* Where the node of a configuration answers HTTP: "http://127.0.0.1:4720". */
#define LOCAL_URL (ADDRESS_TEXT + 8)
const char *local_url(char to[LOCAL_URL], const struct conf *);

/* These three return 0, or -1 with *err filled. */

/* Ask the program behind a socket in node.run; asking_next() has its answers.  ERR_AWAY: it never ran here. */
int local_ask(struct asking *, const struct conf *, const char *socket, uint8_t type, struct str body,
	      uint64_t timeout_ms, struct err *);

/* What covey-discoverd knows of the group; *ret is the caller's to free. */
int local_view(const struct conf *, struct view_client **ret, struct err *);

/* Where a program of covey is: beside this one, in its ../libexec/covey, or in PATH.  *ret is the caller's to free. */
int program_find(const char *name, char **ret, struct err *);

/* A fresh key for a group: 64 hexadecimal digits and a newline. */
#define GROUP_KEY_BYTES 32
#define GROUP_KEY_TEXT (2 * GROUP_KEY_BYTES + 2)
void group_key_new(char to[GROUP_KEY_TEXT]);

#endif
