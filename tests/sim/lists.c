/*
 * lists - indexes and histories, and what is made and removed by them: directories
 *
 * Whose answer counts, what is merged of them and what the rest asks for is
 * merge.h's; what a home tells of itself, the rounds of asking and the five
 * steps of rmdir are what covey-httpd and covey-syncd do.
 */
#include "client.h"

#include "container.h"
#include "mem.h"

#define LIST_MS 600
#define ROWS_MAX 256
#define TRIES_MAX 5

/* Sorted by their names, as an index is. */
static const int below_root[] = { 0, KIND_DIRECTORY, 6, -1 }, below_d[] = { 1, 2, -1 },
		 below_e[] = { 7, -1 }, below_f[] = { 3, -1 };

static const int *children_of(int directory)
{
	static const int *const children[] = { below_d, below_e, below_f };

	return directory == ROOT ? below_root : children[directory - DIRECTORY_PATH];
}

int path_above(int path)
{
	static const int above[PATHS] = { ROOT, 5, 5, 7, ROOT, ROOT, ROOT, 6, ROOT, ROOT, 6 };

	return above[path];
}

int gate_of(int directory)
{
	return directory + GATE_PATH - DIRECTORY_PATH;
}

int directory_of(int gate)
{
	return gate - GATE_PATH + DIRECTORY_PATH;
}

static bool stands(const struct disk *disk, int path)
{
	const struct kept *newest = disk_newest(disk, path);

	return newest != NULL && record_is_live(&newest->record);
}

int child_standing(const struct disk *disk, int directory, int after)
{
	for (const int *p = children_of(directory); *p != -1; p++)
		if (*p > after && stands(disk, *p))
			return *p;
	return -1;
}

bool is_below(int path, int directory)
{
	for (; path != ROOT; path = path_above(path))
		if (path_above(path) == directory)
			return true;
	return false;
}

static struct str name_of(int path)
{
	return path_name(sim_paths[path]);
}

/* what this node's disk tells */

static struct version newest_version(const struct disk *disk, int path)
{
	const struct kept *newest = disk_newest(disk, path);

	return newest != NULL ? newest->record.version : VERSION_NONE;
}

static struct version gate_here(const struct disk *disk, int directory)
{
	return directory == ROOT ? VERSION_NONE : newest_version(disk, gate_of(directory));
}

static void add_names(struct buf *text, const struct disk *disk, int directory)
{
	static const struct record none;

	for (const int *p = children_of(directory); *p != -1; p++) {
		const struct kept *newest = disk_newest(disk, *p);
		const struct record *record = newest != NULL ? &newest->record : &none;
		bool entry = *p >= DIRECTORY_PATH;

		if (*p == KIND_DIRECTORY && disk_newest(disk, KIND_FILE) != NULL)
			listing_text_registers(text, name_of(*p), &disk_newest(disk, KIND_FILE)->record,
					       record);
		else
			listing_text_registers(text, name_of(*p), entry ? &none : record,
					       entry ? record : &none);
	}
}

static int newest_first(const void *a, const void *b)
{
	const struct kept *const *x = a, *const *y = b;

	return version_cmp((*y)->record.version, (*x)->record.version);
}

static void add_versions(struct buf *text, const struct disk *disk, int path)
{
	const struct kept **all = mem_new(disk->kept_count + 1, sizeof *all);
	size_t count = 0;

	for (size_t i = 0; i < disk->kept_count; i++)
		if (disk->kept[i].path == path)
			all[count++] = &disk->kept[i];
	qsort(all, count, sizeof *all, newest_first);
	for (size_t i = 0; i < count; i++) {
		struct history_row row = { .record = all[i]->record, .type = STR(""),
					   .here = all[i]->content };

		listing_text_version(text, &row);
	}
	free(all);
}

static void add_all(struct buf *text, const struct disk *disk, int path, bool versions)
{
	if (versions)
		add_versions(text, disk, path);
	else
		add_names(text, disk, path);
}

/* A home answers by the layout that it has before and after, which is the asker's. */
static void tell_list(struct machine *machine, const struct packet *asked)
{
	bool versions = asked->note == NOTE_HISTORY;
	struct buf text = BUF_INIT;
	struct packet *reply;

	if (machine->cannot_tell || machine->silent || asked->epoch != machine->disk.layout.epoch ||
	    asked->lineage != machine->disk.layout.lineage)
		return;
	add_all(&text, &machine->disk, asked->path, versions);
	reply = new_packet(NOTE_LISTED, text.data, text.len);
	reply->token = asked->token;
	reply->epoch = asked->epoch;
	if (!versions)
		reply->record.version = gate_here(&machine->disk, asked->path);
	reply_to(machine, asked, reply);
	buf_clear(&text);
}

