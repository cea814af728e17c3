/* change - layouts that are decided by fiat, how they spread, and sync */
#include "sim.h"

#include "mem.h"

#include <inttypes.h>

#define SYNC_AGAIN_MS 300		/* a question without an answer is asked of another */
#define SYNC_PARTITIONS PARTITIONS

/* what was decided */

/* A group that was forced leaves another behind; one of a single node gives itself up. */
static bool takes_over(const struct layout *layout)
{
	return sim.newest.epoch == 0 || layout->left_lineage == sim.newest.lineage ||
	       (layout_is_solo(&sim.newest) &&
		(!layout_is_solo(layout) || layout->members[0].id < sim.newest.members[0].id));
}

/* At most one layout per epoch, and a single one only after its homes know all. */
void change_used(const struct layout *layout)
{
	const struct layout *before = NULL;
	bool known = false;

	for (size_t i = 0; i < sim.decided_count; i++) {
		if (sim.decided[i].lineage != layout->lineage)
			continue;
		known = true;
		if (sim.decided[i].epoch == layout->epoch) {
			if (!layout_eq(&sim.decided[i], layout))	/* covey layout shows it */
				fail("invariant 5: two layouts of epoch %" PRIu64, layout->epoch);
			return;
		}
		if (sim.decided[i].epoch == layout->epoch - 1)
			before = &sim.decided[i];
	}
	sim.decided = mem_resize(sim.decided, sim.decided_count + 1, sizeof *sim.decided);
	sim.decided[sim.decided_count++] = *layout;
	sim.lineages += !known;
	if (layout->lineage == sim.newest.lineage ? layout->epoch > sim.newest.epoch :
						    takes_over(layout))
		sim.newest = *layout;
	sim.decided_at = sim.now;
	say("epoch %" PRIu64 " is decided: %zu in A, %zu in B", layout->epoch,
	    layout_members(layout, LAYOUT_A), layout_members(layout, LAYOUT_B));
	for (size_t i = 0; i < layout->count; i++)
		say("	%" PRIu64 " in %u", layout->members[i].id, layout->members[i].sets);
	if (before != NULL && !layout_is_joint(layout)) {
		judge_single(layout);
		if (sim.profile.changes == BY_COUNCIL)
			council_changed();
	}
}

/* Some machines, by chance; enough of them to lose one, where one may lose its disk. */
static void choose_members(struct layout *layout, uint8_t set)
{
	size_t least = sim.profile.losses > 0 || sim.profile.copies ? 3 : 1;
	uint64_t who = rnd();

	for (int i = sim.profile.machines; i-- > 0;) {
		uint64_t id = sim.machines[i].disk.id;
		const struct layout_member *was = layout_find(layout, id);
		uint8_t sets = was != NULL ? was->sets : 0;
		bool needed = (size_t)i < least && layout_members(layout, set) < least;

		if (id != 0 && (needed || who >> i & 1))
			layout_put(layout, id, sets | set, 1, "");
	}
}

static void keep_set(struct layout *layout, uint8_t set)
{
	for (size_t i = layout->count; i-- > 0;) {
		struct layout_member *member = &layout->members[i];

		if (member->sets & set)
			member->sets = LAYOUT_A;
		else
			layout_remove(layout, member->id);
	}
	layout->epoch++;
	layout_seat(layout);
}

static bool is_synced(uint64_t id, uint64_t epoch)
{
	const struct machine *machine = machine_of(id);

	return machine != NULL && machine->synced == epoch;
}

/* A majority of B's homes of each partition has all there was. */
static bool may_follow(const struct layout *layout)
{
	for (int p = 0; p < PATHS; p++) {
		struct layout_order homes;
		size_t synced = 0;

		layout_homes(layout, LAYOUT_B, path_partition(sim_paths[p]), &homes);
		for (size_t i = 0; i < homes.count; i++)
			synced += is_synced(homes.ids[i], layout->epoch);
		if (synced <= homes.count / 2)
			return false;
	}
	return true;
}

static bool has_lost_members(const struct layout *layout)
{
	for (size_t i = 0; i < layout->count; i++)
		if (machine_of(layout->members[i].id) == NULL)
			return true;
	return false;
}

static void decide_next(void)
{
	struct layout next = sim.newest;

	if (!layout_is_joint(&next)) {
		if (sim.calm && !has_lost_members(&next))
			return;
		choose_members(&next, LAYOUT_B);
		next.epoch++;
		layout_seat(&next);
	} else if (may_follow(&next)) {
		keep_set(&next, LAYOUT_B);
	} else if (sim.now > sim.decided_at + 3000 || (!sim.calm && below(30) == 0)) {
		keep_set(&next, LAYOUT_A);
	} else {
		return;
	}
	change_used(&next);
}

