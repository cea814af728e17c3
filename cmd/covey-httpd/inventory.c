/*
 * inventory - the names in a directory, or the versions of a path
 *
 *	inventory_ask_homes	on the loop: ask the homes, until a majority has answered
 *	inventory_read		in the pool: read this node's disk, merge
 *	inventory_settle_more	on the loop: settle what they do not tell alike
 *	inventory_finish	cut to what was asked for, done()
 */
#include "inventory.h"

#include "loop/conn.h"
#include "clock.h"
#include "container.h"
#include "group.h"
#include "layout_file.h"
#include "listing_text.h"
#include "mem.h"

#include <unistd.h>

#define SYNCD_SLACK_MS 500	/* covey-syncd's own step, on a busy machine */
#define TRIES_MAX 5		/* while the layout changes */
#define AGAIN_MS 50

static void inventory_ask_homes(struct inventory *);

/* the end */

static void inventory_forget_rows(struct inventory *inv)
{
	for (size_t i = 0; i < inv->count; i++)
		free(inv->rows[i].text);
	free(inv->rows);
	inv->rows = NULL;
	inv->count = 0;
}

static void inventory_forget_answers(struct inventory *inv)
{
	for (size_t i = 1; i < inv->answer_count; i++) {
		close(inv->parts[i]);
		buf_clear(&inv->uptos[i]);
	}
	inv->answer_count = 1;
}

void inventory_end(struct inventory *inv)
{
	call_cancel(&inv->call);
	timer_stop(&inv->again);
	for (size_t i = 0; i < INVENTORY_AT_ONCE; i++)
		call_finish(&inv->settling[i].call);
	inventory_forget_answers(inv);
	inventory_forget_rows(inv);
	buf_clear(&inv->uptos[0]);
	buf_clear(&inv->upto);
	memset(inv, 0, sizeof *inv);
}

void inventory_lessen(const struct inventory *inv, struct ask *ask)
{
	if (inv->confirmed)
		return;
	ask->confirmed = false;
	if (inv->asked > ask->asked)
		ask->asked = inv->asked;
	if (inv->answered < ask->answered)
		ask->answered = inv->answered;
}

static unsigned inventory_partition(const struct inventory *inv)
{
	return inv->ask.versions ? path_partition(inv->ask.path) :
				   path_partition_of_directory(inv->ask.path);
}

/* A history tells as many file versions as the layout keeps, and the directory's newest record. */
static bool inventory_has_enough(const struct inventory *inv, const struct inventory_kept *kept,
				 const struct record *record)
{
	if (!inv->ask.versions || inv->keep == 0)
		return false;
	return record->flags & RECORD_DIRECTORY ? kept->directories > 0 : kept->files >= inv->keep;
}

static void count_kept(struct inventory_kept *kept, const struct record *record)
{
	if (record->flags & RECORD_DIRECTORY)
		kept->directories++;
	else
		kept->files++;
}

static bool inventory_shows(const struct inventory *inv, const struct inventory_row *row)
{
	if (row->told.gone)
		return false;
	return inv->ask.versions || inv->ask.deleted ||
	       record_name_kind(&row->told.file, &row->told.entry) != NAME_ABSENT;
}

/* Drops the rows that are not told, now that all are settled. */
static void inventory_cut(struct inventory *inv)
{
	struct inventory_kept kept = { .files = 0 };
	size_t count = 0;

	for (size_t i = 0; i < inv->count; i++) {
		struct inventory_row *row = &inv->rows[i];

		if (inventory_shows(inv, row) && !inventory_has_enough(inv, &kept, &row->told.file)) {
			count_kept(&kept, &row->told.file);
			inv->rows[count++] = *row;
		} else {
			free(row->text);
		}
	}
	inv->count = count;
}

static void inventory_finish(struct inventory *inv)
{
	struct conn *c = inv->conn;

	inventory_cut(inv);
	/* The answers that came before a majority was reached are those that are told. */
	if (inv->answered < inv->answer_count - 1)
		inv->answered = (uint32_t)inv->answer_count - 1;
	if (inv->asked < inv->answered)
		inv->asked = inv->answered;
	inv->done(c);
	conn_resume(c);
}

/* settling, on the loop */

static void inventory_compared(struct call *call, struct frame *frame)
{
	(void)frame;
	call_finish(call);
	inventory_finish(CONTAINER_OF(call, struct inventory, call));
}

