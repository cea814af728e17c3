/* surplus - contents that a node holds and need not keep: may they go? */
#include "surplus.h"

#include "mem.h"

#define QUESTION_BYTES (56u << 10)

struct surplus_copy {
	size_t at, bytes;		/* of the items */
	uint64_t keepers[LAYOUT_COPIES_MAX];
	size_t count;			/* of them */
	size_t have;			/* so many have it */
	bool lacks;			/* one has not, or does not say */
};

void surplus_clear(struct surplus *s)
{
	buf_clear(&s->items);
	free(s->list);
	*s = (struct surplus)SURPLUS_INIT;
}

void surplus_begin(struct surplus *s, const struct layout *layout)
{
	surplus_clear(s);
	s->layout = *layout;
}

void surplus_add(struct surplus *s, const struct keep_item *item)
{
	struct layout_order order;
	struct surplus_copy *copy;

	/* A power of two has been filled. */
	if ((s->count & (s->count - 1)) == 0)
		s->list = mem_resize(s->list, s->count > 0 ? 2 * s->count : 1, sizeof *s->list);
	copy = &s->list[s->count++];
	*copy = (struct surplus_copy){ .at = s->items.len };
	keep_item_pack(&s->items, item);
	copy->bytes = s->items.len - copy->at;
	layout_keepers(&s->layout, item->path, &order);
	for (size_t i = 0; i < layout_copies(&s->layout) && i < order.count; i++)
		copy->keepers[copy->count++] = order.ids[i];
}

/* It is this keeper's to say. */
static bool is_asked(const struct surplus_copy *copy, uint64_t id)
{
	for (size_t i = 0; i < copy->count && !copy->lacks; i++)
		if (copy->keepers[i] == id)
			return true;
	return false;
}

bool surplus_next(struct surplus *s, uint64_t *ret_keeper, struct buf *question)
{
	for (; s->peer < s->layout.count; s->peer++, s->to = 0) {
		uint64_t id = s->layout.members[s->peer].id;

		s->from = s->to;
		for (; s->to < s->count && question->len < QUESTION_BYTES - KEEP_ITEM_BYTES_MAX;
		     s->to++)
			if (is_asked(&s->list[s->to], id))
				buf_add(question, s->items.data + s->list[s->to].at,
					s->list[s->to].bytes);
		*ret_keeper = id;
		if (question->len > 0)
			return true;
	}
	return false;
}

void surplus_answered(struct surplus *s, struct str states)
{
	uint64_t id = s->layout.members[s->peer].id;
	enum keep_state state;

	for (size_t i = s->from; i < s->to; i++) {
		if (!is_asked(&s->list[i], id))
			continue;
		if (keep_state_next(&states, &state) == 1 && state == KEEP_HAVE)
			s->list[i].have++;
		else
			s->list[i].lacks = true;
	}
}

/* It is asked about nothing more. */
void surplus_failed(struct surplus *s)
{
	uint64_t id = s->layout.members[s->peer].id;

	for (size_t i = s->from; i < s->count; i++)
		if (is_asked(&s->list[i], id))
			s->list[i].lacks = true;
}

bool surplus_take(struct surplus *s, struct keep_item *ret)
{
	while (s->taken < s->count) {
		const struct surplus_copy *copy = &s->list[s->taken++];
		struct str packed = { s->items.data + copy->at, copy->bytes };

		if (!copy->lacks && copy->count > 0 && copy->have == copy->count)
			return keep_item_next(&packed, ret) == 1;
	}
	return false;
}
