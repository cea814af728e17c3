/*
 * settle_copies - the disks that have the content of a write
 *
 * This node's is one, those of members are the others: who left the layout
 * while it was pushed to counts no more, and where it asks for more copies
 * than when the push began, they are made.
 */
#include "settle_inside.h"

#include "httpd.h"

static uint64_t self(const struct settle *s)
{
	return store_node(s->worker->httpd->store);
}

static bool has(const struct settle *s, uint64_t id)
{
	for (size_t i = 0; i < s->have_count; i++)
		if (s->have[i] == id)
			return true;
	return id == self(s);
}

size_t copies_told(const struct settle *s)
{
	size_t count = 1;

	for (size_t i = 0; i < s->have_count; i++)
		count += layout_may_keep(&s->layout, s->have[i]);
	return count;
}

size_t copies_missing(const struct settle *s)
{
	size_t needed = record_has_content(&s->record) ?
				1 + layout_copies_beside(&s->layout, self(s)) : 0;
	size_t there = copies_told(s);

	return needed > there ? needed - there : 0;
}

/* With one copy the node that made it is the keeper. */
size_t keepers_missing(const struct settle *s)
{
	struct layout_order order;
	size_t missing = 0, copies = layout_copies(&s->layout);

	if (!record_has_content(&s->record) || s->layout.copies <= 1)
		return 0;
	layout_keepers(&s->layout, buf_str(&s->path), &order);
	for (size_t i = 0; i < copies && i < order.count; i++)
		missing += !has(s, order.ids[i]);
	return missing;
}

static void pushed(struct push *p)
{
	struct settle *s = p->owner;
	size_t before = s->have_count;

	for (size_t i = 0; i < p->have_count && s->have_count < HOLDERS_MAX; i++)
		if (!has(s, p->have[i]))
			s->have[s->have_count++] = p->have[i];
	if (s->have_count - before < p->keepers.wanted)
		s->exhausted = p->epoch;
	s->passed_over |= p->passed_over || p->have_count == 0;
	s->push = NULL;
	push_free(p);
	if (s->changed == NULL)
		copies_rest(s);
	settle_pushed(s);
}

static uint64_t limit_ms(const struct settle *s)
{
	return s->record.size > LARGE_BYTES ? ALONE_LARGE_MS : s->worker->httpd->conf->timeouts.push_ms;
}

static void name(struct settle *s, struct push *p)
{
	s->push = p;
	if (p != NULL)
		push_name(p, &s->record, str_of(s->type), limit_ms(s), pushed, s);
}

static void push(struct settle *s, size_t wanted)
{
	if (s->fd >= 0 && s->push == NULL)
		name(s, push_new(s->worker, buf_str(&s->path), &s->layout, s->fd, s->have,
				 s->have_count, wanted));
}

void copies_start(struct settle *s, struct push *begun)
{
	if (begun != NULL)
		name(s, begun);
	else
		push(s, copies_missing(s));
}

void copies_more(struct settle *s)
{
	size_t missing = copies_missing(s);

	if (missing > 0 && s->exhausted != s->layout.epoch)
		push(s, missing);
}

void copies_rest(struct settle *s)
{
	size_t missing = keepers_missing(s);

	if (missing > 0 && !s->passed_over)
		push(s, missing);
}
