/* http_render - replies, escapes, listing texts, pages and JSON */
#include "escape.h"
#include "render.h"
#include "reply.h"
#include "unit.h"

#define ID "20261122T110724.123456001Z-7f3a9c2b11d0e4f5-0"
#define CHILD "20261122T110724.123456001Z-7f3a9c2b11d0e4f5-281474976710655"
#define TIME "2026-11-22T11:07:24.123456001Z"
#define ZEROS "00000000000000000000000000000000000000000000000000000000000"
#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UPPER "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"
#define CONTENT "\t" HASH "\t7"	/* of a file's row */

static struct version id(void)
{
	struct version v = VERSION_NONE;

	CHECK(version_parse(STR(ID), &v, NULL) == 0);
	return v;
}

static bool has(const struct buf *text, const char *part)
{
	bool found = strstr(text->data, part) != NULL;

	if (!found)
		fprintf(stderr, "no %s in\n%s\n", part, text->data);
	return found;
}

/* All of a page in one part. */
static void render_page(struct buf *to, const struct render_index *index, enum media media)
{
	struct render_index page = *index;

	render_index_begin(to, &page, media);
	render_index_rows(to, &page, media);
	render_index_end(to, &page, media);
}

static void test_escapes(void)
{
	static const struct {
		const char *text, *json, *html;
	} cases[] = {
		{ "a", "\"a\"", "a" },
		{ "", "\"\"", "" },
		{ "<a href=\"'&'\">\\", "\"<a href=\\\"'&'\\\">\\\\\"",
		  "&lt;a href=&quot;&#39;&amp;&#39;&quot;&gt;\\" },
		{ "\n\t\x01\x7f", "\"\\n\\t\\u0001\\u007f\"",
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"",
		  "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\xff" "a", "\"\xef\xbf\xbd" "a\"", "\xef\xbf\xbd" "a" },
		{ "\xc3", "\"\xef\xbf\xbd\"", "\xef\xbf\xbd" },
		{ "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xe0\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"",
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"",
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"",
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	};
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&text);
		escape_json(&text, str_of(cases[i].text));
		CHECK(str_eq(buf_str(&text), str_of(cases[i].json)));
		buf_reset(&text);
		escape_html(&text, str_of(cases[i].text));
		CHECK(str_eq(buf_str(&text), str_of(cases[i].html)));
	}
	buf_clear(&text);
}

static void test_replies(void)
{
	struct buf text = BUF_INIT;
	struct reply_error error = { .status = 405, .detail = STR("no \"x\"\n here"),
				     .fields = STR("Allow: GET\r\n"), .close = true };

	reply_start(&text, 200, STR("now"));
	reply_length(&text, UINT64_MAX);
	reply_field(&text, "A", STR("b\r\nSet-Cookie: c"));
	reply_fieldf(&text, "D", "%d", 5);
	reply_fieldf(&text, "E", "%0120d", 5);
	reply_end(&text);
	CHECK(str_eq(buf_str(&text),
		     STR("HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 18446744073709551615\r\n"
			 "A: b  Set-Cookie: c\r\nD: 5\r\nE: " ZEROS ZEROS "05\r\n\r\n")));
	buf_reset(&text);
	reply_error(&text, &error);
	CHECK(has(&text, "HTTP/1.1 405 Method Not Allowed\r\n") && has(&text, "Allow: GET\r\n\r\n"));
	CHECK(has(&text, "Content-Length: 13\r\n") && has(&text, "\r\n\r\nno \"x\"  here\n"));
	CHECK(has(&text, "Connection: close\r\n"));
	buf_reset(&text);
	error.json = true;
	error.head = error.close = false;
	reply_error(&text, &error);
	CHECK(has(&text, "Content-Type: application/problem+json\r\n"));
	CHECK(has(&text, "\r\n\r\n{\"type\":\"about:blank\",\"title\":\"Method Not Allowed\",\"status\":405,"
			 "\"detail\":\"no \\\"x\\\"\\n here\"}\n"));
	buf_reset(&text);
	error.head = true;
	reply_error(&text, &error);
	CHECK(str_ends(buf_str(&text), STR("\r\n\r\n")) && strstr(text.data, "Length: 0") == NULL);
	buf_reset(&text);
	error = (struct reply_error){ .status = 404, .detail = STR("no <x>"), .page = true,
				      .path = STR("d/<q>"), .node = STR("n&1") };
	reply_error(&text, &error);
	CHECK(has(&text, "Content-Type: text/html; charset=utf-8\r\n") &&
	      has(&text, "Content-Security-Policy: " RENDER_CSP "\r\n"));
	CHECK(has(&text, "<h1>Not Found</h1>") && has(&text, "<p class=\"c\">no &lt;x&gt;</p>"));
	CHECK(has(&text, "<a href=\"../\">n&amp;1</a> / <a href=\"./\">d</a> /</nav>"));
	error.path = STR("");
	error.json = true;
	buf_reset(&text);
	reply_error(&text, &error);
	CHECK(has(&text, "application/problem+json") && !strstr(text.data, "Content-Security-Policy"));
	error.json = false;
	buf_reset(&text);
	reply_error(&text, &error);
	CHECK(has(&text, "<title>Not Found</title>") && !strstr(text.data, "<nav"));
	buf_clear(&text);
}

