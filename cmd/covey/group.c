/*
 * group - layout, peers and status: who is in the group, who keeps what, and how to change it
 *
 * What is shown any node tells by HTTP.  What is changed is asked of this
 * machine's covey-discoverd, so that whoever may only use the HTTP port
 * changes nothing.
 */
#include "client.h"
#include "local.h"
#include "output.h"

#include <inttypes.h>
#include <unistd.h>

/* "-" for nothing. */
static const char *or_dash(const char *text)
{
	return text[0] ? text : "-";
}

/* covey layout show */

static const char *layout_role(const json_t *layout, const json_t *member)
{
	bool in_a = json_flag(member, "in_a"), in_b = json_flag(member, "in_b");
	const char *lineage = json_text(member, "lineage"), *ours = json_text(layout, "lineage");

	if (json_flag(member, "other_key"))
		return "other key";	/* the node that was asked cannot open what it says */
	if (json_flag(member, "silent"))
		return "silent";	/* its disk forgot something */
	if (lineage[0] != '\0' && ours[0] != '\0' && strcmp(lineage, ours) != 0)
		return "other group";
	if (!json_flag(member, "home"))
		return "guest";
	if (!in_a)
		return "joining";
	if (json_flag(layout, "joint") && !in_b)
		return "leaving";
	return json_flag(member, "council") ? "home, council" : "home";
}

/* As covey layout show lists them, or, for covey peers, without what is of the layout alone. */
static void print_nodes(const json_t *layout, const json_t *nodes, bool peers)
{
	static const struct {
		const char *head, *key;		/* key NULL: it is worked out */
		bool number, layout_only;
	} columns[] = {
		{ .head = "NODE", .key = "node" },
		{ .head = "NAME", .key = "name" },
		{ .head = "ADDRESS", .key = "address" },
		{ .head = "STATE", .key = "state" },
		{ .head = "ROLE" },
		{ .head = "REGION", .key = "region", .layout_only = true },
		{ .head = "WEIGHT", .key = "weight", .number = true, .layout_only = true },
		{ .head = "EPOCH", .key = "epoch", .number = true },
	};
	struct table table = TABLE_INIT(peers ? 6 : 8, peers ? 1u << 5 : 1u << 6 | 1u << 7);

	for (size_t row = 0; row <= json_array_size(nodes); row++) {
		const json_t *node = row > 0 ? json_array_get(nodes, row - 1) : NULL;

		for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
			char number[24] = "";

			if (columns[i].layout_only && peers)
				continue;
			if (columns[i].number && node != NULL)
				snprintf(number, sizeof number, "%" PRIu64, json_number(node, columns[i].key));
			table_add(&table, node == NULL ? columns[i].head :
					  columns[i].number ? number :
					  columns[i].key == NULL ? layout_role(layout, node) :
					  or_dash(json_text(node, columns[i].key)));
		}
	}
	table_print(&table);
}

/* Of the members from here on, those that are up and of the same lineage as this one. */
static size_t count_apart(const json_t *members, size_t from, const char *lineage)
{
	size_t count = 0;

	for (size_t i = from; i < json_array_size(members); i++) {
		const json_t *member = json_array_get(members, i);

		count += strcmp(json_text(member, "state"), "up") == 0 &&
			 strcmp(json_text(member, "lineage"), lineage) == 0;
	}
	return count;
}

/* One line for each other group, at its first member in the list. */
static void print_apart(const json_t *layout)
{
	const json_t *members = json_object_get(layout, "members");
	const char *ours = json_text(layout, "lineage");

	for (size_t i = 0; ours[0] != '\0' && i < json_array_size(members); i++) {
		const char *lineage = json_text(json_array_get(members, i), "lineage");
		size_t all = count_apart(members, 0, lineage), here = count_apart(members, i, lineage);

		if (lineage[0] == '\0' || strcmp(lineage, ours) == 0 || all == 0 || here != all ||
		    count_apart(members, i + 1, lineage) == all)
			continue;
		printf("\n%zu node%s of lineage %s stay%s apart; covey layout adopt %s on one brings it "
		       "over\n", all, all == 1 ? "" : "s", lineage, all == 1 ? "s" : "", ours);
	}
}

static void print_left(const json_t *left)
{
	if (json_is_object(left))
		printf("forced away from lineage %s, epoch %" PRIu64 "\n", json_text(left, "lineage"),
		       json_number(left, "epoch"));
}

