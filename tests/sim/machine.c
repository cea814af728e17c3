/* machine - a node: its answers, its questions, what it fetches */
#include "sim.h"

#include "gate_confirm.h"
#include "container.h"
#include "mem.h"

#include <inttypes.h>
#include <netinet/in.h>

struct machine *machine_of(uint64_t id)
{
	struct machine *found = NULL;

	for (int i = 0; i < sim.profile.machines; i++) {
		struct machine *machine = &sim.machines[i];

		if (machine->disk.id == id &&
		    (found == NULL ||
		     machine->disk.starts.spoke.count > found->disk.starts.spoke.count))
			found = machine;
	}
	return found;
}

int machine_finds(const struct machine *machine, uint64_t id)
{
	struct peer_target target;

	return id != machine->disk.id && peers_target(&machine->asker.peers, id, &target)
		       ? port_of(&target.versions) : -1;
}

void send_to(struct machine *machine, uint64_t id, struct packet *packet)
{
	int to = machine_finds(machine, id);

	packet->sender = machine->disk.id;
	packet->receiver = id;
	if (to >= 0)
		post(machine->index, to, packet);
	else
		free(packet);
}

void reply_to(struct machine *machine, const struct packet *packet, struct packet *answer)
{
	answer->sender = machine->disk.id;
	answer->receiver = packet->sender;
	answer->http = packet->http;
	post(machine->index, packet->from, answer);
}

/* time */

static void tick(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];

	if (machine->armed == event->at || machine->armed < sim.now)
		machine->armed = 0;
	if (machine->asker.due != 0 && machine->asker.due <= sim.now)
		asker_tick(&machine->asker, sim.now);
	machine_arm(machine);
}

void machine_arm(struct machine *machine)
{
	uint64_t due = machine->asker.due;

	if (!machine->up || due == 0)
		return;
	if (due < sim.now)
		due = sim.now;
	if (machine->armed != 0 && machine->armed <= due)
		return;
	machine->armed = due;
	schedule(new_event(sizeof(struct event)), due - sim.now, machine->index, tick);
}

/* what leaves */

static void judge_sent(const struct machine *machine, struct str plain);

int port_of(const struct address *a)
{
	struct sockaddr_in in;

	memcpy(&in, &a->sa, sizeof in);
	return ntohs(in.sin_port) - 1;
}

static void ask_send(void *data, const struct peer_target *to, struct str plain, unsigned attempt)
{
	struct machine *machine = data;
	struct packet *packet = new_packet(NOTE_WIRE, plain.s, plain.n);

	judge_sent(machine, plain);
	/* what UDP leaves unanswered is carried by HTTP */
	packet->http = attempt > 0 && sim.profile.udp_cuts && chance(50);
	post(machine->index, port_of(&to->versions), packet);
}

static uint64_t ask_random(void *data)
{
	(void)data;
	return rnd();
}

static uint64_t ask_wall(void *data)
{
	return wall_of(data);
}

static void ask_behind(void *data, uint64_t epoch, uint64_t node, const struct address *discovery)
{
	struct machine *machine = data;

	(void)epoch;
	(void)node;
	change_want(machine, port_of(discovery));
}

/* A gate is on the disk: what stands behind it is settled before anybody is told (gate_confirm.h). */
struct inside {
	struct gate_confirm confirm;
	struct writing writing;		/* of the gate */
	void (*done)(struct writing *);
	struct inside *next;		/* of the machine's */
	int tried;			/* the last child; below 0: none yet */
};

static void inside_end(struct gate_confirm *confirm, bool confirmed)
{
	struct inside *in = CONTAINER_OF(confirm, struct inside, confirm);
	struct inside **p = &sim.machines[in->writing.event.machine].insides;

	while (*p != in)
		p = &(*p)->next;
	*p = in->next;
	if (confirmed)
		in->done(&in->writing);
	free(in);
}

static void inside_next(struct gate_confirm *confirm)
{
	struct inside *in = CONTAINER_OF(confirm, struct inside, confirm);
	struct machine *machine = &sim.machines[in->writing.event.machine];

	in->tried = child_standing(&machine->disk, directory_of(in->writing.path), in->tried);
	gate_confirm_found(confirm, in->tried < 0 ? STR("") : sim_paths[in->tried], sim.now);
	machine_arm(machine);
}

static void settle_inside(struct writing *writing, void (*done)(struct writing *))
{
	struct machine *machine = &sim.machines[writing->event.machine];
	struct inside *in;

	if (writing->path < GATE_PATH) {
		done(writing);
		return;
	}
	in = mem_new(1, sizeof *in);
	in->confirm.next = inside_next;
	in->confirm.done = inside_end;
	in->writing = *writing;
	in->done = done;
	in->tried = -1;
	in->next = machine->insides;
	machine->insides = in;
	gate_confirm_start(&in->confirm, &machine->asker, sim_paths[writing->path], writing->record.version);
}