/* asking */

struct listing {
	void (*done)(struct op *);
	int path;			/* the directory, or the path whose versions these are */
	bool versions;
	struct merge_rule rule;
	struct quorum credited;
	struct merge_answer answers[MERGE_TEXTS_MAX];	/* [0] is this node's */
	struct buf texts[MERGE_TEXTS_MAX];	/* owned */
	size_t count;
	unsigned tries;
	uint64_t round;			/* ms: when it began */
	bool confirmed, merged;
	struct version gate;		/* the greatest that was told of */
	struct row {
		int path;
		struct merge_row told;
	} rows[ROWS_MAX];
	size_t row_count, next;
};

static void forget_answers(struct listing *list)
{
	for (size_t i = 0; i < MERGE_TEXTS_MAX; i++)
		buf_clear(&list->texts[i]);
	list->count = 1;
	list->row_count = list->next = 0;
}

void list_free(struct op *op)
{
	if (op->list == NULL)
		return;
	forget_answers(op->list);
	free(op->list);
	op->list = NULL;
}

static void list_over(struct op *op, bool confirmed)
{
	op->list->confirmed = confirmed;
	op->list->merged = true;
	op->list->done(op);
}

static void settle_next(struct op *op);

static void row_told(struct check_wait *wait, const struct check_result *result)
{
	struct op *op = CONTAINER_OF(wait, struct op, check);
	struct listing *list = op->list;
	struct merge_row *row = &list->rows[list->next].told;

	if (merge_answered(row, &list->rule, &result->answer))
		settle_next(op);
	else
		list_over(op, false);
}

/* What the homes do not tell alike is settled as a read does it. */
static void settle_next(struct op *op)
{
	struct listing *list = op->list;
	struct newest_ask ask;

	while (list->next < list->row_count && list->rows[list->next].told.confirmed)
		list->next++;
	if (list->next == list->row_count) {
		list_over(op, true);
		return;
	}
	merge_question(&list->rows[list->next].told, &ask);
	op->check.done = row_told;
	check_start(&op->machine->asker, &op->check, sim_paths[list->rows[list->next].path],
		    (enum check_purpose)ask.purpose, ask.version, sim.now);
	machine_arm(op->machine);
}

static int child_named(int directory, struct str name)
{
	for (const int *p = children_of(directory); *p != -1; p++)
		if (str_eq(name_of(*p), name))
			return *p;
	return 0;
}

static void add_rows(struct listing *list, struct merge *merge)
{
	struct merge_name name;
	struct merge_version version;

	if (list->versions) {
		while (list->row_count < ROWS_MAX && merge_history(merge, &version))
			list->rows[list->row_count++] = (struct row){ list->path, version.row };
	} else {
		while (list->row_count < ROWS_MAX && merge_listing(merge, &name))
			list->rows[list->row_count++] =
				(struct row){ child_named(list->path, name.name), name.row };
	}
}

static void ask_again(struct op *op);

/* This node's own answer counts as one of a home, by the layout that it has now. */
static void merge_all(struct op *op)
{
	struct listing *list = op->list;
	struct machine *machine = op->machine;
	struct merge merge;
	bool confirmed;

	add_all(&list->texts[0], &machine->disk, list->path, list->versions);
	list->answers[0] = (struct merge_answer){ .node = machine->disk.id };
	if (!machine->silent && !machine->cannot_tell)
		list->answers[0].epoch = machine->disk.layout.epoch;
	if (!list->versions)
		list->answers[0].gate = gate_here(&machine->disk, list->path);
	for (size_t i = 0; i < list->count; i++) {
		list->answers[i].text = buf_str(&list->texts[i]);
		if (version_cmp(list->answers[i].gate, list->gate) > 0)
			list->gate = list->answers[i].gate;
	}
	merge_init(&merge, &list->rule, list->answers, list->count);
	add_rows(list, &merge);
	confirmed = merge_confirmed(&merge);
	merge_clear(&merge);
	if (confirmed)
		settle_next(op);
	else if (list->tries < TRIES_MAX)
		ask_again(op);
	else
		list_over(op, false);
}

static void no_answer(struct op *op)
{
	struct listing *list = op->list;

	if (list == NULL || list->merged || list->row_count > 0 || sim.now < list->round + LIST_MS / TRIES_MAX)
		return;
	if (list->tries < TRIES_MAX)
		ask_again(op);
	else
		list_over(op, false);
}

