/* agent - one node's part in the layouts of its group */
#include "agent.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define WRITE_AGAIN_MS 1000		/* after a layout could not be written */
#define WAITS_MS 5000			/* without a group, until that is said */
#define WANTED_MS 10000			/* an answer to a WANT may take so long */

static void answer_next(struct agent *a);
static void write_next(struct agent *a);

const struct layout *agent_layout(const struct agent *a)
{
	return &a->council.layout;
}

static void say(struct agent *a, bool warning, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct agent *a, bool warning, const char *format, ...)
{
	char text[1000];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	a->say(a->data, warning, text);
}

static bool is_silent(const struct agent *a)
{
	return a->view->self.flags & MEMBER_SILENT;
}

/* messages */

/* NULL: not known. */
static const struct address *address_of(const struct agent *a, uint64_t id)
{
	const struct view_entry *entry = view_entry(a->view, id);

	return entry != NULL && entry->member.discovery.len != 0 ? &entry->member.discovery : NULL;
}

/* id: of the WANT that asked for it, or 0. */
static void tell_layout(struct agent *a, uint64_t to, const struct address *at, uint64_t id)
{
	struct wire_layout layout = { .id = id, .value = *agent_layout(a) };

	wire_pack(a->message(a->data, to), WIRE_LAYOUT, &layout);
	a->send(a->data, at, false);
}

static void tell_everybody(struct agent *a)
{
	for (size_t i = 0; i < a->view->count; i++) {
		const struct member *m = &a->view->entries[i].member;

		if (m->state == MEMBER_UP)
			tell_layout(a, m->id, &m->discovery, 0);
	}
}

void agent_fetch(struct agent *a, uint64_t from, const struct address *at)
{
	const struct layout *layout = agent_layout(a);
	struct wire_want want = { .lineage = layout->lineage, .epoch = layout->epoch };

	/* Asked again before the answer came: either is one. */
	if (a->wanted == 0 || a->now >= a->wanted_at + WANTED_MS) {
		a->wanted = a->random(a->data);
		a->wanted_at = a->now;
	}
	want.id = a->wanted;
	wire_pack(a->message(a->data, from), WIRE_WANT, &want);
	a->send(a->data, at, true);
}

/* adopting */

/* Who comes back later has to know which epochs it has lived through. */
static void write_leave(struct agent *a)
{
	struct agent_acceptor *acceptor = &a->acceptor;
	const struct layout *layout = agent_layout(a);

	if (acceptor->promise.lineage != layout->lineage || acceptor->promise.instance <= layout->epoch) {
		acceptor->promise = SYNOD_PROMISE_NONE;
		acceptor->promise.lineage = layout->lineage;
		acceptor->promise.instance = layout->epoch + 1;
	}
	acceptor->busy = acceptor->leaving = true;
	a->write_promise(a->data, &acceptor->promise);
}

/* Whether the disk says so, or need not. */
static bool may_leave(const struct agent *a)
{
	const struct synod_promise *promise = &a->acceptor.promise;
	const struct layout *layout = agent_layout(a);

	return layout->epoch == 0 ||
	       (promise->lineage == layout->lineage && promise->instance > layout->epoch &&
		!a->acceptor.unsure);
}

static void write_next(struct agent *a)
{
	if (a->busy)
		return;
	a->write_after = 0;
	/* What waits is judged again: a solo group that has just grown gives itself up for nobody. */
	if (a->next.epoch != 0 && council_meet(&a->council, a->view, &a->next) != COUNCIL_ADOPT)
		a->next = LAYOUT_NONE;
	if (a->next.epoch == 0)
		return;
	if (a->next.lineage != agent_layout(a)->lineage) {
		if (a->acceptor.busy)
			return;		/* agent_promised() goes on */
		if (!may_leave(a)) {
			write_leave(a);
			return;
		}
	}
	a->busy = true;
	a->writing = a->next;
	a->next = LAYOUT_NONE;
	a->write_layout(a->data, &a->writing);
}

