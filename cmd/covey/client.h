/*
 * client - one node asked by HTTP, for the sub-commands
 *
 *	client_open, then for each request: fill a struct exchange,
 *	client_send, look at status, exchange_clear; client_close
 *
 * client_send() fails when no answer came, or it broke off (ERR_AWAY,
 * ERR_TIMEOUT); what the node answered, also a refusal, is success with
 * its status.
 */
#ifndef COVEY_CMD_CLIENT_H
#define COVEY_CMD_CLIENT_H

#include "command.h"

#include "buf.h"
#include "str.h"

struct client;

struct exchange {
	/* in */
	const char *method;	/* "GET", "HEAD", "PUT", "POST", "DELETE" */
	struct str target;	/* "/docs/a%20b.pdf?versions" */
	const char *headers[8];	/* "Name: value"; ends with NULL */
	int body;		/* PUT: read from this descriptor; else -1 */
	uint64_t body_size;	/* UINT64_MAX: until its end */
	uint64_t wait_s;	/* the node was asked to take so much longer, s */
	const char *progress;	/* what to call the transfer on a terminal; NULL: keep quiet */
	/* The content of a 200 or 206, as it comes; -1 stops.  NULL: into content. */
	int (*sink)(struct exchange *, const void *, size_t, struct err *);
	void *data;		/* the caller's, for sink */
	/* out */
	long status;
	struct buf content;	/* what the sink did not take: the text of a refusal */
	struct buf fields;	/* "name: value" lines of the last answer, names in lower case */
};
#define EXCHANGE_INIT { .method = "GET", .body = -1, .body_size = UINT64_MAX }
void exchange_clear(struct exchange *);

/*
 * The node of --node, of $COVEY_NODE, of conf_default() if that is valid, or on
 * loopback; errors say which.  https goes by the authorities of $CURL_CA_BUNDLE
 * or $SSL_CERT_FILE, else the system's.
 */
int client_open(struct client **ret, const char *url, struct err *);
struct client *client_copy(const struct client *);	/* of the same node, for another thread */
void client_close(struct client *);	/* NULL is fine */
int client_send(struct client *, struct exchange *, struct err *);

/* Whether the last request had no answer; one that breaks off tells nothing of the next. */
bool client_lost(const struct client *);

/* A field of the answer, or an empty slice. */
struct str exchange_field(const struct exchange *, const char *name);
/* The answer is what the node knows, which the group may know better. */
bool exchange_is_unconfirmed(const struct exchange *);

/* Append the target of a path as people write it: "docs/a b.pdf" or "/docs/a b.pdf". */
void target_of(struct buf *, const char *path);

/* Tell what the node refused, about what; the exit status for it. */
int exchange_refused(const struct exchange *, const char *what);

/* The version that an answer's ETag names, without its quotes; empty when it names none. */
struct str exchange_version(const struct exchange *);

#endif