static void layout_show(json_t *layout)
{
	const json_t *keep = json_object_get(layout, "keep");
	uint64_t days = json_number(keep, "days");

	if (json_number(layout, "epoch") == 0)
		printf("no layout yet\n");
	else
		printf("lineage %s, epoch %" PRIu64 "%s\n", json_text(layout, "lineage"),
		       json_number(layout, "epoch"),
		       json_flag(layout, "joint") ? ", joint: it is about to change" : "");
	print_left(json_object_get(layout, "left"));
	printf("homes %" PRIu64 ", copies %" PRIu64 ", keep.versions %" PRIu64 ", keep.days %" PRIu64
	       "%s\n\n", json_number(layout, "homes"), json_number(layout, "copies"),
	       json_number(keep, "versions"), days, days == 0 ? " (content stays)" : "");
	print_nodes(layout, json_object_get(layout, "members"), false);
	print_apart(layout);
}

/* covey layout */

#define WITHIN_S 60			/* set, force, adopt: until covey-discoverd gives it up */
#define WITHIN_MAX_S 86400
#define ANSWER_MS 5000			/* more, for it to say so */

enum { LAYOUT_CONF, LAYOUT_NODE, LAYOUT_YES, LAYOUT_WITHIN, LAYOUT_JSON };

static int layout_print(const struct arguments *args)
{
	struct conf conf = CONF_INIT;
	const char *url = args->values[LAYOUT_NODE];
	char local[LOCAL_URL];
	int status = 0;

	if (args->values[LAYOUT_CONF] != NULL) {
		status = local_conf(&conf, args->values[LAYOUT_CONF]);
		if (status == 0)
			url = local_url(local, &conf);
		conf_clear(&conf);
	}
	return status != 0 ? status : ask_and_show(url, STR("/.covey/layout"), "layout",
						   args->values[LAYOUT_JSON] != NULL, layout_show);
}

/* changing */

/* The answers to CHANGE: 1 more to come, and its line is told; 0 it is done; -1. */
static int change_next(struct asking *asking, struct err *err)
{
	struct frame frame;
	int rc = -1;

	if (asking_next(asking, &frame, err) < 0)
		return -1;
	if (frame.type == DISCOVER_DONE)
		rc = 0;
	else if (frame.type == DISCOVER_PROGRESS)
		rc = 1;
	else if (frame.type == FRAME_FAILED)
		frame_failed_unpack(frame.body, err);
	else
		err_set(err, ERR_INVALID, "answer of unknown type %u", frame.type);
	if (rc == 1)
		fprintf(stderr, "covey: %.*s\n", STR_ARG(frame.body));
	frame_close(&frame);
	return rc;
}

/* Ask this machine's covey-discoverd for it; timeout_ms 0: without end.  The exit status. */
static int change(const struct conf *conf, const struct discover_change *wanted, uint64_t timeout_ms)
{
	struct asking asking = ASKING_INIT;
	struct buf body = BUF_INIT;
	struct err err = ERR_INIT;
	int rc;

	discover_change_pack(&body, wanted);
	rc = local_ask(&asking, conf, "discover.sock", DISCOVER_CHANGE, buf_str(&body), timeout_ms, &err);
	if (rc == 0)
		while ((rc = change_next(&asking, &err)) == 1)
			;
	asking_end(&asking);
	buf_clear(&body);
	if (rc == 0)
		return 0;
	err_context(&err, "ask covey-discoverd to change the layout");
	return command_fail(&err);
}

/* Without end, for what goes on by itself; or given up after --within. */
static int change_plainly(const struct arguments *args, const struct conf *conf, struct discover_change *wanted)
{
	(void)args;
	return change(conf, wanted, 0);
}

static int change_within(const struct arguments *args, const struct conf *conf, struct discover_change *wanted)
{
	uint64_t seconds = WITHIN_S;
	struct err err = ERR_INIT;

	if (args->values[LAYOUT_WITHIN] != NULL &&
	    command_number("--within", args->values[LAYOUT_WITHIN], 1, WITHIN_MAX_S, &seconds, &err) < 0)
		return command_misused(args->command, "%s", err.text);
	wanted->within_ms = (uint32_t)(seconds * 1000);
	return change(conf, wanted, wanted->within_ms + ANSWER_MS);
}

static const struct setting {
	const char *name;
	uint64_t min, max;
	uint64_t as_it_is;	/* what discover_talk.h calls no change */
} settings[] = {
	{ "homes", 1, LAYOUT_HOMES_MAX, 0 },
	{ "copies", 1, LAYOUT_COPIES_MAX, 0 },
	{ "keep.versions", 1, 1000000, 0 },
	{ "keep.days", 0, 36500, UINT32_MAX },
};
enum { HOMES, COPIES, KEEP_VERSIONS, KEEP_DAYS, SETTINGS };

