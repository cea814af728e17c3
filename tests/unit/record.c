/* record: the 64 bytes and the text, there and back, and what is refused */
#include "record.h"
#include "unit.h"

static const struct record example = {
	.version = { UINT64_C(1795345644123456001), UINT64_C(0x7f3a9c2b11d0e4f5), 3 },
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

static void binary(void)
{
	struct record all[] = { example, tombstone(), example };
	uint8_t bytes[RECORD_BYTES];

	all[2] = (struct record){ .version = example.version, .flags = RECORD_DIRECTORY };
	for (size_t i = 0; i < 3; i++) {
		struct record back;

		record_pack(bytes, &all[i]);
		CHECK(record_unpack(bytes, sizeof bytes, &back, NULL) == 0);
		CHECK(record_eq(&back, &all[i]));
	}
	record_pack(bytes, &example);
	CHECK(bytes[0] == RECORD_FORMAT && bytes[1] == RECORD_BLIND && bytes[3] == 3);
	CHECK(bytes[19] == 0xf5 && bytes[26] == 4 && bytes[27] == 0xd2);
	CHECK(bytes[28] == 1 && bytes[31] == 0xab && bytes[63] == 99);
}

static void refuses(const struct record *r, size_t at, uint8_t value, enum err_kind kind)
{
	uint8_t bytes[RECORD_BYTES];
	struct record back = { .size = 77 };
	struct err err = ERR_INIT;

	record_pack(bytes, r);
	bytes[at] = value;
	CHECK(record_unpack(bytes, sizeof bytes, &back, &err) < 0);
	CHECK(err.kind == kind);
	CHECK(back.size == 77);
}

static void bad_binary(void)
{
	struct record gone = tombstone(), none = example, back;
	uint8_t bytes[RECORD_BYTES + 1] = { 0 };

	none.version = VERSION_NONE;
	refuses(&example, 0, 2, ERR_UNSUPPORTED);
	refuses(&example, 1, 8, ERR_UNSUPPORTED);
	refuses(&example, 1, 0x80, ERR_UNSUPPORTED);
	refuses(&gone, 27, 1, ERR_CORRUPT);
	refuses(&gone, 40, 1, ERR_CORRUPT);
	refuses(&none, 0, RECORD_FORMAT, ERR_CORRUPT);
	record_pack(bytes, &example);
	CHECK(record_unpack(bytes, RECORD_BYTES - 1, &back, NULL) < 0);
	CHECK(record_unpack(bytes, RECORD_BYTES + 1, &back, NULL) < 0);
	CHECK(record_unpack(bytes, 0, &back, NULL) < 0);
}

static void text(void)
{
	static const char expected[] =
		"20261122T110724.123456001Z-7f3a9c2b11d0e4f5-3 b 1234 "
		"010203ab00000000000000000000000000000000000000000000000000000000 99";
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
	CHECK(str_eq(buf_str(&buf), STR("20261122T110724.123456001Z-7f3a9c2b11d0e4f5-3 x 0 - 0")));
	CHECK(record_parse(buf_str(&buf), &back, &type, NULL) == 0 && record_eq(&back, &gone));
	buf_clear(&buf);
}

static void bad_text(void)
{
#define V "20261122T110724.123456001Z-7f3a9c2b11d0e4f5-3"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
	static const char *const bad[] = {
		"", V, V " - 1", V " - 1 " ZEROS, V " - 1 - 0", V " x 1 - 0", V " x 0 " ZEROS " 0",
		V " - 01 " ZEROS " 0", V " - 1 " ZEROS " 4294967296", V " bx 0 - 0",
		V " xx 0 - 0", V "  0 - 0", V " - 1 " ZEROS " 0 ", V " - 1 " ZEROS " 0  a/b",
		V " - 1 " ZEROS " 0 a/b ", V " - 1 " ZEROS " 0 a/b\n", V " - 1 0" ZEROS " 0",
		V " q 1 " ZEROS " 0", "x - 1 " ZEROS " 0", V " - -1 " ZEROS " 0",
		V " - 1 A000000000000000000000000000000000000000000000000000000000000000 0",
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
	bad_binary();
	text();
	bad_text();
	types();
	return UNIT_RESULT();
}
