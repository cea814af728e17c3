/*
 * stream_inside - between content that arrives (stream.c) and what nobody gives (stream_lost.c)
 */
#ifndef COVEY_HTTPD_STREAM_INSIDE_H
#define COVEY_HTTPD_STREAM_INSIDE_H

#include "stream.h"

#include "call.h"
#include "loop.h"
#include "pool.h"
#include "store.h"
#include "sync_talk.h"

struct stream {
	struct conn *conn;
	struct call call;
	struct timer timer;		/* until there is something to send */
	struct record record;		/* what is pulled */
	char type[RECORD_TYPE_MAX + 1];
	bool had_older;			/* another version stood here */
	char holder[17];		/* the first node asked, in hexadecimal */
	uint64_t holders[HOLDERS_MAX];	/* who is asked */
	size_t holder_count;
	bool searched;			/* all live nodes were asked who has it */
	int fd;				/* of the growing file, until it is the output's; or -1 */
	uint64_t have;			/* bytes */
	bool active;			/* not verified yet */
	bool answering;			/* the answer has begun */
	bool again;			/* asked for the second time */
	void (*fetched)(struct conn *, int);	/* NULL: answer a GET */
	struct job job;			/* looking for an older version */
	struct store_entry older;
};

/* stream.c: pull from s->holders.  False: there is nobody to ask. */
bool stream_begin(struct stream *);

/*
 * stream_lost.c.  Those that should have the content do not give it: somebody
 * else may have it, having read it once.  False: they were asked already.
 * Then, an older version that is here.
 */
bool stream_search(struct stream *);
void stream_lost(struct stream *);

#endif
