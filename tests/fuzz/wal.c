/*
 * wal - segments of the log as a crash may leave them
 *
 * Only whole entries are told, each behind the one before; and what is told
 * does not depend on bytes behind it.
 */
#include "path.h"
#include "wal.h"

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
	struct wal_entry entry, again;
	uint32_t offset = 0;

	while (wal_parse(segment, &offset, &entry)) {
		struct str cut = { segment.s, offset };
		uint32_t from = entry.offset;

		must(offset > entry.offset && offset <= n && offset % 8 == 0);
		must(entry.path.n > 0 && path_check(entry.path, NULL) == 0);
		must(!version_is_none(entry.record.version));
		must(entry.body.n == (entry.pointer ? 0 : entry.record.size));
		must(entry.body.s + entry.body.n <= segment.s + offset);
		must(wal_parse(cut, &from, &again) && from == offset);
		must(str_eq(again.path, entry.path) && again.is_void == entry.is_void);
	}
	return 0;
}
