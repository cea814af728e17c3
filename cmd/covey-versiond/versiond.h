/*
 * versiond - what the files of covey-versiond share
 *
 *	main.c		the role
 *	group.c		other nodes: their CHECKs, ours, and whom to ask
 *	talk.c		version.sock, for the programs of this node
 */
#ifndef COVEY_VERSIOND_H
#define COVEY_VERSIOND_H

#include "call.h"
#include "check.h"
#include "home.h"
#include "sealed.h"
#include "serve.h"
#include "service.h"

struct versiond {
	struct service *service;
	struct member self;
	struct seal_keys keys;
	struct sealed_socket *socket;	/* NULL: a group of one without a key */
	struct buf answer;		/* the one being made */

	struct members members;
	struct caller *discover;
	struct call watch;
	struct timer watch_again;

	struct home home;
	struct asker asker;
	struct timer tick;
	struct serve *serve;
	bool stopping;
};

/* group.c */
int group_start(struct versiond *, struct err *);	/* without a key: nothing to do */
void group_stop(struct versiond *);
bool group_is_alone(const struct versiond *);		/* there is nobody to ask */
/* As check_start(). */
void group_check(struct versiond *, struct check_wait *, struct str path, enum check_purpose,
		 struct version);
/* What this node's store has: a home_lookup, data is the struct versiond. */
int group_lookup(void *data, struct str path, struct version version, bool below,
		 struct home_found *ret);

/* talk.c */
int talk_start(struct versiond *, struct err *);
void talk_stop(struct versiond *);

#endif
