/*
 * tls - TLS 1.2 and 1.3 (RFC 5246, RFC 8446) for who listens, by OpenSSL, without blocking
 *
 *	tls_context_new		certificates and keys, from their files
 *	  tls_new		a connection that was accepted; then
 *	    tls_handshake	until it says 1, whenever its socket is ready
 *	    tls_recv, tls_send, tls_shutdown
 *	  tls_free
 *	tls_context_free	when no session of it is left
 *
 * A context may have several certificates: the name that the client asks for
 * (SNI, RFC 6066) chooses, and who asks for none, or another, gets the first.
 * Neither renegotiation nor compression nor early data is offered; sessions are
 * resumed by tickets alone (RFC 5077), whose keys are made anew every few hours
 * and outlive tls_context_look(), which reads files again that have changed.
 *
 * A context is for all threads, a session for one.  What a session needs while
 * it reads or writes is given back when it rests.  Where the kernel can
 * encrypt, it does, and sends from a file itself.
 *
 * Whoever writes to sockets this way must ignore SIGPIPE.
 */
#ifndef COVEY_TLS_H
#define COVEY_TLS_H

#include "err.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tls_context;
struct tls;

struct tls_options {
	/* PEM: of each certificate first itself, then who signed it, and so on.  As many keys, in the same order. */
	char *const *certificates, *const *keys;
	size_t count;			/* at least 1 */
	const char *client_ca;		/* PEM: who may sign the clients' certificates; NULL: they are not asked for any */
	/*
	 * Or else: every client must have a certificate, which this judges
	 * instead, given its DER.  From any thread.
	 */
	bool (*verify)(void *data, struct str certificate);
	void *data;
};

/* The strings must stay as long as the context. */
int tls_context_new(struct tls_context **ret, const struct tls_options *, struct err *);
void tls_context_free(struct tls_context *);	/* NULL is fine */

/*
 * Read the files again if they have changed: 1: sessions that begin from now
 * on have what is new; 0: nothing has changed; -1: they cannot be used, told
 * once for each change, and what was read before still counts.  One thread looks.
 */
int tls_context_look(struct tls_context *, struct err *);
int64_t tls_context_expires(struct tls_context *);	/* s since 1970: when the first of its certificates does */

/* The descriptor is not owned, and must not block.  Never NULL. */
struct tls *tls_new(struct tls_context *, int fd);
void tls_free(struct tls *);			/* says nothing to the other side; NULL is fine */

/* 1: done; 0: when the socket is ready, tls_wants_to_send() says for what; -1: it came to nothing, and err says why. */
int tls_handshake(struct tls *, struct err *);
/* The handshake, or the last tls_recv(), goes on when the socket takes bytes, and not when it has some. */
bool tls_wants_to_send(const struct tls *);

/*
 * As recv(2) and send(2): bytes; 0 when the other side has said that it sends
 * no more; -1 with errno, EAGAIN when it would block.  A connection that ends
 * without having said so is broken: ECONNRESET.  When tls_recv() has returned
 * less than there was room for, the socket tells of what follows.  What
 * tls_send() was given and did not take must be given again, first.
 */
ssize_t tls_recv(struct tls *, void *to, size_t n);
ssize_t tls_send(struct tls *, const void *from, size_t n);
/* As recv(2) with MSG_PEEK of one byte, of what was said, not of the bytes that say it. */
ssize_t tls_peek(struct tls *);
/* Tell the other side that no more comes: 0, or -1 with errno, EAGAIN when it would block. */
int tls_shutdown(struct tls *);

/* Whether the kernel encrypts: then tls_sendfile() is as sendfile(2), and for nothing else. */
bool tls_is_in_kernel(const struct tls *);
ssize_t tls_sendfile(struct tls *, int file, off_t offset, size_t n);

/*
 * Who the client is, by a certificate that was verified and is valid now: its
 * common name, or where it has none its first DNS name or mail address.  NULL:
 * it has shown none.  Lasts as long as the session.
 */
const char *tls_client(struct tls *);
bool tls_was_resumed(const struct tls *);

/* Whether a certificate for this name, "*.example.org" or one without a star, is one for the host. */
bool tls_name_matches(struct str name, struct str host);

#endif
