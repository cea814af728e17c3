/*
 * covey layout - who keeps what, and how to change it
 *
 * What is shown any node tells by HTTP.  What is changed is asked of this
 * machine's covey-discoverd, so that whoever may only use the HTTP port
 * changes nothing.
 */
#include "ask.h"
#include "roles.h"
#include "layout_show.h"
#include "local.h"

#include <unistd.h>

#define WITHIN_S 60			/* set, force, adopt: until covey-discoverd gives it up */
#define WITHIN_MAX_S 86400
#define ANSWER_MS 5000			/* more, for it to say so */

enum { CONF, NODE, YES, WITHIN, JSON };

static int show(const struct call *call)
{
	struct conf conf = CONF_INIT;
	const char *url = call->values[NODE];
	char local[LOCAL_URL];
	json_t *layout;
	int status = 0;

	if (call->values[CONF] != NULL) {
		status = local_conf(&conf, call->values[CONF]);
		if (status == 0)
			url = local_url(local, &conf);
		conf_clear(&conf);
	}
	if (status == 0)
		status = ask_json(url, STR("/.covey/layout"), "layout", &layout);
	if (status != 0)
		return status;
	if (call->values[JSON] != NULL)
		status = print_json(layout);
	else
		layout_show(layout);
	json_decref(layout);
	return status;
}

/* changing */

static void tell(struct str line)
{
	fprintf(stderr, "covey: %.*s\n", STR_ARG(line));
}

/* It takes as long as it takes. */
static int change(const struct conf *conf, const struct discover_change *wanted)
{
	struct err err = ERR_INIT;

	return roles_change(conf, wanted, 0, tell, &err) < 0 ? command_fail(&err) : 0;
}

/* The same, given up after --within. */
static int change_within(const struct call *call, const struct conf *conf,
			 struct discover_change *wanted)
{
	uint64_t seconds = WITHIN_S;
	struct err err = ERR_INIT;

