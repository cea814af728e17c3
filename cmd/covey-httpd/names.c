/*
 * names - an index of a directory, told while it is read
 *
 *	names_begin	this node's disk: in the pool, one client of a directory after the other: its sorted names
 *	names_ask	the group: on the loop: ask for the next window of names (inventory.h)
 *	names_part	in the pool: look at the next names, render them
 *	names_told	on the loop: into the output; the next part is made when this one is sent
 *
 * So a client costs the memory of one part, or one window, however long the directory, and
 * nothing any more when it hangs up.  An index of one part has its length;
 * a longer one is chunked, or, to HTTP/1.0, ends with the connection.  One that was
 * begun as confirmed, and cannot be confirmed to its end, is cut.
 *
 * What Link says of a next page comes before the page: one of more than a
 * part is walked through twice, first for where it ends.  Of a directory whose
 * names are one window of the group each walk is through that.
 */
#include "access.h"
#include "answer.h"
#include "loop/conn.h"
#include "container.h"
#include "clock.h"
#include "door.h"
#include "fields.h"
#include "handlers.h"
#include "inventory.h"
#include "mem.h"
#include "render.h"
#include "reply.h"

#define PAGE_NAMES 1000			/* of an index that a browser asks for, unless it says limit */
#define PART_NAMES 1000			/* that are rendered at once */
#define LANES 4				/* parts that are made at once: other jobs are not to wait for those of all who list */
#define PART_STEPS 16			/* of the walk, until the client is looked after */
#define NUMBERED_NAMES 10000		/* a page for people says which part it is of no more than these */
#define WINDOW_LEAST 64			/* names of a window, for some may have been deleted */

struct names {
	struct conn *conn;
	enum media media;
	size_t limit;			/* of the page; 0: none */
	uint64_t asked;			/* ms, monotonic */
	struct store_walk *walk;	/* owned; of this node's disk; NULL: not begun */
	struct {
		bool asked;		/* it is what the group knows that is told */
		struct inventory window;
		struct buf after;	/* where the next window begins */
		struct as_of as_of;	/* which names it has */
		bool came;		/* the window is there to be read */
		bool whole;		/* there is no other: it is there to be read again */
		bool known;		/* somebody knows of names there, */
		bool absent;		/* or this node's disk tells that there is no such directory */
	} group;
	bool prepared;			/* it is known where the page begins, */
	bool measuring, numbered;	/* but not yet where it ends, nor, numbered, how many there are */
	size_t found;			/* of its rows, while measuring */
	bool directories;		/* of a page for people: the first half, without files */
	bool filtered;			/* not every name may be shown to who asks */
	bool over;			/* nothing is left to be read */
	struct listing *kept;		/* owned: what rows point into */
	size_t kept_count, kept_room;
	struct listing_row *rows;	/* owned; of this part */
	size_t count, room;
	struct buf last_name;		/* of the page, when that was looked for, */
	struct listing_row last;	/* the row; name NULL: it was not */
	struct render_index page;
	bool begun;			/* a part was told */
	bool made;			/* a part can be told; */
	size_t steps;			/* of the walk, that it took */
	bool more;			/* another page follows this one */
	struct buf state, body, links;
	int result;			/* -1: err says why */
	struct err err;
	struct job job;
	uint64_t lane;			/* its key, which one in LANES lists has */
};

static void names_forget_rows(struct names *n)
{
	for (size_t i = 0; i < n->kept_count; i++)
		listing_clear(&n->kept[i]);
	n->kept_count = n->count = 0;
}

static void names_end(struct conn *c)
{
	struct names *n = c->request.names;

	names_forget_rows(n);
	store_walk_end(n->walk);
	inventory_end(&n->group.window);
	buf_clear(&n->group.after);
	free(n->kept);
	free(n->rows);
	buf_clear(&n->last_name);
	buf_clear(&n->state);
	buf_clear(&n->body);
	buf_clear(&n->links);
	free(n);
}

/* rows, in the pool */

/* A page for people has directories before files: two halves, each in the order of names. */
static bool names_has_halves(const struct names *n)
{
	return n->media == MEDIA_HTML;
}

