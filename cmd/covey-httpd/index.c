/*
 * index - what is below a directory, and the history of a path
 *
 *	on the loop	ask about the directory, take inventory
 *	in the pool	render
 *	on the loop	answer
 *
 * Another node that asks this one as a home (peer_http.h) is told what is on
 * this node's disk, whole: both registers of each name, and the gate.
 */
#include "index.h"

#include "answer.h"
#include "conn.h"
#include "container.h"
#include "fields.h"
#include "get.h"
#include "group.h"
#include "handlers.h"
#include "inventory.h"
#include "mem.h"
#include "members.h"
#include "peer.h"
#include "peer_http.h"
#include "render.h"
#include "reply.h"

#define CONFLICTS_MAX 32		/* that Link names */
#define PAGE_NAMES 1000			/* of an index that a browser asks for, unless it says limit */

struct index {
	struct conn *conn;
	enum media media;
	bool versions;			/* a history; else an index */
	bool peer;			/* asked by another node; what is here is all it wants */
	bool browser;			/* a person looks at it */
	struct inventory inventory;
	struct job job;
	struct buf body;		/* rendered */
	struct buf next;		/* the next page's query, or empty */
	struct buf links;		/* the value of Link, or empty */
};

void index_free(struct index *index)
{
	if (index == NULL)
		return;
	inventory_end(&index->inventory);
	buf_clear(&index->body);
	buf_clear(&index->next);
	buf_clear(&index->links);
	free(index);
}

/* in the pool */

static void version_state(const struct conn *c, struct buf *ret)
{
	const struct ask *ask = &c->request.ask;

	freshness_version_state(ret, ask->confirmed, ask->answered, ask->asked);
}

static struct listing_row row_of(struct str name, const struct record *record,
				 enum listing_type type)
{
	struct listing_row row = { .name = name,
				   .type = type,
				   .version = record->version,
				   .made = record->made };

	if (type == LISTING_FILE) {
		row.size = record->size;
		memcpy(row.sha256, record->sha256, sizeof row.sha256);
		row.mtime = record->mtime;
	}
	return row;
}

/* The version that stands there; where nothing does, the newest that is known. */
static struct listing_row row_of_standing(const struct inventory_row *from)
{
	static const enum listing_type types[] = {
		[NAME_ABSENT] = LISTING_DELETED,
		[NAME_FILE] = LISTING_FILE,
		[NAME_DIRECTORY] = LISTING_DIRECTORY,
	};
	const struct record *file = &from->told.file, *entry = &from->told.entry;

	return row_of(from->name, record_current(file, entry), types[record_name_kind(file, entry)]);
}

/* What was there and is not any more: a file, a directory, or both.  How many rows. */
static size_t rows_of_gone(const struct inventory_row *from, struct listing_row *to)
{
	const struct record *file = &from->told.file, *entry = &from->told.entry;
	enum name_kind stands = record_name_kind(file, entry);
	size_t n = 0;

	if (stands != NAME_DIRECTORY && !version_is_none(entry->version))
		to[n++] = row_of(from->name, entry, LISTING_ENDED);
	if (stands != NAME_FILE && !version_is_none(file->version))
		to[n++] = row_of(from->name, file, LISTING_DELETED);
	return n;
}

/* Directories, then files, each by name. */
static int cmp_for_people(const void *a, const void *b)
{
	const struct listing_row *x = a, *y = b;

	if (listing_row_is_directory(x) != listing_row_is_directory(y))
		return listing_row_is_directory(x) ? -1 : 1;
	return str_cmp(x->name, y->name);
}

/* The rows of one page for people, of all there are. */
static void choose_names(struct render_index *page, struct listing_row *rows, size_t count,
			 const struct query *query, size_t limit)
{
	struct listing_row after = {
		.name = buf_str(&query->after),
		.type = query->after_directory ? LISTING_DIRECTORY : LISTING_FILE,
	};

	qsort(rows, count, sizeof *rows, cmp_for_people);
	while (query->has_after && page->before < count &&
	       cmp_for_people(&rows[page->before], &after) <= 0)
		page->before++;
	page->directories_first = true;
	page->total = count;
	page->rows = rows + page->before;
	page->count = count - page->before;
	page->more = limit > 0 && page->count > limit;
	if (page->more)
		page->count = limit;
}