static const struct {
	const char *line, *name;	/* name NULL: refused */
} row_cases[] = {
	{ "a\tfile\t5\t" ID "\t" TIME CONTENT, "a" },
	{ "%FF%20%09%0A\tfile\t0\t" ID "\t" TIME CONTENT, "\xff \t\n" },
	{ "d/\tdirectory\t0\t" ID "\t" TIME, "d" },
	{ "d/\tdirectory\t0\t-\t-", "d" },
	{ "x\tdeleted\t0\t" ID "\t" TIME, "x" },
	{ ".covey\tfile\t0\t" ID "\t" TIME CONTENT, ".covey" },
	{ "", NULL },
	{ "a", NULL },
	{ "a\tfile\t5\t" ID, NULL },
	{ "a\tfile\t5\t" ID "\t" TIME CONTENT "\t", NULL },
	{ "a\tfile\t5\t" ID "\t" TIME CONTENT "\r", NULL },
	{ "a\tfile\t05\t" ID "\t" TIME CONTENT, NULL },
	{ "a\tfile\t-5\t" ID "\t" TIME CONTENT, NULL },
	{ "a\tfile\t9223372036854775808\t" ID "\t" TIME CONTENT, NULL },
	{ "a\tfile\t5\t-\t-" CONTENT, NULL },
	{ "a\tfile\t5\t" ID "\t-" CONTENT, NULL },
	{ "a\tfile\t5\t" ID "\t2026-11-22T11:07:25.123456001Z" CONTENT, NULL },
	{ "a\tfile\t5\tx\t" TIME CONTENT, NULL },
	{ "a\tdirectory\t0\t" ID "\t" TIME, NULL },
	{ "a/\tended\t0\t" ID "\t" TIME, "a" },
	{ "a\tended\t0\t" ID "\t" TIME, NULL },
	{ "a/\tended\t0\t-\t-", NULL },
	{ "a/\tended\t5\t" ID "\t" TIME, NULL },
	{ "a/\tdeleted\t0\t" ID "\t" TIME, NULL },
	{ "a/\tfile\t0\t" ID "\t" TIME CONTENT, NULL },
	{ "a/\tdirectory\t5\t" ID "\t" TIME, NULL },
	{ "a\tdeleted\t5\t" ID "\t" TIME, NULL },
	{ "a\tFile\t5\t" ID "\t" TIME, NULL },
	{ "\tfile\t5\t" ID "\t" TIME CONTENT, NULL },
	{ ".\tfile\t5\t" ID "\t" TIME CONTENT, NULL },
	{ "../\tdirectory\t0\t-\t-", NULL },
	{ "%2E\tfile\t5\t" ID "\t" TIME CONTENT, NULL },
	{ "%61\tfile\t5\t" ID "\t" TIME CONTENT, NULL },
	{ "%ff\tfile\t5\t" ID "\t" TIME CONTENT, NULL },
	{ "a%2Fb\tfile\t5\t" ID "\t" TIME CONTENT, NULL },
	{ "a%00\tfile\t5\t" ID "\t" TIME CONTENT, NULL },
	{ "a\tfile\t5\t" CHILD "\t2026-11-23T11:07:24.000000001Z" CONTENT, "a" },
	{ "a\tfile\t5\t" CHILD "\t" TIME CONTENT, "a" },
	{ "a\tfile\t5\t" ID "\t2026-11-23T11:07:24.000000001Z" CONTENT, NULL },
	{ "a\tfile\t5\t" CHILD "\t2026-11-23T11:07:24.00000001Z" CONTENT, NULL },
	{ "a\tfile\t5\t" CHILD "\t20261123T11:07:24.000000001Z" CONTENT, NULL },
	{ "a\tfile\t5\t" CHILD "\t-" CONTENT, NULL },
	{ "a b\tfile\t5\t" ID "\t" TIME CONTENT, NULL },
	{ "a%\tfile\t5\t" ID "\t" TIME CONTENT, NULL },
	{ "a//\tdirectory\t0\t-\t-", NULL },
	{ "a\tfile\t5\t" ID "\t" TIME, NULL },
	{ "a\tfile\t5\t" ID "\t" TIME "\t" HASH, NULL },
	{ "a\tfile\t5\t" ID "\t" TIME "\t" HASH "\t", NULL },
	{ "a\tfile\t5\t" ID "\t" TIME "\t" HASH "\t07", NULL },
	{ "a\tfile\t5\t" ID "\t" TIME "\t" HASH "\t4294967296", NULL },
	{ "a\tfile\t5\t" ID "\t" TIME "\t" HASH "\t4294967295", "a" },
	{ "a\tfile\t5\t" ID "\t" TIME "\t" HASH "0\t7", NULL },
	{ "a\tfile\t5\t" ID "\t" TIME "\t-\t7", NULL },
	{ "a\tfile\t5\t" ID "\t" TIME "\t" UPPER "\t7", NULL },
	{ "d/\tdirectory\t0\t" ID "\t" TIME CONTENT, NULL },
	{ "x\tdeleted\t0\t" ID "\t" TIME CONTENT, NULL },
};