static bool names_add_row(struct names *n, const struct listing_row *row)
{
	if (names_has_halves(n) && listing_row_is_directory(row) != n->directories)
		return false;
	n->rows = mem_room(n->rows, n->count, &n->room, sizeof *n->rows);
	n->rows[n->count++] = *row;
	return true;
}

/* True: rows came of it, which point into it. */
static bool names_add_entry(struct names *n, const struct list_entry *entry)
{
	struct listing_row rows[2];
	struct str name = str_of(entry->name);
	size_t count = 1;
	bool added = false, gone = names_has_halves(n) && n->page.deleted;

	if (n->filtered && !door_shows(n->conn, name))
		return false;
	if (n->filtered && n->page.deleted && !door_shows_history(n->conn, name)) {
		gone = false;
		if (record_name_kind(&entry->record, &entry->entry) == NAME_ABSENT)
			return false;
	}
	if (gone)
		count = listing_rows_of_gone(name, &entry->record, &entry->entry, rows);
	else
		rows[0] = listing_row_of_standing(name, &entry->record, &entry->entry);
	for (size_t i = 0; i < count; i++)
		added |= names_add_row(n, &rows[i]);
	return added;
}

/* The rows of what was read; the rest of it goes at once, for there may be many names between two rows. */
static void names_add_listing(struct names *n, struct listing *listing)
{
	size_t used = 0;

	for (size_t i = 0; i < listing->count; i++) {
		struct list_entry entry = listing->entries[i];

		if (!names_add_entry(n, &entry))
			continue;
		listing->entries[i] = listing->entries[used];
		listing->entries[used++] = entry;
	}
	listing_cut(listing, used);
	if (used == 0)
		return;
	n->kept = mem_room(n->kept, n->kept_count, &n->kept_room, sizeof *n->kept);
	n->kept[n->kept_count++] = *listing;
}

/* A walk through this half of the names, from the first of them, or behind one. */
static int names_walk(struct names *n, bool directories, struct str after)
{
	n->over = false;
	n->directories = directories;
	if (n->group.asked) {
		buf_reset(&n->group.after);
		buf_addstr(&n->group.after, after);
		return 0;
	}
	store_walk_directories(n->walk, directories);
	return after.n > 0 ? store_walk_after(n->walk, after, &n->err) : 0;
}

/* From the name that was asked for, or the first one. */
static int names_rewind(struct names *n, bool from_first)
{
	const struct query *query = &n->conn->request.query;
	bool after = query->has_after && !from_first;

	return names_walk(n, names_has_halves(n) && !(after && !query->after_directory),
			  after ? buf_str(&query->after) : STR(""));
}

/* The window's names behind where the walk is. */
static void names_read_window(struct names *n, struct listing *ret)
{
	struct inventory *inv = &n->group.window;

	*ret = (struct listing){ .entries = mem_new(inv->count + 1, sizeof *ret->entries), .more = inv->upto.len > 0 };
	for (size_t i = 0; i < inv->count; i++) {
		const struct inventory_row *row = &inv->rows[i];

		if (str_cmp(row->name, buf_str(&n->group.after)) > 0)
			ret->entries[ret->count++] = (struct list_entry){
				.name = mem_copy(row->text, row->name.n),
				.record = row->told.file, .entry = row->told.entry,
			};
	}
	buf_reset(&n->group.after);
	buf_addstr(&n->group.after, buf_str(&inv->upto));
	n->group.came = n->group.whole;
}

/* A step of the walk, by which, on this node's disk, at most that many rows come. */
static int names_read(struct names *n, size_t most)
{
	struct listing listing;

	if (n->group.asked)
		names_read_window(n, &listing);
	else if (store_walk_next(n->walk, most, &listing, &n->err) < 0)
		return -1;
	names_add_listing(n, &listing);
	if (listing.more)
		return 0;
	if (n->directories)
		return names_walk(n, false, STR(""));
	n->over = true;
	return 0;
}

/* In the order of the page. */
static int names_cmp(const struct names *n, const struct listing_row *row, struct str name, bool directory)
{
	if (names_has_halves(n) && listing_row_is_directory(row) != directory)
		return directory ? 1 : -1;
	return str_cmp(row->name, name);
}

