/*
 * inventory - the names in a directory, or the versions of a path
 *
 *	on the loop	ask the homes, until a majority has answered
 *	in the pool	read this node's disk, merge
 *	on the loop	settle what they do not tell alike
 */
#include "inventory.h"

#include "conn.h"
#include "container.h"
#include "group.h"
#include "listing_text.h"
#include "mem.h"

#include <unistd.h>

#define SLACK_MS 500		/* covey-syncd's own step, on a busy machine */
#define SETTLE_SLACK_MS 250	/* covey-versiond's */
#define TRIES_MAX 5		/* while the layout changes */
#define AGAIN_MS 50

static void ask_homes(struct inventory *);

/* the end */

static void forget_rows(struct inventory *inv)
{
	for (size_t i = 0; i < inv->count; i++)
		free(inv->rows[i].text);
	free(inv->rows);
	inv->rows = NULL;
	inv->count = 0;
}

static void forget_answers(struct inventory *inv)
{
	for (size_t i = 1; i < inv->answer_count; i++)
		close(inv->parts[i]);
	inv->answer_count = 1;
}

void inventory_end(struct inventory *inv)
{
	call_cancel(&inv->call);
	timer_stop(&inv->again);
	for (size_t i = 0; i < INVENTORY_AT_ONCE; i++)
		call_finish(&inv->settling[i].call);
	forget_answers(inv);
	forget_rows(inv);
}

static unsigned partition_of(const struct inventory *inv)
{
	return inv->ask.versions ? path_partition(inv->ask.path) :
				   path_partition_of_directory(inv->ask.path);
}

