/* Any bytes as a file of who is shut out: read whole, or refused with file and line. */
#include "access.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct str text = { (const char *)data, n };
	struct err err = ERR_INIT;
	struct access_deny deny = ACCESS_DENY_INIT;
	const struct access_asker anyone = ACCESS_ANYONE_ASKS;

	if (access_deny_parse(&deny, text, "fuzz", &err) < 0) {
		if (deny.names != NULL || deny.from.list != NULL || strncmp(err.text, "fuzz:", 5) != 0)
			abort();
		return 0;
	}
	if (access_denies(&deny, &anyone))
		abort();
	access_deny_clear(&deny);
	return 0;
}
