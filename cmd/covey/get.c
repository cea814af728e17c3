/* covey get - the content of a file */
#include "crew.h"
#include "download.h"
#include "trees.h"

#include "pct.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECURSIVE, CHECKSUM, QUIET, OUTPUT, NAMED, VERSION, NODE };

/* A pipe or device is written as the content comes; a file is replaced when all is there. */
static int get_into(struct client *client, struct str target, const char *path, const char *file)
{
	struct download_to to = { .file = file, .dir = AT_FDCWD, .out = -1 };
	struct err err = ERR_INIT;
	struct stat st;
	int status;

	if (stat(file, &st) < 0 || S_ISREG(st.st_mode))
		return download(client, target, path, &to);
	to.file = NULL;
	to.out = open(file, O_WRONLY | O_CLOEXEC);
	if (to.out < 0) {
		err_sys(&err, "open %s", file);
		return command_fail(&err);
	}
	status = download(client, target, path, &to);
	close(to.out);
	return status;
}

static int get_one(struct client *client, const struct call *call, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *file = call->values[NAMED] ? (slash ? slash + 1 : path) : call->values[OUTPUT];
	struct download_to out = { .out = STDOUT_FILENO,
				   .terminal = file == NULL && isatty(STDOUT_FILENO) };
	struct buf target = BUF_INIT;
	int status;

	target_of(&target, path);
	if (call->values[VERSION] != NULL) {
		buf_adds(&target, "?version=");
		pct_encode_component(&target, str_of(call->values[VERSION]));
	}
	if (file == NULL || (strcmp(file, "-") == 0 && !call->values[NAMED]))
		status = download(client, buf_str(&target), path, &out);
	else
		status = get_into(client, buf_str(&target), path, file);
	buf_clear(&target);
	return status;
}

static int get_all(const struct call *call)
{
	const struct tree_options options = { .url = call->values[NODE],
					      .checksum = call->values[CHECKSUM] != NULL,
					      .quiet = call->values[QUIET] != NULL };

	if (call->values[OUTPUT] || call->values[NAMED] || call->values[VERSION])
		return command_misused(call->command, "-r goes without -o, -O and -v");
	if (call->count != 2)
		return command_misused(call->command, "-r takes a DIRECTORY there and one here");
	return get_tree(call->operands[0], call->operands[1], &options);
}

static int run(const struct call *call)
{
	struct client *client = NULL;
	struct err err = ERR_INIT;
	int status = 0;

	if (call->values[RECURSIVE] != NULL)
		return get_all(call);
	if (call->values[CHECKSUM] || call->values[QUIET])
		return command_misused(call->command, "--checksum and -q go with -r");
	if (call->values[OUTPUT] && call->values[NAMED])
		return command_misused(call->command, "-o and -O exclude each other");
	if (call->values[OUTPUT] && call->count > 1)
		return command_misused(call->command, "several files go by their own names: -O");
	for (int i = 0; i < call->count; i++)
		if (call->operands[i][0] == '\0' || str_ends(str_of(call->operands[i]), STR("/")))
			return command_misused(call->command, "\"%s\" is a directory: covey ls %s shows it, "
					       "covey get -r %s DIR fetches it", call->operands[i],
					       call->operands[i], call->operands[i]);
	if (client_open(&client, call->values[NODE], &err) < 0)
		return command_fail(&err);
	for (int i = 0; i < call->count; i++) {
		int one = get_one(client, call, call->operands[i]);

		status = status_worse(status, one);
	}
	client_close(client);
	return status;
}

static const struct command_option options[] = {
	[RECURSIVE] = { "recursive", 'r', NULL, "all that is in one DIRECTORY/, into another here" },
	[CHECKSUM] = OPTION_CHECKSUM,
	[QUIET] = { "quiet", 'q', NULL, "with -r: do not print how many came" },
	[OUTPUT] = { "output", 'o', "FILE", "write it there; \"-\" is standard output, the default" },
	[NAMED] = { "own-name", 'O', NULL, "write it here, by its own name" },
	[VERSION] = { "version", 'v', "VERSION", "that version, not the newest" },
	[NODE] = OPTION_NODE,
	OPTION_END,
};

const struct command command_get = {
	.name = "get",
	.operands = "PATH... | -r DIRECTORY/ DIRECTORY",
	.summary = "Fetch files",
	.details = "A file appears when it is whole and its digest is right; what an earlier try\n"
		   "left in FILE.VERSION.part is continued.  It has the time that the version has.\n"
		   "With -r files that are the same here, by size and time, are not fetched again, so\n"
		   "that saying it once more goes on with what was interrupted.",
	.options = options,
	.least = 1,
	.most = -1,
	.run = run,
};
