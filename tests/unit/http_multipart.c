/* http_multipart - forms as curl and browsers send them, and as nobody should */
#include "multipart.h"
#include "unit.h"

#define TYPE "multipart/form-data; boundary=B"

/* What happened, as text: "(name|filename|type)content." per part, '!' and a status when refused, '#' when done. */
static void run(struct buf *to, const char *type, struct str bytes, size_t step)
{
	struct multipart form = MULTIPART_INIT;
	struct refusal refusal = { 0, NULL };
	enum multipart_event event = MULTIPART_MORE;
	struct str piece;

	buf_reset(to);
	if (multipart_start(&form, str_of(type), &refusal) < 0) {
		buf_addf(to, "!%d", refusal.status);
		return;
	}
	for (size_t at = 0; at < bytes.n && event != MULTIPART_REFUSED; at += step) {
		struct str input = { bytes.s + at, bytes.n - at < step ? bytes.n - at : step };

		while ((event = multipart_next(&form, &input, &piece, &refusal)) > MULTIPART_MORE) {
			if (event == MULTIPART_CONTENT)
				buf_addstr(to, piece);
			else if (event == MULTIPART_PART_END)
				buf_addc(to, '.');
			else
				buf_addf(to, "(%.*s|%s%.*s|%.*s)", STR_ARG(buf_str(&form.name)),
					 form.has_filename ? "=" : "", STR_ARG(buf_str(&form.filename)),
					 STR_ARG(buf_str(&form.type)));
		}
	}
	if (event == MULTIPART_REFUSED)
		buf_addf(to, "!%d", refusal.status);
	if (form.done)
		buf_addc(to, '#');
	multipart_clear(&form);
}

static void check(int line, const char *type, const char *bytes, const char *want)
{
	struct buf got = BUF_INIT;

	for (size_t step = 1; step < 40; step++) {
		run(&got, type, str_of(bytes), step);
		CHECK(str_eq(buf_str(&got), str_of(want)));
		if (!str_eq(buf_str(&got), str_of(want))) {
			fprintf(stderr, "line %d, step %zu: got %s\n", line, step, got.data);
			break;
		}
	}
	buf_clear(&got);
}

#define FORM(bytes, want) check(__LINE__, TYPE, bytes, want)
#define PART(disposition, content) \
	"--B\r\nContent-Disposition: form-data; " disposition "\r\n\r\n" content "\r\n"
#define END "--B--\r\n"

static void test_bodies(void)
{
	FORM(END, "#");
	FORM("", "");
	FORM(PART("name=\"f\"; filename=\"x\"", "hello") END, "(f|=x|)hello.#");
	FORM(PART("name=f", "") PART("name=g", "x") END, "(f||)." "(g||)x.#");
	FORM("--B\r\nContent-Disposition: form-data; name=f\r\ncontent-type: text/plain\r\n"
	     "X-Y: z\r\n\r\nx\r\n--B--", "(f||text/plain)x.#");
	FORM("preamble\r\n--B \t\r\nContent-Disposition: form-data; name=f\r\n\r\nx\r\n--B--epilogue\r\n--B\r\n",
	     "(f||)x.#");
	FORM(PART("name=f", "\r\n--") END, "(f||)\r\n--.#");
	FORM(PART("name=f", "\r\r\n\r\n-\r\n--C\r\n--\r") END, "(f||)\r\r\n\r\n-\r\n--C\r\n--\r.#");
	FORM(PART("name=f", "--B") END, "(f||)--B.#");
	FORM(PART("name=f", "\n--B--\n") END, "(f||)\n--B--\n.#");
	FORM("--B\r\nContent-Disposition: form-data; name=f\r\n\r\ncut off", "(f||)cut off");
	FORM("--B\r\nContent-Disposition: form-data; name=f\r\n\r\ncut\r\n--", "(f||)cut");
}

static void test_refused(void)
{
	FORM(PART("name=f", "x\r\n--Bx") END, "(f||)x.!400");
	FORM("--Bx\r\n", "!400");
	FORM("--B\n", "!400");
	FORM("--B-x", "!400");
	FORM("--B\r\n\r\nx", "!400");
	FORM("--B\r\nContent-Disposition: form-data\r\n\r\nx", "!400");
	FORM("--B\r\nContent-Disposition: attachment; name=f\r\n\r\nx", "!400");
	FORM("--B\r\nContent-Disposition: form-data; name=f\n\r\nx", "!400");
	FORM("--B\r\nContent-Disposition: form-data; name=f\r\n folded\r\n\r\nx", "!400");
	FORM("--B\r\nContent-Disposition : form-data; name=f\r\n\r\nx", "!400");
	FORM("--B\r\nContent-Disposition: form-data; name=f\r\nContent-Disposition: form-data; name=f\r\n\r\n",
	     "!400");
	FORM("--B\r\nContent-Disposition: form-data; name=f\r\nContent-Type: x\r\n\r\n", "!400");
	FORM("--B\r\nContent-Disposition: form-data; name=f\r\nContent-Transfer-Encoding: base64\r\n\r\n",
	     "!400");
	FORM("--B\r\nContent-Disposition: form-data; name=\"f\r\n\r\nx", "!400");
	FORM("--B\r\nContent-Disposition: form-data; filename=\"f\"\r\n\r\nx", "!400");
}

