/* outbox - what is repeated until all have it, and content on its way */
#include "client.h"

#include "container.h"

/* the outbox: until every home has it, and every keeper the content */

static bool keepers_have(const struct op *op)
{
	const struct layout *layout = &op->machine->home.layout;
	size_t copies = layout_copies(layout);
	struct layout_order keepers;

	if (!record_has_content(&op->record) || op->pointer)
		return true;
	layout_keepers(layout, sim_paths[op->path], &keepers);
	for (size_t i = 0; i < copies; i++)
		if (!op_has(op, keepers.ids[i]))
			return false;
	return layout->epoch != 0;
}

static void drain_over(struct op *op)
{
	say("%d: drained %d: all %d, keepers %d", op->machine->index, op->path, op->settled,
	    keepers_have(op));
	if (op->settled && keepers_have(op))
		outbox_remove(&op->machine->disk, op->path, op->record.version);
	op_free(op);
}

static void drain_stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct op *op = CONTAINER_OF(wait, struct op, store);

	if (!answer->last)
		return;
	op->settled = answer->all;
	op_after(op, 200 + below(300), drain_over);
}

static void drain_one(struct machine *machine, const struct entry *entry)
{
	const struct kept *kept = disk_find(&machine->disk, entry->path, entry->version);
	struct layout_order keepers;
	struct op *op;

	MUST("13", kept != NULL);
	if (kept == NULL)
		return;
	op = op_new(machine, DRAIN, entry->path);
	op->record = kept->record;
	op->pointer = !kept->content;
	op_credit(op, machine->disk.id);
	layout_keepers(&machine->home.layout, sim_paths[op->path], &keepers);
	for (size_t i = 0; kept->content && i < layout_copies(&machine->home.layout); i++)
		if (!op_has(op, keepers.ids[i]))
			op_tell(NOTE_PUSH, op, keepers.ids[i]);
	op_store(op, drain_stored);
}

static bool is_draining(const struct machine *machine)
{
	for (const struct op *op = machine->ops; op != NULL; op = op->next)
		if (op->kind == DRAIN)
			return true;
	return false;
}

static void drain(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];

	if (!is_draining(machine))
		for (size_t i = 0; i < machine->disk.outbox_count && i < 8; i++)
			drain_one(machine, &machine->disk.outbox[i]);
	client_drain(machine);
}

void client_drain(struct machine *machine)
{
	schedule(new_event(sizeof(struct event)), 100 + below(900), machine->index, drain);
}

/* directories that versiond makes */

static void choose_entry(struct writing *writing)
{
	struct machine *machine = &sim.machines[writing->event.machine];

	writing->record.version = (struct version){ writing->clock, machine->disk.id, 0 };
	writing->record.flags = RECORD_DIRECTORY;
	fact_chosen(machine->index, writing->path, &writing->record);
	history_version(history_begin(machine->index, writing->path, true),
			writing->record.version);	/* nobody is told */
}

/* More is known here by now than was read. */
static bool is_overtaken(const struct writing *writing)
{
	const struct disk *disk = &sim.machines[writing->event.machine].disk;
	struct version known = disk_above_other(disk, writing->path, writing->above);

	return version_cmp(known, writing->above) > 0;
}

static void entry_made(struct writing *writing)
{
	struct machine *machine = &sim.machines[writing->event.machine];
	const struct kept *newest = disk_newest(&machine->disk, writing->path);
	bool stands = newest != NULL && record_is_live(&newest->record) &&
		      version_cmp(newest->record.version, writing->above) > 0;

	asker_made(&machine->asker, writing->token, stands ? &newest->record : NULL, sim.now);
	machine_arm(machine);
}

void client_make(void *data, uint64_t id, const struct make_ask *ask)
{
	struct writing *writing = new_writing(path_index(ask->path, NULL), NULL, false);

	writing->above = ask->above;
	writing->clock = ask->time;
	writing->refused = is_overtaken;
	writing->choose = choose_entry;
	writing->outbox = true;
	writing->token = id;
	writing->done = entry_made;
	disk_write(data, writing);
}

/* The outbox has it, and is drained here all the same. */
void client_made_end(void *data, uint64_t id, bool everywhere)
{
	(void)data;
	(void)id;
	(void)everywhere;
}

/* KEEP: content to its keepers, from who leaves, and when there is time */

/* True: all keepers have it already. */
static bool keep_at_keepers(struct machine *machine, const struct kept *kept)
{
	const struct layout *layout = &machine->home.layout;
	struct layout_order keepers;
	bool all = true;

	layout_keepers(layout, sim_paths[kept->path], &keepers);
	for (size_t i = 0; i < layout_copies(layout); i++) {
		struct machine *keeper = machine_of(keepers.ids[i]);
		const struct kept *there;
		struct packet *packet;

		if (keeper == NULL || keeper == machine)
			continue;
		there = disk_find(&keeper->disk, kept->path, kept->record.version);
		if (there != NULL && there->content)
			continue;
		all = false;
		packet = new_packet(NOTE_PUSH, NULL, 0);
		packet->path = kept->path;
		packet->record = kept->record;
		send_to(machine, keepers.ids[i], packet);
	}
	return all;
}

bool client_keep(struct machine *machine)
{
	bool all = true;

	for (size_t i = 0; i < machine->disk.kept_count; i++)
		if (machine->disk.kept[i].content && !keep_at_keepers(machine, &machine->disk.kept[i]))
			all = false;
	return all;
}

/* what comes */

static void have_pushed(struct writing *writing)
{
	struct packet *packet = new_packet(NOTE_HAVE, NULL, 0);

	packet->token = writing->token;
	packet->receiver = writing->asker;
	packet->sender = sim.machines[writing->event.machine].disk.id;
	post(writing->event.machine, writing->from, packet);
}

static void take_content(struct machine *machine, const struct packet *packet,
			 void (*done)(struct writing *))
{
	struct writing *writing = new_writing(packet->path, &packet->record, true);

	writing->token = packet->token;
	writing->from = packet->from;
	writing->asker = packet->sender;
	writing->done = done;
	disk_write(machine, writing);
}

static void give_content(struct machine *machine, const struct packet *packet)
{
	const struct kept *kept = disk_find(&machine->disk, packet->path, packet->record.version);
	struct packet *reply;

	if (kept == NULL || !kept->content)
		return;
	reply = new_packet(NOTE_CONTENT, NULL, 0);
	reply->token = packet->token;
	reply->path = packet->path;
	reply->record = kept->record;
	reply_to(machine, packet, reply);
}

static void has_it(struct machine *machine, const struct packet *packet)
{
	struct op *op = op_find(machine, packet->token);

	if (op == NULL)
		return;
	op_credit(op, packet->sender);
	if (op->kind != DRAIN)
		client_maybe_confirm(op);
}

void client_receive(struct machine *machine, struct packet *packet)
{
	if (packet->note == NOTE_PULL)
		give_content(machine, packet);
	else if (packet->note == NOTE_PUSH)
		take_content(machine, packet, have_pushed);
	else if (packet->note == NOTE_HAVE)
		has_it(machine, packet);
	else if (op_find(machine, packet->token) != NULL)
		take_content(machine, packet, client_content_is_here);
}