/* Too many differences for one request: the homes are told to compare all that they know. */
static void inventory_compare(struct inventory *inv)
{
	struct worker *w = inv->conn->worker;
	struct buf body = BUF_INIT;

	inv->confirmed = false;
	sync_compare_pack(&body, inventory_partition(inv));
	inv->call.answer = inventory_compared;
	call_start(w->sync, &inv->call, SYNC_COMPARE, buf_str(&body), w->httpd->conf->timeouts.check_ms);
	buf_clear(&body);
}

static void inventory_settle_more(struct inventory *);

static void inventory_settle_over(struct inventory *inv)
{
	for (size_t i = 0; i < INVENTORY_AT_ONCE; i++) {
		call_finish(&inv->settling[i].call);
		inv->settling[i].row = NULL;
	}
	inventory_finish(inv);
}

static void settling_told(struct call *, struct frame *);

static void settling_ask(struct settling *s)
{
	struct inventory *inv = s->inventory;
	struct buf path = BUF_INIT;
	struct newest_ask ask;

	buf_addstr(&path, inv->ask.path);
	if (!inv->ask.versions) {
		if (path.len > 0)
			buf_addc(&path, '/');
		buf_addstr(&path, s->row->name);
	}
	merge_question(&s->row->told, &ask);
	ask.path = buf_str(&path);
	s->call.answer = settling_told;
	ask_newest(inv->conn->worker, &s->call, &ask);
	buf_clear(&path);
}

static void settling_told(struct call *call, struct frame *frame)
{
	struct settling *s = CONTAINER_OF(call, struct settling, call);
	struct inventory *inv = s->inventory;
	struct newest_answer answer;
	bool told = ask_newest_answer(frame, &answer);

	call_finish(call);
	if (!told || !merge_answered(&s->row->told, &inv->rule, &answer)) {
		inv->confirmed = false;
		inventory_settle_over(inv);
	} else if (s->row->told.confirmed) {
		if (!s->row->told.gone)
			count_kept(&inv->kept, &s->row->told.file);
		s->row = NULL;
		inventory_settle_more(inv);
	} else {
		settling_ask(s);
	}
}

static struct inventory_row *inventory_next_unsettled(struct inventory *inv)
{
	while (inv->next < inv->count) {
		struct inventory_row *row = &inv->rows[inv->next++];

		if (row->told.confirmed)
			count_kept(&inv->kept, &row->told.file);
		else if (!inventory_has_enough(inv, &inv->kept, &row->told.file))
			return row;
	}
	return NULL;
}

/* INVENTORY_AT_ONCE rows at a time; the last one that is settled ends it. */
static void inventory_settle_more(struct inventory *inv)
{
	bool open = false;

	for (size_t i = 0; i < INVENTORY_AT_ONCE; i++) {
		struct settling *s = &inv->settling[i];

		if (s->row == NULL) {
			s->row = inventory_next_unsettled(inv);
			if (s->row != NULL)
				settling_ask(s);
		}
		open = open || s->row != NULL;
	}
	if (!open)
		inventory_settle_over(inv);
}

/* reading and merging, in the pool */

static struct inventory_row *inventory_add_row(struct inventory *inv, struct str text)
{
	struct inventory_row *row;

	if ((inv->count & (inv->count - 1)) == 0)	/* room doubles at each power of two */
		inv->rows = mem_resize(inv->rows, inv->count ? 2 * inv->count : 1, sizeof *inv->rows);
	row = &inv->rows[inv->count++];
	*row = (struct inventory_row){ .text = mem_copy(text.s ? text.s : "", text.n) };
	row->name = (struct str){ row->text, text.n };
	return row;
}

/* Of a name that is not settled it is not known yet whether anything stands there. */
static void inventory_merge_names(struct inventory *inv, struct merge *merge)
{
	struct merge_name name;

	while (merge_listing(merge, &name)) {
		bool visible = inv->ask.deleted ||
			       record_name_kind(&name.row.file, &name.row.entry) != NAME_ABSENT;
		bool settled = name.row.confirmed || !merge_confirmed(merge);
		struct inventory_row *row;

		if ((settled && !visible) || str_cmp(name.name, inv->ask.after) <= 0)
			continue;
		row = inventory_add_row(inv, name.name);
		row->told = name.row;
		row->told.confirmed = settled;
		inv->differences += !settled;
	}
	buf_addstr(&inv->upto, merge_upto(merge));
}

/* Only settled versions count: another may turn out never to have been confirmed. */
static void inventory_merge_versions(struct inventory *inv, struct merge *merge)
{
	struct inventory_kept sure = { .files = 0 };
	struct inventory_row *row;
	struct merge_version version;

	while (merge_history(merge, &version)) {
		bool settled = version.row.confirmed || !merge_confirmed(merge);

		if (inventory_has_enough(inv, &sure, &version.row.file))
			continue;
		if (settled)
			count_kept(&sure, &version.row.file);
		row = inventory_add_row(inv, version.type);
		row->here = version.here;
		row->told = version.row;
		row->told.confirmed = settled;
		inv->differences += !settled;
	}
}

