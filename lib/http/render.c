/* render - indexes, histories and errors as pages, as JSON and as text */
#include "render.h"

#include "escape.h"
#include "listing_text.h"
#include "path.h"
#include "pct.h"

/* what pages have in common */

static const char style[] =
	":root{color-scheme:light dark;--line:#8884;--dim:#6b6b6b;--accent:#0a62a8}"
	"@media(prefers-color-scheme:dark){:root{--dim:#a0a0a0;--accent:#6db8f2}}"
	"body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
	"overflow-wrap:anywhere}"
	"nav{color:var(--dim)}h1{font-size:1.4rem;line-height:1.3;margin:.25rem 0 1rem}"
	"h1,nav a,td:first-child a,td:first-child s{unicode-bidi:plaintext;white-space:pre-wrap}"
	"a{color:var(--accent);text-decoration:none}a:hover,a:focus{text-decoration:underline}"
	"table{border-collapse:collapse;width:100%}"
	"th{color:var(--dim);font-weight:500;text-align:left;font-size:.85rem;white-space:nowrap}"
	"th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:baseline}"
	"td:first-child,th:first-child{padding-left:0}td:last-child,th:last-child{padding-right:0}"
	"tbody tr:hover{background:#8881}"
	".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
	"time{white-space:nowrap;font-variant-numeric:tabular-nums}time,.d{color:var(--dim)}a time{color:inherit}"
	"form{margin:0}td form{display:inline}"
	".b{font:inherit;font-size:.85rem;border:0;background:none;color:var(--accent);"
	"cursor:pointer;padding:.15rem 0;white-space:nowrap}.b:hover,.b:focus{text-decoration:underline}"
	".up{margin:0 0 1rem;padding:.8rem 1rem;border:1px dashed var(--line);border-radius:.5rem}"
	".up label{display:block;color:var(--dim);margin-bottom:.2rem}"
	".up input{font:inherit;max-width:100%;margin:.2rem 0}.up button{font:inherit;padding:.1rem .8rem}"
	".m{margin:0 0 .5rem;display:flex;flex-wrap:wrap;gap:0 1.2rem;align-items:baseline}"
	"table+.m{margin-top:.8rem}"
	".w{margin:0 0 1rem;padding-left:.8rem;border-left:3px solid #c80}"
	".c::first-letter{text-transform:uppercase}"
	"footer{color:var(--dim);font-size:.85rem;margin-top:1.5rem}"
	/* A narrow screen: the name has a line of its own, and the rest one below it. */
	"@media(max-width:40rem){body{margin:1rem auto}"
	"thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}"
	"tr{display:flex;flex-wrap:wrap;gap:0 .8rem;padding:.4rem 0;border-bottom:1px solid var(--line)}"
	"td{border:0;padding:0}td,td .b{font-size:.9rem}td:first-child{flex:0 0 100%;font-size:1rem}"
	"td:last-child{margin-left:auto}td .e{display:none}td time::after{content:\" UTC\"}"
	".n span:not(.e)::after{content:\"B\"}}";

/* As many "../" as there are components below the one that is linked. */
static void add_up(struct buf *buf, size_t levels)
{
	if (levels == 0)
		buf_adds(buf, "./");
	while (levels-- > 0)
		buf_adds(buf, "../");
}

static size_t components(struct str path)
{
	size_t n = path.n > 0;

	for (size_t i = 0; i < path.n; i++)
		n += path.s[i] == '/';
	return n;
}

static void add_parents(struct buf *buf, struct str path, struct str node, bool directory)
{
	size_t levels = components(path);
	struct str rest = path, name;

	if (levels == 0)
		return;
	buf_adds(buf, "<nav aria-label=\"Path\"><a href=\"");
	add_up(buf, levels - !directory);
	buf_adds(buf, "\">");
	escape_html(buf, node);
	buf_adds(buf, "</a>");
	while (--levels > 0 && str_cut(&rest, '/', &name)) {
		buf_adds(buf, " / <a href=\"");
		add_up(buf, levels - !directory);
		buf_adds(buf, "\">");
		escape_html(buf, name);
		buf_adds(buf, "</a>");
	}
	buf_adds(buf, " /</nav>\n");
}

