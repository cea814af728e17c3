/*
 * fetch_unit - what fetch's tests share: a peer that is threads of the test,
 * one for each of its connections, and exchanges with it
 *
 * Byte i of any content is pattern(i).  A peer that is not to answer says
 * keep_silent() and so outlasts the exchange, however slow the machine is;
 * the end of each exchange calls exchange_over().
 */
#ifndef COVEY_FETCH_UNIT_H
#define COVEY_FETCH_UNIT_H

#include "fetch.h"
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define BODY 3000000u		/* bytes of content */
#define PATIENCE_MS 20000	/* where no time-out is meant, also on a busy machine */
#define SHORT_MS 500		/* where one is; is_short_time_out() spells it, too */

static struct address peer;
static struct fetcher *fetcher;
static struct fetch_set *set;
static atomic_uint connections;	/* that the peer accepted */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned count;
} over = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static inline void exchange_over(void)
{
	pthread_mutex_lock(&over.lock);
	over.count++;
	pthread_cond_broadcast(&over.more);
	pthread_mutex_unlock(&over.lock);
}

static inline void keep_silent(void)
{
	pthread_mutex_lock(&over.lock);
	for (unsigned before = over.count; over.count == before;)
		pthread_cond_wait(&over.more, &over.lock);
	pthread_mutex_unlock(&over.lock);
}

/* It was this time-out and not the other, which is PATIENCE_MS. */
static inline bool is_short_time_out(const struct err *err)
{
	return err->kind == ERR_TIMEOUT && str_ends(str_of(err->text), STR(" within 500 ms"));
}

static inline uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8) + (i >> 16));
}

static inline void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

struct accepting {
	int listener;
	void *(*serve)(void *);
};

static inline void *accept_all(void *data)
{
	struct accepting *a = data;
	int fd;

	while ((fd = accept(a->listener, NULL, NULL)) >= 0) {
		pthread_t thread;

		connections++;
		pthread_create(&thread, NULL, a->serve, (void *)(intptr_t)fd);
		pthread_detach(thread);
	}
	return NULL;
}

/* serve() owns the descriptor that it is given in place of a pointer. */
static inline void start_peer(void *(*serve)(void *fd))
{
	static struct accepting a;
	struct address any;
	struct err err;
	pthread_t thread;

	a.serve = serve;
	CHECK(address_parse(STR("127.0.0.1:0"), &any, &err) == 0);
	a.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(a.listener, (struct sockaddr *)&any.sa, any.len) == 0 && listen(a.listener, 128) == 0);
	CHECK(sock_address(a.listener, &peer, &err) == 0);
	pthread_create(&thread, NULL, accept_all, &a);
	pthread_detach(thread);
}

/* The peer, and what asks it; false when there is none. */
static inline bool open_fetcher(void *(*serve)(void *fd))
{
	struct err err;

	start_peer(serve);
	fetcher = fetcher_new(&err);
	set = fetcher != NULL ? fetch_open(fetcher, &err) : NULL;
	return set != NULL;
}

static inline void close_fetcher(void)
{
	fetch_close(set);
	fetcher_free(fetcher);
}

#endif
