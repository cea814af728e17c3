/*
 * source - where clients come from, and how many connections each has
 *
 * A source is an IPv4 address, or the 64 bits of an IPv6 address that one
 * network is given.  Loopback and Unix sockets are no source: what comes
 * there is this machine's, or a proxy's for everybody.
 */
#ifndef COVEY_HTTPD_SOURCE_H
#define COVEY_HTTPD_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define SOURCE_BYTES 16
#define SOURCE_TEXT 64

struct source {
	uint8_t address[SOURCE_BYTES];	/* as IPv6 has it; of an IPv6 network the rest is zeros */
	bool counted;			/* one to be counted */
};

struct sources;

struct source source_at(const uint8_t address[SOURCE_BYTES]);	/* as access_source() has it */
const char *source_format_address(char to[SOURCE_TEXT], const uint8_t address[SOURCE_BYTES]);
const char *source_format(char to[SOURCE_TEXT], const struct source *);

struct sources *sources_new(void);
void sources_free(struct sources *);		/* NULL is fine */

/* One connection more: how many it has now; 0 of one that is not counted. */
size_t sources_enter(struct sources *, const struct source *);
void sources_leave(struct sources *, const struct source *);	/* any thread */

#endif
