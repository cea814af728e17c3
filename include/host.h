/*
 * host - what a Host field names (RFC 9110, section 7.2)
 *
 * A page of another site may have its own name resolve to this machine, and
 * then counts as of the same origin: DNS rebinding.  Only names that are
 * known can tell such a request, and addresses, which nobody can rebind.
 */
#ifndef COVEY_HOST_H
#define COVEY_HOST_H

#include "str.h"

#include <stdbool.h>

/* Of a valid "HOST" or "HOST:PORT": without the port, and without one dot at its end. */
struct str host_name(struct str host);

/* An address: in brackets, or what ends in a number, as no name in the DNS does. */
bool host_is_address(struct str name);

#endif
