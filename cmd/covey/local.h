/* local - the sub-commands that work on a node of this machine: its configuration, its store */
#ifndef COVEY_CMD_LOCAL_H
#define COVEY_CMD_LOCAL_H

#include "command.h"

#include "buf.h"
#include "conf.h"
#include "store.h"

/* All return 0, or the exit status after everything was told. */

/* A configuration; NULL: conf_default(). */
int local_conf(struct conf *ret, const char *conf_file);

/* The store of a configuration.  Root is told whose it is, instead of leaving there what its owner could not read. */
int local_open(struct store **ret, const struct conf *);

/* The store is this node now: where the configuration says node.id, it must say this one. */
void local_say_id(const struct conf *, const char *conf_file, uint64_t node);

/* Append a path as people write it, as the store has it: no slash at either end. */
int local_path(struct buf *to, const char *path);

/* Where the node of a configuration answers HTTP: "http://127.0.0.1:4720". */
#define LOCAL_URL (ADDRESS_TEXT + 8)
const char *local_url(char to[LOCAL_URL], const struct conf *);

#endif
