/*
 * conn_inside - what the parts of a connection want of each other
 *
 *	conn.c		its states
 *	conn_input.c	the bytes that it receives
 *	conn_open.c	its making and its end
 */
#ifndef COVEY_HTTPD_CONN_INSIDE_H
#define COVEY_HTTPD_CONN_INSIDE_H

#include "conn.h"

/* conn.c: what the loop calls */
void conn_on_ready(struct watch *, uint32_t events);
void conn_on_out_ready(struct watch *, uint32_t events);
void conn_on_timer(struct timer *);
/* Something must happen within the idle time-out. */
void conn_expect(struct conn *);

/* conn_input.c */

/* What has come of the next head, and perhaps more. */
struct str input_of_head(const struct conn *);
void input_receive_head(struct conn *);
/* There are bytes behind the request. */
bool input_is_behind(const struct conn *);
/* The request is over: its bytes go. */
void input_next(struct conn *);

/* conn_open.c: the end; the connection is no more */
void conn_close(struct conn *);

#endif
