/* local - the sub-commands that work on a node's store itself */
#ifndef COVEY_CMD_LOCAL_H
#define COVEY_CMD_LOCAL_H

#include "command.h"

#include "buf.h"
#include "store.h"

#define CONF_FILE "/etc/covey/covey.yaml"

/* The store of a configuration (NULL: CONF_FILE); 0, or the exit status, and everything is told. */
int local_open(struct store **ret, const char *conf_file);

/* Append a path as people write it, as the store has it: no slash at either end.  0, or the exit status. */
int local_path(struct buf *to, const char *path);

#endif
