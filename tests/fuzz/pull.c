/*
 * Any header a holder may answer with, in mid-pull: status, ETag and
 * Content-Range, a line each, then body.  What is taken never exceeds the
 * content, and is taken only under the version's own entity tag, or in a coding
 * only under one that goes on behind a semicolon.
 */
#include "pull.h"

#include <stdlib.h>

#define SIZE 1000
#define HAVE 400
#define TAG STR("\"19700101T000000.000000001Z-0000000000000002-3\"")

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void begin(struct pull *p)
{
	struct record record = { .version = { 1, 2, 3 }, .size = SIZE };
	struct pull_ask ask;
	size_t drop;

	pull_begin(p, &record);
	pull_add(p, 1, false);
	pull_add(p, 2, false);
	if (pull_next(p, &ask) != PULL_ASK || pull_body(p, HAVE, &drop, NULL) < 0 || drop != 0)
		abort();
	pull_end(p, &(struct err){ .kind = ERR_AWAY });
	if (pull_next(p, &ask) != PULL_ASK || ask.offset != HAVE || ask.node != 2)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str rest = { .s = (const char *)data, .n = n }, line, etag, range;
	uint64_t status, before;
	struct pull_ask ask;
	struct err err = ERR_INIT;
	struct pull p;
	size_t drop;

	if (!str_cut(&rest, '\n', &line) || str_u64(line, 999, &status) < 0 ||
	    !str_cut(&rest, '\n', &etag) || !str_cut(&rest, '\n', &range))
		return 0;
	begin(&p);
	if (pull_head_coded(&p, etag, &err) == 0 &&
	    (etag.n <= TAG.n || memcmp(etag.s, TAG.s, TAG.n - 1) != 0 || etag.s[TAG.n - 1] != ';' || p.skip != HAVE))
		abort();
	if (pull_head(&p, (int)status, UINT64_MAX, etag, range, &err) < 0) {
		pull_end(&p, &err);
		return 0;
	}
	if ((status != 200 && status != 206) || p.skip != (status == 200 ? HAVE : 0) ||
	    !str_eq(etag, TAG))
		abort();
	before = p.have + p.skip;
	if (pull_body(&p, rest.n, &drop, &err) == 0 &&
	    (drop > rest.n || p.have > SIZE || p.have < HAVE || before + rest.n < p.have))
		abort();
	pull_end(&p, NULL);
	if (pull_next(&p, &ask) == PULL_ASK && ask.offset > SIZE)
		abort();
	return 0;
}