/* What is being written comes first; of two that wait the newer one. */
static void adopt(struct agent *a, const struct layout *layout)
{
	if (a->busy && a->writing.lineage == layout->lineage && a->writing.epoch >= layout->epoch)
		return;
	if (a->next.epoch != 0 && a->next.lineage == layout->lineage &&
	    a->next.epoch >= layout->epoch)
		return;
	if (synod_is_past(&a->past, layout))
		return;
	a->next = *layout;
	write_next(a);
}

static void put_change(struct agent *a, struct buf *to, const char *what, uint64_t id)
{
	const struct member *m = view_member(a->view, id);

	buf_addf(to, "; %s %s (%016" PRIx64 ")", what, m != NULL ? m->name : "?", id);
}

/* What is another than before, for people. */
static void put_changes(struct agent *a, struct buf *to, const struct layout *was,
			const struct layout *now)
{
	for (size_t i = 0; i < now->count; i++)
		if (layout_find(was, now->members[i].id) == NULL)
			put_change(a, to, "with", now->members[i].id);
	for (size_t i = 0; i < was->count; i++)
		if (layout_find(now, was->members[i].id) == NULL)
			put_change(a, to, "without", was->members[i].id);
	if (was->homes != now->homes || was->copies != now->copies)
		buf_addf(to, "; homes %u, copies %u", now->homes, now->copies);
	if (was->keep_versions != now->keep_versions || was->keep_days != now->keep_days)
		buf_addf(to, "; keep.versions %" PRIu32 ", keep.days %" PRIu32, now->keep_versions,
			 now->keep_days);
}

static void use_layout(struct agent *a, const struct layout *layout, uint64_t now)
{
	struct member *self = &a->view->self;
	bool decided = a->proposer.phase == SYNOD_DECIDED && layout_eq(&a->proposer.value, layout);
	bool forced = layout->lineage == a->forced;
	struct buf changes = BUF_INIT;

	put_changes(a, &changes, &a->council.layout, layout);
	council_told(&a->council, layout, now);
	synod_stop(&a->proposer);
	a->wanted = 0;			/* what was asked before was asked for another layout */
	self->lineage = layout->lineage;
	self->epoch = (uint32_t)layout->epoch;
	self->synced = 0;
	say(a, false, "layout %016" PRIx64 " epoch %" PRIu64 ": %zu members%s%.*s", layout->lineage,
	    layout->epoch, layout->count, layout_is_joint(layout) ? ", joint" : "",
	    STR_ARG(buf_str(&changes)));
	buf_clear(&changes);
	if (decided || forced)
		tell_everybody(a);
	a->forced = 0;
	a->used(a->data);
}

void agent_written(struct agent *a, bool ok, const struct synod_promise *promise, uint64_t now)
{
	a->busy = false;
	if (synod_is_past(promise, &a->writing)) {
		a->past = *promise;
		write_next(a);
		return;
	}
	if (!ok) {
		if (a->next.epoch == 0)
			a->next = a->writing;
		a->write_after = now + WRITE_AGAIN_MS;
		return;
	}
	if (a->writing.lineage != agent_layout(a)->lineage) {
		a->acceptor.promise = *promise;
		a->acceptor.unsure = false;
	}
	use_layout(a, &a->writing, now);
	write_next(a);
}

/* the acceptor */

static void send_answer(struct agent *a, const struct agent_question *q, uint64_t now);

static void drop_first(struct agent_acceptor *acceptor)
{
	acceptor->busy = false;
	acceptor->count--;
	memmove(acceptor->queue, acceptor->queue + 1, acceptor->count * sizeof acceptor->queue[0]);
}

/* True when the disk is at work for it. */
static bool answer_question(struct agent *a, const struct agent_question *q)
{
	struct agent_acceptor *acceptor = &a->acceptor;
	uint64_t self = a->council.self;

	switch (synod_hear(&acceptor->promise, agent_layout(a), self, q->type, &q->asked,
			   &acceptor->type, &acceptor->answer)) {
	case SYNOD_REPLY:
		a->write_promise(a->data, &acceptor->promise);
		return true;
	case SYNOD_OLD:
		if (q->from != self)
			tell_layout(a, q->from, &q->at, 0);
		return false;
	case SYNOD_BEHIND:
		if (q->from != self)
			agent_fetch(a, q->from, &q->at);
		return false;
	case SYNOD_IGNORE:
		return false;
	}
	return false;
}

