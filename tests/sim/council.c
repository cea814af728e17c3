/*
 * council - layouts as the group itself decides them: gossip, and agent.h
 *
 * All machines are each other's seeds, so there is one group; who is a guest
 * and who wants to be a home changes by chance.
 */
#include "sim.h"

#include "agent.h"
#include "gossip.h"
#include "mem.h"
#include "synod.h"
#include "waking.h"

#include <inttypes.h>

struct discovery {
	struct gossip gossip;
	struct agent agent;
	struct buf packet;		/* the message being made */
	uint64_t answered;		/* bit i: machine i has said something */
	uint64_t armed;			/* ms: the next step that is scheduled; 0: none */
	bool wishing;			/* what is sent is about a wish */
	struct waking waking;
};

/* A promise on its way to the disk. */
struct vote {
	struct event event;
	struct synod_promise promise;
};

static uint8_t flags_of(const struct machine *machine);

static struct discovery *of(const struct machine *machine)
{
	return machine->discovery;
}

/* messages */

static struct buf *begin_message(void *data, uint64_t to)
{
	struct discovery *d = of(data);

	buf_reset(&d->packet);
	wire_pack_sender(&d->packet, GROUP, &d->gossip.view.self);
	wire_pack_to(&d->packet, to, WIRE_DISCOVERY);
	return &d->packet;
}

/* Now and then by HTTP: what UDP leaves unanswered. */
static void send_gossip(void *data, const struct address *to, struct str plain)
{
	struct machine *machine = data;
	struct packet *packet = new_packet(NOTE_WIRE, plain.s, plain.n);

	packet->http = sim.profile.udp_cuts && chance(30);
	if (sim.profile.replays && (of(machine)->wishing || chance(2)))
		capture(packet, machine->index, port_of(to));
	post(machine->index, port_of(to), packet);
}

static void send_message(void *data, const struct address *to, bool expects)
{
	(void)expects;
	send_gossip(data, to, buf_str(&of(data)->packet));
}

void council_fetch(struct machine *machine, int from)
{
	struct address address = address_at(from);

	if (sim.machines[from].disk.id != 0)
		agent_fetch(&of(machine)->agent, sim.machines[from].disk.id, &address);
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

/* steps */

/* Two that found a group at once have two groups, of which one gives itself up: not here. */
static bool is_founded(void)
{
	for (int i = 0; i < sim.profile.machines; i++)
		if (sim.machines[i].discovery != NULL && of(&sim.machines[i])->agent.busy)
			return true;
	return sim.decided_count > 0;
}

static void look_again(struct event *event);

/* The first machine may be told late of the others, and these of it. */
static bool is_seed(const struct machine *machine, int of)
{
	bool apart = sim.profile.founders && !sim.met && (machine->index == 0 || of == 0);

	return of != machine->index && of != sim.spare && !apart;
}

static size_t seeds_of(const struct machine *machine, struct address seeds[MACHINES])
{
	size_t count = 0;

	for (int i = 0; i < sim.profile.machines; i++) {
		if (!is_seed(machine, i))
			continue;
		if (seeds != NULL)
			seeds[count] = address_at(i);
		count++;
	}
	return count;
}

static void step(struct machine *machine)
{
	struct discovery *d = of(machine);
	struct council_seeds seeds = { .count = seeds_of(machine, NULL) };
	uint64_t due;

	for (int i = 0; i < sim.profile.machines; i++)
		seeds.answered += is_seed(machine, i) && (d->answered >> i & 1);
	if (!sim.profile.founders && agent_layout(&d->agent)->epoch == 0 && is_founded())
		seeds.answered = 0;
	agent_step(&d->agent, &seeds, sim.now);
	due = d->agent.due;
	if (due == 0 || (d->armed != 0 && d->armed <= due))
		return;
	d->armed = due > sim.now ? due : sim.now;
	schedule(new_event(sizeof(struct event)), d->armed - sim.now, machine->index, look_again);
}

static void look_again(struct event *event)
{
	struct discovery *d = of(&sim.machines[event->machine]);

	if (event->at >= d->armed)
		d->armed = 0;
	step(&sim.machines[event->machine]);
}

/* the disk */

static void propose_something(struct machine *machine);

/* It goes on with others, who may want something else. */
static void without_it(struct event *event)
{
	(void)event;
	for (int i = 0; i < sim.profile.machines; i++)
		if (sim.machines[i].up && sim.machines[i].slow_until <= sim.now)
			propose_something(&sim.machines[i]);
}

/* Whoever had a layout decided dies before it has told anybody. */
static void die_deciding(struct event *event)
{
	say("%d decided on a layout", event->machine);
	world_crash(&sim.machines[event->machine], 500 + below(3000));
	schedule(new_event(sizeof(struct event)), below(400), -1, without_it);
}

static struct synod_promise *promise_of(struct machine *machine, struct event *event)
{
	return disk_promise(&machine->disk, ((struct vote *)event)->promise.lineage);
}

static void voted(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];

	*promise_of(machine, event) = ((struct vote *)event)->promise;
	agent_promised(&of(machine)->agent, true, sim.now);
	step(machine);
}

