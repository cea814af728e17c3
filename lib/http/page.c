/* page - what the pages of indexes and histories have in common */
#include "page.h"

#include "escape.h"
#include "listing_text.h"
#include "path.h"

static const char style[] =
	":root{color-scheme:light dark;--line:#8884;--dim:#777;--accent:#0a6bb8}"
	"@media(prefers-color-scheme:dark){:root{--dim:#999;--accent:#6db8f2}}"
	"body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
	"nav,h1{overflow-wrap:anywhere}nav{color:var(--dim)}h1{font-size:1.4rem;margin:.25rem 0 1rem}"
	"a{color:var(--accent);text-decoration:none}a:hover,a:focus{text-decoration:underline}"
	"table{border-collapse:collapse;width:100%}"
	"th{color:var(--dim);font-weight:500;text-align:left;font-size:.85rem}"
	"th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:baseline}"
	"td:first-child,th:first-child{padding-left:0;overflow-wrap:anywhere}"
	"tbody tr:hover{background:#8881}"
	".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
	"time,.d{color:var(--dim);white-space:nowrap;font-variant-numeric:tabular-nums}"
	"form{margin:0}td form{display:inline}"
	"td button{font:inherit;font-size:.85rem;border:0;background:none;color:var(--accent);"
	"cursor:pointer;padding:0}"
	".up{margin:1.5rem 0;padding:1rem;border:1px dashed var(--line);border-radius:.5rem}"
	".up label{display:block;color:var(--dim);margin-bottom:.5rem}"
	".up button{font:inherit;padding:.2rem .9rem}"
	"footer{color:var(--dim);font-size:.85rem;margin-top:1.5rem}";

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

void page_begin(struct buf *buf, struct str path, struct str node, bool directory, const char *title)
{
	struct str name = path.n > 0 ? path_name(path) : node;

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

void page_next(struct buf *buf, struct str href)
{
	buf_adds(buf, "<p><a rel=\"next\" href=\"");
	escape_html(buf, href);
	buf_adds(buf, "\">More &rarr;</a></p>\n");
}

void page_end(struct buf *buf, struct str node, struct str state)
{
	buf_adds(buf, "</main>\n<footer>covey node ");
	escape_html(buf, node);
	if (state.n > 0) {
		buf_adds(buf, " &middot; ");
		escape_html(buf, state);
	}
	buf_adds(buf, "</footer>\n</body>\n</html>\n");
}

void page_time(struct buf *buf, uint64_t ns)
{
	struct buf text = BUF_INIT;

	listing_text_time(&text, ns);
	buf_addf(buf, "<time datetime=\"%s\">%.10s %.5s</time>", text.data, text.data,
		 text.data + 11);
	buf_clear(&text);
}

void page_size(struct buf *buf, uint64_t bytes)
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
