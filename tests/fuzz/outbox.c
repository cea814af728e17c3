/*
 * outbox - segments as a crash may leave them
 *
 * Only whole entries are told, each behind the one before; and what is told
 * does not depend on bytes behind it.
 */
#include "outbox.h"
#include "path.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void must(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str segment = { (const char *)bytes, n };
	struct outbox_entry entry, again;
	uint32_t offset = 0;
	bool done, done_again;

	while (outbox_parse(segment, &offset, &entry, &done)) {
		struct str cut = { segment.s, offset };
		uint32_t from = entry.mark.offset;

		must(offset > entry.mark.offset && offset <= n && offset % 8 == 0);
		must(entry.mark.segment != 0 && !version_is_none(entry.version));
		must(entry.path.n > 0 && path_check(entry.path, NULL) == 0);
		must(outbox_parse(cut, &from, &again, &done_again) && from == offset);
		must(str_eq(again.path, entry.path) && done == done_again);
	}
	return 0;
}
