/*
 * index - what is below a directory, and the history of a path
 *
 *	on the loop	ask about the directory, take inventory
 *	in the pool	render
 *	on the loop	answer
 *
 * The names are told by names.c.  Another node that asks this one as a home
 * (peer_http.h) is told what is on this node's disk, whole or a window of it:
 * both registers of each name, and the gate.
 */
#include "access.h"
#include "answer.h"
#include "loop/conn.h"
#include "clock.h"
#include "container.h"
#include "fields.h"
#include "group.h"
#include "handlers.h"
#include "inventory.h"
#include "mem.h"
#include "members.h"
#include "pct.h"
#include "peer_http.h"
#include "render.h"
#include "reply.h"

#define CONFLICTS_MAX 32		/* that Link names */

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

static void index_end(struct conn *c)
{
	struct index *index = c->request.index;

	inventory_end(&index->inventory);
	buf_clear(&index->body);
	buf_clear(&index->next);
	buf_clear(&index->links);
	free(index);
}

/* in the pool */

/* What a home tells another node. */
static void index_render_registers(struct index *index)
{
	const struct inventory *inv = &index->inventory;

	for (size_t i = 0; i < inv->count; i++)
		listing_text_registers(&index->body, inv->rows[i].name, &inv->rows[i].told.file,
				       &inv->rows[i].told.entry);
}