static void test_names(void)
{
	FORM(PART("name=\"f\"; filename=\"a\\\"b\\\\c\\d\"", "x") END, "(f|=a\"b\\c\\d|)x.#");
	FORM(PART("name=\"f\"; filename=\"a%22b%0D%0a%41\"", "x") END, "(f|=a\"b\r\n%41|)x.#");
	FORM(PART("name=\"f\"; filename=\"C:\\new\\t.txt\"", "x") END, "(f|=C:\\new\\t.txt|)x.#");
	FORM(PART("name=\"f\"; filename=\"../../etc/passwd\"", "x") END, "(f|=passwd|)x.#");
	FORM(PART("name=\"f\"; filename=\"dir/\"", "x") END, "(f|=|)x.#");
	FORM(PART("name=\"f\"; filename=\"\"", "") END, "(f|=|).#");
	FORM(PART("name=\"f\"; filename=\"\xc3\xa4;\xff\"", "x") END, "(f|=\xc3\xa4;\xff|)x.#");
	FORM(PART("name=\"f\"; filename=\"a\"; filename*=UTF-8''%c3%a4%20b", "x") END, "(f|=\xc3\xa4 b|)x.#");
	FORM(PART("filename*=utf-8'en'%e2%82%ac; filename=\"a\"; name=f", "x") END,
	     "(f|=\xe2\x82\xac|)x.#");
	FORM(PART("name=\"f\"; filename=\"a\"; filename*=latin1''%e4", "x") END, "(f|=a|)x.#");
	FORM(PART("name=\"f\"; filename=\"a\"; filename*=UTF-8''%zz", "x") END, "(f|=a|)x.#");
	FORM(PART("name=\"f\"; filename*=UTF-8''..%2fb", "x") END, "(f|=b|)x.#");
	FORM(PART("NAME=f ;  FileName=x", "x") END, "(f|=x|)x.#");
}

static void test_boundaries(void)
{
	check(__LINE__, "multipart/form-data", "", "!400");
	check(__LINE__, "multipart/mixed; boundary=B", "", "!400");
	check(__LINE__, "multipart/form-data; boundary=", "", "!400");
	check(__LINE__, "multipart/form-data; boundary=\"\"", "", "!400");
	check(__LINE__, "multipart/form-data; boundary=\"B \"", "", "!400");
	check(__LINE__, "multipart/form-data; boundary=\"a\tb\"", "", "!400");
	check(__LINE__, "multipart/form-data; boundary=a{b", "", "!400");
	check(__LINE__, "multipart/form-data; x=1", "", "!400");
	check(__LINE__, "multipart/form-data; x; boundary=B", "", "!400");
	check(__LINE__, "multipart/form-data; boundary="
			"12345678901234567890123456789012345678901234567890123456789012345678901",
	      "", "!400");
	check(__LINE__, "Multipart/Form-Data; x=y; Boundary=\"a b\"", "--a b--", "#");
	check(__LINE__, "multipart/form-data; x=1; boundary=\"a\\,b\"", "--a,b--", "#");
	check(__LINE__, "multipart/form-data; boundary="
			"1234567890123456789012345678901234567890123456789012345678901234567890",
	      "--1234567890123456789012345678901234567890123456789012345678901234567890--", "#");
}

static void test_bound(void)
{
	struct buf bytes = BUF_INIT, got = BUF_INIT;

	buf_adds(&bytes, "--B\r\n");
	while (bytes.len < 2 * MULTIPART_HEAD_BYTES)
		buf_adds(&bytes, "A: b\r\n");
	run(&got, TYPE, buf_str(&bytes), 100);
	CHECK(str_eq(buf_str(&got), STR("!431")));
	buf_clear(&bytes);
	buf_clear(&got);
}

int main(void)
{
	test_bodies();
	test_refused();
	test_names();
	test_boundaries();
	test_bound();
	return UNIT_RESULT();
}