/* "homes=5" */
static int read_setting(uint64_t numbers[SETTINGS], const char *text, struct err *err)
{
	struct str value = str_of(text), name;

	str_cut(&value, '=', &name);
	for (size_t i = 0; value.s != NULL && i < SETTINGS; i++)
		if (str_eq(name, str_of(settings[i].name)))
			return command_number(settings[i].name, value.s, settings[i].min,
					      settings[i].max, &numbers[i], err);
	return err_set(err, ERR_INVALID,
		       "\"%.40s\" is none of homes=N, copies=N, keep.versions=N, keep.days=N", text);
}

/* Whether confirmed writes need all members. */
static bool needs_all(uint64_t homes, uint64_t copies, uint64_t members)
{
	uint64_t asked = homes < members ? homes : members;

	return members > 1 && (copies >= members || asked / 2 + 1 == asked);
}

static void warn_of_none_to_spare(const struct layout *layout, const struct discover_change *wanted)
{
	size_t count = layout_members(layout, layout_is_joint(layout) ? LAYOUT_B : LAYOUT_A);
	uint8_t homes = wanted->homes != 0 ? wanted->homes : layout->homes;
	uint8_t copies = wanted->copies != 0 ? wanted->copies : layout->copies;

	if ((wanted->homes != 0 || wanted->copies != 0) && needs_all(homes, copies, count))
		fprintf(stderr, "covey: with homes=%u copies=%u of %zu members no node can be spared: while one that "
			"a write needs is away, the write is not confirmed (202)\n", homes, copies, count);
}

/* Of what will be dropped. */
static void warn_of_less(const struct layout *layout, const struct discover_change *wanted)
{
	uint32_t days = wanted->keep_days;

	if ((wanted->keep_versions != 0 && wanted->keep_versions < layout->keep_versions) ||
	    (days != UINT32_MAX && days != 0 && (layout->keep_days == 0 || days < layout->keep_days)))
		fprintf(stderr, "covey: each node drops in an hour what these numbers do not keep, and covey status "
			"tells how much; until then setting them back keeps it, and covey prune drops it "
			"now\n");
}

/* When the layout is not known, the change is tried without a warning. */
static int run_set(const struct arguments *args, const struct conf *conf, struct discover_change *wanted)
{
	struct view_client *view = NULL;
	uint64_t numbers[SETTINGS];
	struct err err = ERR_INIT;

	for (size_t i = 0; i < SETTINGS; i++)
		numbers[i] = settings[i].as_it_is;
	for (int i = 1; i < args->count; i++)
		if (read_setting(numbers, args->operands[i], &err) < 0)
			return command_misused(args->command, "%s", err.text);
	wanted->homes = (uint8_t)numbers[HOMES];
	wanted->copies = (uint8_t)numbers[COPIES];
	wanted->keep_versions = (uint32_t)numbers[KEEP_VERSIONS];
	wanted->keep_days = (uint32_t)numbers[KEEP_DAYS];
	if (local_view(conf, &view, NULL) == 0) {
		warn_of_none_to_spare(&view_client_view(view)->layout, wanted);
		warn_of_less(&view_client_view(view)->layout, wanted);
	}
	view_client_free(view);
	return change_within(args, conf, wanted);
}

/* forcing */

static void print_missing(const struct members *members, const struct layout *layout)
{
	for (size_t i = 0; i < layout->count; i++) {
		const struct member *m = members_find(members, layout->members[i].id);

		if (m == NULL || m->state != MEMBER_UP)
			printf("  %016llx %s%s\n", (unsigned long long)layout->members[i].id,
			       m ? m->name : "", layout->members[i].council ? ", council" : "");
	}
}

static void print_warning(const struct members *members, const struct layout *layout)
{
	printf("This node makes a new layout of the nodes that answer it, and asks no others.\n"
	       "Members of epoch %llu that do not answer, and will be left out:\n",
	       (unsigned long long)layout->epoch);
	print_missing(members, layout);
	printf("What may be lost: confirmed versions that only these know, and content that only\n"
	       "these keep.  Reads may then be confirmed that are older than what was confirmed\n"
	       "before.  If these nodes still work among themselves, there are two groups from now\n"
	       "on, which stay apart until covey layout adopt brings their nodes over.  Do this only\n"
	       "when they will not come back.\n");
	fflush(stdout);
}