/* Some member of the council has it decided, and is the first to know. */
static void council_meets(struct event *event)
{
	struct machine *machine = &sim.machines[below((uint64_t)sim.profile.machines)];

	(void)event;
	decide_next();
	if (machine->up && machine->slow_until <= sim.now)
		machine_adopt(machine, &sim.newest);
	schedule(new_event(sizeof(struct event)), 1 + below(300), -1, council_meets);
}

/* content follows: from who leaves before it goes, and in the end wherever it lacks */

static void keep(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];
	const struct layout *layout = &machine->home.layout;
	const struct layout_member *self = layout_find(layout, machine->disk.id);
	bool leaves = layout_is_joint(layout) && self != NULL && !(self->sets & LAYOUT_B);

	if ((leaves || sim.calm) && client_keep(machine) && leaves &&
	    machine->synced != layout->epoch) {
		machine->synced = layout->epoch;
		if (machine->discovery != NULL)
			council_synced(machine, layout->epoch);
	}
	schedule(new_event(sizeof(struct event)), 300, machine->index, keep);
}

/* how they spread */

static void tell_layout(struct machine *machine, int to)
{
	post(machine->index, to,
	     new_packet(NOTE_LAYOUT, &machine->disk.layout, sizeof machine->disk.layout));
}

static void gossip(struct event *event)
{
	struct machine *machine = &sim.machines[below((uint64_t)sim.profile.machines)];
	int to = (int)below((uint64_t)sim.profile.machines);

	(void)event;
	if (machine->up && machine->slow_until <= sim.now && to != machine->index)
		tell_layout(machine, to);
	schedule(new_event(sizeof(struct event)), below(sim.calm ? 20 : 200), -1, gossip);
}

void change_want(struct machine *machine, int from)
{
	if (machine->discovery != NULL) {
		council_fetch(machine, from);
		return;
	}
	post(machine->index, from, new_packet(NOTE_WANT, NULL, 0));
}

static void begin_by_fiat(void)
{
	struct layout layout = { .lineage = LINEAGE, .epoch = 1, .homes = 3, .copies = 2,
				 .keep_versions = 100 };

	for (int i = 0; i < sim.profile.members; i++)
		layout_put(&layout, sim.machines[i].disk.id, LAYOUT_A, 1, "");
	layout_seat(&layout);
	change_used(&layout);
	for (int i = 0; i < sim.profile.machines; i++)
		machine_adopt(&sim.machines[i], &layout);
	schedule(new_event(sizeof(struct event)), 1, -1, gossip);
	if (sim.profile.changes == BY_FIAT)
		schedule(new_event(sizeof(struct event)), below(500), -1, council_meets);
}

void change_begin(void)
{
	if (sim.profile.changes == BY_COUNCIL)
		council_begin();
	else
		begin_by_fiat();
}

/* sync: the plan is resync.h's */

static void ask_again(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];
	struct packet *asked = (struct packet *)event;

	if (machine->sync_token != asked->token)
		return;
	resync_failed(machine->resync, machine->sync_peer, machine->sync_asked, machine->sync_count);
	resync_back(machine->resync, machine->sync_peer);
	machine->sync_token = 0;
	change_sync(machine);
}

static struct packet *bulk_packet(enum note note, const struct bulk *bulk)
{
	struct buf plain = BUF_INIT;
	struct packet *packet;

	bulk_pack(&plain, bulk);
	packet = new_packet(note, plain.data, plain.len);
	buf_clear(&plain);
	return packet;
}

static void ask_peer(struct machine *machine)
{
	struct bulk question = { .group = GROUP, .sender = machine->disk.id,
				 .receiver = machine->sync_peer, .id = machine->sync_token,
				 .lineage = machine->resync->layout.lineage,
				 .epoch = machine->resync->layout.epoch, .type = BULK_SYNC };
	struct packet *timer = new_packet(NOTE_COUNT, NULL, 0);

	timer->token = machine->sync_token;
	machine->sync_question = question;
	question.body = (struct str){ (const char *)machine->sync_asked,
				      machine->sync_count * sizeof *machine->sync_asked };
	send_to(machine, machine->sync_peer, bulk_packet(NOTE_SYNC, &question));
	schedule(&timer->event, SYNC_AGAIN_MS, machine->index, ask_again);
}

static void note_synced(struct machine *machine)
{
	uint64_t epoch = resync_synced(machine->resync);

	if (epoch != 0 && epoch == machine->disk.layout.epoch && machine->synced != epoch) {
		machine->synced = epoch;
		if (machine->discovery != NULL)
			council_synced(machine, epoch);
		say("%d is synced for epoch %" PRIu64, machine->index, epoch);
	}
}

