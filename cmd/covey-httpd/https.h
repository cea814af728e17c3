/*
 * https - what a listener that speaks TLS speaks it by, and what became of its handshakes
 */
#ifndef COVEY_HTTPD_HTTPS_H
#define COVEY_HTTPD_HTTPS_H

#include "buf.h"
#include "err.h"

struct conf;
struct httpd;
struct tls_context;

enum handshake_result {
	HANDSHAKE_FULL,
	HANDSHAKE_RESUMED,		/* of a session that the client has had before */
	HANDSHAKE_FAILED,
	HANDSHAKE_DROPPED,		/* it took too long, or there were too many */
	HANDSHAKE_RESULTS
};

/* The certificates are read, if the configuration has listen.https; nothing is done if not. */
int https_open(struct httpd *, struct err *);
void https_close(struct httpd *);	/* when no connection is left */
struct tls_context *https_context(const struct httpd *);

/* Whether the certificates of a configuration can be used. */
int https_check(const struct conf *, struct err *);

/* From any worker: a handshake begins.  The log says once when a certificate expires soon. */
void https_handshake_begins(struct httpd *);
void https_count(struct httpd *, enum handshake_result);
/* Worker 0's loop: certificates that have changed are read again. */
void https_reload(struct httpd *);

/* For people: an object of JSON, or null; and lines of the metrics page. */
void https_add_status(struct buf *json, struct httpd *);
void https_add_metrics(struct buf *text, struct httpd *);

#endif
