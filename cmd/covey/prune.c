/* covey prune - drop old versions of a path */
#include "ask.h"
#include "local.h"
#include "progress.h"

enum { CONF, KEEP, JSON };

static int print_dropped(const struct prune_count *count)
{
	json_t *line = json_pack("{s:I, s:I}", "versions", (json_int_t)count->records, "bytes",
				 (json_int_t)count->bytes);
	int status = print_json(line);

	json_decref(line);
	return status;
}

static int run(const struct call *call)
{
	struct prune_count count = { .records = 0 };
	struct prune_rule rule = { .versions = 1 };
	uint64_t keep = 1;
	struct store *store = NULL;
	struct buf path = BUF_INIT;
	struct err err = ERR_INIT;
	char size[SIZE_TEXT];
	int status;

	if (call->values[KEEP] &&
	    command_number("--keep", call->values[KEEP], 1, UINT32_MAX, &keep, &err) < 0)
		return command_misused(call->command, "%s", err.text);
	status = local_path(&path, call->operands[0]);
	if (status == 0)
		status = local_open(&store, call->values[CONF]);
	rule.versions = (uint32_t)keep;
	if (status == 0 && store_prune(store, buf_str(&path), &rule, &count, &err) < 0)
		status = command_fail(&err);
	if (status == 0 && call->values[JSON] != NULL)
		status = print_dropped(&count);
	else if (status == 0)
		printf("%llu versions, %s dropped\n", (unsigned long long)count.records,
		       size_text(size, count.bytes));
	store_close(store);
	buf_clear(&path);
	return status;
}

static const struct command_option options[] = {
	[CONF] = OPTION_CONF,
	[KEEP] = { "keep", 'k', "N", "the newest N versions stay; default 1" },
	[JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_prune = {
	.name = "prune",
	.operands = "PATH",
	.summary = "Drop old versions of a file from this machine's store",
	.details = "Works on a full disk.",
	.options = options,
	.least = 1,
	.most = 1,
	.run = run,
};
