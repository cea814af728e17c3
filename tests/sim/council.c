/*
 * council - layouts by gossip, council and synod, as covey-discoverd has them
 *
 * All machines are each other's seeds, so there is one group; who is a guest
 * and who wants to be a home changes by chance.
 */
#include "sim.h"

#include "council.h"
#include "gossip.h"
#include "mem.h"
#include "synod.h"

#include <inttypes.h>

#define STEP_MS 50

struct discovery {
	struct gossip gossip;
	struct council council;
	struct synod_proposer proposer;
	struct synod_promise promise;	/* as it will be on the disk */
	bool voting;			/* the disk is at work */
	uint64_t answered;		/* bit i: machine i has said something */
	bool adopting;
};

/* A promise on its way to the disk, and the answer that waits for it. */
struct vote {
	struct event event;
	int to;
	enum wire_type type;
	struct wire_synod answer;
};

static struct discovery *of(const struct machine *machine)
{
	return machine->discovery;
}

/* messages */

/* Now and then by HTTP: what UDP leaves unanswered. */
static void send_plain(struct machine *machine, int to, struct str plain)
{
	struct packet *packet = new_packet(NOTE_WIRE, plain.s, plain.n);

	packet->http = sim.profile.udp_cuts && chance(30);
	post(machine->index, to, packet);
}

static void send_packet(struct machine *machine, int to, struct buf *packet)
{
	if (to >= 0 && to != machine->index)
		send_plain(machine, to, buf_str(packet));
	buf_clear(packet);
}

static struct buf begin(struct machine *machine)
{
	struct buf packet = BUF_INIT;

	wire_pack_sender(&packet, GROUP, &of(machine)->gossip.view.self);
	return packet;
}

static void send_gossip(void *data, const struct address *to, struct str plain)
{
	send_plain(data, port_of(to), plain);
}

static void tell_layout(struct machine *machine, int to)
{
	struct buf packet = begin(machine);

	wire_pack_layout(&packet, &of(machine)->council.layout);
	send_packet(machine, to, &packet);
}

void council_want(struct machine *machine, int from)
{
	const struct layout *layout = &of(machine)->council.layout;
	struct wire_want want = { .lineage = layout->lineage, .epoch = layout->epoch };
	struct buf packet = begin(machine);

	wire_pack_want(&packet, &want);
	send_packet(machine, from, &packet);
}

/* Where this node believes it to be. */
static int address_of(const struct machine *machine, uint64_t id)
{
	const struct member *member = view_member(&of(machine)->gossip.view, id);

	return member != NULL && member->discovery.len > 0 ? port_of(&member->discovery) : -1;
}

/* Tell at once what has changed about this node. */
static void hurry(struct machine *machine)
{
	struct view *view = &of(machine)->gossip.view;

	view_beat(view);
	for (size_t i = 0; i < view->count; i++)
		if (view->entries[i].member.state == MEMBER_UP)
			gossip_announce(&of(machine)->gossip, &view->entries[i].member.discovery);
}

/* deciding */

static void adopt(struct machine *machine, const struct layout *layout)
{
	if (!of(machine)->adopting)
		of(machine)->adopting = machine_adopt(machine, layout);
}

static void proposed(struct machine *machine)
{
	struct synod_proposer *proposer = &of(machine)->proposer;

	if (proposer->phase == SYNOD_DECIDED)
		adopt(machine, &proposer->value);
	if (proposer->phase == SYNOD_FAILED)
		synod_stop(proposer);
}

static void voted(struct event *event)
{
	struct vote *vote = (struct vote *)event;
	struct machine *machine = &sim.machines[event->machine];
	struct discovery *d = of(machine);
	struct buf packet;

	d->voting = false;
	*machine->disk.promise = d->promise;
	if (vote->to == machine->index) {
		if (synod_is_busy(&d->proposer))
			synod_answer(&d->proposer, machine->disk.id, vote->type, &vote->answer,
				     sim.now);
		proposed(machine);
		return;
	}
	packet = begin(machine);
	wire_pack_synod(&packet, vote->type, &vote->answer);
	send_packet(machine, vote->to, &packet);
}

static void maybe_voted(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];

	if (chance(50))
		*machine->disk.promise = of(machine)->promise;
}

