/* world - chance, time, events, the network, and what goes wrong */
#include "sim.h"

#include "mem.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>

struct sim sim;

static void print(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

static void print(const char *format, va_list args)
{
	fprintf(stderr, "%8" PRIu64 " ", sim.now);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void fail(const char *format, ...)
{
	va_list args;

	if (sim.failures++ > 5)
		return;
	fprintf(stderr, "seed %" PRIu64 ": ", sim.seed);
	va_start(args, format);
	print(format, args);
	va_end(args);
}

void say(const char *format, ...)
{
	va_list args;

	if (!sim.verbose)
		return;
	va_start(args, format);
	print(format, args);
	va_end(args);
}

/* chance */

uint64_t rnd(void)
{
	return layout_mix(sim.rng += UINT64_C(0x9e3779b97f4a7c15));
}

uint64_t below(uint64_t n)
{
	return n == 0 ? 0 : rnd() % n;
}

bool chance(unsigned percent)
{
	return below(100) < percent;
}

/* events: a heap by time, then by chance */

static bool earlier(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->tie < b->tie;
}

static void swap(size_t i, size_t k)
{
	struct event *event = sim.heap[i];

	sim.heap[i] = sim.heap[k];
	sim.heap[k] = event;
}

static void push(struct event *event)
{
	size_t i = sim.heap_count++;

	if (i == sim.heap_room) {
		sim.heap_room = i * 2 + 64;
		sim.heap = mem_resize(sim.heap, sim.heap_room, sizeof *sim.heap);
	}
	sim.heap[i] = event;
	for (; i > 0 && earlier(sim.heap[i], sim.heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(i, (i - 1) / 2);
}

static struct event *pop(void)
{
	struct event *first = sim.heap[0];
	size_t i = 0;

	sim.heap[0] = sim.heap[--sim.heap_count];
	for (;;) {
		size_t least = i, left = 2 * i + 1;

		if (left < sim.heap_count && earlier(sim.heap[left], sim.heap[least]))
			least = left;
		if (left + 1 < sim.heap_count && earlier(sim.heap[left + 1], sim.heap[least]))
			least = left + 1;
		if (least == i)
			return first;
		swap(i, least);
		i = least;
	}
}

void *new_event(size_t size)
{
	return mem_new(1, size);
}

void schedule(struct event *event, uint64_t in_ms, int machine, void (*run)(struct event *))
{
	event->at = sim.now + in_ms;
	event->tie = rnd();
	event->run = run;
	event->machine = machine;
	event->boot = machine < 0 ? 0 : sim.machines[machine].boot;
	push(event);
}

/* A stopped machine does what it has to do when it goes on. */
static bool is_late(struct event *event)
{
	const struct machine *machine = event->machine < 0 ? NULL : &sim.machines[event->machine];

	if (machine == NULL || machine->slow_until <= sim.now || event->boot != machine->boot)
		return false;
	event->at = machine->slow_until;
	event->late = true;
	push(event);
	return true;
}

void run_until(uint64_t ms)
{
	while (sim.heap_count > 0 && sim.heap[0]->at <= ms && sim.failures == 0) {
		struct event *event = pop();

		sim.now = event->at;
		if (is_late(event))
			continue;
		sim.step++;
		if (event->machine < 0 || sim.machines[event->machine].boot == event->boot)
			event->run(event);
		sim.trace = sim.trace * 1099511628211u + sim.now + event->tie;
		free(event);
	}
	sim.now = ms;
}

void drop_events(void)
{
	while (sim.heap_count > 0)
		free(sim.heap[--sim.heap_count]);
	free(sim.heap);
	sim.heap = NULL;
	sim.heap_room = 0;
}

void lose_events_of(int machine)
{
	for (size_t i = 0; i < sim.heap_count; i++) {
		struct event *event = sim.heap[i];

		if (event->machine == machine && event->lost != NULL &&
		    event->boot == sim.machines[machine].boot)
			event->lost(event);
	}
}

/* the network */

struct packet *new_packet(enum note note, const void *bytes, size_t n)
{
	struct packet *packet = new_event(sizeof *packet + n);

	packet->note = note;
	packet->n = n;
	if (n > 0)
		memcpy(packet->bytes, bytes, n);
	return packet;
}

static void arrive(struct event *event)
{
	struct packet *packet = (struct packet *)event;

	struct machine *to = &sim.machines[packet->to];
	struct packet *later;

	if (!to->up || sim.cut[packet->from][packet->to] ||
	    (!packet->http && sim.udp_cut[packet->from][packet->to]))
		return;
	if (to->slow_until <= sim.now) {
		machine_receive(packet);
		return;
	}
	/* it waits in the socket of a stopped machine */
	later = new_event(sizeof *later + packet->n);
	memcpy(later, packet, sizeof *later + packet->n);
	later->event.late = true;
	schedule(&later->event, to->slow_until - sim.now, -1, arrive);
}

static void send_copy(const struct packet *packet)
{
	struct packet *copy = new_event(sizeof *copy + packet->n);
	uint64_t delay = below(sim.profile.delay + 1);

	memcpy(copy, packet, sizeof *copy + packet->n);
	if (!sim.calm && sim.profile.far > 0 && below(40) == 0)
		delay += below(sim.profile.far);
	schedule(&copy->event, delay, -1, arrive);
}

void post(int from, int to, struct packet *packet)
{
	packet->from = from;
	packet->to = to;
	packet->http = packet->http || packet->note != NOTE_WIRE;
	sim.sent++;
	if (sim.calm || !chance(sim.profile.loss))
		send_copy(packet);
	if (!sim.calm && chance(sim.profile.doubles))
		send_copy(packet);
	free(packet);
}

/* what somebody has seen pass and sends again */

#define CAPTURED 32
static struct {
	struct packet *packet;		/* owned */
	int from, to;
} captured[CAPTURED];

void capture(const struct packet *packet, int from, int to)
{
	struct packet *copy = new_event(sizeof *copy + packet->n);
	size_t i = below(CAPTURED);

	memcpy(copy, packet, sizeof *copy + packet->n);
	free(captured[i].packet);
	captured[i].packet = copy;
	captured[i].from = from;
	captured[i].to = to;
}

void drop_captured(void)
{
	for (size_t i = 0; i < CAPTURED; i++)
		free(captured[i].packet);
	memset(captured, 0, sizeof captured);
}

/* By UDP, or in POST /.covey/msg; also when all is calm. */
static void replay(struct event *event)
{
	size_t i = below(CAPTURED);
	struct packet *copy;

	(void)event;
	schedule(new_event(sizeof(struct event)), below(300), -1, replay);
	if (captured[i].packet == NULL)
		return;
	copy = new_packet(captured[i].packet->note, captured[i].packet->bytes, captured[i].packet->n);
	copy->http = chance(50);
	post(captured[i].from, captured[i].to, copy);
}

/* clocks and views */

uint64_t wall_of(const struct machine *machine)
{
	/* a node and its copy choose no version in the same nanosecond */
	uint64_t ns = sim.profile.clones ? sim.step % 1000000 : 0;

	return UINT64_C(1700000000000000000) + sim.now * 1000000 + ns + (uint64_t)machine->skew;
}

static enum member_state state_of(const struct machine *of, const struct machine *by)
{
	if (!sim.calm && below(12) == 0)
		return (enum member_state[]){ MEMBER_UP, MEMBER_SUSPECT, MEMBER_DOWN }[below(3)];
	if (of->up && !sim.cut[of->index][by->index] && of->slow_until <= sim.now)
		return MEMBER_UP;
	return chance(50) ? MEMBER_DOWN : MEMBER_SUSPECT;
}

/* Whose disk was lost is known for a while yet, at the address where another lives now. */
static struct member as_seen(const struct tenant *tenant, const struct machine *by)
{
	const struct machine *there = &sim.machines[tenant->address];
	struct member member = there->member;

	if (there->disk.id == tenant->id) {
		member.state = state_of(there, by);
		return member;
	}
	member.id = tenant->id;
	member.state = (enum member_state[]){ MEMBER_UP, MEMBER_DOWN, MEMBER_LEFT, MEMBER_LEFT }
			[sim.calm ? 2 : below(4)];
	return member;
}

void tell_members(struct machine *machine)
{
	struct members list = MEMBERS_INIT;

	if (!machine->up || machine->discovery != NULL)
		return;
	list.self = machine->member.id;
	members_add(&list, &machine->member);
	for (size_t i = 0; i < sim.tenant_count; i++) {
		struct member member = as_seen(&sim.tenants[i], machine);

		if (member.id != machine->member.id)
			members_add(&list, &member);
	}
	asker_members(&machine->asker, &list);
	members_clear(&list);
}

void tell_all(void)
{
	for (int i = 0; i < sim.profile.machines; i++)
		tell_members(&sim.machines[i]);
}

static void tell_again(struct event *event)
{
	struct event *next = new_event(sizeof *next);

	(void)event;
	tell_members(&sim.machines[below((uint64_t)sim.profile.machines)]);
	schedule(next, sim.calm ? 100 : below(400), -1, tell_again);
}

/* what goes wrong */

static void bring_back(struct event *event)
{
	struct machine *machine = &sim.machines[event->tie % (uint64_t)sim.profile.machines];

	for (int i = 0; i < sim.profile.machines; i++) {
		machine = &sim.machines[((uint64_t)i + event->tie) % (uint64_t)sim.profile.machines];
		if (!machine->up && machine->index != sim.spare)
			break;
	}
	if (!machine->up && machine->index != sim.spare)
		machine_start(machine);
}

/* What it knew in another group may be nowhere else yet. */
static bool brings_some(const struct disk *disk)
{
	for (size_t i = 0; i < disk->outbox_count; i++)
		if (disk->outbox[i].brought)
			return true;
	return false;
}

/* There is one to lose: in the layouts that are used or soon will be, and no group of its own. */
static bool may_lose_one(const struct machine *machine)
{
	const struct layout *own = &machine->disk.layout;

	return (own->epoch == 0 || own->lineage == sim.newest.lineage) &&
	       !brings_some(&machine->disk) &&
	       layout_members(&sim.newest, LAYOUT_A) >= 3 &&
	       (!layout_is_joint(&sim.newest) || layout_members(&sim.newest, LAYOUT_B) >= 3);
}

/* With several to lose, a majority may go: what it knew alone is lost, and nothing is confirmed. */
static bool may_lose(const struct machine *machine)
{
	return machine->disk.id != 0 && sim.lost < sim.profile.losses &&
	       (sim.profile.losses > 1 || may_lose_one(machine));
}

/*
 * Somebody takes a copy of a disk, while nothing runs there, and puts it back later: the node is
 * silent from then on.  Where a council decides it has to find that out (waking.h), which it
 * can where others that are up remember what it was: who has missed that is no witness.
 */
static void put_back(struct machine *machine)
{
	if (machine->copy.id == machine->disk.id && sim.lost == 0 && may_lose_one(machine) && chance(50) &&
	    (sim.profile.changes != BY_COUNCIL || council_remembers(machine))) {
		say("%d is put back to what it was", machine->index);
		sim.lost++;
		machine->put_back = true;
		machine->silent = sim.profile.changes != BY_COUNCIL;
		disk_copy(&machine->copy, &machine->disk);
	}
	if (!machine->put_back && chance(50))
		disk_copy(&machine->disk, &machine->copy);
}

static void lose_disk(struct machine *machine)
{
	say("%d loses its disk", machine->index);
	sim.lost++;
	disk_wipe(&machine->disk);
}

void world_crash(struct machine *machine, uint64_t ms)
{
	machine_crash(machine);
	schedule(new_event(sizeof(struct event)), ms, -1, bring_back);
}

static void crash_one(struct machine *machine)
{
	if (!machine->up || clones_need(machine))
		return;
	machine_crash(machine);
	if (sim.profile.copies)
		put_back(machine);
	if (may_lose(machine) && chance(25))
		lose_disk(machine);
	schedule(new_event(sizeof(struct event)), 20 + below(chance(15) ? 8000 : 1500), -1, bring_back);
}

static void heal(struct event *event)
{
	(void)event;
	memset(sim.cut, 0, sizeof sim.cut);
	memset(sim.udp_cut, 0, sizeof sim.udp_cut);
}

static void heal_and_read(struct event *event)
{
	heal(event);
	sim.asked = 0;
	clients_read();
}

void world_divide(uint32_t side, uint64_t ms)
{
	sim.asked = side;
	for (int a = 0; a < sim.profile.machines; a++)
		for (int b = 0; b < sim.profile.machines; b++)
			sim.cut[a][b] = (side >> a & 1) != (side >> b & 1);
	schedule(new_event(sizeof(struct event)), ms, -1, heal_and_read);
}

static void cut_some(void)
{
	bool (*cut)[MACHINES] = sim.profile.udp_cuts && chance(50) ? sim.udp_cut : sim.cut;
	uint64_t sides = rnd();
	bool one_way = chance(30);

	for (int a = 0; a < sim.profile.machines; a++)
		for (int b = 0; b < sim.profile.machines; b++)
			cut[a][b] = (sides >> a & 1) != (sides >> b & 1) &&
					(!one_way || (sides >> a & 1));
	schedule(new_event(sizeof(struct event)), 100 + below(1500), -1, heal);
}

/*
 * What one node alone missed is known to two others, of which one goes away and one comes back
 * with an empty disk, or with what it had some time ago.
 */
struct hand_over {
	struct event event;
	int missing, returns, leaves;
};

static void hand_over(struct event *event)
{
	const struct hand_over *who = (struct hand_over *)event;
	struct machine *returns = &sim.machines[who->returns], *leaves = &sim.machines[who->leaves];

	memset(sim.cut, 0, sizeof sim.cut);
	sim.asked = 0;
	if (sim.calm || returns == leaves || !returns->up || !leaves->up)
		return;
	machine_crash(leaves);
	schedule(new_event(sizeof(struct event)), 2000 + below(4000), -1, bring_back);
	machine_crash(returns);
	if (sim.profile.copies)
		put_back(returns);
	else if (may_lose(returns))
		lose_disk(returns);
	machine_start(returns);
}

static void isolate(int machine)
{
	memset(sim.cut, 0, sizeof sim.cut);
	for (int i = 0; i < sim.profile.machines; i++)
		if (i != machine)
			sim.cut[i][machine] = sim.cut[machine][i] = true;
}

static void cut_off(struct hand_over *event)
{
	say("%d is cut off; then %d returns and %d leaves", event->missing, event->returns,
	    event->leaves);
	isolate(event->missing);
	if (sim.profile.copies && sim.profile.changes != BY_COUNCIL &&
	    !sim.machines[event->returns].put_back)
		disk_copy(&sim.machines[event->returns].disk, &sim.machines[event->returns].copy);
	sim.asked = 1u << event->returns | 1u << event->leaves;
	schedule(&event->event, 50 + below(800), -1, hand_over);
}

static void cut_off_later(struct event *event)
{
	struct hand_over *copy = new_event(sizeof *copy);

	*copy = *(struct hand_over *)event;
	cut_off(copy);
}

/* It speaks again before it is to lose what it did since. */
static void restart_with_copy(struct hand_over *event)
{
	struct machine *returns = &sim.machines[event->returns];

	if (returns->up && !returns->put_back) {
		machine_crash(returns);
		disk_copy(&returns->disk, &returns->copy);
		machine_start(returns);
	}
	schedule(&event->event, 3000 + below(2000), -1, cut_off_later);
}

static void hand_over_later(void)
{
	struct hand_over *event = new_event(sizeof *event);
	int members[MACHINES], count = 0;

	for (int i = 0; i < sim.profile.machines; i++)
		if (layout_find(&sim.newest, sim.machines[i].disk.id) != NULL)
			members[count++] = i;
	for (int i = count; i < 3; i++)
		members[i] = 0;
	for (int i = count - 1; i > 0; i--) {
		int k = (int)below((uint64_t)i + 1), was = members[i];

		members[i] = members[k];
		members[k] = was;
	}
	event->missing = members[0];
	event->returns = members[1];
	event->leaves = members[2];
	if (sim.profile.changes == BY_COUNCIL && sim.profile.copies)
		restart_with_copy(event);
	else
		cut_off(event);
}

static void jump(struct machine *machine)
{
	static const int64_t far[] = { -3600, -5, 0, 1, 7, 3600 };

	machine->skew = far[below(6)] * 1000000000 + (int64_t)below(1000000000);
}

static void something(struct event *event)
{
	struct machine *machine = &sim.machines[below((uint64_t)sim.profile.machines)];

	(void)event;
	if (sim.calm)
		return;
	if (sim.profile.hand_overs || (sim.profile.copies && sim.profile.changes == BY_COUNCIL &&
				       sim.profile.machines >= 3 && chance(30)))
		hand_over_later();
	else switch (below(8)) {
	case 0: case 1: case 2:
		crash_one(machine);
		break;
	case 3: case 4:
		if (sim.profile.cuts)
			cut_some();
		break;
	case 5:
		if (sim.profile.jumps)
			jump(machine);
		break;
	case 6:
		if (sim.profile.stops)
			machine->slow_until = sim.now + below(chance(20) ? 8000 : 900);
		break;
	default:
		machine->cannot_tell = !machine->cannot_tell && below(3) == 0;
		break;
	}
	schedule(new_event(sizeof(struct event)), 1 + below(2 * sim.profile.faults), -1, something);
}

void trouble_begin(void)
{
	schedule(new_event(sizeof(struct event)), 1, -1, tell_again);
	if (sim.profile.replays)
		schedule(new_event(sizeof(struct event)), below(3000), -1, replay);
	if (sim.profile.faults > 0)
		schedule(new_event(sizeof(struct event)),
			 below(sim.profile.hand_overs ? 500 : 2 * sim.profile.faults), -1, something);
	if (sim.profile.clones)
		clones_begin();
}

/* Its disk is not what others count on: it was put back, or is a copy. */
static bool is_to_be_formatted(const struct machine *machine)
{
	if (sim.profile.changes != BY_COUNCIL)
		return machine->put_back && machine->silent;
	return machine->disk.forgot || (machine->silent && machine != machine_of(machine->disk.id));
}

/* What a person does with a silent node. */
static void format_anew(struct machine *machine)
{
	if (machine->up)
		machine_crash(machine);
	disk_wipe(&machine->disk);
	machine->silent = machine->put_back = false;
}

void format_silent(void)
{
	for (int i = 0; i < sim.profile.machines; i++) {
		struct machine *machine = &sim.machines[i];

		if (!is_to_be_formatted(machine))
			continue;
		format_anew(machine);
		machine_start(machine);
	}
}

static int by_time(const void *a, const void *b)
{
	const struct event *const *x = a, *const *y = b;

	return earlier(*x, *y) ? -1 : earlier(*y, *x);
}

/* Stopped machines do, sooner than was meant, and what waits for them. */
static void all_go_on(void)
{
	for (size_t i = 0; i < sim.heap_count; i++)
		if (sim.heap[i]->late && sim.heap[i]->at > sim.now)
			sim.heap[i]->at = sim.now;
	qsort(sim.heap, sim.heap_count, sizeof *sim.heap, by_time);
	for (int i = 0; i < sim.profile.machines; i++)
		sim.machines[i].slow_until = 0;
}

void trouble_end(void)
{
	sim.calm = true;
	memset(sim.cut, 0, sizeof sim.cut);
	memset(sim.udp_cut, 0, sizeof sim.udp_cut);
	sim.asked = 0;
	sim.spare = -1;
	all_go_on();
	for (int i = 0; i < sim.profile.machines; i++) {
		sim.machines[i].cannot_tell = false;
		if (!sim.machines[i].up)
			machine_start(&sim.machines[i]);
	}
	format_silent();
	tell_all();
}