static void render_names(struct index *index)
{
	const struct inventory *inv = &index->inventory;
	struct conn *c = index->conn;
	const struct query *query = &c->request.query;
	struct listing_row *rows = mem_new(2 * inv->count + 1, sizeof *rows);
	size_t count = 0;
	struct buf state = BUF_INIT;
	struct render_index page = { .path = buf_str(&c->request.path),
				     .node = str_of(c->worker->httpd->conf->node.name),
				     .rows = rows,
				     .more = inv->more,
				     .limit = query->limit,
				     .deleted = query->deleted,
				     .format = query->format };

	for (size_t i = 0; i < inv->count; i++) {
		if (index->media == MEDIA_HTML && query->deleted)
			count += rows_of_gone(&inv->rows[i], &rows[count]);
		else
			rows[count++] = row_of_standing(&inv->rows[i]);
	}
	page.count = count;
	if (index->media == MEDIA_HTML)
		choose_names(&page, rows, count, query,
			     query->limit > 0 ? query->limit : index->browser ? PAGE_NAMES : 0);
	version_state(c, &state);
	page.state = buf_str(&state);
	if (index->media == MEDIA_HTML)
		render_index_html(&index->body, &page);
	else if (index->media == MEDIA_JSON)
		render_index_json(&index->body, &page);
	else
		render_index_text(&index->body, &page);
	if (page.more) {
		render_index_next(&index->next, &page);
		fields_link(&index->links, buf_str(&index->next), "next");
	}
	buf_clear(&state);
	free(rows);
}

/* What a home tells another node. */
static void render_registers(struct index *index)
{
	const struct inventory *inv = &index->inventory;

	for (size_t i = 0; i < inv->count; i++)
		listing_text_registers(&index->body, inv->rows[i].name, &inv->rows[i].told.file,
				       &inv->rows[i].told.entry);
}

/* `Link: <?version=ID>; rel="conflict"` for the newest of them. */
static void link_conflicts(struct index *index, const struct history_row *rows, size_t count)
{
	size_t linked = 0;

	for (size_t i = 0; i < count && linked < CONFLICTS_MAX; i++) {
		char target[VERSION_TEXT + 16] = "?version=", *id = target + strlen(target);

		if (!rows[i].conflict)
			continue;
		version_format(id, rows[i].record.version);
		if (linked++ > 0)
			buf_adds(&index->links, ", ");
		fields_link(&index->links, str_of(target), "conflict");
	}
}

/* The rows that were asked for, of all there are. */
static void choose_versions(struct render_history *page, const struct history_row *rows,
			    size_t count, const struct query *query)
{
	size_t first = 0;

	while (query->has_after && first < count &&
	       version_cmp(rows[first].record.version, query->older) >= 0)
		first++;
	page->rows = rows + first;
	page->count = count - first;
	page->later = first > 0;
	page->limit = query->limit;
	page->more = query->limit > 0 && page->count > query->limit;
	if (page->more)
		page->count = query->limit;
}

static void link_next_versions(struct index *index, const struct render_history *page)
{
	if (!page->more)
		return;
	render_history_next(&index->next, page);
	if (index->links.len > 0)
		buf_adds(&index->links, ", ");
	fields_link(&index->links, buf_str(&index->next), "next");
}

/* This node, and all that it has met. */
static struct render_node *nodes_known(const struct httpd *h, const struct members *members,
				       size_t *ret_count)
{
	struct render_node *nodes = mem_new(members->count + 1, sizeof *nodes);

	nodes[0] = (struct render_node){ store_node(h->store), str_of(h->conf->node.name) };
	for (size_t i = 0; i < members->count; i++)
		nodes[i + 1] = (struct render_node){ members->list[i].id,
						     str_of(members->list[i].name) };
	*ret_count = members->count + 1;
	return nodes;
}

static void render_history_page(struct index *index, struct render_history *page)
{
	const struct httpd *h = index->conn->worker->httpd;
	struct members members = MEMBERS_INIT;
	struct render_node *nodes;

	members_load(h->state_directory, &members, NULL);	/* else nodes go by their ids */
	page->nodes = nodes = nodes_known(h, &members, &page->node_count);
	render_history_html(&index->body, page);
	free(nodes);
	members_clear(&members);
}

static void render_versions(struct index *index)
{
	const struct inventory *inv = &index->inventory;
	struct conn *c = index->conn;
	struct httpd *h = c->worker->httpd;
	struct history_row *rows = mem_new(inv->count + 1, sizeof *rows);
	struct buf state = BUF_INIT;
	struct render_history page = { .path = buf_str(&c->request.path),
				       .node = str_of(h->conf->node.name),
				       .type = mime_of(h->mime, buf_str(&c->request.path)),
				       .format = c->request.query.format };

	for (size_t i = 0; i < inv->count; i++)
		rows[i] = (struct history_row){ .record = inv->rows[i].told.file,
						.type = inv->rows[i].name,
						.here = inv->rows[i].here };
	listing_text_conflicts(rows, inv->count);	/* each beside all others, not its page's */
	choose_versions(&page, rows, inv->count, &c->request.query);
	link_conflicts(index, rows, inv->count);
	link_next_versions(index, &page);
	version_state(c, &state);
	page.state = buf_str(&state);
	if (index->media == MEDIA_HTML)
		render_history_page(index, &page);
	else if (index->media == MEDIA_JSON)
		render_history_json(&index->body, &page);
	else
		render_history_text(&index->body, &page);
	buf_clear(&state);
	free(rows);
}

