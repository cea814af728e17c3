/*
 * keeping - what the two halves of KEEP that goes share: keeping.c the rounds,
 * keeper.c one keeper
 */
#ifndef COVEY_KEEPING_H
#define COVEY_KEEPING_H

#include "syncd.h"

#include "keep_queue.h"
#include "survey.h"

struct keeper {
	struct keeping *keeping;
	uint64_t id;
	struct buf collected;		/* the job's; items */
	struct keep_queue keep_queue;
	struct bulk question;		/* of keep_queue.sent: without its body */
	struct posting posting;		/* which carries it; or, when it is this node, */
	struct keep_asked *own;
	struct timer again;
	char trouble[64];		/* why it has not what it was asked about, for people; or empty */
};

struct keeping {
	struct syncd *daemon;
	struct timer settle, hourly;
	uint64_t again_ms;		/* until the next round, after one that was not complete */
	struct layout layout;		/* the round's */
	bool running;			/* a round is */
	bool leaving;			/* this node, with this layout */
	bool all;			/* asked, not only targets */
	uint64_t targets[LAYOUT_MEMBERS_MAX];
	size_t target_count;
	struct survey_directories directories;
	size_t at;			/* of them */
	struct buf after;		/* a path in it; the job's: the rest is to be looked at yet */
	bool listed;			/* directories are */
	uint8_t mine[PARTITIONS / 8];
	struct keep_numbers numbers;	/* the round's */
	uint64_t before;		/* ns: contents from before are not kept, but for the newest */
	struct keeper keepers[LAYOUT_MEMBERS_MAX];
	size_t keeper_count;
	struct job job;
	bool working;
	bool anew;			/* begin again when the job is done */
	bool incomplete;		/* something was not looked at */
	bool job_failed;		/* the job's word for it */
	bool stopping;
};

/* keeper.c */
void keeper_send(struct keeper *);	/* some, if there is anything to be asked now */
void keeper_init(struct keeper *, struct keeping *, uint64_t id);
void keeper_clear(struct keeper *);

/* keeping.c: a keeper answered, or did not */
void keeping_heard(struct keeping *);
/* A keeper has nothing under way any more, or something is ready again. */
void keeping_go_on(struct keeping *);

#endif
