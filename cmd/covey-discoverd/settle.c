/*
 * settle - layouts: founding, fetching, proposing
 *
 * What is to be done council.h judges; here it is done.
 */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "log.h"

#include <inttypes.h>
#include <sodium.h>

#define WAITS_MS 5000		/* without a group, until that is told */

const struct layout *settle_layout(const struct discoverd *d)
{
	return &d->settle.council.layout;
}

/* proposing */

static void set_tick(struct discoverd *d)
{
	const struct synod_proposer *p = &d->settle.proposer;
	uint64_t now = clock_mono_ms();

	if (p->due == 0)
		timer_stop(&d->settle.tick);
	else
		timer_start(d->service->loop, &d->settle.tick, p->due > now ? p->due - now : 0);
}

/* The proposer did a step. */
static void proposed(struct discoverd *d)
{
	struct synod_proposer *p = &d->settle.proposer;

	set_tick(d);
	if (p->phase == SYNOD_DECIDED)
		adopt_layout(d, &p->value);
	if (p->phase == SYNOD_FAILED) {
		log_line(LOG_LEVEL_WARNING, "the council did not agree on a layout: try again");
		synod_stop(p);
	}
}

static void tick(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, settle.tick);

	synod_tick(&d->settle.proposer, clock_mono_ms());
	proposed(d);
}

static void send_synod(void *data, uint64_t to, enum wire_type type, const struct wire_synod *synod)
{
	struct discoverd *d = data;
	const struct address *address;

	if (to == d->standing.self) {
		struct vote vote = { .asker = to, .type = type, .asked = *synod };

		acceptor_ask(d, &vote);
		return;
	}
	address = network_address(d, to);
	if (address == NULL)
		return;
	wire_pack_synod(network_message(d, to), type, synod);
	network_ask(d, address);
}

static uint64_t random_number(void *data)
{
	uint64_t n;

	(void)data;
	randombytes_buf(&n, sizeof n);
	return n;
}

void settle_answer(struct discoverd *d, uint64_t from, enum wire_type type,
		   const struct wire_synod *answer)
{
	if (!synod_is_busy(&d->settle.proposer))
		return;
	synod_answer(&d->settle.proposer, from, type, answer, clock_mono_ms());
	proposed(d);
}

static void propose(struct discoverd *d, const struct council_step *step)
{
	struct settle *s = &d->settle;

	if (s->proposer.phase != SYNOD_IDLE)
		return;
	log_line(LOG_LEVEL_INFO, "propose layout epoch %" PRIu64 ": %s", step->layout.epoch,
		 step->why);
	synod_propose(&s->proposer, &s->council.layout, &step->layout, &d->acceptor.promise,
		      clock_mono_ms());
	proposed(d);
}

/* steps */

static const struct layout *accepted(const struct discoverd *d)
{
	const struct synod_promise *p = &d->acceptor.promise;
	const struct layout *layout = settle_layout(d);

	if (p->lineage != layout->lineage || p->instance != layout->epoch + 1 ||
	    p->accepted.round == 0)
		return NULL;
	return &p->value;
}

void settle_fetch(struct discoverd *d, uint64_t from, const struct address *address)
{
	const struct layout *layout = settle_layout(d);
	struct wire_want want = { .id = random_number(NULL), .lineage = layout->lineage,
				  .epoch = layout->epoch };

	d->settle.wanted = want.id;
	wire_pack_want(network_message(d, from), &want);
	network_ask(d, address);
}

static void act(struct discoverd *d, struct council_step *step)
{
	switch (step->act) {
	case COUNCIL_FOUND:
		do
			step->layout.lineage = random_number(NULL);
		while (step->layout.lineage == 0);
		log_line(LOG_LEVEL_INFO, "no group is to be found: found one");
		adopt_layout(d, &step->layout);
		break;
	case COUNCIL_FETCH:
		if (network_address(d, step->from) != NULL)
			settle_fetch(d, step->from, network_address(d, step->from));
		break;
	case COUNCIL_PROPOSE:
		propose(d, step);
		break;
	case COUNCIL_REST:
		break;
	}
}

/* Nothing is confirmed meanwhile: people should know why. */
static void tell_waiting(struct discoverd *d, const struct council_seeds *seeds)
{
	struct settle *s = &d->settle;

	if (s->waits_logged || settle_layout(d)->epoch != 0 ||
	    clock_mono_ms() - s->council.began < WAITS_MS)
		return;
	s->waits_logged = true;
	log_line(LOG_LEVEL_WARNING, "no group yet, so nothing is confirmed: %zu of %zu seeds have answered",
		 seeds->answered, seeds->count);
}