static void hear_question(struct machine *machine, int from, enum wire_type type,
			  const struct wire_synod *asked)
{
	struct discovery *d = of(machine);
	struct vote *vote;
	struct synod_promise was = d->promise;
	enum wire_type answer_type;
	struct wire_synod answer;

	if (d->voting || machine->silent)
		return;
	switch (synod_hear(&d->promise, &d->council.layout, machine->disk.id, type, asked,
			   &answer_type, &answer)) {
	case SYNOD_REPLY:
		MUST("3 (promises only grow)",
		     was.instance != d->promise.instance ||
			     ballot_cmp(was.promised, d->promise.promised) <= 0);
		vote = new_event(sizeof *vote);
		*vote = (struct vote){ .to = from, .type = answer_type, .answer = answer };
		vote->event.lost = maybe_voted;
		d->voting = true;
		schedule(&vote->event, below(sim.profile.disk + 1), machine->index, voted);
		break;
	case SYNOD_OLD:
		tell_layout(machine, from);
		break;
	case SYNOD_BEHIND:
		council_want(machine, from);
		break;
	case SYNOD_IGNORE:
		break;
	}
}

static void send_synod(void *data, uint64_t to, enum wire_type type, const struct wire_synod *synod)
{
	struct machine *machine = data;
	struct buf packet;

	if (to == machine->disk.id) {
		hear_question(machine, machine->index, type, synod);
		return;
	}
	packet = begin(machine);
	wire_pack_synod(&packet, type, synod);
	send_packet(machine, address_of(machine, to), &packet);
}

static const struct layout *accepted(const struct discovery *d)
{
	const struct synod_promise *p = &d->promise;
	const struct layout *layout = &d->council.layout;

	return p->lineage == layout->lineage && p->instance == layout->epoch + 1 &&
			       p->accepted.round != 0
		       ? &p->value : NULL;
}

/* Two that found a group at once have two groups, of which one gives itself up: not here. */
static bool is_founded(void)
{
	for (int i = 0; i < sim.profile.machines; i++)
		if (sim.machines[i].discovery != NULL && of(&sim.machines[i])->adopting)
			return true;
	return sim.decided_count > 0;
}

static void step(struct machine *machine)
{
	struct discovery *d = of(machine);
	struct council_seeds seeds = { .count = (size_t)sim.profile.machines - 1 };
	struct council_step s;

	if (d->adopting)
		return;
	for (int i = 0; i < sim.profile.machines; i++)
		seeds.answered += i != machine->index && (d->answered >> i & 1);
	council_step(&d->council, &d->gossip.view, &seeds, accepted(d), sim.now, &s);
	if (s.act == COUNCIL_FOUND) {
		s.layout.lineage = LINEAGE;
		if (!is_founded())
			adopt(machine, &s.layout);
	} else if (s.act == COUNCIL_FETCH) {
		council_want(machine, address_of(machine, s.from));
	} else if (s.act == COUNCIL_PROPOSE && d->proposer.phase == SYNOD_IDLE) {
		say("%d proposes epoch %" PRIu64 ": %s", machine->index, s.layout.epoch, s.why);
		synod_propose(&d->proposer, &d->council.layout, &s.layout, &d->promise, sim.now);
		proposed(machine);
	}
}

/* It is on the disk. */
void council_adopted(struct machine *machine, const struct layout *layout)
{
	struct discovery *d = of(machine);
	struct member *self = &d->gossip.view.self;
	bool decided = d->proposer.phase == SYNOD_DECIDED && layout_eq(&d->proposer.value, layout);

	d->adopting = false;
	council_told(&d->council, layout, sim.now);
	synod_stop(&d->proposer);
	self->lineage = layout->lineage;
	self->epoch = (uint32_t)layout->epoch;
	self->synced = 0;
	for (int i = 0; decided && i < sim.profile.machines; i++)
		tell_layout(machine, i);
	hurry(machine);
}

void council_synced(struct machine *machine, uint64_t epoch)
{
	of(machine)->gossip.view.self.synced = (uint32_t)epoch;
	hurry(machine);
}

/* what comes, and time */

static void tell_view(struct machine *machine)
{
	struct members *members = &machine->disk.members;

	members_clear(members);
	view_members(&of(machine)->gossip.view, members);
	asker_members(&machine->asker, members);
}

void council_receive(struct machine *machine, const struct wire *wire, int from)
{
	struct discovery *d = of(machine);
	const struct layout *layout = &d->council.layout;
	struct address source = address_at(from);

	d->answered |= UINT64_C(1) << from;
	gossip_receive(&d->gossip, wire, &source, sim.now);
	if (wire->type == WIRE_WANT) {
		if (layout->epoch != 0 && wire->want.epoch < layout->epoch)
			tell_layout(machine, from);
	} else if (wire->type == WIRE_LAYOUT) {
		if (!d->adopting && council_meet(&d->council, &wire->layout) == COUNCIL_ADOPT)
			adopt(machine, &wire->layout);
	} else if (wire->type == WIRE_PREPARE || wire->type == WIRE_ACCEPT) {
		hear_question(machine, from, wire->type, &wire->synod);
	} else if (wire->type != WIRE_GOSSIP && synod_is_busy(&d->proposer)) {
		synod_answer(&d->proposer, wire->sender.id, wire->type, &wire->synod, sim.now);
		proposed(machine);
	}
	step(machine);
}

