/* version: text and number map one to one, and both sort alike */
#include "version.h"

#include "chance.h"
#include "unit.h"

static void round_trip(struct version v)
{
	char text[VERSION_TEXT];
	struct version back = VERSION_NONE;

	CHECK(version_parse(str_of(version_format(text, v)), &back, NULL) == 0);
	CHECK(version_cmp(v, back) == 0);
}

static void refuses(const char *text)
{
	struct version v = { 7, 7, 7 };
	struct err err = ERR_INIT;

	if (version_parse(str_of(text), &v, &err) == 0)
		fprintf(stderr, "taken: %s\n", text);
	CHECK(v.time == 7 && v.node == 7 && v.n == 7);
	CHECK(err.kind == ERR_INVALID);
}

static void known(void)
{
	struct version v = { UINT64_C(1795345644123456001), UINT64_C(0x7f3a9c2b11d0e4f5), 0 };
	char text[VERSION_TEXT];

	CHECK(str_eq(str_of(version_format(text, v)),
		     STR("20261122T110724.123456001Z-7f3a9c2b11d0e4f5-0")));
	v = (struct version){ UINT64_C(951782400) * 1000000000, 1, VERSION_N_MAX };
	CHECK(str_eq(str_of(version_format(text, v)),
		     STR("20000229T000000.000000000Z-0000000000000001-281474976710655")));
	round_trip((struct version){ UINT64_MAX, UINT64_MAX, VERSION_N_MAX });
	round_trip((struct version){ 1, 0, 0 });
}

static void spellings(void)
{
	refuses("");
	refuses("-");
	refuses("20261122T110724.123456001Z-7f3a9c2b11d0e4f5");
	refuses("20261122T110724.123456001Z-7f3a9c2b11d0e4f5-");
	refuses("20261122T110724.123456001Z-7F3A9C2B11D0E4F5-0");
	refuses("20261122T110724.123456001Z-7f3a9c2b11d0e4f5-00");
	refuses("20261122T110724.123456001Z-7f3a9c2b11d0e4f5-281474976710656");
	refuses("20261122T110724.123456001Z-7f3a9c2b11d0e4f-0");
	refuses("20261122T110724.12345600Z-7f3a9c2b11d0e4f5-0");
	refuses("20261122t110724.123456001Z-7f3a9c2b11d0e4f5-0");
	refuses("20261122T110724.123456001z-7f3a9c2b11d0e4f5-0");
	refuses("20260230T110724.123456001Z-7f3a9c2b11d0e4f5-0");
	refuses("20261322T110724.123456001Z-7f3a9c2b11d0e4f5-0");
	refuses("20261100T110724.123456001Z-7f3a9c2b11d0e4f5-0");
	refuses("20261122T240724.123456001Z-7f3a9c2b11d0e4f5-0");
	refuses("20261122T116024.123456001Z-7f3a9c2b11d0e4f5-0");
	refuses("20261122T110760.123456001Z-7f3a9c2b11d0e4f5-0");
	refuses("19691122T110724.123456001Z-7f3a9c2b11d0e4f5-0");
	refuses("25541122T110724.123456001Z-7f3a9c2b11d0e4f5-0");
	refuses("99991122T110724.123456001Z-7f3a9c2b11d0e4f5-0");
	refuses("19700101T000000.000000000Z-7f3a9c2b11d0e4f5-0");
	refuses("20261122T110724.123456001Z-7f3a9c2b11d0e4f5-0 ");
	refuses(" 20261122T110724.123456001Z-7f3a9c2b11d0e4f5-0");
	refuses("+0261122T110724.123456001Z-7f3a9c2b11d0e4f5-0");
}

/* Text sorts as versions do, as long as n has one digit. */
static void order(void)
{
	for (int i = 0; i < 20000; i++) {
		struct version a = { draw(), draw(), draw() % 10 };
		struct version b = { draw() % 4 ? draw() : a.time, draw() % 4 ? draw() : a.node,
				     draw() % 10 };
		char ta[VERSION_TEXT], tb[VERSION_TEXT];
		int by_text = str_cmp(str_of(version_format(ta, a)), str_of(version_format(tb, b)));
		int by_number = version_cmp(a, b);

		CHECK((by_text < 0) == (by_number < 0) && (by_text > 0) == (by_number > 0));
		round_trip(a);
	}
}

int main(int argc, char **argv)
{
	if (!chance_begin(argc, argv, 1, NULL))
		return 64;
	known();
	spellings();
	order();
	return UNIT_RESULT();
}