void settle_step(struct discoverd *d)
{
	struct settle *s = &d->settle;
	struct council_seeds seeds;
	struct council_step step;
	uint64_t now = clock_mono_ms();

	if (d->unicast == NULL || s->busy || s->next.epoch != 0 ||
	    d->gossip.view.self.state == MEMBER_LEFT)
		return;
	seeds_count(d, &seeds);
	tell_waiting(d, &seeds);
	council_step(&s->council, &d->gossip.view, &seeds, accepted(d), now, &step);
	if (step.due != 0)
		timer_start(d->service->loop, &s->due, step.due > now ? step.due - now : 0);
	else
		timer_stop(&s->due);
	act(d, &step);
}

static void due(struct timer *timer)
{
	settle_step(CONTAINER_OF(timer, struct discoverd, settle.due));
}

/* what others say */

/*
 * Of this group's lineage what is newer is right, whoever says it when.  That
 * another group exists, and is like that, has to be an answer: it may have
 * been recorded long ago.
 */
static void hear_layout(struct discoverd *d, const struct wire *wire, const struct address *from)
{
	const struct layout *theirs = &wire->layout;
	struct settle *s = &d->settle;

	if (theirs->lineage != s->council.layout.lineage && wire->layout_id != s->wanted) {
		settle_fetch(d, wire->sender.id, from);
		return;
	}
	switch (council_meet(&s->council, theirs)) {
	case COUNCIL_ADOPT:
		/* What this group is just agreeing on comes first. */
		if (theirs->lineage == s->council.layout.lineage || !synod_is_busy(&s->proposer))
			adopt_layout(d, theirs);
		break;
	case COUNCIL_APART:
		if (s->apart != theirs->lineage)
			log_line(LOG_LEVEL_WARNING,
				 "another group has this key: lineage %016" PRIx64
				 " of %zu members; both stay as they are", theirs->lineage,
				 theirs->count);
		s->apart = theirs->lineage;
		break;
	case COUNCIL_KEEP:
		break;
	}
}

static void hear_want(struct discoverd *d, const struct wire *wire, const struct address *from)
{
	const struct layout *layout = settle_layout(d);
	const struct wire_want *want = &wire->want;

	if (layout->epoch != 0 &&
	    (want->lineage != layout->lineage || want->epoch < layout->epoch))
		adopt_tell(d, wire->sender.id, from, want->id);
}

void settle_receive(struct discoverd *d, const struct wire *wire, const struct address *from)
{
	struct vote vote = { .asker = wire->sender.id, .from = *from, .type = wire->type };

	if (wire->type == WIRE_WANT) {
		hear_want(d, wire, from);
	} else if (wire->type == WIRE_LAYOUT) {
		hear_layout(d, wire, from);
	} else if (wire->type == WIRE_CHANGE) {
		wishes_hear(d, &wire->change);
	} else if (wire->type == WIRE_PREPARE || wire->type == WIRE_ACCEPT) {
		vote.asked = wire->synod;
		acceptor_ask(d, &vote);
	} else if (wire->type == WIRE_PROMISE || wire->type == WIRE_ACCEPTED ||
		   wire->type == WIRE_NACK) {
		settle_answer(d, wire->sender.id, wire->type, &wire->synod);
	}
}

void settle_force(struct discoverd *d, const struct layout *layout)
{
	d->settle.forced = layout->epoch;
	adopt_layout(d, layout);
}

void settle_synced(struct discoverd *d, uint64_t epoch)
{
	struct member *self = &d->gossip.view.self;

	if (epoch != self->epoch || self->synced == epoch)
		return;
	self->synced = epoch;
	discoverd_hurry(d);
	settle_step(d);
}

void settle_start(struct discoverd *d)
{
	const struct conf *conf = d->service->conf;
	struct layout_numbers numbers = {
		.homes = (uint8_t)conf->replication.homes,
		.copies = (uint8_t)conf->replication.copies,
		.keep_versions = (uint32_t)conf->keep.versions,
		.keep_days = (uint32_t)conf->keep.days,
	};
	struct settle *s = &d->settle;
	struct layout known = s->council.layout;

	council_init(&s->council, d->standing.self, &numbers, clock_mono_ms());
	if (known.epoch != 0)
		council_told(&s->council, &known, clock_mono_ms());
	d->gossip.view.self.lineage = known.lineage;
	d->gossip.view.self.epoch = known.epoch;
	s->proposer.send = send_synod;
	s->proposer.random = random_number;
	s->proposer.data = d;
	s->proposer.self = d->standing.self;
	s->due.fire = due;
	s->tick.fire = tick;
	adopt_start(d);
}

void settle_stop(struct discoverd *d)
{
	timer_stop(&d->settle.due);
	timer_stop(&d->settle.tick);
	adopt_stop(d);
}