static void test_rows(void)
{
	struct buf scratch = BUF_INIT, again = BUF_INIT;

	for (size_t i = 0; i < sizeof(row_cases) / sizeof(row_cases[0]); i++) {
		struct listing_row row;
		struct err err = ERR_INIT;
		int r = listing_text_parse_row(str_of(row_cases[i].line), &scratch, &row, &err);

		if ((r == 0) != (row_cases[i].name != NULL))
			fprintf(stderr, "%s\n", row_cases[i].line);
		CHECK((r == 0) == (row_cases[i].name != NULL));
		CHECK(r == 0 || err.kind == ERR_INVALID);
		if (r < 0)
			continue;
		CHECK(str_eq(row.name, str_of(row_cases[i].name)));
		buf_reset(&again);
		listing_text_row(&again, &row);
		CHECK(again.len == strlen(row_cases[i].line) + 1 &&
		      str_starts(buf_str(&again), str_of(row_cases[i].line)));
	}
	buf_clear(&scratch);
	buf_clear(&again);
}

static void test_versions(void)
{
	static const char *const good[] = {
		ID " - 5 " HASH " 0 text/plain; x=y\there", ID " - 5 " HASH " 7\taway",
		ID " x 0 - 0\taway", ID " db 0 - 0\there",
		ID " b 5 " HASH " 0\taway\tconflict", CHILD " bep5 5 " HASH " 7@12 text/plain\there",
	};
	static const char *const bad[] = {
		"", ID " - 5 " HASH " 0", ID " - 5 " HASH " 0\tHere", ID " - 5 " HASH " 0\there\t",
		ID " - 5 " HASH "\there", "\there", ID " x 5 - 0\taway", ID " q 0 - 0\taway",
		ID " b 5 " HASH " 0\taway\t", ID " b 5 " HASH " 0\taway\tconflict\t",
	};
	struct buf again = BUF_INIT;
	struct history_row row;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK(listing_text_parse_version(str_of(good[i]), &row, NULL) == 0);
		buf_reset(&again);
		listing_text_version(&again, &row);
		CHECK(again.len == strlen(good[i]) + 1 &&
		      str_starts(buf_str(&again), str_of(good[i])));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(listing_text_parse_version(str_of(bad[i]), &row, NULL) == -1);
	buf_clear(&again);
}

