/* council - how layouts come into being and change */
#include "council.h"

#include "change.h"

#define FETCH_MS 100			/* between two FETCHes */
#define FETCH_FOREIGN_MS 10000		/* the same, of a group that stays apart */
#define SETTLE_MS 5000			/* a solo group does not grow so long when it sees another */
#define STEP_MAX_MS 2000		/* more between two steps: this node slept */

void council_init(struct council *c, uint64_t self, const struct layout_numbers *founding,
		  uint64_t now)
{
	*c = (struct council){ .self = self, .founding = *founding, .began = now, .stepped = now };
	c->layout = LAYOUT_NONE;
}

bool council_has_seat(const struct council *c)
{
	const struct layout_member *member = layout_find(&c->layout, c->self);

	return member != NULL && member->council;
}

/* The times that members were seen away stay with them. */
static void keep_dead(struct council *c, const struct layout *next)
{
	uint64_t dead_ms[LAYOUT_MEMBERS_MAX] = { 0 };

	for (size_t i = 0; i < next->count; i++)
		for (size_t k = 0; k < c->layout.count; k++)
			if (c->layout.members[k].id == next->members[i].id)
				dead_ms[i] = c->dead_ms[k];
	memcpy(c->dead_ms, dead_ms, sizeof dead_ms);
}

static bool gave_up(const struct layout *was, const struct layout *next)
{
	struct layout back;

	if (!layout_is_joint(was) || next->lineage != was->lineage ||
	    next->epoch != was->epoch + 1)
		return false;
	layout_alone(was, LAYOUT_A, &back);
	return layout_eq(&back, next);
}

/* The oldest makes room. */
static void note_numbers(struct council *c, const struct layout *layout)
{
	struct council_had had = { .epoch = layout->epoch };

	if (layout_is_joint(layout))
		return;
	had.numbers = (struct layout_numbers){ layout->homes, layout->copies, layout->keep_versions,
					       layout->keep_days };
	if (c->had_count == COUNCIL_HAD)
		memmove(c->had, c->had + 1, --c->had_count * sizeof c->had[0]);
	c->had[c->had_count++] = had;
}

void council_told(struct council *c, const struct layout *layout, uint64_t now)
{
	if (layout->lineage != c->layout.lineage) {
		c->lost_ms = c->offer = c->wanted = 0;
		c->offer_names = false;
		c->had_count = 0;
	}
	note_numbers(c, layout);
	if (gave_up(&c->layout, layout))
		change_bar(c, now);
	keep_dead(c, layout);
	c->layout = *layout;
	c->asked_until = 0;	/* what was wanted was wanted of the layout before */
	c->joint_since = c->joint_moved = now;
	c->joint_synced = 0;
	c->joint_ready = false;
	c->wish_since = c->unfinished_since = c->joiners_since = c->foreign_since = 0;
}

static bool has_numbers(const struct layout_numbers *had, const struct layout_numbers *numbers)
{
	return (numbers->homes == 0 || numbers->homes == had->homes) &&
	       (numbers->copies == 0 || numbers->copies == had->copies) &&
	       (numbers->keep_versions == 0 || numbers->keep_versions == had->keep_versions) &&
	       (numbers->keep_days == UINT32_MAX || numbers->keep_days == had->keep_days);
}

bool council_agreed(const struct council *c, const struct layout_numbers *numbers, uint64_t since)
{
	for (size_t i = 0; i < c->had_count; i++)
		if (c->had[i].epoch >= since && has_numbers(&c->had[i].numbers, numbers))
			return true;
	return false;
}

void council_ask(struct council *c, const struct layout_numbers *numbers, uint64_t now)
{
	c->asked = *numbers;
	c->asked_until = now + COUNCIL_ASKED_MS;
}

void council_forget(struct council *c)
{
	c->asked_until = 0;
}

