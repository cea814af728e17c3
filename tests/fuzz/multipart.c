/* Any bytes as a form: the same parts, end or refusal however it is cut into pieces. */
#include "multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static void add_part(struct buf *to, const struct multipart *form)
{
	expect(form->filename.len == 0 || !memchr(form->filename.data, '/', form->filename.len));
	buf_addf(to, "\n(%d %zu %zu %zu ", form->has_filename, form->name.len, form->filename.len,
		 form->type.len);
	buf_addstr(to, buf_str(&form->name));
	buf_addstr(to, buf_str(&form->filename));
	buf_addstr(to, buf_str(&form->type));
	buf_addc(to, ')');
}

/* Everything that happened, as one text. */
static void run(struct buf *to, const char *bytes, size_t n, size_t step)
{
	struct multipart form = MULTIPART_INIT;
	struct refusal refusal = { 0, NULL };
	enum multipart_event event = MULTIPART_MORE;
	size_t content = 0;
	struct str piece;

	expect(multipart_start(&form, STR("multipart/form-data; boundary=AB"), &refusal) == 0);
	for (size_t at = 0; at < n && event != MULTIPART_REFUSED; at += step) {
		struct str input = { bytes + at, n - at < step ? n - at : step };

		while ((event = multipart_next(&form, &input, &piece, &refusal)) > MULTIPART_MORE) {
			if (event == MULTIPART_PART)
				add_part(to, &form);
			else if (event == MULTIPART_PART_END)
				buf_adds(to, "\n.");
			else
				buf_addstr(to, piece), content += piece.n;
		}
		expect(event == MULTIPART_REFUSED || input.n == 0);
	}
	expect(content <= n);
	buf_addf(to, "\n%d %d", refusal.status, form.done);
	multipart_clear(&form);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf whole = BUF_INIT, cut = BUF_INIT;

	if (n == 0)
		return 0;
	run(&whole, (const char *)data, n, n);
	for (size_t step = 1; step <= 7; step += 3) {
		buf_reset(&cut);
		run(&cut, (const char *)data, n, step);
		expect(str_eq(buf_str(&cut), buf_str(&whole)));
	}
	buf_clear(&whole);
	buf_clear(&cut);
	return 0;
}
