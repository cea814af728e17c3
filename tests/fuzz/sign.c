/*
 * Any bytes as a signature and its request: it is forged.  The same request
 * signed in earnest is good once, and with any of the bytes around it changed
 * it is not; nor as an answer of another node.
 */
#include "sign.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define NOW 1795000000000000000ull

static void expect(bool condition)
{
	if (!condition)
		abort();
}

/* "signature\nmethod\ntarget\nname\nvalue\nname\nvalue..." */
static struct str take(struct str *rest)
{
	struct str line = STR_INIT;

	return str_cut(rest, '\n', &line) ? line : (struct str)STR_INIT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct sign_keys keys;
	struct seal_keys seal;
	struct str rest = { (const char *)data, n }, text = take(&rest);
	struct sign_part fields[SIGN_FIELDS_MAX + 4];
	struct sign_request r = { .method = take(&rest), .target = take(&rest), .fields = fields };
	const uint8_t nonce[SIGN_NONCE_BYTES] = { n & 0xff };
	struct sign_memory m = SIGN_MEMORY_INIT;
	struct sign_asker asker;
	char right[SIGN_TEXT];
	size_t count = 0;

	if (keys.count == 0) {
		expect(seal_keys_parse(STR(KEY), &seal, NULL) == 0);
		sign_keys_derive(&keys, &seal);
	}
	while (rest.s != NULL && r.field_count < SIGN_FIELDS_MAX + 4) {
		struct str name = take(&rest);

		count += sign_covers(name);
		fields[r.field_count++] = (struct sign_part){ name, take(&rest) };
	}
	expect(sign_check(&m, &keys, &r, text, NOW, &asker) == SIGN_FORGED);
	if (count > SIGN_FIELDS_MAX)
		return 0;
	sign_make(right, &keys, &r, NOW, nonce);
	right[n % strlen(right)] ^= 1;
	expect(sign_check(&m, &keys, &r, str_of(right), NOW, &asker) == SIGN_FORGED);
	right[n % strlen(right)] ^= 1;
	expect(sign_check(&m, &keys, &r, str_of(right), NOW, &asker) == SIGN_OK);
	expect(sign_check(&m, &keys, &r, str_of(right), NOW, &asker) == SIGN_REPLAYED);
	expect(memcmp(asker.nonce, nonce, sizeof nonce) == 0 && asker.id == r.sender);
	expect(sign_check_answer(&keys, &r, str_of(right), nonce));
	expect(!sign_check_answer(&keys, &r, text, nonce));
	r.sender ^= 1;
	expect(!sign_check_answer(&keys, &r, str_of(right), nonce));
	sign_memory_clear(&m);
	return 0;
}
