/* view - the members of the group, as this node has heard of them */
#include "view.h"

#include "mem.h"

void view_init(struct view *view, const struct member *self, uint64_t now)
{
	*view = (struct view){ .self = *self, .ticked = now };
	view->self.state = MEMBER_UP;
}

void view_clear(struct view *view)
{
	free(view->entries);
	view->entries = NULL;
	view->count = 0;
}

struct view_entry *view_entry(const struct view *view, uint64_t id)
{
	for (size_t i = 0; i < view->count; i++)
		if (view->entries[i].member.id == id)
			return &view->entries[i];
	return NULL;
}

const struct member *view_member(const struct view *view, uint64_t id)
{
	const struct view_entry *entry = view_entry(view, id);

	if (view->self.id == id)
		return &view->self;
	return entry != NULL ? &entry->member : NULL;
}

/* A place for one more; NULL when there is none. */
static struct view_entry *place(struct view *view)
{
	if (view->count + 1 < MEMBERS_MAX) {	/* one is this node */
		view->entries = mem_resize(view->entries, view->count + 1, sizeof *view->entries);
		return &view->entries[view->count++];
	}
	for (size_t i = 0; i < view->count; i++)
		if (view->entries[i].member.state == MEMBER_LEFT ||
		    view->entries[i].member.state == MEMBER_FORGOTTEN)
			return &view->entries[i];
	return NULL;
}

static bool speaks_ours(const struct member *member)
{
	return member->protocol_min <= MEMBER_PROTOCOL && member->protocol_max >= MEMBER_PROTOCOL;
}

static enum member_state judge(const struct view_entry *entry, uint64_t now)
{
	uint64_t silent = now > entry->heard ? now - entry->heard : 0;

	if (member_is_gone(entry->member.state))
		return entry->member.state;
	if (silent >= VIEW_DOWN_MS)
		return MEMBER_DOWN;
	if (silent >= VIEW_SUSPECT_MS)
		return MEMBER_SUSPECT;
	return speaks_ours(&entry->member) ? MEMBER_UP : MEMBER_INCOMPATIBLE;
}

/* As if it had been silent long enough to be thought so of. */
static uint64_t heard_for(enum member_state state, uint64_t now)
{
	uint64_t silent = 0;

	if (state == MEMBER_DOWN)
		silent = VIEW_DOWN_MS;
	else if (state == MEMBER_SUSPECT)
		silent = VIEW_SUSPECT_MS;
	return now > silent ? now - silent : 0;
}

static bool looks_same(const struct member *a, const struct member *b)
{
	return a->start == b->start && strcmp(a->name, b->name) == 0 &&
	       a->protocol_min == b->protocol_min && a->protocol_max == b->protocol_max &&
	       address_eq(&a->http, &b->http) && address_eq(&a->discovery, &b->discovery) &&
	       address_eq(&a->versions, &b->versions) && a->lineage == b->lineage &&
	       a->epoch == b->epoch && a->synced == b->synced && a->flags == b->flags &&
	       a->weight == b->weight && strcmp(a->region, b->region) == 0 &&
	       a->nonce == b->nonce && start_eq(a->spoke, b->spoke);
}

void view_load(struct view *view, const struct members *members, uint64_t now)
{
	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->list[i];
		struct view_entry *entry;

		if (member->id == view->self.id || view_entry(view, member->id) != NULL)
			continue;
		entry = place(view);
		if (entry == NULL)
			return;
		*entry = (struct view_entry){ .member = *member };
		entry->heard = heard_for(member->state, now);
	}
	view->changes++;
}

void view_beat(struct view *view)
{
	view->self.heartbeat++;
}

void view_restart(struct view *view, uint64_t start)
{
	view->self.start = start;
	view->self.heartbeat = 1;
	view->outdone = 0;
	view->changes++;
}

/* Of another process: what is remembered of one that has ended does not get newer. */
static void hear_of_twin(struct view *view, const struct member *word, uint64_t now)
{
	if (word->nonce == view->self.nonce)
		return;
	if (view->twin.id != 0 && member_cmp_age(word, &view->twin) <= 0)
		return;
	view->twin = *word;
	view->twin_heard = now;
}

bool view_may_live_twice(const struct view *view, uint64_t now)
{
	return view->twin.id != 0 && now - view->twin_heard < VIEW_DOWN_MS;
}

/* Others remember a start that spoke, and this disk does not; who tells of one from before may have missed it. */
static bool is_forgotten(struct start own, struct start others_know)
{
	return others_know.count > own.count ||
	       (others_know.count == own.count && others_know.nonce != own.nonce);
}

/* Somebody remembers a later word of ours than we do. */
static void hear_of_self(struct view *view, const struct member *word, uint64_t now)
{
	bool other = word->nonce != 0 && word->nonce != view->self.nonce;

	if ((member_cmp_age(word, &view->self) > 0 || (other && word->start == view->self.start)) &&
	    view->outdone < word->start && word->start < UINT64_MAX)
		view->outdone = word->start;
	if (is_forgotten(view->self.spoke, word->spoke))
		view->forgotten = true;
	if (view->recalled < word->sequence)
		view->recalled = word->sequence;
	hear_of_twin(view, word, now);
}

/* Whether a start that spoke, and names the one before, may follow what is known. */
static bool may_follow(struct start known, struct start before)
{
	if (known.count == 0)
		return true;
	return known.nonce != 0 && (before.count > known.count || start_eq(before, known));
}

/* What it once did is known, however old the word that tells of it: the last start that spoke only grows. */
static void learn_start(struct view *view, struct view_entry *entry, const struct member *word)
{
	struct start *known = &entry->member.spoke, was = *known;

	if (word->spoke.count > known->count) {
		*known = word->spoke;
		if (!may_follow(was, word->before))
			known->nonce = 0;
	} else if (word->spoke.count == known->count && word->spoke.nonce != known->nonce) {
		known->nonce = 0;
	}
	view->changes += !start_eq(was, *known);
}

