/* council - how layouts come into being and change */
#include "council.h"

#include "gossip.h"

#define FETCH_MS 100			/* between two FETCHes */
#define FETCH_FOREIGN_MS 10000		/* the same, of a group that stays apart */
#define SOLO_HOLD_MS 5000			/* a solo group does not grow so long when it sees another */
#define STEP_MAX_MS 2000		/* more between two steps: this node slept */
#define REPLACED_MS (2 * GOSSIP_REST_MS + 200)

/* what the next layout should be: only a member of the council that sees no newer one asks */

static uint8_t weight_of(const struct member *member)
{
	return member->weight != 0 ? member->weight : 1;
}

static bool is_up(const struct member *member)
{
	return member != NULL && member->state == MEMBER_UP;
}

static bool may_be_home(const struct member *member)
{
	return is_up(member) && member->flags == 0;
}

/* If not, *due is set to when, unless that is earlier. */
static bool has_passed(uint64_t at, uint64_t now, uint64_t *due)
{
	if (now < at && (*due == 0 || at < *due))
		*due = at;
	return now >= at;
}

/* a joint layout: onward or back */

/* Whether each partition has a majority of homes in set B among the marked members. */
static bool has_majorities(const struct layout *layout, const bool *marked)
{
	size_t members = layout_members(layout, LAYOUT_B);
	unsigned partitions = members <= layout->homes ? 1 : LAYOUT_PARTITIONS;

	for (unsigned p = 0; p < partitions; p++) {
		struct layout_order homes;
		size_t count = 0;

		layout_homes(layout, LAYOUT_B, p, &homes);
		for (size_t i = 0; i < homes.count; i++)
			count += marked[layout_find(layout, homes.ids[i]) - layout->members];
		if (count <= homes.count / 2)
			return false;
	}
	return true;
}

/* Mark the members of set B that have all records, and (up) those that could yet get them. */
static size_t mark(const struct layout *layout, const struct view *view, bool up, bool *marked)
{
	size_t count = 0;

	for (size_t i = 0; i < layout->count; i++) {
		const struct member *m = view_member(view, layout->members[i].id);

		marked[i] = layout->members[i].sets & LAYOUT_B && m != NULL &&
			    !(m->flags & MEMBER_SILENT) &&
			    ((m->lineage == layout->lineage && m->synced == layout->epoch) ||
			     (up && is_up(m)));
		count += marked[i];
	}
	return count;
}

/* The same members in both sets: it is the number of homes that changes, and there is no way back. */
static bool has_way_back(const struct layout *layout)
{
	for (size_t i = 0; i < layout->count; i++)
		if (layout->members[i].sets != (LAYOUT_A | LAYOUT_B))
			return true;
	return false;
}

/* Who leaves and is there says so when all its content has been taken over. */
static bool leavers_wait(const struct layout *layout, const struct view *view)
{
	for (size_t i = 0; i < layout->count; i++) {
		const struct member *m = view_member(view, layout->members[i].id);

		if (layout->members[i].sets == LAYOUT_A && is_up(m) &&
		    !(m->flags & MEMBER_SILENT) &&
		    (m->lineage != layout->lineage || m->synced != layout->epoch))
			return true;
	}
	return false;
}

static const char *why_goes(struct council *c, const struct view *view, size_t i);

/* Somebody was to leave, and now would rather stay. */
static bool is_taken_back(struct council *c, const struct view *view, uint64_t now, uint64_t *due)
{
	bool any = false;

	for (size_t i = 0; i < c->layout.count; i++) {
		const struct member *m = view_member(view, c->layout.members[i].id);

		any = any || (c->layout.members[i].sets == LAYOUT_A && is_up(m) &&
			      m->lineage == c->layout.lineage && m->flags == 0 &&
			      why_goes(c, view, i) == NULL);
	}
	return any && has_passed(c->joint_since + COUNCIL_BACK_MS, now, due);
}

static bool after_joint(struct council *c, const struct view *view, uint64_t now,
			struct layout *ret, const char **ret_why, uint64_t *due)
{
	bool marked[LAYOUT_MEMBERS_MAX];
	size_t synced = mark(&c->layout, view, false, marked);

	if (synced != c->joint_synced) {
		c->joint_synced = synced;
		c->joint_moved = now;
		c->joint_ready = has_majorities(&c->layout, marked);
	}
	if (is_taken_back(c, view, now, due)) {
		layout_single(&c->layout, LAYOUT_A, ret);
		*ret_why = "a member that was to leave stays";
		return true;
	}
	if (c->joint_ready && !leavers_wait(&c->layout, view)) {
		layout_single(&c->layout, LAYOUT_B, ret);
		*ret_why = "the new homes have their records";
		return true;
	}
	if (c->joint_ready || !has_way_back(&c->layout) || !has_passed(c->joint_moved + COUNCIL_STUCK_MS, now, due))
		return false;
	mark(&c->layout, view, true, marked);
	if (has_majorities(&c->layout, marked) &&
	    !has_passed(c->joint_moved + COUNCIL_SLOW_MS, now, due))
		return false;
	layout_single(&c->layout, LAYOUT_A, ret);
	*ret_why = "too few of the new homes get their records";
	return true;
}

