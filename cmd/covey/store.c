/*
 * store - adopt, prune, scrub, node, backup and recover: what is done to the store of this machine
 */
#include "local.h"
#include "output.h"

#include "backup.h"
#include "bulk.h"
#include "keep_file.h"
#include "layout_file.h"
#include "pct.h"
#include "store.h"
#include "sync_talk.h"

#include <inttypes.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNC_TIMEOUT_MS 2000

/* Root must not open a store of another user.  A fresh store belongs to the owner of its directory. */
static int check_owner(const char *store, struct err *err)
{
	struct buf identity = BUF_INIT;
	const struct passwd *owner;
	struct stat st;
	bool there;

	buf_addf(&identity, "%s/node.ini", store);
	there = stat(identity.data, &st) == 0 || stat(store, &st) == 0;
	buf_clear(&identity);
	if (geteuid() != 0 || !there || st.st_uid == 0)
		return 0;
	owner = getpwuid(st.st_uid);
	if (owner == NULL)
		return err_set(err, ERR_DENIED, "open %s: it belongs to user %u: say sudo -u '#%u' covey ...",
			       store, st.st_uid, st.st_uid);
	return err_set(err, ERR_DENIED, "open %s: it belongs to %s: say sudo -u %s covey ...", store,
		       owner->pw_name, owner->pw_name);
}

/* Root is refused, and told who owns the store: the owner could not read what root makes there. */
static int open_store(struct store **ret, const struct conf *conf)
{
	struct store_options options = {
		.path = conf->node.store,
		.run = conf->node.run,
		.min_free = conf->limits.min_free,
		.node = conf->node.id,
	};
	struct err err = ERR_INIT;

	if (check_owner(conf->node.store, &err) < 0 || store_open(ret, &options, &err) < 0)
		return command_fail(&err);
	return 0;
}

/* The store has a new id: when the configuration sets node.id, it must be changed. */
static void say_id(const struct conf *conf, const char *conf_file, uint64_t node)
{
	if (conf->node.id != 0)
		fprintf(stderr, "covey: now say so in %s, or it does not start:  id: %016" PRIx64
			"  # node.id\n", conf_file ? conf_file : conf_default(), node);
}

/* When covey-syncd does not answer, it finds out by itself later. */
static void tell_syncd(const struct conf *conf, uint8_t type, struct str body)
{
	struct asking asking = ASKING_INIT;
	struct frame frame;

	if (local_ask(&asking, conf, "sync.sock", type, body, SYNC_TIMEOUT_MS, NULL) == 0 &&
	    asking_next(&asking, &frame, NULL) == 0)
		frame_close(&frame);
	asking_end(&asking);
}

/* covey adopt */

enum { ADOPT_CONF, ADOPT_QUIET, ADOPT_JSON };

static void adopt_tell(void *data, struct str path, const struct record *record)
{
	const struct arguments *args = data;
	char version[VERSION_TEXT];

	if (args->values[ADOPT_JSON] != NULL) {
		struct buf href = BUF_INIT;

		buf_addc(&href, '/');
		pct_encode(&href, path);
		print_json(json_pack("{s:s, s:s}", "href", href.data, "version",
				     version_format(version, record->version)));
		buf_clear(&href);
	} else if (args->values[ADOPT_QUIET] == NULL) {
		printf("%s  %.*s\n", version_format(version, record->version), STR_ARG(path));
	}
}

static int adopt(const struct arguments *args, const struct conf *conf)
{
	struct store *store = NULL;
	struct outbox *outbox = NULL;
	struct buf path = BUF_INIT;
	struct err err = ERR_INIT;
	struct arguments told = *args;
	uint64_t count = 0;
	int status = command_path(&path, args->count ? args->operands[0] : "");

	if (status == 0)
		status = open_store(&store, conf);
	if (status == 0) {
		if ((conf->group.key_file != NULL && outbox_open(&outbox, store, &err) < 0) ||
		    store_adopt(store, buf_str(&path), outbox, adopt_tell, &told, &count, &err) < 0)
			status = command_fail(&err);
		fprintf(stderr, "covey: adopted %llu\n", (unsigned long long)count);
	}
	outbox_close(outbox);
	store_close(store);
	buf_clear(&path);
	if (conf->group.key_file != NULL && count > 0)
		tell_syncd(conf, SYNC_DRAIN, STR(""));
	return status;
}

