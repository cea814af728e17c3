/* gossip - how views spread: each round, tell a few members what is known */
#include "gossip.h"

#define YOUNG 20			/* heartbeats after which a node has heard enough of itself */
#define SELDOM 4			/* rounds between tries of the dead and the seeds */
#define CLOCK_SLACK_NS INT64_C(1000000000)	/* on top of GOSSIP_REST_MS, for a process that has to wait */

void gossip_init(struct gossip *gossip, const struct member *self, uint64_t group, uint64_t now)
{
	*gossip = (struct gossip){ .group = group };
	view_init(&gossip->view, self, now);
}

void gossip_clear(struct gossip *gossip)
{
	view_clear(&gossip->view);
	buf_clear(&gossip->packet);
}

void gossip_seeds(struct gossip *gossip, const struct address *addresses, size_t count)
{
	gossip->seed_count = 0;
	for (size_t i = 0; i < count && gossip->seed_count < GOSSIP_SEEDS_MAX; i++)
		if (!address_eq(&addresses[i], &gossip->view.self.discovery))
			gossip->seeds[gossip->seed_count++] = addresses[i];
}

static uint64_t below(struct gossip *gossip, uint64_t n)
{
	return gossip->random(gossip->data) % n;
}

/* Move `want` of the count pointers to the front, chosen at random. */
static void choose(struct gossip *gossip, const struct member **list, size_t count, size_t want)
{
	for (size_t i = 0; i < want && i < count; i++) {
		size_t other = i + (size_t)below(gossip, count - i);
		const struct member *member = list[i];

		list[i] = list[other];
		list[other] = member;
	}
}

/*
 * Its disk may remember less than others do, even of its starts: so who asks
 * is asked how long it has been there, and of the others what they last told.
 * Who has been there for long hears at once of another that is it too.
 */
static bool is_to_hear_of_itself(const struct member *member, const struct address *whom,
				 const struct member *asker)
{
	if (asker != NULL)
		return member->id == asker->id &&
		       (asker->heartbeat <= YOUNG || asker->nonce != member->nonce);
	return member->heartbeat <= YOUNG && address_eq(&member->discovery, whom);
}

static void put_first(const struct member **list, size_t count, const struct address *whom,
		      const struct member *asker)
{
	for (size_t i = 0; i < count; i++) {
		const struct member *member = list[i];

		if (!is_to_hear_of_itself(member, whom, asker))
			continue;
		list[i] = list[0];
		list[0] = member;
		return;
	}
}

/* Who asks may have a twin that others do not see for it: the count with that before all. */
static size_t put_overtaken(const struct gossip *gossip, const struct member **list, size_t count,
			    const struct member *asker)
{
	const struct member *twin = view_overtaken(&gossip->view, asker, gossip->view.ticked);

	if (twin == NULL)
		return count;
	list[count] = list[0];
	list[0] = twin;
	return count + 1;
}

static uint64_t wall_s(const struct gossip *gossip)
{
	return gossip->wall(gossip->data) / 1000000000;
}

static uint64_t id_of_start(struct gossip *gossip)
{
	while (gossip->id == 0)
		gossip->id = gossip->random(gossip->data);
	return gossip->id;
}

/* asker: to whom it goes alone, or NULL. */
static void tell_as(struct gossip *gossip, const struct address *to, bool answer, uint64_t id,
		    const struct member *asker)
{
	const struct member *others[MEMBERS_MAX + 1];
	size_t count = gossip->view.count, packed;

	for (size_t i = 0; i < count; i++)
		others[i] = &gossip->view.entries[i].member;
	choose(gossip, others, count, WIRE_MEMBERS_MAX);
	put_first(others, count, to, asker);
	packed = asker != NULL ? put_overtaken(gossip, others, count, asker) : count;
	buf_reset(&gossip->packet);
	wire_pack_sender(&gossip->packet, gossip->group, &gossip->view.self);
	wire_pack_to(&gossip->packet, asker != NULL ? asker->id : 0, WIRE_DISCOVERY);
	wire_pack_gossip(&gossip->packet, answer, id, gossip->wall(gossip->data), others, &packed);
	gossip->send(gossip->data, to, buf_str(&gossip->packet));
}

