/*
 * covey-check - who has which version of PATH
 *
 * Asks this node's covey-versiond, which asks every member, and prints a
 * line per node.  The exit status is the worst over all paths:
 *
 *	0	this node's version is the newest
 *	1	another node has a newer one
 *	2	unknown: a member that has not left did not answer, or this
 *		node's covey-versiond is away
 *
 * and beyond that 64 wrong usage, 65 not a path, 74 output, 78 configuration.
 */
#include "call.h"
#include "conf.h"
#include "log.h"
#include "mem.h"
#include "path.h"
#include "pct.h"
#include "version_talk.h"

#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#define PATIENCE_MS 5000	/* for versiond, which answers after timeouts.check */
#define SHA256_SHORT 12		/* hexadecimal digits, for people */

enum verdict { NEWEST, OLDER, UNKNOWN };

struct row {
	struct nodes_row it;
	char name[MEMBER_NAME_MAX + 1];	/* it.name and it.type point into a packet that is gone */
	char type[RECORD_TYPE_MAX + 1];
	bool newest;
};

struct rows {
	struct row *list;	/* owned; this node first */
	size_t count;
};

struct options {
	char *socket;		/* owned */
	bool json, quiet, many;	/* many: paths are told apart in the output */
	int separator;		/* of paths on standard input */
};

static int usage(FILE *to)
{
	fputs("usage: covey-check [-q | --json] [-0] [-c FILE | --run DIR] PATH...\n"
	      "       ... | covey-check [-q | --json] [-0] [-c FILE | --run DIR] -\n"
	      "\n"
	      "Print which version of each PATH every node of the group has.\n"
	      "\n"
	      "  -c, --config FILE  configuration of this node (default: $COVEY_CONF, or\n"
	      "                     " CONF_FILE ", or where there is none\n"
	      "                     " CONF_FILE_HERE ")\n"
	      "      --run DIR      its directory of sockets, instead of a configuration\n"
	      "      --json         for programs: an array for one PATH; for several, or -,\n"
	      "                     one object a line\n"
	      "  -q, --quiet        print nothing: exit status alone\n"
	      "  -0, --null         paths on standard input end with a NUL, not a newline\n"
	      "  -h, --help         print this\n"
	      "      --version      print the version\n"
	      "  -                  read paths from standard input, as they are\n"
	      "\n"
	      "Exit status: 0 this node has the newest version, 1 another has a newer one,\n"
	      "2 unknown; with several paths the greatest. 64 and above: wrong usage or input.\n",
	      to);
	return to == stdout ? 0 : EX_USAGE;
}

/* asking */

static void rows_clear(struct rows *rows)
{
	free(rows->list);
	*rows = (struct rows){ .list = NULL, .count = 0 };
}

static void rows_add(struct rows *rows, const struct nodes_row *it)
{
	struct row *row;

	rows->list = mem_resize(rows->list, rows->count + 1, sizeof *rows->list);
	row = &rows->list[rows->count++];
	*row = (struct row){ .it = *it };
	snprintf(row->name, sizeof row->name, "%.*s", STR_ARG(it->name));
	snprintf(row->type, sizeof row->type, "%.*s", STR_ARG(it->type));
}

/* 1 another row, 0 that was the last, -1 */
static int next_row(struct asking *asking, struct rows *rows, struct err *err)
{
	struct nodes_row it;
	struct frame frame;
	int rc = -1;

	if (asking_next(asking, &frame, err) < 0)
		return -1;
	if (frame.type == VERSION_TALK_END)
		rc = 0;
	else if (frame.type == FRAME_FAILED)
		frame_failed_unpack(frame.body, err);
	else if (frame.type != VERSION_TALK_ROW)
		err_set(err, ERR_INVALID, "read answer: unknown type %u", frame.type);
	else
		rc = nodes_row_unpack(frame.body, &it, err) < 0 ? -1 : 1;
	/* Of a guest that is switched off nobody expects an answer. */
	if (rc == 1 && it.state != MEMBER_LEFT &&
	    !(it.state == MEMBER_STOPPED && it.roles & NODE_GUEST))
		rows_add(rows, &it);
	frame_close(&frame);
	return rc;
}

