/* synod - agreeing on the next layout: single-decree Paxos */
#include "synod.h"

/* acceptor */

static size_t members_of_both(const struct layout *a, enum layout_set in_a, const struct layout *b,
			      enum layout_set in_b)
{
	size_t count = 0;

	for (size_t i = 0; i < a->count; i++) {
		const struct layout_member *other = layout_find(b, a->members[i].id);

		count += a->members[i].sets & in_a && other != NULL && other->sets & in_b;
	}
	return count;
}

/* The same members, whatever their place in the other set. */
static bool same_set(const struct layout *a, enum layout_set in_a, const struct layout *b,
		     enum layout_set in_b)
{
	size_t n = layout_members(a, in_a);

	return n == layout_members(b, in_b) && n == members_of_both(a, in_a, b, in_b);
}

/* Homes of consecutive numbers have common members in all their majorities; others need not. */
static bool homes_may_follow(const struct layout *layout, const struct layout *next)
{
	int step = (int)next->homes - layout->homes;

	if (step == 0)
		return true;
	return (step == 1 || step == -1) && !layout_is_joint(layout) && layout_is_joint(next) &&
	       same_set(next, LAYOUT_A, next, LAYOUT_B);
}

bool synod_may_follow(const struct layout *layout, const struct layout *next)
{
	if (next->lineage != layout->lineage || next->epoch != layout->epoch + 1 ||
	    !homes_may_follow(layout, next))
		return false;
	if (!layout_is_joint(layout))
		return same_set(layout, LAYOUT_A, next, LAYOUT_A);
	return !layout_is_joint(next) && (same_set(layout, LAYOUT_A, next, LAYOUT_A) ||
					  same_set(layout, LAYOUT_B, next, LAYOUT_A));
}

bool synod_is_past(const struct synod_promise *promise, const struct layout *layout)
{
	return promise->lineage == layout->lineage && promise->instance > layout->epoch + 1;
}

enum synod_verdict synod_hear(struct synod_promise *promise, const struct layout *layout,
			      uint64_t self, enum wire_type type, const struct wire_synod *asked,
			      enum wire_type *ret_type, struct wire_synod *ret)
{
	struct wire_synod answer = { .id = asked->id, .lineage = asked->lineage,
				     .instance = asked->instance, .ballot = asked->ballot };

	if (layout->epoch == 0 || asked->lineage != layout->lineage || asked->ballot.round == 0)
		return SYNOD_IGNORE;
	if (asked->instance <= layout->epoch)
		return SYNOD_OLD;
	if (asked->instance > layout->epoch + 1)
		return SYNOD_BEHIND;
	/* Who comes back to a lineage has lived through that epoch. */
	if (synod_is_past(promise, layout))
		return SYNOD_IGNORE;
	if (!layout_has_seat(layout, self) ||
	    (type == WIRE_ACCEPT && !synod_may_follow(layout, &asked->value)))
		return SYNOD_IGNORE;
	if (promise->lineage != asked->lineage || promise->instance != asked->instance) {
		*promise = SYNOD_PROMISE_NONE;
		promise->lineage = asked->lineage;
		promise->instance = asked->instance;
	}
	if (ballot_cmp(asked->ballot, promise->promised) < 0) {
		answer.ballot = promise->promised;
		*ret_type = WIRE_NACK;
	} else {
		promise->promised = asked->ballot;
		if (type == WIRE_ACCEPT) {
			promise->accepted = asked->ballot;
			promise->value = asked->value;
		} else {
			answer.accepted = promise->accepted;
			answer.value = promise->value;
		}
		*ret_type = type == WIRE_ACCEPT ? WIRE_ACCEPTED : WIRE_PROMISE;
	}
	*ret = answer;
	return SYNOD_REPLY;
}

/* proposer */

bool synod_is_busy(const struct synod_proposer *p)
{
	return p->phase == SYNOD_PREPARE || p->phase == SYNOD_ACCEPT || p->phase == SYNOD_PAUSE;
}

static void end(struct synod_proposer *p, enum synod_phase phase)
{
	p->phase = phase;
	p->due = 0;
}

void synod_stop(struct synod_proposer *p)
{
	end(p, SYNOD_IDLE);
}