static void answer_next(struct agent *a)
{
	struct agent_acceptor *acceptor = &a->acceptor;

	while (!acceptor->busy && acceptor->count > 0) {
		acceptor->busy = true;
		if (answer_question(a, &acceptor->queue[0]))
			return;
		drop_first(acceptor);
	}
}

/* It is sent again and again, and may be read by one that rests when there are many. */
static bool is_queued(const struct agent_acceptor *acceptor, const struct agent_question *q)
{
	for (size_t i = 0; i < acceptor->count; i++) {
		const struct agent_question *other = &acceptor->queue[i];

		if (other->from == q->from && other->type == q->type && other->asked.id == q->asked.id)
			return true;
	}
	return false;
}

/* Who forgot a promise could break it. */
static void ask_acceptor(struct agent *a, const struct agent_question *q)
{
	struct agent_acceptor *acceptor = &a->acceptor;

	if (is_silent(a) || acceptor->count == AGENT_QUESTIONS || is_queued(acceptor, q))
		return;
	acceptor->queue[acceptor->count++] = *q;
	answer_next(a);
}

static void end_leave(struct agent *a, bool ok, uint64_t now)
{
	a->acceptor.busy = a->acceptor.leaving = false;
	if (!ok)
		a->write_after = now + WRITE_AGAIN_MS;
}

static void end_question(struct agent *a, bool ok, uint64_t now)
{
	struct agent_question q = a->acceptor.queue[0];

	if (ok)
		send_answer(a, &q, now);
	drop_first(&a->acceptor);
}

/* What could not be written may be on disk all the same: it was promised, and is not told. */
void agent_promised(struct agent *a, bool ok, uint64_t now)
{
	a->acceptor.unsure = !ok;
	if (a->acceptor.leaving)
		end_leave(a, ok, now);
	else
		end_question(a, ok, now);
	if (a->write_after == 0)
		write_next(a);
	answer_next(a);
}

/* the proposer */

/* It did a step. */
static void proposed(struct agent *a)
{
	if (a->proposer.phase == SYNOD_DECIDED)
		adopt(a, &a->proposer.value);
	if (a->proposer.phase == SYNOD_FAILED) {
		say(a, true, "the council did not agree on a layout: try again");
		synod_stop(&a->proposer);
	}
}

static void send_question(void *data, uint64_t to, enum wire_type type, const struct wire_synod *asked)
{
	struct agent *a = data;
	struct agent_question own = { .from = to, .type = type, .asked = *asked };
	const struct address *at;

	if (to == a->council.self) {
		ask_acceptor(a, &own);
		return;
	}
	at = address_of(a, to);
	if (at == NULL)
		return;
	wire_pack(a->message(a->data, to), type, asked);
	a->send(a->data, at, true);
}

static void hear_answer(struct agent *a, uint64_t from, enum wire_type type,
			const struct wire_synod *answer, uint64_t now)
{
	if (!synod_is_busy(&a->proposer))
		return;
	synod_answer(&a->proposer, from, type, answer, now);
	proposed(a);
}

static void send_answer(struct agent *a, const struct agent_question *q, uint64_t now)
{
	struct agent_acceptor *acceptor = &a->acceptor;

	if (q->from == a->council.self) {
		hear_answer(a, q->from, acceptor->type, &acceptor->answer, now);
		return;
	}
	wire_pack(a->message(a->data, q->from), acceptor->type, &acceptor->answer);
	a->send(a->data, &q->at, false);
}

static uint64_t draw(void *data)
{
	struct agent *a = data;

	return a->random(a->data);
}

static void propose(struct agent *a, const struct council_step *step, uint64_t now)
{
	if (a->proposer.phase != SYNOD_IDLE)
		return;
	say(a, false, "propose layout epoch %" PRIu64 ": %s", step->layout.epoch, step->why);
	synod_propose(&a->proposer, agent_layout(a), &step->layout, &a->acceptor.promise, now);
	proposed(a);
}