/* who is not to be tried again yet */

static struct council_barred *barred(struct council *c, uint64_t id)
{
	for (size_t i = 0; i < c->barred_count; i++)
		if (c->barred[i].id == id)
			return &c->barred[i];
	return NULL;
}

static void bar_members(struct council *c, uint64_t now)
{
	for (size_t i = 0; i < c->layout.count; i++) {
		const struct layout_member *m = &c->layout.members[i];
		struct council_barred *b = barred(c, m->id);

		if (m->sets == (LAYOUT_A | LAYOUT_B))
			continue;
		if (b == NULL) {
			/* Full: who was barred first makes room. */
			if (c->barred_count == LAYOUT_MEMBERS_MAX)
				memmove(c->barred, c->barred + 1,
					--c->barred_count * sizeof c->barred[0]);
			b = &c->barred[c->barred_count++];
			*b = (struct council_barred){ .id = m->id, .wait = COUNCIL_BARRED_MS };
		}
		b->until = now + b->wait;
		b->wait = b->wait < COUNCIL_DEAD_MS ? 2 * b->wait : b->wait;
	}
}

static bool is_barred(struct council *c, uint64_t id, uint64_t now, uint64_t *due)
{
	const struct council_barred *b = barred(c, id);

	return b != NULL && !has_passed(b->until, now, due);
}

/* a single layout: who goes, who comes */

static bool is_of(const struct layout *layout, const struct member *member)
{
	return member->lineage == layout->lineage;
}

static uint64_t heard(const struct view *view, uint64_t id)
{
	const struct view_entry *entry = view_entry(view, id);

	return entry != NULL ? entry->heard : 0;
}

/*
 * Another node, alive, has its address.  One that was heard a moment ago and
 * then never again is gone, before its silence has lasted long enough to say so.
 */
static bool is_replaced(const struct council *c, const struct view *view,
			const struct member *member)
{
	if (member == &view->self || member->discovery.len == 0)
		return false;
	for (size_t i = 0; i < view->count; i++) {
		const struct member *other = &view->entries[i].member;

		if (other->id != member->id && is_up(other) && is_of(&c->layout, other) &&
		    address_eq(&other->discovery, &member->discovery) &&
		    (!is_up(member) || heard(view, other->id) > heard(view, member->id) + REPLACED_MS))
			return true;
	}
	return !is_up(member) && address_eq(&view->self.discovery, &member->discovery);
}

/* A member is thought to live at its address: one of the two is gone, and time will tell. */
static bool displaces(const struct layout *next, const struct view *view,
		      const struct member *joiner)
{
	for (size_t i = 0; i < next->count; i++) {
		const struct member *m = view_member(view, next->members[i].id);

		if (next->members[i].sets & LAYOUT_B && m != NULL && m->id != joiner->id &&
		    joiner->discovery.len != 0 && address_eq(&m->discovery, &joiner->discovery))
			return true;
	}
	return false;
}

static bool has_region(const struct layout *layout, const struct layout_member *m,
		       const char *region)
{
	struct layout with = *layout;
	const struct layout_member *then;

	layout_put(&with, m->id, m->sets, m->weight, region);
	then = layout_find(&with, m->id);
	return strcmp(with.regions[then->region], layout->regions[m->region]) == 0;
}

/* Its homes would be others in another region, at once: it leaves and joins again. */
static bool has_moved(const struct layout *layout, const struct layout_member *m,
		      const struct member *member)
{
	return layout_members(layout, LAYOUT_A) > layout->homes && is_up(member) &&
	       !has_region(layout, m, member->region);
}

static const char moves[] = "a member moves";
static const char replaced[] = "a node took the place of a member";

static const char *why_goes(struct council *c, const struct view *view, size_t i)
{
	const struct member *m = view_member(view, c->layout.members[i].id);

	if (c->dead_ms[i] >= COUNCIL_DEAD_MS)
		return "a member was away for long";
	if (m == NULL)
		return NULL;
	/* lineage 0: it was not heard of since this node started */
	if (m->lineage != 0 && !is_of(&c->layout, m))
		return !is_up(m) && is_replaced(c, view, m) ? replaced : NULL;
	if (m->flags & MEMBER_GUEST && is_up(m))
		return "a member leaves";
	if (is_replaced(c, view, m))
		return replaced;
	return has_moved(&c->layout, &c->layout.members[i], m) ? moves : NULL;
}

