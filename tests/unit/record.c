/* record: both formats' bytes and the text, there and back, and what is refused */
#include "record.h"
#include "unit.h"

#define TIME UINT64_C(1795345644123456001)

static const struct record example = {
	.version = { TIME, UINT64_C(0x7f3a9c2b11d0e4f5), 0 },
	.flags = RECORD_BLIND,
	.size = 1234,
	.sha256 = { 1, 2, 3, 0xab },
	.mtime = 99,
};

static struct record tombstone(void)
{
	struct record r = { .version = example.version, .flags = RECORD_DELETED };

	return r;
}

static struct record child(void)
{
	struct record r = example;

	r.version.n = VERSION_N_MAX;
	r.made = TIME + 77;
	return r;
}

/* Unpacked, and read off the front of more. */
static bool comes_back(const struct record *r, size_t expected)
{
	uint8_t bytes[RECORD_BYTES_MAX + 9] = { 0 };
	size_t n = record_pack(bytes, r);
	struct record back;

	CHECK(n == expected && record_length((struct str){ (char *)bytes, sizeof bytes }) == n);
	CHECK(record_length((struct str){ (char *)bytes, n - 1 }) == 0);
	return record_unpack(bytes, n, &back, NULL) == 0 && record_eq(&back, r);
}

static void binary(void)
{
	struct record gone = tombstone(), younger = child(), directory = gone;
	uint8_t bytes[RECORD_BYTES_MAX];

	directory.flags = RECORD_DIRECTORY;
	CHECK(comes_back(&example, RECORD_BYTES) && comes_back(&gone, RECORD_BYTES));
	CHECK(comes_back(&directory, RECORD_BYTES) && comes_back(&younger, RECORD_BYTES_MAX));
	gone.version.n = 1;
	CHECK(comes_back(&gone, RECORD_BYTES_MAX));
	CHECK(record_made(&example) == TIME && record_made(&younger) == TIME + 77);
	CHECK(record_made(&gone) == TIME);

	record_pack(bytes, &example);
	CHECK(bytes[0] == RECORD_FORMAT && bytes[1] == RECORD_BLIND && bytes[2] == 0);
	CHECK(bytes[19] == 0xf5 && bytes[26] == 4 && bytes[27] == 0xd2);
	CHECK(bytes[28] == 1 && bytes[31] == 0xab && bytes[63] == 99);
	record_pack(bytes, &younger);
	CHECK(bytes[2] == 1 && bytes[71] == (uint8_t)(TIME + 77));
	CHECK(bytes[73] == 0 && bytes[74] == 0xff && bytes[79] == 0xff);
}

/* Whatever a later release may mean by them. */
static void flags(void)
{
	for (unsigned flag = 1; flag < 256; flag *= 2) {
		struct record r = flag & (RECORD_DELETED | RECORD_DIRECTORY) ? tombstone() : example;
		struct buf text = BUF_INIT;
		struct record back;
		struct str type;

		r.flags = (uint8_t)flag;
		CHECK(comes_back(&r, RECORD_BYTES));
		record_format(&text, &r, (struct str)STR_INIT);
		CHECK(record_parse(buf_str(&text), &back, &type, NULL) == 0);
		CHECK(record_eq(&back, &r));
		buf_clear(&text);
	}
}

/* What the release before this one wrote. */
static void format_1(void)
{
	struct record back, expected = example;
	uint8_t bytes[RECORD_BYTES_MAX] = { 0 };

	record_pack(bytes, &example);
	bytes[0] = 1;
	CHECK(record_length((struct str){ (char *)bytes, sizeof bytes }) == RECORD_BYTES);
	CHECK(record_unpack(bytes, RECORD_BYTES, &back, NULL) == 0 && record_eq(&back, &example));
	bytes[2] = 1;
	bytes[3] = 3;
	expected.version.n = 0x103;
	CHECK(record_unpack(bytes, RECORD_BYTES, &back, NULL) == 0 && record_eq(&back, &expected));
	CHECK(record_made(&back) == TIME && comes_back(&back, RECORD_BYTES_MAX));
	CHECK(record_unpack(bytes, RECORD_BYTES_MAX, &back, NULL) < 0);
}

static void refuses(const struct record *r, size_t at, uint8_t value, enum err_kind kind)
{
	uint8_t bytes[RECORD_BYTES_MAX];
	struct record back = { .size = 77 };
	struct err err = ERR_INIT;
	size_t n = record_pack(bytes, r);

	bytes[at] = value;
	CHECK(record_unpack(bytes, n, &back, &err) < 0);
	CHECK(err.kind == kind);
	CHECK(back.size == 77);
}