static void maybe_voted(struct event *event)
{
	if (chance(50))
		*promise_of(&sim.machines[event->machine], event) =
			((struct vote *)event)->promise;
}

static void write_promise(void *data, const struct synod_promise *promise)
{
	struct machine *machine = data;
	const struct synod_promise *was = disk_promise(&machine->disk, promise->lineage);
	struct vote *vote = new_event(sizeof *vote);

	MUST("3 (promises only grow)",
	     was->instance < promise->instance || (was->instance == promise->instance &&
						   ballot_cmp(was->promised, promise->promised) <= 0));
	vote->promise = *promise;
	vote->event.lost = maybe_voted;
	schedule(&vote->event, below(sim.profile.disk + 1), machine->index, voted);
}

/* Nothing is written: this node has been farther in that lineage. */
static void refused(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];
	const struct layout *layout = &of(machine)->agent.writing;

	agent_written(&of(machine)->agent, false, disk_promise(&machine->disk, layout->lineage),
		      sim.now);
	step(machine);
}

static void write_layout(void *data, const struct layout *layout)
{
	struct machine *machine = data;

	if (synod_is_past(disk_promise(&machine->disk, layout->lineage), layout)) {
		say("%d has been farther than epoch %" PRIu64, machine->index, layout->epoch);
		schedule(new_event(sizeof(struct event)), 1, machine->index, refused);
		return;
	}
	MUST("3 (epochs only grow)", machine_adopt(machine, layout));
	if (sim.profile.rivals && !sim.calm && layout->epoch > sim.newest.epoch && chance(25))
		schedule(new_event(sizeof(struct event)), 0, machine->index, die_deciding);
}

static void used(void *data)
{
	hurry(data);
}

static void say_line(void *data, bool warning, const char *text)
{
	struct machine *machine = data;

	(void)warning;
	say("%d: %s", machine->index, text);
}

/* It is on the disk. */
void council_adopted(struct machine *machine)
{
	agent_written(&of(machine)->agent, true,
		      disk_promise(&machine->disk, machine->disk.layout.lineage), sim.now);
	step(machine);
}