/* what others say */

static void say_apart(struct agent *a, const struct layout *theirs)
{
	for (size_t i = 0; i < a->apart_count; i++)
		if (a->apart[i] == theirs->lineage)
			return;
	if (a->apart_count == AGENT_APART)
		return;
	a->apart[a->apart_count++] = theirs->lineage;
	say(a, true, "another group has this key: lineage %016" PRIx64 " of %zu members%s; both stay "
	    "apart: covey layout adopt LINEAGE brings a node over", theirs->lineage, theirs->count,
	    theirs->left_lineage == agent_layout(a)->lineage	? ", forced away from this one"
	    : theirs->lineage == agent_layout(a)->left_lineage ? ", which this one was forced away from"
							       : "");
}

/*
 * Of this group's lineage what is newer is right, whoever says it when.  That
 * another group exists, and is like that, has to be an answer: it may have
 * been recorded long ago.
 */
static void hear_layout(struct agent *a, const struct wire *wire, const struct address *from)
{
	const struct layout *theirs = &wire->layout.value;

	if (theirs->lineage != agent_layout(a)->lineage &&
	    (wire->layout.id == 0 || wire->layout.id != a->wanted)) {
		/* An answer that comes late is not asked for again: two would go on for ever. */
		if (wire->layout.id == 0)
			agent_fetch(a, wire->sender.id, from);
		return;
	}
	switch (council_meet(&a->council, a->view, theirs)) {
	case COUNCIL_ADOPT:
		/* What a solo group is just agreeing on comes first. */
		if (!layout_is_solo(agent_layout(a)) || !synod_is_busy(&a->proposer))
			adopt(a, theirs);
		break;
	case COUNCIL_APART:
		say_apart(a, theirs);
		break;
	case COUNCIL_KEEP:
		break;
	}
}

static void hear_want(struct agent *a, const struct wire *wire, const struct address *from)
{
	const struct layout *layout = agent_layout(a);
	const struct wire_want *want = &wire->want;

	if (layout->epoch != 0 &&
	    (want->lineage != layout->lineage || want->epoch < layout->epoch))
		tell_layout(a, wire->sender.id, from, want->id);
}

static struct agent_obeyed *obeyed_of(struct agent *a, uint64_t id)
{
	for (size_t i = 0; i < a->obeyed_count; i++)
		if (a->obeyed[i].id == id)
			return &a->obeyed[i];
	/* Full: the one that was met first makes room. */
	if (a->obeyed_count == MEMBERS_MAX)
		memmove(a->obeyed, a->obeyed + 1, --a->obeyed_count * sizeof a->obeyed[0]);
	a->obeyed[a->obeyed_count] = (struct agent_obeyed){ .id = id };
	return &a->obeyed[a->obeyed_count++];
}

/* Whether a word of that sender is newer than the last that was obeyed, and not older than what is known. */
static bool is_fresh(const struct agent *a, const struct member *sender,
		     const struct agent_obeyed *last)
{
	const struct member *known = view_member(a->view, sender->id);
	struct member obeyed = { .start = last->start, .heartbeat = last->heartbeat };

	return known != NULL && member_cmp_age(sender, known) >= 0 &&
	       member_cmp_age(sender, &obeyed) > 0;
}

static void hear_change(struct agent *a, const struct wire_change *change,
			const struct member *sender, uint64_t now)
{
	const struct layout *layout = agent_layout(a);
	struct agent_obeyed *last;

	if (change->lineage != layout->lineage || change->epoch != layout->epoch ||
	    sender->id == a->council.self)
		return;
	last = obeyed_of(a, sender->id);
	if (!is_fresh(a, sender, last))
		return;
	last->start = sender->start;
	last->heartbeat = sender->heartbeat;
	council_ask(&a->council, &change->numbers, now);
}