static int run_force(const struct arguments *args, const struct conf *conf, struct discover_change *wanted)
{
	struct view_client *view;
	struct err err = ERR_INIT;

	if (local_view(conf, &view, &err) < 0)
		return command_fail(&err);
	print_warning(&view_client_view(view)->members, &view_client_view(view)->layout);
	view_client_free(view);
	if (args->values[LAYOUT_YES] == NULL && !isatty(STDIN_FILENO)) {
		fprintf(stderr, "covey layout: nothing was changed: say --yes\n");
		return EX_USAGE;
	}
	if (args->values[LAYOUT_YES] == NULL && !command_agreed(stdout)) {
		fprintf(stderr, "covey layout: nothing was changed\n");
		return EX_NOPERM;
	}
	return change_within(args, conf, wanted);
}

/* going over */

static int run_adopt(const struct arguments *args, const struct conf *conf, struct discover_change *wanted)
{
	if (str_hex64(str_of(args->operands[1]), &wanted->lineage) < 0 || wanted->lineage == 0)
		return command_misused(args->command, "\"%.40s\" is no lineage: 16 hex digits, as "
				       "covey layout show prints them", args->operands[1]);
	return change_within(args, conf, wanted);
}

/* forgetting */

/* By its id or its name.  A node that is up is not meant: it may have the name of the one that it replaced. */
static int find_gone(const struct members *members, const char *text, uint64_t *ret, struct err *err)
{
	uint64_t found = 0;

	if (str_hex64(str_of(text), ret) == 0 && *ret != 0)
		return 0;
	for (size_t i = 0; i < members->count; i++) {
		const struct member *m = &members->list[i];

		if (m->id == members->self || m->state == MEMBER_UP || strcmp(m->name, text) != 0)
			continue;
		if (found != 0)
			return err_set(err, ERR_INVALID, "several nodes are called %.40s: say the id of "
				       "one, as covey peers prints it", text);
		found = m->id;
	}
	if (found == 0)
		return err_set(err, ERR_ABSENT, "this node knows none called %.40s that is not up", text);
	*ret = found;
	return 0;
}

static int run_forget(const struct arguments *args, const struct conf *conf, struct discover_change *wanted)
{
	struct view_client *view;
	struct err err = ERR_INIT;
	int rc;

	if (local_view(conf, &view, &err) < 0)
		return command_fail(&err);
	rc = find_gone(&view_client_view(view)->members, args->operands[1], &wanted->node, &err);
	view_client_free(view);
	return rc < 0 ? command_fail(&err) : change(conf, wanted, 0);
}

/* the command */

static const struct verb {
	const char *name;
	int least, most;		/* operands behind it; most -1: no limit */
	struct discover_change wanted;
	int (*run)(const struct arguments *, const struct conf *, struct discover_change *);
} verbs[] = {
	{ "show", 0, 0, { .keep_days = 0 }, NULL },
	{ "set", 1, -1, { .what = CHANGE_SET }, run_set },
	{ "leave", 0, 0, { .what = CHANGE_LEAVE, .keep_days = UINT32_MAX }, change_plainly },
	{ "join", 0, 0, { .what = CHANGE_JOIN, .keep_days = UINT32_MAX }, change_plainly },
	{ "force", 0, 0, { .what = CHANGE_FORCE, .keep_days = UINT32_MAX }, run_force },
	{ "adopt", 1, 1, { .what = CHANGE_ADOPT, .keep_days = UINT32_MAX }, run_adopt },
	{ "forget", 1, 1, { .what = CHANGE_FORGET, .keep_days = UINT32_MAX }, run_forget },
};

static int layout_change(const struct arguments *args, const struct conf *conf, const struct verb *verb)
{
	struct discover_change wanted = verb->wanted;

	if (conf->group.key_file != NULL)
		return verb->run(args, conf, &wanted);
	fprintf(stderr, "covey layout: this node has no group.key_file: it is a group of one\n");
	return EX_UNAVAILABLE;
}

static int layout_run(const struct arguments *args)
{
	const struct verb *verb = NULL;
	struct conf conf = CONF_INIT;
	int operands = args->count - 1, status;

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(args->operands[0], verbs[i].name) == 0)
			verb = &verbs[i];
	if (verb == NULL)
		return command_misused(args->command, "%s: neither show, set, leave, join, force, adopt "
				       "nor forget", args->operands[0]);
	if (operands < verb->least)
		return command_misused(args->command, "%s: an operand is missing", verb->name);
	if (verb->most >= 0 && operands > verb->most)
		return command_misused(args->command, "%s: one operand too many", args->operands[operands]);
	if (verb->run == NULL)
		return layout_print(args);
	if (args->values[LAYOUT_NODE] != NULL)
		return command_misused(args->command, "--node is of show alone: the layout is changed "
				       "on the node itself");
	status = local_conf(&conf, args->values[LAYOUT_CONF]);
	if (status == 0)
		status = layout_change(args, &conf, verb);
	conf_clear(&conf);
	return status;
}

