/* render_index - a directory as a page, as JSON and as text */
#include "render.h"

#include "escape.h"
#include "page.h"
#include "pct.h"

/* The page behind a row, or the first one. */
static void add_page_query(struct buf *buf, const struct render_index *index,
			   const struct listing_row *after)
{
	const char *mark = "?";

	if (after != NULL) {
		buf_adds(buf, "?after=");
		pct_encode_component(buf, after->name);
		if (index->directories_first && listing_row_is_directory(after))
			buf_addc(buf, '/');
		mark = "&";
	}
	if (index->limit > 0) {
		buf_addf(buf, "%slimit=%llu", mark, (unsigned long long)index->limit);
		mark = "&";
	}
	if (index->deleted) {
		buf_addf(buf, "%sdeleted", mark);
		mark = "&";
	}
	if (index->format != QUERY_FORMAT_NONE)
		buf_addf(buf, "%sformat=%s", mark, query_format_name(index->format));
}

void render_index_next(struct buf *buf, const struct render_index *index)
{
	add_page_query(buf, index, index->count > 0 ? &index->rows[index->count - 1] : NULL);
}

static void add_href(struct buf *buf, const struct listing_row *row)
{
	pct_encode_component(buf, row->name);
	if (listing_row_is_directory(row))
		buf_addc(buf, '/');
}

static void html_name(struct buf *buf, const struct listing_row *row)
{
	bool gone = row->type == LISTING_DELETED || row->type == LISTING_ENDED;

	if (gone) {
		buf_adds(buf, "<s class=\"d\">");
	} else {
		buf_adds(buf, "<a href=\"");
		add_href(buf, row);
		buf_adds(buf, "\">");
	}
	escape_html(buf, row->name);
	if (listing_row_is_directory(row))
		buf_addc(buf, '/');
	buf_adds(buf, gone ? "</s>" : "</a>");
}

/* A button that leads to a query of the name, which programs that follow links do not see. */
static void html_button(struct buf *buf, const struct listing_row *row, const char *query,
			const char *label, const char *text)
{
	buf_adds(buf, "<form action=\"");
	add_href(buf, row);
	buf_addf(buf, "\"><button class=\"b\" name=\"%s\" aria-label=\"%s ", query, label);
	escape_html(buf, row->name);
	buf_addf(buf, "\">%s</button></form>", text);
}

static void html_row(struct buf *buf, const struct listing_row *row)
{
	buf_adds(buf, "<tr><td>");
	html_name(buf, row);
	buf_adds(buf, "</td><td>");
	if (version_is_none(row->version))
		buf_adds(buf, "<span class=\"d e\">-</span>");
	else
		page_time(buf, listing_row_made(row), PAGE_MINUTES);
	buf_adds(buf, "</td><td class=\"n\">");
	if (row->type == LISTING_FILE)
		page_size(buf, row->size);
	else
		buf_adds(buf, "<span class=\"d e\">-</span>");
	buf_adds(buf, "</td>\n<td>");	/* lftp takes the number up to the next space for the size */
	if (row->type == LISTING_ENDED)
		html_button(buf, row, "deleted", "Deleted files in", "deleted files");
	else if (row->type != LISTING_DIRECTORY)
		html_button(buf, row, "versions", "Versions of", "versions");
	buf_adds(buf, "</td></tr>\n");
}

static void html_table(struct buf *buf, const struct render_index *index)
{
	if (index->count == 0) {
		buf_addf(buf, "<p class=\"d\">%s</p>\n",
			 index->before > 0 ? "Nothing follows here." :
			 index->deleted ? "Nothing was deleted here." : "Nothing is here yet.");
		return;
	}
	buf_adds(buf, "<table>\n<thead><tr><th scope=\"col\">Name</th>"
		      "<th scope=\"col\">Time (UTC)</th><th scope=\"col\" class=\"n\">Size</th>"
		      "<th scope=\"col\">History</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < index->count; i++)
		html_row(buf, &index->rows[i]);
	buf_adds(buf, "</tbody>\n</table>\n");
}

/* "12,345" */
static void add_count(struct buf *buf, size_t count)
{
	if (count >= 1000) {
		add_count(buf, count / 1000);
		buf_addf(buf, ",%03zu", count % 1000);
	} else {
		buf_addf(buf, "%zu", count);
	}
}

/* Which part of it this is, and the way to the others. */
static void html_pages(struct buf *buf, const struct render_index *index)
{
	struct buf href = BUF_INIT;

	if (index->before == 0 && !index->more)
		return;
	buf_adds(buf, "<nav class=\"m\" aria-label=\"Pages\">\n");
	if (index->count > 0) {
		buf_adds(buf, "<span>");
		add_count(buf, index->before + 1);
		buf_adds(buf, " to ");
		add_count(buf, index->before + index->count);
		buf_adds(buf, " of ");
		add_count(buf, index->total);
		buf_adds(buf, "</span>\n");
	}
	if (index->before > 0) {
		buf_adds(&href, "./");
		add_page_query(&href, index, NULL);
		page_link(buf, "first", buf_str(&href), "&larr; First page");
		buf_addc(buf, '\n');
	}
	if (index->more) {
		buf_reset(&href);
		render_index_next(&href, index);
		page_link(buf, "next", buf_str(&href), "Next page &rarr;");
		buf_addc(buf, '\n');
	}
	buf_adds(buf, "</nav>\n");
	buf_clear(&href);
}

static void html_tools(struct buf *buf, const struct render_index *index)
{
	if (index->deleted) {
		buf_adds(buf, "<p class=\"m\">");
		page_link(buf, NULL, STR("./"), "&larr; What is here now");
		buf_adds(buf, "</p>\n");
		return;
	}
	buf_adds(buf, "<form class=\"up\" method=\"post\" action=\"./\" enctype=\"multipart/form-data\">\n"
		      "<label for=\"file\">Upload files to this directory</label>\n"
		      "<input id=\"file\" name=\"file\" type=\"file\" multiple required>\n"
		      "<button>Upload</button>\n</form>\n"
		      "<form class=\"m\" action=\"./\"><button class=\"b\" name=\"deleted\">"
		      "Deleted files</button></form>\n");
}

void render_index_html(struct buf *buf, const struct render_index *index)
{
	page_begin(buf, index->path, index->node, true, index->deleted ? "Deleted from " : "",
		   page_name(index->path, index->node));
	page_unsure(buf, index->state);
	html_tools(buf, index);
	html_table(buf, index);
	html_pages(buf, index);
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