/* Of a history whose versions are given newest first as a letter per node, capital when blind. */
static bool conflicts(const char *versions, const char *expected)
{
	struct history_row rows[8] = { { .here = false } };
	size_t count = strlen(versions);

	for (size_t i = 0; i < count; i++) {
		char c = versions[i];

		rows[i].record.flags = c < 'a' ? RECORD_BLIND : 0;
		rows[i].record.version.node = (uint64_t)(c | 0x20);
	}
	listing_text_conflicts(rows, count);
	for (size_t i = 0; i < count; i++)
		if (rows[i].conflict != (expected[i] == '!'))
			return false;
	return true;
}

static void test_conflicts(void)
{
	CHECK(conflicts("", "") && conflicts("A", "-") && conflicts("AAa", "---"));
	CHECK(conflicts("AB", "!!") && conflicts("aABb", "-!!-") && conflicts("AaB", "---"));
	CHECK(conflicts("AAB", "!!!") && conflicts("ABcAA", "!!---") && conflicts("Ab", "--"));
}

static void test_index(void)
{
	const struct listing_row rows[] = {
		{ STR("<b>\xff"), LISTING_FILE, 1536, id(), 0, { 0xab }, 7 },
		{ STR("a:b"), LISTING_FILE, 1023, id(), 0, { 0 }, 0 },
		{ STR("d"), LISTING_DIRECTORY, 0, VERSION_NONE, 0, { 0 }, 0 },
		{ STR("x"), LISTING_DELETED, 0, id(), 0, { 0 }, 0 },
	};
	const struct listing_row gone[] = {
		{ STR("d"), LISTING_ENDED, 0, id(), 0, { 0 }, 0 },
		{ STR("\"x\""), LISTING_DELETED, 0, id(), 0, { 0 }, 0 },
	};
	struct render_index index = { .path = STR("p/<q>"), .node = STR("n&1"), .rows = rows,
				      .count = 4, .more = true, .limit = 4,
				      .state = STR("confirmed") };
	struct buf text = BUF_INIT;

	render_page(&text, &index, MEDIA_HTML);
	CHECK(has(&text, "<a href=\"%3Cb%3E%FF\">&lt;b&gt;\xef\xbf\xbd</a>"));
	CHECK(has(&text, "<a href=\"a%3Ab\">a:b</a>") && has(&text, "<a href=\"d/\">d/</a>"));
	CHECK(has(&text, "<s class=\"d\">x</s>") && !strstr(text.data, "<a href=\"x\">"));
	CHECK(has(&text, "<span title=\"1536 bytes\">1.5K</span>") && has(&text, ">1023<"));
	CHECK(has(&text, "<time datetime=\"" TIME "\">2026-11-22 11:07</time>"));
	CHECK(has(&text, "<a href=\"../../\">n&amp;1</a> / <a href=\"../\">p</a> /</nav>"));
	CHECK(has(&text, "<a rel=\"next\" href=\"?after=x&amp;limit=4\">"));
	CHECK(has(&text, "enctype=\"multipart/form-data\"") && has(&text, "confirmed"));
	CHECK(!strstr(text.data, "class=\"w\"") && !strstr(text.data, "First page"));
	buf_reset(&text);
	index.deleted = true;
	index.format = QUERY_FORMAT_TEXT;
	render_index_next(&text, &index);
	CHECK(str_eq(buf_str(&text), STR("?after=x&limit=4&deleted&format=text")));
	buf_reset(&text);
	index.count = 3;	/* the directory is the last one of the page */
	render_index_next(&text, &index);
	CHECK(str_starts(buf_str(&text), STR("?after=d&")));
	buf_reset(&text);
	index.directories_first = true;
	render_index_next(&text, &index);
	CHECK(str_starts(buf_str(&text), STR("?after=d/&")));
	index.directories_first = index.deleted = false;
	index.format = QUERY_FORMAT_NONE;
	index.count = 4;
	buf_reset(&text);
	index.limit = 0;
	index.later = true;
	index.before = 1000;
	index.total = 1234567;
	index.state = STR("unconfirmed; peers=1/2");
	render_page(&text, &index, MEDIA_HTML);
	CHECK(has(&text, "<span>1,001 to 1,004 of 1,234,567</span>") && has(&text, "href=\"./\">&larr; First page<"));
	CHECK(has(&text, "<a rel=\"next\" href=\"?after=x\">") && has(&text, "be something newer: unconfirmed; peers=1/2<"));
	buf_reset(&text);
	index.deleted = true;
	index.more = false;
	index.limit = 2;
	index.rows = gone;
	index.count = 2;
	render_page(&text, &index, MEDIA_HTML);
	CHECK(has(&text, "<h1>Deleted from &lt;q&gt;</h1>") && !strstr(text.data, "type=\"file\""));
	CHECK(has(&text, "<s class=\"d\">d/</s>") && has(&text, "<form action=\"d/\"><button class=\"b\" name=\"deleted\""));
	CHECK(has(&text, "<form action=\"%22x%22\"><button class=\"b\" name=\"versions\" aria-label=\"Versions of &quot;x&quot;\">"));
	CHECK(has(&text, "href=\"./?limit=2&amp;deleted\">&larr; First page<"));
	index.deleted = false;
	index.rows = rows;
	index.count = 4;
	index.later = false;
	index.before = 0;
	buf_reset(&text);
	buf_reset(&text);
	render_page(&text, &index, MEDIA_JSON);
	CHECK(str_eq(buf_str(&text), STR(
		"[\n{\"name\":\"<b>\xef\xbf\xbd\",\"href\":\"%3Cb%3E%FF\",\"type\":\"file\",\"size\":1536,"
		"\"time\":\"" TIME "\",\"version\":\"" ID "\",\"sha256\":\"ab" ZEROS "000\",\"mtime\":7},\n"
		"{\"name\":\"a:b\",\"href\":\"a%3Ab\",\"type\":\"file\",\"size\":1023,"
		"\"time\":\"" TIME "\",\"version\":\"" ID "\",\"sha256\":\"00" ZEROS "000\",\"mtime\":null},\n"
		"{\"name\":\"d\",\"href\":\"d/\",\"type\":\"directory\",\"size\":null,\"time\":null,"
		"\"version\":null,\"sha256\":null,\"mtime\":null},\n"
		"{\"name\":\"x\",\"href\":\"x\",\"type\":\"deleted\",\"size\":null,"
		"\"time\":\"" TIME "\",\"version\":\"" ID "\",\"sha256\":null,\"mtime\":null}\n]\n")));
	buf_reset(&text);
	render_page(&text, &index, MEDIA_TEXT);
	CHECK(str_starts(buf_str(&text), STR("%3Cb%3E%FF\tfile\t1536\t" ID "\t" TIME "\tab" ZEROS "000\t7\na%3Ab\t")));
	buf_reset(&text);
	index.count = 0;
	render_page(&text, &index, MEDIA_JSON);
	CHECK(str_eq(buf_str(&text), STR("[]\n")));
	buf_reset(&text);
	index.path = STR("");
	render_page(&text, &index, MEDIA_HTML);
	CHECK(has(&text, "Nothing is here yet") && strstr(text.data, "<nav") == NULL);
	index.deleted = true;
	render_page(&text, &index, MEDIA_HTML);
	CHECK(has(&text, "Nothing was deleted here"));
	buf_clear(&text);
}