static int ask(const struct options *o, struct str path, struct rows *rows, struct err *err)
{
	struct asking asking = ASKING_INIT;
	struct nodes_ask wanted = { .path = path };
	struct buf body = BUF_INIT;
	int rc;

	nodes_ask_pack(&body, &wanted);
	rc = asking_start(&asking, o->socket, VERSION_TALK_NODES, buf_str(&body), PATIENCE_MS, err);
	if (rc == 0)
		while ((rc = next_row(&asking, rows, err)) == 1)
			;
	asking_end(&asking);
	buf_clear(&body);
	if (rc == 0 && rows->count == 0)
		rc = err_set(err, ERR_INVALID, "read answer: it does not tell of this node");
	return rc;
}

/* What stands there, or the newest deletion. */
static const struct record *record_of(const struct nodes_row *it)
{
	switch (record_name_kind(&it->record, &it->entry)) {
	case NAME_DIRECTORY:
		return &it->entry;
	case NAME_FILE:
		return &it->record;
	case NAME_ABSENT:
		break;
	}
	return version_cmp(it->entry.version, it->record.version) > 0 ? &it->entry : &it->record;
}

/* A directory's record is kept by the homes of its name alone: nobody else is older without it. */
static enum verdict judge(struct rows *rows)
{
	struct record file = { .flags = 0 }, entry = { .flags = 0 };
	bool silent = false, directory;
	struct version newest;

	for (size_t i = 0; i < rows->count; i++) {
		silent = silent || !rows->list[i].it.answered;
		record_take_newer(&file, &rows->list[i].it.record);
		record_take_newer(&entry, &rows->list[i].it.entry);
	}
	directory = record_is_live(&entry) || version_cmp(entry.version, file.version) > 0;
	newest = directory ? entry.version : file.version;
	for (size_t i = 0; i < rows->count; i++) {
		struct row *row = &rows->list[i];
		const struct record *told = directory ? &row->it.entry : &row->it.record;

		row->newest = row->it.answered && !version_is_none(newest) &&
			      version_cmp(told->version, newest) == 0;
	}
	if (rows->count == 0 || !rows->list[0].it.answered)
		return UNKNOWN;
	if (!version_is_none(newest) && !rows->list[0].newest &&
	    (!directory || rows->list[0].it.roles & NODE_HOME))
		return OLDER;
	return silent ? UNKNOWN : NEWEST;
}

/* telling */

static const char *what(const struct nodes_row *it)
{
	if (!it->answered)
		return it->state == MEMBER_UP ? "silent" : member_state_name(it->state);
	if (version_is_none(record_of(it)->version))
		return "none";
	if (record_of(it)->flags & RECORD_DIRECTORY && record_is_live(record_of(it)))
		return "directory";
	if (record_name_kind(&it->record, &it->entry) == NAME_ABSENT)
		return "deleted";
	return it->content ? "content" : "record";
}

/* What the node is for this path: each is told once, the most telling first. */
static const struct {
	enum node_role role;
	const char *name;
} roles[] = { { NODE_HOME, "home" }, { NODE_KEEPER, "keeper" }, { NODE_GUEST, "guest" } };
#define ROLES (sizeof roles / sizeof *roles)

static void roles_text(struct buf *text, uint8_t of)
{
	for (size_t i = 0; i < ROLES; i++)
		if (of & roles[i].role)
			buf_addf(text, "%s%s", text->len > 0 ? "," : "", roles[i].name);
	if (text->len == 0)
		buf_addc(text, '-');
}

static json_t *roles_json(uint8_t of)
{
	json_t *array = json_array();

	for (size_t i = 0; i < ROLES; i++)
		if (of & roles[i].role)
			json_array_append_new(array, json_string(roles[i].name));
	return array;
}

static bool has_content(const struct nodes_row *it)
{
	return it->answered && record_name_kind(&it->record, &it->entry) == NAME_FILE;
}

