/* digest: the known answers, and base64 of RFC 4648 with nothing else taken */
#include "digest.h"
#include "unit.h"

static void sha256(void)
{
	static const char expected[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	struct digest *digest = digest_new();
	uint8_t sum[32];
	char hex[65];

	digest_add(digest, "a", 1);
	digest_add(digest, "", 0);
	digest_add(digest, "bc", 2);
	digest_end(digest, sum);
	digest_free(digest);
	digest_free(NULL);
	str_to_hex(hex, sum, sizeof sum);
	CHECK(str_eq(str_of(hex), str_of(expected)));
}

static void base64(const char *text, const char *encoded)
{
	struct buf buf = BUF_INIT;
	uint8_t back[8] = { 0 };

	base64_encode(&buf, text, strlen(text));
	buf_adds(&buf, "");
	CHECK(str_eq(buf_str(&buf), str_of(encoded)));
	CHECK(base64_decode(str_of(encoded), back, strlen(text)) == 0);
	CHECK(memcmp(back, text, strlen(text)) == 0);
	CHECK(base64_decode(str_of(encoded), back, strlen(text) + 1) < 0);
	buf_clear(&buf);
}

static void refuses(const char *encoded, size_t n)
{
	uint8_t back[8] = { 7, 7, 7, 7, 7, 7, 7, 7 };

	CHECK(base64_decode(str_of(encoded), back, n) < 0);
	for (size_t i = 0; i < sizeof back; i++)
		CHECK(back[i] == 7);
}

int main(void)
{
	sha256();
	base64("", "");
	base64("f", "Zg==");
	base64("fo", "Zm8=");
	base64("foo", "Zm9v");
	base64("foob", "Zm9vYg==");
	base64("fooba", "Zm9vYmE=");
	base64("foobar", "Zm9vYmFy");
	refuses("Zh==", 1);	/* bits that encoding leaves zero */
	refuses("Zm9=", 2);
	refuses("Zg=", 1);
	refuses("Zg", 1);
	refuses("Zg=a", 1);
	refuses("Z===", 1);
	refuses("Zm9vYm-y", 6);
	refuses("Zm9v Ym=", 5);
	refuses("Zm9vZm==x", 4);
	return UNIT_RESULT();
}
