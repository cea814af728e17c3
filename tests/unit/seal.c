/* Sealed packets: only whole, unchanged ones of a known key open; key files are strict. */
#include "unit.h"

#include "seal.h"

#define OLD "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define NEW "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

static const uint8_t nonce[SEAL_NONCE_BYTES] = { 7 };

static struct seal_keys keys_of(const char *text)
{
	struct seal_keys keys = SEAL_KEYS_INIT;

	CHECK(seal_keys_parse(str_of(text), &keys, NULL) == 0);
	return keys;
}

static void test_key_files(void)
{
	struct seal_keys keys = SEAL_KEYS_INIT;
	struct err err = ERR_INIT;

	CHECK(seal_keys_parse(STR("# new first\n" NEW "\r\n\n  " OLD "  \n"), &keys, &err) == 0);
	CHECK(keys.count == 2 && keys.list[0].bytes[0] == 0xff && keys.list[1].bytes[1] == 0x11);
	CHECK(keys.list[0].group != keys.list[1].group && keys.list[0].group != 0);
	CHECK(seal_keys_parse(STR(""), &keys, &err) == -1);
	CHECK(seal_keys_parse(STR("# none\n"), &keys, &err) == -1);
	CHECK(seal_keys_parse(STR(OLD "0\n"), &keys, &err) == -1);
	CHECK(seal_keys_parse(STR("x" NEW), &keys, &err) == -1);
	CHECK(seal_keys_parse(STR(OLD "\n" OLD "\n" OLD), &keys, &err) == -1);
	CHECK(err.kind == ERR_INVALID && strstr(err.text, "0011") == NULL);	/* keys are not told */
	CHECK(keys.count == 2);
}

static void test_packets(void)
{
	struct seal_keys keys = keys_of(OLD), other = keys_of(NEW);
	uint8_t packet[WIRE_BYTES], spoiled[WIRE_BYTES + 1] = { 0 };
	struct sealed got;
	size_t n = seal_close(&keys, 1, nonce, STR("hello"), packet);

	CHECK(seal_open(&keys, (struct str){ (char *)packet, n }, &got) == 0);
	CHECK(got.protocol == 1);
	CHECK(str_eq((struct str){ got.plain, got.n }, STR("hello")));
	CHECK(seal_open(&other, (struct str){ (char *)packet, n }, &got) == -1);
	for (size_t i = 0; i < n; i++) {
		memcpy(spoiled, packet, n);
		spoiled[i] ^= 1;
		CHECK(seal_open(&keys, (struct str){ (char *)spoiled, n }, &got) == -1);
		CHECK(seal_open(&keys, (struct str){ (char *)packet, i }, &got) == -1);
	}
	memcpy(spoiled, packet, n);
	for (size_t longer = n + 1; longer <= sizeof spoiled; longer++)
		CHECK(seal_open(&keys, (struct str){ (char *)spoiled, longer }, &got) == -1);
}

static void test_longest(void)
{
	struct seal_keys keys = keys_of(OLD);
	static char plain[WIRE_PLAIN_BYTES];
	uint8_t packet[WIRE_BYTES];
	struct sealed got;
	size_t n = seal_close(&keys, 9, nonce, (struct str){ plain, sizeof plain }, packet);

	CHECK(n == WIRE_BYTES);
	CHECK(seal_open(&keys, (struct str){ (char *)packet, n }, &got) == 0);
	CHECK(got.n == sizeof plain && got.protocol == 9);
}

/* A key is changed node by node: first both open, then the new one seals, then the old one goes. */
static void test_change(void)
{
	struct seal_keys before = keys_of(OLD), first = keys_of(OLD "\n" NEW),
			 second = keys_of(NEW "\n" OLD), after = keys_of(NEW);
	const struct seal_keys *steps[] = { &before, &first, &second, &after };
	uint8_t packet[WIRE_BYTES];
	struct sealed got;

	for (int i = 0; i < 4; i++) {
		size_t n = seal_close(steps[i], 1, nonce, STR("x"), packet);

		for (int k = i - 1; k <= i + 1; k++)
			if (k >= 0 && k < 4)
				CHECK(seal_open(steps[k], (struct str){ (char *)packet, n }, &got) == 0);
	}
}

/* Of the same words no two packets are the same. */
static void test_fresh(void)
{
	struct seal_keys keys = keys_of(OLD);
	struct buf a = BUF_INIT, b = BUF_INIT;
	struct sealed got;

	seal_message(&keys, STR("hello"), &a);
	seal_message(&keys, STR("hello"), &b);
	CHECK(a.len == b.len && !str_eq(buf_str(&a), buf_str(&b)));
	CHECK(memcmp(a.data + 4, b.data + 4, SEAL_NONCE_BYTES) != 0);
	CHECK(seal_open(&keys, buf_str(&a), &got) == 0 && got.protocol == MEMBER_PROTOCOL);
	CHECK(str_eq((struct str){ got.plain, got.n }, STR("hello")));
	buf_clear(&a);
	buf_clear(&b);
}

int main(void)
{
	test_key_files();
	test_packets();
	test_longest();
	test_change();
	test_fresh();
	return UNIT_RESULT();
}
