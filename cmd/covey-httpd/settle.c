/* settle - what was committed here, until its homes and keepers have it */
#include "settle_inside.h"

#include "container.h"
#include "group.h"
#include "httpd.h"
#include "mem.h"
#include "quorum.h"
#include "sync_talk.h"

#include <fcntl.h>
#include <unistd.h>

#define ALONE_MS 500		/* it goes on without an owner, */
#define ALONE_MAX 512		/* in a process, before the rest is left to covey-syncd at once */
#define SLACK_MS 250
#define LOOK_MS 20		/* for a layout that is known to be there */
#define HOLD_MS 200		/* STORE waits so long for a push to homes */

/* covey-syncd, who does what is left */

static void drained(struct call *call, struct frame *frame)
{
	struct worker *w = CONTAINER_OF(call, struct worker, drain);

	(void)frame;
	call_finish(call);
	if (!w->drain_again)
		return;
	w->drain_again = false;
	settle_poke(w);
}

void settle_poke(struct worker *w)
{
	if (w->sync == NULL)
		return;
	if (w->drain.caller != NULL) {
		w->drain_again = true;
		return;
	}
	w->drain.answer = drained;
	call_start(w->sync, &w->drain, SYNC_DRAIN, (struct str)STR_INIT,
		   w->httpd->conf->timeouts.store_ms);
}

/* how it stands */

static bool is_storing(const struct settle *s)
{
	return s->store.caller != NULL || s->hold.loop != NULL;
}

/* The homes went by a layout that this process has not been told of yet. */
static bool is_behind(const struct settle *s)
{
	return s->epoch > s->layout.epoch;
}

enum settle_state settle_state(const struct settle *s)
{
	if (s->settled && copies_missing(s) == 0 && !is_behind(s))
		return SETTLE_GOOD;
	if ((!s->settled && !is_storing(s)) ||
	    (s->push == NULL && copies_missing(s) > 0))
		return SETTLE_HOPELESS;
	return SETTLE_OPEN;
}

void settle_tell(const struct settle *s, unsigned *ret_answered, unsigned *ret_homes,
		 unsigned *ret_copies)
{
	*ret_answered = s->homes_answered;
	*ret_homes = s->homes;
	*ret_copies = (unsigned)copies_told(s);
}

uint64_t settle_epoch(const struct settle *s)
{
	return s->epoch;
}

/* the end */

static void settle_free(struct settle *s)
{
	struct worker *w = s->worker;

	call_finish(&s->store);
	push_free(s->push);
	timer_stop(&s->hold);
	timer_stop(&s->look);
	timer_stop(&s->limit);
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		w->settles = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	if (s->fd >= 0)
		close(s->fd);
	buf_clear(&s->path);
	atomic_fetch_sub(&w->httpd->settling, 1);
	free(s);
}

void settle_free_all(struct worker *w)
{
	while (w->settles != NULL)
		settle_free(w->settles);
}

static void finish(struct settle *s)
{
	struct worker *w = s->worker;

	if (s->all && keepers_missing(s) == 0 && !is_behind(s))
		outbox_finish(w->httpd->outbox, s->mark);
	else if (s->mark.segment != 0)
		settle_poke(w);
	settle_free(s);
}

static void over(struct timer *timer)
{
	finish(CONTAINER_OF(timer, struct settle, limit));
}

/* homes */

static void store(struct settle *);

/* Not when it was refused at once: that would be so again. */
static bool again(const struct settle *s)
{
	uint64_t now = loop_now(s->worker->loop);

	return s->changed != NULL && now + SLACK_MS < s->until && now >= s->began + SLACK_MS;
}

static void take_stored(struct settle *s, const struct store_answer *answer)
{
	if (answer->confirmed && !s->settled)
		s->epoch = answer->epoch;
	s->settled |= answer->confirmed;
	s->all |= answer->all;
	s->homes = answer->counts.homes;
	s->homes_answered = answer->counts.homes_answered;
}

static void stored(struct call *call, struct frame *frame)
{
	struct settle *s = CONTAINER_OF(call, struct settle, store);
	struct store_answer answer;

	if (frame == NULL || frame->type != VERSION_TALK_STORED ||
	    store_answer_unpack(frame->body, &answer, NULL) < 0) {
		call_finish(call);
	} else {
		take_stored(s, &answer);
		if (answer.last)
			call_finish(call);
		if (!s->settled && again(s))
			store(s);
	}
	settle_changed(s);
}

