/*
 * handshake - what comes before the first request of a connection that speaks TLS
 *
 * A line that shakes hands has a struct tls, but no struct conn yet.  It is in
 * its worker's list of those, the oldest first.
 */
#ifndef COVEY_HTTPD_HANDSHAKE_H
#define COVEY_HTTPD_HANDSHAKE_H

struct line;
struct worker;

/* Its watch runs.  The line is served when that is done, and else closed. */
void handshake_begin(struct line *);
/* It is under way, and ends here: its connection is closed. */
void handshake_drop(struct line *);
/* The process is to stop: they have not long to go. */
void handshake_hasten_all(struct worker *);

#endif
