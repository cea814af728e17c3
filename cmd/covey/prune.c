/* covey prune - drop old versions, of a path or of the whole store */
#include "ask.h"
#include "roles.h"
#include "local.h"
#include "progress.h"

#include "keep_file.h"

enum { CONF, VERSIONS, DAYS, JSON };

#define DAYS_MAX 36500

/* The number of an option; 0: not given. */
static int read_option(const struct call *call, int which, const char *name, uint64_t max,
		       uint64_t *ret, struct err *err)
{
	*ret = 0;
	if (call->values[which] == NULL)
		return 0;
	return command_number(name, call->values[which], 1, max, ret, err);
}

/* What the group keeps; a node that is in none, what its configuration says. */
static int groups_rule(const struct conf *conf, uint64_t *ret_versions, uint64_t *ret_days)
{
	struct members members = MEMBERS_INIT;
	struct layout layout = LAYOUT_NONE;
	struct err err = ERR_INIT;
	int rc = 0;

	if (conf->group.key_file != NULL)
		rc = roles_view(conf, &members, &layout, &err);
	members_clear(&members);
	if (rc < 0)
		return command_fail(&err);
	*ret_versions = layout.epoch ? layout.keep_versions : conf->keep.versions;
	*ret_days = layout.epoch ? layout.keep_days : conf->keep.days;
	return 0;
}

static int print_dropped(const struct prune_count *count, bool json)
{
	char size[SIZE_TEXT];
	json_t *line;
	int status;

	if (!json) {
		printf("%llu versions, content of %llu more, %s dropped\n",
		       (unsigned long long)count->records, (unsigned long long)count->contents,
		       size_text(size, count->bytes));
		return 0;
	}
	line = json_pack("{s:I, s:I, s:I}", "versions", (json_int_t)count->records, "contents",
			 (json_int_t)count->contents, "bytes", (json_int_t)count->bytes);
	status = print_json(line);
	json_decref(line);
	return status;
}

/* path NULL: the whole store */
static int prune(const struct conf *conf, const char *path, struct keep_numbers by, bool json)
{
	struct prune_rule rule = { .versions = by.versions };
	struct prune_count count = { .records = 0 };
	struct store *store = NULL;
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	int rc = 0, status = path ? local_path(&text, path) : 0;

	if (status == 0)
		status = local_open(&store, conf);
	if (status == 0) {
		rule.before = prune_before(store_clock(store), by.days);
		rc = path ? store_prune(store, buf_str(&text), &rule, &count, &err)
			  : store_prune_all(store, &rule, NULL, NULL, &count, &err);
	}
	if (status == 0)
		status = rc < 0 ? command_fail(&err) : print_dropped(&count, json);
	store_close(store);
	buf_clear(&text);
	return status;
}

/* What went by the group's numbers, lowered within the hour, waits no more (keep_file.h). */
static void end_hour(const struct conf *conf, struct keep_numbers by)
{
	struct keep_file keep;
	struct buf state = BUF_INIT;
	struct err err = ERR_INIT;

	buf_addf(&state, "%s/state", conf->node.store);
	if (keep_file_load(state.data, &keep, &err) < 0 ||
	    (keep.lowered.versions == by.versions && keep.lowered.days == by.days &&
	     keep_passed(&keep, KEEP_WAIT_S) && keep_file_save(state.data, &keep, &err) < 0))
		command_fail(&err);
	buf_clear(&state);
}

static int run(const struct call *call)
{
	struct conf conf = CONF_INIT;
	struct keep_numbers by;
	struct err err = ERR_INIT;
	uint64_t versions, days;
	bool by_group;
	int status;

	if (read_option(call, VERSIONS, "--versions", UINT32_MAX, &versions, &err) < 0 ||
	    read_option(call, DAYS, "--days", DAYS_MAX, &days, &err) < 0)
		return command_misused(call->command, "%s", err.text);
	status = local_conf(&conf, call->values[CONF]);
	by_group = versions == 0 && days == 0;
	if (status == 0 && by_group)
		status = groups_rule(&conf, &versions, &days);
	by = (struct keep_numbers){ (uint32_t)versions, (uint32_t)days };
	if (status == 0)
		status = prune(&conf, call->count ? call->operands[0] : NULL, by,
			       call->values[JSON] != NULL);
	if (status == 0 && by_group && call->count == 0)
		end_hour(&conf, by);
	conf_clear(&conf);
	return status;
}

static const struct command_option options[] = {
	[CONF] = OPTION_CONF,
	[VERSIONS] = { "versions", 0, "N", "the newest N versions of a path stay" },
	[DAYS] = { "days", 0, "N", "content of versions older than N days goes" },
	[JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_prune = {
	.name = "prune",
	.operands = "[PATH]",
	.summary = "Drop old versions from this machine's store",
	.details = "Of a file, or of all. Without --versions and --days by the rule of the group,\n"
		   "which the nodes apply by themselves, too; they wait an hour when it was made\n"
		   "stricter, this does not. The newest version of a file always stays. Works on a\n"
		   "full disk.",
	.options = options,
	.most = 1,
	.run = run,
};
