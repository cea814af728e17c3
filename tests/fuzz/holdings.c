/*
 * Any bytes as a question about what a node holds, which is refused or has an
 * answer of one state an item that the asker takes; and as an answer: whatever
 * it says, the asker comes to an end.
 */
#include "holdings.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int newest(void *data, struct str path, struct record *ret, char type[RECORD_TYPE_MAX + 1])
{
	(void)data;
	(void)type;
	if (path.s[0] == 'x')
		return -1;
	*ret = (struct record){ .version = { .time = 1000 + path.n }, .flags = RECORD_DELETED };
	return 0;
}

static void newer(void *data, const struct holdings_newer *told)
{
	(void)data;
	if (version_cmp(told->record.version, (struct version){ 5, 9, 0 }) <= 0 ||
	    told->record.flags & RECORD_DIRECTORY || path_check(told->path, NULL) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct layout layout = { .lineage = 1, .epoch = 1, .homes = 3, .copies = 2 };
	struct str input = { (const char *)data, n };
	struct buf question = BUF_INIT, answer = BUF_INIT;
	struct holdings h = HOLDINGS_INIT;
	unsigned asked = 0;
	uint64_t peer;

	holdings_answer(input, newest, NULL, &answer);
	for (uint64_t id = 1; id <= 5; id++)
		layout_put(&layout, id, LAYOUT_A, 1, "");
	holdings_begin(&h, &layout);
	holdings_add(&h, STR("a/b"), (struct version){ 5, 9, 0 });
	holdings_add(&h, STR("a/c"), (struct version){ 5, 9, 0 });
	holdings_add(&h, STR("b/c"), (struct version){ 5, 9, 0 });
	while (holdings_next(&h, &peer, &question)) {
		holdings_answered(&h, input, newer, NULL);
		buf_reset(&question);
		if (++asked > 15)
			abort();
	}
	holdings_clear(&h);
	buf_clear(&question);
	buf_clear(&answer);
	return 0;
}
