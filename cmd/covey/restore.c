/* covey restore - a new version with the content of an old one */
#include "write.h"

#include "pct.h"

enum { ASYNC, WAIT, NODE, JSON };

static int run(const struct call *call)
{
	const char *path = call->operands[0], *version = call->operands[1];
	struct exchange exchange = EXCHANGE_INIT;
	struct client *client = NULL;
	struct buf target = BUF_INIT;
	struct write write;
	struct err err = ERR_INIT;
	int status;

	if (write_init(&write, call->values[ASYNC], call->values[WAIT], &err) < 0)
		return command_misused(call->command, "%s", err.text);
	write.json = call->values[JSON] != NULL;
	target_of(&target, path);
	buf_adds(&target, "?restore=");
	pct_encode_component(&target, str_of(version));
	exchange.method = "POST";
	exchange.target = buf_str(&target);
	exchange.headers[0] = "Content-Type:";	/* curl would say that a form comes */
	write_ask(&write, &exchange);
	if (client_open(&client, call->values[NODE], &err) < 0 ||
	    client_send(client, &exchange, &err) < 0)
		status = command_fail(&err);
	else
		status = write_told(&write, &exchange, path);
	exchange_clear(&exchange);
	client_close(client);
	buf_clear(&target);
	return status;
}

static const struct command_option options[] = {
	[ASYNC] = OPTION_ASYNC, [WAIT] = OPTION_WAIT, [NODE] = OPTION_NODE, [JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_restore = {
	.name = "restore",
	.operands = "PATH VERSION",
	.summary = "Make the content of an old version the newest",
	.details = "Prints the new version. covey log PATH lists what there is to restore.",
	.options = options,
	.least = 2,
	.most = 2,
	.run = run,
};
