/* covey log - the versions of a file */
#include "ask.h"
#include "progress.h"
#include "table.h"

enum { NODE, JSON };

/* "deleted, current, conflict", as far as they apply */
static void add_marks(struct buf *to, const json_t *version)
{
	const struct {
		bool applies;
		const char *name;
	} marks[] = {
		{ json_flag(version, "deleted"), "deleted" },
		{ json_flag(version, "current"), "current" },
		{ strcmp(json_text(version, "rel"), "conflict") == 0, "conflict" },
	};

	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
		if (marks[i].applies)
			buf_addf(to, "%s%s", to->len ? ", " : "", marks[i].name);
}

static void print_versions(const json_t *versions)
{
	struct table table = TABLE_INIT(5, 2);
	char size[SIZE_TEXT], time[32];
	json_t *version;
	size_t i;

	json_array_foreach(versions, i, version) {
		bool deleted = json_flag(version, "deleted");
		struct buf marks = BUF_INIT;

		table_add(&table, json_text(version, "version"));
		table_add(&table, deleted ? "-" : size_text(size, json_number(version, "size")));
		table_add(&table, time_text(time, json_text(version, "time")));
		table_add(&table, deleted ? "-" : json_text(version, "type"));
		add_marks(&marks, version);
		table_add(&table, marks.data ? marks.data : "");
		buf_clear(&marks);
	}
	table_print(&table);
}

static int run(const struct call *call)
{
	struct buf target = BUF_INIT;
	json_t *versions;
	int status;

	target_of(&target, call->operands[0]);
	buf_adds(&target, "?versions");
	status = ask_json(call->values[NODE], buf_str(&target), call->operands[0], &versions);
	buf_clear(&target);
	if (status != 0)
		return status;
	if (call->values[JSON])
		status = print_json(versions);
	else
		print_versions(versions);
	json_decref(versions);
	return status;
}

static const struct command_option options[] = {
	[NODE] = OPTION_NODE, [JSON] = OPTION_JSON, OPTION_END,
};

const struct command command_log = {
	.name = "log",
	.operands = "PATH",
	.summary = "List the versions of a file, the newest first",
	.details = "conflict marks versions that were written without knowing of each other.",
	.options = options,
	.least = 1,
	.most = 1,
	.run = run,
};
