/*
 * index - what is below a directory, and the history of a path
 *
 *	on the loop	ask about the path, gather the peers' lines
 *	in the pool	read the store, join, render
 *	on the loop	answer
 */
#include "index.h"

#include "answer.h"
#include "conn.h"
#include "container.h"
#include "fields.h"
#include "gather.h"
#include "get.h"
#include "group.h"
#include "handlers.h"
#include "join.h"
#include "mem.h"
#include "peer.h"
#include "peer_http.h"
#include "render.h"
#include "reply.h"

#define CONFLICTS_MAX 32		/* that Link names */

struct index {
	struct conn *conn;
	enum media media;
	bool versions;			/* a history; else an index */
	bool joined;			/* with what peers have */
	struct gather gather;
	struct job job;
	uint64_t epoch;			/* of this node, after its store was read */
	int result;
	struct err err;
	struct buf body;		/* rendered */
	struct buf next;		/* the next page's query, or empty */
	struct buf links;		/* the value of Link, or empty */
};

void index_free(struct index *index)
{
	if (index == NULL)
		return;
	gather_end(&index->gather);
	buf_clear(&index->body);
	buf_clear(&index->next);
	buf_clear(&index->links);
	free(index);
}

/* in the pool */

/*
 * After the store was read: what was read is of this epoch or an earlier one.
 * Had this node gone by a newer layout before, its covey-versiond might have
 * helped others to go on without what was read here.
 */
static void note_epoch(struct index *index)
{
	struct group *group = index->conn->worker->httpd->group;

	index->epoch = group != NULL ? group_newest_epoch(group) : 0;
	if (index->joined)
		index->conn->request.ask.confirmed &= index->gather.epoch == index->epoch;
}

static void version_state(const struct conn *c, struct buf *ret)
{
	const struct ask *ask = &c->request.ask;

	freshness_version_state(ret, ask->confirmed, ask->answered, ask->asked);
}

static void render_rows(struct index *index, const struct join_rows *rows)
{
	struct conn *c = index->conn;
	struct buf state = BUF_INIT;
	struct render_index page = { .path = buf_str(&c->request.path),
				     .node = str_of(c->worker->httpd->conf->node.name),
				     .rows = rows->rows,
				     .count = rows->count,
				     .more = rows->more,
				     .limit = c->request.query.limit,
				     .deleted = c->request.query.deleted,
				     .format = c->request.query.format };

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
}

/* Whether anybody knows of a directory there, when this node does not. */
static bool known_elsewhere(const struct index *index, const struct join_rows *j)
{
	const struct ask *ask = &index->conn->request.ask;

	return j->count > 0 || ask->directory ||
	       (record_is_live(&ask->record) && ask->record.flags & RECORD_DIRECTORY);
}

/* Whether the newest that is known of the directory itself, here or elsewhere, is its deletion. */
static bool is_deleted(const struct index *index)
{
	const struct request *r = &index->conn->request;
	struct store_entry here = STORE_ENTRY_INIT;
	struct record newest = r->ask.record;

	if (r->path.len == 0 || store_newest(index->conn->worker->httpd->store, buf_str(&r->path),
					     STORE_RECORD, &here, NULL) < 0)
		return false;
	if (version_cmp(here.record.version, newest.version) >= 0) {
		newest = here.record;
		if (here.directory)
			newest.version = VERSION_NONE;
	}
	store_entry_clear(&here);
	return !version_is_none(newest.version) && !record_is_live(&newest);
}

static void list_work(struct job *job)
{
	struct index *index = CONTAINER_OF(job, struct index, job);
	const struct request *r = &index->conn->request;
	struct join_page page = { .after = buf_str(&r->query.after),
				  .limit = r->query.limit,
				  .deleted = r->query.deleted };
	struct listing listing = LISTING_INIT;
	struct join_rows rows = JOIN_ROWS_INIT;

	/* Deletions here hide what older versions peers list. */
	index->result = store_list(index->conn->worker->httpd->store, buf_str(&r->path),
				   page.after, index->joined ? 0 : page.limit,
				   index->joined || page.deleted, &listing, &index->err);
	note_epoch(index);
	if (index->joined)
		join_listing(&rows, &listing, &index->gather, &page);
	else
		join_local(&rows, &listing);
	if (index->result < 0 && index->err.kind == ERR_ABSENT && known_elsewhere(index, &rows))
		index->result = 0;
	/* A name with live children is a directory, whatever its own record says. */
	if (index->result == 0 && index->joined && rows.count == 0 && !r->query.has_after &&
	    is_deleted(index))
		index->result = err_set(&index->err, ERR_ABSENT, "no such directory");
	if (index->result == 0)
		render_rows(index, &rows);
	join_rows_clear(&rows);
	listing_clear(&listing);
}

/* `Link: <?version=ID>; rel="conflict"` for the newest of them. */
static void link_conflicts(struct index *index, const struct join_versions *j)
{
	size_t count = 0;

	for (size_t i = 0; i < j->count && count < CONFLICTS_MAX; i++) {
		char target[VERSION_TEXT + 16] = "?version=", *id = target + strlen(target);

		if (!j->rows[i].conflict)
			continue;
		version_format(id, j->rows[i].record.version);
		if (count++ > 0)
			buf_adds(&index->links, ", ");
		fields_link(&index->links, str_of(target), "conflict");
	}
}

