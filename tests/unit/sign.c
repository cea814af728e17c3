/* Signed requests: vectors, every part altered, replays, clocks, and a memory that is full. */
#include "unit.h"

#include "sign.h"

#include <stdlib.h>

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define NEW "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#define NOW 1795000000000000000ull
#define SECOND 1000000000ull
#define TEXT(literal) { .s = literal, .n = sizeof(literal) - 1 }	/* a struct str in static data */

static struct sign_keys keys_of(const char *text)
{
	struct seal_keys seal = SEAL_KEYS_INIT;
	struct sign_keys keys = SIGN_KEYS_INIT;

	CHECK(seal_keys_parse(str_of(text), &seal, NULL) == 0);
	sign_keys_derive(&keys, &seal);
	return keys;
}

static const struct sign_part fields[] = {
	{ TEXT("Covey-To"), TEXT("7f3a9c2b11d0e4f5") },
	{ TEXT("Range"), TEXT("bytes=7-") },
	{ TEXT("covey-epoch"), TEXT("12") },
	{ TEXT("Accept"), TEXT("text/plain") },
};
static const struct sign_request request = {
	.method = TEXT("GET"), .target = TEXT("/docs/a%20b?version=x"),
	.fields = fields, .field_count = 4,
};

/* A nonce per number. */
static const char *make(char to[SIGN_TEXT], const struct sign_keys *keys,
			const struct sign_request *r, uint64_t time, unsigned number)
{
	uint8_t nonce[SIGN_NONCE_BYTES] = { 0 };

	memcpy(nonce, &number, sizeof number);
	return sign_make(to, keys, r, time, nonce);
}

static enum sign_verdict check(struct sign_memory *m, const struct sign_keys *keys,
			       const struct sign_request *r, const char *text, uint64_t now)
{
	return sign_check(m, keys, r, str_of(text), now);
}

/* Computed with Python's hashlib.blake2b from the comment in sign.h alone. */
static void test_vectors(void)
{
	struct sign_keys keys = keys_of(KEY);
	struct sign_request bare = { .method = STR("POST"), .target = STR("/.covey/msg?to=sync") };
	uint8_t nonce[SIGN_NONCE_BYTES];
	char text[SIGN_TEXT];

	for (uint8_t i = 0; i < sizeof nonce; i++)
		nonce[i] = i;
	CHECK(strcmp(sign_make(text, &keys, &request, NOW, nonce),
		     "v1 1795000000000000000 000102030405060708090a0b0c0d0e0f "
		     "b7414ab0a14235ac02b590b32d1b0a7d98cd08a7dce41fc9ed36318a8d9e62fb") == 0);
	CHECK(strcmp(sign_make(text, &keys, &bare, 1, nonce),
		     "v1 1 000102030405060708090a0b0c0d0e0f "
		     "084cbd3260cab9ee9956e9a8ddf5bb89fa7bbb8e23d871c420e89f7e715796c5") == 0);
}

/* Order and case of the fields do not matter, nor do those that are not covered. */
static void test_same_request(void)
{
	struct sign_part other[] = { { STR("COVEY-EPOCH"), STR("12") }, { STR("range"), STR("bytes=7-") },
				     { STR("covey-to"), STR("7f3a9c2b11d0e4f5") },
				     { STR("Covey-Signature"), STR("v1") }, { STR("Host"), STR("b") } };
	struct sign_request same = request;
	struct sign_memory m = SIGN_MEMORY_INIT;
	struct sign_keys keys = keys_of(KEY);
	char text[SIGN_TEXT];

	same.fields = other;
	same.field_count = 5;
	CHECK(check(&m, &keys, &same, make(text, &keys, &request, NOW, 1), NOW) == SIGN_OK);
	sign_memory_clear(&m);
}