/* question: what is answered, or NULL. */
static void tell(struct gossip *gossip, const struct address *to, bool answer,
		 const struct wire *question)
{
	uint64_t id = question != NULL ? question->gossip.id : answer ? 0 : id_of_start(gossip);

	tell_as(gossip, to, answer, id, question != NULL ? &question->sender : NULL);
}

/*
 * The members that are alive, or that are thought dead; how many.  Who said
 * good-bye is asked by nobody but one that has just started: it may be back,
 * and know no more than this one does where the others are.
 */
static size_t list_members(const struct gossip *gossip, bool alive, const struct member **ret)
{
	size_t count = 0;

	for (size_t i = 0; i < gossip->view.count; i++) {
		const struct member *member = &gossip->view.entries[i].member;

		bool stopped = member->state == MEMBER_STOPPED && gossip->view.self.heartbeat <= YOUNG;

		if ((member_is_gone(member->state) && !stopped) || member->discovery.len == 0)
			continue;
		if ((member->state != MEMBER_DOWN && !stopped) == alive)
			ret[count++] = member;
	}
	return count;
}

/* At most `want` of them, at random. */
static void tell_some(struct gossip *gossip, bool alive, size_t want)
{
	const struct member *members[MEMBERS_MAX];
	size_t count = list_members(gossip, alive, members);

	if (count > want) {
		choose(gossip, members, count, want);
		count = want;
	}
	for (size_t i = 0; i < count; i++)
		tell(gossip, &members[i]->discovery, false, NULL);
}

/* A member that is alive is told anyway. */
static bool is_alive_at(const struct gossip *gossip, const struct address *address)
{
	for (size_t i = 0; i < gossip->view.count; i++) {
		const struct member *member = &gossip->view.entries[i].member;

		if (member->state == MEMBER_UP && (address_eq(&member->discovery, address) ||
						   address_eq(&member->http, address)))
			return true;
	}
	return false;
}

static void tell_seeds(struct gossip *gossip)
{
	for (size_t i = 0; i < gossip->seed_count; i++)
		if (!is_alive_at(gossip, &gossip->seeds[i]))
			tell(gossip, &gossip->seeds[i], false, NULL);
}

/* Silent for so long, and nobody the layout counts on. */
static bool is_long_silent(const struct gossip *gossip, const struct member *member, uint64_t wall)
{
	return wall >= member->seen && wall - member->seen >= GOSSIP_FORGET_S &&
	       (gossip->belongs == NULL || !gossip->belongs(gossip->data, member->id));
}

static void drop_long_gone(struct gossip *gossip)
{
	struct view *view = &gossip->view;
	uint64_t wall = wall_s(gossip);

	for (size_t i = view->count; i-- > 0;) {
		const struct member *member = &view->entries[i].member;

		if (!member_is_away(member->state) || !is_long_silent(gossip, member, wall))
			continue;
		view->entries[i] = view->entries[--view->count];
		view->changes++;
	}
}

static void ask_stranger(struct gossip *gossip)
{
	gossip->proofs[1] = gossip->proofs[0];
	gossip->proofs[0] = gossip->random(gossip->data);
	if (gossip->stranger.len != 0)
		tell_as(gossip, &gossip->stranger, false, gossip->proofs[0], NULL);
	gossip->stranger.len = 0;
}

void gossip_round(struct gossip *gossip, uint64_t now)
{
	const struct member *members[MEMBERS_MAX];
	size_t alive, dead;
	bool seldom = gossip->round++ % SELDOM == 0;

	view_beat(&gossip->view);
	view_tick(&gossip->view, now);
	drop_long_gone(gossip);
	alive = list_members(gossip, true, members);
	dead = list_members(gossip, false, members);
	if (alive + dead < GOSSIP_TARGETS) {
		tell_some(gossip, true, GOSSIP_TARGETS);
		tell_some(gossip, false, GOSSIP_TARGETS);
	} else {
		tell_some(gossip, true, GOSSIP_TARGETS - 1);
		if (seldom || alive == 0)
			tell_some(gossip, false, 1);
	}
	if (seldom || alive == 0)
		tell_seeds(gossip);
	ask_stranger(gossip);
}

/* What this node said comes back by multicast; a copy of its store is another, and hears of this one. */
static bool is_own(const struct gossip *gossip, const struct member *sender)
{
	return sender->id == gossip->view.self.id && sender->nonce == gossip->view.self.nonce;
}

