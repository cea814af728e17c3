/*
 * discoverd - what the files of covey-discoverd share
 *
 *	main.c		the role: start, rounds, good-bye
 *	network.c	the sockets of the gossip, and multicast
 *	seeds.c		where to look for others first
 *	state.c		what outlives the process: members.ini, start.ini
 *	watch.c		discover.sock
 */
#ifndef COVEY_DISCOVERD_H
#define COVEY_DISCOVERD_H

#include "call.h"
#include "gossip.h"
#include "sealed.h"
#include "serve.h"
#include "service.h"

struct seed {
	char *text;			/* "host:port", as configured; owned */
	struct address addresses[8];	/* found so far */
	size_t count;
	bool numeric;			/* needs no resolving */
	struct call call;		/* RESOLVE, while one is under way */
	struct timer again;
	struct discoverd *discoverd;
};

struct discoverd {
	struct service *service;
	struct gossip gossip;		/* with the view; its sockets may be missing: a group of one */
	struct seal_keys keys;

	struct sealed_socket *unicast, *multicast;
	int multicast_fd;
	struct address multicast_address;
	struct timer announce;

	struct seed *seeds;
	size_t seed_count;
	struct caller *sync;

	struct buf directory;		/* STORE/state */
	struct timer round, publish, farewell;
	uint64_t published;		/* the view's changes that all have been told of */
	int farewells;			/* still to be said */
	uint64_t started_above;		/* ms: when it last took a later start than it had counted, or 0 */
	bool save_failed;		/* and that was logged */

	struct serve *serve;
	struct serve_request **watchers;
	size_t watcher_count;
};

/* network.c */
int network_start(struct discoverd *, struct err *);
void network_stop(struct discoverd *);

/* seeds.c */
int seeds_start(struct discoverd *, struct err *);
void seeds_stop(struct discoverd *);

/* state.c */
int state_load(struct discoverd *, struct members *ret, uint64_t *ret_start, struct err *);
int state_save_start(struct discoverd *, uint64_t start, struct err *);
void state_save_members(struct discoverd *);	/* logs what fails */

/* watch.c */
int watch_serve(struct discoverd *, struct err *);
void watch_publish(struct discoverd *);		/* tell all who watch */
void watch_end(struct discoverd *);

/* main.c */
void discoverd_changed(struct discoverd *);	/* after anything that may have changed the view */
void discoverd_leave(struct discoverd *);	/* say good-bye, and no more */

#endif