static void bad_binary(void)
{
	struct record gone = tombstone(), none = example, younger = child(), back;
	uint8_t bytes[RECORD_BYTES_MAX] = { 0 };

	none.version = VERSION_NONE;
	refuses(&example, 0, 0, ERR_UNSUPPORTED);
	refuses(&example, 0, 3, ERR_UNSUPPORTED);
	refuses(&example, 2, 1, ERR_CORRUPT);
	refuses(&example, 2, 2, ERR_CORRUPT);
	refuses(&example, 3, 1, ERR_CORRUPT);
	refuses(&gone, 27, 1, ERR_CORRUPT);
	refuses(&gone, 40, 1, ERR_CORRUPT);
	refuses(&none, 0, RECORD_FORMAT, ERR_CORRUPT);
	refuses(&younger, 2, 0, ERR_CORRUPT);
	refuses(&younger, 73, 1, ERR_CORRUPT);	/* n beyond 48 bits */
	younger.made = younger.version.time;
	refuses(&younger, 0, RECORD_FORMAT, ERR_CORRUPT);
	younger.made = 0;
	younger.version.n = 1;
	refuses(&younger, 79, 0, ERR_CORRUPT);
	record_pack(bytes, &example);
	CHECK(record_unpack(bytes, RECORD_BYTES - 1, &back, NULL) < 0);
	CHECK(record_unpack(bytes, RECORD_BYTES + 1, &back, NULL) < 0);
	CHECK(record_unpack(bytes, 0, &back, NULL) < 0);
	CHECK(record_length((struct str)STR_INIT) == 0);
}

#define V "20261122T110724.123456001Z-7f3a9c2b11d0e4f5-0"
#define CHILD "20261122T110724.123456001Z-7f3a9c2b11d0e4f5-7"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static void text(void)
{
	static const char expected[] =
		V " b 1234 010203ab00000000000000000000000000000000000000000000000000000000 99";
	struct str type = STR_INIT;
	struct buf buf = BUF_INIT;
	struct record back, gone = tombstone();

	record_format(&buf, &example, type);
	CHECK(str_eq(buf_str(&buf), str_of(expected)));
	CHECK(record_parse(buf_str(&buf), &back, &type, NULL) == 0);
	CHECK(record_eq(&back, &example) && type.n == 0);

	buf_reset(&buf);
	record_format(&buf, &example, STR("text/html; charset=utf-8"));
	CHECK(record_parse(buf_str(&buf), &back, &type, NULL) == 0);
	CHECK(record_eq(&back, &example) && str_eq(type, STR("text/html; charset=utf-8")));

	buf_reset(&buf);
	record_format(&buf, &gone, (struct str)STR_INIT);
	CHECK(str_eq(buf_str(&buf), STR(V " x 0 - 0")));
	CHECK(record_parse(buf_str(&buf), &back, &type, NULL) == 0 && record_eq(&back, &gone));

	buf_reset(&buf);
	gone.flags = 0xff;
	gone.version.n = 7;
	gone.made = 123;
	record_format(&buf, &gone, (struct str)STR_INIT);
	CHECK(str_eq(buf_str(&buf), STR(CHILD " xdbep567 0 - 0@123")));
	CHECK(record_parse(buf_str(&buf), &back, &type, NULL) == 0 && record_eq(&back, &gone));
	buf_clear(&buf);
}

static void bad_text(void)
{
	static const char *const bad[] = {
		"", V, V " - 1", V " - 1 " ZEROS, V " - 1 - 0", V " x 1 - 0", V " x 0 " ZEROS " 0",
		V " - 01 " ZEROS " 0", V " - 1 " ZEROS " 4294967296", V " bx 0 - 0",
		V " xx 0 - 0", V "  0 - 0", V " - 1 " ZEROS " 0 ", V " - 1 " ZEROS " 0  a/b",
		V " - 1 " ZEROS " 0 a/b ", V " - 1 " ZEROS " 0 a/b\n", V " - 1 0" ZEROS " 0",
		V " q 1 " ZEROS " 0", "x - 1 " ZEROS " 0", V " - -1 " ZEROS " 0",
		V " - 1 A000000000000000000000000000000000000000000000000000000000000000 0",
		V " pe 1 " ZEROS " 0", V " 8 1 " ZEROS " 0", V " - 1 " ZEROS " 0@5",
		CHILD " - 1 " ZEROS " 0@", CHILD " - 1 " ZEROS " 0@0", CHILD " - 1 " ZEROS " 0@05",
		CHILD " - 1 " ZEROS " 0@5@5", CHILD " - 1 " ZEROS " @5", CHILD " - 1 " ZEROS " 0 @5 ",
		CHILD " - 1 " ZEROS " 0@18446744073709551616",
		CHILD " - 1 " ZEROS " 0@1795345644123456001",
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct record back;
		struct str type;
		int status = record_parse(str_of(bad[i]), &back, &type, NULL);

		if (status == 0)
			fprintf(stderr, "taken: \"%s\"\n", bad[i]);
		CHECK(status < 0);
	}
}

static void types(void)
{
	char longest[RECORD_TYPE_MAX + 2];

	memset(longest, 'a', sizeof longest);
	CHECK(record_check_type((struct str){ longest, RECORD_TYPE_MAX }, NULL) == 0);
	CHECK(record_check_type((struct str){ longest, RECORD_TYPE_MAX + 1 }, NULL) < 0);
	CHECK(record_check_type(STR("a\tb"), NULL) < 0);
	CHECK(record_check_type(STR(" a"), NULL) < 0);
	CHECK(record_check_type(STR("a\x7f"), NULL) < 0);
	CHECK(record_check_type(STR("a\xc3\xa4"), NULL) < 0);
}

int main(void)
{
	binary();
	flags();
	format_1();
	bad_binary();
	text();
	bad_text();
	types();
	return UNIT_RESULT();
}
