/*
 * answer - the parts that answers have in common, and errors whole
 */
#ifndef COVEY_HTTPD_ANSWER_H
#define COVEY_HTTPD_ANSWER_H

#include "cond.h"
#include "err.h"
#include "fields.h"
#include "freshness.h"
#include "record.h"
#include "str.h"

#include <stdbool.h>

struct conn;

#define ETAG_TEXT (VERSION_TEXT + 2)

/* Status line, Date, Connection; then fields by reply_field(), and one of the ends below. */
void answer_begin(struct conn *, int status);
/* Cache-Control of an answer; one that not everybody would get is private, and varies by who asks. */
void answer_cache_control(struct conn *, const char *value);
void answer_version_state(struct conn *);
void answer_state_text(const struct conn *, struct buf *);	/* the value of Version-State, by request.ask */
/* What a cache would say of it; the node's name is filled in. */
void answer_cache_status(struct conn *, struct cache_status *);
/* An answer says this of its version: counted for /.covey/metrics. */
void answer_count(struct conn *, bool confirmed);
/* 200, with the fields of an index or a history; links is the value of Link, or empty. */
void answer_begin_list(struct conn *, enum media, struct str links);
void answer_end_fields(struct conn *);		/* the body is the caller's to append, or to send */
void answer_end(struct conn *);				/* neither length nor body (204, 304) */
/* To a HEAD: its length alone.  To a node that asks as a home is asked: signed, too. */
void answer_end_text(struct conn *, struct str body);

/* Whether the client names HTML, and likes it best: a browser, to which a person looks. */
bool answer_wants_page(const struct conn *);

/* A whole answer of one line (or a problem document, or a page), and the end of the request. */
void answer_error(struct conn *, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with further field lines, each with its CR LF. */
void answer_error_with(struct conn *, int status, struct str fields, struct str detail);
/* The same, and the log says nothing of it. */
void answer_error_quietly(struct conn *, int status, struct str fields, struct str detail);
/* An error that says how sure it is, by request.ask. */
void answer_version_error(struct conn *, int status, struct str why);
void answer_unconfirmed(struct conn *);		/* 504, to who wants a confirmed answer only */
/* From the error's kind, with its reason alone: the client knows what it asked for.
 * 5xx are logged, whole. */
void answer_err(struct conn *, const struct err *);
/* An answer that was begun breaks off; the log says why. */
void answer_cut(struct conn *, const struct err *);

/* location is relative to what was asked for: a proxy may show it below a path of its own. */
void answer_redirect(struct conn *, int status, struct str location);

/* What conditions are judged against where this is the newest record of a file. */
struct cond_target answer_target(char etag[ETAG_TEXT], const struct record *);

#endif