/* It may live on, and whoever overtook it has to know. */
static void remember_overtaken(struct view_entry *news, const struct view_entry *was)
{
	bool is_other = was->member.start == news->member.start &&
			was->member.nonce != news->member.nonce;

	news->overtaken = is_other ? was->member : was->overtaken;
	news->overtaken_heard = is_other ? was->heard : was->overtaken_heard;
}

const struct member *view_overtaken(const struct view *view, const struct member *asker, uint64_t now)
{
	const struct view_entry *entry = view_entry(view, asker->id);

	if (entry == NULL || entry->overtaken.id == 0 || entry->overtaken.start != asker->start ||
	    entry->overtaken.nonce == asker->nonce || now >= entry->overtaken_heard + VIEW_DOWN_MS)
		return NULL;
	return &entry->overtaken;
}

bool view_hear(struct view *view, const struct member *word, bool direct, uint64_t now)
{
	enum member_state said = direct && !member_is_gone(word->state) ? MEMBER_UP : word->state;
	struct view_entry news = { .member = *word, .heard = heard_for(said, now) };
	struct view_entry *entry = view_entry(view, word->id);

	if (word->id == view->self.id) {
		hear_of_self(view, word, now);
		return false;
	}
	if (entry != NULL)
		learn_start(view, entry, word);
	if (entry != NULL && member_cmp_age(word, &entry->member) <= 0) {
		if (word->state == MEMBER_FORGOTTEN && member_cmp_age(word, &entry->member) == 0)
			view_forget(view, word->id);
		return false;
	}
	news.member.state = judge(&news, now);
	if (entry != NULL && entry->member.state == MEMBER_FORGOTTEN && member_is_away(news.member.state))
		news.member.state = MEMBER_FORGOTTEN;
	view->returns += news.member.state == MEMBER_UP &&
			 (entry == NULL || member_is_away(entry->member.state));
	if (entry != NULL) {
		news.ahead = entry->ahead;
		news.clock_known = entry->clock_known;
		remember_overtaken(&news, entry);
		news.member.spoke = entry->member.spoke;
		if (news.member.sequence < entry->member.sequence)
			news.member.sequence = entry->member.sequence;
		view->changes += entry->member.state != news.member.state ||
				 !looks_same(&entry->member, &news.member);
	} else {
		entry = place(view);
		if (entry == NULL)
			return false;
		view->changes++;
	}
	*entry = news;
	return true;
}

/* Who is up would only come back with its next word. */
void view_forget(struct view *view, uint64_t id)
{
	struct view_entry *entry = view_entry(view, id);

	if (entry == NULL || entry->member.state == MEMBER_FORGOTTEN ||
	    !member_is_away(entry->member.state))
		return;
	entry->member.state = MEMBER_FORGOTTEN;
	view->changes++;
}

void view_clock(struct view *view, uint64_t id, int64_t ahead)
{
	struct view_entry *entry = view_entry(view, id);

	if (entry == NULL)
		return;
	entry->ahead = ahead;
	entry->clock_known = true;
}

static int cmp_ahead(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int64_t view_offset(const struct view *view, int64_t last)
{
	int64_t ahead[MEMBERS_MAX] = { 0 };	/* the first is this node's */
	size_t count = 1;

	for (size_t i = 0; i < view->count; i++)
		if (view->entries[i].clock_known && view->entries[i].member.state == MEMBER_UP)
			ahead[count++] = view->entries[i].ahead;
	if (count == 1)
		return last;
	qsort(ahead, count, sizeof ahead[0], cmp_ahead);
	return ahead[(count - 1) / 2];
}

static bool lives_at(const struct member *member, const struct address *discovery)
{
	return (member->state == MEMBER_UP || member->state == MEMBER_INCOMPATIBLE) &&
	       address_eq(&member->discovery, discovery);
}

/* Another node, alive, has the silent one's address. */
static bool replaced(const struct view *view, const struct member *silent)
{
	if (silent->discovery.len == 0)
		return false;
	if (lives_at(&view->self, &silent->discovery))
		return true;
	for (size_t i = 0; i < view->count; i++)
		if (lives_at(&view->entries[i].member, &silent->discovery))
			return true;
	return false;
}

void view_tick(struct view *view, uint64_t now)
{
	uint64_t gap = now > view->ticked ? now - view->ticked : 0;

	/* This node slept: its silence is not theirs. */
	if (gap < VIEW_SUSPECT_MS / 2)
		gap = 0;
	view->ticked = now;
	for (size_t i = 0; i < view->count; i++) {
		struct view_entry *entry = &view->entries[i];
		enum member_state was = entry->member.state;

		entry->heard = entry->heard + gap < now ? entry->heard + gap : now;
		entry->member.state = judge(entry, now);
		if ((entry->member.state == MEMBER_SUSPECT || entry->member.state == MEMBER_DOWN ||
		     entry->member.state == MEMBER_STOPPED) && replaced(view, &entry->member))
			entry->member.state = MEMBER_LEFT;
		view->changes += entry->member.state != was;
	}
}

static void list_members(const struct view *view, bool forgotten, struct members *ret)
{
	members_clear(ret);
	ret->self = view->self.id;
	members_add(ret, &view->self);
	for (size_t i = 0; i < view->count; i++)
		if (forgotten || view->entries[i].member.state != MEMBER_FORGOTTEN)
			members_add(ret, &view->entries[i].member);
}

void view_members(const struct view *view, struct members *ret)
{
	list_members(view, false, ret);
}

void view_memory(const struct view *view, struct members *ret)
{
	list_members(view, true, ret);
}
