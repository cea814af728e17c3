/* Any bytes as Authorization: credentials without control characters, or refused. */
#include "access.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(struct str text, size_t most)
{
	if (text.n > most)
		abort();
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.s[i] < ' ' || text.s[i] == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct access_credentials by;
	struct buf scratch = BUF_INIT;

	if (access_credentials_parse((struct str){ (const char *)data, n }, &scratch, &by) == 0) {
		if (by.scheme == ACCESS_BASIC) {
			check(by.user, ACCESS_NAME_BYTES);
			check(by.password, ACCESS_PASSWORD_BYTES);
		} else {
			check(by.token, n);
		}
	}
	buf_clear(&scratch);
	return 0;
}
