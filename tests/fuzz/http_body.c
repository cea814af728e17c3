/* Any bytes as a chunked body: the same content, end or refusal however it is cut into pieces. */
#include "body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct outcome {
	struct buf content;
	size_t used;
	int status;		/* of the refusal, or 0 */
	bool done;
};

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static void run(struct outcome *to, const char *bytes, size_t n, size_t step)
{
	static const struct head chunked = { .framing = FRAMING_CHUNKED };
	struct body body = BODY_INIT;
	struct refusal refusal = { 0, NULL };
	struct str piece;
	int r = 0;

	*to = (struct outcome){ .content = BUF_INIT };
	expect(body_start(&body, &chunked, 1 << 20, &refusal) == 0);
	while (!body.done && r >= 0 && to->used < n) {
		struct str input = { bytes + to->used, n - to->used < step ? n - to->used : step };
		size_t before = input.n;

		while ((r = body_next(&body, &input, &piece, &refusal)) > 0)
			buf_addstr(&to->content, piece);
		expect(r < 0 || body.done || input.n == 0);
		to->used += before - input.n;
	}
	expect((r < 0) == (refusal.status != 0));
	expect(body.received == to->content.len && body.received <= 1 << 20);
	to->status = refusal.status;
	to->done = body.done;
	body_clear(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct outcome whole, cut;

	run(&whole, (const char *)data, n, n);
	for (size_t step = 1; step <= 7; step += 3) {
		run(&cut, (const char *)data, n, step);
		expect(cut.status == whole.status && cut.done == whole.done);
		expect(cut.used == whole.used);
		expect(str_eq(buf_str(&cut.content), buf_str(&whole.content)));
		buf_clear(&cut.content);
	}
	buf_clear(&whole.content);
	return 0;
}
