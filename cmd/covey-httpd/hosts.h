/*
 * hosts - by which names this node may be asked
 *
 * By its addresses, "localhost", its own name and the machine's, with and
 * without their domain as /etc/hosts has it, and by what `hosts` lists.
 */
#ifndef COVEY_HTTPD_HOSTS_H
#define COVEY_HTTPD_HOSTS_H

#include "conf.h"

#include <stdbool.h>

struct conn;
struct hosts;

/* Looked up once. */
struct hosts *hosts_new(const struct conf *);
void hosts_free(struct hosts *);		/* NULL is fine */

/*
 * True: a client asks by another name, and was answered 421.  What is
 * open to anybody, or sealed, may be asked by any.
 */
bool hosts_refused(struct conn *);

#endif
