/* waking - what a start does about what others remember of its node */
#include "waking.h"

void waking_begin(struct waking *waking, bool silent, bool ended_well, uint64_t now)
{
	*waking = (struct waking){ .silent = silent, .ended_well = ended_well, .waits = now };
}

void waking_recognized(struct waking *waking, uint64_t now)
{
	if (!waking->recognized)
		waking->waits = now;
	waking->recognized = true;
	waking->heard = now;
}

static const char *what_is_forgotten(const struct view *view, uint64_t sequence)
{
	if (view->forgotten)
		return "others remember a start of this node that this disk does not know";
	if (view->recalled > sequence - 1 + WAKING_BEHIND_MAX)
		return "others remember what this disk has forgotten";
	return NULL;
}

static bool is_outdone(const struct view *view)
{
	return view->outdone >= view->self.start;
}

static bool speaks(const struct waking *waking, const struct view *view)
{
	return !waking->silent && view->self.spoke.nonce == view->self.nonce;
}

/* One that is silent for good is none: it will never speak, however long it lives. */
bool waking_has_rival(const struct view *view, uint64_t now)
{
	return is_outdone(view) && view_may_live_twice(view, now) &&
	       !(view->twin.flags & MEMBER_FORGOT);
}

static bool is_to_raise(const struct waking *waking, const struct view *view, uint64_t now)
{
	if (!is_outdone(view))
		return false;
	if (waking->raised != 0 && now - waking->raised < WAKING_RAISE_MS)
		return false;
	if (waking->silent)
		return !view_may_live_twice(view, now);
	return speaks(waking, view) || !waking_has_rival(view, now);
}

/*
 * Without the others this node confirms something, or decides: nobody else has a seat in the
 * council.  That is so in a group of one, and while the first others join it.
 */
static bool acts_alone(const struct layout *layout, uint64_t self)
{
	for (size_t i = 0; i < layout->count; i++)
		if (layout->members[i].council && layout->members[i].id != self)
			return layout->homes == 1;
	return true;
}

/* Others tell it still when the time is over: they would have told of another that is this node. */
static bool may_speak(const struct waking *waking, bool alone, uint64_t now)
{
	if (waking->recognized &&
	    (waking->ended_well || waking->heard >= waking->waits + WAKING_SURE_MS))
		return true;
	return alone && now - waking->waits >= WAKING_SURE_MS;
}

void waking_step(struct waking *waking, const struct view *view, const struct layout *layout,
		 uint64_t sequence, uint64_t now, struct waking_step *ret)
{
	bool alone = acts_alone(layout, view->self.id);

	*ret = (struct waking_step){ .act = WAKING_REST };
	if (!waking->silent)
		ret->why = what_is_forgotten(view, sequence);
	if (ret->why != NULL) {
		waking->silent = true;
		ret->act = WAKING_SILENCE;
	} else if (is_to_raise(waking, view, now)) {
		waking->raised = waking->waits = now;
		ret->act = WAKING_RAISE;
		ret->above = view->outdone;
	} else if (waking->silent || speaks(waking, view)) {
		return;
	} else if (!waking_has_rival(view, now) && may_speak(waking, alone, now)) {
		ret->act = WAKING_SPEAK;
	} else {
		ret->waited = now - waking->waits >= WAKING_SURE_MS;
		ret->due = (ret->waited ? now : waking->waits) + WAKING_SURE_MS;
	}
}