void council_synced(struct machine *machine, uint64_t epoch)
{
	if (agent_synced(&of(machine)->agent, epoch))
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

/* which start is this? as memory.c of covey-discoverd has it, but for the time that its disk takes */

static void show(const struct machine *machine, struct member *self)
{
	const struct starts *starts = &machine->disk.starts;

	self->flags = flags_of(machine);
	self->sequence = machine->silent ? 0 : (uint32_t)machine->disk.sequence;
	self->nonce = starts->now.nonce;
	self->spoke = starts->spoke;
	self->before = starts->before;
}

static void set_silent(struct machine *machine)
{
	machine->silent = machine->disk.forgot || !starts_speaks(&machine->disk.starts);
	machine->home.silent = machine->silent;
	clones_judge(machine);
}

void council_wake(struct machine *machine)
{
	struct disk *disk = &machine->disk;

	starts_begin(&disk->starts, rnd() | 1);
	disk->sequence++;
	if (disk->layout.epoch == 0 && !disk->forgot)
		starts_speak(&disk->starts);
	disk->start = disk->starts.now.count;
	set_silent(machine);
}

static void check_standing(struct machine *machine)
{
	struct discovery *d = of(machine);
	struct disk *disk = &machine->disk;
	struct waking_step step;

	waking_step(&d->waking, &d->gossip.view, &disk->layout, disk->sequence, sim.now, &step);
	if (step.act == WAKING_REST)
		return;
	if (step.act == WAKING_SILENCE) {
		say("%d forgot something: %s", machine->index, step.why);
		disk->forgot = true;
	} else if (step.act == WAKING_RAISE) {
		starts_raise(&disk->starts, step.above);
		if (starts_speaks(&disk->starts))
			starts_speak(&disk->starts);
		disk->start = disk->starts.now.count;
		view_restart(&d->gossip.view, disk->start);
	} else {
		say("%d speaks", machine->index);
		starts_speak(&disk->starts);
	}
	set_silent(machine);
	show(machine, &d->gossip.view.self);
	hurry(machine);
}

/* Somebody of the layout, asked by this start, tells what it remembers of this node. */
static void hear_of_self(struct machine *machine, const struct wire *wire)
{
	if (gossip_is_answer(&of(machine)->gossip, wire) &&
	    layout_find(&machine->disk.layout, wire->sender.id) != NULL)
		for (size_t i = 0; i < wire->gossip.count; i++)
			if (wire->gossip.members[i].member.id == machine->disk.id)
				waking_recognized(&of(machine)->waking, sim.now);
	check_standing(machine);
}

void council_receive(struct machine *machine, const struct wire *wire, int from)
{
	struct discovery *d = of(machine);
	struct address source = address_at(from);

	d->answered |= UINT64_C(1) << from;
	gossip_receive(&d->gossip, wire, &source, sim.now);
	hear_of_self(machine, wire);
	agent_hear(&d->agent, wire, &source, sim.now);
	step(machine);
}

static void round_of_gossip(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];

	gossip_round(&of(machine)->gossip, sim.now);
	tell_view(machine);
	check_standing(machine);
	step(machine);
	schedule(new_event(sizeof(struct event)), GOSSIP_ROUND_MS, machine->index, round_of_gossip);
}

static uint8_t flags_of(const struct machine *machine)
{
	return (uint8_t)((machine->guest ? MEMBER_GUEST : 0) |
			 (machine->silent ? MEMBER_SILENT : 0) |
			 (machine->disk.forgot ? MEMBER_FORGOT : 0));
}

/* Of two that are one node that which is it, as far as the others know. */
static bool is_the_node(const struct machine *machine)
{
	return machine->index != sim.spare && machine == machine_of(machine->disk.id);
}

static int willing(void)
{
	int count = 0;

	for (int i = 0; i < sim.profile.machines; i++)
		count += !sim.machines[i].guest && is_the_node(&sim.machines[i]);
	return count;
}

/* With fewer there is none to lose. */
static int least_homes(void)
{
	return sim.profile.losses > 0 || sim.profile.copies || sim.profile.clones ? 2 : 1;
}

/* Somebody wants to be a home, or not any more, while enough others do. */
static void wish(struct event *event)
{
	struct machine *machine = &sim.machines[below((uint64_t)sim.profile.machines)];

	(void)event;
	if (sim.quiet)
		return;
	schedule(new_event(sizeof(struct event)), below(2500), -1, wish);
	if (!is_the_node(machine))
		return;
	machine->guest = !machine->guest && willing() > least_homes();
	say("%d %s", machine->index, machine->guest ? "wants to leave" : "wants to be a home");
	if (machine->up) {
		of(machine)->gossip.view.self.flags = flags_of(machine);
		hurry(machine);
	}
}