static void test_altered_request(void)
{
	struct sign_memory m = SIGN_MEMORY_INIT;
	struct sign_keys keys = keys_of(KEY);
	struct sign_part changed[SIGN_FIELDS_MAX + 1];
	struct sign_request r = request;
	char text[SIGN_TEXT];

	make(text, &keys, &request, NOW, 1);
	r.method = STR("PUT");
	CHECK(check(&m, &keys, &r, text, NOW) == SIGN_FORGED);
	r = request;
	r.target = STR("/docs/a%20b?version=y");
	CHECK(check(&m, &keys, &r, text, NOW) == SIGN_FORGED);
	for (size_t i = 0; i < 3; i++) {
		memcpy(changed, fields, sizeof fields);
		r = request;
		r.fields = changed;
		changed[i].value.n--;
		CHECK(check(&m, &keys, &r, text, NOW) == SIGN_FORGED);
		changed[i] = fields[3];		/* it is missing */
		CHECK(check(&m, &keys, &r, text, NOW) == SIGN_FORGED);
	}
	for (size_t i = 0; i <= SIGN_FIELDS_MAX; i++)
		changed[i] = (struct sign_part){ STR("Covey-X"), STR("1") };
	r.fields = changed;
	for (r.field_count = 0; r.field_count <= SIGN_FIELDS_MAX + 1; r.field_count++)
		CHECK(check(&m, &keys, &r, text, NOW) == SIGN_FORGED);
	CHECK(check(&m, &keys, &request, text, NOW) == SIGN_OK);
	sign_memory_clear(&m);
}

/* What moves from one part to its neighbour is another request. */
static void test_boundaries(void)
{
	static const struct sign_part a[] = { { TEXT("Covey-A"), TEXT("bc") } };
	static const struct sign_part b[] = { { TEXT("Covey-Ab"), TEXT("c") } };
	struct sign_request x = { STR("PUT"), STR("/ab"), a, 1 }, y = { STR("PUT"), STR("/ab"), b, 1 };
	struct sign_memory m = SIGN_MEMORY_INIT;
	struct sign_keys keys = keys_of(KEY);
	char text[SIGN_TEXT];

	make(text, &keys, &x, NOW, 1);
	CHECK(check(&m, &keys, &y, text, NOW) == SIGN_FORGED);
	x.method = STR("PU");
	x.target = STR("T/ab");
	CHECK(check(&m, &keys, &x, text, NOW) == SIGN_FORGED);
	sign_memory_clear(&m);
}

static void test_altered_text(void)
{
	static const char *const bad[] = { "", "v1", "v1 1", "v2 1 00 00", "v1 -1 00 00", " v1 1 00 00" };
	struct sign_memory m = SIGN_MEMORY_INIT;
	struct sign_keys keys = keys_of(KEY);
	char text[SIGN_TEXT + 1];
	size_t n;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		CHECK(check(&m, &keys, &request, bad[i], NOW) == SIGN_FORGED);
	make(text, &keys, &request, NOW, 1);
	n = strlen(text);
	for (size_t i = 0; i < n; i++) {
		text[i] ^= 1;
		CHECK(check(&m, &keys, &request, text, NOW) == SIGN_FORGED);
		text[i] ^= 1;
		CHECK(sign_check(&m, &keys, &request, (struct str){ text, i }, NOW) == SIGN_FORGED);
	}
	memcpy(text + n, " ", 2);
	CHECK(check(&m, &keys, &request, text, NOW) == SIGN_FORGED);
	CHECK(sign_check(&m, &keys, &request, (struct str){ text, n }, NOW) == SIGN_OK);
	sign_memory_clear(&m);
}

static void test_change_of_keys(void)
{
	struct sign_keys before = keys_of(KEY), first = keys_of(KEY "\n" NEW),
			 second = keys_of(NEW "\n" KEY), after = keys_of(NEW);
	const struct sign_keys *steps[] = { &before, &first, &second, &after };
	struct sign_memory m = SIGN_MEMORY_INIT;
	char text[SIGN_TEXT];

	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < 4; k++)
			CHECK(check(&m, steps[k], &request, make(text, steps[i], &request, NOW, i * 4 + k), NOW) ==
			      (i / 2 == k / 2 || k == 1 || k == 2 ? SIGN_OK : SIGN_FORGED));
	sign_memory_clear(&m);
}

