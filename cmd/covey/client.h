/*
 * client - one node asked by HTTP, for the sub-commands
 *
 *	client_open, then for each request: fill a struct exchange,
 *	client_send, look at status, exchange_clear; client_close
 *
 * client_send() fails when no answer came, or it broke off (ERR_AWAY,
 * ERR_TIMEOUT); what the node answered, also a refusal, is success with
 * its status.  An answer in memory is bounded: a larger one fails
 * (ERR_TOO_LARGE).
 */
#ifndef COVEY_CMD_CLIENT_H
#define COVEY_CMD_CLIENT_H

#include "command.h"

#include "buf.h"
#include "json.h"
#include "str.h"

#include <stdatomic.h>

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
 * loopback; errors say which.  https goes by the authorities of CLIENT_CACERT,
 * $CURL_CA_BUNDLE or $SSL_CERT_FILE, the first that is set, else the system's.
 */
#define CLIENT_CACERT "COVEY_CACERT"	/* of the environment, where --cacert puts its FILE */
int client_open(struct client **ret, const char *url, struct err *);
struct client *client_copy(const struct client *);	/* of the same node, for another thread */
void client_close(struct client *);	/* NULL is fine */
int client_send(struct client *, struct exchange *, struct err *);

/* Whether the last request had no answer.  An answer that broke off says nothing of the next request. */
bool client_lost(const struct client *);

/* A field of the answer, or an empty slice. */
struct str exchange_field(const struct exchange *, const char *name);
/* The version that an answer's ETag names, without its quotes; empty when it names none. */
struct str exchange_version(const struct exchange *);

/* What Version-State says.  An answer that does not depend on the group, such as a refusal, says nothing. */
enum confirmation { SAYS_NOTHING, CONFIRMED, UNCONFIRMED };
enum confirmation exchange_confirmation(const struct exchange *);

/* Tell what the node refused, about what; the exit status for it. */
int exchange_refused(const struct exchange *, const char *what);

/* Append the target of a path as people write it: "docs/a b.pdf" or "/docs/a b.pdf". */
void target_of(struct buf *, const char *path);

/*
 * Asking for JSON: 0 with *ret, which is the caller's; else the exit
 * status, after everything was told.  what names the thing asked for.
 */
int ask_json(const char *url, struct str target, const char *what, json_t **ret);
/* What comes is printed as JSON, or as show() has it, which does not own it; the exit status. */
int ask_and_show(const char *url, struct str target, const char *what, bool json, void (*show)(json_t *));
/* ask_json() over a connection that stays; the answer's size is added to *bytes. */
int ask_json_by(struct client *, struct str target, const char *what, json_t **ret, size_t *bytes);

/*
 * Of an entry of an index: the last component of its href, without a
 * directory's slash.  It is the exact name, percent-encoded; the JSON name
 * is UTF-8 and may have lost bytes.
 */
struct str entry_name(const json_t *entry);
bool entry_is_directory(const json_t *entry);

/*
 * Writing: how sure to be, and what came of it.  A write that this node
 * alone has (202) fails with a status that may pass, 75: the file is on its
 * disk and goes to the others by itself, but no other node has confirmed it
 * yet.  With --async that is enough.
 */
#define OPTION_ASYNC { "async", 0, NULL, "this node's disk is enough; the others get it later" }
#define OPTION_WAIT { "wait", 0, "SECONDS", "how long the group may take to confirm; default timeouts.store" }
#define WRITE_WAIT_MAX 3600	/* s */

struct write {
	char prefer[40];	/* a header line, or "" */
	uint64_t wait_s;	/* of --wait, or 0 */
	bool async;
	bool json, quiet;	/* how to tell the outcome */
};

/* From the values of --async and --wait. */
int write_init(struct write *, const char *async, const char *wait, struct err *);

/* client_send() with what --async and --wait add to the headers. */
int write_send(const struct write *, struct client *, struct exchange *, struct err *);

/*
 * Tell what came of it, and return the exit status.  Of one of many
 * (unsure is not NULL) only a refusal is told, and what is not confirmed is
 * counted in *unsure.
 */
int write_told(const struct write *, const struct exchange *, const char *path,
	       atomic_uint_least64_t *unsure);
/* Both, or why there was no answer; status is 0 then. */
int write_one(const struct write *, struct client *, struct exchange *, const char *path,
	      atomic_uint_least64_t *unsure);

#endif