static void ask_again(struct op *op)
{
	struct listing *list = op->list;
	struct machine *machine = op->machine;
	const struct layout *layout = &machine->home.layout;
	uint64_t homes[QUORUM_HOMES_MAX];
	size_t count;

	forget_answers(list);
	list->tries++;
	list->round = sim.now;
	list->rule.epoch = layout->epoch;
	quorum_begin(&list->rule.homes);
	quorum_add(&list->rule.homes, layout,
		   list->versions ? path_partition(sim_paths[list->path]) :
		   list->path == ROOT ? path_partition_of_directory(STR("")) :
					path_partition_of_directory(sim_paths[list->path]));
	list->credited = list->rule.homes;
	if (!machine->silent)
		quorum_answered(&list->credited, machine->disk.id);
	op_after(op, LIST_MS / TRIES_MAX, no_answer);
	if (quorum_reached(&list->credited)) {
		merge_all(op);
		return;
	}
	op->token = rnd();	/* answers of another round do not count */
	op_after(op, LIST_MS / TRIES_MAX, no_answer);
	count = quorum_homes(&list->rule.homes, homes);
	for (size_t i = 0; i < count; i++) {
		struct packet *packet = new_packet(list->versions ? NOTE_HISTORY : NOTE_LIST, NULL, 0);

		packet->token = op->token;
		packet->path = list->path;
		packet->epoch = layout->epoch;
		packet->lineage = layout->lineage;
		send_to(machine, homes[i], packet);
	}
}

/* An answer carries who gave it. */
static void hear_list(struct op *op, const struct packet *packet)
{
	struct listing *list = op->list;
	struct merge_answer *answer = &list->answers[list->count];

	if (list->merged || list->row_count > 0 || list->count == MERGE_TEXTS_MAX)
		return;
	*answer = (struct merge_answer){ .node = packet->sender, .epoch = packet->epoch,
					 .gate = packet->record.version };
	buf_addstr(&list->texts[list->count++], (struct str){ packet->bytes, packet->n });
	if (merge_credits(&list->rule, answer))
		quorum_answered(&list->credited, answer->node);
	if (quorum_reached(&list->credited))
		merge_all(op);
}

static void list_start(struct op *op, int path, bool versions, struct version gate,
		       void (*done)(struct op *))
{
	list_free(op);
	op->list = mem_new(1, sizeof *op->list);
	op->list->path = path;
	op->list->versions = versions;
	op->list->rule.gate = gate;
	op->list->done = done;
	ask_again(op);
}

void lists_receive(struct machine *machine, const struct packet *packet)
{
	struct op *op;

	if (packet->note != NOTE_LISTED) {
		tell_list(machine, packet);
		return;
	}
	op = op_find(machine, packet->token);
	if (op != NULL && op->list != NULL)
		hear_list(op, packet);
	machine_arm(machine);
}

/* an index, a history: what they say is read */

static bool is_live_row(const struct row *row)
{
	return record_is_live(row->path >= DIRECTORY_PATH ? &row->told.entry : &row->told.file);
}

/* The file, where no directory stands and was none above it: else it is not settled, nor of interest. */
static void tell_file(const struct op *op)
{
	const struct listing *list = op->list;

	for (size_t i = 0; i < list->row_count; i++) {
		const struct merge_row *told = &list->rows[i].told;

		if (list->rows[i].path == KIND_DIRECTORY && !record_is_live(&told->entry) &&
		    version_cmp(told->file.version, told->entry.version) > 0)
			history_told(op->machine->index, KIND_FILE, op->began, told->file.version);
	}
}

static void tell_index(struct op *op)
{
	const struct listing *list = op->list;

	for (const int *p = children_of(list->path); *p != -1; p++) {
		struct version version = VERSION_NONE;
		bool live = false;

		for (size_t i = 0; i < list->row_count; i++) {
			const struct merge_row *told = &list->rows[i].told;

			if (list->rows[i].path != *p)
				continue;
			version = *p >= DIRECTORY_PATH ? told->entry.version : told->file.version;
			live = is_live_row(&list->rows[i]);
		}
		if (*p == KIND_DIRECTORY)
			tell_file(op);
		history_told(op->machine->index, *p, op->began, version);
		if (*p >= DIRECTORY_PATH && !live)
			history_absent(op->machine->index, *p, op->began);
	}
}

static void index_listed(struct op *op)
{
	if (op->list->confirmed)
		tell_index(op);
	op_free(op);
}

static void history_listed(struct op *op)
{
	const struct listing *list = op->list;
	struct version newest = VERSION_NONE;

	for (size_t i = 0; list->confirmed && i < list->row_count; i++) {
		const struct merge_row *told = &list->rows[i].told;

		if (told->gone)
			continue;
		if (version_is_none(newest))
			newest = told->file.version;
		history_row(op->deed, told->file.version);
	}
	if (list->confirmed && list->row_count < ROWS_MAX) {
		history_listed_all(op->deed);
		if (op->path != KIND_FILE)
			history_told(op->machine->index, op->path, op->began, newest);
	}
	op_free(op);
}

