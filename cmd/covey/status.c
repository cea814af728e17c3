/* covey status - how one node is */
#include "ask.h"
#include "table.h"

enum { NODE, JSON };

static void add_value(struct table *table, const char *name, json_t *value)
{
	char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);

	table_add(table, name);
	table_add(table, text ? text : json_string_value(value));
	free(text);
}

/* "store.free  123": every leaf by its path; lists by their length. */
static void add_all(struct table *table, const char *above, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		struct buf name = BUF_INIT;

		buf_addf(&name, "%s%s%s", above, above[0] ? "." : "", key);
		if (json_is_object(value)) {
			add_all(table, name.data, value);
		} else if (json_is_array(value)) {
			json_t *length = json_integer((json_int_t)json_array_size(value));

			add_value(table, name.data, length);
			json_decref(length);
		} else {
			add_value(table, name.data, value);
		}
		buf_clear(&name);
	}
}

static int run(const struct call *call)
{
	struct table table = TABLE_INIT(2, 0);
	json_t *answer;
	int status = ask_json(call->values[NODE], STR("/.covey/status"), "status", &answer);

	if (status != 0)
		return status;
	if (call->values[JSON]) {
		status = print_json(answer);
	} else {
		add_all(&table, "", answer);
		table_print(&table);
	}
	json_decref(answer);
	return status;
}

static const struct command_option options[] = {
	[NODE] = OPTION_NODE, [JSON] = OPTION_JSON, OPTION_END,
};

const struct command command_status = {
	.name = "status",
	.operands = "",
	.summary = "Show how a node is",
	.options = options,
	.run = run,
};