	if (call->values[WITHIN] != NULL &&
	    command_number("--within", call->values[WITHIN], 1, WITHIN_MAX_S, &seconds, &err) < 0)
		return command_misused(call->command, "%s", err.text);
	wanted->within_ms = (uint32_t)(seconds * 1000);
	if (roles_change(conf, wanted, wanted->within_ms + ANSWER_MS, tell, &err) < 0)
		return command_fail(&err);
	return 0;
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

/* What confirmed writes need of so many members: all of them? */
static bool needs_all(uint64_t homes, uint64_t copies, uint64_t members)
{
	uint64_t asked = homes < members ? homes : members;

	return members > 1 && (copies >= members || asked / 2 + 1 == asked);
}

/* People should know before it is so; that the layout is not known is no reason not to try. */
static void warn_of_none_to_spare(const struct conf *conf, const struct discover_change *wanted)
{
	struct members members = MEMBERS_INIT;
	struct layout layout = LAYOUT_NONE;
	size_t count;
	uint8_t homes, copies;

	if ((wanted->homes == 0 && wanted->copies == 0) ||
	    roles_view(conf, &members, &layout, NULL) < 0)
		return;
	members_clear(&members);
	count = layout_members(&layout, layout_is_joint(&layout) ? LAYOUT_B : LAYOUT_A);
	homes = wanted->homes != 0 ? wanted->homes : layout.homes;
	copies = wanted->copies != 0 ? wanted->copies : layout.copies;
	if (needs_all(homes, copies, count))
		fprintf(stderr, "covey: with homes=%u copies=%u of %zu members no node can be spared: while one that "
			"a write needs is away, the write is not confirmed (202)\n", homes, copies, count);
}

/* The same of what they may lose. */
static void warn_of_less(const struct conf *conf, const struct discover_change *wanted)
{
	struct members members = MEMBERS_INIT;
	struct layout layout = LAYOUT_NONE;
	uint32_t days = wanted->keep_days;

	if (roles_view(conf, &members, &layout, NULL) < 0)
		return;
	members_clear(&members);
	if ((wanted->keep_versions != 0 && wanted->keep_versions < layout.keep_versions) ||
	    (days != UINT32_MAX && days != 0 && (layout.keep_days == 0 || days < layout.keep_days)))
		fprintf(stderr, "covey: each node drops in an hour what these numbers do not keep, and covey status "
			"tells how much; until then setting them back keeps it, and covey prune drops it "
			"now\n");
}

static int set(const struct call *call, const struct conf *conf)
{
	struct discover_change wanted = { .what = CHANGE_SET };
	uint64_t numbers[SETTINGS];
	struct err err = ERR_INIT;

	for (size_t i = 0; i < SETTINGS; i++)
		numbers[i] = settings[i].as_it_is;
	for (int i = 1; i < call->count; i++)
		if (read_setting(numbers, call->operands[i], &err) < 0)
			return command_misused(call->command, "%s", err.text);
	wanted.homes = (uint8_t)numbers[HOMES];
	wanted.copies = (uint8_t)numbers[COPIES];
	wanted.keep_versions = (uint32_t)numbers[KEEP_VERSIONS];
	wanted.keep_days = (uint32_t)numbers[KEEP_DAYS];
	warn_of_none_to_spare(conf, &wanted);
	warn_of_less(conf, &wanted);
	return change_within(call, conf, &wanted);
}

static int leave(const struct call *call, const struct conf *conf)
{
	const struct discover_change wanted = { .what = CHANGE_LEAVE, .keep_days = UINT32_MAX };

	(void)call;
	return change(conf, &wanted);	/* as long as its content is on its way */
}

static int join(const struct call *call, const struct conf *conf)
{
	const struct discover_change wanted = { .what = CHANGE_JOIN, .keep_days = UINT32_MAX };

	(void)call;
	return change(conf, &wanted);	/* as long as its records are on their way */
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

static bool agreed(void)
{
	char line[16] = "";

	printf("Type yes to go on: ");
	fflush(stdout);
	return fgets(line, sizeof line, stdin) != NULL && strcmp(line, "yes\n") == 0;
}

static int force(const struct call *call, const struct conf *conf)
{
	struct discover_change wanted = { .what = CHANGE_FORCE, .keep_days = UINT32_MAX };
	struct members members = MEMBERS_INIT;
	struct layout layout = LAYOUT_NONE;
	struct err err = ERR_INIT;
	int rc = roles_view(conf, &members, &layout, &err);

	if (rc == 0)
		print_warning(&members, &layout);
	members_clear(&members);
	if (rc < 0)
		return command_fail(&err);
	if (call->values[YES] == NULL && !isatty(STDIN_FILENO)) {
		fprintf(stderr, "covey layout: nothing was changed: say --yes\n");
		return EX_USAGE;
	}
	if (call->values[YES] == NULL && !agreed()) {
		fprintf(stderr, "covey layout: nothing was changed\n");
		return EX_NOPERM;
	}
	return change_within(call, conf, &wanted);
}

/* going over */

static int adopt(const struct call *call, const struct conf *conf)
{
	struct discover_change wanted = { .what = CHANGE_ADOPT, .keep_days = UINT32_MAX };

	if (call->count < 2)
		return command_misused(call->command, "adopt: an operand is missing");
	if (str_hex64(str_of(call->operands[1]), &wanted.lineage) < 0 || wanted.lineage == 0)
		return command_misused(call->command, "\"%.40s\" is no lineage: 16 hex digits, as "
				       "covey layout show prints them", call->operands[1]);
	return change_within(call, conf, &wanted);
}

/* forgetting */

/* By its id, or its name: of one that was replaced the new one may have that too, and is not meant. */
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

static int forget(const struct call *call, const struct conf *conf)
{
	struct discover_change wanted = { .what = CHANGE_FORGET, .keep_days = UINT32_MAX };
	struct members members = MEMBERS_INIT;
	struct layout layout = LAYOUT_NONE;
	struct err err = ERR_INIT;
	int rc;

	if (call->count < 2)
		return command_misused(call->command, "forget: an operand is missing");
	rc = roles_view(conf, &members, &layout, &err);
	if (rc == 0)
		rc = find_gone(&members, call->operands[1], &wanted.node, &err);
	members_clear(&members);
	return rc < 0 ? command_fail(&err) : change(conf, &wanted);
}

/* the command */

static int on_this_node(const struct call *call,
			int (*verb)(const struct call *, const struct conf *))
{
	struct conf conf = CONF_INIT;
	int status;

	if (call->values[NODE] != NULL)
		return command_misused(call->command, "--node is of show alone: the layout is changed "
				       "on the node itself");
	status = local_conf(&conf, call->values[CONF]);
	if (status == 0 && conf.group.key_file == NULL) {
		fprintf(stderr, "covey layout: this node has no group.key_file: it is a group of one\n");
		status = EX_UNAVAILABLE;
	}
	if (status == 0)
		status = verb(call, &conf);
	conf_clear(&conf);
	return status;
}

static int run(const struct call *call)
{
	static const struct {
		const char *name;
		int (*run)(const struct call *, const struct conf *);
	} verbs[] = { { "set", set }, { "leave", leave }, { "join", join }, { "force", force },
		      { "adopt", adopt }, { "forget", forget } };
	const char *verb = call->operands[0];

	if (strcmp(verb, "set") == 0 && call->count < 2)
		return command_misused(call->command, "set: an operand is missing");
	if (strcmp(verb, "set") != 0 && call->count > 1 + (strcmp(verb, "adopt") == 0 || strcmp(verb, "forget") == 0))
		return command_misused(call->command, "%s: one operand too many",
				       call->operands[call->count - 1]);
	if (strcmp(verb, "show") == 0)
		return show(call);
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verb, verbs[i].name) == 0)
			return on_this_node(call, verbs[i].run);
	return command_misused(call->command, "%s: neither show, set, leave, join, force, adopt nor forget",
			       verb);
}

static const struct command_option options[] = {
	[CONF] = OPTION_CONF,
	[NODE] = OPTION_NODE,
	[YES] = { "yes", 'y', NULL, "force without asking" },
	[WITHIN] = { "within", 0, "SECONDS", "set, force, adopt: give up after so long; default 60" },
	[JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_layout = {
	.name = "layout",
	.operands = "show | set NAME=N... | leave | join | force | adopt LINEAGE | forget NODE",
	.summary = "Show who keeps what in the group, or change it",
	.details = "show asks any node; the others work on this machine's, as -c names it.\n"
		   "set changes homes, copies, keep.versions or keep.days for the whole group.\n"
		   "leave takes this node out for good and waits until others keep what it kept.\n"
		   "join takes back a node that left.\n"
		   "force makes a layout of the nodes that are left, when most are lost: a group apart.\n"
		   "adopt brings this node, and all that it knows, over to the group of that lineage.\n"
		   "forget takes a node that is gone, and no member any more, off the list of peers.",
	.options = options,
	.least = 1,
	.most = -1,
	.run = run,
};