/* Ask those that have not answered; to prepare, this node alone before it has. */
static void ask(struct synod_proposer *p, uint64_t now)
{
	struct wire_synod asked = { .id = p->id, .lineage = p->base.lineage,
				    .instance = p->base.epoch + 1, .ballot = p->ballot };
	enum wire_type type = p->phase == SYNOD_ACCEPT ? WIRE_ACCEPT : WIRE_PREPARE;
	size_t count = type == WIRE_ACCEPT || p->answered & 1 ? p->council_count : 1;
	uint64_t id = p->id;

	if (type == WIRE_ACCEPT)
		asked.value = p->value;
	p->due = now + SYNOD_AGAIN_MS;
	/* An answer may come from within send() and end the phase. */
	for (size_t i = 0; i < count && p->id == id; i++)
		if (!(p->answered & 1u << i))
			p->send(p->data, p->council[i], type, &asked);
}

static void begin(struct synod_proposer *p, enum synod_phase phase, uint64_t now)
{
	p->phase = phase;
	p->answered = 0;
	p->id = p->random(p->data);
	ask(p, now);
}

static void begin_ballot(struct synod_proposer *p, uint32_t above, uint64_t now)
{
	p->ballot = (struct ballot){ .round = above + 1, .node = p->self };
	p->accepted = (struct ballot){ .round = 0 };
	p->value = p->wish;
	p->ballot_ends = now + SYNOD_BALLOT_MS;
	begin(p, SYNOD_PREPARE, now);
}

/* Another is at it, or too few answer. */
static void pause(struct synod_proposer *p, uint64_t now)
{
	if (++p->ballots >= SYNOD_BALLOTS || p->ballot.round == UINT32_MAX) {
		end(p, SYNOD_FAILED);
		return;
	}
	p->phase = SYNOD_PAUSE;
	p->id = p->random(p->data);
	p->due = now + 1 + p->random(p->data) % SYNOD_WAIT_MS;
}

void synod_propose(struct synod_proposer *p, const struct layout *base, const struct layout *wish,
		   const struct synod_promise *known, uint64_t now)
{
	bool same = known->lineage == base->lineage && known->instance == base->epoch + 1;

	p->base = *base;
	p->wish = *wish;
	p->ballots = 0;
	p->council[0] = p->self;
	p->council_count = 1;
	for (size_t i = 0; i < base->count; i++)
		if (base->members[i].council && base->members[i].id != p->self)
			p->council[p->council_count++] = base->members[i].id;
	begin_ballot(p, same ? known->promised.round : 0, now);
}

static unsigned count_bits(unsigned bits)
{
	unsigned count = 0;

	for (; bits != 0; bits &= bits - 1)
		count++;
	return count;
}

static void count_answer(struct synod_proposer *p, size_t who, const struct wire_synod *answer,
			 uint64_t now)
{
	bool first = !(p->answered & 1u << who);

	p->answered |= 1u << who;
	if (p->phase == SYNOD_PREPARE && answer->value.epoch != 0 &&
	    ballot_cmp(answer->accepted, p->accepted) > 0) {
		p->accepted = answer->accepted;
		p->value = answer->value;
	}
	if (count_bits(p->answered) > p->council_count / 2) {
		if (p->phase == SYNOD_PREPARE)
			begin(p, SYNOD_ACCEPT, now);
		else
			end(p, SYNOD_DECIDED);
	} else if (p->phase == SYNOD_PREPARE && first && who == 0) {
		ask(p, now);
	}
}

void synod_answer(struct synod_proposer *p, uint64_t from, enum wire_type type,
		  const struct wire_synod *answer, uint64_t now)
{
	enum wire_type expected = p->phase == SYNOD_ACCEPT ? WIRE_ACCEPTED : WIRE_PROMISE;
	size_t who = 0;

	if ((p->phase != SYNOD_PREPARE && p->phase != SYNOD_ACCEPT) || answer->id != p->id)
		return;
	while (who < p->council_count && p->council[who] != from)
		who++;
	if (who == p->council_count)
		return;
	if (type == WIRE_NACK && ballot_cmp(answer->ballot, p->ballot) > 0) {
		p->ballot.round = answer->ballot.round;
		pause(p, now);
	} else if (type == expected && ballot_cmp(answer->ballot, p->ballot) == 0) {
		count_answer(p, who, answer, now);
	}
}

void synod_tick(struct synod_proposer *p, uint64_t now)
{
	if (p->due == 0 || now < p->due)
		return;
	if (p->phase == SYNOD_PAUSE)
		begin_ballot(p, p->ballot.round, now);
	else if (now >= p->ballot_ends)
		pause(p, now);
	else
		ask(p, now);
}