/* `Link: <?version=ID>; rel="conflict"` for the newest of them. */
static void history_link_conflicts(struct index *index, const struct history_row *rows, size_t count)
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
static void history_choose_versions(struct render_history *page, const struct history_row *rows,
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

static void history_link_next(struct index *index, const struct render_history *page)
{
	if (!page->more)
		return;
	render_history_next(&index->next, page);
	if (index->links.len > 0)
		buf_adds(&index->links, ", ");
	fields_link(&index->links, buf_str(&index->next), "next");
}

/* This node, and all that it has met. */
static struct render_node *history_nodes(const struct httpd *h, const struct members *members,
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

static void history_render(struct index *index)
{
	const struct inventory *inv = &index->inventory;
	struct conn *c = index->conn;
	struct httpd *h = c->worker->httpd;
	struct history_row *rows = mem_new(inv->count + 1, sizeof *rows);
	struct members members = MEMBERS_INIT;
	struct render_node *nodes;
	struct buf state = BUF_INIT;
	struct render_history page = { .path = buf_str(&c->request.path),
				       .node = str_of(h->conf->node.name),
				       .type = mime_of(h->mime, buf_str(&c->request.path)),
				       .no_restore = !door_may(c, buf_str(&c->request.path), ACCESS_RESTORE),
				       .format = c->request.query.format };

	for (size_t i = 0; i < inv->count; i++)
		rows[i] = (struct history_row){ .record = inv->rows[i].told.file,
						.type = inv->rows[i].name,
						.here = inv->rows[i].here };
	listing_text_conflicts(rows, inv->count);	/* beyond the page, too */
	history_choose_versions(&page, rows, inv->count, &c->request.query);
	history_link_conflicts(index, page.rows, page.count);
	history_link_next(index, &page);
	answer_state_text(c, &state);
	page.state = buf_str(&state);
	if (index->media == MEDIA_HTML)
		members_load(h->state_directory, &members, NULL);	/* else nodes go by their ids */
	page.nodes = nodes = history_nodes(h, &members, &page.node_count);
	render_history(&index->body, &page, index->media);
	free(nodes);
	members_clear(&members);
	buf_clear(&state);
	free(rows);
}

static void index_render_work(struct job *job)
{
	struct index *index = CONTAINER_OF(job, struct index, job);

	if (index->versions)
		history_render(index);
	else
		index_render_registers(index);
}

/* the answer */

/* The epoch of this node's layout, and the gate of the directory. */
static void index_peer_fields(struct index *index)
{
	struct buf *out = &index->conn->output.text;
	char version[VERSION_TEXT];

	reply_fieldf(out, PEER_EPOCH, "%llu", (unsigned long long)index->inventory.layout.epoch);
	if (!version_is_none(index->inventory.gate))
		reply_field(out, PEER_GATE,
			    str_of(version_format(version, index->inventory.gate)));
	if (index->inventory.upto.len > 0) {
		struct buf name = BUF_INIT;

		pct_encode_component(&name, buf_str(&index->inventory.upto));
		reply_field(out, PEER_UPTO, buf_str(&name));
		buf_clear(&name);
	}
}

static void index_answer(struct index *index)
{
	struct conn *c = index->conn;

	answer_begin_list(c, index->media, buf_str(&index->links));
	if (index->peer)
		index_peer_fields(index);
	answer_end_text(c, buf_str(&index->body));
}

/* Of what a node asks another one; s NULL: it does not say. */
static struct str index_peer_says(const struct conn *c, struct str name)
{
	for (size_t i = 0; i < c->head.field_count; i++)
		if (str_eq_nocase(c->head.fields[i].name, name))
			return c->head.fields[i].value;
	return (struct str)STR_INIT;
}

/* The request says nothing of its layout's lineage, or that it is this one. */
static bool index_asker_is_of_lineage(const struct conn *c, uint64_t lineage)
{
	struct str field = index_peer_says(c, STR(PEER_LINEAGE));
	uint64_t theirs;

	return field.s == NULL || (str_hex64(field, &theirs) == 0 && theirs == lineage);
}

/* Another node asked this one as a home, by a layout that is not this one's. */
static bool index_asker_is_stale(struct conn *c, struct layout_id ours)
{
	struct str field = head_get(&c->head, FIELD_COVEY_EPOCH);
	uint64_t epoch;

	if (!index_asker_is_of_lineage(c, ours.lineage))
		return true;
	return field.s != NULL && (str_u64(field, UINT64_MAX, &epoch) < 0 ||
				   (epoch != 0 && epoch != ours.epoch));
}

static void index_refuse_stale(struct conn *c, struct layout_id ours)
{
	struct buf fields = BUF_INIT;

	reply_fieldf(&fields, PEER_EPOCH, "%llu", (unsigned long long)ours.epoch);
	answer_error_with(c, 421, buf_str(&fields),
			  STR("this node has another layout than the one asked by"));
	buf_clear(&fields);
}

/* It is asked as a home, and its disk has forgotten something. */
static bool index_is_silent(struct conn *c)
{
	struct group *group = c->worker->httpd->group;

	return !str_eq(head_get(&c->head, FIELD_COVEY_EPOCH), STR("0")) && group != NULL &&
	       group_is_silent(group);
}

static void index_rendered(struct job *job)
{
	struct index *index = CONTAINER_OF(job, struct index, job);
	struct conn *c = index->conn;

	index_answer(index);
	conn_resume(c);
}

/* This node's disk alone was wanted, by another node or by a client. */
static void index_told_here(struct index *index)
{
	struct conn *c = index->conn;
	const struct inventory *inv = &index->inventory;

	if (index->peer && index_asker_is_stale(c, inv->layout))
		index_refuse_stale(c, inv->layout);
	else if (inv->result == 0 && index->versions && inv->count == 0 && !index->peer)
		answer_version_error(c, 404, STR("nothing was ever there"));
	else if (inv->result == 0 || (index->peer && inv->err.kind == ERR_ABSENT))
		conn_start_job(c, &index->job, index_render_work, index_rendered, 0);
	else if (inv->err.kind == ERR_ABSENT || inv->err.kind == ERR_CONFLICT)
		answer_version_error(c, 404, str_of(err_reason(&inv->err)));
	else
		answer_err(c, &inv->err);
}

static void index_inventoried(struct conn *c)
{
	struct index *index = c->request.index;
	const struct inventory *inv = &index->inventory;

	if (inv->ask.here) {
		index_told_here(index);
		return;
	}
	inventory_lessen(inv, &c->request.ask);
	if (inv->result < 0 && inv->err.kind != ERR_ABSENT && !inv->confirmed)
		answer_err(c, &inv->err);
	else if (c->request.freshness.no_cache && !c->request.ask.confirmed)
		answer_unconfirmed(c);
	else if (inv->count == 0)
		answer_version_error(c, 404, STR("nothing was ever there"));
	else
		conn_start_job(c, &index->job, index_render_work, index_rendered, 0);
}

/* Which names another node wants to be told of. */
static void index_peer_window(struct conn *c, struct inventory_ask *ask)
{
	const struct query *query = &c->request.query;
	uint64_t now = clock_mono_ms(), age;

	ask->deleted = true;
	ask->after = buf_str(&query->after);
	ask->limit = (uint32_t)query->limit;
	ask->directories = str_eq(index_peer_says(c, STR(PEER_KIND)), STR(PEER_DIRECTORIES));
	/* What was rounded off is added. */
	if (str_u64(index_peer_says(c, STR(PEER_AGE)), now, &age) == 0)
		ask->as_of.ms = now - age + 1;
}

static void index_take_inventory(struct conn *c, bool here)
{
	struct index *index = c->request.index;
	const struct query *query = &c->request.query;
	struct inventory_ask ask = { .path = buf_str(&c->request.path),
				     .versions = index->versions,
				     .here = here,
				     .silent = c->request.ask.silent };

	if (!index->versions) {
		index_peer_window(c, &ask);
	} else if (!index->peer) {
		ask.older = query->older;
		ask.limit = (uint32_t)query->limit;
	}
	inventory_start(&index->inventory, c, &ask, index_inventoried);
}

/* Names are told while they are read. */
static void index_hand_over(struct conn *c, bool of_group)
{
	enum media media = c->request.index->media;
	bool browser = c->request.index->browser;

	index_end(c);
	names_start(c, media, browser, of_group);
}

/* asking the group */

static void index_asked(struct conn *c)
{
	struct request *r = &c->request;

	r->ask.confirmed = r->ask.certainty != CERTAINTY_UNCONFIRMED;	/* the entry is settled */
	if (r->freshness.no_cache && !r->ask.confirmed)
		answer_unconfirmed(c);
	else if (r->ask.confirmed && !record_is_live(&r->ask.entry) && !r->query.deleted)
		answer_version_error(c, 404, STR("no such directory"));
	else
		index_hand_over(c, true);
}

static enum media index_media(struct conn *c, const enum media *offers)
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

/* As text, from this node's disk. */
static void index_tell_peer(struct conn *c)
{
	struct group *group = c->worker->httpd->group;
	struct layout layout = LAYOUT_NONE;
	struct layout_id ours;

	if (group != NULL)
		group_layout(group, &layout);
	ours = (struct layout_id){ layout.lineage, layout.epoch };
	c->request.index->media = MEDIA_TEXT;
	ask_none(&c->request.ask, c);
	if (index_asker_is_stale(c, ours))
		index_refuse_stale(c, ours);
	else if (index_is_silent(c))
		answer_error(c, 503, "this node's disk has forgotten something");
	else
		index_take_inventory(c, true);
}

void index_start(struct conn *c)
{
	static const enum media names[] = { MEDIA_HTML, MEDIA_JSON, MEDIA_TEXT },
				history[] = { MEDIA_TEXT, MEDIA_JSON, MEDIA_HTML };
	struct request *r = &c->request;
	bool versions = r->query.versions;
	struct index *index = mem_new(1, sizeof *index);

	index->conn = c;
	index->versions = versions;
	index->peer = head_get(&c->head, FIELD_COVEY_EPOCH).s != NULL;
	index->media = index_media(c, versions ? history : names);
	index->browser = answer_wants_page(c) || c->request.query.format == QUERY_FORMAT_HTML;
	r->index = index;
	r->end = index_end;
	if (index->peer) {
		index_tell_peer(c);
	} else if (r->freshness.only_if_cached || !c->worker->httpd->grouped) {
		ask_none(&r->ask, c);	/* what is here is all that was wanted */
		if (versions)
			index_take_inventory(c, true);
		else
			index_hand_over(c, false);
	} else if (versions || r->path.len == 0) {
		/* A history needs no entry, and the root always stands. */
		ask_none(&r->ask, c);
		r->ask.answered = r->ask.asked;
		r->ask.confirmed = true;
		if (versions)
			index_take_inventory(c, false);
		else
			index_hand_over(c, true);
	} else if (ask_start(&r->ask, c, buf_str(&r->path), NEWEST_READ, VERSION_NONE, index_asked)) {
		index_asked(c);
	}
}