static void print_rows(const struct options *o, struct str path, const struct rows *rows)
{
	struct buf name = BUF_INIT, role = BUF_INIT;

	pct_encode(&name, path);
	for (size_t i = 0; i < rows->count; i++) {
		const struct nodes_row *it = &rows->list[i].it;
		char version[VERSION_TEXT] = "-", sha256[2 * SHA256_BYTES + 1] = "-", size[24] = "-";

		if (it->answered && !version_is_none(record_of(it)->version))
			version_format(version, record_of(it)->version);
		if (has_content(it)) {
			str_to_hex(sha256, it->record.sha256, SHA256_BYTES);
			snprintf(size, sizeof size, "%llu", (unsigned long long)it->record.size);
		}
		buf_reset(&role);
		roles_text(&role, it->roles);
		printf("%c %016llx %-12s %-11s %-9s %-46s %12s %-*.*s",
		       rows->list[i].newest ? '*' : '.', (unsigned long long)it->id,
		       rows->list[i].name, role.data, what(it), version, size, SHA256_SHORT,
		       SHA256_SHORT, sha256);
		if (it->answered)
			printf(" %6llums", (unsigned long long)it->age_ms);
		else
			printf(" %8s", "-");
		printf(o->many ? "  %s\n" : "\n", name.data);
	}
	buf_clear(&name);
	buf_clear(&role);
}

static void set_record(json_t *object, const struct row *row)
{
	const struct nodes_row *it = &row->it;
	char version[VERSION_TEXT], sha256[2 * SHA256_BYTES + 1];

	if (version_is_none(record_of(it)->version))
		return;
	json_object_set_new(object, "version",
			    json_string(version_format(version, record_of(it)->version)));
	json_object_set_new(object, "deleted",
			    json_boolean(record_name_kind(&it->record, &it->entry) == NAME_ABSENT));
	if (!has_content(it))
		return;
	str_to_hex(sha256, it->record.sha256, SHA256_BYTES);
	json_object_set_new(object, "size", json_integer((json_int_t)it->record.size));
	json_object_set_new(object, "sha256", json_string(sha256));
	if (row->type[0] != '\0')
		json_object_set_new(object, "type", json_string(row->type));
}

static json_t *row_json(const struct row *row, bool self)
{
	const struct nodes_row *it = &row->it;
	json_t *object = json_object();
	char text[ADDRESS_TEXT];

	snprintf(text, sizeof text, "%016llx", (unsigned long long)it->id);
	json_object_set_new(object, "node", json_string(text));
	json_object_set_new(object, "name", json_string(row->name));
	if (it->http.len > 0)
		json_object_set_new(object, "address", json_string(address_format(text, &it->http)));
	json_object_set_new(object, "state", json_string(member_state_name(it->state)));
	json_object_set_new(object, "roles", roles_json(it->roles));
	json_object_set_new(object, "self", json_boolean(self));
	json_object_set_new(object, "answered", json_boolean(it->answered));
	json_object_set_new(object, "newest", json_boolean(row->newest));
	if (it->answered) {
		json_object_set_new(object, "has", json_string(what(it)));
		json_object_set_new(object, "age_ms", json_integer((json_int_t)it->age_ms));
		set_record(object, row);
	}
	return object;
}

static void print_json(const struct options *o, struct str path, const struct rows *rows,
		       enum verdict verdict)
{
	static const char *const words[] = { "newest", "older", "unknown" };
	json_t *array = json_array(), *top = array;
	struct buf href = BUF_INIT;

