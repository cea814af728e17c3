/* http_values - dates, ranges, conditions, freshness, field grammars, queries, content types */
#include "cond.h"
#include "fields.h"
#include "freshness.h"
#include "httpdate.h"
#include "host.h"
#include "mime.h"
#include "prefer.h"
#include "query.h"
#include "range.h"
#include "unit.h"

#define NOW UINT64_C(1795500000)	/* in November 2026 */

static uint64_t date(const char *text)
{
	uint64_t seconds = 1;

	return httpdate_parse(str_of(text), NOW, &seconds) == 0 ? seconds : UINT64_MAX;
}

static void test_dates(void)
{
	static const char *const bad[] = {
		"", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 29 Feb 2025 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT", "Xyz, 06 Nov 1994 08:49:37 GMT",
		"Sun, 29 Feb 1900 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMTx",
		"Sun, 06 Nov 19x4 08:49:37 GMT", "Sunday, 06 Nov 1994 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994 GMT", "784111777", "Sun, 6 Nov 1994 08:49:37 GMT",
	};
	char text[HTTPDATE_TEXT];

	CHECK(date("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
	CHECK(date("Sunday, 06-Nov-94 08:49:37 GMT") == 784111777);
	CHECK(date("Sun Nov  6 08:49:37 1994") == 784111777);
	CHECK(date("Sun Nov 16 08:49:37 1994") == 784975777);
	CHECK(date("Monday, 01-Jan-76 00:00:00 GMT") == 3345062400);	/* 50 years ahead */
	CHECK(date("Monday, 01-Jan-77 00:00:00 GMT") == 220924800);	/* 51: the past */
	CHECK(date("Tue, 29 Feb 2000 23:59:60 GMT") == 951868799);
	CHECK(date("Wed, 31 Dec 1969 23:59:59 GMT") == 0);
	CHECK(date("Thu, 29 Feb 1968 23:59:59 GMT") == 0);
	CHECK(date("Wed Dec 31 23:59:59 1969") == 0);
	CHECK(date("Sat, 01 Jan 0000 00:00:00 GMT") == 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(date(bad[i]) == UINT64_MAX);
	CHECK(str_eq(httpdate_format(text, 784111777), STR("Sun, 06 Nov 1994 08:49:37 GMT")));
	CHECK(str_eq(httpdate_format(text, 0), STR("Thu, 01 Jan 1970 00:00:00 GMT")));
	CHECK(str_eq(httpdate_format(text, UINT64_MAX), STR("Fri, 31 Dec 9999 23:59:59 GMT")));
	for (uint64_t s = 0; s < UINT64_C(200) * 366 * 86400; s += 86400 * 13 + 7919)
		CHECK(date(httpdate_format(text, s).s) == s);
}

/* "from+length ..." of the verdict, "whole" or "none" */
static const char *range(const char *field, uint64_t size)
{
	static struct buf text;
	struct ranges ranges;

	buf_reset(&text);
	switch (range_parse(str_of(field), size, &ranges)) {
	case RANGE_WHOLE:
		return "whole";
	case RANGE_UNSATISFIABLE:
		return "none";
	case RANGE_PARTIAL:
		break;
	}
	for (size_t i = 0; i < ranges.count; i++)
		buf_addf(&text, "%s%llu+%llu", i ? " " : "",
			 (unsigned long long)ranges.range[i].from,
			 (unsigned long long)ranges.range[i].length);
	return text.data;
}

#define RANGE(field, size, want) CHECK(strcmp(range(field, size), want) == 0)

static void test_ranges(void)
{
	RANGE(NULL, 1000, "whole");
	RANGE("bytes=0-4", 1000, "0+5");
	RANGE("Bytes=0-4", 1000, "0+5");
	RANGE("bytes=5-", 1000, "5+995");
	RANGE("bytes=-5", 1000, "995+5");
	RANGE("bytes=-5000", 1000, "0+1000");
	RANGE("bytes=0-99999", 1000, "0+1000");
	RANGE("bytes=0-999", 1000, "0+1000");
	RANGE("bytes=0-1000", 1000, "0+1000");
	RANGE("bytes=999-1000", 1000, "999+1");
	RANGE("bytes=999-", 1000, "999+1");
	RANGE("bytes=1000-", 1000, "none");
	RANGE("bytes=-0", 1000, "none");
	RANGE("bytes=0-", 0, "none");
	RANGE("bytes=-5", 0, "whole");
	RANGE("bytes=0-,-5", 0, "whole");
	RANGE("bytes=-0", 0, "none");
	RANGE("bytes=1000-, 0-0", 1000, "0+1");
	RANGE("bytes=0-0,500-509", 1000, "0+1 500+10");
	RANGE("bytes=500-509 , 0-0", 1000, "500+10 0+1");
	RANGE("bytes=, 0-0", 1000, "0+1");
	RANGE("bytes=0-9,5-19", 1000, "0+20");
	RANGE("bytes=0-9,10-19", 1000, "0+20");
	RANGE("bytes=0-99,50-60", 1000, "0+100");
	RANGE("bytes=500-509,0-9,5-19", 1000, "0+20 500+10");
	RANGE("bytes=0-,0-,0-,0-", 1000, "0+1000");
	RANGE("bytes=5-4", 1000, "whole");
	RANGE("bytes=a-4", 1000, "whole");
	RANGE("bytes=4", 1000, "whole");
	RANGE("bytes=--4", 1000, "whole");
	RANGE("bytes=1-2-3", 1000, "whole");
	RANGE("bytes=", 1000, "whole");
	RANGE("bytes= 0-4", 1000, "0+5");
	RANGE("bytes", 1000, "whole");
	RANGE("items=0-4", 1000, "whole");
	RANGE("bytes=0-4,x", 1000, "whole");
	RANGE("bytes=0-18446744073709551615", 1000, "0+1000");
	RANGE("bytes=0-18446744073709551616", 1000, "whole");
	RANGE("bytes=0-0,100-100,200-200,300-300,400-400,500-500,600-600,700-700,800-800,900-900,"
	      "1000-1000,1100-1100,1200-1200,1300-1300,1400-1400,1500-1500,1600-1600", 9999, "whole");
}

static void test_multipart_length(void)
{
	struct buf text = BUF_INIT;
	struct ranges ranges;
	uint64_t size = 100000;

	CHECK(range_parse(STR("bytes=0-9,500-1499"), size, &ranges) == RANGE_PARTIAL);
	for (size_t i = 0; i < ranges.count; i++) {
		range_part(&text, &ranges.range[i], size, STR("text/plain"), STR("B"));
		for (uint64_t n = 0; n < ranges.range[i].length; n++)
			buf_addc(&text, 'x');
	}
	range_end(&text, STR("B"));
	CHECK(text.len == range_length(&ranges, size, STR("text/plain"), STR("B")));
	CHECK(str_starts(buf_str(&text), STR("\r\n--B\r\nContent-Type: text/plain\r\n"
					     "Content-Range: bytes 0-9/100000\r\n\r\nxxxxxxxxxx\r\n"
					     "--B\r\n")));
	CHECK(str_ends(buf_str(&text), STR("x\r\n--B--\r\n")));
	buf_clear(&text);
}

static void test_uploads(void)
{
	uint64_t size = 0;

	CHECK(range_upload(STR("bytes 0-9/10"), &size) == 0 && size == 10);
	CHECK(range_upload(STR("bytes 1-9/10"), &size) < 0);
	CHECK(range_upload(STR("bytes 0-8/10"), &size) < 0);
	CHECK(range_upload(STR("bytes 0-9/*"), &size) < 0);
	CHECK(range_upload(STR("bytes */10"), &size) < 0);
	CHECK(range_upload(STR("bytes=0-9/10"), &size) < 0);
	CHECK(range_upload(STR(""), &size) < 0);
}

static struct head head;

/* The head of METHOD with these field lines, and its conditions. */
static void take(struct cond *cond, const char *method, const char *fields)
{
	static struct buf text;
	struct refusal refusal;

	buf_reset(&text);
	buf_addf(&text, "%s / HTTP/1.1\r\nHost: h:1\r\n%s\r\n", method, fields);
	head_reset(&head);
	CHECK(head_parse(&head, text.data, text.len, &refusal) == 1);
	cond_clear(cond);
	cond_take(cond, &head, NOW);
}

static const struct cond_target target = { true, { "\"v\"", 3 }, { "\"v;dcz-0\"", 9 }, 784111777 };
static const struct cond_target nothing = { false, { "", 0 }, { "", 0 }, 0 };

static void check_cond(int line, const char *method, const char *fields, enum cond_verdict there,
		       enum cond_verdict absent)
{
	struct cond cond = COND_INIT;

	take(&cond, method, fields);
	if (cond_check(&cond, &target) != there || cond_check(&cond, &nothing) != absent)
		fprintf(stderr, "line %d: %s\n", line, fields);
	CHECK(cond_check(&cond, &target) == there);
	CHECK(cond_check(&cond, &nothing) == absent);
	cond_clear(&cond);
}

#define COND(method, fields, there, absent) \
	check_cond(__LINE__, method, fields, COND_##there, COND_##absent)
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT\r\n"
#define SAME "Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define AHEAD "Sun, 06 Nov 2094 08:49:37 GMT\r\n"
#define EARLY "Wed, 31 Dec 1969 23:59:59 GMT\r\n"

static void test_conditions(void)
{
	COND("GET", "", GO, GO);
	COND("GET", "If-None-Match: \"v\"\r\n", NOT_MODIFIED, GO);
	COND("HEAD", "If-None-Match: W/\"v\"\r\n", NOT_MODIFIED, GO);
	COND("PUT", "If-None-Match: \"v\"\r\n", FAILED, GO);
	COND("GET", "If-None-Match: \"x\", \"v\"\r\n", NOT_MODIFIED, GO);
	COND("GET", "If-None-Match: \"x\"\r\nIf-None-Match: \"v\"\r\n", NOT_MODIFIED, GO);
	COND("GET", "If-None-Match: \"x\"\r\n", GO, GO);
	COND("GET", "If-None-Match: \"v;dcz-0\"\r\n", NOT_MODIFIED, GO);
	COND("GET", "If-None-Match: \"v;dcz-1\"\r\n", GO, GO);	/* by another dictionary */
	COND("GET", "If-None-Match: \"v;zstd\"\r\n", GO, GO);
	COND("GET", "If-Match: \"v;dcz-0\"\r\n", GO, FAILED);
	COND("GET", "If-Match: \"v;dcz-1\"\r\n", FAILED, FAILED);
	COND("GET", "If-None-Match: \"v2;dcz-0\", \"v-\", \"v\\\"\r\n", GO, GO);
	COND("PUT", "If-Match: \"v;dcz-0\"\r\n", GO, FAILED);
	COND("PUT", "If-Match: \"v;dcz-1\"\r\n", GO, FAILED);
	COND("GET", "If-None-Match: *\r\n", NOT_MODIFIED, GO);
	COND("PUT", "If-None-Match: *\r\n", FAILED, GO);
	COND("PUT", "If-Match: *\r\n", GO, FAILED);
	COND("PUT", "If-Match: \"v\"\r\n", GO, FAILED);
	COND("PUT", "If-Match: W/\"v\"\r\n", FAILED, FAILED);
	COND("PUT", "If-Match: \"x\" ,, \"v\"\r\n", GO, FAILED);
	COND("PUT", "If-Match: \"x,\\\"\r\n", FAILED, FAILED);
	COND("PUT", "If-Match: v\r\n", MALFORMED, MALFORMED);
	COND("PUT", "If-Match: \"v\r\n", MALFORMED, MALFORMED);
	COND("PUT", "If-Match: \"v\" \"x\"\r\n", MALFORMED, MALFORMED);
	COND("PUT", "If-Match: \"v\", *\r\n", MALFORMED, MALFORMED);
	COND("PUT", "If-Match:\r\n", MALFORMED, MALFORMED);
	COND("PUT", "If-Match: ,\r\n", MALFORMED, MALFORMED);
	COND("GET", "If-None-Match:\r\n", GO, GO);
	COND("PUT", "If-None-Match:\r\n", GO, GO);
	COND("GET", "If-None-Match: ,\r\n", GO, GO);
	COND("GET", "If-None-Match: , v\r\n", MALFORMED, MALFORMED);
	COND("GET", "If-None-Match: \r\nIf-Modified-Since: " SAME, NOT_MODIFIED, GO);
	COND("PUT", "If-Match: \"v\"\r\nIf-None-Match: \"v\"\r\n", FAILED, FAILED);
	COND("GET", "If-Match: \"v\"\r\nIf-None-Match: \"v\"\r\n", NOT_MODIFIED, FAILED);
	COND("GET", "If-Modified-Since: " SAME, NOT_MODIFIED, GO);
	COND("GET", "If-Modified-Since: " BEFORE, GO, GO);
	COND("PUT", "If-Modified-Since: " SAME, GO, GO);
	COND("GET", "If-Modified-Since: yesterday\r\n", GO, GO);
	COND("GET", "If-None-Match: \"x\"\r\nIf-Modified-Since: " SAME, GO, GO);
	COND("PUT", "If-Unmodified-Since: " SAME, GO, GO);
	COND("PUT", "If-Unmodified-Since: " BEFORE, FAILED, GO);
	COND("GET", "If-Unmodified-Since: " BEFORE, FAILED, GO);
	COND("PUT", "If-Match: \"v\"\r\nIf-Unmodified-Since: " BEFORE, GO, FAILED);
	COND("PUT", "If-Unmodified-Since: " AHEAD, GO, GO);
	COND("GET", "If-Modified-Since: " AHEAD, GO, GO);
	COND("PUT", "If-Unmodified-Since: " EARLY, FAILED, GO);
	COND("GET", "If-Unmodified-Since: " EARLY, FAILED, GO);
	COND("GET", "If-Modified-Since: " EARLY, GO, GO);
}

/* 304 has the tag that was named, of one that is coded, too. */
static void named(const char *fields, const char *tag)
{
	struct cond cond = COND_INIT;

	take(&cond, "GET", fields);
	CHECK(str_eq(cond_named(&cond, &target), str_of(tag)));
	cond_clear(&cond);
}

static void test_named(void)
{
	named("", "\"v\"");
	named("If-None-Match: *\r\n", "\"v\"");
	named("If-None-Match: \"x;dcz\"\r\n", "\"v\"");
	named("If-None-Match: \"x\", W/\"v;dcz-0\"\r\n", "\"v;dcz-0\"");
	named("If-None-Match: \"v\", \"v;dcz-0\"\r\n", "\"v\"");
	named("If-None-Match: \"v;dcz-0\", \"v\"\r\n", "\"v\"");
	named("If-None-Match: \"v;dcz-1\"\r\n", "\"v\"");
}

static void test_codings(void)
{
	struct str dcz = STR("dcz");

	CHECK(fields_accepts_coding(STR("gzip, DCZ, zstd"), dcz));
	CHECK(fields_accepts_coding(STR("dcz;q=0.1"), dcz));
	CHECK(!fields_accepts_coding(STR("dcz;q=0"), dcz));
	CHECK(!fields_accepts_coding(STR("dcz;q=x"), dcz));
	CHECK(!fields_accepts_coding(STR("*, identity, dcb, dczx"), dcz));
	CHECK(!fields_accepts_coding(STR(""), dcz));
	CHECK(!fields_accepts_coding((struct str)STR_INIT, dcz));
}

#define DICTIONARY "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o="

static void test_dictionaries(void)
{
	uint8_t sha256[32];
	struct buf text = BUF_INIT;

	CHECK(fields_dictionary_parse(STR(":" DICTIONARY ":"), sha256) == 0 && sha256[0] == 0x44);
	fields_dictionary(&text, sha256);
	CHECK(str_eq(buf_str(&text), STR(":" DICTIONARY ":")));
	CHECK(fields_dictionary_parse(STR(":" DICTIONARY ":;x=1"), sha256) == 0);
	CHECK(fields_dictionary_parse(STR(DICTIONARY), sha256) == -1);
	CHECK(fields_dictionary_parse(STR(":" DICTIONARY), sha256) == -1);
	CHECK(fields_dictionary_parse(STR("sha-256=:" DICTIONARY ":"), sha256) == -1);
	CHECK(fields_dictionary_parse(STR(":AAAA:"), sha256) == -1);
	CHECK(fields_dictionary_parse(STR("::"), sha256) == -1);
	CHECK(fields_dictionary_parse(STR(""), sha256) == -1);
	CHECK(fields_dictionary_parse((struct str)STR_INIT, sha256) == -1);
	buf_reset(&text);
	CHECK(fields_dictionary_use(&text, STR("/a%20b/c-1_2~.js")) == 0);
	CHECK(str_eq(buf_str(&text), STR("match=\"/a%20b/c-1_2~.js\"")));
	CHECK(fields_dictionary_use(&text, STR("/a*")) == -1 && fields_dictionary_use(&text, STR("/:a")) == -1);
	CHECK(fields_dictionary_use(&text, STR("/a\"b")) == -1 && fields_dictionary_use(&text, STR("/(a)")) == -1);
	CHECK(fields_dictionary_use(&text, (struct str){ "/a\0b", 4 }) == -1);
	buf_clear(&text);
}

/* Whatever the date, it says nothing of a version that is ahead of the clock. */
static void test_conditions_ahead(void)
{
	static const struct cond_target ahead = { true, { "\"v\"", 3 }, { "", 0 }, NOW + 1 };
	static const struct cond_target just = { true, { "\"v\"", 3 }, { "", 0 }, NOW };
	static const char *const dates[] = { EARLY, SAME, AHEAD };
	struct cond cond = COND_INIT;
	char now[HTTPDATE_TEXT], fields[100];

	for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
		snprintf(fields, sizeof fields, "If-Modified-Since: %s", dates[i]);
		take(&cond, "GET", fields);
		CHECK(cond_check(&cond, &ahead) == COND_GO);
		snprintf(fields, sizeof fields, "If-Unmodified-Since: %s", dates[i]);
		take(&cond, "PUT", fields);
		CHECK(cond_check(&cond, &ahead) == COND_FAILED);
	}
	httpdate_format(now, NOW);
	snprintf(fields, sizeof fields, "If-Modified-Since: %s\r\n", now);
	take(&cond, "GET", fields);
	CHECK(cond_check(&cond, &just) == COND_NOT_MODIFIED);
	snprintf(fields, sizeof fields, "If-Unmodified-Since: %s\r\n", now);
	take(&cond, "PUT", fields);
	CHECK(cond_check(&cond, &just) == COND_GO);
	take(&cond, "GET", "If-None-Match: \"v\"\r\n");
	CHECK(cond_check(&cond, &ahead) == COND_NOT_MODIFIED);
	cond_clear(&cond);
}

static void test_if_range(void)
{
	static const struct {
		const char *fields;
		bool counts;
	} cases[] = {
		{ "", true },
		{ "If-Range: \"v\"\r\n", true },
		{ "If-Range: W/\"v\"\r\n", false },
		{ "If-Range: \"x\"\r\n", false },
		{ "If-Range: " SAME, false },
		{ "If-Range: " BEFORE, false },
		{ "If-Range: v\r\n", false },
	};
	struct cond cond = COND_INIT;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		take(&cond, "GET", cases[i].fields);
		CHECK(cond_range(&cond, &target) == cases[i].counts);
	}
	CHECK(!cond_range(&cond, &nothing));
	cond_clear(&cond);
}

static void test_freshness(void)
{
	struct buf text = BUF_INIT;
	struct cache_status hit = { .cache = STR("al\"pha"), .source = CACHE_HIT };
	struct cache_status pulled = { .cache = STR("a"), .source = CACHE_FWD_STALE,
				       .stored = true, .detail = STR("b\xc3") };
	struct freshness f = freshness_parse((struct str)STR_INIT);

	CHECK(!f.no_cache && !f.only_if_cached && !f.has_max_age);
	f = freshness_parse(STR("No-Cache , only-if-cached,max-age=5,x=\"y\""));
	CHECK(f.no_cache && f.only_if_cached && f.has_max_age && f.max_age == 5);
	CHECK(freshness_parse(STR("max-age=\"7\"")).max_age == 7);
	f = freshness_parse(STR("max-age=x"));
	CHECK(f.has_max_age && f.max_age == 0);
	CHECK(freshness_parse(STR("max-age=-1")).max_age == 0);
	CHECK(freshness_parse(STR("max-age=99999999999999999999")).max_age == UINT64_C(1) << 31);
	CHECK(freshness_parse(STR("max-age=9, max-age=3")).max_age == 3);
	CHECK(freshness_parse(STR(",, max-age=")).has_max_age);
	CHECK(freshness_parse(STR("max-age")).max_age == 0);
	CHECK(!freshness_parse(STR("xmax-age=9, no-cachex")).has_max_age);
	f = freshness_parse(STR("max-stale, max-age=3"));
	CHECK(f.has_max_stale && f.max_stale == UINT64_MAX && f.max_age == 3);
	CHECK(freshness_parse(STR("max-stale=5, max-stale")).max_stale == 5);
	CHECK(freshness_parse(STR("max-stale=x")).max_stale == 0);
	freshness_cache_status(&text, &hit);
	buf_addc(&text, '|');
	freshness_cache_status(&text, &pulled);
	buf_addc(&text, '|');
	freshness_version_state(&text, true, 0, 0);
	buf_addc(&text, '|');
	freshness_version_state(&text, false, 1, 2);
	buf_addc(&text, '|');
	freshness_write_state(&text, 1, 3, 2);
	CHECK(str_eq(buf_str(&text), STR("\"al\\\"pha\"; hit|\"a\"; fwd=stale; stored; detail=\"b?\"|"
					 "confirmed|unconfirmed; peers=1/2|"
					 "unconfirmed; homes=1/3; copies=2")));
	buf_clear(&text);
}

static bool allows(const char *cache_control, uint64_t age_ms)
{
	struct freshness f = freshness_parse(str_of(cache_control));

	return freshness_allows(&f, age_ms);
}

static void test_allowed_age(void)
{
	CHECK(!allows("", 0) && !allows("only-if-cached", 0));
	CHECK(!allows("max-age=0", 0) && allows("max-age=5", 4999) && !allows("max-age=5", 5000));
	CHECK(!allows("max-age=5, no-cache", 0));
	CHECK(allows("max-age=5, max-stale=2", 6999) && !allows("max-age=5, max-stale=2", 7000));
	CHECK(allows("max-stale=2", 1000) && !allows("max-stale=2", 2000));
	CHECK(allows("max-stale", UINT64_C(1) << 50) && !allows("max-stale=0", 0));
}

static void test_passive(void)
{
	static const char *const passive[] = {
		"image/png", "IMAGE/JPEG", "audio/mpeg", "video/webm", "font/woff2", "text/plain",
		"text/plain; charset=utf-8", "application/pdf", "application/octet-stream", "application/zip",
		"application/json",
	};
	static const char *const active[] = {
		"text/html", "text/html; charset=utf-8", "image/svg+xml", "Image/SVG+xml;a=b", "application/xhtml+xml",
		"application/atom+xml", "application/rss+xml", "application/xslt+xml", "application/mathml+xml",
		"text/xml", "text/xsl", "text/javascript", "text/css", "multipart/x-mixed-replace", "multipart/related",
		"message/rfc822", "image/", "image/xml", "video/x+xml", "application/x-shockwave-flash", "x/y", "x",
	};

	for (size_t i = 0; i < sizeof passive / sizeof passive[0]; i++)
		CHECK(mime_is_passive(str_of(passive[i])));
	for (size_t i = 0; i < sizeof active / sizeof active[0]; i++)
		CHECK(!mime_is_passive(str_of(active[i])));
}

static bool is_named(const char *host, const char *name, bool address)
{
	struct str got = host_name(str_of(host));

	return str_eq(got, str_of(name)) && host_is_address(got) == address;
}

static void test_host(void)
{
	CHECK(is_named("localhost", "localhost", false) && is_named("localhost:80", "localhost", false));
	CHECK(is_named("a.example.:80", "a.example", false) && is_named("a.", "a", false));
	CHECK(is_named("127.0.0.1:4720", "127.0.0.1", true) && is_named("127.1", "127.1", true));
	CHECK(is_named("[::1]:80", "[::1]", true) && is_named("[fe80::1]", "[fe80::1]", true));
	CHECK(is_named("2130706433", "2130706433", true) && is_named("1.example1", "1.example1", false));
	CHECK(is_named("10.0.0.1.evil.example", "10.0.0.1.evil.example", false) && is_named("", "", false));
}

static bool prefers(const char *field, const char *applied)
{
	struct prefer p = prefer_parse(str_of(field));
	struct buf text = BUF_INIT;
	bool same;

	prefer_applied(&text, &p);
	same = str_eq(buf_str(&text), str_of(applied));
	buf_clear(&text);
	return same;
}

static void test_prefer(void)
{
	CHECK(prefers("", "") && prefers("return=minimal", ""));
	CHECK(prefers("Respond-Async", "respond-async") && prefers("wait=10", "wait=10"));
	CHECK(prefers("respond-async, wait = 5;x=y", "respond-async, wait=5"));
	CHECK(prefers("wait=\"7\", wait=3", "wait=7") && prefers("wait=0", "wait=0"));
	CHECK(prefers("wait=9999", "wait=3600") && prefers("wait=-1, wait, wait=x", ""));
	CHECK(!prefer_parse((struct str)STR_INIT).has_wait);
}

/* of "abc" */
#define DIGEST_512 \
	"3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05oh" \
	"kpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="

/* RFC 9530's own example: the digest of {"hello": "world"} and a newline */
#define DIGEST "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="

static void test_digests(void)
{
	uint8_t sha256[32] = { 1 }, sha512[64] = { 1 };
	struct buf text = BUF_INIT;

	CHECK(fields_digest_parse(STR("sha-256=:" DIGEST ":"), sha256) == 1 && sha256[0] == 0x44);
	fields_digest(&text, sha256);
	CHECK(str_eq(buf_str(&text), STR("sha-256=:" DIGEST ":")));
	CHECK(fields_digest_parse(STR("sha-512=:AAAA:, sha-256=:" DIGEST ":;x=1"), sha256) == 1);
	CHECK(fields_digest_parse(STR("sha-512=:AAAA:"), sha256) == 0);
	CHECK(fields_digest_parse_512(STR("sha-512=:AAAA:"), sha512) == -1);
	CHECK(fields_digest_parse_512(STR("sha-256=:" DIGEST ":"), sha512) == 0);
	CHECK(fields_digest_parse_512(STR("sha-512=:" DIGEST_512 ":"), sha512) == 1 &&
	      sha512[0] == 0xdd && sha512[63] == 0x9f);
	CHECK(fields_digest_parse((struct str)STR_INIT, sha256) == 0);
	CHECK(fields_digest_parse(STR("sha-256=" DIGEST), sha256) == -1);
	CHECK(fields_digest_parse(STR("sha-256=:AAAA:"), sha256) == -1);
	CHECK(fields_digest_parse(STR("sha-256=::"), sha256) == -1);
	CHECK(fields_digest_parse(STR("sha-256=:" DIGEST), sha256) == -1);
	CHECK(fields_digest_parse(STR("sha-256"), sha256) == -1);
	CHECK(fields_digest_parse(STR("sha-256=:" "\"" DIGEST ":"), sha256) == -1);
	CHECK(fields_digest_parse(STR("SHA-256=:" DIGEST ":"), sha256) == -1);
	CHECK(fields_digest_parse(STR("sha-256=:" DIGEST ":,"), sha256) == -1);
	CHECK(fields_digest_parse(STR(""), sha256) == -1);
	CHECK(fields_wants_sha256(STR("sha-256=10")));
	CHECK(fields_wants_sha256(STR("sha-512=3, sha-256=1")));
	CHECK(!fields_wants_sha256(STR("sha-256=0")));
	CHECK(!fields_wants_sha256(STR("sha-512=3")));
	CHECK(!fields_wants_sha256((struct str)STR_INIT));
	buf_clear(&text);
}

static void test_accept(void)
{
	static const enum media index[] = { MEDIA_HTML, MEDIA_JSON, MEDIA_TEXT };
	static const enum media history[] = { MEDIA_TEXT, MEDIA_JSON, MEDIA_HTML };
	static const struct {
		const char *accept;
		enum media index, history;
	} cases[] = {
		{ NULL, MEDIA_HTML, MEDIA_TEXT },
		{ "*/*", MEDIA_HTML, MEDIA_TEXT },
		{ "application/json", MEDIA_JSON, MEDIA_JSON },
		{ "APPLICATION/JSON;charset=utf-8", MEDIA_JSON, MEDIA_JSON },
		{ "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", MEDIA_HTML, MEDIA_HTML },
		{ "text/*", MEDIA_HTML, MEDIA_TEXT },
		{ "text/*;q=0.5, text/plain;q=0.1, application/json;q=0.3", MEDIA_HTML, MEDIA_HTML },
		{ "*/*;q=0.1, application/json", MEDIA_JSON, MEDIA_JSON },
		{ "text/html;q=0, */*", MEDIA_JSON, MEDIA_TEXT },
		{ "text/plain;q=0.5, text/html;q=0.50, application/json;q=0.499", MEDIA_HTML, MEDIA_TEXT },
		{ "image/png", MEDIA_HTML, MEDIA_TEXT },
		{ "application/json;q=2, text/plain;q=0.2", MEDIA_TEXT, MEDIA_TEXT },
		{ ",,;", MEDIA_HTML, MEDIA_TEXT },
		{ "text/html;q=x, application/json;q=0.1", MEDIA_JSON, MEDIA_JSON },
		{ "text/html;q=1.5, application/json;q=0.1", MEDIA_JSON, MEDIA_JSON },
		{ "text/html;q=0.x, application/json;q=0.1", MEDIA_JSON, MEDIA_JSON },
		{ "text/html;q=0.1234, application/json;q=0.1", MEDIA_JSON, MEDIA_JSON },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(fields_accept(str_of(cases[i].accept), index, 3) == cases[i].index);
		CHECK(fields_accept(str_of(cases[i].accept), history, 3) == cases[i].history);
	}
	CHECK(fields_accepts_problem(STR("text/html, application/problem+json;q=0.1")));
	CHECK(fields_accepts_problem(STR("application/json")));
	CHECK(!fields_accepts_problem(STR("application/json;q=0")));
	CHECK(!fields_accepts_problem(STR("*/*")));
	CHECK(!fields_accepts_problem((struct str)STR_INIT));
}

static void test_types(void)
{
	struct buf text = BUF_INIT;

	CHECK(fields_type_valid(STR("text/html")) && fields_type_valid(STR("a/b; c=d;e=\"f;\\\"\"")));
	CHECK(!fields_type_valid((struct str)STR_INIT) && !fields_type_valid(STR("")));
	CHECK(!fields_type_valid(STR("text")));
	CHECK(!fields_type_valid(STR("text/")) && !fields_type_valid(STR("/html")));
	CHECK(!fields_type_valid(STR("te xt/html")) && !fields_type_valid(STR("a/b/c")));
	CHECK(!fields_type_valid(STR("a/b; c")) && !fields_type_valid(STR("a/b; c=\"d")));
	CHECK(!fields_type_valid(STR("a/b; c=\"\t\"")) && !fields_type_valid(STR("a/b; c=\"\xc3\"")));
	CHECK(!fields_type_valid(STR("a/b, c/d")) && !fields_type_valid(STR("a/b; c=d x")));
	CHECK(fields_type_is(STR("Multipart/Form-Data ; boundary=x"), STR("multipart/form-data")));
	CHECK(!fields_type_is(STR("multipart/form-data2"), STR("multipart/form-data")));
	fields_link(&text, STR("/a?after=b"), "next");
	CHECK(str_eq(buf_str(&text), STR("</a?after=b>; rel=\"next\"")));
	buf_clear(&text);
}

static bool cross(const char *fields)
{
	struct cond cond = COND_INIT;

	take(&cond, "POST", fields);
	cond_clear(&cond);
	return fields_cross_site(&head);
}

static void test_cross_site(void)
{
	CHECK(!cross(""));
	CHECK(!cross("Sec-Fetch-Site: same-origin\r\n"));
	CHECK(!cross("Sec-Fetch-Site: none\r\n"));
	CHECK(cross("Sec-Fetch-Site: same-site\r\n"));
	CHECK(cross("Sec-Fetch-Site: cross-site\r\nOrigin: http://h:1\r\n"));
	CHECK(!cross("Origin: http://h:1\r\n"));
	CHECK(!cross("Origin: http://H:1\r\n"));
	CHECK(!cross("Origin: https://h:1\r\n"));
	CHECK(cross("Origin: http://h:2\r\n"));
	CHECK(cross("Origin: http://h\r\n"));
	CHECK(cross("Origin: http://evil\r\n"));
	CHECK(cross("Origin: null\r\n"));
}

#define ID "20261122T110724.123456001Z-7f3a9c2b11d0e4f5-0"

static void test_queries(void)
{
	static const char *const unknown[] = {
		"x", "x=1", "Versions", "=", "%=1", "x=%", "utm_source=a&utm_source=b", "v=3&&",
		"service=git-upload-pack",
	};
	static const char *const bad[] = {
		"versions=1", "version", "version=", "version=x", "limit=0", "limit=x",
		"limit=-1", "limit=99999999999", "after=a%2Fb", "after=a%00b", "after=%2",
		"format=xml", "versions&versions", "versions&version=" ID, "restore=" ID "&version=" ID,
		"deleted=no", "versions&after=", "versions&after=x", "after=/", "after=a//",
		"after=" ID "x&versions", "after=" ID "/&versions",
	};
	struct query query = QUERY_INIT;
	struct err err = ERR_INIT;

	CHECK(query_parse(&query, (struct str)STR_INIT, true, &err) == 0 && !query.versions);
	CHECK(query_parse(&query, STR(""), true, &err) == 0 && !query.has_after);
	CHECK(query_parse(&query, STR("versions&format=json"), true, &err) == 0);
	CHECK(query.versions && query.format == QUERY_FORMAT_JSON);
	CHECK(query_parse(&query, STR("vers%69ons="), true, &err) == 0 && query.versions);
	CHECK(query_parse(&query, STR("version=" ID), true, &err) == 0);
	CHECK(query.version.node == UINT64_C(0x7f3a9c2b11d0e4f5) && query.restore.time == 0);
	CHECK(query_parse(&query, STR("restore=" ID), true, &err) == 0 && query.restore.time != 0);
	CHECK(query_parse(&query, STR("after=a%20%ff+%26&limit=10&deleted"), true, &err) == 0);
	CHECK(query.has_after && str_eq(buf_str(&query.after), STR("a \xff+&")));
	CHECK(query.limit == 10 && query.deleted);
	query_clear(&query);
	CHECK(query_parse(&query, STR("after=" ID "&limit=3&versions"), true, &err) == 0);
	CHECK(query.has_after && query.older.node == UINT64_C(0x7f3a9c2b11d0e4f5) && query.limit == 3);
	query_clear(&query);
	CHECK(query_parse(&query, STR("format=text"), true, &err) == 0 && query.format == QUERY_FORMAT_TEXT);
	CHECK(query_parse(&query, STR("format=html"), true, &err) == 0 && query.format == QUERY_FORMAT_HTML);
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
		struct buf text = BUF_INIT;

		CHECK(query_parse(&query, str_of(unknown[i]), true, &err) < 0 &&
		      err.kind == ERR_INVALID);
		buf_addf(&text, "%s&limit=7", unknown[i]);
		CHECK(query_parse(&query, buf_str(&text), false, &err) == 0 && query.limit == 7);
		buf_clear(&text);
	}
	for (size_t i = 0; i < 2 * sizeof bad / sizeof *bad; i++) {
		struct query untouched = QUERY_INIT;
		const char *text = bad[i / 2];

		if (query_parse(&untouched, str_of(text), i % 2, &err) == 0)
			fprintf(stderr, "accepted: %s\n", text);
		CHECK(untouched.after.data == NULL && err.kind == ERR_INVALID);
		err.kind = ERR_NONE;
		query_clear(&untouched);
	}
	query_clear(&query);
}

static void test_mime(void)
{
	char name[] = "/var/tmp/http_values.XXXXXX";
	int fd = mkstemp(name);
	FILE *f = fdopen(fd, "w");
	struct mime *mime;

	CHECK(f != NULL);
	fputs("# types\ntext/x-made  made MADE2\n\napplication/x-none\nx/y made html\n", f);
	fclose(f);
	mime = mime_new(name);
	CHECK(str_eq(mime_of(mime, STR("d.e/a.made")), STR("text/x-made; charset=utf-8")));
	CHECK(str_eq(mime_of(mime, STR("a.Made2")), STR("text/x-made; charset=utf-8")));
	CHECK(str_eq(mime_of(mime, STR("a.html")), STR("x/y")));
	CHECK(str_eq(mime_of(mime, STR("a.png")), STR("image/png")));
	mime_free(mime);
	remove(name);
	mime = mime_new(NULL);
	CHECK(str_eq(mime_of(mime, STR("a.b/A.TXT")), STR("text/plain; charset=utf-8")));
	CHECK(str_eq(mime_of(mime, STR("a.txt/b")), STR(MIME_DEFAULT)));
	CHECK(str_eq(mime_of(mime, STR(".html")), STR(MIME_DEFAULT)));
	CHECK(str_eq(mime_of(mime, STR("a.")), STR(MIME_DEFAULT)));
	CHECK(str_eq(mime_of(mime, STR("")), STR(MIME_DEFAULT)));
	CHECK(str_eq(mime_of(mime, STR("a.averyveryveryveryveryverylongextensionindeed")),
		     STR(MIME_DEFAULT)));
	mime_free(mime);
}

int main(void)
{
	test_dates();
	test_ranges();
	test_multipart_length();
	test_uploads();
	test_conditions();
	test_conditions_ahead();
	test_named();
	test_codings();
	test_dictionaries();
	test_if_range();
	test_freshness();
	test_allowed_age();
	test_prefer();
	test_passive();
	test_host();
	test_digests();
	test_accept();
	test_types();
	test_cross_site();
	test_queries();
	test_mime();
	return UNIT_RESULT();
}