/* what people ask */

struct asking {
	struct event event;
	struct agent_wish wish;
	size_t index;			/* in sim.wishes */
};

static void ask_on(struct event *event)
{
	struct asking *asking = (struct asking *)event, *again;
	struct machine *machine = &sim.machines[event->machine];
	char progress[200];
	bool done;

	of(machine)->wishing = true;
	done = agent_wish(&of(machine)->agent, &asking->wish, sim.now, progress);
	of(machine)->wishing = false;
	step(machine);
	if (done) {
		sim.wishes[asking->index].ended = sim.now;
		say("%d: keep.versions=%u is done", machine->index, asking->wish.numbers.keep_versions);
	} else if (!sim.quiet) {
		again = new_event(sizeof *again);
		again->wish = asking->wish;
		again->index = asking->index;
		schedule(&again->event, AGENT_WISH_MS, machine->index, ask_on);
	}
}

/* covey layout set, on some node; who asked may go away before it is done. */
static void somebody_wishes(struct event *event)
{
	struct machine *machine = &sim.machines[below((uint64_t)sim.profile.machines)];
	struct asking *asking;

	(void)event;
	if (sim.quiet || sim.wish_count == WISHES)
		return;
	schedule(new_event(sizeof(struct event)), below(4000), -1, somebody_wishes);
	if (!machine->up || agent_layout(&of(machine)->agent)->epoch == 0)
		return;
	asking = new_event(sizeof *asking);
	asking->index = sim.wish_count;
	asking->wish = (struct agent_wish){ .kind = AGENT_SET };
	asking->wish.numbers = (struct layout_numbers){ 0, 0, 1000 + (uint32_t)sim.wish_count,
							 UINT32_MAX };
	sim.wishes[sim.wish_count++] = (struct wish){ asking->wish.numbers.keep_versions, sim.now,
						      NEVER };
	say("%d: keep.versions=%u is wished", machine->index, asking->wish.numbers.keep_versions);
	schedule(&asking->event, 0, machine->index, ask_on);
}

/* A seat in the council wants a layout of its own, as if its view were another. */
static void propose_something(struct machine *machine)
{
	struct agent *agent = &of(machine)->agent;
	struct layout next = *agent_layout(agent);
	uint64_t who = rnd();

	if (!layout_has_seat(agent_layout(agent), agent->council.self) || agent->proposer.phase != SYNOD_IDLE ||
	    machine->silent)
		return;
	if (layout_is_joint(&next)) {
		layout_single(agent_layout(agent), LAYOUT_A, &next);
	} else {
		for (int i = 0; i < sim.profile.machines; i++) {
			const struct machine *m = &sim.machines[i];
			const struct layout_member *was = layout_find(&next, m->disk.id);

			if (m->disk.id != 0 && !m->guest && (who >> i & 1 || m == machine))
				layout_put(&next, m->disk.id, (was != NULL ? was->sets : 0) | LAYOUT_B,
					   1, "");
		}
		next.epoch++;
		layout_seat(&next);
	}
	if (!synod_may_follow(agent_layout(agent), &next))
		return;
	say("%d wants an epoch %" PRIu64 " of its own", machine->index, next.epoch);
	synod_propose(&agent->proposer, agent_layout(agent), &next, &agent->acceptor.promise, sim.now);
	step(machine);
}

static void rivals(struct event *event)
{
	(void)event;
	if (sim.quiet)
		return;
	for (int i = 0; i < sim.profile.machines; i++)
		if (sim.machines[i].up && sim.machines[i].slow_until <= sim.now && chance(50))
			propose_something(&sim.machines[i]);
	schedule(new_event(sizeof(struct event)), 500 + below(3000), -1, rivals);
}

/*
 * A change is done: those that are not needed for the next one are cut off before they hear of
 * it, and the next one begins.
 */
