/* client - GET, PUT and DELETE as covey-httpd does them */
#include "client.h"

#include "container.h"
#include "mem.h"

#define PULL_MS 400
#define PUSH_MS 60			/* then the next keeper, too */
#define STORE_MS 1000

struct op *op_find(struct machine *machine, uint64_t token)
{
	struct op *op = machine->ops;

	while (op != NULL && op->token != token)
		op = op->next;
	return op;
}

struct op *op_new(struct machine *machine, enum kind kind, int path)
{
	struct op *op = mem_new(1, sizeof *op);

	op->machine = machine;
	op->kind = kind;
	op->path = path;
	op->token = rnd();
	op->next = machine->ops;
	machine->ops = op;
	return op;
}

void op_free(struct op *op)
{
	struct op **p = &op->machine->ops;

	while (*p != op)
		p = &(*p)->next;
	*p = op->next;
	check_cancel(&op->check);
	storing_cancel(&op->store);
	list_free(op);
	free(op);
}

/* The machine has crashed: what was under way is forgotten, the asker is cleared. */
void client_drop_all(struct machine *machine)
{
	while (machine->ops != NULL) {
		struct op *op = machine->ops;

		machine->ops = op->next;
		list_free(op);
		free(op);
	}
}

static void give_up(struct op *op)
{
	if (op->kind != DRAIN)
		history_unknown(op->deed);
	op_free(op);
}

struct timer_event {
	struct event event;
	uint64_t token;
	void (*fire)(struct op *);
};

static void fired(struct event *event)
{
	struct timer_event *timer = (struct timer_event *)event;
	struct op *op = op_find(&sim.machines[event->machine], timer->token);

	if (op != NULL)
		timer->fire(op);
	machine_arm(&sim.machines[event->machine]);
}

void op_after(struct op *op, uint64_t ms, void (*fire)(struct op *))
{
	struct timer_event *timer = new_event(sizeof *timer);

	timer->token = op->token;
	timer->fire = fire;
	schedule(&timer->event, ms, op->machine->index, fired);
}

static void begin_check(struct op *op, enum check_purpose purpose, struct version version);

void op_tell(enum note note, struct op *op, uint64_t to)
{
	struct packet *packet = new_packet(note, NULL, 0);

	packet->token = op->token;
	packet->path = op->path;
	packet->record = op->record;
	send_to(op->machine, to, packet);
}

bool op_has(const struct op *op, uint64_t id)
{
	for (size_t i = 0; i < op->have_count; i++)
		if (op->have[i] == id)
			return true;
	return false;
}

void op_credit(struct op *op, uint64_t id)
{
	if (!op_has(op, id) && op->have_count < HAVE_MAX)
		op->have[op->have_count++] = id;
}

void op_store(struct op *op, void (*done)(struct store_wait *, const struct store_answer *))
{
	struct store_ask ask = { .path = sim_paths[op->path], .record = op->record,
				 .type = STR("") };

	op->store.done = done;
	storing_start(&op->machine->asker, &op->store, &ask, sim.now);
	machine_arm(op->machine);
}

/* Of the path's kind. */
static const struct record *newest_of(const struct op *op, const struct newest_answer *answer)
{
	return op->path >= DIRECTORY_PATH ? &answer->entry : &answer->record;
}

/* A directory stands there; or the file is below its end, which says nothing about what is newest. */
static bool is_hidden(const struct op *op, const struct newest_answer *answer)
{
	if (op->kind == PUT)
		return record_is_live(&answer->entry);
	return record_is_live(&answer->entry) ||
	       (!version_is_none(answer->entry.version) &&
		version_cmp(answer->record.version, answer->entry.version) <= 0);
}

/* GET */

static void read_stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct op *op = CONTAINER_OF(wait, struct op, store);

	if (answer->confirmed)
		history_confirmed(op->deed, op->record.version);
	else if (!answer->last)
		return;
	op_free(op);
}

/* If every home has answered, what could not be had was never confirmed. */
static void pull_failed(struct op *op)
{
	if (op->go_below)
		begin_check(op, CHECK_BELOW, op->record.version);
	else
		give_up(op);
}

/* Unsettled: the content is here now, so the record may go to the homes. */
void client_content_is_here(struct writing *writing)
{
	struct op *op = op_find(&sim.machines[writing->event.machine], writing->token);

	if (op == NULL)
		return;
	if (op->read_back) {
		op->kind = GET;
		op->token = rnd();	/* the pull's timer is none of its business any more */
		op_store(op, read_stored);
		return;
	}
	history_confirmed(op->deed, op->record.version);
	op_free(op);
}

static void ask_for_content(struct op *op, const struct newest_answer *answer)
{
	for (size_t i = 0; i < answer->holder_count; i++)
		op_tell(NOTE_PULL, op, answer->holders[i]);
	for (int i = 0; i < sim.profile.machines; i++)
		if (answer->holder_count == 0 || chance(20))
			op_tell(NOTE_PULL, op, sim.machines[i].disk.id);
	op_after(op, PULL_MS, pull_failed);
}