/* the page, in the pool */

static void names_note_last(struct names *n, const struct listing_row *row)
{
	buf_addstr(&n->last_name, row->name);
	n->last = *row;
	n->last.name = buf_str(&n->last_name);
}

/* More names than a page for people tells the number of. */
static void names_forget_numbers(struct names *n)
{
	n->numbered = false;
	n->page.before = n->page.total = 0;
}

/* A step to where the page ends and whether another follows; numbered: also what is before it, and all there are. */
static int names_measure(struct names *n)
{
	const struct query *query = &n->conn->request.query;

	if (names_read(n, PART_NAMES) < 0)
		return -1;
	for (size_t i = 0; i < n->count; i++) {
		n->page.total++;
		if (query->has_after && names_cmp(n, &n->rows[i], buf_str(&query->after), query->after_directory) <= 0)
			n->page.before++;
		else if (++n->found == n->limit)
			names_note_last(n, &n->rows[i]);
		else if (n->found > n->limit)
			n->more = true;
	}
	names_forget_rows(n);
	if (!n->numbered || n->page.total > NUMBERED_NAMES)
		names_forget_numbers(n);
	n->measuring = !n->over && (n->numbered || !n->more);
	return n->measuring ? 0 : names_rewind(n, false);
}

/* No name shows: whether it is a directory at all. */
static int names_judge_empty(struct names *n)
{
	struct conn *c = n->conn;
	struct store_walk *walk;

	if (!n->page.deleted)
		return 0;
	if (store_walk_begin(c->worker->httpd->store, buf_str(&c->request.path), false, n->asked, &walk, &n->err) < 0)
		return -1;
	store_walk_end(walk);
	return 0;
}

/* What the first part has to know. */
static int names_prepare(struct names *n)
{
	n->prepared = true;
	n->numbered = n->limit > 0 && n->media == MEDIA_HTML &&
		      (n->group.asked || store_walk_names(n->walk) <= NUMBERED_NAMES);
	n->measuring = n->numbered || n->limit > PART_NAMES;
	if (names_rewind(n, n->numbered) < 0)
		return -1;
	/* The first window of a page for people began at the first name. */
	n->group.came = n->group.whole || !names_has_halves(n) || n->group.after.len == 0;
	return 0;
}

/* What follows the last row that was looked for is another page's. */
static void names_cut(struct names *n)
{
	size_t count = n->count;

	if (n->last.name.s != NULL)
		while (count > 0 && names_cmp(n, &n->rows[count - 1], n->last.name, listing_row_is_directory(&n->last)) > 0)
			count--;
	else if (n->limit > 0 && count > n->limit)
		count = n->limit;
	n->more = n->more || count < n->count;
	n->over = n->over || count < n->count;
	n->count = count;
}

/* A step; of a page that is one part, and was not measured, one row more is read. */
static int names_fill(struct names *n)
{
	bool one = n->limit > 0 && n->limit <= PART_NAMES && n->last.name.s == NULL;
	size_t wanted = one ? n->limit + 1 : PART_NAMES;

	if (names_read(n, wanted - n->count) < 0)
		return -1;
	n->steps++;
	n->made = n->over || n->count >= wanted ||
		  (n->begun && !one && (n->group.asked || n->steps >= PART_STEPS));
	if (!n->made)
		return 0;
	names_cut(n);
	return !n->begun && n->count == 0 && !n->group.asked ? names_judge_empty(n) : 0;
}

static void names_link_next(struct names *n)
{
	struct buf next = BUF_INIT;

	if (!n->more)
		return;
	render_index_next(&next, &n->page);
	fields_link(&n->links, buf_str(&next), "next");
	buf_clear(&next);
}

static void names_render(struct names *n)
{
	struct render_index *page = &n->page;

	buf_reset(&n->body);
	page->rows = n->rows;
	page->count = n->count;
	page->more = n->more;
	if (!n->begun) {
		answer_state_text(n->conn, &n->state);
		page->state = buf_str(&n->state);
		render_index_begin(&n->body, page, n->media);
	}
	render_index_rows(&n->body, page, n->media);
	/* The next page follows the last row. */
	if (n->last.name.s != NULL) {
		page->rows = &n->last;
		page->count = 1;
	}
	if (!n->begun)
		names_link_next(n);
	if (n->over)
		render_index_end(&n->body, page, n->media);
}

