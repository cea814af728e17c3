/* covey get - the content of a file */
#include "download.h"

#include "pct.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OUTPUT, NAMED, VERSION, NODE };

/* A pipe or device is written as the content comes; a file is replaced when all is there. */
static int get_into(struct client *client, struct str target, const char *path, const char *file)
{
	struct err err = ERR_INIT;
	struct stat st;
	int fd, status;

	if (stat(file, &st) < 0 || S_ISREG(st.st_mode))
		return download(client, target, path, file, -1);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		err_sys(&err, "open %s", file);
		return command_fail(&err);
	}
	status = download(client, target, path, NULL, fd);
	close(fd);
	return status;
}

static int get_one(struct client *client, const struct call *call, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *file = call->values[NAMED] ? (slash ? slash + 1 : path) : call->values[OUTPUT];
	struct buf target = BUF_INIT;
	int status;

	target_of(&target, path);
	if (call->values[VERSION] != NULL) {
		buf_adds(&target, "?version=");
		pct_encode_component(&target, str_of(call->values[VERSION]));
	}
	if (file == NULL || (strcmp(file, "-") == 0 && !call->values[NAMED]))
		status = download(client, buf_str(&target), path, NULL, STDOUT_FILENO);
	else
		status = get_into(client, buf_str(&target), path, file);
	buf_clear(&target);
	return status;
}

static int run(const struct call *call)
{
	struct client *client = NULL;
	struct err err = ERR_INIT;
	int status = 0;

	if (call->values[OUTPUT] && call->values[NAMED])
		return command_misused(call->command, "-o and -O exclude each other");
	if (call->values[OUTPUT] && call->count > 1)
		return command_misused(call->command, "several files go by their own names: -O");
	for (int i = 0; i < call->count; i++)
		if (call->operands[i][0] == '\0' || str_ends(str_of(call->operands[i]), STR("/")))
			return command_misused(call->command, "\"%s\" is a directory",
					       call->operands[i]);
	if (client_open(&client, call->values[NODE], &err) < 0)
		return command_fail(&err);
	for (int i = 0; i < call->count; i++) {
		int one = get_one(client, call, call->operands[i]);

		status = status ? status : one;
	}
	client_close(client);
	return status;
}

static const struct command_option options[] = {
	[OUTPUT] = { "output", 'o', "FILE", "write it there; \"-\" is standard output, the default" },
	[NAMED] = { "own-name", 'O', NULL, "write it here, by its own name" },
	[VERSION] = { "version", 'v', "VERSION", "that version, not the newest" },
	[NODE] = OPTION_NODE,
	OPTION_END,
};

const struct command command_get = {
	.name = "get",
	.operands = "PATH...",
	.summary = "Fetch files",
	.details = "A file appears when it is whole and its digest is right; what an earlier try\n"
		   "left in FILE.VERSION.part is continued.",
	.options = options,
	.least = 1,
	.most = -1,
	.run = run,
};