void agent_hear(struct agent *a, const struct wire *wire, const struct address *from, uint64_t now)
{
	struct agent_question q = { .from = wire->sender.id, .at = *from, .type = wire->type };

	a->now = now;
	if (wire->type == WIRE_WANT) {
		hear_want(a, wire, from);
	} else if (wire->type == WIRE_LAYOUT) {
		hear_layout(a, wire, from);
	} else if (wire->type == WIRE_CHANGE) {
		hear_change(a, &wire->change, &wire->sender, now);
	} else if (wire->type == WIRE_PREPARE || wire->type == WIRE_ACCEPT) {
		q.asked = wire->synod;
		if (q.from != a->council.self)
			ask_acceptor(a, &q);
	} else if (wire->type == WIRE_PROMISE || wire->type == WIRE_ACCEPTED ||
		   wire->type == WIRE_NACK) {
		hear_answer(a, wire->sender.id, wire->type, &wire->synod, now);
	}
}

/* steps */

/* What this node has accepted for the next epoch, or NULL. */
static const struct layout *accepted(const struct agent *a)
{
	const struct synod_promise *p = &a->acceptor.promise;
	const struct layout *layout = agent_layout(a);

	if (p->lineage != layout->lineage || p->instance != layout->epoch + 1 ||
	    p->accepted.round == 0)
		return NULL;
	return &p->value;
}

static void act(struct agent *a, struct council_step *step, uint64_t now)
{
	const struct address *at = address_of(a, step->from);

	switch (step->act) {
	case COUNCIL_FOUND:
		do
			step->layout.lineage = a->random(a->data);
		while (step->layout.lineage == 0);
		say(a, false, "no group answers: this node founds one");
		adopt(a, &step->layout);
		break;
	case COUNCIL_FETCH:
		if (at != NULL)
			agent_fetch(a, step->from, at);
		break;
	case COUNCIL_PROPOSE:
		propose(a, step, now);
		break;
	case COUNCIL_REST:
		break;
	}
}

/* A member of a group that this node knew, which may come back; NULL: there is none. */
static const struct member *of_a_group(const struct view *view)
{
	for (size_t i = 0; i < view->count; i++) {
		const struct member *m = &view->entries[i].member;

		if (m->lineage != 0 && (m->state == MEMBER_STOPPED || m->state == MEMBER_DOWN ||
					m->state == MEMBER_SUSPECT))
			return m;
	}
	return NULL;
}

/* Nothing is confirmed meanwhile: people should know why. */
static void say_waiting(struct agent *a, const struct council_seeds *seeds, uint64_t now)
{
	const struct member *m;

	if (a->waits_said || agent_layout(a)->epoch != 0 || now - a->council.began < WAITS_MS)
		return;
	a->waits_said = true;
	m = of_a_group(a->view);
	if (m != NULL)
		say(a, true, "no group yet, so nothing is confirmed: %s, %016" PRIx64 ", is of one, and %s: "
		    "start it, or if it is lost say covey layout forget %016" PRIx64, m->name, m->id,
		    member_state_name(m->state), m->id);
	else
		say(a, true, "no group yet, so nothing is confirmed: %zu of %zu seeds have answered",
		    seeds->answered, seeds->count);
}

static void wake(struct agent *a, uint64_t at)
{
	if (at != 0 && (a->due == 0 || at < a->due))
		a->due = at;
}

static void step_council(struct agent *a, const struct council_seeds *seeds, uint64_t now)
{
	struct council_step step;

	if (a->busy || a->next.epoch != 0 || member_is_gone(a->view->self.state))
		return;
	say_waiting(a, seeds, now);
	council_step(&a->council, a->view, seeds, accepted(a), now, &step);
	wake(a, step.due);
	act(a, &step, now);
}

void agent_step(struct agent *a, const struct council_seeds *seeds, uint64_t now)
{
	a->due = 0;
	a->now = now;
	if (a->write_after != 0 && now >= a->write_after)
		write_next(a);
	if (a->proposer.due != 0 && now >= a->proposer.due) {
		synod_tick(&a->proposer, now);
		proposed(a);
	}
	step_council(a, seeds, now);
	wake(a, a->write_after);
	wake(a, a->proposer.due);
}