/*
 * What somebody recorded is old, and who was dropped since is met as if it
 * were new: so one that nobody knows here, and whose clock does not show that
 * it speaks now, has to answer a question of these seconds.
 */
static bool is_proven(const struct gossip *gossip, const struct wire *wire)
{
	uint64_t wall = wall_s(gossip), clock, id;

	if (view_member(&gossip->view, wire->sender.id) != NULL || wire->type == WIRE_OTHER)
		return true;
	if (wire->type != WIRE_GOSSIP)
		return false;		/* its gossip comes, too */
	clock = wire->gossip.clock / 1000000000;
	id = wire->gossip.id;
	if ((wall > clock ? wall - clock : clock - wall) < GOSSIP_FORGET_S / 2)
		return true;
	return wire->gossip.answer && id != 0 && (id == gossip->proofs[0] || id == gossip->proofs[1]);
}

/* It is answered as anybody, for it may ask for a proof itself, and asked in the next round. */
static void hear_stranger(struct gossip *gossip, const struct wire *wire, const struct address *from)
{
	if (wire->type != WIRE_GOSSIP || wire->gossip.answer)
		return;
	gossip->stranger = *from;
	tell(gossip, from, true, wire);
}

/* lag: how far the teller's clock is behind, or how old what it told is. */
static void hear_of(struct gossip *gossip, const struct wire_told *told, uint64_t lag, uint64_t now)
{
	struct member word = told->member;
	uint64_t wall = wall_s(gossip), ago = told->silent_s + lag;

	if (view_entry(&gossip->view, word.id) != NULL)
		ago = told->silent_s;
	word.seen = wall > ago ? wall - ago : 0;
	/* Who was away itself may take one for alive that it only has in memory. */
	if (view_entry(&gossip->view, word.id) != NULL || !is_long_silent(gossip, &word, wall))
		view_hear(&gossip->view, &word, false, now);
}

/* A word that has waited makes its clock look slow, by no more than the wait; one that looks otherwise was set. */
static void hear_clock(struct gossip *gossip, uint64_t id, uint64_t clock)
{
	const struct view_entry *entry = view_entry(&gossip->view, id);
	int64_t ahead = (int64_t)(clock - gossip->wall(gossip->data)), later;

	if (!gossip->late) {
		view_clock(&gossip->view, id, ahead);
		return;
	}
	if (entry == NULL)
		return;
	later = entry->ahead - ahead;
	if (!entry->clock_known || later < -CLOCK_SLACK_NS ||
	    later > GOSSIP_REST_MS * INT64_C(1000000) + CLOCK_SLACK_NS)
		gossip->clock_moved = true;
}

void gossip_receive(struct gossip *gossip, const struct wire *wire, const struct address *from,
		    uint64_t now)
{
	struct member sender = wire->sender;
	uint64_t clock;
	bool news;

	sender.seen = wall_s(gossip);
	if (!is_proven(gossip, wire)) {
		hear_stranger(gossip, wire, from);
		return;
	}
	news = view_hear(&gossip->view, &sender, true, now);
	if (wire->type != WIRE_GOSSIP)
		return;
	if (news)		/* a recorded one tells what time it was */
		hear_clock(gossip, wire->sender.id, wire->gossip.clock);
	clock = wire->gossip.clock / 1000000000;
	for (size_t i = 0; i < wire->gossip.count; i++)
		hear_of(gossip, &wire->gossip.members[i],
			sender.seen > clock ? sender.seen - clock : 0, now);
	if (!wire->gossip.answer && !is_own(gossip, &wire->sender))
		tell(gossip, from, true, wire);
}

bool gossip_is_answer(const struct gossip *gossip, const struct wire *wire)
{
	return wire->type == WIRE_GOSSIP && wire->gossip.answer && gossip->id != 0 &&
	       wire->gossip.id == gossip->id;
}

void gossip_announce(struct gossip *gossip, const struct address *to)
{
	tell(gossip, to, true, NULL);
}

void gossip_leave(struct gossip *gossip, bool for_good)
{
	const struct member *members[MEMBERS_MAX];
	size_t count = list_members(gossip, true, members);

	view_beat(&gossip->view);	/* the last word of this start */
	gossip->view.self.state = for_good ? MEMBER_LEFT : MEMBER_STOPPED;
	gossip->view.changes++;
	for (size_t i = 0; i < count; i++)
		tell(gossip, &members[i]->discovery, true, NULL);
}
