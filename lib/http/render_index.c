/* render_index - a directory as a page, as JSON and as text */
#include "render.h"

#include "escape.h"
#include "page.h"
#include "pct.h"

void render_index_next(struct buf *buf, const struct render_index *index)
{
	buf_adds(buf, "?after=");
	if (index->count > 0)
		pct_encode_component(buf, index->rows[index->count - 1].name);
	buf_addf(buf, "&limit=%llu", (unsigned long long)index->limit);
	if (index->deleted)
		buf_adds(buf, "&deleted");
	if (index->format != QUERY_FORMAT_NONE)
		buf_addf(buf, "&format=%s", query_format_name(index->format));
}

static void add_href(struct buf *buf, const struct listing_row *row)
{
	pct_encode_component(buf, row->name);
	if (row->type == LISTING_DIRECTORY)
		buf_addc(buf, '/');
}

static void html_name(struct buf *buf, const struct listing_row *row)
{
	if (row->type == LISTING_DELETED) {
		buf_adds(buf, "<s class=\"d\">");
		escape_html(buf, row->name);
		buf_adds(buf, "</s>");
		return;
	}
	buf_adds(buf, "<a href=\"");
	add_href(buf, row);
	buf_adds(buf, "\">");
	escape_html(buf, row->name);
	buf_adds(buf, row->type == LISTING_DIRECTORY ? "/</a>" : "</a>");
}

static void html_row(struct buf *buf, const struct listing_row *row)
{
	buf_adds(buf, "<tr><td>");
	html_name(buf, row);
	buf_adds(buf, "</td><td>");
	if (version_is_none(row->version))
		buf_adds(buf, "<span class=\"d\">-</span>");
	else
		page_time(buf, listing_row_made(row));
	buf_adds(buf, "</td><td class=\"n\">");
	if (row->type == LISTING_FILE)
		page_size(buf, row->size);
	else
		buf_adds(buf, "<span class=\"d\">-</span>");
	buf_adds(buf, "</td>\n<td>");	/* lftp takes the number up to the next space for the size */
	if (row->type != LISTING_DIRECTORY) {
		buf_adds(buf, "<form action=\"");
		add_href(buf, row);
		buf_adds(buf, "\"><button name=\"versions\" aria-label=\"Versions of ");
		escape_html(buf, row->name);
		buf_adds(buf, "\">versions</button></form>");
	}
	buf_adds(buf, "</td></tr>\n");
}

static void html_table(struct buf *buf, const struct render_index *index)
{
	if (index->count == 0) {
		buf_adds(buf, "<p class=\"d\">Nothing is here yet.</p>\n");
		return;
	}
	buf_adds(buf, "<table>\n<thead><tr><th scope=\"col\">Name</th>"
		      "<th scope=\"col\">Time (UTC)</th><th scope=\"col\" class=\"n\">Size</th>"
		      "<th scope=\"col\">History</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < index->count; i++)
		html_row(buf, &index->rows[i]);
	buf_adds(buf, "</tbody>\n</table>\n");
}

void render_index_html(struct buf *buf, const struct render_index *index)
{
	page_begin(buf, index->path, index->node, true, "");
	html_table(buf, index);
	if (index->more) {
		struct buf next = BUF_INIT;

		render_index_next(&next, index);
		page_next(buf, buf_str(&next));
		buf_clear(&next);
	}
	buf_adds(buf, "<form class=\"up\" method=\"post\" action=\"./\" enctype=\"multipart/form-data\">\n"
		      "<label for=\"file\">Upload files to this directory</label>\n"
		      "<input id=\"file\" name=\"file\" type=\"file\" multiple required>\n"
		      "<button>Upload</button>\n</form>\n");
	page_end(buf, index->node, index->state);
}

/* What a file alone has. */
static void json_content(struct buf *buf, const struct listing_row *row)
{
	char sha256[2 * SHA256_BYTES + 1];

	if (row->type != LISTING_FILE) {
		buf_adds(buf, ",\"sha256\":null,\"mtime\":null}");
		return;
	}
	str_to_hex(sha256, row->sha256, SHA256_BYTES);
	buf_addf(buf, ",\"sha256\":\"%s\",\"mtime\":", sha256);
	if (row->mtime != 0)
		buf_addf(buf, "%lu}", (unsigned long)row->mtime);
	else
		buf_adds(buf, "null}");
}

static void json_row(struct buf *buf, const struct listing_row *row)
{
	char version[VERSION_TEXT];

	buf_adds(buf, "{\"name\":");
	escape_json(buf, row->name);
	buf_adds(buf, ",\"href\":\"");
	add_href(buf, row);
	buf_addf(buf, "\",\"type\":\"%s\",\"size\":", listing_type_name(row->type));
	if (row->type == LISTING_FILE)
		buf_addf(buf, "%llu", (unsigned long long)row->size);
	else
		buf_adds(buf, "null");
	if (version_is_none(row->version)) {
		buf_adds(buf, ",\"time\":null,\"version\":null");
	} else {
		buf_adds(buf, ",\"time\":\"");
		listing_text_time(buf, listing_row_made(row));
		buf_addf(buf, "\",\"version\":\"%s\"", version_format(version, row->version));
	}
	json_content(buf, row);
}

void render_index_json(struct buf *buf, const struct render_index *index)
{
	for (size_t i = 0; i < index->count; i++) {
		buf_adds(buf, i == 0 ? "[\n" : ",\n");
		json_row(buf, &index->rows[i]);
	}
	buf_adds(buf, index->count == 0 ? "[]\n" : "\n]\n");
}

void render_index_text(struct buf *buf, const struct render_index *index)
{
	for (size_t i = 0; i < index->count; i++)
		listing_text_row(buf, &index->rows[i]);
}
