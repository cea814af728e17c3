/*
 * floods - what is done against who wants more than his share
 *
 * Each kind is counted, for /.covey/metrics and status, and the log has a
 * line of it at most once a minute, which says how many there were.
 *
 * A connection that comes when there are limits.connections takes the place
 * of the one that is idle for longest (conn.h).  When none is idle it is
 * late: it may ask for a page of /.covey/, or be another node; else it is
 * told to come again.  One beyond limits.per_source is told so as well.
 */
#ifndef COVEY_HTTPD_FLOODS_H
#define COVEY_HTTPD_FLOODS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct buf;
struct conn;
struct httpd;
struct source;

enum flood {
	FLOOD_IDLE,		/* closed for another one, the longest idle */
	FLOOD_FULL,		/* 503: all places are taken */
	FLOOD_SOURCE,		/* 429: one address has too many connections */
	FLOOD_BODY,		/* 408: a body that comes too slowly, or a head */
	FLOOD_READER,		/* cut: an answer that is read too slowly */
	FLOOD_MEMORY,		/* 503: no memory for another body */
	FLOOD_DESCRIPTORS,	/* 503: no descriptors, or too many files of forms are open */
	FLOOD_WAIT,		/* a wait that was preferred, and cut */
	FLOOD_HOST,		/* 421: a name that this node is not known by */
	FLOOD_KINDS,
};

/* How many there were, in struct kept. */
struct flood_counts {
	atomic_uint_least64_t kinds[FLOOD_KINDS];
};

/* What the log has said, in struct httpd. */
struct flood_log {
	struct {
		atomic_uint_least64_t due;	/* ms, clock_mono_ms(): no line before */
		atomic_uint_least64_t said;	/* how many it told of */
	} kinds[FLOOD_KINDS];
};

void floods_note(struct httpd *, enum flood, const struct source *);	/* any thread */

/* True: the connection is late, or one too many of its source, and was answered. */
bool floods_refused(struct conn *);
/* 503, with Retry-After. */
void floods_answer_busy(struct conn *, enum flood, const char *why);

/* For /.covey/metrics, and for status, "floods":{...}. */
void floods_metrics(struct buf *, const struct httpd *);
void floods_status(struct buf *, const struct httpd *);

#endif
