/* render_history - the versions of a path as a page, as JSON and as text */
#include "render.h"

#include "escape.h"
#include "page.h"

static struct str type_of(const struct render_history *history, const struct history_row *row)
{
	return row->type.n > 0 ? row->type : history->type;
}

static bool is_current(const struct render_history *history, size_t i)
{
	return i == 0 && !history->later;
}

static const char *state_of(const struct record *record, bool current)
{
	if (record->flags & RECORD_DELETED)
		return current ? "deleted (current)" : "deleted";
	return current ? "current" : "";
}

/* What it is called, its id at hand; an unknown one by the beginning of its id. */
static void html_node(struct buf *buf, const struct render_history *history, uint64_t id)
{
	buf_addf(buf, "<span title=\"%016llx\">", (unsigned long long)id);
	for (size_t i = 0; i < history->node_count; i++) {
		if (history->nodes[i].id == id) {
			escape_html(buf, history->nodes[i].name);
			buf_adds(buf, "</span>");
			return;
		}
	}
	buf_addf(buf, "%08llx&hellip;</span>", (unsigned long long)(id >> 32));
}

static void html_row(struct buf *buf, const struct render_history *history, size_t i)
{
	const struct history_row *row = &history->rows[i];
	const struct record *record = &row->record;
	bool content = record_has_content(record), current = is_current(history, i);
	char version[VERSION_TEXT];

	version_format(version, record->version);
	buf_adds(buf, "<tr><td>");
	if (content)
		buf_addf(buf, "<a href=\"?version=%s\">", version);
	page_time(buf, record_made(record), PAGE_SECONDS);
	if (content)
		buf_adds(buf, "</a>");
	buf_adds(buf, "</td><td class=\"n\">");
	if (content)
		page_size(buf, record->size);
	buf_adds(buf, "</td><td>");
	if (content)
		escape_html(buf, type_of(history, row));
	buf_adds(buf, "</td><td class=\"d\">");
	html_node(buf, history, record->version.node);
	buf_addf(buf, "</td><td>%s%s", state_of(record, current), row->conflict ? " conflict" : "");
	if (content && !current)
		buf_addf(buf, " <form method=\"post\" action=\"?restore=%s\">"
			      "<button class=\"b\" aria-label=\"Restore %s\">restore</button></form>",
			 version, version);
	buf_adds(buf, "</td></tr>\n");
}

void render_history_next(struct buf *to, const struct render_history *history)
{
	char id[VERSION_TEXT];

	buf_addf(to, "?versions&after=%s&limit=%llu",
		 version_format(id, history->rows[history->count - 1].record.version),
		 (unsigned long long)history->limit);
	if (history->format != QUERY_FORMAT_NONE)
		buf_addf(to, "&format=%s", query_format_name(history->format));
}

void render_history_html(struct buf *buf, const struct render_history *history)
{
	page_begin(buf, history->path, history->node, false, "Versions of ",
		   page_name(history->path, history->node));
	page_unsure(buf, history->state);
	buf_adds(buf, "<table>\n<thead><tr><th scope=\"col\">Time (UTC)</th>"
		      "<th scope=\"col\" class=\"n\">Size</th><th scope=\"col\">Type</th>"
		      "<th scope=\"col\">Node</th><th scope=\"col\">State</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < history->count; i++)
		html_row(buf, history, i);
	buf_adds(buf, "</tbody>\n</table>\n");
	if (history->more) {
		struct buf next = BUF_INIT;

		render_history_next(&next, history);
		buf_adds(buf, "<nav class=\"m\" aria-label=\"Pages\">");
		page_link(buf, "next", buf_str(&next), "Older versions &rarr;");
		buf_adds(buf, "</nav>\n");
		buf_clear(&next);
	}
	page_end(buf, history->node, history->state);
}

static void json_row(struct buf *buf, const struct render_history *history, size_t i)
{
	const struct record *record = &history->rows[i].record;
	char version[VERSION_TEXT], sha256[2 * SHA256_BYTES + 1];

	buf_addf(buf, "{\"version\":\"%s\",\"time\":\"", version_format(version, record->version));
	listing_text_time(buf, record_made(record));
	buf_addf(buf, "\",\"size\":%llu,\"sha256\":", (unsigned long long)record->size);
	if (record_has_content(record)) {
		str_to_hex(sha256, record->sha256, SHA256_BYTES);
		buf_addf(buf, "\"%s\",\"type\":", sha256);
		escape_json(buf, type_of(history, &history->rows[i]));
	} else {
		buf_adds(buf, "null,\"type\":null");
	}
	buf_addf(buf, ",\"node\":\"%016llx\",\"deleted\":%s,\"current\":%s",
		 (unsigned long long)record->version.node,
		 record->flags & RECORD_DELETED ? "true" : "false",
		 is_current(history, i) ? "true" : "false");
	buf_addf(buf, ",\"blind\":%s,\"rel\":%s}",
		 record->flags & RECORD_BLIND ? "true" : "false",
		 history->rows[i].conflict ? "\"conflict\"" : "null");
}

void render_history_json(struct buf *buf, const struct render_history *history)
{
	for (size_t i = 0; i < history->count; i++) {
		buf_adds(buf, i == 0 ? "[\n" : ",\n");
		json_row(buf, history, i);
	}
	buf_adds(buf, history->count == 0 ? "[]\n" : "\n]\n");
}

void render_history_text(struct buf *buf, const struct render_history *history)
{
	for (size_t i = 0; i < history->count; i++)
		listing_text_version(buf, &history->rows[i]);
}
