/* Any bytes as a batch of homes and keepers: refused, or exactly what packing it again gives. */
#include "bulk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define GROUP 0x4141414141414141	/* for the fuzzer to guess */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str plain = { (const char *)data, n }, rest, before;
	struct buf out = BUF_INIT;
	struct keep_item item;
	enum keep_state state;
	struct bulk bulk;

	if (bulk_unpack(plain, GROUP, GROUP, &bulk) < 0)
		return 0;
	bulk_pack(&out, &bulk);
	if (!str_eq(buf_str(&out), plain))
		abort();
	for (before = rest = bulk.body; keep_item_next(&rest, &item) == 1; before = rest) {
		buf_reset(&out);
		keep_item_pack(&out, &item);
		if (out.len != before.n - rest.n || memcmp(out.data, before.s, out.len) != 0)
			abort();
	}
	rest = bulk.body;
	while (keep_state_next(&rest, &state) == 1)
		if (rest.n >= bulk.body.n)
			abort();
	buf_clear(&out);
	return 0;
}
