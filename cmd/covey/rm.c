/* covey rm - delete files; their history stays */
#include "crew.h"
#include "trees.h"

enum { RECURSIVE, ASYNC, WAIT, NODE, JSON };

static int remove_one(struct client *client, const struct write *write, const char *path)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct buf target = BUF_INIT;
	struct err err = ERR_INIT;
	int status;

	target_of(&target, path);
	exchange.method = "DELETE";
	exchange.target = buf_str(&target);
	write_ask(write, &exchange);
	if (client_send(client, &exchange, &err) < 0)
		status = command_fail(&err);
	else
		status = write_told(write, &exchange, path);
	exchange_clear(&exchange);
	buf_clear(&target);
	return status;
}

static int remove_any(struct client *client, const struct call *call, const struct write *write,
		      const char *path)
{
	const struct tree_options options = { .url = call->values[NODE] };
	bool found = false;
	int status = 0;

	if (call->values[RECURSIVE] != NULL && path[strspn(path, "/")] == '\0') {
		command_say("rm -r %s: that is all there is: name what is in it", path);
		return EX_USAGE;
	}
	if (call->values[RECURSIVE] != NULL)
		status = remove_tree(path, write, &options, &found);
	return found || status != 0 ? status : remove_one(client, write, path);
}

static int run(const struct call *call)
{
	struct client *client = NULL;
	struct write write;
	struct err err = ERR_INIT;
	int status = 0;

	if (write_init(&write, call->values[ASYNC], call->values[WAIT], &err) < 0)
		return command_misused(call->command, "%s", err.text);
	write.json = call->values[JSON] != NULL;
	write.quiet = true;
	if (client_open(&client, call->values[NODE], &err) < 0)
		return command_fail(&err);
	for (int i = 0; i < call->count; i++) {
		int one = remove_any(client, call, &write, call->operands[i]);

		status = status_worse(status, one);
	}
	client_close(client);
	return status;
}

static const struct command_option options[] = {
	[RECURSIVE] = { "recursive", 'r', NULL, "directories too, with all that is in them" },
	[ASYNC] = OPTION_ASYNC, [WAIT] = OPTION_WAIT, [NODE] = OPTION_NODE, [JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_rm = {
	.name = "rm",
	.operands = "PATH...",
	.summary = "Delete files, or empty directories (with a slash at the end)",
	.details = "A deletion is a version like any other: covey log shows what was, and\n"
		   "covey restore brings it back.",
	.options = options,
	.least = 1,
	.most = -1,
	.run = run,
};
