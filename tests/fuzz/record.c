/*
 * record - what peers and file systems tell: records, versions, paths
 *
 * Whatever is taken must come out again as it went in: that is what makes a
 * version an entity tag, and equal records equal bytes.
 */
#include "path.h"
#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void binary(const uint8_t *bytes, size_t n)
{
	struct record record;
	struct record back;
	uint8_t again[RECORD_BYTES_MAX];
	size_t length;

	if (record_unpack(bytes, n, &record, NULL) < 0)
		return;
	must(record_length((struct str){ (const char *)bytes, n }) == n);
	length = record_pack(again, &record);
	must(record_unpack(again, length, &back, NULL) == 0 && record_eq(&back, &record));
	must(bytes[0] == 1 || (length == n && memcmp(again, bytes, n) == 0));
}

static void text(struct str input)
{
	struct buf again = BUF_INIT;
	struct record record;
	struct str type;

	if (record_parse(input, &record, &type, NULL) < 0)
		return;
	record_format(&again, &record, type);
	must(str_eq(buf_str(&again), input));
	buf_clear(&again);
}

static void version(struct str input)
{
	char again[VERSION_TEXT];
	struct version v;

	if (version_parse(input, &v, NULL) == 0)
		must(str_eq(str_of(version_format(again, v)), input));
}

static void path(struct str input)
{
	struct buf decoded = BUF_INIT, encoded = BUF_INIT, again = BUF_INIT, history = BUF_INIT;
	bool slash, slash_again;

	if (path_from_target(&decoded, &slash, input, NULL) == 0) {
		must(path_check(buf_str(&decoded), NULL) == 0);
		path_to_target(&encoded, buf_str(&decoded), slash);
		must(path_from_target(&again, &slash_again, buf_str(&encoded), NULL) == 0);
		must(slash == slash_again && str_eq(buf_str(&decoded), buf_str(&again)));
		path_to_history(&history, buf_str(&decoded));
		must(history.len <= 2 * PATH_BYTES);
	}
	buf_clear(&decoded);
	buf_clear(&encoded);
	buf_clear(&again);
	buf_clear(&history);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str input = { (const char *)bytes, n };

	binary(bytes, n);
	text(input);
	version(input);
	path(input);
	return 0;
}