static int read_text(int part, struct buf *ret)
{
	off_t offset = 0;
	ssize_t n;

	while ((n = pread(part, buf_reserve(ret, 65536), 65536, offset)) > 0) {
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
		offset += n;
	}
	return n < 0 ? -1 : 0;
}

/* Ends with the name behind which nothing is told, after as many as were asked for: so windows come to an end. */
static bool window_is_full(struct str text, struct str upto, size_t limit)
{
	struct buf name = BUF_INIT;
	struct listing_row row;
	struct str line;
	size_t count = 0;
	bool last = false;

	while (str_cut(&text, '\n', &line) && line.n > 0) {
		last = text.n == 0 && listing_text_parse_row(line, &name, &row, NULL) == 0 && str_eq(row.name, upto);
		count++;
	}
	buf_clear(&name);
	return last && count >= limit;
}

/* An answer that cannot be read, or is no window, is as if none had come. */
static void inventory_merge(struct inventory *inv, struct buf *own)
{
	struct buf texts[MERGE_TEXTS_MAX] = { *own };
	struct merge merge;

	for (size_t i = 1; i < inv->answer_count; i++)
		if (read_text(inv->parts[i], &texts[i]) < 0 ||
		    (inv->uptos[i].len > 0 &&
		     !window_is_full(buf_str(&texts[i]), buf_str(&inv->uptos[i]), inv->ask.limit))) {
			inv->answers[i].epoch = 0;
			buf_reset(&inv->uptos[i]);
			buf_reset(&texts[i]);
		}
	for (size_t i = 0; i < inv->answer_count; i++) {
		inv->answers[i].text = buf_str(&texts[i]);
		inv->answers[i].upto = buf_str(&inv->uptos[i]);
	}
	merge_init(&merge, &inv->rule, inv->answers, inv->answer_count);
	if (inv->ask.versions)
		inventory_merge_versions(inv, &merge);
	else
		inventory_merge_names(inv, &merge);
	inv->confirmed = inv->confirmed && merge_confirmed(&merge);
	merge_clear(&merge);
	for (size_t i = 1; i < inv->answer_count; i++)
		buf_clear(&texts[i]);
}

static void inventory_read_names(struct inventory *inv, struct store *store, struct buf *text)
{
	struct list_part part = { .after = inv->ask.after, .limit = inv->ask.limit, .with_deleted = true,
				  .directories = inv->ask.directories };
	struct listing listing = LISTING_INIT;

	inv->result = store_gate(store, inv->ask.path, &inv->answers[0].gate, &inv->err);
	part.asked = inv->as_of.ms != 0 ? inv->as_of.ms : clock_mono_ms();
	if (inv->result == 0)
		inv->result = store_list_part(store, inv->ask.path, &part, &listing, &inv->err);
	for (size_t i = 0; i < listing.count; i++)
		listing_text_registers(text, str_of(listing.entries[i].name),
				       &listing.entries[i].record, &listing.entries[i].entry);
	buf_reset(&inv->uptos[0]);
	if (listing.more && listing.count > 0)
		buf_adds(&inv->uptos[0], listing.entries[listing.count - 1].name);
	listing_clear(&listing);
}

static void inventory_read_versions(struct inventory *inv, struct store *store, struct buf *text)
{
	struct history history = HISTORY_INIT;

	if (inv->ask.here && inv->ask.limit > 0)
		inv->result = store_history_part(store, inv->ask.path, inv->ask.older, inv->ask.limit, &history,
						 &inv->err);
	else
		inv->result = store_history(store, inv->ask.path, &history, &inv->err);
	for (size_t i = 0; i < history.count; i++) {
		struct history_row row = { .record = history.entries[i].record,
					   .type = str_of(history.entries[i].type),
					   .here = history.entries[i].content };

		listing_text_version(text, &row);
	}
	history_clear(&history);
}

/*
 * The layout is read from the disk, after the store: what was read is of this
 * layout or an earlier one, and no program of this node goes by a newer one yet.
 * Had this node gone by a newer layout before, its covey-versiond might have
 * helped others to go on without what was read here.
 */
