/*
 * nodes - the configurations that `covey up` runs
 *
 *	DIR/group.key			one key for all, made once
 *	DIR/node<i>/covey.yaml		made once, then kept and believed
 *	DIR/node<i>/store		where it puts its files
 *
 * Every node seeds every other, so that they found their group as soon as
 * all have met: none has to wait for one that might be elsewhere.
 */
#ifndef COVEY_CMD_NODES_H
#define COVEY_CMD_NODES_H

#include "conf.h"

struct node {
	char *conf_file;	/* owned */
	struct conf conf;
};

struct nodes {
	struct node *list;	/* owned */
	size_t count;
};
#define NODES_INIT { .list = NULL, .count = 0 }

#define NODES_MAX 100
#define NODES_PORT 4720		/* of the first; the next ones are 10 apart */

/* Write what is not there yet, load the rest.  port 0: as it stands, or NODES_PORT. */
int nodes_prepare(struct nodes *, const char *dir, size_t count, uint64_t port, struct err *);

/* One node from a configuration that somebody wrote. */
int nodes_single(struct nodes *, const char *conf_file, struct err *);

void nodes_clear(struct nodes *);	/* safe on NODES_INIT */

/* The directory and those above it, 0750. */
int nodes_make_directory(const char *path, struct err *);

#endif
