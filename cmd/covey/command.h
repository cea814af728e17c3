/*
 * command - what every sub-command of covey shares
 *
 * A sub-command is a struct command in the file of its subject and a line
 * in the table of main.c.  main() parses the options by the command's own table,
 * answers --help from it, counts the operands, and calls run().
 *
 * What run() returns is the exit status: 0 or one of sysexits.h.  A
 * failure has been told by then: command_fail() does both.
 */
#ifndef COVEY_CMD_COMMAND_H
#define COVEY_CMD_COMMAND_H

#include "buf.h"
#include "err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sysexits.h>

#define COMMAND_OPTIONS 10

/* The table ends with a NULL name. */
struct command_option {
	const char *name;	/* "--name" */
	char letter;		/* "-n", or 0 */
	const char *value;	/* what its value is called, or NULL: it has none */
	const char *help;
};

struct arguments;

struct command {
	const char *name;
	const char *operands;	/* "PATH VERSION", or "" */
	const char *summary;	/* one line */
	const char *details;	/* more for --help, or NULL */
	const struct command_option *options;
	int least, most;	/* operands; most -1: no limit */
	bool passes_on;		/* all arguments are operands: another program reads them */
	int (*run)(const struct arguments *);
};

struct arguments {
	const struct command *command;
	const char *values[COMMAND_OPTIONS];	/* by place in the options; "" for one without value; NULL: not given */
	int count;		/* of operands */
	char **operands;
};

/* Shared rows of option tables. */
#define OPTION_NODE { "node", 0, "URL", "the node to ask; default $COVEY_NODE, else this machine's" }
#define OPTION_JSON { "json", 0, NULL, "JSON, for programs" }
#define OPTION_CONF \
	{ "config", 'c', "FILE", "the node's configuration; default /etc/covey/covey.yaml, else covey up's here" }
#define OPTION_END { NULL, 0, NULL, NULL }

/* "covey: ..." on standard error, a line, whole among those of other threads. */
void command_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Tell the sentence so, and return the exit status of its kind. */
int command_fail(const struct err *);
int command_misused(const struct command *, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A number given as an option or operand; -1 after err was filled. */
int command_number(const char *what, const char *text, uint64_t min, uint64_t max, uint64_t *ret,
		   struct err *);

/* A person at the terminal, which was asked on `to`, says yes. */
bool command_agreed(FILE *to);

/* Append a path as people write it, without its slashes at both ends.  0, or the exit status after it was told. */
int command_path(struct buf *to, const char *path);

/* The worse of two exit statuses: what may pass, 75, is better than what stays; of others the first. */
int status_worse(int, int);

extern const struct command command_access, command_adopt, command_backup, command_check, command_get, command_init, command_key,
	command_layout, command_log, command_ls, command_node, command_peers, command_prune, command_put, command_recover,
	command_restore, command_rm, command_scrub, command_status, command_token, command_units, command_up;

#endif