/* The name of what is shown; the root has its node's. */
static struct str page_name(struct str path, struct str node)
{
	return path.n > 0 ? path_name(path) : node;
}

/*
 * The page's head and its way up: the path's parents as relative links.
 * `directory` tells what relative links start from: the path itself, or
 * the directory it lies in.  The heading is the title, behind it the name.
 */
static void page_begin(struct buf *buf, struct str path, struct str node, bool directory, const char *title,
		struct str name)
{
	buf_adds(buf, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>");
	buf_adds(buf, title);
	escape_html(buf, name);
	buf_addf(buf, "</title>\n<style>%s</style>\n</head>\n<body>\n<header>\n", style);
	add_parents(buf, path, node, directory);
	buf_addf(buf, "<h1>%s", title);
	escape_html(buf, name);
	buf_adds(buf, "</h1>\n</header>\n<main>\n");
}

/* A warning, where the Version-State says that it is not confirmed. */
static void page_unsure(struct buf *buf, struct str state)
{
	if (!str_starts(state, STR("unconfirmed")))
		return;
	buf_adds(buf, "<p class=\"w\">This could not be confirmed now, and there may be something newer: ");
	escape_html(buf, state);
	buf_adds(buf, "</p>\n");
}

/* href is a relative reference, rel its relation or NULL, text HTML. */
static void page_link(struct buf *buf, const char *rel, struct str href, const char *text)
{
	buf_addf(buf, "<a%s%s%s href=\"", rel ? " rel=\"" : "", rel ? rel : "", rel ? "\"" : "");
	escape_html(buf, href);
	buf_addf(buf, "\">%s</a>", text);
}

static void page_end(struct buf *buf, struct str node, struct str state)
{
	buf_adds(buf, "</main>\n<footer>covey node ");
	escape_html(buf, node);
	if (state.n > 0) {
		buf_adds(buf, " &middot; ");
		escape_html(buf, state);
	}
	buf_adds(buf, "</footer>\n</body>\n</html>\n");
}

enum page_precision { PAGE_MINUTES, PAGE_SECONDS };

/* The cell of a version's time, UTC. */
static void page_time(struct buf *buf, uint64_t ns, enum page_precision precision)
{
	struct buf text = BUF_INIT;

	listing_text_time(&text, ns);
	buf_addf(buf, "<time datetime=\"%s\">%.10s %.*s</time>", text.data, text.data,
		 precision == PAGE_SECONDS ? 8 : 5, text.data + 11);
	buf_clear(&text);
}

/* The cell of a size: "1.5K", the exact number as its title. */
static void page_size(struct buf *buf, uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	uint64_t tenths = bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		buf_addf(buf, "<span title=\"%u bytes\">%u</span>", (unsigned)bytes, (unsigned)bytes);
		return;
	}
	while (tenths >= UINT64_C(1024) * 1024) {
		tenths /= 1024;
		unit++;
	}
	tenths = tenths * 10 / 1024;
	buf_addf(buf, "<span title=\"%llu bytes\">", (unsigned long long)bytes);
	if (tenths < 100)
		buf_addf(buf, "%u.%u%c</span>", (unsigned)tenths / 10, (unsigned)tenths % 10, units[unit]);
	else
		buf_addf(buf, "%u%c</span>", (unsigned)tenths / 10, units[unit]);
}

/* an index */

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

static void index_html_name(struct buf *buf, const struct listing_row *row)
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
static void index_html_button(struct buf *buf, const struct listing_row *row, const char *query,
			const char *label, const char *text)
{
	buf_adds(buf, "<form action=\"");
	add_href(buf, row);
	buf_addf(buf, "\"><button class=\"b\" name=\"%s\" aria-label=\"%s ", query, label);
	escape_html(buf, row->name);
	buf_addf(buf, "\">%s</button></form>", text);
}

static void index_html_row(struct buf *buf, const struct listing_row *row, bool no_history)
{
	buf_adds(buf, "<tr><td>");
	index_html_name(buf, row);
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
		index_html_button(buf, row, "deleted", "Deleted files in", "deleted files");
	else if (row->type != LISTING_DIRECTORY && !no_history)
		index_html_button(buf, row, "versions", "Versions of", "versions");
	buf_adds(buf, "</td></tr>\n");
}

