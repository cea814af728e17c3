/* Batches of homes and keepers: what is packed is read back, what is malformed is refused. */
#include "unit.h"

#include "bulk.h"
#include "seal.h"

#include <stdlib.h>

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define GROUP 77

static const struct record sample = { .version = { .time = 5, .node = 9 }, .size = 3, .sha256 = { 1, 2 } };

static void test_message(void)
{
	struct bulk bulk = { .group = GROUP, .sender = 2, .receiver = 5, .id = 6,
			    .lineage = 3, .epoch = 4, .type = BULK_KEPT,
			     .body = STR("\1\2\3") }, got;
	enum keep_state state;
	struct buf b = BUF_INIT;

	bulk_pack(&b, &bulk);
	CHECK(bulk_unpack(buf_str(&b), 5, &got) == 0);
	CHECK(got.sender == 2 && got.receiver == 5 && got.id == 6 && got.lineage == 3 && got.epoch == 4 && got.type == BULK_KEPT);
	CHECK(keep_state_next(&got.body, &state) == 1 && state == KEEP_HAVE);
	CHECK(keep_state_next(&got.body, &state) == 1 && state == KEEP_PULLING);
	CHECK(keep_state_next(&got.body, &state) == 1 && state == KEEP_FULL);
	CHECK(keep_state_next(&got.body, &state) == 0);
	b.data[0] ^= 1;			/* a key opened it, whichever */
	CHECK(bulk_unpack(buf_str(&b), 5, &got) == 0);
	CHECK(bulk_unpack(buf_str(&b), 6, &got) == -1);	/* for another node */
	b.data[24] ^= 1;					/* for another role */
	CHECK(bulk_unpack(buf_str(&b), 5, &got) == -1);
	b.data[24] ^= 1;
	for (size_t n = 0; n < b.len - 3; n++)
		CHECK(bulk_unpack((struct str){ b.data, n }, 5, &got) == -1);
	b.data[49] = '\xff';				/* no type */
	CHECK(bulk_unpack(buf_str(&b), 5, &got) == -1);
	got.body = STR("\4");
	CHECK(keep_state_next(&got.body, &state) == -1);
	buf_clear(&b);
}

/* What an answer counts for: who was asked, and nobody else, at the layout that was asked by. */
static void test_judge(void)
{
	const struct bulk sync = { .group = GROUP, .sender = 2, .receiver = 5, .id = 6, .lineage = 3,
				   .epoch = 4, .type = BULK_SYNC };
	struct bulk keep = sync, right = bulk_answer(&sync), wrong;

	CHECK(right.sender == 5 && right.receiver == 2 && right.id == 6);
	right.lineage = 3;
	right.epoch = 4;
	right.type = BULK_SYNCED;
	CHECK(bulk_judge(&sync, &right) == BULK_COUNTS);
	wrong = right;
	wrong.sender = 7;		/* the address has a new tenant */
	CHECK(bulk_judge(&sync, &wrong) == BULK_NOTHING);
	wrong = right;
	wrong.receiver = 7;
	CHECK(bulk_judge(&sync, &wrong) == BULK_NOTHING);
	wrong = right;
	wrong.id = 7;			/* recorded before */
	CHECK(bulk_judge(&sync, &wrong) == BULK_NOTHING);
	wrong = right;
	wrong.epoch = 3;		/* SYNCED of another epoch */
	CHECK(bulk_judge(&sync, &wrong) == BULK_NOTHING);
	wrong.epoch = 5;
	CHECK(bulk_judge(&sync, &wrong) == BULK_NOTHING);
	wrong.type = BULK_STALE;
	CHECK(bulk_judge(&sync, &wrong) == BULK_NEWER);
	wrong.lineage = 4;
	CHECK(bulk_judge(&sync, &wrong) == BULK_NOTHING);
	wrong = right;
	wrong.type = BULK_KEPT;
	CHECK(bulk_judge(&sync, &wrong) == BULK_NOTHING);
	keep.type = BULK_KEEP;
	CHECK(bulk_judge(&keep, &right) == BULK_NOTHING);
	wrong.epoch = 9;		/* a content is kept by any layout */
	CHECK(bulk_judge(&keep, &wrong) == BULK_COUNTS);
	wrong.sender = 7;
	CHECK(bulk_judge(&keep, &wrong) == BULK_NOTHING);
	keep.type = BULK_TAKE;
	wrong = right;
	wrong.type = BULK_KEPT;
	CHECK(bulk_judge(&keep, &wrong) == BULK_NOTHING);
	wrong.type = BULK_TAKEN;
	wrong.epoch = 9;
	CHECK(bulk_judge(&keep, &wrong) == BULK_COUNTS);
	CHECK(bulk_judge(&sync, &wrong) == BULK_NOTHING);
}