static bool is_here(const struct op *op)
{
	const struct kept *kept = disk_find(&op->machine->disk, op->path, op->record.version);

	return !record_has_content(&op->record) || (kept != NULL && kept->content);
}

static bool asked_all(const struct newest_answer *answer)
{
	return answer->counts.homes > 0 && answer->counts.homes_answered == answer->counts.homes;
}

static void read_checked(struct check_wait *wait, const struct check_result *result)
{
	struct op *op = CONTAINER_OF(wait, struct op, check);
	const struct newest_answer *answer = &result->answer;

	MUST("4", answer->epoch == op->machine->home.layout.epoch);
	op->record = *newest_of(op, answer);
	if (answer->certainty == CERTAINTY_UNCONFIRMED ||
	    (op->path == KIND_FILE && is_hidden(op, answer))) {
		give_up(op);
	} else if (answer->certainty == CERTAINTY_UNDECIDED) {
		op->read_back = true;
		op->go_below = asked_all(answer);
		ask_for_content(op, answer);
	} else if (version_is_none(op->record.version) || !record_has_content(&op->record) ||
		   is_here(op)) {
		history_confirmed(op->deed, op->record.version);
		op_free(op);
	} else {
		op->read_back = op->go_below = false;
		ask_for_content(op, answer);
	}
}

static void begin_check(struct op *op, enum check_purpose purpose, struct version version)
{
	check_start(&op->machine->asker, &op->check, sim_paths[op->path], purpose, version, sim.now);
	machine_arm(op->machine);
}

/* PUT and DELETE */

void client_maybe_confirm(struct op *op)
{
	bool safe = !record_has_content(&op->record) ||
		    op->have_count >= layout_copies(&op->machine->home.layout);

	if (!op->checked || !op->settled || !safe)
		return;
	if (record_has_content(&op->record))
		MUST("7", fact_copies(op->path, &op->record) >=
				  layout_copies(&op->machine->home.layout));
	history_confirmed(op->deed, op->record.version);
	op_free(op);
}

static void write_stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct op *op = CONTAINER_OF(wait, struct op, store);

	op->settled = op->settled || answer->confirmed;
	client_maybe_confirm(op);
}

static void push_more(struct op *op);

/* To the first keeper that has not got it, and then to the next beside it. */
static void push(struct op *op)
{
	struct layout_order keepers;

	layout_keepers(&op->machine->home.layout, sim_paths[op->path], &keepers);
	for (size_t i = 0; i < keepers.count; i++) {
		if (op_has(op, keepers.ids[i]))
			continue;
		op_tell(NOTE_PUSH, op, keepers.ids[i]);
		if (chance(70))
			break;
	}
	op_after(op, PUSH_MS, push_more);
}

static void push_more(struct op *op)
{
	if (op->have_count < layout_copies(&op->machine->home.layout))
		push(op);
}

static struct record record_of(struct version version, int path, bool deleted)
{
	struct record record = { .version = version };

	if (path >= DIRECTORY_PATH)
		record.flags |= RECORD_DIRECTORY;
	if (deleted)
		record.flags |= RECORD_DELETED;
	if (record.flags == 0) {
		record.size = 1 + version.time % 1000;
		memset(record.sha256, 1 + (int)(version.time % 255), sizeof record.sha256);
	}
	return record;
}

/* The lowest clock that a majority of right clocks could have, or one above all that is known. */
static void judge_time(const struct op *op, struct version above, uint64_t time)
{
	uint64_t latest = 0;

	for (int i = 0; i < sim.profile.machines; i++)
		if (wall_of(&sim.machines[i]) > latest)
			latest = wall_of(&sim.machines[i]);
	MUST("12", time <= latest || time == above.time + 1 || time == op->clock);
}

/* Under the lock: above all that is known here and that the homes told. */
static void choose(struct writing *writing)
{
	struct machine *machine = &sim.machines[writing->event.machine];
	struct op *op = op_find(machine, writing->token);
	const struct kept *newest = disk_newest(&machine->disk, writing->path);
	struct version above = op->above, version = { op->clock, machine->disk.id, 0 };

	if (newest != NULL && version_cmp(newest->record.version, above) > 0)
		above = newest->record.version;
	above = disk_above_other(&machine->disk, writing->path, above);
	if (version.time <= above.time)
		version.time = above.time + 1;
	judge_time(op, above, version.time);
	writing->record = record_of(version, writing->path, op->kind == DELETE);
	writing->record.flags |= op->checked ? 0 : RECORD_BLIND;
	fact_chosen(machine->index, writing->path, &writing->record);
	history_version(op->deed, version);
}

static void write_late(struct op *op)
{
	give_up(op);
}

static void write_committed(struct writing *writing)
{
	struct op *op = op_find(&sim.machines[writing->event.machine], writing->token);

	if (op == NULL)
		return;
	op->record = writing->record;
	op->committed = true;
	op_credit(op, op->machine->disk.id);
	if (record_has_content(&op->record))
		push(op);
	op_after(op, STORE_MS, write_late);
	op_store(op, write_stored);
}

