/*
 * conn - one connection: requests in, answers out, one at a time and in order
 *
 *	HEAD	a request's head is being read
 *	BODY	its body is being read (write.c decides how much is welcome)
 *	BUSY	a job in the pool, or another role, has it
 *	SEND	the answer is on its way
 *	LINGER	the answer was sent, the rest of the request is thrown away
 *
 * A handler is entered with a parsed head (request.h).  It answers at once,
 * or sets BODY or BUSY and calls conn_resume() when that is over.  Exactly
 * one answer ends a request: conn_answered() when it is text alone or has
 * its pieces of a file inserted, conn_abort() when the truth can no longer
 * be told but by cutting the connection.
 *
 * When the process is to stop, every connection is still answered one
 * request, the one under way or, when it waits for none too long, the next:
 * its answer says Connection: close.  An answer that was begun before does
 * not, so another request may follow it.
 *
 * A connection is idle while nothing is to be answered, nor sent: also one
 * whose head is not whole yet.  A client that has to send a body, or to take
 * an answer, has to do so at limits.min_rate, but for the time in which it
 * waits for this node; other nodes need not.
 *
 * A client that goes away while its request is BUSY is noticed and kept
 * until conn_resume(): only then the connection is closed and freed.
 */
#ifndef COVEY_HTTPD_CONN_H
#define COVEY_HTTPD_CONN_H

#include "body.h"
#include "../door.h"
#include "head.h"
#include "../httpd.h"
#include "../request.h"
#include "tls.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What a connection has to send: text with pieces of a file between.  Text is
 * appended to output.text; output_insert() says that the next bytes on the
 * wire come from the file.  Several answers may follow each other as long as
 * they are text alone; a file goes with the last one.
 */
struct insert {
	size_t at;		/* behind this many bytes of text */
	uint64_t offset, left;	/* bytes of the file */
};

struct output {
	struct buf text;
	size_t sent;		/* bytes of text */
	struct insert *inserts;	/* owned; in the order of at */
	size_t insert_count, insert_room, insert_next;
	int file;		/* owned, or -1 */
	uint64_t available;	/* the file may be read up to here by now */
	bool hold;		/* the last OUTPUT_HOLD_BYTES of it wait until it is verified */
};
#define OUTPUT_HOLD_BYTES 16384
#define OUTPUT_INIT { .file = -1, .available = UINT64_MAX }

enum conn_state { CONN_HEAD, CONN_BODY, CONN_BUSY, CONN_SEND, CONN_LINGER };

/* What a connection keeps while it rests: of many clients most do, so it is small. */
struct line {
	struct worker *worker;
	struct link link;		/* among its worker's */
	struct conn *conn;		/* serves it; NULL: it rests, nothing was read that is not answered */
	int in, out;			/* owned; one socket; or descriptors 0 and 1 */
	enum listener_kind kind;
	bool socket;			/* out is one */
	bool had_answer;		/* to a request before the next one */
	bool late, crowded;		/* as struct arrival has it */
	struct source source;
	struct link idle_link;		/* among its worker's that are idle */
	uint64_t idle_since;		/* ms */
	struct door_guest *guest;	/* owned: who asks, where somebody is judged; or NULL */
	bool cut;			/* what was sent is not whole: TLS must not say that it is */
	struct tls *tls;		/* owned; what is said goes through it; NULL: as it is */
	struct link handshake;		/* among its worker's that are under way (handshake.h) */
	bool greeted;			/* the first byte of it is there */
	struct watch watch;		/* of in; of both when they are one */
	struct watch out_watch;		/* of out when it is another */
	struct timer timer;
	uint64_t deadline;		/* ms; by then something must have happened */
};

/* What serves a connection from the first byte of a request until it is answered. */
struct conn {
	struct worker *worker;
	struct line *line;		/* NULL: it is a spare one */
	struct link link;		/* among the spare ones */
	enum conn_state state;
	bool readable;			/* there may be bytes to receive */
	bool eof;			/* the client sends no more */
	bool gone;			/* closed or broken while BUSY */
	bool last;			/* close when this request is answered */
	bool ours;			/* in this window of time the client waited for this node */
	uint64_t window_end;		/* ms; until then it has to send or take its part; 0: nothing is asked of it */
	uint64_t window_bytes;		/* that it sent; or was sent, with what the system had kept before */
	bool window_kept;		/* what the system had kept is among them */
	struct buf input;		/* received; the request's head stays in place until its end */
	size_t taken;			/* bytes of input that belong to earlier requests */
	struct buf beyond;		/* received behind the body: the next request */
	struct output output;
	void (*more)(struct conn *);	/* the answer goes on: to be called in SEND when the output is sent; or NULL */
	int answer_status;		/* of the answer that is being made; */
	size_t answer_fields;		/* its field lines behind Date begin there in output.text */
	struct head head;
	struct body body;
	bool has_body;			/* the request has one that was not read to its end */
	struct request request;
};

/* The connection owns the descriptors. */
void conn_open(struct worker *, int in, int out, const struct arrival *);
/* Make room for another one: the connection that is idle for longest goes.  False: none is. */
bool conn_close_idle(struct worker *);
/* For handshake.c: the line's client may ask from now on; */
void line_serve(struct line *);
/* or is told this, in clear, and no more; */
void line_refuse(struct line *, int status, const char *why);
/* or is let go once it has read what it was sent; */
void line_linger(struct line *);
/* or at once. */
void line_close(struct line *);
/* Whether it is among those of which one is closed when another client comes. */
void line_set_idle(struct line *);
void line_set_active(struct line *);
/* Who the client is, by its certificate; NULL: it has shown none. */
const char *line_client(const struct line *);
/* The process is to stop: who waits for no answer gets a short time for one more request. */
void conn_hasten_all(struct worker *);
void conn_free_all(struct worker *);

/* The answer is in output; the next request follows when it was sent, or, if there is more, the next part. */
void conn_answered(struct conn *);
/* The request's body is wanted: upload_step() is called as it comes.  max: bytes; beyond it 413 is answered; 0: any. */
void conn_read_body(struct conn *, uint64_t max);
/* The answer has begun and cannot be finished truly: the connection is cut. */
void conn_abort(struct conn *);
/* BUSY, until done() has resumed it: work() runs in the pool, those of one key, not 0, one after the other. */
void conn_start_job(struct conn *, struct job *, void (*work)(struct job *), void (*done)(struct job *),
		    uint64_t key);
/* Go on, when what a BUSY request waited for has come. */
void conn_resume(struct conn *);
/* Whether the client has closed its side: as far as can be told, it does not wait any more. */
bool conn_left(struct conn *);

/*
 * The next bytes of the body's content, at most as many as there is room for:
 * 1 with *ret_n of them, maybe none; 0: none for now; -1: no more comes, the client
 * has left (refusal->status 0) or its body is no body.
 */
int conn_receive_content(struct conn *, char *to, size_t room, size_t *ret_n, struct refusal *);

/* The file becomes the output's; pieces of it are inserted by output_insert(). */
void output_file(struct output *, int fd);
void output_insert(struct output *, uint64_t offset, uint64_t bytes);

#endif