static void render_work(struct job *job)
{
	struct index *index = CONTAINER_OF(job, struct index, job);

	if (index->versions)
		render_versions(index);
	else if (index->peer)
		render_registers(index);
	else
		render_names(index);
}

/* the answer */

/* Of which layout this node is, and what it knows of the directory's removal. */
static void peer_fields(struct index *index)
{
	struct buf *out = &index->conn->output.text;
	char version[VERSION_TEXT];

	reply_fieldf(out, PEER_EPOCH, "%llu", (unsigned long long)index->inventory.epoch);
	if (!version_is_none(index->inventory.gate))
		reply_field(out, PEER_GATE,
			    str_of(version_format(version, index->inventory.gate)));
}

static void answer_index(struct index *index)
{
	struct conn *c = index->conn;
	struct buf *out = &c->output.text;

	answer_begin(c, 200);
	reply_field(out, "Content-Type", str_of(fields_media_type(index->media)));
	reply_field(out, "Cache-Control", STR("no-cache"));
	reply_field(out, "Vary", STR("Accept"));
	reply_field(out, "X-Content-Type-Options", STR("nosniff"));
	if (index->media == MEDIA_HTML)
		reply_field(out, "Content-Security-Policy", STR(RENDER_CSP));
	answer_version_state(c);
	get_cache_status(c);
	if (index->links.len > 0)
		reply_field(out, "Link", buf_str(&index->links));
	if (index->peer)
		peer_fields(index);
	answer_end_text(c, buf_str(&index->body));
}

static void refuse_unconfirmed(struct conn *c)
{
	get_absent(c, 504, STR("this cannot be confirmed now"));
}

/* Another node asked this one as a home, by a layout that is not this one's. */
static bool is_stale(struct conn *c, uint64_t ours)
{
	struct str field = head_get(&c->head, FIELD_COVEY_EPOCH);
	uint64_t epoch;

	if (!peer_is_of_lineage(c))
		return true;
	return field.s != NULL && (str_u64(field, UINT64_MAX, &epoch) < 0 ||
				   (epoch != 0 && epoch != ours));
}

static void refuse_stale(struct conn *c, uint64_t ours)
{
	struct buf fields = BUF_INIT;

	reply_fieldf(&fields, PEER_EPOCH, "%llu", (unsigned long long)ours);
	answer_error_with(c, 421, buf_str(&fields),
			  STR("this node has another layout than the one asked by"));
	buf_clear(&fields);
}

/* As a home it was asked for all that is known, and its disk forgot something. */
static bool is_silent(struct conn *c)
{
	struct group *group = c->worker->httpd->group;

	return !str_eq(head_get(&c->head, FIELD_COVEY_EPOCH), STR("0")) && group != NULL &&
	       group_is_silent(group);
}

static void rendered(struct job *job)
{
	struct index *index = CONTAINER_OF(job, struct index, job);
	struct conn *c = index->conn;

	answer_index(index);
	conn_resume(c);
}

static void render(struct index *index)
{
	struct conn *c = index->conn;

	index->job = (struct job){ .work = render_work, .done = rendered, .home = c->worker->loop };
	c->state = CONN_BUSY;
	pool_submit(c->worker->httpd->pool, &index->job);
}

/* Whether there is anything to tell of; *why says what is missing. */
static bool is_there(const struct index *index, const char **why)
{
	const struct inventory *inv = &index->inventory;
	const struct request *r = &index->conn->request;
	bool told = inv->result < 0 && inv->err.kind == ERR_ABSENT;

	*why = index->versions ? "nothing was ever there" : "no such directory";
	if (index->versions)
		return inv->count > 0;
	/* Of what cannot be confirmed it is enough that somebody knows of something in it. */
	return r->path.len == 0 || inv->count > 0 || record_is_live(&r->ask.entry) ||
	       (!r->ask.confirmed && !told);
}

/* The answer is the less sure of the two. */
static void take_state(struct index *index)
{
	struct ask *ask = &index->conn->request.ask;
	const struct inventory *inv = &index->inventory;

	ask->confirmed &= inv->confirmed;
	if (inv->confirmed)
		return;
	if (inv->asked > ask->asked)
		ask->asked = inv->asked;
	if (inv->answered < ask->answered)
		ask->answered = inv->answered;
}

