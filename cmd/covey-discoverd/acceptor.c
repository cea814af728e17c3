/*
 * acceptor - this node's vote on the next layout
 *
 * One question at a time: the promise is written by the pool, and only then
 * does the answer leave.  The others wait; those that find no room are lost,
 * as packets are, and asked again.
 */
#include "discoverd.h"

#include "container.h"
#include "log.h"

static void ask_next(struct discoverd *);

static void send_answer(struct discoverd *d, const struct vote *vote)
{
	const struct acceptor *a = &d->acceptor;

	if (vote->asker == d->standing.self) {
		settle_answer(d, d->standing.self, a->type, &a->answer);
		return;
	}
	wire_pack_synod(network_message(d, vote->asker), a->type, &a->answer);
	network_send(d, &vote->from);
}

static void next_vote(struct discoverd *d)
{
	struct acceptor *a = &d->acceptor;

	a->busy = false;
	a->count--;
	memmove(a->queue, a->queue + 1, a->count * sizeof a->queue[0]);
	ask_next(d);
}

static void write_promise(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, acceptor.job);

	d->acceptor.rc = state_save_promise(d, &d->acceptor.promise, &d->acceptor.err);
}

/* What could not be written may be on disk all the same: it was promised, and is not told. */
static void promise_written(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, acceptor.job);
	struct vote vote = d->acceptor.queue[0];

	if (d->acceptor.rc < 0)
		log_err(LOG_LEVEL_WARNING, &d->acceptor.err, "give no vote on the next layout");
	else
		send_answer(d, &vote);
	next_vote(d);
}

/* True when the disk is at work for it. */
static bool answer_vote(struct discoverd *d, const struct vote *vote)
{
	struct acceptor *a = &d->acceptor;

	switch (synod_hear(&a->promise, settle_layout(d), d->standing.self, vote->type,
			   &vote->asked, &a->type, &a->answer)) {
	case SYNOD_REPLY:
		a->job.work = write_promise;
		a->job.done = promise_written;
		a->job.home = d->service->loop;
		pool_submit(d->pool, &a->job);
		return true;
	case SYNOD_OLD:
		if (vote->asker != d->standing.self)
			adopt_tell(d, vote->asker, &vote->from, 0);
		return false;
	case SYNOD_BEHIND:
		if (vote->asker != d->standing.self)
			settle_fetch(d, vote->asker, &vote->from);
		return false;
	case SYNOD_IGNORE:
		return false;
	}
	return false;
}

static void ask_next(struct discoverd *d)
{
	struct acceptor *a = &d->acceptor;

	while (!a->busy && a->count > 0) {
		a->busy = true;
		if (answer_vote(d, &a->queue[0]))
			return;
		a->busy = false;
		a->count--;
		memmove(a->queue, a->queue + 1, a->count * sizeof a->queue[0]);
	}
}

void acceptor_ask(struct discoverd *d, const struct vote *vote)
{
	struct acceptor *a = &d->acceptor;

	/* Who forgot a promise could break it. */
	if (d->unsure || d->standing.silent || a->count == VOTES)
		return;
	a->queue[a->count++] = *vote;
	ask_next(d);
}