static int names_step(struct names *n)
{
	if (!n->prepared)
		return names_prepare(n);
	return n->measuring ? names_measure(n) : names_fill(n);
}

/* As long as what is next can be read here. */
static void names_part(struct job *job)
{
	struct names *n = CONTAINER_OF(job, struct names, job);

	while (n->result == 0 && !n->made && (!n->group.asked || n->group.came))
		n->result = names_step(n);
	if (n->result == 0 && n->made)
		names_render(n);
}

static void names_begin(struct job *job)
{
	struct names *n = CONTAINER_OF(job, struct names, job);
	struct conn *c = n->conn;

	n->result = store_walk_begin(c->worker->httpd->store, buf_str(&c->request.path), n->page.deleted,
				     n->asked, &n->walk, &n->err);
}

/* the next names, on the loop */

static void names_told(struct job *);
static void names_came(struct conn *);

/*
 * A window with enough for the page; when it was not enough, one as large as they
 * are.  The first one of a page for people tells how many names there are.
 */
static uint32_t names_window(const struct names *n)
{
	size_t wanted = 2 * (n->limit + 1);

	if (n->limit == 0 || names_has_halves(n) || n->steps > 0 || wanted > INVENTORY_WINDOW)
		return INVENTORY_WINDOW;
	return wanted < WINDOW_LEAST ? WINDOW_LEAST : (uint32_t)wanted;
}

static void names_ask(struct names *n)
{
	struct conn *c = n->conn;
	struct inventory_ask ask = { .path = buf_str(&c->request.path), .after = buf_str(&n->group.after),
				     .limit = names_window(n), .directories = n->prepared && n->directories,
				     .as_of = n->group.as_of, .silent = c->request.ask.silent,
				     .deleted = n->page.deleted };

	inventory_end(&n->group.window);
	inventory_start(&n->group.window, c, &ask, names_came);
}

static void names_go_on(struct names *n)
{
	if (n->group.asked && !n->group.came)
		names_ask(n);
	else
		conn_start_job(n->conn, &n->job, names_part, names_told, n->lane);
}

static void names_next(struct conn *c)
{
	struct names *n = c->request.names;

	names_forget_rows(n);
	n->made = false;
	n->steps = 0;
	names_go_on(n);
}

/* telling, on the loop */

static bool names_are_chunked(const struct conn *c)
{
	return c->head.minor > 0;
}

static void names_tell_part(struct names *n)
{
	struct conn *c = n->conn;
	struct buf *out = &c->output.text;
	bool chunked = names_are_chunked(c);

	if (n->body.len > 0) {
		if (chunked)
			buf_addf(out, "%zx\r\n", n->body.len);
		buf_addstr(out, buf_str(&n->body));
		if (chunked)
			buf_adds(out, "\r\n");
	}
	if (n->over && chunked)
		buf_adds(out, "0\r\n\r\n");
	/* The client may take its time, and many may. */
	names_forget_rows(n);
	buf_clear(&n->body);
	c->more = n->over ? NULL : names_next;
}

static void names_tell_first(struct names *n)
{
	struct conn *c = n->conn;

	if (!n->over && !names_are_chunked(c))
		c->last = true;
	answer_begin_list(c, n->media, buf_str(&n->links));
	if (n->over) {
		answer_end_text(c, buf_str(&n->body));
		return;
	}
	if (names_are_chunked(c))
		reply_field(&c->output.text, "Transfer-Encoding", STR("chunked"));
	answer_end_fields(c);
	if (c->head.method != METHOD_HEAD)
		names_tell_part(n);
	conn_answered(c);
}

static void names_refuse(struct names *n)
{
	if (n->begun)
		answer_cut(n->conn, &n->err);
	else if (n->err.kind == ERR_ABSENT || n->err.kind == ERR_CONFLICT)
		answer_version_error(n->conn, 404, str_of(err_reason(&n->err)));
	else
		answer_err(n->conn, &n->err);
}

