/*
 * fetch_inside - what the files of fetch share
 *
 *	fetch.c		transfers, from the start to the end
 *	fetch_loop.c	libcurl on our loop
 *	fetch_ask.c	what one of them asks: its header, body and signature
 *	fetch_answer.c	what the peer answers
 */
#ifndef COVEY_FETCH_INSIDE_H
#define COVEY_FETCH_INSIDE_H

#include "fetch.h"

#include "buf.h"
#include "digest.h"

#include <curl/curl.h>

#define CLOCKS_MAX 256			/* peers whose clock is remembered; then the oldest goes */

struct fetcher {
	struct loop *loop;
	CURLM *multi;
	struct timer timer;		/* when curl wants to be called */
	struct transfer *transfers;
	unsigned inside;		/* depth of calls into curl */
	bool unsettled;			/* some transfer waits for fetch_settle() */
	const struct sign_keys *keys;	/* NULL: nothing is signed */
	uint64_t self;			/* node id */
	struct {
		struct address peer;
		int64_t ahead;		/* ns: its clock minus ours */
	} clocks[CLOCKS_MAX];
	size_t clock_count;
};

/* Fields of a header or trailer; the slices point into text. */
struct ask_fields {
	struct sign_part list[FETCH_FIELDS_MAX + 1];
	size_t count;
	char *text;			/* owned */
};

struct ask {
	enum fetch_method method;
	struct address peer;
	struct buf target, content;
	struct ask_fields fields, trailer;
	char range[32];			/* value of Range */
	uint64_t node;			/* 0: neither signed nor is the answer */
	bool whole;
	uint8_t nonce[SIGN_NONCE_BYTES];
	struct curl_slist *lines;	/* of the header */
	int fd;
	uint64_t sent, available;
	bool last;			/* available is all */
	bool by_length;			/* it was from the start, and there is no trailer */
	bool all_sent;
};

struct transfer {
	struct fetcher *fetcher;
	struct fetch *fetch;		/* NULL once cancelled */
	struct transfer *next, *prev;
	CURL *easy;
	struct ask ask;
	struct timer limit;		/* first byte, then stall */
	uint64_t last_byte;		/* loop's ms */
	size_t header_bytes;
	bool has_head;
	struct digest *digest;		/* of the body that has come, where that is signed; owned */
	bool paused;			/* by the caller */
	bool held;			/* curl was told so */
	bool starved;			/* curl was told that there is no more to send yet */
	bool resume;			/* fetch_settle() is to let curl go on */
	bool again;			/* signed by a wrong clock: to be made once more */
	bool was_again;			/* this is once more */
	bool has_err;
	struct err err;			/* of the callback that stopped it */
	char curl_text[CURL_ERROR_SIZE];
};

/* fetch.c: do what callbacks asked for, and end what is over; nothing while curl is inside */
void fetch_settle(struct fetcher *);
/* fetch.c: the peer has moved, or is asked to from now on */
void fetch_restart_limit(struct transfer *);

/* fetch_loop.c: have curl tell the loop what to watch */
void fetch_watch(struct fetcher *);

/* fetch_answer.c: tell a new easy handle whom to call; before ask_apply(), which wants less at once */
void answer_apply(struct transfer *);
/* fetch_answer.c: curl has it whole.  False: it is not signed as it should be. */
bool answer_ended(struct transfer *, struct err *);

/* fetch_ask.c */

/* Copy what is asked. */
void ask_set(struct transfer *, const struct fetch *);
/* Tell a new easy handle; signed now, from the body's first byte. */
void ask_apply(struct transfer *);
/* It is signed, and its answer has to be. */
bool ask_is_signed(const struct transfer *);
void ask_clear(struct ask *);		/* after the easy handle has gone */
void ask_trailer(struct ask *, const struct sign_part *, size_t count);

/* The time at the peer.  False when the text is none. */
bool ask_learn_clock(struct fetcher *, const struct address *peer, struct str time);

#endif