static void store(struct settle *s)
{
	struct store_ask question = { .path = buf_str(&s->path), .record = s->record,
				      .type = str_of(s->type) };
	struct buf body = BUF_INIT;

	timer_stop(&s->hold);
	s->began = loop_now(s->worker->loop);
	s->store.answer = stored;
	store_ask_pack(&body, &question);
	call_start(s->worker->version, &s->store, VERSION_TALK_STORE, buf_str(&body),
		   s->worker->httpd->conf->timeouts.store_ms + ALONE_MS);
	buf_clear(&body);
}

static void hold_over(struct timer *timer)
{
	store(CONTAINER_OF(timer, struct settle, hold));
}

/*
 * A home that is given the content needs no pointer to it, which it would
 * have to put on disk and then to replace.  So when this node and those the
 * content is just given to are homes enough, they are asked after that.
 */
static bool push_makes_homes(const struct settle *s)
{
	struct quorum quorum;

	if (s->push == NULL || s->record.size > LARGE_BYTES)
		return false;
	quorum_begin(&quorum);
	quorum_add(&quorum, &s->layout, path_partition(buf_str(&s->path)));
	quorum_answered(&quorum, store_node(s->worker->httpd->store));
	for (size_t i = 0; i < s->push->keepers.wanted && i < s->push->keepers.keeper_count; i++)
		quorum_answered(&quorum, s->push->keepers.keepers[i]);
	return quorum_reached(&quorum);
}

void settle_pushed(struct settle *s)
{
	if (s->hold.loop != NULL)
		store(s);
	settle_changed(s);
}

/* The homes there are, and this one of them, until more is told. */
static void count_homes(struct settle *s)
{
	struct quorum quorum;
	uint32_t answered, homes;

	quorum_begin(&quorum);
	quorum_add(&quorum, &s->layout, path_partition(buf_str(&s->path)));
	quorum_answered(&quorum, store_node(s->worker->httpd->store));
	quorum_tell(&quorum, &answered, &homes);
	s->homes_answered = answered;
	s->homes = homes;
}

/* changes */

static bool is_at_work(const struct settle *s)
{
	return is_storing(s) || s->push != NULL;
}

static void look_again(struct timer *timer)
{
	settle_changed(CONTAINER_OF(timer, struct settle, look));
}

void settle_changed(struct settle *s)
{
	group_layout(s->worker->httpd->group, &s->layout);
	if (s->changed != NULL) {
		copies_more(s);
		if (is_behind(s))
			timer_start(s->worker->loop, &s->look, LOOK_MS);
		s->changed(s->owner);
	} else if (!is_at_work(s)) {
		finish(s);
	}
}

static uint64_t alone_ms(const struct settle *s)
{
	if (atomic_load_explicit(&s->worker->httpd->settling, memory_order_relaxed) > ALONE_MAX)
		return 0;
	return s->push != NULL && s->record.size > LARGE_BYTES ? ALONE_LARGE_MS : ALONE_MS;
}

void settle_leave(struct settle *s)
{
	if (s == NULL)
		return;
	s->changed = NULL;
	copies_rest(s);
	timer_start(s->worker->loop, &s->limit, is_at_work(s) ? alone_ms(s) : 0);
}

struct settle *settle_start(struct worker *w, const struct settle_what *what,
			    void (*changed)(void *owner), void *owner)
{
	struct settle *s = mem_new(1, sizeof *s);

	s->worker = w;
	s->next = w->settles;
	if (s->next != NULL)
		s->next->prev = s;
	w->settles = s;
	s->changed = changed;
	s->owner = owner;
	s->path = (struct buf)BUF_INIT;
	buf_addstr(&s->path, what->path);
	memcpy(s->type, what->type.s ? what->type.s : "", what->type.n);
	s->record = what->record;
	s->mark = what->mark;
	s->until = loop_now(w->loop) + what->wait_ms;
	s->store = (struct call)CALL_INIT;
	s->limit.fire = over;
	s->fd = what->fd >= 0 ? fcntl(what->fd, F_DUPFD_CLOEXEC, 0) : -1;
	group_layout(w->httpd->group, &s->layout);
	count_homes(s);
	atomic_fetch_add(&w->httpd->settling, 1);
	copies_start(s, what->push);
	s->hold.fire = hold_over;
	s->look.fire = look_again;
	if (push_makes_homes(s))
		timer_start(w->loop, &s->hold, HOLD_MS);
	else
		store(s);
	return s;
}
