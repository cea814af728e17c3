/*
 * files - ls, log, restore and check: what is asked of a node about its files
 */
#include "client.h"
#include "local.h"
#include "output.h"

#include "mem.h"
#include "path.h"
#include "pct.h"

#include <unistd.h>

/* "2026-11-22T11:07:24.123456001Z" as people want it: without the fraction, with a space. */
static const char *time_text(char to[32], const char *time)
{
	size_t n = strcspn(time, ".Z");

	snprintf(to, 32, "%.*s", (int)(n < 31 ? n : 31), time);
	if (strlen(to) > 10 && to[10] == 'T')
		to[10] = ' ';
	return to;
}

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
	} else {
		json_decref(ls->all);
	}
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

static void log_show(json_t *versions)
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
	int status;

	target_of(&target, args->operands[0]);
	buf_adds(&target, "?versions");
	status = ask_and_show(args->values[HISTORY_NODE], buf_str(&target), args->operands[0],
			      args->values[HISTORY_JSON] != NULL, log_show);
	buf_clear(&target);
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
		status = write_one(&write, client, &exchange, path, NULL);
	exchange_clear(&exchange);
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