/* The machine has crashed, the asker is cleared. */
static void drop_insides(struct machine *machine)
{
	while (machine->insides != NULL) {
		struct inside *in = machine->insides;

		machine->insides = in->next;
		gate_confirm_clear(&in->confirm);
		free(in);
	}
}

static void own_kept(struct writing *writing)
{
	struct machine *machine = &sim.machines[writing->event.machine];

	asker_committed(&machine->asker, writing->token, true, sim.now);
	machine_arm(machine);
}

static void own_committed(struct writing *writing)
{
	settle_inside(writing, own_kept);
}

static void ask_commit(void *data, uint64_t id, const struct store_ask *ask)
{
	struct writing *writing = new_writing(path_index(ask->path, &ask->record), &ask->record, false);

	writing->token = id;
	writing->done = own_committed;
	disk_write(data, writing);
}

/* what is answered */

static bool has(const struct machine *machine, const struct record *record)
{
	bool here = version_is_none(record->version);

	for (size_t i = 0; i < machine->disk.kept_count && !here; i++)
		here = record_eq(&machine->disk.kept[i].record, record);
	return here;
}

static void judge_record(const struct machine *machine, const struct wire *wire)
{
	const struct record *record = &wire->record.record;
	MUST("3 (durable before the answer)", has(machine, record));
	MUST("3 (durable before the answer)", has(machine, &wire->record.entry));
	MUST("4", wire->record.epoch == 0 || wire->record.epoch == machine->disk.layout.epoch);
}

static void judge_sent(const struct machine *machine, struct str plain)
{
	struct wire wire;

	if (wire_unpack(plain, MEMBER_PROTOCOL, &wire) < 0) {
		fail("a packet of ours is refused");
		return;
	}
	if (wire.type == WIRE_RECORD)
		judge_record(machine, &wire);
	if (wire.type == WIRE_STORED)
		MUST("4", wire.stored.epoch == 0 ||
				  wire.stored.epoch == machine->disk.layout.epoch);
	if (wire.type == WIRE_STORE) {
		int path = path_index(wire.store.path, &wire.store.record);

		MUST("2 (durable before it is sent)",
		     fact_is_durable(path, &wire.store.record, false));
		MUST("7 (content first, record second)",
		     !record_has_content(&wire.store.record) ||
			     fact_is_durable(path, &wire.store.record, true));
	}
}

static void answer(struct machine *machine, int to, const struct buf *packet, bool http)
{
	struct packet *answer = new_packet(NOTE_WIRE, packet->data, packet->len);

	judge_sent(machine, buf_str(packet));
	answer->http = http;
	post(machine->index, to, answer);
}

static void home_kept(struct writing *writing)
{
	struct machine *machine = &sim.machines[writing->event.machine];
	struct buf packet = BUF_INIT;

	writing->question.path = sim_paths[writing->path];
	if (!machine->cannot_tell &&
	    home_stored(&machine->home, writing->asker, &writing->question, &packet) == HOME_ANSWER)
		answer(machine, writing->from, &packet, writing->http);
	buf_clear(&packet);
}

static void home_committed(struct writing *writing)
{
	settle_inside(writing, home_kept);
}

static void begin_commit(struct machine *machine, const struct wire *wire,
			 const struct packet *packet)
{
	const struct wire_store *store = &wire->store;
	struct writing *writing = new_writing(path_index(store->path, &store->record), &store->record,
					      false);

	writing->question = *store;
	writing->question.type = STR("");
	writing->from = packet->from;
	writing->http = packet->http;
	writing->asker = wire->sender.id;
	writing->done = home_committed;
	disk_write(machine, writing);
}

static bool is_about_layouts(enum wire_type type)
{
	return type == WIRE_GOSSIP || type >= WIRE_WANT;
}

static void receive_wire(struct machine *machine, const struct packet *packet)
{
	struct buf reply = BUF_INIT;
	struct wire wire;

	if (wire_unpack((struct str){ packet->bytes, packet->n }, MEMBER_PROTOCOL, &wire) < 0) {
		fail("a packet of ours is refused");
		return;
	}
	if (!wire_is_for(&wire, machine->disk.id, wire.role))
		return;
	if (is_about_layouts(wire.type)) {
		council_receive(machine, &wire, packet->from);
		machine_arm(machine);
		return;
	}
	asker_receive(&machine->asker, &wire, sim.now);
	machine_arm(machine);
	switch (home_receive(&machine->home, &wire, wall_of(machine), &reply)) {
	case HOME_NOTHING:
		break;
	case HOME_ANSWER:
		answer(machine, packet->from, &reply, packet->http);
		break;
	case HOME_FETCH:
		change_want(machine, packet->from);
		break;
	case HOME_COMMIT:
		begin_commit(machine, &wire, packet);
		break;
	}
	buf_clear(&reply);
}

