/* yamlfile - the part of YAML that configuration needs, by libyaml's events */
#include "yamlfile.h"

#include "buf.h"

#include <ctype.h>
#include <yaml.h>

#define KEY_BYTES 64

struct level {
	bool list;
	bool has_key;		/* of a mapping: the key was read, its value comes next */
	unsigned line;		/* where that key stands */
	size_t path;		/* bytes of the path that name this collection */
};

struct reading {
	struct str text;
	const char *file;
	yamlfile_each *each;
	void *data;
	struct err *err;
	struct buf path;
	struct level levels[YAMLFILE_DEPTH];
	size_t depth;		/* levels in use */
	unsigned documents;
};

static unsigned event_line(const yaml_event_t *event)
{
	return (unsigned)event->start_mark.line + 1;
}

static int event_refuse(struct reading *r, const yaml_event_t *event, const char *why)
{
	return err_set(r->err, ERR_INVALID, "%s:%u: %s", r->file, event_line(event), why);
}

static struct level *level_top(struct reading *r)
{
	return r->depth ? &r->levels[r->depth - 1] : NULL;
}

static bool scalar_is_null(const yaml_event_t *event)
{
	struct str value = { (const char *)event->data.scalar.value, event->data.scalar.length };

	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (value.n == 0 || str_eq(value, STR("~")) || str_eq(value, STR("null")));
}

static int on_key(struct reading *r, struct level *level, const yaml_event_t *event)
{
	struct str key = { (const char *)event->data.scalar.value, event->data.scalar.length };

	if (key.n == 0 || key.n > KEY_BYTES)
		return event_refuse(r, event, "a key is one word");
	for (size_t i = 0; i < key.n; i++)
		if (!isalnum((unsigned char)key.s[i]) && key.s[i] != '_' && key.s[i] != '-')
			return event_refuse(r, event, "a key is one word of letters, digits, _ and -");
	if (level->path > 0)
		buf_addc(&r->path, '.');
	buf_addstr(&r->path, key);
	level->has_key = true;
	level->line = event_line(event);
	return 0;
}

/* The value of a key is complete: the path is the mapping's again. */
static void level_value_done(struct reading *r)
{
	struct level *level = level_top(r);

	if (level == NULL || level->list)
		return;
	level->has_key = false;
	r->path.len = level->path;
	r->path.data[r->path.len] = '\0';
}

static int item_tell(struct reading *r, struct yamlfile_item item, const yaml_event_t *event)
{
	const struct level *level = level_top(r);

	item.path = r->path.data;
	item.in_list = level != NULL && level->list;
	item.line = level != NULL && !level->list ? level->line : event_line(event);
	if (r->each(r->data, &item, r->err) == 0)
		return 0;
	return err_context(r->err, "%s:%u", r->file, item.line);
}

static int on_scalar(struct reading *r, const yaml_event_t *event)
{
	struct level *level = level_top(r);
	struct yamlfile_item item = {
		.kind = YAMLFILE_SCALAR,
		.value = { (const char *)event->data.scalar.value, event->data.scalar.length },
		.null = scalar_is_null(event),
	};

	if (event->data.scalar.anchor != NULL)
		return event_refuse(r, event, "anchors are not used here");
	if (event->data.scalar.tag != NULL)
		return event_refuse(r, event, "tags are not used here");
	if (level != NULL && !level->list && !level->has_key)
		return on_key(r, level, event);
	if (item_tell(r, item, event) < 0)
		return -1;
	level_value_done(r);
	return 0;
}

static int on_start(struct reading *r, const yaml_event_t *event, bool list)
{
	const struct level *level = level_top(r);
	const yaml_char_t *anchor = list ? event->data.sequence_start.anchor
					 : event->data.mapping_start.anchor;
	const yaml_char_t *tag = list ? event->data.sequence_start.tag
				      : event->data.mapping_start.tag;
	struct yamlfile_item item = { .kind = list ? YAMLFILE_LIST : YAMLFILE_MAPPING };

	if (anchor != NULL)
		return event_refuse(r, event, "anchors are not used here");
	if (tag != NULL)
		return event_refuse(r, event, "tags are not used here");
	if (level != NULL && !level->list && !level->has_key)
		return event_refuse(r, event, "a key is one word");
	if (r->depth == YAMLFILE_DEPTH)
		return event_refuse(r, event, "nested too deeply");
	if (item_tell(r, item, event) < 0)
		return -1;
	r->levels[r->depth++] = (struct level){ .list = list, .path = r->path.len };
	return 0;
}

static int on_event(struct reading *r, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(r, event);
	case YAML_MAPPING_START_EVENT:
		return on_start(r, event, false);
	case YAML_SEQUENCE_START_EVENT:
		return on_start(r, event, true);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		r->depth--;
		level_value_done(r);
		return 0;
	case YAML_ALIAS_EVENT:
		return event_refuse(r, event, "aliases are not used here");
	case YAML_DOCUMENT_START_EVENT:
		if (r->documents++ > 0)
			return event_refuse(r, event, "a second document");
		return 0;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 0;
	}
	return 0;
}

/* The line of a byte that is no character: libyaml tells its offset alone. */
static size_t line_at(struct str text, size_t offset)
{
	size_t line = 1;

	for (size_t i = 0; i < text.n && i < offset; i++)
		line += text.s[i] == '\n';
	return line;
}

static int not_yaml(struct reading *r, const yaml_parser_t *parser)
{
	const char *problem = parser->problem ? parser->problem : "malformed";

	if (parser->error == YAML_MEMORY_ERROR)
		abort();
	if (parser->error == YAML_READER_ERROR)
		return err_set(r->err, ERR_INVALID, "%s:%zu: not YAML: %s", r->file,
			       line_at(r->text, parser->problem_offset), problem);
	return err_set(r->err, ERR_INVALID, "%s:%zu: not YAML: %s", r->file,
		       parser->problem_mark.line + 1, problem);
}

static int read_events(struct reading *r, yaml_parser_t *parser)
{
	for (;;) {
		yaml_event_t event;
		bool end;
		int rc;

		if (!yaml_parser_parse(parser, &event))
			return not_yaml(r, parser);
		end = event.type == YAML_STREAM_END_EVENT;
		rc = on_event(r, &event);
		yaml_event_delete(&event);
		if (rc < 0 || end)
			return rc;
	}
}

int yamlfile_read(struct str text, const char *file, yamlfile_each *each, void *data,
		  struct err *err)
{
	struct reading r = { .text = text, .file = file, .each = each, .data = data,
			     .err = err, .path = BUF_INIT };
	yaml_parser_t parser;
	int rc;

	if (text.n > YAMLFILE_BYTES)
		return err_set(err, ERR_TOO_LARGE, "%s: more than %u bytes", file, YAMLFILE_BYTES);
	if (!yaml_parser_initialize(&parser))
		abort();
	buf_adds(&r.path, "");
	yaml_parser_set_input_string(&parser, (const unsigned char *)(text.s ? text.s : ""), text.n);
	rc = read_events(&r, &parser);
	yaml_parser_delete(&parser);
	buf_clear(&r.path);
	return rc;
}
