/* change - what the next layout should be; a part of council */
#include "change.h"

#include "gossip.h"

#define REPLACED_MS (2 * GOSSIP_ROUND_MS + 200)

uint8_t change_weight(const struct member *member)
{
	return member->weight != 0 ? member->weight : 1;
}

static bool is_up(const struct member *member)
{
	return member != NULL && member->state == MEMBER_UP;
}

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
		layout_alone(&c->layout, LAYOUT_A, ret);
		*ret_why = "a member that was to leave stays";
		return true;
	}
	if (c->joint_ready && !leavers_wait(&c->layout, view)) {
		layout_alone(&c->layout, LAYOUT_B, ret);
		*ret_why = "the new homes have their records";
		return true;
	}
	if (c->joint_ready || !has_way_back(&c->layout) || !has_passed(c->joint_moved + COUNCIL_STUCK_MS, now, due))
		return false;
	mark(&c->layout, view, true, marked);
	if (has_majorities(&c->layout, marked) &&
	    !has_passed(c->joint_moved + COUNCIL_SLOW_MS, now, due))
		return false;
	layout_alone(&c->layout, LAYOUT_A, ret);
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

void change_bar(struct council *c, uint64_t now)
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

		if (is_up(m) && m->flags == 0 && is_of(&c->layout, m) &&
		    layout_find(&c->layout, m->id) == NULL && !displaces(next, view, m) &&
		    !is_barred(c, m->id, now, due) &&
		    layout_put(next, m->id, LAYOUT_B, change_weight(m), m->region) == 0)
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
			layout_put(next, m->id, m->sets, change_weight(word),
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

bool change_next(struct council *c, const struct view *view, uint64_t now, struct layout *ret,
		 const char **ret_why, uint64_t *due)
{
	if (layout_is_joint(&c->layout))
		return after_joint(c, view, now, ret, ret_why, due);
	return change_members(c, view, now, ret, ret_why, due) ||
	       change_numbers(c, view, now, ret, ret_why);
}
