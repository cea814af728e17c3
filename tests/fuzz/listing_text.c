/* Any bytes as lines of a peer's listing: what is taken is spelled in the one way there is. */
#include "listing_text.h"

#include "path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static void same(const struct buf *again, struct str line)
{
	expect(again->len == line.n + 1 && memcmp(again->data, line.s, line.n) == 0 &&
	       again->data[line.n] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str rest = { (const char *)data, n }, line;
	struct buf scratch = BUF_INIT, again = BUF_INIT;
	struct listing_row row;
	struct history_row version;

	while (n > 0 && str_cut(&rest, '\n', &line)) {
		if (listing_text_parse_row(line, &scratch, &row, NULL) == 0) {
			expect(row.name.n > 0 && row.name.n <= PATH_COMPONENT_BYTES);
			expect(!memchr(row.name.s, '/', row.name.n));
			buf_reset(&again);
			listing_text_row(&again, &row);
			same(&again, line);
		}
		if (listing_text_parse_version(line, &version, NULL) == 0) {
			buf_reset(&again);
			listing_text_version(&again, &version);
			same(&again, line);
		}
	}
	buf_clear(&scratch);
	buf_clear(&again);
	return 0;
}
