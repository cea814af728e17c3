/* children - the names below a path, of tree/ and history/ both */
#include "inside.h"

#include "mem.h"

static int add_name(void *data, const char *name)
{
	buf_add(data, name, strlen(name) + 1);
	return 0;
}

static int add_history_name(void *data, const char *text)
{
	struct str name = str_of(text);

	if (path_name_from_history(&name))
		buf_add(data, name.s, name.n + 1);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* The texts sorted, each once. */
static void sort(struct children *c)
{
	size_t count = 0, at = 0;

	for (size_t i = 0; i < c->texts.len; i++)
		count += c->texts.data[i] == '\0';
	c->names = mem_new(count + 1, sizeof *c->names);
	for (size_t i = 0; i < count; i++, at += strlen(c->texts.data + at) + 1)
		c->names[i] = c->texts.data + at;
	if (count > 0)
		qsort(c->names, count, sizeof *c->names, by_text);
	for (size_t i = 0; i < count; i++)
		if (c->count == 0 || strcmp(c->names[c->count - 1], c->names[i]) != 0)
			c->names[c->count++] = c->names[i];
}

int children_read(struct store *store, struct names *names, struct children *ret, struct err *err)
{
	struct children c = CHILDREN_INIT;

	/* The tree's first: what is deleted meanwhile shows as deleted. */
	if (look_names(store->tree, names->tree, add_name, &c.texts, err) < 0 ||
	    look_names(store->history, names_history(names), add_history_name, &c.texts, err) < 0) {
		children_clear(&c);
		return -1;
	}
	sort(&c);
	*ret = c;
	return 0;
}

void children_clear(struct children *c)
{
	free(c->names);
	buf_clear(&c->texts);
	*c = (struct children)CHILDREN_INIT;
}