static void hasten(struct event *event)
{
	const struct layout *layout = &sim.newest;
	struct machine *first = NULL;
	uint32_t with = 0;
	size_t seats = 0, enough = 0;

	(void)event;
	for (size_t i = 0; i < layout->count; i++)
		enough += layout->members[i].council;
	enough = enough / 2 + 1;
	for (int n = 0; n < 4 * sim.profile.machines && seats < enough; n++) {
		struct machine *m = &sim.machines[below((uint64_t)sim.profile.machines)];
		const struct layout_member *member = layout_find(layout, m->disk.id);

		if (!m->up || member == NULL || !member->council || with >> m->index & 1 ||
		    (first == NULL && m->disk.layout.epoch != layout->epoch))
			continue;
		first = first == NULL ? m : first;
		with |= 1u << m->index;
		seats++;
	}
	if (sim.calm || first == NULL || seats < enough)
		return;
	say("%d hastens, without those outside of %x", first->index, (unsigned)with);
	world_divide(with, 1500 + below(4000));
	propose_something(first);
}

void council_changed(void)
{
	if (sim.profile.rivals && !sim.calm && chance(70))
		schedule(new_event(sizeof(struct event)), below(60), -1, hasten);
}

/* The first one and the others hear of each other: they may be two groups by now. */
static void meet(struct event *event)
{
	(void)event;
	sim.met = true;
	for (int i = 0; i < sim.profile.machines; i++) {
		struct address seeds[MACHINES];

		if (sim.machines[i].up)
			gossip_seeds(&of(&sim.machines[i])->gossip, seeds,
				     seeds_of(&sim.machines[i], seeds));
	}
}

/* covey layout force, on some nodes of a group that is cut in two. */
static void force(struct event *event)
{
	for (int i = 0; i < sim.profile.machines; i++) {
		struct machine *machine = &sim.machines[i];
		struct layout layout;
		struct err err;

		if (!machine->up || chance(50) ||
		    agent_force(&of(machine)->agent, sim.now, &layout, &err) < 0)
			continue;
		say("%d forces lineage %" PRIx64 " of %zu", i, layout.lineage, layout.count);
		step(machine);
	}
	if (event->tie % 2 == 0)
		schedule(new_event(sizeof(struct event)), below(2000), -1, force);
}

static void halve(struct event *event)
{
	uint32_t side = (uint32_t)rnd();

	(void)event;
	if (sim.calm)
		return;
	world_divide(side, 12000 + below(6000));
	sim.asked = 0;
	schedule(new_event(sizeof(struct event)), 5000 + below(5000), -1, force);
}

static size_t count_of(uint64_t lineage)
{
	size_t count = 0;

	for (int i = 0; i < sim.profile.machines; i++)
		count += sim.machines[i].disk.layout.lineage == lineage;
	return count;
}

/* Some node has been farther in that lineage and is there no more: it does not come back. */
static bool is_left_behind(const struct layout *layout)
{
	for (int i = 0; i < sim.profile.machines; i++)
		if (sim.machines[i].disk.layout.lineage != layout->lineage &&
		    synod_is_past(disk_promise(&sim.machines[i].disk, layout->lineage), layout))
			return true;
	return false;
}

static const struct layout *newest_of(uint64_t lineage)
{
	const struct layout *newest = NULL;

	for (int i = 0; i < sim.profile.machines; i++) {
		const struct layout *layout = &sim.machines[i].disk.layout;

		if (layout->epoch != 0 && layout->lineage == lineage &&
		    (newest == NULL || layout->epoch > newest->epoch))
			newest = layout;
	}
	return newest;
}

/* The group of most nodes that can go on: people bring the others there. */
static void choose_main(void)
{
	const struct layout *best = newest_of(sim.newest.lineage);

	if (best != NULL && is_left_behind(best))
		best = NULL;
	for (int i = 0; i < sim.profile.machines; i++) {
		const struct layout *layout = newest_of(sim.machines[i].disk.layout.lineage);

		if (layout != NULL && !is_left_behind(layout) &&
		    (best == NULL || count_of(layout->lineage) > count_of(best->lineage)))
			best = layout;
	}
	if (best != NULL && (best->lineage != sim.newest.lineage || best->epoch > sim.newest.epoch))
		sim.newest = *best;
}