static void look_around(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];
	struct discovery *d = of(machine);

	if (d->proposer.due != 0 && sim.now >= d->proposer.due) {
		synod_tick(&d->proposer, sim.now);
		proposed(machine);
	}
	step(machine);
	schedule(new_event(sizeof(struct event)), STEP_MS, machine->index, look_around);
}

static void round_of_gossip(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];

	gossip_round(&of(machine)->gossip, sim.now);
	tell_view(machine);
	schedule(new_event(sizeof(struct event)), GOSSIP_ROUND_MS, machine->index, round_of_gossip);
}

static uint8_t flags_of(const struct machine *machine)
{
	return (uint8_t)((machine->guest ? MEMBER_GUEST : 0) |
			 (machine->silent ? MEMBER_SILENT : 0));
}

static int willing(void)
{
	int count = 0;

	for (int i = 0; i < sim.profile.machines; i++)
		count += !sim.machines[i].guest;
	return count;
}

/* Somebody wants to be a home, or not any more, while enough others do. */
static void wish(struct event *event)
{
	struct machine *machine = &sim.machines[below((uint64_t)sim.profile.machines)];

	(void)event;
	if (sim.quiet)
		return;
	machine->guest = !machine->guest && willing() > (sim.profile.losses > 0 || sim.profile.copies ? 2 : 1);
	say("%d %s", machine->index, machine->guest ? "wants to leave" : "wants to be a home");
	if (machine->up) {
		of(machine)->gossip.view.self.flags = flags_of(machine);
		hurry(machine);
	}
	schedule(new_event(sizeof(struct event)), below(2500), -1, wish);
}

/* its life */

static uint64_t wall(void *data)
{
	return wall_of(data);
}

static uint64_t random_number(void *data)
{
	(void)data;
	return rnd();
}

void council_start(struct machine *machine)
{
	static const struct layout_numbers numbers = { 3, 2, 100, 0 };
	struct discovery *d = mem_new(1, sizeof *d);
	struct address seeds[MACHINES];
	size_t count = 0;

	machine->discovery = d;
	if (machine->disk.promise == NULL)
		machine->disk.promise = mem_new(1, sizeof *machine->disk.promise);
	for (int i = 0; i < sim.profile.machines; i++)
		if (i != machine->index)
			seeds[count++] = address_at(i);
	machine->member.flags = flags_of(machine);
	machine->member.weight = 1;
	machine->member.lineage = machine->disk.layout.lineage;
	machine->member.epoch = (uint32_t)machine->disk.layout.epoch;
	gossip_init(&d->gossip, &machine->member, GROUP, sim.now);
	view_load(&d->gossip.view, &machine->disk.members, sim.now);
	d->gossip.send = send_gossip;
	d->gossip.random = random_number;
	d->gossip.wall = wall;
	d->gossip.data = machine;
	gossip_seeds(&d->gossip, seeds, count);
	council_init(&d->council, machine->disk.id, &numbers, sim.now);
	if (machine->disk.layout.epoch != 0)
		council_told(&d->council, &machine->disk.layout, sim.now);
	d->proposer = (struct synod_proposer){ .send = send_synod, .random = random_number,
					       .data = machine, .self = machine->disk.id };
	d->promise = *machine->disk.promise;
	schedule(new_event(sizeof(struct event)), below(50), machine->index, round_of_gossip);
	schedule(new_event(sizeof(struct event)), below(STEP_MS), machine->index, look_around);
}

void council_stop(struct machine *machine)
{
	if (machine->discovery == NULL)
		return;
	gossip_clear(&of(machine)->gossip);
	free(machine->discovery);
	machine->discovery = NULL;
}

void council_begin(void)
{
	schedule(new_event(sizeof(struct event)), 2000 + below(3000), -1, wish);
}

/* Whoever wants to be a home is one, and nobody else. */
bool council_is_content(void)
{
	for (int i = 0; i < sim.profile.machines; i++) {
		const struct machine *machine = &sim.machines[i];
		bool member = layout_find(&sim.newest, machine->disk.id) != NULL;

		if (member == machine->guest)
			return false;
	}
	return true;
}
