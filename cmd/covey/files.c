/*
 * files - get, put, rm, ls, log, restore and check: what is asked of a node about its files
 */
#include "local.h"
#include "output.h"
#include "transfer.h"
#include "trees.h"

#include "mem.h"
#include "path.h"
#include "pct.h"

#include <fcntl.h>
#include <unistd.h>

/* Send a write, and tell its outcome; the exit status. */
static int write_one(const struct write *write, struct client *client, struct exchange *exchange,
		     const char *path)
{
	struct err err = ERR_INIT;
	int status;

	if (write_send(write, client, exchange, &err) < 0)
		status = command_fail(&err);
	else
		status = write_told(write, exchange, path, NULL);
	exchange_clear(exchange);
	return status;
}

/* "2026-11-22T11:07:24.123456001Z" as people want it: without the fraction, with a space. */
static const char *time_text(char to[32], const char *time)
{
	size_t n = strcspn(time, ".Z");

	snprintf(to, 32, "%.*s", (int)(n < 31 ? n : 31), time);
	if (strlen(to) > 10 && to[10] == 'T')
		to[10] = ' ';
	return to;
}

/* covey get */

enum { GET_RECURSIVE, GET_CHECKSUM, GET_QUIET, GET_OUTPUT, GET_NAMED, GET_VERSION, GET_NODE };

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

static int get_one(struct client *client, const struct arguments *args, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *file = args->values[GET_NAMED] ? (slash ? slash + 1 : path) : args->values[GET_OUTPUT];
	struct download_to out = { .out = STDOUT_FILENO,
				   .terminal = file == NULL && isatty(STDOUT_FILENO) };
	struct buf target = BUF_INIT;
	int status;

	target_of(&target, path);
	if (args->values[GET_VERSION] != NULL) {
		buf_adds(&target, "?version=");
		pct_encode_component(&target, str_of(args->values[GET_VERSION]));
	}
	if (file == NULL || (strcmp(file, "-") == 0 && !args->values[GET_NAMED]))
		status = download(client, buf_str(&target), path, &out);
	else
		status = get_into(client, buf_str(&target), path, file);
	buf_clear(&target);
	return status;
}

static int get_directory(const struct arguments *args)
{
	const struct tree_options options = { .url = args->values[GET_NODE],
					      .checksum = args->values[GET_CHECKSUM] != NULL,
					      .quiet = args->values[GET_QUIET] != NULL };

	if (args->values[GET_OUTPUT] || args->values[GET_NAMED] || args->values[GET_VERSION])
		return command_misused(args->command, "-r goes without -o, -O and -v");
	if (args->count != 2)
		return command_misused(args->command, "-r takes a DIRECTORY there and one here");
	return get_tree(args->operands[0], args->operands[1], &options);
}

static int get_run(const struct arguments *args)
{
	struct client *client = NULL;
	struct err err = ERR_INIT;
	int status = 0;

	if (args->values[GET_RECURSIVE] != NULL)
		return get_directory(args);
	if (args->values[GET_CHECKSUM] || args->values[GET_QUIET])
		return command_misused(args->command, "--checksum and -q go with -r");
	if (args->values[GET_OUTPUT] && args->values[GET_NAMED])
		return command_misused(args->command, "-o and -O exclude each other");
	if (args->values[GET_OUTPUT] && args->count > 1)
		return command_misused(args->command, "several files go by their own names: -O");
	for (int i = 0; i < args->count; i++)
		if (args->operands[i][0] == '\0' || str_ends(str_of(args->operands[i]), STR("/")))
			return command_misused(args->command, "\"%s\" is a directory: covey ls %s shows it, "
					       "covey get -r %s DIR fetches it", args->operands[i],
					       args->operands[i], args->operands[i]);
	if (client_open(&client, args->values[GET_NODE], &err) < 0)
		return command_fail(&err);
	for (int i = 0; i < args->count; i++)
		status = status_worse(status, get_one(client, args, args->operands[i]));
	client_close(client);
	return status;
}

static const struct command_option get_options[] = {
	[GET_RECURSIVE] = { "recursive", 'r', NULL, "fetch all that is in DIRECTORY/ into a directory here" },
	[GET_CHECKSUM] = OPTION_CHECKSUM,
	[GET_QUIET] = { "quiet", 'q', NULL, "with -r: do not print how many files came" },
	[GET_OUTPUT] = { "output", 'o', "FILE", "write to FILE; \"-\" is standard output, the default" },
	[GET_NAMED] = { "own-name", 'O', NULL, "write to a file of its own name, here" },
	[GET_VERSION] = { "version", 'v', "VERSION", "this version, not the newest" },
	[GET_NODE] = OPTION_NODE,
	OPTION_END,
};