void council_want(struct council *c, uint64_t lineage, uint64_t now)
{
	c->wanted = lineage;
	c->wanted_until = now + COUNCIL_ASKED_MS;
}

/* A member that is up, and has not gone over to another lineage. */
static bool is_with(const struct view *view, uint64_t id, uint64_t lineage)
{
	const struct member *m = view_member(view, id);

	return m != NULL && m->state == MEMBER_UP && m->lineage == lineage;
}

/* For any other group: people decided on none of this. */
static bool gives_itself_up(const struct layout *layout)
{
	return layout_is_solo(layout) && layout->left_lineage == 0;
}

/* A group whose council is away, or has gone over to another, can take nobody in. */
static bool can_decide(const struct view *view, const struct layout *layout)
{
	size_t up = 0, seats = 0;

	for (size_t i = 0; i < layout->count; i++) {
		if (!layout->members[i].council)
			continue;
		seats++;
		up += is_with(view, layout->members[i].id, layout->lineage);
	}
	return up > seats / 2;
}

/* Whether this node gives up its lineage for the one that left it. */
static bool may_follow(const struct council *c)
{
	return c->lost_ms >= (c->offer_names ? COUNCIL_NAMED_MS : COUNCIL_DEAD_MS);
}

/* One of the two was forced, and left the other. */
static enum council_meeting meet_forced(struct council *c, const struct layout *theirs)
{
	if (theirs->left_lineage != c->layout.lineage)
		return COUNCIL_APART;		/* it is theirs to come over, or not */
	c->offer = theirs->lineage;
	/* A guest is no part of what was left. */
	c->offer_names = layout_find(theirs, c->self) != NULL ||
			 layout_find(&c->layout, c->self) == NULL;
	if (may_follow(c))
		return COUNCIL_ADOPT;
	return c->offer_names && c->lost_ms > 0 ? COUNCIL_KEEP : COUNCIL_APART;
}

enum council_meeting council_meet(struct council *c, const struct view *view,
				  const struct layout *theirs)
{
	const struct layout *ours = &c->layout;

	if (theirs->epoch == 0)
		return COUNCIL_KEEP;
	if (ours->epoch == 0)
		return COUNCIL_ADOPT;
	if (theirs->lineage == ours->lineage)
		return theirs->epoch > ours->epoch ? COUNCIL_ADOPT : COUNCIL_KEEP;
	if (theirs->lineage == c->wanted)
		return COUNCIL_ADOPT;
	if (theirs->left_lineage == ours->lineage || ours->left_lineage == theirs->lineage)
		return meet_forced(c, theirs);
	if (gives_itself_up(ours) &&
	    (!gives_itself_up(theirs) || theirs->members[0].id < ours->members[0].id))
		return can_decide(view, theirs) ? COUNCIL_ADOPT : COUNCIL_KEEP;
	return gives_itself_up(ours) || gives_itself_up(theirs) ? COUNCIL_KEEP : COUNCIL_APART;
}

/* steps */

static void wake(struct council_step *step, uint64_t at)
{
	if (step->due == 0 || at < step->due)
		step->due = at;
}

static bool has_passed(struct council_step *step, uint64_t at, uint64_t now)
{
	if (now < at)
		wake(step, at);
	return now >= at;
}

static void fetch(struct council *c, uint64_t from, uint64_t every, uint64_t now,
		  struct council_step *ret)
{
	if (c->fetched != 0 && !has_passed(ret, c->fetched + every, now))
		return;
	c->fetched = now;
	ret->act = COUNCIL_FETCH;
	ret->from = from;
	wake(ret, now + every);
}

static void found(const struct council *c, const struct view *view, struct council_step *ret)
{
	struct layout layout = LAYOUT_NONE;

	layout.epoch = 1;
	layout.homes = c->founding.homes;
	layout.copies = c->founding.copies;
	layout.keep_versions = c->founding.keep_versions;
	layout.keep_days = c->founding.keep_days;
	layout_put(&layout, c->self, LAYOUT_A, change_weight(&view->self), view->self.region);
	layout_seat(&layout);
	ret->act = COUNCIL_FOUND;
	ret->layout = layout;
}