static void inventory_judge_own(struct inventory *inv)
{
	const struct httpd *h = inv->conn->worker->httpd;
	struct group *group = h->group;
	struct layout layout = LAYOUT_NONE;
	bool same_lineage;

	if (group == NULL)
		return;
	layout_load(h->state_directory, &layout, NULL);
	inv->layout = (struct layout_id){ layout.lineage, layout.epoch };
	if (inv->layout.epoch == 0 || group_is_silent(group) ||
	    (inv->result < 0 && inv->err.kind != ERR_ABSENT))
		return;
	same_lineage = inv->layout.lineage == inv->lineage;
	inv->other_layout = !same_lineage || inv->layout.epoch != inv->rule.epoch;
	if (same_lineage)
		inv->answers[0].epoch = inv->layout.epoch;
}

static void inventory_read_work(struct job *job)
{
	struct inventory *inv = CONTAINER_OF(job, struct inventory, job);
	struct httpd *h = inv->conn->worker->httpd;
	struct buf text = BUF_INIT;

	if (inv->ask.versions)
		inventory_read_versions(inv, h->store, &text);
	else
		inventory_read_names(inv, h->store, &text);
	inventory_judge_own(inv);
	for (size_t i = 0; i < inv->answer_count; i++)
		if (version_cmp(inv->answers[i].gate, inv->gate) > 0)
			inv->gate = inv->answers[i].gate;
	inventory_merge(inv, &text);
	buf_clear(&text);
}

static void inventory_ask_again(struct inventory *);

/* This read found the disk unreadable: this node counts as no home, so more others have to answer. */
static bool inventory_became_unreadable(struct inventory *inv)
{
	bool was = inv->unreadable;

	inv->unreadable = inv->result < 0 && inv->err.kind != ERR_ABSENT;
	return inv->unreadable && !was;
}

static void inventory_was_read(struct job *job)
{
	struct inventory *inv = CONTAINER_OF(job, struct inventory, job);
	bool counted = quorum_has(&inv->rule.homes, inv->answers[0].node);

	if (inv->tries > 0 && inv->tries < TRIES_MAX && !inv->confirmed && counted &&
	    (inventory_became_unreadable(inv) || inv->other_layout))
		inventory_ask_again(inv);
	else if (!inv->confirmed || inv->differences == 0)
		inventory_finish(inv);
	else if (inv->differences > INVENTORY_DIFFERENCES_MAX)
		inventory_compare(inv);
	else
		inventory_settle_more(inv);
}

static void inventory_read(struct inventory *inv)
{
	conn_start_job(inv->conn, &inv->job, inventory_read_work, inventory_was_read, 0);
}

/* asking, on the loop */

static void inventory_take_part(struct inventory *inv, struct frame *frame)
{
	struct merge_answer *answer = &inv->answers[inv->answer_count];
	struct sync_part part;

	if (frame->fd_count != 1 || inv->answer_count == MERGE_TEXTS_MAX ||
	    sync_part_unpack(frame->body, &part, NULL) < 0)
		return;
	/* Who tells of nothing behind what was asked for would be asked for the same again. */
	if (part.upto.n > 0 && str_cmp(part.upto, inv->ask.after) <= 0)
		return;
	*answer = (struct merge_answer){ .node = part.node, .epoch = part.epoch, .gate = part.gate };
	buf_addstr(&inv->uptos[inv->answer_count], part.upto);
	inv->parts[inv->answer_count++] = frame->fds[0];
	frame->fds[0] = -1;
	if (merge_credits(&inv->rule, answer))
		quorum_answered(&inv->credited, answer->node);
}

static void inventory_try_again(struct timer *timer)
{
	inventory_ask_homes(CONTAINER_OF(timer, struct inventory, again));
}

/* The answers belong to no layout, or to several: the homes are asked once more. */
static void inventory_ask_again(struct inventory *inv)
{
	inventory_forget_answers(inv);
	inventory_forget_rows(inv);
	buf_reset(&inv->upto);
	inv->differences = 0;
	inv->again.fire = inventory_try_again;
	timer_start(inv->conn->worker->loop, &inv->again, AGAIN_MS);
}

static void inventory_ask_peers(struct inventory *inv);

static void inventory_answers_end(struct inventory *inv, const struct sync_end *end)
{
	inv->asked = end->asked;
	inv->answered = end->answered;
	if (inv->confirmed || inv->tries == 0) {
		inventory_read(inv);		/* nobody else is to be asked */
	} else if (end->stale && inv->tries < TRIES_MAX) {
		inventory_ask_again(inv);
	} else {
		inv->tries = 0;		/* no majority of the homes answered: ask every member */
		inventory_ask_peers(inv);
	}
}

