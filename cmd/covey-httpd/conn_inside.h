/*
 * conn_inside - between the states of a connection (conn.c) and its making (conn_open.c)
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

/* conn_open.c: the end; the connection is no more */
void conn_close(struct conn *);

#endif
