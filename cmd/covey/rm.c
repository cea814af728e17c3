/* covey rm - delete files; their history stays */
#include "ask.h"

enum { NODE, JSON };

static int remove_one(struct client *client, const char *path, bool json)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct buf target = BUF_INIT;
	struct err err = ERR_INIT;
	int status = 0;

	target_of(&target, path);
	exchange.method = "DELETE";
	exchange.target = buf_str(&target);
	if (client_send(client, &exchange, &err) < 0)
		status = command_fail(&err);
	else if (exchange.status / 100 != 2)
		status = exchange_refused(&exchange, path);
	else if (json)
		status = print_written(&exchange);
	else
		exchange_note(&exchange, path);
	exchange_clear(&exchange);
	buf_clear(&target);
	return status;
}

static int run(const struct call *call)
{
	struct client *client = NULL;
	struct err err = ERR_INIT;
	int status = 0;

	if (client_open(&client, call->values[NODE], &err) < 0)
		return command_fail(&err);
	for (int i = 0; i < call->count; i++) {
		int one = remove_one(client, call->operands[i], call->values[JSON] != NULL);

		status = status ? status : one;
	}
	client_close(client);
	return status;
}

static const struct command_option options[] = {
	[NODE] = OPTION_NODE, [JSON] = OPTION_JSON, OPTION_END,
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
