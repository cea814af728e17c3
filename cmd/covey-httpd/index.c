/* index - what is below a directory, and the history of a path */
#include "index.h"

#include "answer.h"
#include "conn.h"
#include "container.h"
#include "fields.h"
#include "get.h"
#include "handlers.h"
#include "mem.h"
#include "render.h"
#include "reply.h"

struct index {
	struct conn *conn;
	enum media media;
	struct job job;
	int result;
	struct err err;
	struct buf body;		/* rendered */
	struct buf next;		/* the next page's query, or empty */
};

void index_free(struct index *index)
{
	if (index == NULL)
		return;
	buf_clear(&index->body);
	buf_clear(&index->next);
	free(index);
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

/* in the pool: indexes */

static struct listing_row row_of(const struct list_entry *entry)
{
	struct listing_row row = { .name = str_of(entry->name),
				   .size = entry->record.size,
				   .version = entry->record.version };

	if (entry->directory)
		row.type = LISTING_DIRECTORY;
	else if (!record_is_live(&entry->record))
		row.type = LISTING_DELETED;
	else
		row.type = LISTING_FILE;
	return row;
}

static void render_listing(struct index *index, const struct listing *listing)
{
	struct conn *c = index->conn;
	struct listing_row *rows = mem_new(listing->count, sizeof *rows);
	struct buf state = BUF_INIT;
	struct render_index page = { .path = buf_str(&c->request.path),
				     .node = str_of(c->worker->httpd->conf->node.name),
				     .rows = rows,
				     .count = listing->count,
				     .more = listing->more,
				     .limit = c->request.query.limit };

	for (size_t i = 0; i < listing->count; i++)
		rows[i] = row_of(&listing->entries[i]);
	freshness_version_state(&state, c->request.ask.confirmed, c->request.ask.answered,
				c->request.ask.asked);
	page.state = buf_str(&state);
	if (index->media == MEDIA_HTML)
		render_index_html(&index->body, &page);
	else if (index->media == MEDIA_JSON)
		render_index_json(&index->body, &page);
	else
		render_index_text(&index->body, &page);
	if (page.more)
		render_index_next(&index->next, &page);
	buf_clear(&state);
	free(rows);
}

static void list_work(struct job *job)
{
	struct index *index = CONTAINER_OF(job, struct index, job);
	const struct request *r = &index->conn->request;
	struct listing listing = LISTING_INIT;

	index->result = store_list(index->conn->worker->httpd->store, buf_str(&r->path),
				   buf_str(&r->query.after), r->query.limit, r->query.deleted,
				   &listing, &index->err);
	if (index->result == 0)
		render_listing(index, &listing);
	listing_clear(&listing);
}

/* in the pool: histories */

static void render_versions(struct index *index, const struct history *history)
{
	struct conn *c = index->conn;
	struct history_row *rows = mem_new(history->count, sizeof *rows);
	struct buf state = BUF_INIT;
	struct render_history page = { .path = buf_str(&c->request.path),
				       .node = str_of(c->worker->httpd->conf->node.name),
				       .type = mime_of(c->worker->httpd->mime,
						       buf_str(&c->request.path)),
				       .rows = rows,
				       .count = history->count };

	for (size_t i = 0; i < history->count; i++) {
		const struct history_entry *entry = &history->entries[i];

		rows[i] = (struct history_row){ .record = entry->record,
						.type = str_of(entry->type),
						.here = entry->content };
	}
	freshness_version_state(&state, c->request.ask.confirmed, c->request.ask.answered,
				c->request.ask.asked);
	page.state = buf_str(&state);
	if (index->media == MEDIA_HTML)
		render_history_html(&index->body, &page);
	else if (index->media == MEDIA_JSON)
		render_history_json(&index->body, &page);
	else
		render_history_text(&index->body, &page);
	buf_clear(&state);
	free(rows);
}

static void history_work(struct job *job)
{
	struct index *index = CONTAINER_OF(job, struct index, job);
	struct history history = HISTORY_INIT;

	index->result = store_history(index->conn->worker->httpd->store,
				      buf_str(&index->conn->request.path), &history, &index->err);
	if (index->result == 0 && history.count == 0)
		index->result = err_set(&index->err, ERR_ABSENT, "no such file");
	if (index->result == 0)
		render_versions(index, &history);
	history_clear(&history);
}

/* the answer */

static void answer_index(struct index *index)
{
	struct conn *c = index->conn;
	struct buf *out = &c->output.text;
	struct buf value = BUF_INIT;

	answer_begin(c, 200);
	reply_field(out, "Content-Type", str_of(fields_media_type(index->media)));
	reply_field(out, "Cache-Control", STR("no-cache"));
	reply_field(out, "Vary", STR("Accept"));
	reply_field(out, "X-Content-Type-Options", STR("nosniff"));
	if (index->media == MEDIA_HTML)
		reply_field(out, "Content-Security-Policy", STR(RENDER_CSP));
	answer_version_state(c);
	get_cache_status(c);
	if (index->next.len > 0) {
		fields_link(&value, buf_str(&index->next), "next");
		reply_field(out, "Link", buf_str(&value));
		buf_clear(&value);
	}
	answer_end_text(c, buf_str(&index->body));
}

static void index_done(struct job *job)
{
	struct index *index = CONTAINER_OF(job, struct index, job);
	struct conn *c = index->conn;

	if (index->result == 0)
		answer_index(index);
	else if (index->err.kind == ERR_ABSENT || index->err.kind == ERR_CONFLICT)
		get_absent(c, 404, str_of(index->err.text));
	else
		answer_err(c, &index->err);
	conn_resume(c);
}

static void submit(struct conn *c, void (*work)(struct job *))
{
	struct index *index = c->request.index;

	index->job = (struct job){ .work = work, .done = index_done, .home = c->worker->loop };
	c->state = CONN_BUSY;
	pool_submit(c->worker->httpd->pool, &index->job);
}

static struct index *begin(struct conn *c, const enum media *offers)
{
	struct index *index = mem_new(1, sizeof *index);

	index->conn = c;
	index->media = media_of(c, offers);
	c->request.index = index;
	ask_none(&c->request.ask, c);
	return index;
}

void index_start(struct conn *c)
{
	static const enum media offers[] = { MEDIA_HTML, MEDIA_JSON, MEDIA_TEXT };

	begin(c, offers);
	submit(c, list_work);
}

void history_start(struct conn *c)
{
	static const enum media offers[] = { MEDIA_TEXT, MEDIA_JSON, MEDIA_HTML };

	begin(c, offers);
	submit(c, history_work);
}