	for (size_t i = 0; i < rows->count; i++)
		json_array_append_new(array, row_json(&rows->list[i], i == 0));
	if (o->many) {
		path_to_target(&href, path, false);
		top = json_pack("{s:s, s:s, s:o}", "href", href.data, "verdict", words[verdict],
				"nodes", array);
	}
	json_dumpf(top, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(top);
	buf_clear(&href);
}

/* paths */

/* One path, as written: "/docs/a", "./docs/a" and "docs/a" are the same.  An exit status. */
static int check(const struct options *o, struct str path)
{
	struct rows rows = { .list = NULL, .count = 0 };
	enum verdict verdict = UNKNOWN;
	struct err err = ERR_INIT;

	if (str_starts(path, STR("./")))
		path = (struct str){ .s = path.s + 2, .n = path.n - 2 };
	while (path.n > 0 && path.s[0] == '/')
		path = (struct str){ .s = path.s + 1, .n = path.n - 1 };
	if (path.n == 0)
		err_set(&err, ERR_INVALID, "check path: the root directory has no versions");
	if (path.n == 0 || path_check(path, &err) < 0) {
		log_err(LOG_LEVEL_ERROR, &err, "not a path");
		return EX_DATAERR;
	}
	if (ask(o, path, &rows, &err) < 0) {
		log_err(LOG_LEVEL_ERROR, &err, "ask covey-versiond");
		rows_clear(&rows);
	}
	verdict = judge(&rows);
	if (!o->quiet && o->json)
		print_json(o, path, &rows, verdict);
	else if (!o->quiet)
		print_rows(o, path, &rows);
	rows_clear(&rows);
	return (int)verdict;
}

static int check_input(const struct options *o)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int worst = 0;

	while ((n = getdelim(&line, &cap, o->separator, stdin)) > 0) {
		int status;

		if (line[n - 1] == o->separator)
			n--;
		status = check(o, (struct str){ .s = line, .n = (size_t)n });
		worst = status > worst ? status : worst;
	}
	free(line);
	return worst;
}

static int check_all(const struct options *o, int count, char **paths)
{
	int worst = 0;

	for (int i = 0; i < count; i++) {
		int status = strcmp(paths[i], "-") == 0 ? check_input(o)
							: check(o, str_of(paths[i]));

		worst = status > worst ? status : worst;
	}
	if (fflush(stdout) == EOF || ferror(stdout)) {
		log_line(LOG_LEVEL_ERROR, "write output: failed");
		return EX_IOERR;
	}
	return worst;
}

/* Where versiond listens, from the configuration or from --run. */
static int find_socket(struct options *o, const char *file, const char *run, struct err *err)
{
	struct conf conf = CONF_INIT;
	struct buf path = BUF_INIT;
	int rc = 0;

	if (run == NULL)
		rc = conf_load(&conf, file, err);
	if (rc == 0) {
		buf_addf(&path, "%s/version.sock", run ? run : conf.node.run);
		o->socket = buf_take(&path);
	}
	conf_clear(&conf);
	return rc;
}

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "run", required_argument, NULL, 'r' },
	{ "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "null", no_argument, NULL, '0' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

int main(int argc, char **argv)
{
	struct options o = { .separator = '\n' };
	const char *file = getenv("COVEY_CONF"), *run = NULL;
	struct err err = ERR_INIT;
	int c, status;

	signal(SIGPIPE, SIG_DFL);	/* a reader that has seen enough ends us, as any filter */
	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt_long(argc, argv, "c:q0h", long_options, NULL)) != -1) {
		switch (c) {
		case 'c': file = optarg; break;
		case 'r': run = optarg; break;
		case 'j': o.json = true; break;
		case 'q': o.quiet = true; break;
		case '0': o.separator = '\0'; break;
		case 'h': return usage(stdout);
		case 'V': return puts("covey-check " COVEY_VERSION) == EOF ? EX_IOERR : 0;
		default: return usage(stderr);
		}
	}
	if (optind == argc)
		return usage(stderr);
	log_open("covey-check", o.quiet);
	if (find_socket(&o, file && *file ? file : conf_default(), run, &err) < 0) {
		log_err(LOG_LEVEL_ERROR, &err, "find this node");
		return EX_CONFIG;
	}
	o.many = argc - optind > 1 || strcmp(argv[optind], "-") == 0;
	status = check_all(&o, argc - optind, argv + optind);
	free(o.socket);
	return status;
}
