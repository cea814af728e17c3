/*
 * syncing - what the two halves of SYNC share: syncing.c whom to ask, exchanging.c one of them
 */
#ifndef COVEY_SYNCING_H
#define COVEY_SYNCING_H

#include "syncd.h"

#include "call.h"
#include "exchange.h"
#include "resync.h"

#define EXCHANGE_PARTITIONS 1024	/* asked about at once */

/* This node and one other compare some partitions, and this one takes what it lacks. */
struct exchanging {
	struct syncing *syncing;
	struct exchanging *next;
	uint64_t peer;
	uint16_t partitions[EXCHANGE_PARTITIONS];	/* those not done yet, from `at` on */
	size_t count, at;
	size_t bad;					/* the first ones: something is lacking there */
	uint64_t digests[EXCHANGE_PARTITIONS];		/* this node's */
	struct digests buckets;				/* this node's, of the partition at `at` */
	struct exchange_ask ask;			/* after points into after */
	struct buf after;
	struct bulk asked;				/* the question, without its body */
	struct buf question;				/* that body */
	bool own;					/* it is with covey-versiond of this node */
	struct call call;
	struct posting posting;
	struct job job;
	struct buf rows;				/* RECORDS_ARE, with the job */
	struct exchange answer;				/* points into rows */
	uint32_t keep;					/* for the job */
	uint64_t news;					/* the job's: versions that were not known here */
	bool working, abandoned;
	bool failed;					/* nothing can be stored */
	bool lacking;					/* something of this partition could not be */
};

struct syncing {
	struct syncd *daemon;
	struct resync plan;
	struct exchanging *first;
	struct timer again;		/* peers that failed may be back */
	uint64_t again_ms;
	struct timer hourly;
	unsigned jobs;			/* under way */
	bool stopping;
	uint64_t told;			/* the joint epoch that was reported as synced */
	uint64_t news;			/* versions with content that came; until keepers are asked */
};

/* exchanging.c */
void exchanging_start(struct exchanging *);
void exchanging_abandon(struct exchanging *);	/* its layout is no more; it frees itself */

/* syncing.c: the partition is done; all of it is over, well or not */
void syncing_done(struct exchanging *, unsigned partition);
void syncing_over(struct exchanging *);

#endif