bool agent_synced(struct agent *a, uint64_t epoch)
{
	struct member *self = &a->view->self;

	if (epoch != self->epoch || self->synced == epoch)
		return false;
	self->synced = (uint32_t)epoch;
	return true;
}

int agent_can_adopt(const struct agent *a, uint64_t lineage, struct err *err)
{
	for (size_t i = 0; i < a->view->count; i++)
		if (a->view->entries[i].member.state == MEMBER_UP &&
		    a->view->entries[i].member.lineage == lineage)
			return 0;
	return err_set(err, ERR_AWAY, "adopt lineage %016" PRIx64 ": no node that is up is of it", lineage);
}

int agent_force(struct agent *a, uint64_t now, struct layout *ret, struct err *err)
{
	if (council_force(&a->council, a->view, ret, err) < 0)
		return -1;
	/* Forced once before with the same members, it has gone on: another one. */
	if (synod_is_past(&a->past, ret))
		ret->lineage = layout_mix(ret->lineage) | 1;
	a->forced = ret->lineage;
	council_want(&a->council, ret->lineage, now);
	adopt(a, ret);
	return 0;
}

/* wishes */

/* Tell the council the numbers that are wanted, each time with a newer beat. */
static void ask_council(struct agent *a, struct agent_wish *wish, uint64_t now)
{
	const struct layout *layout = agent_layout(a);
	struct wire_change change = { .lineage = layout->lineage, .epoch = layout->epoch,
				      .numbers = wish->numbers };

	view_beat(a->view);
	council_ask(&a->council, &wish->numbers, now);
	wish->begun = accepted(a) != NULL;
	for (size_t i = 0; i < layout->count; i++) {
		const struct view_entry *entry = view_entry(a->view, layout->members[i].id);

		if (!layout->members[i].council || entry == NULL ||
		    entry->member.state != MEMBER_UP)
			continue;
		wire_pack(a->message(a->data, entry->member.id), WIRE_CHANGE, &change);
		a->send(a->data, &entry->member.discovery, false);
		wish->asked_others = true;
	}
}

static bool wish_is_done(const struct agent *a, const struct agent_wish *wish)
{
	const struct layout *layout = agent_layout(a);
	bool guest = a->view->self.flags & MEMBER_GUEST;
	bool member = layout_find(layout, a->council.self) != NULL;

	if (wish->kind == AGENT_LEAVE)
		return guest && !member;
	if (wish->kind == AGENT_ADOPT)
		return layout->lineage == wish->lineage;
	if (wish->kind == AGENT_JOIN)
		return !guest && !layout_is_joint(layout) && member;
	return council_agreed(&a->council, &wish->numbers, wish->since);
}

/* What another group had is no answer to what is asked of this one. */
static void begin_set(const struct agent *a, struct agent_wish *wish)
{
	const struct layout *layout = agent_layout(a);

	if (wish->lineage_asked == layout->lineage)
		return;
	wish->lineage_asked = layout->lineage;
	wish->since = layout->epoch;
}

/* A member of set B that has not all its records; NULL: there is none. */
static const struct layout_member *not_synced(const struct agent *a)
{
	const struct layout *layout = agent_layout(a);

	for (size_t i = 0; i < layout->count; i++) {
		const struct member *m = view_member(a->view, layout->members[i].id);

		if (layout->members[i].sets & LAYOUT_B &&
		    (m == NULL || m->lineage != layout->lineage || m->synced != layout->epoch ||
		     m->flags & MEMBER_SILENT))
			return &layout->members[i];
	}
	return NULL;
}

/* Whom the joint layout waits for, once. */
static void put_waiting(const struct agent *a, struct agent_wish *wish, uint64_t now, char text[200])
{
	const struct layout_member *place = not_synced(a);
	const struct member *m;

	if (!layout_is_joint(agent_layout(a)) || now < wish->told_at + AGENT_PATIENCE_MS ||
	    place == NULL || place->id == wish->waits_for)
		return;
	wish->waits_for = place->id;
	m = view_member(a->view, place->id);
	snprintf(text, 200, "waits for node %016" PRIx64 " %s: it %s", place->id,
		 m != NULL ? m->name : "", m == NULL || m->state != MEMBER_UP ? "is not up"
					   : m->flags & MEMBER_SILENT	       ? "is silent"
								: "has not all its records yet");
}