/* What is here of a peer's question, or all that was wanted. */
static void told_here(struct index *index)
{
	struct conn *c = index->conn;
	const struct inventory *inv = &index->inventory;

	if (index->peer && is_stale(c, inv->epoch))
		refuse_stale(c, inv->epoch);
	else if (inv->result == 0 && index->versions && inv->count == 0 && !index->peer)
		get_absent(c, 404, STR("nothing was ever there"));
	else if (inv->result == 0 || (index->peer && inv->err.kind == ERR_ABSENT))
		render(index);
	else if (inv->err.kind == ERR_ABSENT || inv->err.kind == ERR_CONFLICT)
		get_absent(c, 404, str_of(err_reason(&inv->err)));
	else
		answer_err(c, &inv->err);
}

static void inventoried(struct conn *c)
{
	struct index *index = c->request.index;
	const struct inventory *inv = &index->inventory;
	const char *why;

	if (inv->ask.here) {
		told_here(index);
		return;
	}
	take_state(index);
	if (inv->result < 0 && inv->err.kind != ERR_ABSENT && !inv->confirmed)
		answer_err(c, &inv->err);
	else if (c->request.freshness.no_cache && !c->request.ask.confirmed)
		refuse_unconfirmed(c);
	else if (!is_there(index, &why))
		get_absent(c, 404, str_of(why));
	else
		render(index);
}

static void take_inventory(struct conn *c, bool here)
{
	struct index *index = c->request.index;
	const struct query *query = &c->request.query;
	struct inventory_ask ask = { .path = buf_str(&c->request.path),
				     .versions = index->versions,
				     .here = here,
				     .silent = c->request.ask.silent };

	/* A page has an order of its own: of all names. */
	if (!index->peer && index->media != MEDIA_HTML) {
		ask.after = buf_str(&query->after);
		ask.limit = query->limit;
	}
	ask.deleted = index->peer || query->deleted;
	inventory_start(&index->inventory, c, &ask, inventoried);
}

/* asking the group */

static void asked(struct conn *c)
{
	struct request *r = &c->request;

	r->ask.confirmed = r->ask.certainty != CERTAINTY_UNCONFIRMED;	/* the entry is settled */
	if (r->freshness.no_cache && !r->ask.confirmed)
		refuse_unconfirmed(c);
	else if (r->ask.confirmed && !record_is_live(&r->ask.entry) && !r->query.deleted)
		get_absent(c, 404, STR("no such directory"));
	else
		take_inventory(c, false);
}

static enum media media_of(struct conn *c, const enum media *offers)
{
	struct buf scratch = BUF_INIT;
	enum media media;

	switch (c->request.query.format) {
	case QUERY_FORMAT_HTML:
		return MEDIA_HTML;
	case QUERY_FORMAT_JSON:
		return MEDIA_JSON;
	case QUERY_FORMAT_TEXT:
		return MEDIA_TEXT;
	case QUERY_FORMAT_NONE:
		break;
	}
	media = fields_accept(head_list(&c->head, FIELD_ACCEPT, &scratch), offers, MEDIA_COUNT);
	buf_clear(&scratch);
	return media;
}

/* Whole, as text, from this node's disk. */
static void tell_peer(struct conn *c)
{
	struct group *group = c->worker->httpd->group;
	uint64_t epoch = group != NULL ? group_epoch(group) : 0;

	c->request.index->media = MEDIA_TEXT;
	ask_none(&c->request.ask, c);
	if (is_stale(c, epoch))
		refuse_stale(c, epoch);
	else if (is_silent(c))
		answer_error(c, 503, "this node's disk has forgotten something");
	else
		take_inventory(c, true);
}

static void start(struct conn *c, bool versions, const enum media *offers)
{
	struct request *r = &c->request;
	struct index *index = mem_new(1, sizeof *index);

	index->conn = c;
	index->versions = versions;
	index->peer = head_get(&c->head, FIELD_COVEY_EPOCH).s != NULL;
	index->media = media_of(c, offers);
	index->browser = answer_wants_page(c) || c->request.query.format == QUERY_FORMAT_HTML;
	r->index = index;
	if (index->peer) {
		tell_peer(c);
	} else if (r->freshness.only_if_cached || !c->worker->httpd->grouped) {
		ask_none(&r->ask, c);	/* what is here is all that was wanted */
		take_inventory(c, true);
	} else if (versions || r->path.len == 0) {
		/* Their homes say all; the root is always there. */
		ask_none(&r->ask, c);
		r->ask.answered = r->ask.asked;
		r->ask.confirmed = true;
		take_inventory(c, false);
	} else if (ask_start(&r->ask, c, buf_str(&r->path), NEWEST_READ, VERSION_NONE, asked)) {
		asked(c);
	}
}

void index_start(struct conn *c)
{
	static const enum media offers[] = { MEDIA_HTML, MEDIA_JSON, MEDIA_TEXT };

	start(c, false, offers);
}

void history_start(struct conn *c)
{
	static const enum media offers[] = { MEDIA_TEXT, MEDIA_JSON, MEDIA_HTML };

	start(c, true, offers);
}
