/*
 * sock - addresses, and the sockets covey listens and talks on
 *
 * All sockets are close-on-exec and non-blocking unless said otherwise.
 */
#ifndef COVEY_SOCK_H
#define COVEY_SOCK_H

#include "err.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
	struct sockaddr_storage sa;
	socklen_t len;			/* 0: none */
};
#define ADDRESS_TEXT 80			/* bytes that hold any address's text, with its NUL */

/* "127.0.0.1:4720", "[::1]:4720"; numeric only, names are syncd's business. */
int address_parse(struct str, struct address *ret, struct err *);
const char *address_format(char to[ADDRESS_TEXT], const struct address *);	/* returns to */
bool address_eq(const struct address *, const struct address *);
bool address_is_loopback(const struct address *);
bool address_is_any(const struct address *);	/* 0.0.0.0 or :: */
uint16_t address_port(const struct address *);
void address_set_port(struct address *, uint16_t);

/* Listening or bound sockets; the descriptor, or -1. */
int sock_listen_tcp(const struct address *, struct err *);
int sock_bind_udp(const struct address *, struct err *);
/* A SOCK_SEQPACKET listener at a file-system path; a stale socket there is replaced. Mode 0660. */
int sock_listen_unix(const char *path, struct err *);
int sock_listen_unix_stream(const char *path, struct err *);	/* the same, SOCK_STREAM */
/* A connection to one, at once or not at all. */
int sock_connect_unix(const char *path, struct err *);

int sock_address(int fd, struct address *ret, struct err *);	/* getsockname */

/*
 * One packet with up to SOCK_FDS_MAX descriptors on a SOCK_SEQPACKET socket.
 * Sending: 0, or -1 (ERR_AWAY when the other side is gone, ERR_TIMEOUT when
 * its queue is full).  The descriptors stay the caller's.
 * Receiving: 1 with *ret_n bytes (a packet over cap is ERR_TOO_LARGE and
 * dropped whole), 0 at end of file, -1 on error; errno EAGAIN is ERR_TIMEOUT.
 * Received descriptors are close-on-exec and the caller's; ret_fds has room
 * for SOCK_FDS_MAX, or is NULL (with ret_fd_count) where none are welcome:
 * a packet that brings some is then dropped with ERR_TOO_LARGE.
 */
#define SOCK_FDS_MAX 32
int sock_send(int fd, const void *bytes, size_t n, const int *fds, size_t fd_count, struct err *);
int sock_recv(int fd, void *to, size_t cap, size_t *ret_n, int *ret_fds, size_t *ret_fd_count,
	      struct err *);

#endif