const struct command command_get = {
	.name = "get",
	.operands = "PATH... | -r DIRECTORY/ DIRECTORY",
	.summary = "Fetch files",
	.details = "A file appears when it is whole and its digest is right. Its time is that of its\n"
		   "version. An interrupted download is in FILE.VERSION.part, and is continued.\n"
		   "With -r files that are the same here, by size and time, are left out, so another\n"
		   "run continues one that was interrupted.",
	.options = get_options,
	.least = 1,
	.most = -1,
	.run = get_run,
};

/* covey put */

enum { PUT_RECURSIVE, PUT_CHECKSUM, PUT_TYPE, PUT_QUIET, PUT_ASYNC, PUT_WAIT, PUT_NODE, PUT_JSON };

struct put {
	struct client *client;
	const char *type;	/* of --type, or NULL */
	struct write write;
};

/* Into a directory a file goes by its own name. */
static int put_one(const struct put *put, const char *file, const char *to)
{
	struct upload upload = UPLOAD_INIT;
	struct exchange exchange = EXCHANGE_INIT;
	const char *slash = strrchr(file, '/');
	struct buf path = BUF_INIT;
	struct err err = ERR_INIT;
	int status;

	buf_adds(&path, to);
	if (str_ends(str_of(to), STR("/")))
		buf_adds(&path, slash ? slash + 1 : file);
	target_of(&upload.target, path.data);
	if (put->type != NULL)
		buf_addf(&upload.type, "Content-Type: %s", put->type);
	exchange.progress = file;
	if (upload_open(&upload, file, &err) < 0)
		status = command_fail(&err);
	else
		status = upload_send(&upload, put->client, &put->write, &exchange);
	if (status == 0)
		status = write_told(&put->write, &exchange, path.data, NULL);
	exchange_clear(&exchange);
	upload_clear(&upload);
	buf_clear(&path);
	return status;
}

static int put_directory(const struct arguments *args, const struct write *write)
{
	struct tree_options options = { .url = args->values[PUT_NODE],
					.checksum = args->values[PUT_CHECKSUM] != NULL };

	if (args->values[PUT_TYPE] != NULL)
		return command_misused(args->command, "-r goes without --type");
	if (args->count != 2)
		return command_misused(args->command, "-r takes a DIRECTORY here and one there");
	return put_tree(args->operands[0], args->operands[1], write, &options);
}

static int put_run(const struct arguments *args)
{
	int files = args->count - 1;
	const char *to = args->operands[files];
	bool directory = str_ends(str_of(to), STR("/"));
	struct put put = { .type = args->values[PUT_TYPE] };
	struct err err = ERR_INIT;
	int status = 0;

	if (write_init(&put.write, args->values[PUT_ASYNC], args->values[PUT_WAIT], &err) < 0)
		return command_misused(args->command, "%s", err.text);
	put.write.json = args->values[PUT_JSON] != NULL;
	put.write.quiet = args->values[PUT_QUIET] != NULL;
	if (args->values[PUT_RECURSIVE] != NULL)
		return put_directory(args, &put.write);
	if (args->values[PUT_CHECKSUM] != NULL)
		return command_misused(args->command, "--checksum goes with -r");
	for (int i = 0; i < files; i++)
		if (directory && strcmp(args->operands[i], "-") == 0)
			return command_misused(args->command, "standard input has no name: give a PATH");
	if (files > 1 && !directory)
		return command_misused(args->command, "several files go into a DIRECTORY/");
	if (client_open(&put.client, args->values[PUT_NODE], &err) < 0)
		return command_fail(&err);
	for (int i = 0; i < files; i++)
		status = status_worse(status, put_one(&put, args->operands[i], to));
	client_close(put.client);
	return status;
}

