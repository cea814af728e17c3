/*
 * conf - what a person wrote in covey.yaml
 *
 * One table in lib/role/conf.c names every key with its type, default and
 * place in struct conf; covey.yaml(5) documents each.  Unknown keys and
 * wrong types are refused with file and line.
 */
#ifndef COVEY_CONF_H
#define COVEY_CONF_H

#include "access.h"
#include "err.h"
#include "log.h"
#include "sock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONF_SEEDS_MAX 64
#define CONF_FILES_MAX 64
#define CONF_LISTENS_MAX 8	/* addresses of one kind of listener */
#define CONF_SEED_HTTP "http://"	/* what a seed begins with that is asked by HTTP */

#define CONF_LIST_MAX 256		/* members of any other list */

/* A list as it was written. */
struct conf_list {
	char **texts;
	size_t count;
};

struct conf_listen {
	bool given;			/* false: this node does not listen there */
	struct address address;
};

/* Whether contents go between nodes coded by what the receiver has already. */
enum conf_delta {
	CONF_DELTA_AUTO,		/* where that is quicker, by what was measured */
	CONF_DELTA_ON,			/* wherever it can be */
	CONF_DELTA_OFF,			/* never, nor to clients */
};

struct conf {
	struct {
		char *name;		/* for people, letters, digits, . - _; default: the host's name */
		char *address;		/* numeric; what others reach this node by; default 127.0.0.1 */
		char *store;		/* directory; must be given */
		char *run;		/* directory of sockets; default STORE/run */
		uint64_t id;		/* that the store must have; 0: any */
		char *region;		/* up to 15 letters, digits, . - _; default "" */
		uint64_t weight;	/* share of the content, 1 to 16; default 1 */
		bool home;		/* may become a member of the layout; default yes */
	} node;
	struct {
		struct conf_listen http[CONF_LISTENS_MAX];	/* those given; nodes reach the first; default 4720 */
		char *http_unix;		/* path of a socket; NULL: none */
		struct conf_listen https[CONF_LISTENS_MAX];	/* those given; default none */
		struct conf_listen discovery;	/* udp; default 4721, only with group.key_file */
		struct conf_listen versions;	/* udp; default 4722, only with group.key_file */
	} listen;
	struct {
		char *key_file;		/* NULL: a group of one, for ever */
		char **seeds;		/* "host:port" of others' discovery, or "http://host:port", as written */
		size_t seed_count;
		char *multicast;	/* "group:port" or NULL: off */
		enum conf_delta delta;	/* default CONF_DELTA_AUTO */
	} group;
	struct {			/* by which listen.https is served; given with it */
		struct conf_list certificates;	/* files, PEM, each with its chain */
		struct conf_list keys;	/* as many, in the same order */
		char *client_ca;	/* who may sign clients' certificates; NULL: those are not asked for */
	} tls;
	struct {			/* used when this node founds a group; then the layout's */
		uint64_t homes;		/* 1 to 7; default 3 */
		uint64_t copies;	/* 1 to 7; default 2 */
	} replication;
	struct {			/* likewise */
		uint64_t versions;	/* of each path, at least 1; default 100 */
		uint64_t days;		/* content of older versions goes; 0, the default: it stays */
	} keep;
	struct {
		uint64_t check_ms;	/* default 250 */
		uint64_t store_ms;	/* of a write, to its majority; default 1000 */
		uint64_t push_ms;	/* to a keeper's answer; default 1000 */
		uint64_t pull_ms;	/* to the first byte; default 1000 */
	} timeouts;
	struct {
		uint64_t max_body;	/* bytes; 0: none */
		uint64_t min_free;	/* bytes; default 16 MiB */
		uint64_t header_timeout_ms;	/* default 10 s */
		uint64_t idle_timeout_ms;	/* of a connection or a stalled body; default 60 s */
		uint64_t connections;	/* at once; default 1024 */
		uint64_t handshakes;	/* of TLS, under way at once; default 256 */
		uint64_t idle_exit_ms;	/* 0: never; default 60 s */
		uint64_t min_rate;	/* bytes/s that a client has to send or take; 0: any; default 1 KiB */
		uint64_t per_source;	/* connections at once of one address beyond loopback; 0: any; default 256 */
		uint64_t buffers;	/* bytes that bodies on their way in may have; default 64 MiB */
		uint64_t prefer_wait_ms;	/* a client's wait is cut to this; default 60 s */
	} limits;
	struct conf_list hosts;		/* names that may stand in Host, besides this node's own; lower case */
	struct conf_list sites;		/* directories whose pages are shown as they are; as path.h has them */
	struct {
		enum log_level level;	/* default LOG_LEVEL_INFO */
	} log;
	bool access_open;		/* access: open */
	struct {
		bool given;		/* access says who may do what */
		char *users, *tokens, *deny;	/* files, or NULL */
		struct access_rules rules;	/* at least one, when access is given */
	} access;
	struct access_nets trust_proxy;	/* who is believed when it says for whom it asks */
};
#define CONF_INIT { .access_open = false }

/* Whoever reaches this node from elsewhere is met by rules, or may do everything because that is said. */
static inline bool conf_may_be_reached(const struct conf *conf)
{
	return conf->access_open || conf->access.given;
}

/*
 * Fill the configuration from a file, or from its text.  Errors begin
 * "FILE:LINE: " and name the key.  Relative paths are taken from the
 * file's directory and come out absolute.
 */
int conf_load(struct conf *, const char *file, struct err *);
int conf_parse(struct conf *, struct str text, const char *file, struct err *);
void conf_clear(struct conf *);		/* safe on CONF_INIT */

/* The files beside this one that roles read, also again while they run; NULL: there are no more. */
const char *conf_file(const struct conf *, size_t i);

#define CONF_FILE "/etc/covey/covey.yaml"
#define CONF_FILE_HERE "covey-nodes/node1/covey.yaml"	/* as `covey up` makes it where it is said */

/* What a command goes by that was told no other: CONF_FILE; where there is none, CONF_FILE_HERE if that is there. */
const char *conf_default(void);

#endif
