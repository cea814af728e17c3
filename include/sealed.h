/*
 * sealed - a UDP socket that speaks sealed messages only
 *
 * Packets are read and written in batches.  What does not open with the
 * group's keys, is no message, or is for another node or role, is dropped.
 * Of what does not open the log says so, once for a source and minute.  The
 * keys may change between two packets.
 * Sending never waits: a packet that does not go out is a lost one.
 *
 * At rest a socket wakes nobody: what comes waits for sealed_read().
 */
#ifndef COVEY_SEALED_H
#define COVEY_SEALED_H

#include "loop.h"
#include "seal.h"

struct sealed_socket;

struct sealed_role {
	enum wire_role role;
	/* wire and what it points to are good until received() returns. */
	void (*received)(void *data, const struct wire *, const struct address *from);
	void (*batch_done)(void *data);	/* after a batch of them, or NULL */
	/* Or NULL: what came from there no key opens.  sealed: it is of another key, or was changed on its way. */
	void (*refused)(void *data, const struct address *from, bool sealed);
	bool shared;			/* other groups are heard there, too: that is nothing to tell */
};

/* The descriptor stays the caller's; keys must stay.  self: this node's id. */
struct sealed_socket *sealed_new(struct loop *, int fd, const struct seal_keys *, uint64_t self,
				 const struct sealed_role *, void *data, struct err *);
void sealed_free(struct sealed_socket *);	/* NULL is fine */

void sealed_rest(struct sealed_socket *, bool);
/* One batch of what has come, at rest or not.  True: there may be more. */
bool sealed_read(struct sealed_socket *);

/* Bytes of the message being received, before it was sealed; within received(). */
size_t sealed_received(const struct sealed_socket *);

/* Seal with the first key and send; within received() at the end of the batch. */
void sealed_send(struct sealed_socket *, const struct address *, struct str plain);

#endif