/* 409, before anything is stored: the other kind stands there. */
static bool is_refused(const struct op *op, const struct newest_answer *answer)
{
	if (op->path == KIND_FILE)
		return is_hidden(op, answer);
	return op->kind == MAKE &&
	       record_name_kind(&answer->record, &answer->entry) == NAME_FILE;
}

static void write_checked(struct check_wait *wait, const struct check_result *result)
{
	struct op *op = CONTAINER_OF(wait, struct op, check);
	const struct newest_answer *answer = &result->answer;
	struct writing *writing;

	op->checked = answer->certainty == CERTAINTY_CONFIRMED;
	op->clock = op->checked ? answer->clock : wall_of(op->machine);
	op->above = answer->record.version;
	if (version_cmp(answer->entry.version, op->above) > 0)
		op->above = answer->entry.version;
	if (is_refused(op, answer)) {
		give_up(op);
		return;
	}
	if (op->kind == MAKE && op->checked && record_is_live(&answer->entry)) {
		history_was_read(op->deed);	/* 204: it is there */
		history_confirmed(op->deed, answer->entry.version);
		op_free(op);
		return;
	}
	if (op->kind == DELETE && op->checked && !record_is_live(newest_of(op, answer))) {
		history_was_read(op->deed);	/* 404: a confirmed read says so */
		op->kind = GET;
		op->check.done = read_checked;
		begin_check(op, CHECK_READ, VERSION_NONE);
		return;
	}
	writing = new_writing(op->path, NULL, op->kind == PUT);
	writing->choose = choose;
	writing->outbox = true;
	writing->token = op->token;
	writing->done = write_committed;
	disk_write(op->machine, writing);
}

/* clients */

/* In schedules of one directory mostly it, and two files in it. */
static int path_for(enum kind kind)
{
	static const int listed[] = { ROOT, KIND_DIRECTORY, KIND_DIRECTORY, 6, 7 };
	bool of_one = sim.kind == 'd' && chance(70);
	int path = (int)below(DIRECTORY_PATH);

	if (kind == INDEX)
		return of_one ? KIND_DIRECTORY : listed[below(5)];
	if (kind == MAKE || kind == REMOVE)
		return of_one ? KIND_DIRECTORY : DIRECTORY_PATH + (int)below(GATE_PATH - DIRECTORY_PATH);
	if (of_one)
		return 1 + path % 2;
	return path > 1 && chance(50) ? path % 2 : path;	/* where they meet */
}

static void begin_op(struct machine *machine, enum kind kind, int path)
{
	struct op *op = op_new(machine, kind, path);

	op->began = history_now();
	if (kind == INDEX) {
		list_index(op);
		return;
	}
	op->deed = history_begin(machine->index, op->path,
				 kind == PUT || kind == DELETE || kind == MAKE || kind == REMOVE);
	if (kind == VERSIONS) {
		list_versions(op);
	} else if (kind == REMOVE) {
		list_rmdir(op);
	} else {
		op->check.done = kind == GET ? read_checked : write_checked;
		begin_check(op, kind == GET ? CHECK_READ : CHECK_WRITE, VERSION_NONE);
	}
}

static void somebody_asks(struct event *event)
{
	static const enum kind kinds[] = { GET, GET, GET, GET, GET, GET, PUT, PUT, PUT, PUT, DELETE,
					   DELETE, DELETE, MAKE, REMOVE, REMOVE, INDEX, INDEX, VERSIONS,
					   REMOVE, REMOVE, REMOVE };	/* of one directory */
	size_t count = sizeof kinds / sizeof kinds[0] - (sim.kind == 'd' ? 0 : 3);
	struct machine *machine = &sim.machines[below((uint64_t)sim.profile.machines)];
	enum kind kind;

	(void)event;
	if (sim.quiet)
		return;
	schedule(new_event(sizeof(struct event)), below(2 * sim.profile.ops + 1), -1, somebody_asks);
	if (!machine->up || machine->slow_until > sim.now ||
	    (sim.asked != 0 && !(sim.asked >> machine->index & 1)))
		return;
	kind = kinds[below(count)];
	/* who is one node with another is only read from: its versions might be the other's, too */
	if (machine != machine_of(machine->disk.id))
		kind = GET;
	begin_op(machine, kind, path_for(kind));
}

static void read_all(struct event *event)
{
	struct machine *machine = &sim.machines[event->machine];

	for (int path = 0; path < DIRECTORY_PATH && !sim.quiet; path++)
		begin_op(machine, GET, path);
}

void clients_read(void)
{
	for (int i = 0; i < sim.profile.machines; i++)
		if (sim.machines[i].up)
			for (int n = 0; n < 3; n++)
				schedule(new_event(sizeof(struct event)), below(n == 0 ? 40 : 400), i, read_all);
}

void clients_begin(void)
{
	schedule(new_event(sizeof(struct event)), 1, -1, somebody_asks);
}