static void test_items(void)
{
	struct keep_item item = { .record = sample, .type = STR("text/x"), .path = STR("a/b") }, got;
	struct buf b = BUF_INIT;
	struct str rest;

	keep_item_pack(&b, &item);
	item.type = STR("");
	keep_item_pack(&b, &item);
	rest = buf_str(&b);
	CHECK(keep_item_next(&rest, &got) == 1 && str_eq(got.type, STR("text/x")));
	CHECK(record_eq(&got.record, &sample) && str_eq(got.path, STR("a/b")));
	CHECK(keep_item_next(&rest, &got) == 1 && got.type.n == 0);
	CHECK(keep_item_next(&rest, &got) == 0);
	rest = (struct str){ b.data, b.len - 1 };
	CHECK(keep_item_next(&rest, &got) == 1 && keep_item_next(&rest, &got) == -1);
	buf_reset(&b);
	item.path = STR("../a");
	keep_item_pack(&b, &item);
	rest = buf_str(&b);
	CHECK(keep_item_next(&rest, &got) == -1);
	buf_reset(&b);
	item.path = STR("a");
	item.record.flags = RECORD_DELETED;
	keep_item_pack(&b, &item);
	rest = buf_str(&b);
	CHECK(keep_item_next(&rest, &got) == -1);
	buf_clear(&b);
}

static void test_sealed(void)
{
	static char plain[SEAL_LONG_PLAIN_BYTES];
	struct buf sealed = BUF_INIT, got = BUF_INIT;
	struct seal_keys keys;
	uint8_t protocol = 0;

	CHECK(seal_keys_parse(STR(KEY), &keys, NULL) == 0);
	buf_adds(&got, "before");
	seal_message(&keys, (struct str){ plain, sizeof plain }, &sealed);
	CHECK(sealed.len == WIRE_LONG_BYTES);
	sealed.data[1000] ^= 1;
	CHECK(seal_open_long(&keys, buf_str(&sealed), &protocol, &got) == -1);
	CHECK(str_eq(buf_str(&got), STR("before")));
	sealed.data[1000] ^= 1;
	sealed.data[3] ^= 1;		/* its protocol */
	CHECK(seal_open_long(&keys, buf_str(&sealed), &protocol, &got) == -1);
	sealed.data[3] ^= 1;
	CHECK(seal_open_long(&keys, buf_str(&sealed), &protocol, &got) == 0);
	CHECK(protocol == MEMBER_PROTOCOL && got.len == sizeof plain);
	CHECK(memcmp(got.data, plain, sizeof plain) == 0);
	buf_addc(&sealed, 'x');
	CHECK(seal_open_long(&keys, buf_str(&sealed), &protocol, &got) == -1);
	CHECK(seal_open_long(&keys, STR("cvy"), &protocol, &got) == -1);
	buf_clear(&sealed);
	buf_clear(&got);
}

int main(void)
{
	test_message();
	test_judge();
	test_items();
	test_sealed();
	return UNIT_RESULT();
}
