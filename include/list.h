/*
 * list - a doubly linked list through its items
 *
 * Room: lib/base
 *
 * A struct link is embedded in the item (container.h) and knows the list it
 * is in, so that whoever holds the item can take it out: linking allocates
 * nothing, and every operation but the walk takes constant time.  Memory of
 * zeros is an empty list and a link that is in no list.  A list that has
 * items stays where it is; so does an item that is in a list.
 *
 *	struct pull { struct link link; ... };
 *
 *	list_append(&pulls, &pull->link);
 *	LIST_EACH(struct pull, p, &pulls, link)
 *		...
 *	list_remove(&pull->link);
 */
#ifndef COVEY_LIST_H
#define COVEY_LIST_H

#include "container.h"

#include <stdbool.h>
#include <stddef.h>

struct link {
	struct list *list;		/* NULL: in none */
	struct link *next, *prev;
};

struct list {
	struct link *first, *last;	/* NULL: empty */
	size_t count;
};

/* The item of a link, or NULL of NULL. */
#define LIST_ITEM(link, type, member) \
	((link) != NULL ? CONTAINER_OF(link, type, member) : NULL)
#define LIST_FIRST(type, list, member) LIST_ITEM((list)->first, type, member)
#define LIST_NEXT(type, item, member) LIST_ITEM((item)->member.next, type, member)

/* Every item in turn, first to last.  The item itself may be removed and freed, the next one may not. */
#define LIST_EACH(type, item, list, member) \
	for (type *item = LIST_FIRST(type, list, member), \
		  *item##_next = (item) != NULL ? LIST_NEXT(type, item, member) : NULL; \
	     (item) != NULL; \
	     (item) = item##_next, \
		  item##_next = (item) != NULL ? LIST_NEXT(type, item, member) : NULL)

/* The link must be in no list. */
static inline void list_append(struct list *list, struct link *link)
{
	link->list = list;
	link->next = NULL;
	link->prev = list->last;
	if (list->last != NULL)
		list->last->next = link;
	else
		list->first = link;
	list->last = link;
	list->count++;
}

/* The same, to the front. */
static inline void list_prepend(struct list *list, struct link *link)
{
	link->list = list;
	link->prev = NULL;
	link->next = list->first;
	if (list->first != NULL)
		list->first->prev = link;
	else
		list->last = link;
	list->first = link;
	list->count++;
}

static inline bool link_is_linked(const struct link *link)
{
	return link->list != NULL;
}

/* Safe on a link that is in no list. */
static inline void list_remove(struct link *link)
{
	struct list *list = link->list;

	if (list == NULL)
		return;
	if (link->prev != NULL)
		link->prev->next = link->next;
	else
		list->first = link->next;
	if (link->next != NULL)
		link->next->prev = link->prev;
	else
		list->last = link->prev;
	list->count--;
	*link = (struct link){ .list = NULL };
}

#endif