static const struct command_option put_options[] = {
	[PUT_RECURSIVE] = { "recursive", 'r', NULL, "store all that is in a directory here in DIRECTORY/" },
	[PUT_CHECKSUM] = OPTION_CHECKSUM,
	[PUT_TYPE] = { "type", 't', "TYPE", "content type, when it is not what the name suggests" },
	[PUT_QUIET] = { "quiet", 'q', NULL, "do not print the version" },
	[PUT_ASYNC] = OPTION_ASYNC,
	[PUT_WAIT] = OPTION_WAIT,
	[PUT_NODE] = OPTION_NODE,
	[PUT_JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_put = {
	.name = "put",
	.operands = "FILE... PATH|DIRECTORY/ | -r DIRECTORY DIRECTORY/",
	.summary = "Store files; \"-\" is standard input",
	.details = "Prints the version and path of each. The status is 75 when the group has not\n"
		   "confirmed one in time: it is on the node's disk, and the node takes it to the others.\n"
		   "With -r files that are the same there, by size and time, are left out, so another\n"
		   "run continues one that was interrupted.",
	.options = put_options,
	.least = 2,
	.most = -1,
	.run = put_run,
};

/* covey rm */

enum { RM_RECURSIVE, RM_ASYNC, RM_WAIT, RM_NODE, RM_JSON };

static int rm_path(struct client *client, const struct write *write, const char *path)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct buf target = BUF_INIT;
	int status;

	target_of(&target, path);
	exchange.method = "DELETE";
	exchange.target = buf_str(&target);
	status = write_one(write, client, &exchange, path);
	buf_clear(&target);
	return status;
}

static int rm_one(struct client *client, const struct arguments *args, const struct write *write,
		  const char *path)
{
	const struct tree_options options = { .url = args->values[RM_NODE] };
	bool found = false;
	int status = 0;

	if (args->values[RM_RECURSIVE] != NULL && path[strspn(path, "/")] == '\0') {
		command_say("rm -r %s: that is all there is: name what is in it", path);
		return EX_USAGE;
	}
	if (args->values[RM_RECURSIVE] != NULL)
		status = remove_tree(path, write, &options, &found);
	return found || status != 0 ? status : rm_path(client, write, path);
}

static int rm_run(const struct arguments *args)
{
	struct client *client = NULL;
	struct write write;
	struct err err = ERR_INIT;
	int status = 0;

	if (write_init(&write, args->values[RM_ASYNC], args->values[RM_WAIT], &err) < 0)
		return command_misused(args->command, "%s", err.text);
	write.json = args->values[RM_JSON] != NULL;
	write.quiet = true;
	if (client_open(&client, args->values[RM_NODE], &err) < 0)
		return command_fail(&err);
	for (int i = 0; i < args->count; i++)
		status = status_worse(status, rm_one(client, args, &write, args->operands[i]));
	client_close(client);
	return status;
}

static const struct command_option rm_options[] = {
	[RM_RECURSIVE] = { "recursive", 'r', NULL, "also remove directories, with all that is in them" },
	[RM_ASYNC] = OPTION_ASYNC, [RM_WAIT] = OPTION_WAIT, [RM_NODE] = OPTION_NODE, [RM_JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_rm = {
	.name = "rm",
	.operands = "PATH...",
	.summary = "Delete files, or empty directories (with a slash at the end)",
	.details = "A deletion is a version like any other: covey log lists the versions before it, and\n"
		   "covey restore brings one back.",
	.options = rm_options,
	.least = 1,
	.most = -1,
	.run = rm_run,
};

/* covey ls */

enum { LS_LONG, LS_RECURSIVE, LS_DELETED, LS_NODE, LS_JSON };

/*
 * The rows of a sub-directory come right behind its own, each by its path
 * from the directory that was asked for.  A hostile node could tell of
 * directories without end, so ls -R stops at these limits.
 */
#define LS_ROWS 2000000u
#define LS_BYTES (1u << 30)

struct ls {
	const struct arguments *args;
	struct client *client;
	struct table table;
	size_t rows, bytes;	/* rows added, bytes of all answers so far */
	bool full;		/* -R: more than LS_ROWS or LS_BYTES came, and the rest is left out */
	json_t *all;		/* with --json: what is printed at the end; else NULL */
	struct buf path;	/* from the directory that was asked for, exact bytes: "", "a/b/" */
	struct buf target;	/* of the directory at hand, percent-encoded: "/docs/a/b/" */
};

static void ls_add_name(struct buf *to, const json_t *entry)
{
	if (pct_decode(to, entry_name(entry)) < 0)
		buf_adds(to, json_text(entry, "name"));
	if (entry_is_directory(entry))
		buf_addc(to, '/');
}

static void ls_add_row(struct ls *ls, const json_t *entry)
{
	bool file = strcmp(json_text(entry, "type"), "file") == 0;
	char size[SIZE_TEXT], time[32];
	struct buf name = BUF_INIT;

	if (ls->args->values[LS_LONG] != NULL) {
		table_add(&ls->table, file ? size_text(size, json_number(entry, "size")) : "-");
		table_add(&ls->table, time_text(time, json_text(entry, "time")));
		table_add(&ls->table, json_text(entry, "version"));
	}
	buf_addstr(&name, buf_str(&ls->path));
	ls_add_name(&name, entry);
	table_add(&ls->table, name.data);
	buf_clear(&name);
}

/* The href of an entry further down also begins at the directory that was asked for. */
static void ls_add_json(struct ls *ls, json_t *entry)
{
	struct buf text = BUF_INIT;

	if (ls->path.len > 0) {
		pct_encode(&text, buf_str(&ls->path));
		buf_addf(&text, "%.*s%s", STR_ARG(entry_name(entry)), entry_is_directory(entry) ? "/" : "");
		json_object_set_new(entry, "href", json_stringn(text.data, text.len));
	}
	json_array_append(ls->all, entry);
	buf_clear(&text);
}

static void buf_shorten(struct buf *buf, size_t n)
{
	buf->len = n;
	if (buf->data != NULL)
		buf->data[n] = '\0';
}

static int ls_directory(struct ls *, const char *what);

static int ls_below(struct ls *ls, const json_t *entry)
{
	size_t path = ls->path.len, target = ls->target.len;
	struct str name = entry_name(entry);
	int status;

	if (name.n == 0)
		return 0;	/* it would be this directory again */
	ls_add_name(&ls->path, entry);
	buf_addf(&ls->target, "%.*s/", STR_ARG(name));
	if (ls->path.len > PATH_BYTES + 1) {
		command_say("list %s: the path is longer than %d bytes", ls->target.data, PATH_BYTES);
		status = EX_PROTOCOL;
	} else {
		status = ls_directory(ls, ls->target.data);
	}
	buf_shorten(&ls->path, path);
	buf_shorten(&ls->target, target);
	return status;
}

/* what names the directory in errors */
static int ls_directory(struct ls *ls, const char *what)
{
	bool deleted = ls->args->values[LS_DELETED] != NULL;
	bool recursive = ls->args->values[LS_RECURSIVE] != NULL;
	struct buf target = BUF_INIT;
	json_t *entries, *entry;
	int status;
	size_t i;

	buf_addf(&target, "%s?format=json%s", ls->target.data, deleted ? "&deleted" : "");
	status = ask_json_by(ls->client, buf_str(&target), what, &entries, &ls->bytes);
	buf_clear(&target);
	if (status != 0)
		return status;
	json_array_foreach(entries, i, entry) {
		int below = 0;

		ls->full |= recursive && (ls->rows == LS_ROWS || ls->bytes > LS_BYTES);
		if (ls->full)
			break;
		ls->rows++;
		if (ls->all != NULL)
			ls_add_json(ls, entry);
		else
			ls_add_row(ls, entry);
		if (recursive && entry_is_directory(entry))
			below = ls_below(ls, entry);
		status = status ? status : below;
	}
	json_decref(entries);
	return status;
}

static int ls_all(struct ls *ls, const char *path)
{
	int status;

	target_of(&ls->target, path);
	if (!str_ends(buf_str(&ls->target), STR("/")))
		buf_addc(&ls->target, '/');
	status = ls_directory(ls, path);
	if (ls->full) {
		command_say("ls %s: stopped: these are more than %u names or %u MB: list less of it at once", path,
			    LS_ROWS, LS_BYTES >> 20);
		status = status ? status : EX_DATAERR;
	}
	if (ls->all == NULL) {
		table_print(&ls->table);
	} else if (status == 0 || json_array_size(ls->all) > 0) {
		int printed = print_json(ls->all);

		status = status ? status : printed;
	}
	json_decref(ls->all);
	buf_clear(&ls->path);
	buf_clear(&ls->target);
	return status;
}

static int ls_run(const struct arguments *args)
{
	bool is_long = args->values[LS_LONG] != NULL;
	struct ls ls = {
		.args = args,
		.table = TABLE_INIT(is_long ? 4 : 1, is_long ? 1 : 0),
		.path = BUF_INIT,
		.target = BUF_INIT,
	};
	struct err err = ERR_INIT;
	int status;

	if (client_open(&ls.client, args->values[LS_NODE], &err) < 0)
		return command_fail(&err);
	if (args->values[LS_JSON] != NULL)
		ls.all = json_array();
	status = ls_all(&ls, args->count ? args->operands[0] : "/");
	client_close(ls.client);
	return status;
}

static const struct command_option ls_options[] = {
	[LS_LONG] = { "long", 'l', NULL, "also show size, time and version" },
	[LS_RECURSIVE] = { "recursive", 'R', NULL, "also list all that is below it" },
	[LS_DELETED] = { "deleted", 0, NULL, "also list deleted files" },
	[LS_NODE] = OPTION_NODE, [LS_JSON] = OPTION_JSON, OPTION_END,
};

const struct command command_ls = {
	.name = "ls",
	.operands = "[DIRECTORY]",
	.summary = "List a directory",
	.options = ls_options,
	.most = 1,
	.run = ls_run,
};

/* covey log */

enum { HISTORY_NODE, HISTORY_JSON };

/* Those of "deleted, current, conflict" that apply. */
static void log_add_marks(struct buf *to, const json_t *version)
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

static void log_print(const json_t *versions)
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
		log_add_marks(&marks, version);
		table_add(&table, marks.data ? marks.data : "");
		buf_clear(&marks);
	}
	table_print(&table);
}

static int log_run(const struct arguments *args)
{
	struct buf target = BUF_INIT;
	json_t *versions;
	int status;

	target_of(&target, args->operands[0]);
	buf_adds(&target, "?versions");
	status = ask_json(args->values[HISTORY_NODE], buf_str(&target), args->operands[0], &versions);
	buf_clear(&target);
	if (status != 0)
		return status;
	if (args->values[HISTORY_JSON])
		status = print_json(versions);
	else
		log_print(versions);
	json_decref(versions);
	return status;
}

static const struct command_option log_options[] = {
	[HISTORY_NODE] = OPTION_NODE, [HISTORY_JSON] = OPTION_JSON, OPTION_END,
};

const struct command command_log = {
	.name = "log",
	.operands = "PATH",
	.summary = "List the versions of a file, the newest first",
	.details = "conflict marks versions that were written without knowing of each other.",
	.options = log_options,
	.least = 1,
	.most = 1,
	.run = log_run,
};

/* covey restore */

enum { RESTORE_ASYNC, RESTORE_WAIT, RESTORE_NODE, RESTORE_JSON };

static int restore_run(const struct arguments *args)
{
	const char *path = args->operands[0], *version = args->operands[1];
	struct exchange exchange = EXCHANGE_INIT;
	struct client *client = NULL;
	struct buf target = BUF_INIT;
	struct write write;
	struct err err = ERR_INIT;
	int status;

	if (write_init(&write, args->values[RESTORE_ASYNC], args->values[RESTORE_WAIT], &err) < 0)
		return command_misused(args->command, "%s", err.text);
	write.json = args->values[RESTORE_JSON] != NULL;
	target_of(&target, path);
	buf_adds(&target, "?restore=");
	pct_encode_component(&target, str_of(version));
	exchange.method = "POST";
	exchange.target = buf_str(&target);
	exchange.headers[0] = "Content-Type:";	/* curl would say that a form comes */
	if (client_open(&client, args->values[RESTORE_NODE], &err) < 0)
		status = command_fail(&err);
	else
		status = write_one(&write, client, &exchange, path);
	client_close(client);
	buf_clear(&target);
	return status;
}

static const struct command_option restore_options[] = {
	[RESTORE_ASYNC] = OPTION_ASYNC,
	[RESTORE_WAIT] = OPTION_WAIT,
	[RESTORE_NODE] = OPTION_NODE,
	[RESTORE_JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_restore = {
	.name = "restore",
	.operands = "PATH VERSION",
	.summary = "Make the content of an old version the newest",
	.details = "Prints the new version. covey log PATH lists the versions that can be restored.",
	.options = restore_options,
	.least = 2,
	.most = 2,
	.run = restore_run,
};

/* covey check: covey-check by its short name */

static int check_run(const struct arguments *args)
{
	char **arguments = mem_new((size_t)args->count + 2, sizeof *arguments);
	struct err err = ERR_INIT;

	if (program_find("covey-check", &arguments[0], &err) == 0) {
		memcpy(arguments + 1, args->operands, (size_t)args->count * sizeof *arguments);
		execv(arguments[0], arguments);
		err_sys(&err, "start %s", arguments[0]);
	}
	free(arguments[0]);
	free(arguments);
	command_fail(&err);
	return EX_UNAVAILABLE;
}

static const struct command_option check_options[] = { OPTION_END };

const struct command command_check = {
	.name = "check",
	.operands = "[OPTION...] PATH...",
	.summary = "Tell which node has which version; see covey-check(1)",
	.options = check_options,
	.most = -1,
	.passes_on = true,
	.run = check_run,
};