static bool may_be_home(const struct member *member)
{
	return member->state == MEMBER_UP && member->flags == 0;
}

static void without_group(struct council *c, const struct view *view,
			  const struct council_seeds *seeds, uint64_t now, struct council_step *ret)
{
	bool met = false, smallest = true;
	uint64_t wait = 0;

	for (size_t i = 0; i < view->count; i++) {
		const struct member *m = &view->entries[i].member;

		if (m->lineage != 0 && m->state != MEMBER_LEFT && m->state != MEMBER_FORGOTTEN) {
			if (m->state == MEMBER_UP)
				fetch(c, m->id, FETCH_MS, now, ret);
			if (m->state != MEMBER_INCOMPATIBLE)
				return;		/* there is a group: wait for it */
		}
		met = met || may_be_home(m);
		smallest = smallest && !(may_be_home(m) && m->id < c->self);
	}
	if (view->self.flags != 0 || seeds->answered < seeds->count)
		return;
	if (!smallest)
		wait = 2 * COUNCIL_SILENCE_MS;	/* it may wait for a seed that we need not */
	else if (seeds->count == 0 && !met)
		wait = COUNCIL_SILENCE_MS;
	if (has_passed(ret, c->began + wait, now))
		found(c, view, ret);
}

/* Somebody has a newer layout of this group. */
static bool catch_up(struct council *c, const struct view *view, uint64_t now,
		     struct council_step *ret)
{
	const struct member *newest = NULL;

	for (size_t i = 0; i < view->count; i++) {
		const struct member *m = &view->entries[i].member;

		if (m->state == MEMBER_UP && m->lineage == c->layout.lineage &&
		    m->epoch > c->layout.epoch && (newest == NULL || m->epoch > newest->epoch))
			newest = m;
	}
	if (newest != NULL)
		fetch(c, newest->id, FETCH_MS, now, ret);
	return newest != NULL;
}

/* A person wants this node to be of another lineage: ask whoever is of it. */
static bool go_over(struct council *c, const struct view *view, uint64_t now,
		    struct council_step *ret)
{
	const struct member *newest = NULL;

	if (c->wanted != 0 && now >= c->wanted_until)
		c->wanted = 0;
	for (size_t i = 0; i < view->count && c->wanted != 0; i++) {
		const struct member *m = &view->entries[i].member;

		if (m->state == MEMBER_UP && m->lineage == c->wanted &&
		    (newest == NULL || m->epoch > newest->epoch))
			newest = m;
	}
	if (newest != NULL)
		fetch(c, newest->id, FETCH_MS, now, ret);
	return newest != NULL;
}

/* Another group has this key: one of the two may have to give up. */
static bool see_foreign(struct council *c, const struct view *view, uint64_t now,
			struct council_step *ret)
{
	const struct member *foreign = NULL;
	bool follows, soon;

	for (size_t i = 0; i < view->count; i++) {
		const struct member *m = &view->entries[i].member;

		if (m->state == MEMBER_UP && m->lineage != 0 && m->lineage != c->layout.lineage &&
		    (foreign == NULL || m->lineage == c->offer))
			foreign = m;
	}
	if (foreign == NULL) {
		c->foreign_since = 0;
		return false;
	}
	if (c->foreign_since == 0)
		c->foreign_since = now;
	follows = foreign->lineage == c->offer && may_follow(c);
	soon = (follows || gives_itself_up(&c->layout)) &&
	       !has_passed(ret, c->foreign_since + SETTLE_MS, now);
	fetch(c, foreign->id, soon || follows ? FETCH_MS : FETCH_FOREIGN_MS, now, ret);
	return ret->act == COUNCIL_FETCH || soon;
}

