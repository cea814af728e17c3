/*
 * covey ls - what a directory holds, and with -R all below it
 *
 * The rows of a sub-directory come right behind its own, each by its path
 * from the directory that was asked for.
 */
#include "ask.h"
#include "progress.h"
#include "table.h"

#include "pct.h"

enum { LONG, RECURSIVE, DELETED, NODE, JSON };

struct listing {
	const struct call *call;
	struct client *client;
	struct table table;
	json_t *all;		/* with --json: what is printed at the end; else NULL */
	struct buf path;	/* from the directory that was asked for, exact bytes: "", "a/b/" */
	struct buf target;	/* of the directory at hand, percent-encoded: "/docs/a/b/" */
};

static void add_name(struct buf *to, const json_t *entry)
{
	if (pct_decode(to, entry_name(entry)) < 0)
		buf_adds(to, json_text(entry, "name"));
	if (entry_is_directory(entry))
		buf_addc(to, '/');
}

static void add_row(struct listing *listing, const json_t *entry)
{
	bool file = strcmp(json_text(entry, "type"), "file") == 0;
	char size[SIZE_TEXT], time[32];
	struct buf name = BUF_INIT;

	if (listing->call->values[LONG] != NULL) {
		table_add(&listing->table, file ? size_text(size, json_number(entry, "size")) : "-");
		table_add(&listing->table, time_text(time, json_text(entry, "time")));
		table_add(&listing->table, json_text(entry, "version"));
	}
	buf_addstr(&name, buf_str(&listing->path));
	add_name(&name, entry);
	table_add(&listing->table, name.data);
	buf_clear(&name);
}

/* The href of what is further down is from the top, too. */
static void add_json(struct listing *listing, json_t *entry)
{
	struct buf text = BUF_INIT;

	if (listing->path.len > 0) {
		pct_encode(&text, buf_str(&listing->path));
		buf_addf(&text, "%.*s%s", STR_ARG(entry_name(entry)), entry_is_directory(entry) ? "/" : "");
		json_object_set_new(entry, "href", json_stringn(text.data, text.len));
	}
	json_array_append(listing->all, entry);
	buf_clear(&text);
}

static void shorten(struct buf *buf, size_t n)
{
	buf->len = n;
	if (buf->data != NULL)
		buf->data[n] = '\0';
}

static int list(struct listing *, const char *what);

static int list_below(struct listing *listing, const json_t *entry)
{
	size_t path = listing->path.len, target = listing->target.len;
	struct str name = entry_name(entry);
	int status;

	if (name.n == 0)
		return 0;	/* it would be this directory again */
	add_name(&listing->path, entry);
	buf_addf(&listing->target, "%.*s/", STR_ARG(name));
	status = list(listing, listing->target.data);
	shorten(&listing->path, path);
	shorten(&listing->target, target);
	return status;
}

/* what names the directory in errors */
static int list(struct listing *listing, const char *what)
{
	bool deleted = listing->call->values[DELETED] != NULL;
	bool recursive = listing->call->values[RECURSIVE] != NULL;
	struct buf target = BUF_INIT;
	json_t *entries, *entry;
	int status;
	size_t i;

	buf_addf(&target, "%s?format=json%s", listing->target.data, deleted ? "&deleted" : "");
	status = ask_json_by(listing->client, buf_str(&target), what, &entries);
	buf_clear(&target);
	if (status != 0)
		return status;
	json_array_foreach(entries, i, entry) {
		if (listing->all != NULL)
			add_json(listing, entry);
		else
			add_row(listing, entry);
		if (recursive && entry_is_directory(entry)) {
			int below = list_below(listing, entry);

			status = status ? status : below;
		}
	}
	json_decref(entries);
	return status;
}

static int list_all(struct listing *listing, const char *path)
{
	int status;

	target_of(&listing->target, path);
	if (!str_ends(buf_str(&listing->target), STR("/")))
		buf_addc(&listing->target, '/');
	status = list(listing, path);
	if (listing->all == NULL) {
		table_print(&listing->table);
	} else if (status == 0 || json_array_size(listing->all) > 0) {
		int printed = print_json(listing->all);

		status = status ? status : printed;
	}
	json_decref(listing->all);
	buf_clear(&listing->path);
	buf_clear(&listing->target);
	return status;
}

static int run(const struct call *call)
{
	bool is_long = call->values[LONG] != NULL;
	struct listing listing = {
		.call = call,
		.table = TABLE_INIT(is_long ? 4 : 1, is_long ? 1 : 0),
		.path = BUF_INIT,
		.target = BUF_INIT,
	};
	struct err err = ERR_INIT;
	int status;

	if (client_open(&listing.client, call->values[NODE], &err) < 0)
		return command_fail(&err);
	if (call->values[JSON] != NULL)
		listing.all = json_array();
	status = list_all(&listing, call->count ? call->operands[0] : "/");
	client_close(listing.client);
	return status;
}

static const struct command_option options[] = {
	[LONG] = { "long", 'l', NULL, "size, time and version too" },
	[RECURSIVE] = { "recursive", 'R', NULL, "all that is below it, too" },
	[DELETED] = { "deleted", 0, NULL, "deleted files too" },
	[NODE] = OPTION_NODE, [JSON] = OPTION_JSON, OPTION_END,
};

const struct command command_ls = {
	.name = "ls",
	.operands = "[DIRECTORY]",
	.summary = "List a directory",
	.options = options,
	.most = 1,
	.run = run,
};
