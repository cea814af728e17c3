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
	.sender = 0x1122334455667788, .receiver = 9, .method = TEXT("GET"), .target = TEXT("/docs/a%20b?version=x"),
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
	struct sign_asker asker;

	return sign_check(m, keys, r, str_of(text), now, &asker);
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
		     "v2 1122334455667788 0000000000000009 1795000000000000000 000102030405060708090a0b0c0d0e0f "
		     "e77f530ee87c8b0ac3403b8d58315a1ed669505c043dadcc47f9fea41bd57d79") == 0);
	CHECK(strcmp(sign_make(text, &keys, &bare, 1, nonce),
		     "v2 0000000000000000 0000000000000000 1 000102030405060708090a0b0c0d0e0f "
		     "bf4b7ff5eb3cb96d870df0cb664a64aca43de991e191abdc915d41a1212e0062") == 0);
}

/* Order and case of the fields do not matter, nor do those that are not covered. */
static void test_same_request(void)
{
	struct sign_part other[] = { { STR("COVEY-EPOCH"), STR("12") }, { STR("range"), STR("bytes=7-") },
				     { STR("covey-to"), STR("7f3a9c2b11d0e4f5") },
				     { STR("Covey-Signature"), STR("v2") }, { STR("Host"), STR("b") } };
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
	struct sign_request x = { 1, 2, STR("PUT"), STR("/ab"), a, 1 }, y = { 1, 2, STR("PUT"), STR("/ab"), b, 1 };
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
	static const char *const bad[] = { "", "v2", "v2 1", "v1 1 00 00", "v2 1 9 -1 00 00",
					 " v2 1 9 1 00 00", "v2 1 9 1 00 00" };
	struct sign_memory m = SIGN_MEMORY_INIT;
	struct sign_keys keys = keys_of(KEY);
	struct sign_asker asker;
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
		CHECK(sign_check(&m, &keys, &request, (struct str){ text, i }, NOW, &asker) == SIGN_FORGED);
	}
	memcpy(text + n, " ", 2);
	CHECK(check(&m, &keys, &request, text, NOW) == SIGN_FORGED);
	CHECK(sign_check(&m, &keys, &request, (struct str){ text, n }, NOW, &asker) == SIGN_OK);
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
	/* What was accepted before the keys changed is not accepted again. */
	for (unsigned i = 0; i < 4; i++)
		CHECK(check(&m, steps[i], &request, make(text, steps[i], &request, NOW, i * 4 + i), NOW) == SIGN_REPLAYED);
	CHECK(check(&m, &second, &request, make(text, &before, &request, NOW, 1), NOW) == SIGN_REPLAYED);
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

/* Good at its receiver alone, who learns whose it is and what its answer repeats. */
static void test_receiver(void)
{
	struct sign_memory m = SIGN_MEMORY_INIT;
	struct sign_keys keys = keys_of(KEY);
	struct sign_request other = request;
	const uint8_t nonce[SIGN_NONCE_BYTES] = { 5 };
	struct sign_asker asker = { .id = 0 };
	char text[SIGN_TEXT];

	sign_make(text, &keys, &request, NOW, nonce);
	other.receiver = 10;
	other.sender = 0;
	CHECK(sign_check(&m, &keys, &other, str_of(text), NOW, &asker) == SIGN_ELSEWHERE);
	CHECK(asker.id == 0);
	other.receiver = 9;
	CHECK(sign_check(&m, &keys, &other, str_of(text), NOW, &asker) == SIGN_OK);
	CHECK(asker.id == request.sender && memcmp(asker.nonce, nonce, sizeof nonce) == 0);
	sign_memory_clear(&m);
}

/* An answer is by who was asked, for who asked, to this request, with this status and these fields. */
static void test_answer(void)
{
	struct sign_part tag = { STR("ETag"), STR("x") };
	struct sign_request answer = { .sender = 9, .receiver = 4, .method = STR(SIGN_ANSWER),
				       .target = STR("200"), .fields = &tag, .field_count = 1 };
	struct sign_keys keys = keys_of(KEY), two = keys_of(NEW "\n" KEY), others = keys_of(NEW);
	uint8_t nonce[SIGN_NONCE_BYTES] = { 5 };
	struct sign_request wrong = answer;
	char text[SIGN_TEXT];

	sign_make(text, &keys, &answer, 1, nonce);	/* whatever its clock says */
	CHECK(sign_check_answer(&keys, &answer, str_of(text), nonce));
	CHECK(sign_check_answer(&two, &answer, str_of(text), nonce));
	CHECK(!sign_check_answer(&others, &answer, str_of(text), nonce));
	CHECK(!sign_check_answer(&keys, &answer, STR(""), nonce));
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "content-encoding", "Accept-Encoding", "Available-Dictionary" };
		struct sign_part more[] = { tag, { str_of(names[i]), STR("dcz") } };

		wrong.fields = more;
		wrong.field_count = 2;
		CHECK(!sign_check_answer(&keys, &wrong, str_of(text), nonce));
	}
	wrong = answer;
	wrong.sender = 8;
	CHECK(!sign_check_answer(&keys, &wrong, str_of(text), nonce));
	wrong = answer;
	wrong.receiver = 5;
	CHECK(!sign_check_answer(&keys, &wrong, str_of(text), nonce));
	wrong = answer;
	wrong.target = STR("404");
	CHECK(!sign_check_answer(&keys, &wrong, str_of(text), nonce));
	wrong = answer;
	wrong.method = STR(SIGN_ANSWER_TRAILER);
	CHECK(!sign_check_answer(&keys, &wrong, str_of(text), nonce));
	tag.value = STR("y");
	CHECK(!sign_check_answer(&keys, &answer, str_of(text), nonce));
	tag.value = STR("x");
	nonce[15] = 1;
	CHECK(!sign_check_answer(&keys, &answer, str_of(text), nonce));
}

int main(void)
{
	test_vectors();
	test_same_request();
	test_altered_request();
	test_boundaries();
	test_altered_text();
	test_receiver();
	test_answer();
	test_change_of_keys();
	test_clocks();
	test_replays();
	test_full_memory();
	return UNIT_RESULT();
}