static bool is_with_us(const struct council *c, const struct view *view, uint64_t id)
{
	return is_with(view, id, c->layout.lineage);
}

/* How many of the council live; *ret_before: of them with smaller ids than this node's. */
static size_t live_council(const struct council *c, const struct view *view, size_t *ret_seats,
			   size_t *ret_before)
{
	size_t up = 0, seats = 0, before = 0;

	for (size_t i = 0; i < c->layout.count; i++) {
		const struct layout_member *m = &c->layout.members[i];

		if (!m->council)
			continue;
		seats++;
		if (!is_with_us(c, view, m->id))
			continue;
		up++;
		before += m->id < c->self;
	}
	*ret_seats = seats;
	*ret_before = before;
	return up;
}

/* Only who sees a majority of the council may say that somebody is dead. */
static void count_dead(struct council *c, const struct view *view, uint64_t now)
{
	uint64_t gap = now > c->stepped ? now - c->stepped : 0;
	size_t seats, before;
	bool majority = live_council(c, view, &seats, &before) > seats / 2;

	c->stepped = now;
	if (majority)
		c->lost_ms = 0;
	else if (gap <= STEP_MAX_MS)
		c->lost_ms += gap;
	for (size_t i = 0; i < c->layout.count; i++) {
		const struct member *m = view_member(view, c->layout.members[i].id);

		if (is_with_us(c, view, c->layout.members[i].id) && !(m->flags & MEMBER_SILENT))
			c->dead_ms[i] = 0;
		else if (majority && gap <= STEP_MAX_MS)
			c->dead_ms[i] += gap;
	}
}

static void propose(struct council *c, const struct view *view, const struct layout *accepted,
		    uint64_t now, struct council_step *ret)
{
	uint64_t *since = accepted != NULL ? &c->unfinished_since : &c->wish_since;
	size_t seats, rank;
	bool wanted = true;
	uint64_t wait;

	live_council(c, view, &seats, &rank);
	wait = rank * COUNCIL_RANK_MS;
	if (accepted != NULL) {
		ret->layout = *accepted;
		ret->why = "what was begun is finished";
		wait += COUNCIL_UNFINISHED_MS;
	} else {
		wanted = change_next(c, view, now, &ret->layout, &ret->why, &ret->due);
	}
	if (!wanted) {
		*since = 0;
		return;
	}
	if (*since == 0)
		*since = now;
	if (has_passed(ret, *since + wait, now))
		ret->act = COUNCIL_PROPOSE;
}

void council_step(struct council *c, const struct view *view, const struct council_seeds *seeds,
		  const struct layout *accepted, uint64_t now, struct council_step *ret)
{
	ret->act = COUNCIL_REST;
	ret->due = 0;
	ret->from = 0;
	ret->why = NULL;
	if (c->layout.epoch == 0) {
		c->stepped = now;
		without_group(c, view, seeds, now, ret);
		return;
	}
	count_dead(c, view, now);
	if (go_over(c, view, now, ret))
		return;
	if (catch_up(c, view, now, ret) || see_foreign(c, view, now, ret))
		return;
	if (council_has_seat(c) && !(view->self.flags & MEMBER_SILENT))
		propose(c, view, accepted, now, ret);
}

int council_force(const struct council *c, const struct view *view, struct layout *ret,
		  struct err *err)
{
	struct layout layout = c->layout;
	size_t seats, before;

	if (layout_find(&layout, c->self) == NULL)
		return err_set(err, ERR_DENIED, "force a layout: this node is in none");
	if (live_council(c, view, &seats, &before) > seats / 2)
		return err_set(err, ERR_DENIED,
			       "force a layout: a majority of the council is up and decides by itself");
	for (size_t i = 0; i < layout.count;) {
		if (is_with_us(c, view, layout.members[i].id))
			i++;
		else
			layout_remove(&layout, layout.members[i].id);
	}
	layout_force(&layout);
	*ret = layout;
	return 0;
}
