/* covey ls - what a directory holds */
#include "ask.h"
#include "progress.h"
#include "table.h"

#include "pct.h"

enum { LONG, DELETED, NODE, JSON };

/*
 * The exact name from its percent-encoded form, which is relative to the
 * directory or absolute; the JSON name is UTF-8 and may have lost bytes.
 */
static void add_name(struct buf *to, const json_t *entry)
{
	struct str href = str_of(json_text(entry, "href")), rest;
	bool directory = strcmp(json_text(entry, "type"), "directory") == 0;

	if (str_ends(href, STR("/")))
		href.n--;
	rest = href;
	for (size_t i = 0; i < href.n; i++)
		if (href.s[i] == '/')
			rest = (struct str){ href.s + i + 1, href.n - i - 1 };
	if (rest.n == 0 || pct_decode(to, rest) < 0)
		buf_adds(to, json_text(entry, "name"));
	if (directory && !str_ends(buf_str(to), STR("/")))
		buf_addc(to, '/');
}

static void print_names(const json_t *entries, bool is_long)
{
	struct table table = TABLE_INIT(is_long ? 4 : 1, is_long ? 1 : 0);
	char size[SIZE_TEXT], time[32];
	json_t *entry;
	size_t i;

	json_array_foreach(entries, i, entry) {
		struct buf name = BUF_INIT;
		bool file = strcmp(json_text(entry, "type"), "file") == 0;

		if (is_long) {
			table_add(&table, file ? size_text(size, json_number(entry, "size")) : "-");
			table_add(&table, time_text(time, json_text(entry, "time")));
			table_add(&table, json_text(entry, "version"));
		}
		add_name(&name, entry);
		table_add(&table, name.data);
		buf_clear(&name);
	}
	table_print(&table);
}

static int run(const struct call *call)
{
	const char *path = call->count ? call->operands[0] : "/";
	struct buf target = BUF_INIT;
	json_t *entries;
	int status;

	target_of(&target, path);
	if (!str_ends(buf_str(&target), STR("/")))
		buf_addc(&target, '/');
	buf_adds(&target, call->values[DELETED] ? "?format=json&deleted" : "?format=json");
	status = ask_json(call->values[NODE], buf_str(&target), path, &entries);
	buf_clear(&target);
	if (status != 0)
		return status;
	if (call->values[JSON])
		status = print_json(entries);
	else
		print_names(entries, call->values[LONG] != NULL);
	json_decref(entries);
	return status;
}

static const struct command_option options[] = {
	[LONG] = { "long", 'l', NULL, "size, time and version too" },
	[DELETED] = { "deleted", 0, NULL, "deleted files too" },
	[NODE] = OPTION_NODE, [JSON] = OPTION_JSON, OPTION_END,
};

const struct command command_ls = {
	.name = "ls",
	.operands = "[DIRECTORY]",
	.summary = "List a directory",
	.options = options,
	.most = 1,
	.run = run,
};
