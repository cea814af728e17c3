/* Unit test of list: order, the count, and what may be taken out while it is walked. */
#include "list.h"

#include "unit.h"

#include <string.h>

struct item {
	char name;
	struct link link;
};

static struct list list;
static struct item items[] = { { .name = 'a' }, { .name = 'b' }, { .name = 'c' }, { .name = 'd' } };

/* The names from first to last; from last to first they are the same. */
static const char *names(void)
{
	static char text[8];
	size_t n = 0;

	memset(text, 0, sizeof text);
	LIST_EACH(struct item, item, &list, link) {
		CHECK(item->link.list == &list);
		text[n++] = item->name;
	}
	CHECK(n == list.count);
	for (struct link *link = list.last; link != NULL; link = link->prev)
		CHECK(n > 0 && LIST_ITEM(link, struct item, link)->name == text[--n]);
	CHECK(n == 0);
	return text;
}

static void test_order(void)
{
	CHECK(strcmp(names(), "") == 0 && list.first == NULL && list.last == NULL);
	CHECK(LIST_FIRST(struct item, &list, link) == NULL);
	list_append(&list, &items[1].link);
	list_append(&list, &items[2].link);
	list_prepend(&list, &items[0].link);
	list_append(&list, &items[3].link);
	CHECK(strcmp(names(), "abcd") == 0);
	CHECK(LIST_FIRST(struct item, &list, link) == &items[0]);
	CHECK(LIST_NEXT(struct item, &items[1], link) == &items[2]);
	CHECK(LIST_NEXT(struct item, &items[3], link) == NULL);
}

static void test_removal(void)
{
	list_remove(&items[2].link);
	CHECK(strcmp(names(), "abd") == 0);
	CHECK(!link_is_linked(&items[2].link) && link_is_linked(&items[1].link));
	list_remove(&items[2].link);	/* in none: nothing happens */
	CHECK(strcmp(names(), "abd") == 0);
	list_remove(&items[0].link);
	CHECK(strcmp(names(), "bd") == 0);
	list_remove(&items[3].link);
	CHECK(strcmp(names(), "b") == 0);
	list_append(&list, &items[3].link);
	list_prepend(&list, &items[2].link);
	CHECK(strcmp(names(), "cbd") == 0);
}

static void test_walk(void)
{
	unsigned seen = 0;

	LIST_EACH(struct item, item, &list, link) {
		list_remove(&item->link);
		memset(item, 0, sizeof *item);	/* as if it had been freed */
		seen++;
	}
	CHECK(seen == 3 && strcmp(names(), "") == 0);
}

int main(void)
{
	test_order();
	test_removal();
	test_walk();
	return UNIT_RESULT();
}