/* covey layout adopt, where two groups do not become one by themselves. */
void council_unite(void)
{
	choose_main();
	for (int i = 0; i < sim.profile.machines; i++) {
		struct machine *machine = &sim.machines[i];
		struct agent_wish wish = { .kind = AGENT_ADOPT, .lineage = sim.newest.lineage };
		char progress[200];
		struct err err;

		if (machine->up && machine->disk.layout.lineage != sim.newest.lineage &&
		    agent_can_adopt(&of(machine)->agent, sim.newest.lineage, &err) == 0) {
			agent_wish(&of(machine)->agent, &wish, sim.now, progress);
			step(machine);
		}
	}
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
	size_t count;

	machine->discovery = d;
	count = seeds_of(machine, seeds);
	show(machine, &machine->member);
	waking_begin(&d->waking, machine->disk.forgot,
		     machine->disk.ended_at == machine->index, sim.now);
	machine->disk.ended_at = -1;
	machine->member.weight = 1;
	gossip_init(&d->gossip, &machine->member, GROUP, sim.now);
	view_load(&d->gossip.view, &machine->disk.members, sim.now);
	d->gossip.send = send_gossip;
	d->gossip.random = random_number;
	d->gossip.wall = wall;
	d->gossip.data = machine;
	gossip_seeds(&d->gossip, seeds, count);
	d->agent = (struct agent){ .view = &d->gossip.view, .data = machine,
				   .message = begin_message, .send = send_message,
				   .write_promise = write_promise, .write_layout = write_layout,
				   .used = used, .say = say_line, .random = random_number };
	agent_init(&d->agent, &numbers, &machine->disk.layout,
		   disk_promise(&machine->disk, machine->disk.layout.lineage), sim.now);
	schedule(new_event(sizeof(struct event)), below(50), machine->index, round_of_gossip);
}

void council_stop(struct machine *machine)
{
	if (machine->discovery == NULL)
		return;
	if (starts_speaks(&machine->disk.starts) && chance(50))		/* a stop in peace, or as good as that */
		machine->disk.ended_at = machine->index;
	gossip_clear(&of(machine)->gossip);
	buf_clear(&of(machine)->packet);
	free(machine->discovery);
	machine->discovery = NULL;
}

void council_begin(void)
{
	if (sim.profile.founders)
		schedule(new_event(sizeof(struct event)), 500 + below(5000), -1, meet);
	if (sim.profile.forces)
		schedule(new_event(sizeof(struct event)), 3000 + below(4000), -1, halve);
	schedule(new_event(sizeof(struct event)), 2000 + below(3000), -1, wish);
	schedule(new_event(sizeof(struct event)), 2000 + below(2000), -1, somebody_wishes);
	if (sim.profile.rivals)
		schedule(new_event(sizeof(struct event)), 2000 + below(3000), -1, rivals);
}

bool council_remembers(const struct machine *machine)
{
	bool anybody = false;

	for (int i = 0; i < sim.profile.machines; i++) {
		const struct machine *other = &sim.machines[i];
		const struct view_entry *entry;

		if (other == machine || !other->up)
			continue;
		entry = view_entry(&of(other)->gossip.view, machine->disk.id);
		if (entry == NULL || !start_eq(entry->member.spoke, machine->disk.starts.spoke))
			return false;
		anybody = true;
	}
	return anybody;
}

/* Whoever wants to be a home is one, and nobody else: no lost one either. */
bool council_is_content(void)
{
	for (size_t i = 0; i < sim.newest.count; i++)
		if (machine_of(sim.newest.members[i].id) == NULL)
			return false;
	for (int i = 0; i < sim.profile.machines; i++) {
		const struct machine *machine = &sim.machines[i];
		bool member = layout_find(&sim.newest, machine->disk.id) != NULL;

		if (member == machine->guest)
			return false;
	}
	return true;
}