void machine_receive(struct packet *packet)
{
	struct machine *machine = &sim.machines[packet->to];

	if (packet->note > NOTE_WIRE && packet->note < NOTE_SYNC && packet->receiver != 0 &&
	    packet->receiver != machine->disk.id)
		return;
	switch (packet->note) {
	case NOTE_WIRE:
		receive_wire(machine, packet);
		break;
	case NOTE_PULL:
	case NOTE_CONTENT:
	case NOTE_PUSH:
	case NOTE_HAVE:
		client_receive(machine, packet);
		break;
	case NOTE_LIST:
	case NOTE_HISTORY:
	case NOTE_LISTED:
		lists_receive(machine, packet);
		break;
	case NOTE_WANT:
	case NOTE_LAYOUT:
	case NOTE_SYNC:
	case NOTE_SYNCED:
	case NOTE_COUNT:
		change_receive(machine, packet);
		break;
	}
}

/* its life */

struct address address_at(int port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(port + 1)) };
	struct address a = { .len = sizeof in };

	memcpy(&a.sa, &in, sizeof in);
	return a;
}

static void begin_home(struct machine *machine)
{
	home_init(&machine->home, GROUP, &machine->member);
	machine->home.silent = machine->silent;
	machine->home.lookup = disk_lookup;
	machine->home.data = machine;
	asker_init(&machine->asker, &machine->home, 250, 1000);
	machine->asker.send = ask_send;
	machine->asker.commit = ask_commit;
	machine->asker.make = client_make;
	machine->asker.made_end = client_made_end;
	machine->asker.behind = ask_behind;
	machine->asker.random = ask_random;
	machine->asker.wall = ask_wall;
	machine->asker.data = machine;
}

void machine_start(struct machine *machine)
{
	struct disk *disk = &machine->disk;

	if (disk->id == 0) {
		disk->id = 100 + ++sim.ids;
		if (sim.tenant_count < TENANTS)
			sim.tenants[sim.tenant_count++] = (struct tenant){ disk->id, machine->index };
	}
	machine->boot++;
	machine->up = true;
	machine->armed = 0;
	machine->cannot_tell = false;
	memset(machine->free_at, 0, sizeof machine->free_at);
	memset(machine->locked, 0, sizeof machine->locked);
	if (sim.profile.changes == BY_COUNCIL)
		council_wake(machine);
	else
		disk->start++;
	machine->member = (struct member){ .id = disk->id, .start = disk->start,
					   .state = MEMBER_UP, .protocol_min = MEMBER_PROTOCOL,
					   .protocol_max = MEMBER_PROTOCOL };
	machine->member.versions = machine->member.discovery = address_at(machine->index);
	begin_home(machine);
	say("%d starts as %" PRIu64 " at epoch %" PRIu64, machine->index, disk->id, disk->layout.epoch);
	if (disk->layout.epoch != 0)
		asker_layout(&machine->asker, &disk->layout, sim.now);
	if (sim.profile.changes == BY_COUNCIL)
		council_start(machine);
	change_started(machine);
	change_live(machine);
	client_drain(machine);
	tell_all();
}

void machine_crash(struct machine *machine)
{
	say("%d crashes", machine->index);
	lose_events_of(machine->index);
	machine->boot++;
	machine->up = false;
	asker_clear(&machine->asker);
	home_clear(&machine->home);
	client_drop_all(machine);
	drop_insides(machine);
	council_stop(machine);
	free(machine->resync);
	free(machine->sync_asked);
	machine->resync = NULL;
	machine->sync_asked = NULL;
	machine->sync_token = machine->synced = 0;
}

static bool is_news(const struct machine *machine, const struct layout *layout)
{
	return layout->lineage != machine->disk.layout.lineage ||
	       layout->epoch > machine->disk.layout.epoch;
}

/* Who comes over from another group owes this one all it knows. */
static void use_layout(struct machine *machine, const struct layout *layout)
{
	struct disk *disk = &machine->disk;

	change_used(layout);
	if (disk->layout.epoch != 0 && disk->layout.lineage != layout->lineage) {
		disk_owe_all(disk);
		history_moved(machine->index);
	}
	disk->layout = *layout;
}

static void adopted(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];
	struct packet *told = (struct packet *)event;
	struct layout layout;

	memcpy(&layout, told->bytes, sizeof layout);
	if (!is_news(machine, &layout))
		return;
	use_layout(machine, &layout);
	machine->synced = 0;
	say("%d adopts epoch %" PRIu64, machine->index, layout.epoch);
	asker_layout(&machine->asker, &layout, sim.now);
	machine_arm(machine);
	if (machine->discovery != NULL)
		council_adopted(machine);
	change_started(machine);
}

/* The machine crashes while it writes a layout. */
static void maybe_adopted(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];
	struct packet *told = (struct packet *)event;
	struct layout layout;

	memcpy(&layout, told->bytes, sizeof layout);
	if (is_news(machine, &layout) && chance(50))
		use_layout(machine, &layout);
}

/* Durable first, then told. */
bool machine_adopt(struct machine *machine, const struct layout *layout)
{
	struct packet *told;

	if (!is_news(machine, layout))
		return false;
	told = new_packet(NOTE_COUNT, layout, sizeof *layout);
	told->event.lost = maybe_adopted;
	schedule(&told->event, below(sim.profile.disk + 1), machine->index, adopted);
	return true;
}
