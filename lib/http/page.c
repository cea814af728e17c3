/* page - what the pages of indexes, histories and errors have in common */
#include "page.h"

#include "escape.h"
#include "listing_text.h"
#include "path.h"

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

struct str page_name(struct str path, struct str node)
{
	return path.n > 0 ? path_name(path) : node;
}

void page_begin(struct buf *buf, struct str path, struct str node, bool directory, const char *title,
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

void page_unsure(struct buf *buf, struct str state)
{
	if (!str_starts(state, STR("unconfirmed")))
		return;
	buf_adds(buf, "<p class=\"w\">This could not be confirmed now, and there may be something newer: ");
	escape_html(buf, state);
	buf_adds(buf, "</p>\n");
}

void page_link(struct buf *buf, const char *rel, struct str href, const char *text)
{
	buf_addf(buf, "<a%s%s%s href=\"", rel ? " rel=\"" : "", rel ? rel : "", rel ? "\"" : "");
	escape_html(buf, href);
	buf_addf(buf, "\">%s</a>", text);
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

void page_time(struct buf *buf, uint64_t ns, enum page_precision precision)
{
	struct buf text = BUF_INIT;

	listing_text_time(&text, ns);
	buf_addf(buf, "<time datetime=\"%s\">%.10s %.*s</time>", text.data, text.data,
		 precision == PAGE_SECONDS ? 8 : 5, text.data + 11);
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
