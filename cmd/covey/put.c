/* covey put - files become versions */
#include "crew.h"
#include "trees.h"
#include "upload.h"

enum { RECURSIVE, CHECKSUM, TYPE, QUIET, ASYNC, WAIT, NODE, JSON };

struct put {
	struct client *client;
	const char *type;	/* of --type, or NULL */
	struct write write;
};

static int put_one(struct put *put, struct upload *upload, const char *file, const char *path)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct err err = ERR_INIT;
	int status;

	if (put->type != NULL)
		buf_addf(&upload->type, "Content-Type: %s", put->type);
	target_of(&upload->target, path);
	if (upload_open(upload, file, &err) < 0)
		return command_fail(&err);
	upload_fill(&exchange, upload);
	exchange.progress = file;
	write_ask(&put->write, &exchange);
	if (client_send(put->client, &exchange, &err) < 0) {
		if (!client_lost(put->client))
			err_context(&err, "put %s", file);
		status = command_fail(&err);
	} else {
		status = write_told(&put->write, &exchange, path);
	}
	exchange_clear(&exchange);
	return status;
}

/* Into a directory a file goes by its own name. */
static int put_to(struct put *put, const char *file, const char *to)
{
	struct upload upload = UPLOAD_INIT;
	const char *slash = strrchr(file, '/');
	struct buf path = BUF_INIT;
	int status;

	buf_adds(&path, to);
	if (str_ends(str_of(to), STR("/")))
		buf_adds(&path, slash ? slash + 1 : file);
	status = put_one(put, &upload, file, path.data);
	upload_clear(&upload);
	buf_clear(&path);
	return status;
}

static int put_all(const struct call *call, const struct write *write)
{
	struct tree_options options = { .url = call->values[NODE],
					.checksum = call->values[CHECKSUM] != NULL };

	if (call->values[TYPE] != NULL)
		return command_misused(call->command, "-r goes without --type");
	if (call->count != 2)
		return command_misused(call->command, "-r takes a DIRECTORY here and one there");
	return put_tree(call->operands[0], call->operands[1], write, &options);
}

static int run(const struct call *call)
{
	int files = call->count - 1;
	const char *to = call->operands[files];
	bool directory = str_ends(str_of(to), STR("/"));
	struct put put = { .type = call->values[TYPE] };
	struct err err = ERR_INIT;
	int status = 0;

	if (write_init(&put.write, call->values[ASYNC], call->values[WAIT], &err) < 0)
		return command_misused(call->command, "%s", err.text);
	put.write.json = call->values[JSON] != NULL;
	put.write.quiet = call->values[QUIET] != NULL;
	if (call->values[RECURSIVE] != NULL)
		return put_all(call, &put.write);
	if (call->values[CHECKSUM] != NULL)
		return command_misused(call->command, "--checksum goes with -r");
	for (int i = 0; i < files; i++)
		if (directory && strcmp(call->operands[i], "-") == 0)
			return command_misused(call->command, "standard input has no name: give a PATH");
	if (files > 1 && !directory)
		return command_misused(call->command, "several files go into a DIRECTORY/");
	if (client_open(&put.client, call->values[NODE], &err) < 0)
		return command_fail(&err);
	for (int i = 0; i < files; i++) {
		int one = put_to(&put, call->operands[i], to);

		status = status_worse(status, one);
	}
	client_close(put.client);
	return status;
}

static const struct command_option options[] = {
	[RECURSIVE] = { "recursive", 'r', NULL, "all that is in one DIRECTORY here, into another there" },
	[CHECKSUM] = OPTION_CHECKSUM,
	[TYPE] = { "type", 't', "TYPE", "content type, when it is not what the name suggests" },
	[QUIET] = { "quiet", 'q', NULL, "do not print the version" },
	[ASYNC] = OPTION_ASYNC,
	[WAIT] = OPTION_WAIT,
	[NODE] = OPTION_NODE,
	[JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_put = {
	.name = "put",
	.operands = "FILE... PATH|DIRECTORY/ | -r DIRECTORY DIRECTORY/",
	.summary = "Store files; \"-\" is standard input",
	.details = "Prints the version and path of each.  75 is the status when the group has not\n"
		   "confirmed one in time: it is on the node's disk then, and goes on by itself.\n"
		   "With -r files that are the same there, by size and time, are not sent again, so that\n"
		   "saying it once more goes on with what was interrupted.",
	.options = options,
	.least = 2,
	.most = -1,
	.run = run,
};