static void index_html_rows(struct buf *buf, const struct render_index *index)
{
	if (index->told == 0 && index->count > 0)
		buf_adds(buf, "<table>\n<thead><tr><th scope=\"col\">Name</th>"
			      "<th scope=\"col\">Time (UTC)</th><th scope=\"col\" class=\"n\">Size</th>"
			      "<th scope=\"col\">History</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < index->count; i++)
		index_html_row(buf, &index->rows[i], index->no_history);
}

static void index_html_table_end(struct buf *buf, const struct render_index *index)
{
	if (index->told > 0)
		buf_adds(buf, "</tbody>\n</table>\n");
	else
		buf_addf(buf, "<p class=\"d\">%s</p>\n",
			 index->later ? "Nothing follows here." :
			 index->deleted ? "Nothing was deleted here." : "Nothing is here yet.");
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
static void index_html_pages(struct buf *buf, const struct render_index *index)
{
	struct buf href = BUF_INIT;

	if (!index->later && !index->more)
		return;
	buf_adds(buf, "<nav class=\"m\" aria-label=\"Pages\">\n");
	if (index->told > 0 && index->total > 0) {
		buf_adds(buf, "<span>");
		add_count(buf, index->before + 1);
		buf_adds(buf, " to ");
		add_count(buf, index->before + index->told);
		buf_adds(buf, " of ");
		add_count(buf, index->total);
		buf_adds(buf, "</span>\n");
	}
	if (index->later) {
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

static void index_html_tools(struct buf *buf, const struct render_index *index)
{
	if (index->deleted) {
		buf_adds(buf, "<p class=\"m\">");
		page_link(buf, NULL, STR("./"), "&larr; What is here now");
		buf_adds(buf, "</p>\n");
		return;
	}
	if (!index->no_upload)
		buf_adds(buf, "<form class=\"up\" method=\"post\" action=\"./\" enctype=\"multipart/form-data\">\n"
			      "<label for=\"file\">Upload files to this directory</label>\n"
			      "<input id=\"file\" name=\"file\" type=\"file\" multiple required>\n"
			      "<button>Upload</button>\n</form>\n");
	if (!index->no_history)
		buf_adds(buf, "<form class=\"m\" action=\"./\"><button class=\"b\" name=\"deleted\">"
			      "Deleted files</button></form>\n");
}

static void index_html_begin(struct buf *buf, const struct render_index *index)
{
	page_begin(buf, index->path, index->node, true, index->deleted ? "Deleted from " : "",
		   page_name(index->path, index->node));
	page_unsure(buf, index->state);
	index_html_tools(buf, index);
}

static void index_html_end(struct buf *buf, const struct render_index *index)
{
	index_html_table_end(buf, index);
	index_html_pages(buf, index);
	page_end(buf, index->node, index->state);
}

/* What a file alone has. */
static void index_json_content(struct buf *buf, const struct listing_row *row)
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

static void index_json_row(struct buf *buf, const struct listing_row *row)
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
	index_json_content(buf, row);
}

static void index_json_rows(struct buf *buf, const struct render_index *index)
{
	for (size_t i = 0; i < index->count; i++) {
		buf_adds(buf, index->told + i == 0 ? "[\n" : ",\n");
		index_json_row(buf, &index->rows[i]);
	}
}

void render_index_begin(struct buf *buf, const struct render_index *index, enum media media)
{
	if (media == MEDIA_HTML)
		index_html_begin(buf, index);
}

void render_index_rows(struct buf *buf, struct render_index *index, enum media media)
{
	switch (media) {
	case MEDIA_HTML:
		index_html_rows(buf, index);
		break;
	case MEDIA_JSON:
		index_json_rows(buf, index);
		break;
	case MEDIA_TEXT:
	case MEDIA_COUNT:
		for (size_t i = 0; i < index->count; i++)
			listing_text_row(buf, &index->rows[i]);
	}
	index->told += index->count;
}

void render_index_end(struct buf *buf, const struct render_index *index, enum media media)
{
	if (media == MEDIA_HTML)
		index_html_end(buf, index);
	else if (media == MEDIA_JSON)
		buf_adds(buf, index->told == 0 ? "[]\n" : "\n]\n");
}

/* a history */

static struct str history_type_of(const struct render_history *history, const struct history_row *row)
{
	return row->type.n > 0 ? row->type : history->type;
}

static bool history_is_current(const struct render_history *history, size_t i)
{
	return i == 0 && !history->later;
}

static const char *history_state_of(const struct record *record, bool current)
{
	if (record->flags & RECORD_DELETED)
		return current ? "deleted (current)" : "deleted";
	return current ? "current" : "";
}

/* What it is called, its id at hand; an unknown one by the beginning of its id. */
static void history_html_node(struct buf *buf, const struct render_history *history, uint64_t id)
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

static void history_html_row(struct buf *buf, const struct render_history *history, size_t i)
{
	const struct history_row *row = &history->rows[i];
	const struct record *record = &row->record;
	bool content = record_has_content(record), current = history_is_current(history, i);
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
		escape_html(buf, history_type_of(history, row));
	buf_adds(buf, "</td><td class=\"d\">");
	history_html_node(buf, history, record->version.node);
	buf_addf(buf, "</td><td>%s%s", history_state_of(record, current), row->conflict ? " conflict" : "");
	if (content && !current && !history->no_restore)
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

static void history_html(struct buf *buf, const struct render_history *history)
{
	page_begin(buf, history->path, history->node, false, "Versions of ",
		   page_name(history->path, history->node));
	page_unsure(buf, history->state);
	buf_adds(buf, "<table>\n<thead><tr><th scope=\"col\">Time (UTC)</th>"
		      "<th scope=\"col\" class=\"n\">Size</th><th scope=\"col\">Type</th>"
		      "<th scope=\"col\">Node</th><th scope=\"col\">State</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < history->count; i++)
		history_html_row(buf, history, i);
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

static void history_json_row(struct buf *buf, const struct render_history *history, size_t i)
{
	const struct record *record = &history->rows[i].record;
	char version[VERSION_TEXT], sha256[2 * SHA256_BYTES + 1];

	buf_addf(buf, "{\"version\":\"%s\",\"time\":\"", version_format(version, record->version));
	listing_text_time(buf, record_made(record));
	buf_addf(buf, "\",\"size\":%llu,\"sha256\":", (unsigned long long)record->size);
	if (record_has_content(record)) {
		str_to_hex(sha256, record->sha256, SHA256_BYTES);
		buf_addf(buf, "\"%s\",\"type\":", sha256);
		escape_json(buf, history_type_of(history, &history->rows[i]));
	} else {
		buf_adds(buf, "null,\"type\":null");
	}
	buf_addf(buf, ",\"node\":\"%016llx\",\"deleted\":%s,\"current\":%s",
		 (unsigned long long)record->version.node,
		 record->flags & RECORD_DELETED ? "true" : "false",
		 history_is_current(history, i) ? "true" : "false");
	buf_addf(buf, ",\"blind\":%s,\"rel\":%s}",
		 record->flags & RECORD_BLIND ? "true" : "false",
		 history->rows[i].conflict ? "\"conflict\"" : "null");
}

static void history_json(struct buf *buf, const struct render_history *history)
{
	for (size_t i = 0; i < history->count; i++) {
		buf_adds(buf, i == 0 ? "[\n" : ",\n");
		history_json_row(buf, history, i);
	}
	buf_adds(buf, history->count == 0 ? "[]\n" : "\n]\n");
}

void render_history(struct buf *buf, const struct render_history *history, enum media media)
{
	switch (media) {
	case MEDIA_HTML:
		history_html(buf, history);
		break;
	case MEDIA_JSON:
		history_json(buf, history);
		break;
	case MEDIA_TEXT:
	case MEDIA_COUNT:
		for (size_t i = 0; i < history->count; i++)
			listing_text_version(buf, &history->rows[i]);
	}
}

/* an error */

void render_error_html(struct buf *buf, struct str path, struct str node, const char *title,
		       struct str detail)
{
	page_begin(buf, path, node, false, title, (struct str)STR_INIT);
	buf_adds(buf, "<p class=\"c\">");
	escape_html(buf, detail);
	buf_adds(buf, "</p>\n");
	page_end(buf, node, (struct str)STR_INIT);
}