void list_index(struct op *op)
{
	list_start(op, op->path, false, VERSION_NONE, index_listed);
}

void list_versions(struct op *op)
{
	list_start(op, op->path, true, VERSION_NONE, history_listed);
}

/* rmdir, by its five steps */

static bool is_in_use(struct op *op)
{
	bool used = !op->list->confirmed;

	for (size_t i = 0; i < op->list->row_count; i++)
		used = used || is_live_row(&op->list->rows[i]);
	/* Of the second list 409 says just that somebody tells of a name: others may not know of it yet. */
	if (op->list->confirmed && !(used && !version_is_none(op->list->rule.gate)))
		tell_index(op);
	if (used)
		op_free(op);		/* 409, or 503 */
	return used;
}

static void end_stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct op *op = CONTAINER_OF(wait, struct op, store);

	if (answer->confirmed) {
		history_confirmed(op->deed, op->record.version);
		history_absent(op->machine->index, op->path, op->began);
	} else if (!answer->last) {
		return;
	}
	op_free(op);
}

static void end_committed(struct writing *writing)
{
	struct op *op = op_find(&sim.machines[writing->event.machine], writing->token);

	if (op == NULL)
		return;
	op->record = writing->record;
	op_store(op, end_stored);
}

static void listed_again(struct op *op)
{
	struct writing *writing;
	struct record end = { .version = op->record.version,
			      .flags = RECORD_DELETED | RECORD_DIRECTORY };

	if (is_in_use(op))
		return;
	history_version(op->deed, end.version);
	fact_chosen(op->machine->index, op->path, &end);
	writing = new_writing(op->path, &end, false);
	writing->outbox = true;
	writing->token = op->token;
	writing->done = end_committed;
	disk_write(op->machine, writing);
}

static void gate_stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct op *op = CONTAINER_OF(wait, struct op, store);

	if (answer->confirmed) {
		storing_cancel(&op->store);
		list_start(op, op->path, false, op->record.version, listed_again);
	} else if (answer->last) {
		op_free(op);
	}
}

static void choose_gate(struct writing *writing)
{
	struct machine *machine = &sim.machines[writing->event.machine];
	struct op *op = op_find(machine, writing->token);
	struct version above = disk_above_other(&machine->disk, writing->path, op->above);

	writing->record.version = (struct version){ op->clock, machine->disk.id, 0 };
	if (op->clock <= above.time)
		writing->record.version.time = above.time + 1;
	writing->record.flags = RECORD_DELETED;
	fact_chosen(machine->index, writing->path, &writing->record);
}

static void gate_committed(struct writing *writing)
{
	struct machine *machine = &sim.machines[writing->event.machine];
	struct op *op = op_find(machine, writing->token);
	struct store_ask ask;

	if (op == NULL)
		return;
	op->record = writing->record;
	ask = (struct store_ask){ .path = sim_paths[writing->path], .record = op->record,
				  .type = STR("") };
	op->store.done = gate_stored;
	storing_start(&machine->asker, &op->store, &ask, sim.now);
	machine_arm(machine);
}

static void listed_first(struct op *op)
{
	struct writing *writing;

	if (is_in_use(op))
		return;
	if (version_cmp(op->list->gate, op->above) > 0)
		op->above = op->list->gate;
	op->above.time++;	/* as gate_commit() does */
	writing = new_writing(gate_of(op->path), NULL, false);
	writing->choose = choose_gate;
	writing->token = op->token;
	writing->done = gate_committed;
	disk_write(op->machine, writing);
}

static void removal_checked(struct check_wait *wait, const struct check_result *result)
{
	struct op *op = CONTAINER_OF(wait, struct op, check);
	const struct newest_answer *answer = &result->answer;

	op->clock = answer->clock;
	op->above = answer->entry.version;
	if (version_cmp(answer->record.version, op->above) > 0)
		op->above = answer->record.version;
	if (answer->certainty == CERTAINTY_UNCONFIRMED) {
		op_free(op);			/* 503 */
	} else if (!record_is_live(&answer->entry)) {
		history_was_read(op->deed);	/* 404 */
		history_confirmed(op->deed, answer->entry.version);
		history_absent(op->machine->index, op->path, op->began);
		op_free(op);
	} else {
		list_start(op, op->path, false, VERSION_NONE, listed_first);
	}
}

void list_rmdir(struct op *op)
{
	op->check.done = removal_checked;
	check_start(&op->machine->asker, &op->check, sim_paths[op->path], CHECK_READ, VERSION_NONE,
		    sim.now);
	machine_arm(op->machine);
}