/* The rows that were asked for, of all there are. */
static void choose_versions(struct render_history *page, const struct join_versions *j,
			    const struct query *query)
{
	size_t first = 0;

	while (query->has_after && first < j->count &&
	       version_cmp(j->rows[first].record.version, query->older) >= 0)
		first++;
	page->rows = j->rows + first;
	page->count = j->count - first;
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

static void render_versions(struct index *index, const struct join_versions *j)
{
	struct conn *c = index->conn;
	struct httpd *h = c->worker->httpd;
	struct buf state = BUF_INIT;
	struct render_history page = { .path = buf_str(&c->request.path),
				       .node = str_of(h->conf->node.name),
				       .type = mime_of(h->mime, buf_str(&c->request.path)),
				       .format = c->request.query.format };

	listing_text_conflicts(j->rows, j->count);	/* each beside all others, not its page's */
	choose_versions(&page, j, &c->request.query);
	link_conflicts(index, j);
	link_next_versions(index, &page);
	version_state(c, &state);
	page.state = buf_str(&state);
	if (index->media == MEDIA_HTML)
		render_history_html(&index->body, &page);
	else if (index->media == MEDIA_JSON)
		render_history_json(&index->body, &page);
	else
		render_history_text(&index->body, &page);
	buf_clear(&state);
}

static void history_work(struct job *job)
{
	struct index *index = CONTAINER_OF(job, struct index, job);
	struct history history = HISTORY_INIT;
	struct join_versions versions = JOIN_VERSIONS_INIT;

	index->result = store_history(index->conn->worker->httpd->store,
				      buf_str(&index->conn->request.path), &history, &index->err);
	note_epoch(index);
	if (index->result < 0 && index->err.kind == ERR_ABSENT)
		index->result = 0;
	join_history(&versions, &history, &index->gather);
	if (index->result == 0 && versions.count == 0)
		index->result = err_set(&index->err, ERR_ABSENT, "nothing was ever there");
	if (index->result == 0)
		render_versions(index, &versions);
	join_versions_clear(&versions);
	history_clear(&history);
}

/* the answer */

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
	return field.s != NULL && (str_u64(field, UINT64_MAX, &epoch) < 0 || epoch != ours);
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

	return head_get(&c->head, FIELD_COVEY_EPOCH).s != NULL && group != NULL &&
	       group_is_silent(group);
}

static void index_done(struct job *job)
{
	struct index *index = CONTAINER_OF(job, struct index, job);
	struct conn *c = index->conn;

	if (is_stale(c, index->epoch))
		refuse_stale(c, index->epoch);
	else if (index->joined && c->request.freshness.no_cache && !c->request.ask.confirmed)
		refuse_unconfirmed(c);
	else if (index->result == 0)
		answer_index(index);
	else if (index->err.kind == ERR_ABSENT || index->err.kind == ERR_CONFLICT)
		get_absent(c, 404, str_of(err_reason(&index->err)));
	else
		answer_err(c, &index->err);
	conn_resume(c);
}

static void submit(struct conn *c)
{
	struct index *index = c->request.index;

	index->job = (struct job){ .work = index->versions ? history_work : list_work,
				   .done = index_done,
				   .home = c->worker->loop };
	c->state = CONN_BUSY;
	pool_submit(c->worker->httpd->pool, &index->job);
}

/* asking the group */

/* What came is the less sure of the two answers. */
static void gathered(struct conn *c)
{
	struct ask *ask = &c->request.ask;
	const struct gather *g = &c->request.index->gather;

	ask->confirmed &= g->confirmed;
	if (!g->confirmed) {
		ask->answered = !g->complete ? 0 :
				g->answered < ask->answered ? g->answered : ask->answered;
		if (g->complete && g->asked > ask->asked)
			ask->asked = g->asked;
	}
	if (c->request.freshness.no_cache && !ask->confirmed)
		refuse_unconfirmed(c);
	else
		submit(c);
}

static void gather(struct conn *c)
{
	struct index *index = c->request.index;

	index->joined = true;
	if (gather_start(&index->gather, c, &c->request.ask,
			 index->versions ? SYNC_HISTORY : SYNC_LIST, gathered))
		gathered(c);
}

static void asked(struct conn *c)
{
	if (c->request.freshness.no_cache && !c->request.ask.confirmed)
		refuse_unconfirmed(c);
	else
		gather(c);
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

static void start(struct conn *c, bool versions, const enum media *offers)
{
	struct request *r = &c->request;
	struct group *group = c->worker->httpd->group;
	struct index *index = mem_new(1, sizeof *index);
	uint64_t epoch = group != NULL ? group_epoch(group) : 0;

	index->conn = c;
	index->versions = versions;
	index->media = media_of(c, offers);
	index->gather = (struct gather)GATHER_INIT;
	r->index = index;
	if (is_stale(c, epoch)) {
		refuse_stale(c, epoch);
		return;
	}
	if (is_silent(c)) {
		answer_error(c, 503, "this node's disk has forgotten something");
		return;
	}
	if (r->freshness.only_if_cached || !c->worker->httpd->grouped) {
		ask_none(&r->ask, c);	/* what is here is all that was wanted */
		submit(c);
	} else if (versions || r->path.len == 0) {
		/* Their homes say all; the root is always there. */
		ask_none(&r->ask, c);
		r->ask.answered = r->ask.asked;
		r->ask.confirmed = true;
		gather(c);
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
