/*
 * conf - what a person wrote in covey.yaml
 *
 * One table in lib/role/conf.c names every key with its type, default and
 * place in struct conf; covey.yaml(5) documents each.  Unknown keys and
 * wrong types are refused with file and line.
 */
#ifndef COVEY_CONF_H
#define COVEY_CONF_H

#include "err.h"
#include "sock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf_listen {
	bool given;			/* false: this node does not listen there */
	struct address address;
};

struct conf {
	struct {
		char *name;		/* for people; default: the host's name */
		char *address;		/* numeric; what others reach this node by; default 127.0.0.1 */
		char *store;		/* directory */
		char *run;		/* directory of sockets and locks; default STORE/run */
	} node;
	struct {
		struct conf_listen http;	/* default 4720 */
		struct conf_listen discovery;	/* udp; default 4721, only with group.key_file */
		struct conf_listen versions;	/* udp; default 4722, only with group.key_file */
	} listen;
	struct {
		char *key_file;		/* NULL: a group of one, for ever */
		char **seeds;		/* "host:port" of others' discovery, as written */
		size_t seed_count;
		char *multicast;	/* "group:port" or NULL: off */
	} group;
	struct {
		uint64_t check_ms;	/* default 250 */
		uint64_t pull_ms;	/* to the first byte; default 1000 */
	} timeouts;
	struct {
		uint64_t max_body;	/* bytes; 0: none */
		uint64_t min_free;	/* bytes */
		uint64_t header_timeout_ms;
		uint64_t idle_timeout_ms;	/* of a connection or a stalled body */
		uint64_t connections;	/* at once */
		uint64_t idle_exit_ms;	/* 0: never */
	} limits;
	bool access_open;		/* access: open */
};
#define CONF_INIT { .access_open = false }

int conf_load(struct conf *, const char *file, struct err *);
void conf_clear(struct conf *);		/* safe on CONF_INIT */

#endif
