/* Any bytes as a file of tokens: read whole, or refused with file and line. */
#include "access.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct str text = { (const char *)data, n };
	struct err err = ERR_INIT;
	struct access_tokens tokens = ACCESS_TOKENS_INIT;

	if (access_tokens_parse(&tokens, text, "fuzz", &err) < 0) {
		if (tokens.list != NULL || strncmp(err.text, "fuzz:", 5) != 0)
			abort();
		return 0;
	}
	for (size_t i = 0; i < tokens.count; i++) {
		struct buf day = BUF_INIT;
		uint64_t expires = 1;

		access_expiry_format(&day, tokens.list[i].expires);
		if (access_expiry_parse(buf_str(&day), &expires) < 0 || expires != tokens.list[i].expires)
			abort();
		buf_clear(&day);
	}
	access_tokens_find(&tokens, text, 0);
	access_tokens_clear(&tokens);
	return 0;
}