static int adopt_run(const struct arguments *args)
{
	return local_run(args, args->values[ADOPT_CONF], adopt);
}

static const struct command_option adopt_options[] = {
	[ADOPT_CONF] = OPTION_CONF,
	[ADOPT_QUIET] = { "quiet", 'q', NULL, "do not print each" },
	[ADOPT_JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_adopt = {
	.name = "adopt",
	.operands = "[PATH]",
	.summary = "Make versions of what people put into tree/ by hand",
	.details = "For PATH and all below it, in this machine's store. To import an existing folder,\n"
		   "first copy or move it into tree/. In a group the others get it later.",
	.options = adopt_options,
	.most = 1,
	.run = adopt_run,
};

/* covey prune */

enum { PRUNE_CONF, PRUNE_VERSIONS, PRUNE_DAYS, PRUNE_JSON };

#define DAYS_MAX 36500

/* The number of an option; 0: not given. */
static int prune_option(const struct arguments *args, int which, const char *name, uint64_t max,
			uint64_t *ret, struct err *err)
{
	*ret = 0;
	if (args->values[which] == NULL)
		return 0;
	return command_number(name, args->values[which], 1, max, ret, err);
}

/* The numbers of the group; without a group, those of the configuration. */
static int groups_rule(const struct conf *conf, struct keep_numbers *ret)
{
	struct view_client *view = NULL;
	const struct layout *layout;
	struct err err = ERR_INIT;

	*ret = (struct keep_numbers){ (uint32_t)conf->keep.versions, (uint32_t)conf->keep.days };
	if (conf->group.key_file == NULL)
		return 0;
	if (local_view(conf, &view, &err) < 0)
		return command_fail(&err);
	layout = &view_client_view(view)->layout;
	if (layout->epoch != 0)
		*ret = (struct keep_numbers){ layout->keep_versions, layout->keep_days };
	view_client_free(view);
	return 0;
}

static int prune_print(const struct prune_count *count, bool json)
{
	char size[SIZE_TEXT];

	if (json)
		return print_json(json_pack("{s:I, s:I, s:I}", "versions", (json_int_t)count->records,
					    "contents", (json_int_t)count->contents, "bytes",
					    (json_int_t)count->bytes));
	printf("%llu versions, content of %llu more, %s dropped\n", (unsigned long long)count->records,
	       (unsigned long long)count->contents, size_text(size, count->bytes));
	return 0;
}

/* path NULL: the whole store */
static int prune_by(const struct conf *conf, const char *path, struct keep_numbers by, bool json)
{
	struct prune_rule rule = { .versions = by.versions };
	struct prune_count count = { .records = 0 };
	struct store *store = NULL;
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	int rc = 0, status = path ? command_path(&text, path) : 0;

	if (status == 0)
		status = open_store(&store, conf);
	if (status == 0) {
		rule.before = prune_before(store_clock(store), by.days);
		rc = path ? store_prune(store, buf_str(&text), &rule, &count, &err)
			  : store_prune_all(store, &rule, NULL, NULL, &count, &err);
	}
	if (status == 0)
		status = rc < 0 ? command_fail(&err) : prune_print(&count, json);
	store_close(store);
	buf_clear(&text);
	return status;
}

/* The hour after the group's numbers were lowered is over, since everything was dropped now (keep_file.h). */
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

static int prune(const struct arguments *args, const struct conf *conf)
{
	const char *path = args->count ? args->operands[0] : NULL;
	struct keep_numbers by;
	struct err err = ERR_INIT;
	uint64_t versions, days;
	int status = 0;

	if (prune_option(args, PRUNE_VERSIONS, "--versions", UINT32_MAX, &versions, &err) < 0 ||
	    prune_option(args, PRUNE_DAYS, "--days", DAYS_MAX, &days, &err) < 0)
		return command_misused(args->command, "%s", err.text);
	by = (struct keep_numbers){ (uint32_t)versions, (uint32_t)days };
	if (versions == 0 && days == 0)
		status = groups_rule(conf, &by);
	if (status == 0)
		status = prune_by(conf, path, by, args->values[PRUNE_JSON] != NULL);
	if (status == 0 && versions == 0 && days == 0 && path == NULL)
		end_hour(conf, by);
	return status;
}

static int prune_run(const struct arguments *args)
{
	return local_run(args, args->values[PRUNE_CONF], prune);
}

static const struct command_option prune_options[] = {
	[PRUNE_CONF] = OPTION_CONF,
	[PRUNE_VERSIONS] = { "versions", 0, "N", "the newest N versions of a path stay" },
	[PRUNE_DAYS] = { "days", 0, "N", "content of versions older than N days is dropped" },
	[PRUNE_JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_prune = {
	.name = "prune",
	.operands = "[PATH]",
	.summary = "Drop old versions from this machine's store",
	.details = "Of one file, or of all. Without --versions and --days the rule of the group applies.\n"
		   "The nodes apply it by themselves, too, an hour after it was made stricter; this\n"
		   "command does not wait. The newest version of a file always stays. Works on a full\n"
		   "disk.",
	.options = prune_options,
	.most = 1,
	.run = prune_run,
};

/* covey scrub */

static void tell_lost(const struct conf *conf, const struct keep_item *item)
{
	struct buf body = BUF_INIT;

	keep_item_pack(&body, item);
	tell_syncd(conf, SYNC_LOST, buf_str(&body));
	buf_clear(&body);
}

enum { SCRUB_CONF, SCRUB_JSON };

struct scrub_run {
	const struct conf *conf;
	struct scrub scrub;
	struct progress progress;
	json_t *bad;		/* a list; NULL: lines */
};

static bool scrub_go_on(void *data, size_t bytes)
{
	struct scrub_run *run = data;

	(void)bytes;
	progress_show(&run->progress, run->scrub.bytes, 0);
	return true;
}

static void scrub_show_bad(struct scrub_run *run, const struct scrub_bad *bad)
{
	char version[VERSION_TEXT];
	struct buf href = BUF_INIT;

	version_format(version, bad->record.version);
	path_to_target(&href, bad->path, false);
	progress_end(&run->progress);
	if (run->bad == NULL)
		printf("%s  %s: %s; set aside as %s in history%s\n", version, href.data,
		       bad->why, bad->aside, href.data);
	else
		json_array_append_new(run->bad,
				      json_pack("{s:s, s:s, s:s, s:s}", "href", href.data, "version",
						version, "aside", bad->aside, "why", bad->why));
	buf_clear(&href);
}

static void scrub_was_bad(void *data, const struct scrub_bad *bad)
{
	const struct keep_item item = { .record = bad->record, .type = bad->type,
					.path = bad->path };
	struct scrub_run *run = data;

	scrub_show_bad(run, bad);
	if (run->conf->group.key_file != NULL)
		tell_lost(run->conf, &item);
}

static void scrub_failed(void *data, struct str path, const struct err *err)
{
	struct scrub_run *run = data;

	(void)path;
	progress_end(&run->progress);
	fprintf(stderr, "covey: %s\n", err->text);
}

static int scrub_print(const struct scrub_run *run)
{
	const struct scrub *scrub = &run->scrub;
	char size[SIZE_TEXT];

	if (run->bad != NULL)
		return print_json(json_pack("{s:I, s:I, s:O}", "contents", (json_int_t)scrub->contents, "bytes",
					    (json_int_t)scrub->bytes, "bad", run->bad));
	printf("%llu contents, %s read, %llu bad\n", (unsigned long long)scrub->contents,
	       size_text(size, scrub->bytes), (unsigned long long)scrub->bad_count);
	return 0;
}

static int scrub(const struct arguments *args, const struct conf *conf)
{
	struct scrub_run run = {
		.conf = conf,
		.scrub = { .go_on = scrub_go_on, .bad = scrub_was_bad, .failed = scrub_failed, .data = &run },
		.bad = args->values[SCRUB_JSON] ? json_array() : NULL,
	};
	struct store *store = NULL;
	struct buf path = BUF_INIT;
	struct err err = ERR_INIT;
	int status = command_path(&path, args->count ? args->operands[0] : "");

	if (status == 0)
		status = open_store(&store, conf);
	if (status == 0) {
		progress_begin(&run.progress, "scrub");
		if (store_scrub(store, buf_str(&path), &run.scrub, &err) < 0)
			status = command_fail(&err);
		progress_end(&run.progress);
	}
	store_close(store);
	if (status == 0)
		status = scrub_print(&run);
	if (status == 0 && run.scrub.failed_count > 0)
		status = EX_IOERR;
	if (status == 0 && run.scrub.bad_count > 0)
		status = EX_DATAERR;
	json_decref(run.bad);
	buf_clear(&path);
	return status;
}

static int scrub_run(const struct arguments *args)
{
	return local_run(args, args->values[SCRUB_CONF], scrub);
}

static const struct command_option scrub_options[] = {
	[SCRUB_CONF] = OPTION_CONF,
	[SCRUB_JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_scrub = {
	.name = "scrub",
	.operands = "[PATH]",
	.summary = "Read what is stored on this machine again, and set aside what is bad",
	.details = "Reads the contents of PATH and of all below it, or of the whole store. The nodes of a\n"
		   "group do this by themselves every month. A copy that does not match its sha256 is\n"
		   "kept in history/, and in a group the content comes back from another node. The\n"
		   "status is 65 when a copy was bad.",
	.options = scrub_options,
	.most = 1,
	.run = scrub_run,
};

/* covey node renew */

enum { NODE_CONF };

/* How many versions of a path the group keeps, as this node last heard. */
static uint32_t kept_versions(const struct conf *conf)
{
	struct layout layout = LAYOUT_NONE;
	struct buf state = BUF_INIT;

	buf_addf(&state, "%s/state", conf->node.store);
	if (layout_load(state.data, &layout, NULL) < 0)
		layout = LAYOUT_NONE;
	buf_clear(&state);
	return layout.epoch != 0 ? layout.keep_versions : (uint32_t)conf->keep.versions;
}

static int renew(const struct arguments *args, const struct conf *conf)
{
	struct store *store = NULL;
	struct outbox *outbox = NULL;
	struct err err = ERR_INIT;
	uint64_t owed = 0, was;
	int status = open_store(&store, conf);

	if (status != 0)
		return status;
	was = store_node(store);
	if ((conf->group.key_file != NULL && outbox_open(&outbox, store, &err) < 0) ||
	    store_renew(store, outbox, kept_versions(conf), &owed, &err) < 0)
		status = command_fail(&err);
	else
		printf("node %016" PRIx64 " is %016" PRIx64 " now; %" PRIu64
		       " versions go to the group when it is started\n", was, store_node(store), owed);
	if (status == 0)
		say_id(conf, args->values[NODE_CONF], store_node(store));
	outbox_close(outbox);
	store_close(store);
	return status;
}

static int node_run(const struct arguments *args)
{
	if (strcmp(args->operands[0], "renew") != 0)
		return command_misused(args->command, "%s: only \"renew\" is known",
				       args->operands[0]);
	return local_run(args, args->values[NODE_CONF], renew);
}

static const struct command_option node_options[] = {
	[NODE_CONF] = OPTION_CONF,
	OPTION_END,
};

const struct command command_node = {
	.name = "node",
	.operands = "renew",
	.summary = "Give this machine's node a new identity",
	.details = "For a store that was put back from a backup or a snapshot, or that was copied. What\n"
		   "others remember of the former node is not true of such a store, so the node is\n"
		   "silent; covey status says so. All records and contents stay, and go to the group\n"
		   "once more when the node is started. The node must not run meanwhile.",
	.options = node_options,
	.least = 1,
	.most = 1,
	.run = node_run,
};

/* covey backup, covey recover */

enum { BACKUP_CONF, BACKUP_JSON };

static void backup_print(const struct backup_count *count, const char *directory)
{
	char size[SIZE_TEXT];

	printf("%s: %" PRIu64 " files copied, %s, %" PRIu64 " were the same, %" PRIu64 " went\n", directory,
	       count->copied, size_text(size, count->bytes), count->same, count->went);
}

static int backup_print_json(const struct backup_count *count)
{
	return print_json(json_pack("{s:I, s:I, s:I, s:I, s:I}", "copied", (json_int_t)count->copied, "bytes",
				    (json_int_t)count->bytes, "same", (json_int_t)count->same, "went",
				    (json_int_t)count->went, "elsewhere", (json_int_t)count->elsewhere));
}

/* What is in it is one node's. */
static void warn_of_the_others(const struct backup_count *count)
{
	fprintf(stderr, "covey: this is what one node has, not the group: the content of %" PRIu64
		" files is on other nodes alone, and what those alone know is not in it; back up each "
		"node\n", count->elsewhere);
}

static int backup(const struct arguments *args, const struct conf *conf)
{
	const char *directory = args->operands[0];
	struct backup_count count;
	struct err err = ERR_INIT;
	int status = 0;

	if (backup_make(conf->node.store, directory, &count, &err) < 0)
		return command_fail(&err);
	if (args->values[BACKUP_JSON] != NULL)
		status = backup_print_json(&count);
	else
		backup_print(&count, directory);
	if (conf->group.key_file != NULL)
		warn_of_the_others(&count);
	return status;
}

static int recover(const struct arguments *args, const struct conf *conf)
{
	struct backup_count count;
	struct err err = ERR_INIT;
	uint64_t node;
	int status = 0;

	if (backup_recover(args->operands[0], conf->node.store, keep_file_restart, &node, &count, &err) < 0)
		return command_fail(&err);
	if (args->values[BACKUP_JSON] != NULL) {
		status = backup_print_json(&count);
	} else {
		backup_print(&count, conf->node.store);
		printf("it is node %016" PRIx64 " now%s\n", node,
		       conf->node.id == 0 ? ", and may be started" : "");
	}
	say_id(conf, args->values[BACKUP_CONF], node);
	return status;
}

static int backup_run(const struct arguments *args)
{
	return local_run(args, args->values[BACKUP_CONF], backup);
}

static int recover_run(const struct arguments *args)
{
	return local_run(args, args->values[BACKUP_CONF], recover);
}

static const struct command_option backup_options[] = {
	[BACKUP_CONF] = OPTION_CONF,
	[BACKUP_JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_backup = {
	.name = "backup",
	.operands = "DIR",
	.summary = "Copy this machine's store, with all its versions, to a directory",
	.details = "The node may run meanwhile. Another run copies what has changed, and removes what the\n"
		   "store no longer has. In a group the backup is what this node has, not what the group\n"
		   "has: back up each node, to a directory of its own. covey recover makes a store of it.",
	.options = backup_options,
	.least = 1,
	.most = 1,
	.run = backup_run,
};

const struct command command_recover = {
	.name = "recover",
	.operands = "DIR",
	.summary = "Make this machine's store from a backup",
	.details = "DIR is what covey backup made. There must be no store yet, and no program of the node\n"
		   "may run. The result is a new node, as after covey node renew, and all that it knows\n"
		   "goes to its group when it is started. When the group was lost, recover each node\n"
		   "before you start the first.",
	.options = backup_options,
	.least = 1,
	.most = 1,
	.run = recover_run,
};