/* Set A as it is, and as set B too but for those that go.  Whether any does. */
static bool let_go(struct council *c, const struct view *view, uint64_t now, struct layout *next,
		   const char **ret_why, uint64_t *due)
{
	bool any = false;

	for (size_t i = 0; i < next->count; i++) {
		const char *why = why_goes(c, view, i);

		next->members[i].sets = LAYOUT_A | LAYOUT_B;
		if (why == NULL || is_barred(c, next->members[i].id, now, due) ||
		    (any && why == moves))
			continue;		/* one moves at a time: somebody has to stay */
		next->members[i].sets = LAYOUT_A;
		*ret_why = why;
		any = true;
	}
	return any;
}

static bool let_join(struct council *c, const struct view *view, uint64_t now,
		     struct layout *next, uint64_t *due)
{
	bool any = false;

	for (size_t i = 0; i < view->count; i++) {
		const struct member *m = &view->entries[i].member;

		if (may_be_home(m) && is_of(&c->layout, m) &&
		    layout_find(&c->layout, m->id) == NULL && !displaces(next, view, m) &&
		    !is_barred(c, m->id, now, due) &&
		    layout_put(next, m->id, LAYOUT_B, weight_of(m), m->region) == 0)
			any = true;
	}
	return any;
}

/* Those that join at about the same time join together. */
static bool have_waited(struct council *c, uint64_t now, uint64_t *due)
{
	bool small = layout_members(&c->layout, LAYOUT_A) < COUNCIL_SMALL;

	if (c->joiners_since == 0)
		c->joiners_since = now;
	return has_passed(c->joiners_since + (small ? COUNCIL_SMALL_MS : COUNCIL_COLLECT_MS), now,
			  due);
}

static bool change_members(struct council *c, const struct view *view, uint64_t now,
			   struct layout *ret, const char **ret_why, uint64_t *due)
{
	struct layout next = c->layout;
	const char *why = "nodes join";
	bool go, join;

	next.epoch++;
	go = let_go(c, view, now, &next, &why, due);
	join = let_join(c, view, now, &next, due);
	if (!join)
		c->joiners_since = 0;
	if (!go && (!join || !have_waited(c, now, due)))
		return false;
	if (layout_members(&next, LAYOUT_B) == 0)
		return false;		/* somebody has to stay */
	layout_seat(&next);
	*ret = next;
	*ret_why = why;
	return true;
}

/* a single layout: numbers */

static bool change_homes(const struct council *c, struct layout *next)
{
	if (c->asked.homes == 0 || c->asked.homes == c->layout.homes)
		return false;
	next->homes = (uint8_t)(c->asked.homes > c->layout.homes ? next->homes + 1
								  : next->homes - 1);
	for (size_t i = 0; i < next->count; i++)
		next->members[i].sets = LAYOUT_A | LAYOUT_B;
	return true;
}

static void take_numbers(const struct council *c, struct layout *next)
{
	if (c->asked.copies != 0)
		next->copies = c->asked.copies;
	if (c->asked.keep_versions != 0)
		next->keep_versions = c->asked.keep_versions;
	if (c->asked.keep_days != UINT32_MAX)
		next->keep_days = c->asked.keep_days;
}

/* What members say of themselves: weights, and regions while every member is a home anyway. */
static void take_words(const struct view *view, struct layout *next)
{
	bool all_homes = layout_members(next, LAYOUT_A) <= next->homes;

	for (size_t i = 0; i < next->count; i++) {
		struct layout_member *m = &next->members[i];
		const struct member *word = view_member(view, m->id);

		if (is_up(word) && is_of(next, word))
			layout_put(next, m->id, m->sets, weight_of(word),
				   all_homes ? word->region : next->regions[m->region]);
	}
}

static bool change_numbers(struct council *c, const struct view *view, uint64_t now,
			   struct layout *ret, const char **ret_why)
{
	struct layout next = c->layout;

	take_words(view, &next);
	if (now < c->asked_until) {
		take_numbers(c, &next);
		*ret_why = "other numbers are wanted";
	} else {
		*ret_why = "a member says something else of itself";
	}
	if (layout_eq(&next, &c->layout) && (now >= c->asked_until || !change_homes(c, &next)))
		return false;
	next.epoch++;
	*ret = next;
	return true;
}

static bool next_layout(struct council *c, const struct view *view, uint64_t now, struct layout *ret,
			const char **ret_why, uint64_t *due)
{
	if (layout_is_joint(&c->layout))
		return after_joint(c, view, now, ret, ret_why, due);
	return change_members(c, view, now, ret, ret_why, due) ||
	       change_numbers(c, view, now, ret, ret_why);
}

/* the layouts that are used, and what people ask of the next */

