/*
 * door - who asks, and whether they may: judged once, before anything is done
 *
 *	door_enter	who asks: by password, token, certificate, Unix socket or proxy
 *	door_admits	may they do what the request wants, by its decoded path?
 *	door_admits_file, door_shows	of each file of a form, and each name of an index
 *
 * Without rules (access: open, or a node on loopback) nobody is judged, and
 * request.rules is NULL; so it is for another node of the group, whose request
 * is signed, and for healthz, readyz and sealed messages.
 *
 * Who is refused is told the same whatever is stored there:
 *
 *	401	he gave no credentials, or wrong ones: wherever he asks
 *	403	he is known, and may list the directory that the path is in
 *	404	he is known, and may not: whether it is there is none of his business
 *	429	he failed lately, or another attempt for this user and from there is under way
 *	503	too many passwords are checked
 *
 * An answer that not everybody would get is private: door_is_private().
 *
 * Passwords are checked by two threads.  What was right is remembered for a
 * minute, under a keyed hash, and so is who asks on a connection.  A failure costs
 * whoever made it, by source and user, a second, then twice as long each time, up
 * to 30 s.
 *
 * Rules and files are one set that never changes; a request keeps the one it was
 * judged by.  While there are connections, files that have changed are noticed
 * within some seconds, and a set that cannot be read whole leaves the former one.
 */
#ifndef COVEY_HTTPD_DOOR_H
#define COVEY_HTTPD_DOOR_H

#include "err.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct door;
struct door_guest;
struct door_rules;
struct httpd;
struct worker;

int door_new(struct httpd *, struct err *);	/* httpd.door */
void door_free(struct httpd *);
/* When the loops of the workers have ended: waits for the passwords that are checked. */
void door_join(struct httpd *);
void door_worker_free(struct worker *);

/* On worker 0's loop. */
bool door_trusts(const struct httpd *, const uint8_t address[16]);	/* a trusted proxy has it (access.h) */
void door_reload(struct httpd *);	/* rules and files that have changed are read again, now */

/* Whether rules are in force.  Any thread. */
bool door_is_closed(const struct httpd *);
/*
 * Who asks.  True: it is known, or does not matter.  False: it was answered, or the
 * connection is BUSY, and request_go_on() follows.
 */
bool door_enter(struct conn *);
/* The request is parsed, for a path of the store.  False: it was refused, and answered. */
bool door_admits(struct conn *);
/* The same for a service page. */
bool door_admits_page(struct conn *);
/* A directory is answered by a page of its site.  False: it may not be read; nothing was answered. */
bool door_admits_site(struct conn *, struct str page);

/* The same asker, from any thread while the request lasts. */
bool door_admits_file(const struct conn *, struct str path);	/* may write it */
bool door_may(const struct conn *, struct str path, unsigned rights);	/* one of access.h's */
bool door_hides_some(const struct conn *);	/* not every name in the request's directory may be shown */
bool door_shows(const struct conn *, struct str name);	/* this one may */
bool door_shows_history(const struct conn *, struct str name);	/* what it was, too */
/* Not everybody would get this answer. */
bool door_is_private(const struct conn *);

void door_request_end(struct conn *);
void door_guest_free(struct door_guest *);	/* NULL is fine */

/* For /.covey/metrics. */
struct door_counts {
	uint64_t unauthorized, forbidden, slowed, passwords;
};
struct door_counts door_counts(const struct httpd *);

#endif