static void put_progress(const struct agent *a, struct agent_wish *wish, uint64_t now,
			 char text[200])
{
	const struct layout *layout = agent_layout(a);

	text[0] = '\0';
	if (wish->told == layout->epoch) {
		put_waiting(a, wish, now, text);
		return;
	}
	wish->told = layout->epoch;
	wish->told_at = now;
	wish->waits_for = 0;
	snprintf(text, 200, "epoch %" PRIu64 ": %zu members, homes %u, copies %u%s", layout->epoch,
		 layout->count, layout->homes, layout->copies,
		 !layout_is_joint(layout)	 ? ""
		 : wish->kind == AGENT_LEAVE ? "; what is kept here is being taken over"
					       : "; records are on their way to their new homes");
}

bool agent_wish(struct agent *a, struct agent_wish *wish, uint64_t now, char ret_progress[200])
{
	put_progress(a, wish, now, ret_progress);
	if (wish->kind == AGENT_SET)
		begin_set(a, wish);
	if (wish_is_done(a, wish))
		return true;
	if (wish->kind == AGENT_SET)
		ask_council(a, wish, now);
	if (wish->kind == AGENT_ADOPT)
		council_want(&a->council, wish->lineage, now);
	return false;
}

static void end_set(struct agent *a, const struct agent_wish *wish, struct err *err)
{
	bool begun = wish->asked_others || wish->begun || accepted(a) != NULL;

	council_ask(&a->council, NULL, 0);
	if (!begun)
		synod_stop(&a->proposer);
	err_set(err, ERR_TIMEOUT, begun ? "set the layout: no majority of the council agreed in time; what was "
		"begun may still take effect, and covey layout show tells" :
		"set the layout: no majority of the council is there; nothing was begun, and it is "
		"withdrawn");
}

void agent_wish_end(struct agent *a, const struct agent_wish *wish, struct err *err)
{
	if (wish->kind == AGENT_SET)
		end_set(a, wish, err);
	if (wish->kind != AGENT_ADOPT)
		return;
	council_want(&a->council, 0, 0);
	if (a->past.lineage == wish->lineage) {
		err_set(err, ERR_TIMEOUT, "adopt lineage %016" PRIx64 ": this node has been at epoch %" PRIu64
			" of it, and nobody who answered in time is; it is withdrawn", wish->lineage,
			a->past.instance - 1);
		return;
	}
	err_set(err, ERR_TIMEOUT, a->busy ? "adopt lineage %016" PRIx64 ": it is being written, and may still "
		"take effect" : "adopt lineage %016" PRIx64 ": nobody of it answered in time; it is withdrawn",
		wish->lineage);
}

void agent_init(struct agent *a, const struct layout_numbers *founding, const struct layout *layout,
		const struct synod_promise *promise, uint64_t now)
{
	struct layout known = *layout;	/* they may be the agent's own */
	struct synod_promise promised = *promise;
	struct member *self = &a->view->self;

	council_init(&a->council, self->id, founding, now);
	if (known.epoch != 0)
		council_told(&a->council, &known, now);
	self->lineage = known.lineage;
	self->epoch = (uint32_t)known.epoch;
	a->proposer = (struct synod_proposer){ .send = send_question, .random = draw, .data = a,
					       .self = self->id };
	a->acceptor.promise = promised;
	a->acceptor.count = a->obeyed_count = a->apart_count = 0;
	a->acceptor.busy = a->acceptor.leaving = a->acceptor.unsure = false;
	a->busy = a->waits_said = false;
	a->next = LAYOUT_NONE;
	a->past = SYNOD_PROMISE_NONE;
	a->due = a->write_after = a->forced = a->wanted = 0;
	a->now = now;
}