void council_init(struct council *c, uint64_t self, const struct layout_numbers *founding,
		  uint64_t now)
{
	*c = (struct council){ .self = self, .founding = *founding, .began = now, .stepped = now };
	c->layout = LAYOUT_NONE;
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
	layout_single(was, LAYOUT_A, &back);
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
		bar_members(c, now);
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
	if (numbers != NULL)
		c->asked = *numbers;
	c->asked_until = numbers != NULL ? now + COUNCIL_ASKED_MS : 0;
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

static void fetch(struct council *c, uint64_t from, uint64_t every, uint64_t now,
		  struct council_step *ret)
{
	if (c->fetched != 0 && !has_passed(c->fetched + every, now, &ret->due))
		return;
	c->fetched = now;
	ret->act = COUNCIL_FETCH;
	ret->from = from;
	has_passed(now + every, now, &ret->due);	/* it is asked again then */
}

static void found(const struct council *c, const struct view *view, struct council_step *ret)
{
	struct layout layout = LAYOUT_NONE;

	layout.epoch = 1;
	layout.homes = c->founding.homes;
	layout.copies = c->founding.copies;
	layout.keep_versions = c->founding.keep_versions;
	layout.keep_days = c->founding.keep_days;
	layout_put(&layout, c->self, LAYOUT_A, weight_of(&view->self), view->self.region);
	layout_seat(&layout);
	ret->act = COUNCIL_FOUND;
	ret->layout = layout;
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
	if (has_passed(c->began + wait, now, &ret->due))
		found(c, view, ret);
}

/* Whoever is up and has the newest layout of the lineage is asked for it, unless it is no newer than that. */
static bool fetch_newest(struct council *c, const struct view *view, uint64_t lineage, uint64_t than,
			 uint64_t now, struct council_step *ret)
{
	const struct member *newest = NULL;

	for (size_t i = 0; i < view->count; i++) {
		const struct member *m = &view->entries[i].member;

		if (m->state == MEMBER_UP && m->lineage == lineage && m->epoch > than) {
			newest = m;
			than = m->epoch;
		}
	}
	if (newest != NULL)
		fetch(c, newest->id, FETCH_MS, now, ret);
	return newest != NULL;
}

/* Somebody has a newer layout of this group. */
static bool catch_up(struct council *c, const struct view *view, uint64_t now,
		     struct council_step *ret)
{
	return fetch_newest(c, view, c->layout.lineage, c->layout.epoch, now, ret);
}

/* A person wants this node to be of another lineage: ask whoever is of it. */
static bool go_over(struct council *c, const struct view *view, uint64_t now,
		    struct council_step *ret)
{
	if (now >= c->wanted_until)
		c->wanted = 0;
	return c->wanted != 0 && fetch_newest(c, view, c->wanted, 0, now, ret);
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
	       !has_passed(c->foreign_since + SOLO_HOLD_MS, now, &ret->due);
	fetch(c, foreign->id, soon || follows ? FETCH_MS : FETCH_FOREIGN_MS, now, ret);
	return ret->act == COUNCIL_FETCH || soon;
}

static bool is_with_us(const struct council *c, const struct view *view, uint64_t id)
{
	return is_with(view, id, c->layout.lineage);
}

/* How many of the council live whose ids are smaller than this node's. */
static size_t rank_in_council(const struct council *c, const struct view *view)
{
	size_t before = 0;

	for (size_t i = 0; i < c->layout.count && c->layout.members[i].id < c->self; i++)
		before += c->layout.members[i].council &&
			  is_with_us(c, view, c->layout.members[i].id);
	return before;
}

/* Only who sees a majority of the council may say that somebody is dead. */
static void count_dead(struct council *c, const struct view *view, uint64_t now)
{
	uint64_t gap = now > c->stepped ? now - c->stepped : 0;
	bool majority = can_decide(view, &c->layout);

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
	uint64_t wait = rank_in_council(c, view) * COUNCIL_RANK_MS;
	bool wanted = true;

	if (accepted != NULL) {
		ret->layout = *accepted;
		ret->why = "what was begun is finished";
		wait += COUNCIL_UNFINISHED_MS;
	} else {
		wanted = next_layout(c, view, now, &ret->layout, &ret->why, &ret->due);
	}
	if (!wanted) {
		*since = 0;
		return;
	}
	if (*since == 0)
		*since = now;
	if (has_passed(*since + wait, now, &ret->due))
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
	if (layout_has_seat(&c->layout, c->self) && !(view->self.flags & MEMBER_SILENT))
		propose(c, view, accepted, now, ret);
}

int council_force(const struct council *c, const struct view *view, struct layout *ret,
		  struct err *err)
{
	struct layout layout = c->layout;

	if (layout_find(&layout, c->self) == NULL)
		return err_set(err, ERR_DENIED, "force a layout: this node is in none");
	if (can_decide(view, &c->layout))
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