static void inventory_told(struct call *call, struct frame *frame)
{
	struct inventory *inv = CONTAINER_OF(call, struct inventory, call);
	struct sync_end end;

	if (frame != NULL && frame->type == SYNC_PART) {
		inventory_take_part(inv, frame);
		inv->confirmed = inv->tries > 0 && quorum_reached(&inv->credited);
		if (inv->confirmed && (!inv->ask.every_home || quorum_all(&inv->credited))) {
			call_cancel(call);
			inventory_read(inv);
		}
		return;
	}
	call_finish(call);
	if (frame != NULL && frame->type == SYNC_END &&
	    sync_end_unpack(frame->body, &end, NULL) == 0)
		inventory_answers_end(inv, &end);
	else
		inventory_read(inv);
}

static uint64_t inventory_limit_ms(const struct inventory *inv)
{
	const struct conf *conf = inv->conn->worker->httpd->conf;

	return inv->ask.silent ? conf->timeouts.check_ms :
				 conf->timeouts.check_ms + conf->timeouts.pull_ms + SYNCD_SLACK_MS;
}

static void inventory_ask_peers(struct inventory *inv)
{
	uint64_t self = store_node(inv->conn->worker->httpd->store), homes[QUORUM_HOMES_MAX];
	struct sync_list list = { .path = inv->ask.path };
	struct buf body = BUF_INIT;
	size_t count = inv->tries > 0 ? quorum_homes(&inv->rule.homes, homes) : 0;

	list.epoch = inv->tries > 0 ? inv->rule.epoch : 0;
	for (size_t i = 0; i < count && list.node_count < HOLDERS_MAX; i++)
		if (homes[i] != self)
			list.nodes[list.node_count++] = homes[i];
	if (!inv->ask.versions && inv->ask.limit > 0)
		list.window = (struct sync_window){ .after = inv->ask.after, .limit = inv->ask.limit,
						    .directories = inv->ask.directories,
						    .age = inv->as_of.ms != 0 ? clock_mono_ms() - inv->as_of.ms : 0 };
	sync_list_pack(&body, &list);
	inv->call.answer = inventory_told;
	call_start(inv->conn->worker->sync, &inv->call,
		   inv->ask.versions ? SYNC_HISTORY : SYNC_LIST, buf_str(&body), inventory_limit_ms(inv));
	buf_clear(&body);
}

static void inventory_choose_homes(struct inventory *inv)
{
	struct group *group = inv->conn->worker->httpd->group;
	struct layout layout;

	group_layout(group, &layout);
	inv->keep = layout.epoch > 0 ? layout.keep_versions : 0;
	inv->rule.epoch = layout.epoch;
	inv->lineage = layout.lineage;
	if (inv->as_of.ms != 0 && (inv->as_of.layout.lineage != layout.lineage ||
				   inv->as_of.layout.epoch != layout.epoch))
		inv->as_of = (struct as_of){ clock_mono_ms(), { layout.lineage, layout.epoch } };
	inv->other_layout = false;
	inv->answers[0].epoch = 0;
	inv->rule.gate = inv->ask.gate;
	quorum_begin(&inv->rule.homes);
	quorum_add(&inv->rule.homes, &layout, inventory_partition(inv));
	inv->credited = inv->rule.homes;
	/* This node's own answer is counted here, and judged after its disk was read. */
	if (!group_is_silent(group) && !inv->unreadable)
		quorum_answered(&inv->credited, inv->answers[0].node);
}

static void inventory_ask_homes(struct inventory *inv)
{
	inventory_choose_homes(inv);
	inv->tries = inv->rule.epoch > 0 ? inv->tries + 1 : 0;
	inv->confirmed = inv->tries > 0 && quorum_reached(&inv->credited);
	if (inv->confirmed && !inv->ask.every_home)
		inventory_read(inv);
	else
		inventory_ask_peers(inv);
}

void inventory_start(struct inventory *inv, struct conn *c, const struct inventory_ask *wanted,
		     void (*done)(struct conn *))
{
	inv->conn = c;
	inv->ask = *wanted;
	inv->as_of = wanted->as_of;
	inv->done = done;
	inv->call = (struct call)CALL_INIT;
	inv->answers[0].node = store_node(c->worker->httpd->store);
	inv->answer_count = 1;
	for (size_t i = 0; i < INVENTORY_AT_ONCE; i++)
		inv->settling[i] = (struct settling){ .inventory = inv, .call = CALL_INIT };
	c->state = CONN_BUSY;
	if (inv->ask.here || !c->worker->httpd->grouped)
		inventory_read(inv);
	else
		inventory_ask_homes(inv);
}