static const struct command_option layout_options[] = {
	[LAYOUT_CONF] = OPTION_CONF,
	[LAYOUT_NODE] = OPTION_NODE,
	[LAYOUT_YES] = { "yes", 'y', NULL, "force without a question" },
	[LAYOUT_WITHIN] = { "within", 0, "SECONDS", "set, force, adopt: give up after this time; default 60" },
	[LAYOUT_JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_layout = {
	.name = "layout",
	.operands = "show | set NAME=N... | leave | join | force | adopt LINEAGE | forget NODE",
	.summary = "Show who keeps what in the group, or change it",
	.details = "show asks any node; the other verbs work on this machine's node, which -c names.\n"
		   "set changes homes, copies, keep.versions or keep.days for the whole group.\n"
		   "leave takes this node out for good and waits until others keep what it kept.\n"
		   "join takes back a node that left.\n"
		   "force makes a layout of the nodes that are left when most are lost: a separate group.\n"
		   "adopt brings this node, and all that it knows, over to the group of that lineage.\n"
		   "forget takes a node that is gone, and no longer a member, off the list of peers.",
	.options = layout_options,
	.least = 1,
	.most = -1,
	.run = layout_run,
};

/* covey peers */

enum { PAGE_NODE, PAGE_JSON };		/* of status, too */

static const struct command_option page_options[] = {
	[PAGE_NODE] = OPTION_NODE, [PAGE_JSON] = OPTION_JSON, OPTION_END,
};

/* All members of the group that the layout's page lists, guests too, without the node itself. */
static json_t *peers_of(const json_t *layout)
{
	json_t *peers = json_array(), *member;
	size_t i;

	json_array_foreach(json_object_get(layout, "members"), i, member)
		if (!json_flag(member, "self"))
			json_array_append(peers, member);
	return peers;
}

static int peers_run(const struct arguments *args)
{
	json_t *layout, *peers;
	int status = ask_json(args->values[PAGE_NODE], STR("/.covey/layout"), "layout", &layout);

	if (status != 0)
		return status;
	peers = peers_of(layout);
	if (args->values[PAGE_JSON] == NULL && json_array_size(peers) == 0)
		fprintf(stderr, "covey: this node knows no others\n");
	else if (args->values[PAGE_JSON] == NULL)
		print_nodes(layout, peers, true);
	else
		status = print_json(json_incref(peers));
	json_decref(peers);
	json_decref(layout);
	return status;
}

const struct command command_peers = {
	.name = "peers",
	.operands = "",
	.summary = "List the other nodes of the group, as one node sees them",
	.details = "The state is up, suspect, down, stopped, left (for good) or incompatible. The role is\n"
		   "what a node is in the layout. One with another key says what this one cannot open\n"
		   "(covey key), or the other way round. A silent node lacks something that others remember\n"
		   "(covey node renew), or has just started and waits for another home to tell what it\n"
		   "remembers. A node of another group with the same key stays apart. The epoch is that\n"
		   "of the newest layout that the node has.",
	.options = page_options,
	.run = peers_run,
};

/* covey status */

static void status_add(struct table *table, const char *name, json_t *value)
{
	char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);

	table_add(table, name);
	table_add(table, text ? text : json_string_value(value));
	free(text);
}

/* "store.free  123": each value by its path; a list is shown by its length. */
static void status_add_all(struct table *table, const char *above, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		struct buf name = BUF_INIT;

		buf_addf(&name, "%s%s%s", above, above[0] ? "." : "", key);
		if (json_is_object(value)) {
			status_add_all(table, name.data, value);
		} else if (json_is_array(value)) {
			json_t *length = json_integer((json_int_t)json_array_size(value));

			status_add(table, name.data, length);
			json_decref(length);
		} else {
			status_add(table, name.data, value);
		}
		buf_clear(&name);
	}
}

static void status_show(json_t *answer)
{
	struct table table = TABLE_INIT(2, 0);

	status_add_all(&table, "", answer);
	table_print(&table);
}

static int status_run(const struct arguments *args)
{
	return ask_and_show(args->values[PAGE_NODE], STR("/.covey/status"), "status",
			    args->values[PAGE_JSON] != NULL, status_show);
}

const struct command command_status = {
	.name = "status",
	.operands = "",
	.summary = "Show how a node is",
	.options = page_options,
	.run = status_run,
};