void change_sync(struct machine *machine)
{
	uint64_t id;

	if (machine->resync == NULL || machine->sync_token != 0)
		return;
	note_synced(machine);
	machine->sync_count = resync_next(machine->resync, &id, machine->sync_asked, SYNC_PARTITIONS);
	if (machine->sync_count == 0)
		return;
	machine->sync_peer = id;
	machine->sync_token = rnd();
	ask_peer(machine);
}

void change_live(struct machine *machine)
{
	schedule(new_event(sizeof(struct event)), below(300), machine->index, keep);
}

void change_started(struct machine *machine)
{
	if (machine->disk.layout.epoch == 0)
		return;
	if (machine->resync == NULL) {
		machine->resync = mem_new(1, sizeof *machine->resync);
		machine->sync_asked = mem_new(SYNC_PARTITIONS, sizeof *machine->sync_asked);
	}
	machine->sync_token = 0;
	resync_begin(machine->resync, &machine->disk.layout, machine->disk.id);
	change_sync(machine);
}

static bool is_asked(struct str partitions, int path)
{
	uint16_t partition;

	for (size_t at = 0; at + sizeof partition <= partitions.n; at += sizeof partition) {
		memcpy(&partition, partitions.s + at, sizeof partition);
		if (partition == path_partition(sim_paths[path]))
			return true;
	}
	return false;
}

static void answer_sync(struct machine *machine, const struct packet *packet,
			const struct bulk *question)
{
	struct kept *rows = mem_new(machine->disk.kept_count + 1, sizeof *rows);
	struct bulk answer = bulk_answer(question);
	size_t count = 0;

	for (size_t i = 0; i < machine->disk.kept_count; i++)
		if (is_asked(question->body, machine->disk.kept[i].path))
			rows[count++] = machine->disk.kept[i];
	answer.group = GROUP;
	answer.lineage = machine->disk.layout.lineage;
	answer.epoch = machine->disk.layout.epoch;
	answer.type = BULK_SYNCED;
	answer.body = (struct str){ (const char *)rows, count * sizeof *rows };
	reply_to(machine, packet, bulk_packet(NOTE_SYNCED, &answer));
	free(rows);
}

/* A home answers at its own epoch alone. */
static void asked_to_sync(struct machine *machine, const struct packet *packet)
{
	struct bulk question;

	if (bulk_unpack((struct str){ packet->bytes, packet->n }, machine->disk.id,
			&question) < 0)
		return;
	if (question.lineage == machine->disk.layout.lineage &&
	    question.epoch == machine->disk.layout.epoch && !machine->cannot_tell &&
	    !machine->silent)
		answer_sync(machine, packet, &question);
	else if (question.epoch > machine->disk.layout.epoch)
		change_want(machine, packet->from);
	else if (machine->discovery == NULL)
		tell_layout(machine, packet->from);
}

static void sync_complete(struct machine *machine)
{
	machine->sync_token = 0;
	for (size_t i = 0; i < machine->sync_count; i++)
		resync_done(machine->resync, machine->sync_peer, machine->sync_asked[i]);
	change_sync(machine);
}

static void row_written(struct writing *writing)
{
	struct machine *machine = &sim.machines[writing->event.machine];

	if (machine->sync_token == writing->token && --machine->sync_rows == 0)
		sync_complete(machine);
}

/* The partitions are done when all rows are on disk. */
static void take_rows(struct machine *machine, const struct packet *packet)
{
	struct bulk answer;

	if (machine->sync_token == 0 ||
	    bulk_unpack((struct str){ packet->bytes, packet->n }, machine->disk.id,
			&answer) < 0 ||
	    bulk_judge(&machine->sync_question, &answer) != BULK_COUNTS)
		return;
	machine->sync_question.id = 0;
	machine->sync_token = rnd();
	machine->sync_rows = 0;
	for (size_t at = 0; at + sizeof(struct kept) <= answer.body.n; at += sizeof(struct kept)) {
		struct writing *writing;
		struct kept row;

		memcpy(&row, answer.body.s + at, sizeof row);
		if (disk_find(&machine->disk, row.path, row.record.version) != NULL)
			continue;
		writing = new_writing(row.path, &row.record, false);
		writing->token = machine->sync_token;
		writing->done = row_written;
		machine->sync_rows++;
		disk_write(machine, writing);
	}
	if (machine->sync_rows == 0)
		sync_complete(machine);
}

void change_receive(struct machine *machine, struct packet *packet)
{
	struct layout layout;

	if (packet->note == NOTE_WANT) {
		tell_layout(machine, packet->from);
	} else if (packet->note == NOTE_LAYOUT) {
		memcpy(&layout, packet->bytes, sizeof layout);
		if (layout.epoch != 0)
			machine_adopt(machine, &layout);
	} else if (packet->note == NOTE_SYNC) {
		asked_to_sync(machine, packet);
	} else if (packet->note == NOTE_SYNCED) {
		take_rows(machine, packet);
	}
}
