/* covey check - which node has which version: covey-check by its short name */
#include "command.h"
#include "programs.h"

#include "mem.h"

#include <unistd.h>

static int run(const struct call *call)
{
	char **arguments = mem_new((size_t)call->count + 2, sizeof *arguments);
	struct err err = ERR_INIT;

	if (program_find("covey-check", &arguments[0], &err) == 0) {
		memcpy(arguments + 1, call->operands, (size_t)call->count * sizeof *arguments);
		execv(arguments[0], arguments);
		err_sys(&err, "start %s", arguments[0]);
	}
	free(arguments[0]);
	free(arguments);
	command_fail(&err);
	return EX_UNAVAILABLE;
}

static const struct command_option options[] = { OPTION_END };

const struct command command_check = {
	.name = "check",
	.operands = "[OPTION...] PATH...",
	.summary = "Tell which node has which version; see covey-check(1)",
	.options = options,
	.most = -1,
	.passes_on = true,
	.run = run,
};