static void test_history(void)
{
	const struct history_row rows[] = {
		{ .record = { .version = id(), .flags = RECORD_DELETED } },
		{ .record = { .version = id(), .size = 5 }, .type = STR("a/b"), .here = true },
		{ .record = { .version = id(), .size = UINT64_C(5) << 40, .flags = RECORD_BLIND },
		  .conflict = true },
	};
	const struct render_node nodes[] = { { 5, STR("other") }, { UINT64_C(0x7f3a9c2b11d0e4f5), STR("<one>") } };
	struct render_history history = { .path = STR("p/q\""), .node = STR("n"), .rows = rows,
					  .count = 3, .type = STR("text/plain") };
	struct buf text = BUF_INIT;

	render_history(&text, &history, MEDIA_JSON);
	CHECK(has(&text, "[\n{\"version\":\"" ID "\",\"time\":\"" TIME "\",\"size\":0,\"sha256\":null,"
			 "\"type\":null,\"node\":\"7f3a9c2b11d0e4f5\",\"deleted\":true,\"current\":true,"
			 "\"blind\":false,\"rel\":null},\n"));
	CHECK(has(&text, "\"size\":5,\"sha256\":\"0000000000000000000000000000000000000000000000000000"
			 "000000000000\",\"type\":\"a/b\",\"node\":\"7f3a9c2b11d0e4f5\",\"deleted\":false,"
			 "\"current\":false,\"blind\":false,\"rel\":null},\n"));
	CHECK(has(&text, "\"blind\":true,\"rel\":\"conflict\"}"));
	CHECK(has(&text, "\"type\":\"text/plain\"") && str_ends(buf_str(&text), STR("}\n]\n")));
	buf_reset(&text);
	render_history(&text, &history, MEDIA_HTML);
	CHECK(has(&text, "<h1>Versions of q&quot;</h1>") && has(&text, "deleted (current)"));
	CHECK(has(&text, "<a href=\"?version=" ID "\">") && has(&text, "action=\"?restore=" ID "\""));
	CHECK(has(&text, "<a href=\"../\">n</a> / <a href=\"./\">p</a> /</nav>"));
	CHECK(has(&text, ">5.0T<") && has(&text, "<td> conflict <form"));
	CHECK(has(&text, "<time datetime=\"" TIME "\">2026-11-22 11:07:24</time>"));
	CHECK(has(&text, "<span title=\"7f3a9c2b11d0e4f5\">7f3a9c2b&hellip;</span>"));
	buf_reset(&text);
	history.nodes = nodes;
	history.node_count = 2;
	render_history(&text, &history, MEDIA_HTML);
	CHECK(has(&text, "<span title=\"7f3a9c2b11d0e4f5\">&lt;one&gt;</span>") && !strstr(text.data, "hellip"));
	buf_reset(&text);
	render_history(&text, &history, MEDIA_TEXT);
	CHECK(str_starts(buf_str(&text), STR(ID " x 0 - 0\taway\n" ID " - 5 ")));
	CHECK(strstr(text.data, "next") == NULL);
	buf_reset(&text);
	history.later = history.more = true;
	history.limit = 3;
	history.format = QUERY_FORMAT_HTML;
	render_history(&text, &history, MEDIA_HTML);
	CHECK(has(&text, "href=\"?versions&amp;after=" ID "&amp;limit=3&amp;format=html\""));
	CHECK(strstr(text.data, "current") == NULL);
	buf_reset(&text);
	render_history(&text, &history, MEDIA_JSON);
	CHECK(strstr(text.data, "\"current\":true") == NULL);
	buf_clear(&text);
}

int main(void)
{
	test_escapes();
	test_replies();
	test_rows();
	test_versions();
	test_conflicts();
	test_index();
	test_history();
	return UNIT_RESULT();
}
