/*
 * conf_value - one value of covey.yaml, judged by its type and put in its place
 */
#ifndef COVEY_LIB_ROLE_CONF_VALUE_H
#define COVEY_LIB_ROLE_CONF_VALUE_H

#include "conf.h"

#define CONF_NAME_BYTES 64
#define CONF_REGION_BYTES 15

enum conf_type {
	NAME, ID, REGION, ADDRESS, DIRECTORY, LISTEN, SEEDS, MULTICAST, DURATION, BYTES, COUNT, SWITCH, ACCESS,
	LEVEL,
};

struct conf_key {
	const char *path;
	enum conf_type type;
	size_t offset;		/* in struct conf */
	const char *otherwise;	/* when not given; NULL: nothing, or settled at the end */
	uint64_t min, max;	/* of a duration (ms), bytes or a count */
};

/*
 * Set the key, or add to its list.  base is what relative paths are taken
 * from.  A LISTEN that is a port alone becomes an address whose len is 0:
 * its port is right, its host is to come from node.address.
 */
int conf_value_set(struct conf *, const char *base, const struct conf_key *, struct str value,
		   struct err *);

/* Refuse a list or a section where the key wants a value, or the other way round. */
int conf_value_wrong_kind(const struct conf_key *, struct err *);

void *conf_value_place(struct conf *, const struct conf_key *);

/* A numeric address without its port, and the port. */
int conf_value_address(struct str ip, unsigned port, struct address *ret);

#endif