/* Unconfirmed: one name that somebody knows is enough. */
static bool names_are_somewhere(const struct names *n)
{
	const struct request *r = &n->conn->request;

	return !n->group.asked || r->path.len == 0 || n->group.known || record_is_live(&r->ask.entry) ||
	       (!r->ask.confirmed && !n->group.absent);
}

static void names_told(struct job *job)
{
	struct names *n = CONTAINER_OF(job, struct names, job);
	struct conn *c = n->conn;

	if (n->result < 0) {
		names_refuse(n);
	} else if (!n->made && conn_left(c)) {
		conn_abort(c);
	} else if (!n->made) {
		names_go_on(n);
	} else if (n->begun) {
		names_tell_part(n);
		conn_answered(c);
	} else if (names_are_somewhere(n)) {
		names_tell_first(n);
		n->begun = true;
	} else {
		answer_version_error(c, 404, STR("no such directory"));
	}
	conn_resume(c);
}

/* The answer is as sure as the least sure of its windows; what it says of that is said by its first part. */
static bool names_is_sure_enough(struct names *n)
{
	const struct inventory *inv = &n->group.window;
	struct ask *ask = &n->conn->request.ask;

	if (inv->confirmed)
		return true;
	if (n->begun && ask->confirmed) {
		err_set(&n->err, ERR_AWAY, "list directory: a part of it cannot be confirmed now");
		answer_cut(n->conn, &n->err);
		return false;
	}
	inventory_lessen(inv, ask);
	if (n->conn->request.freshness.no_cache)
		answer_unconfirmed(n->conn);
	return !n->conn->request.freshness.no_cache;
}

static void names_came(struct conn *c)
{
	struct names *n = c->request.names;
	const struct inventory *inv = &n->group.window;

	if (inv->result < 0 && inv->err.kind != ERR_ABSENT && !inv->confirmed) {
		n->err = inv->err;
		names_refuse(n);
	} else if (names_is_sure_enough(n)) {
		n->group.came = true;
		n->group.as_of = inv->as_of;
		n->group.whole = n->group.whole || (!n->prepared && inv->upto.len == 0);
		n->group.known = n->group.known || inv->count > 0;
		n->group.absent = inv->result < 0 && inv->err.kind == ERR_ABSENT;
		names_go_on(n);
	}
}

static void names_began(struct job *job)
{
	struct names *n = CONTAINER_OF(job, struct names, job);

	if (n->result == 0) {
		names_go_on(n);
		return;
	}
	names_refuse(n);
	conn_resume(n->conn);
}

void names_start(struct conn *c, enum media media, bool browser, bool of_group)
{
	const struct query *query = &c->request.query;
	struct names *n = mem_new(1, sizeof *n);

	c->request.names = n;
	c->request.end = names_end;
	n->conn = c;
	n->media = media;
	n->limit = query->limit > 0 ? query->limit : media == MEDIA_HTML && browser ? PAGE_NAMES : 0;
	n->asked = clock_mono_ms();
	n->filtered = door_hides_some(c);
	n->lane = 1 + atomic_fetch_add_explicit(&c->worker->httpd->lists, 1, memory_order_relaxed) % LANES;
	n->page = (struct render_index){ .path = buf_str(&c->request.path),
					 .node = str_of(c->worker->httpd->conf->node.name),
					 .limit = query->limit,
					 .deleted = query->deleted,
					 .format = query->format,
					 .no_upload = !door_may(c, buf_str(&c->request.path), ACCESS_WRITE | ACCESS_APPEND),
					 .no_history = !door_may(c, buf_str(&c->request.path), ACCESS_HISTORY),
					 .directories_first = names_has_halves(n),
					 .later = names_has_halves(n) && query->has_after };
	if (of_group) {
		n->group.asked = true;
		n->group.as_of.ms = n->asked;
		if (!names_has_halves(n))
			buf_addstr(&n->group.after, buf_str(&query->after));
		names_ask(n);
		return;
	}
	/* Who would only wait for the same names to be read and sorted occupies no thread. */
	conn_start_job(c, &n->job, names_begin, names_began, ~path_hash(n->page.path));	/* no writer's key */
}