static void test_clocks(void)
{
	struct sign_memory m = SIGN_MEMORY_INIT;
	struct sign_keys keys = keys_of(KEY);
	char text[SIGN_TEXT];

	make(text, &keys, &request, NOW, 1);
	CHECK(check(&m, &keys, &request, text, NOW + SIGN_WINDOW_NS + 1) == SIGN_OLD);
	CHECK(check(&m, &keys, &request, text, NOW - SIGN_WINDOW_NS - 1) == SIGN_OLD);
	CHECK(check(&m, &keys, &request, text, NOW + 3600 * SECOND) == SIGN_OLD);
	CHECK(check(&m, &keys, &request, text, NOW + SIGN_WINDOW_NS) == SIGN_OK);
	CHECK(check(&m, &keys, &request, make(text, &keys, &request, NOW, 2), NOW - SIGN_WINDOW_NS) == SIGN_OK);
	sign_memory_since(&m, NOW + 10);
	CHECK(check(&m, &keys, &request, make(text, &keys, &request, NOW + 10, 3), NOW + 20) == SIGN_OLD);
	CHECK(check(&m, &keys, &request, make(text, &keys, &request, NOW + 11, 3), NOW + 20) == SIGN_OK);
	/* set back below the floor: it is the floor that is wrong */
	CHECK(check(&m, &keys, &request, make(text, &keys, &request, NOW - 3600 * SECOND, 4),
		    NOW - 3600 * SECOND) == SIGN_OK);
	sign_memory_clear(&m);
}

/* Replayed at any later moment, with others in between: never accepted again. */
static void test_replays(void)
{
	struct sign_memory m = SIGN_MEMORY_INIT;
	struct sign_keys keys = keys_of(KEY);
	char first[SIGN_TEXT], text[SIGN_TEXT];
	uint64_t now = NOW;

	/* signed by the fastest clock there may be */
	make(first, &keys, &request, NOW + SIGN_WINDOW_NS, 0);
	CHECK(check(&m, &keys, &request, first, now) == SIGN_OK);
	for (unsigned i = 1; i < 4000; i++) {
		now += SECOND / 10;
		make(text, &keys, &request, now, i);
		CHECK(check(&m, &keys, &request, text, now) == SIGN_OK);
		CHECK(check(&m, &keys, &request, text, now) == SIGN_REPLAYED);
		CHECK(check(&m, &keys, &request, first, now) != SIGN_OK);
	}
	CHECK(m.now.count + m.before.count < 4000);	/* what cannot be replayed was forgotten */
	sign_memory_clear(&m);
}

/* More at once than are remembered: none is accepted twice, and new ones always are. */
static void test_full_memory(void)
{
	enum { MANY = 3 * SIGN_REMEMBERED_MAX, STEP = 4099 };
	struct sign_request r = { .method = STR("GET"), .target = STR("/a") };
	struct sign_memory m = SIGN_MEMORY_INIT;
	struct sign_keys keys = keys_of(KEY);
	char text[SIGN_TEXT];
	unsigned refused = 0, twice = 0;

	for (unsigned i = 1; i <= MANY; i++)
		refused += check(&m, &keys, &r, make(text, &keys, &r, NOW + i, i), NOW + i) != SIGN_OK;
	for (unsigned i = 1; i <= MANY; i += STEP)
		twice += check(&m, &keys, &r, make(text, &keys, &r, NOW + i, i), NOW + MANY) == SIGN_OK;
	CHECK(refused == 0 && twice == 0);
	CHECK(m.now.count <= SIGN_REMEMBERED_MAX && m.before.count <= SIGN_REMEMBERED_MAX);
	sign_memory_clear(&m);
}

int main(void)
{
	test_vectors();
	test_same_request();
	test_altered_request();
	test_boundaries();
	test_altered_text();
	test_change_of_keys();
	test_clocks();
	test_replays();
	test_full_memory();
	return UNIT_RESULT();
}
