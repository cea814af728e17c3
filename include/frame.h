/*
 * frame - one message between two roles of a node
 *
 * One packet of a SOCK_SEQPACKET socket is one frame, in network order:
 *
 *	offset size
 *	0      2    "cv"
 *	2      1    protocol, FRAME_PROTOCOL
 *	3      1    type, of the conversation's enum; FRAME_FAILED and FRAME_CANCEL in all
 *	4      8    request id, chosen by the asker, repeated in every answer
 *	12     4    ms that the asker still waits; 0: without end
 *	16     4    bytes of the body, exactly what follows
 *	20          body
 *
 * Descriptors travel beside it.  A packet that is too short, too long, of
 * another protocol, or whose length does not fit is refused; whoever
 * receives one closes the connection.
 *
 * Requests are idempotent: end of file or the deadline means no answer,
 * and the asker may ask once more.
 */
#ifndef COVEY_FRAME_H
#define COVEY_FRAME_H

#include "err.h"
#include "pack.h"
#include "sock.h"

#include <stdint.h>

#define FRAME_PROTOCOL 2
#define FRAME_HEADER_BYTES 20
#define FRAME_BYTES 65536		/* of a whole packet */
#define FRAME_BODY_BYTES (FRAME_BYTES - FRAME_HEADER_BYTES)

/* The answer of any conversation to what it cannot do: {kind u8, text}. */
#define FRAME_FAILED 255

/* The asker wants no more answers to this id; nothing is answered. */
#define FRAME_CANCEL 254

struct frame {
	uint8_t type;
	uint64_t id;
	uint32_t deadline_ms;
	struct str body;		/* points into the packet */
	int fds[SOCK_FDS_MAX];		/* received: who keeps one puts -1 in its place */
	size_t fd_count;
};

/* The whole packet; descriptors are left out.  Appends. */
void frame_pack(struct buf *, const struct frame *);
/* *ret has no descriptors; its body points into the packet. */
int frame_unpack(struct str packet, struct frame *ret, struct err *);

/* The descriptors stay the caller's.  Errors as sock_send(). */
int frame_send(int fd, const struct frame *, struct err *);
/* room holds FRAME_BYTES.  1, 0 at end of file, -1; errors as sock_recv(). */
int frame_recv(int fd, char *room, struct frame *ret, struct err *);
void frame_close(struct frame *);	/* closes the descriptors that nobody kept */

/* FRAME_FAILED's body. */
void frame_failed_pack(struct buf *, const struct err *);
/* Fills *err with what the other side said; always -1, as the setters of err. */
int frame_failed_unpack(struct str body, struct err *);

#endif