/* Of a path's history: as many versions as the layout keeps, and a directory's newest record. */
static bool has_enough(const struct inventory *inv, const struct inventory_kept *kept,
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

static bool is_visible(const struct inventory *inv, const struct inventory_row *row)
{
	if (row->told.gone)
		return false;
	return inv->ask.versions || inv->ask.deleted ||
	       record_name_kind(&row->told.file, &row->told.entry) != NAME_ABSENT;
}

/* Only now it is known what stands at each name, and which versions there are. */
static void cut(struct inventory *inv)
{
	size_t limit = inv->ask.versions ? 0 : inv->ask.limit, count = 0;
	struct inventory_kept kept = { .files = 0 };

	for (size_t i = 0; i < inv->count; i++) {
		struct inventory_row *row = &inv->rows[i];
		bool visible = is_visible(inv, row);

		if (visible && (limit == 0 || count < limit) &&
		    !has_enough(inv, &kept, &row->told.file)) {
			count_kept(&kept, &row->told.file);
			inv->rows[count++] = *row;
			continue;
		}
		inv->more = inv->more || (visible && !inv->ask.versions);
		free(row->text);
	}
	inv->count = count;
}

static void finish(struct inventory *inv)
{
	struct conn *c = inv->conn;

	cut(inv);
	/* Nobody waited for the rest. */
	if (inv->answered < inv->answer_count - 1)
		inv->answered = (uint32_t)inv->answer_count - 1;
	if (inv->asked < inv->answered)
		inv->asked = inv->answered;
	inv->done(c);
	conn_resume(c);
}

/* settling, on the loop */

static void compared(struct call *call, struct frame *frame)
{
	(void)frame;
	call_finish(call);
	finish(CONTAINER_OF(call, struct inventory, call));
}

/* Too much for a request: the homes are to compare all that they know. */
static void compare(struct inventory *inv)
{
	struct worker *w = inv->conn->worker;
	struct buf body = BUF_INIT;

	inv->confirmed = false;
	sync_compare_pack(&body, partition_of(inv));
	inv->call.answer = compared;
	call_start(w->sync, &inv->call, SYNC_COMPARE, buf_str(&body), w->httpd->conf->timeouts.check_ms);
	buf_clear(&body);
}

static void settle_more(struct inventory *);

static void settle_over(struct inventory *inv)
{
	for (size_t i = 0; i < INVENTORY_AT_ONCE; i++) {
		call_finish(&inv->settling[i].call);
		inv->settling[i].row = NULL;
	}
	finish(inv);
}

static void settle_told(struct call *, struct frame *);

static void settle_ask(struct settling *s)
{
	struct inventory *inv = s->inventory;
	struct httpd *h = inv->conn->worker->httpd;
	struct buf path = BUF_INIT, body = BUF_INIT;
	struct newest_ask ask;

	buf_addstr(&path, inv->ask.path);
	if (!inv->ask.versions) {
		if (path.len > 0)
			buf_addc(&path, '/');
		buf_addstr(&path, s->row->name);
	}
	merge_question(&s->row->told, &ask);
	ask.path = buf_str(&path);
	newest_ask_pack(&body, &ask);
	s->call.answer = settle_told;
	call_start(inv->conn->worker->version, &s->call, VERSION_TALK_NEWEST, buf_str(&body),
		   2 * h->conf->timeouts.check_ms + SETTLE_SLACK_MS);
	buf_clear(&path);
	buf_clear(&body);
}

static void settle_told(struct call *call, struct frame *frame)
{
	struct settling *s = CONTAINER_OF(call, struct settling, call);
	struct inventory *inv = s->inventory;
	struct newest_answer answer;
	bool told = frame != NULL && frame->type == VERSION_TALK_ANSWER &&
		    newest_answer_unpack(frame->body, &answer, NULL) == 0;

	call_finish(call);
	if (!told || !merge_answered(&s->row->told, &inv->rule, &answer)) {
		inv->confirmed = false;
		settle_over(inv);
	} else if (s->row->told.confirmed) {
		if (!s->row->told.gone)
			count_kept(&inv->kept, &s->row->told.file);
		s->row = NULL;
		settle_more(inv);
	} else {
		settle_ask(s);
	}
}

static struct inventory_row *next_unsettled(struct inventory *inv)
{
	while (inv->next < inv->count) {
		struct inventory_row *row = &inv->rows[inv->next++];

		if (row->told.confirmed)
			count_kept(&inv->kept, &row->told.file);
		else if (!has_enough(inv, &inv->kept, &row->told.file))
			return row;
	}
	return NULL;
}

/* As many at once as may be; the last one that is settled ends it. */
static void settle_more(struct inventory *inv)
{
	bool open = false;

	for (size_t i = 0; i < INVENTORY_AT_ONCE; i++) {
		struct settling *s = &inv->settling[i];

		if (s->row == NULL) {
			s->row = next_unsettled(inv);
			if (s->row != NULL)
				settle_ask(s);
		}
		open = open || s->row != NULL;
	}
	if (!open)
		settle_over(inv);
}

/* reading and merging, in the pool */

static struct inventory_row *add_row(struct inventory *inv, struct str text)
{
	struct inventory_row *row;

	if ((inv->count & (inv->count - 1)) == 0)	/* room doubles at each power of two */
		inv->rows = mem_resize(inv->rows, inv->count ? 2 * inv->count : 1, sizeof *inv->rows);
	row = &inv->rows[inv->count++];
	*row = (struct inventory_row){ .text = mem_copy(text.s ? text.s : "", text.n) };
	row->name = (struct str){ row->text, text.n };
	return row;
}

/*
 * Names that are settled count against the limit.  Of what is not it is yet
 * to be seen whether anything stands there.
 */
static void merge_names(struct inventory *inv, struct merge *merge)
{
	const struct inventory_ask *ask = &inv->ask;
	struct inventory_row *row;
	struct merge_name name;
	size_t sure = 0;

	while (merge_listing(merge, &name)) {
		bool visible = ask->deleted ||
			       record_name_kind(&name.row.file, &name.row.entry) != NAME_ABSENT;
		bool settled = name.row.confirmed || !merge_confirmed(merge);

		if ((settled && !visible) ||
		    (ask->after.s != NULL && str_cmp(name.name, ask->after) <= 0))
			continue;
		if (settled && ask->limit > 0 && sure == ask->limit) {
			inv->more = true;
			break;
		}
		row = add_row(inv, name.name);
		row->told = name.row;
		row->told.confirmed = settled;
		sure += settled;
		inv->differences += !settled;
	}
}

/* So it is with versions: one that is not settled may turn out never to have been confirmed. */
static void merge_versions(struct inventory *inv, struct merge *merge)
{
	struct inventory_kept sure = { .files = 0 };
	struct inventory_row *row;
	struct merge_version version;

	while (merge_history(merge, &version)) {
		bool settled = version.row.confirmed || !merge_confirmed(merge);

		if (has_enough(inv, &sure, &version.row.file))
			continue;
		if (settled)
			count_kept(&sure, &version.row.file);
		row = add_row(inv, version.type);
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

/* Of an answer that cannot be read nothing counts. */
static void merge_all(struct inventory *inv, struct buf *own)
{
	struct buf texts[MERGE_TEXTS_MAX] = { *own };
	struct merge merge;

	for (size_t i = 1; i < inv->answer_count; i++)
		if (read_text(inv->parts[i], &texts[i]) < 0)
			inv->answers[i].epoch = 0;
	for (size_t i = 0; i < inv->answer_count; i++)
		inv->answers[i].text = buf_str(&texts[i]);
	merge_init(&merge, &inv->rule, inv->answers, inv->answer_count);
	if (inv->ask.versions)
		merge_versions(inv, &merge);
	else
		merge_names(inv, &merge);
	inv->confirmed = inv->confirmed && merge_confirmed(&merge);
	merge_clear(&merge);
	for (size_t i = 1; i < inv->answer_count; i++)
		buf_clear(&texts[i]);
}

static void read_names(struct inventory *inv, struct store *store, struct buf *text)
{
	struct listing listing = LISTING_INIT;

	inv->result = store_gate(store, inv->ask.path, &inv->answers[0].gate, &inv->err);
	if (inv->result == 0)
		inv->result = store_list(store, inv->ask.path, inv->ask.after,
					 inv->ask.here ? inv->ask.limit : 0,
					 !inv->ask.here || inv->ask.deleted, &listing, &inv->err);
	/* With nothing deleted in it: whether it is a directory at all. */
	if (inv->result == 0 && inv->ask.here && inv->ask.deleted && listing.count == 0) {
		listing_clear(&listing);
		inv->result = store_list(store, inv->ask.path, inv->ask.after, 1, false, &listing,
					 &inv->err);
	}
	for (size_t i = 0; i < listing.count; i++)
		listing_text_registers(text, str_of(listing.entries[i].name),
				       &listing.entries[i].record, &listing.entries[i].entry);
	inv->more = inv->ask.here && listing.more;	/* else all are read */
	listing_clear(&listing);
}

static void read_versions(struct inventory *inv, struct store *store, struct buf *text)
{
	struct history history = HISTORY_INIT;

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
 * The epoch is read after the store: what was read is of this epoch or an
 * earlier one.  Had this node gone by a newer layout before, its covey-versiond
 * might have helped others to go on without what was read here.
 */
static void read_work(struct job *job)
{
	struct inventory *inv = CONTAINER_OF(job, struct inventory, job);
	struct httpd *h = inv->conn->worker->httpd;
	struct buf text = BUF_INIT;

	if (inv->ask.versions)
		read_versions(inv, h->store, &text);
	else
		read_names(inv, h->store, &text);
	inv->epoch = h->group != NULL ? group_newest_epoch(h->group) : 0;
	if (inv->epoch > 0 && !group_is_silent(h->group) &&
	    (inv->result == 0 || inv->err.kind == ERR_ABSENT))
		inv->answers[0].epoch = inv->epoch;
	for (size_t i = 0; i < inv->answer_count; i++)
		if (version_cmp(inv->answers[i].gate, inv->gate) > 0)
			inv->gate = inv->answers[i].gate;
	merge_all(inv, &text);
	buf_clear(&text);
}

static void ask_again(struct inventory *);

/* Found out just now: more of the other homes have to answer. */
static bool became_unreadable(struct inventory *inv)
{
	bool was = inv->unreadable;

	inv->unreadable = inv->result < 0 && inv->err.kind != ERR_ABSENT;
	return inv->unreadable && !was;
}

static void read_done(struct job *job)
{
	struct inventory *inv = CONTAINER_OF(job, struct inventory, job);
	bool counted = quorum_has(&inv->rule.homes, inv->answers[0].node);

	if (inv->tries > 0 && inv->tries < TRIES_MAX && !inv->confirmed && counted &&
	    (became_unreadable(inv) || (inv->answers[0].epoch != 0 &&
				    inv->answers[0].epoch != inv->rule.epoch)))
		ask_again(inv);
	else if (!inv->confirmed || inv->differences == 0)
		finish(inv);
	else if (inv->differences > INVENTORY_DIFFERENCES_MAX)
		compare(inv);
	else
		settle_more(inv);
}

static void read_here(struct inventory *inv)
{
	inv->job = (struct job){ .work = read_work, .done = read_done,
				 .home = inv->conn->worker->loop };
	pool_submit(inv->conn->worker->httpd->pool, &inv->job);
}

/* asking, on the loop */

static void take_part(struct inventory *inv, struct frame *frame)
{
	struct merge_answer *answer = &inv->answers[inv->answer_count];
	struct sync_part part;

	if (frame->fd_count != 1 || inv->answer_count == MERGE_TEXTS_MAX ||
	    sync_part_unpack(frame->body, &part, NULL) < 0)
		return;
	*answer = (struct merge_answer){ .node = part.node, .epoch = part.epoch, .gate = part.gate };
	inv->parts[inv->answer_count++] = frame->fds[0];
	frame->fds[0] = -1;
	if (merge_credits(&inv->rule, answer))
		quorum_answered(&inv->credited, answer->node);
}

static void try_again(struct timer *timer)
{
	ask_homes(CONTAINER_OF(timer, struct inventory, again));
}

/* What was said belongs to no layout, or to several: the homes are asked again. */
static void ask_again(struct inventory *inv)
{
	forget_answers(inv);
	forget_rows(inv);
	inv->more = false;
	inv->differences = 0;
	inv->again.fire = try_again;
	timer_start(inv->conn->worker->loop, &inv->again, AGAIN_MS);
}

static void ask(struct inventory *inv);

static void ended(struct inventory *inv, const struct sync_end *end)
{
	inv->asked = end->asked;
	inv->answered = end->answered;
	if (inv->confirmed) {
		read_here(inv);		/* not every home answers */
	} else if (inv->tries > 0 && end->stale && inv->tries < TRIES_MAX) {
		ask_again(inv);
	} else if (inv->tries > 0) {
		inv->tries = 0;		/* the homes did not answer: whoever does */
		ask(inv);
	} else {
		read_here(inv);
	}
}

static void answered(struct call *call, struct frame *frame)
{
	struct inventory *inv = CONTAINER_OF(call, struct inventory, call);
	struct sync_end end;

	if (frame != NULL && frame->type == SYNC_PART) {
		take_part(inv, frame);
		inv->confirmed = inv->tries > 0 && quorum_reached(&inv->credited);
		if (inv->confirmed && (!inv->ask.every_home || quorum_all(&inv->credited))) {
			call_cancel(call);
			read_here(inv);
		}
		return;
	}
	call_finish(call);
	if (frame != NULL && frame->type == SYNC_END &&
	    sync_end_unpack(frame->body, &end, NULL) == 0)
		ended(inv, &end);
	else
		read_here(inv);
}

static uint64_t limit_ms(const struct inventory *inv)
{
	const struct conf *conf = inv->conn->worker->httpd->conf;

	return inv->ask.silent ? conf->timeouts.check_ms :
				 conf->timeouts.check_ms + conf->timeouts.pull_ms + SLACK_MS;
}

static void ask(struct inventory *inv)
{
	uint64_t self = store_node(inv->conn->worker->httpd->store), homes[QUORUM_HOMES_MAX];
	struct sync_list list = { .path = inv->ask.path };
	struct buf body = BUF_INIT;
	size_t count = inv->tries > 0 ? quorum_homes(&inv->rule.homes, homes) : 0;

	list.epoch = inv->tries > 0 ? inv->rule.epoch : 0;
	for (size_t i = 0; i < count && list.node_count < HOLDERS_MAX; i++)
		if (homes[i] != self)
			list.nodes[list.node_count++] = homes[i];
	sync_list_pack(&body, &list);
	inv->call.answer = answered;
	call_start(inv->conn->worker->sync, &inv->call,
		   inv->ask.versions ? SYNC_HISTORY : SYNC_LIST, buf_str(&body), limit_ms(inv));
	buf_clear(&body);
}

static void choose_homes(struct inventory *inv)
{
	struct group *group = inv->conn->worker->httpd->group;
	struct layout layout;

	group_layout(group, &layout);
	inv->keep = layout.epoch > 0 ? layout.keep_versions : 0;
	inv->rule.epoch = layout.epoch;
	inv->rule.gate = inv->ask.gate;
	quorum_begin(&inv->rule.homes);
	quorum_add(&inv->rule.homes, &layout, partition_of(inv));
	inv->credited = inv->rule.homes;
	/* Its own answer is yet to come, and judged then. */
	if (!group_is_silent(group) && !inv->unreadable)
		quorum_answered(&inv->credited, inv->answers[0].node);
}

static void ask_homes(struct inventory *inv)
{
	choose_homes(inv);
	inv->tries = inv->rule.epoch > 0 ? inv->tries + 1 : 0;
	inv->confirmed = inv->tries > 0 && quorum_reached(&inv->credited);
	if (inv->confirmed && !inv->ask.every_home)
		read_here(inv);
	else
		ask(inv);
}

void inventory_start(struct inventory *inv, struct conn *c, const struct inventory_ask *wanted,
		     void (*done)(struct conn *))
{
	inv->conn = c;
	inv->ask = *wanted;
	inv->done = done;
	inv->call = (struct call)CALL_INIT;
	inv->answers[0].node = store_node(c->worker->httpd->store);
	inv->answer_count = 1;
	for (size_t i = 0; i < INVENTORY_AT_ONCE; i++)
		inv->settling[i] = (struct settling){ .inventory = inv, .call = CALL_INIT };
	c->state = CONN_BUSY;
	if (inv->ask.here || !c->worker->httpd->grouped)
		read_here(inv);
	else
		ask_homes(inv);
}
