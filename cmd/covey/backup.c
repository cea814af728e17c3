/* covey backup, covey recover - copies of this machine's store that keep its records */
#include "ask.h"
#include "local.h"
#include "progress.h"

#include "backup.h"
#include "keep_file.h"

#include <inttypes.h>

enum { CONF, JSON };

static void print_count(const struct backup_count *count, const char *directory)
{
	char size[SIZE_TEXT];

	printf("%s: %" PRIu64 " files copied, %s, %" PRIu64 " were the same, %" PRIu64 " went\n", directory,
	       count->copied, size_text(size, count->bytes), count->same, count->went);
}

static int print_as_json(const struct backup_count *count)
{
	json_t *line = json_pack("{s:I, s:I, s:I, s:I, s:I}", "copied", (json_int_t)count->copied, "bytes",
				 (json_int_t)count->bytes, "same", (json_int_t)count->same, "went",
				 (json_int_t)count->went, "elsewhere", (json_int_t)count->elsewhere);
	int status = print_json(line);

	json_decref(line);
	return status;
}

/* What is in it is one node's. */
static void warn_of_the_others(const struct backup_count *count)
{
	fprintf(stderr, "covey: this is what one node has, not the group: the content of %" PRIu64
		" files is on other nodes alone, and what those alone know is not in it; back up each "
		"node\n", count->elsewhere);
}

static int make(const struct conf *conf, const struct call *call)
{
	const char *directory = call->operands[0];
	struct backup_count count;
	struct err err = ERR_INIT;
	int status = 0;

	if (backup_make(conf->node.store, directory, &count, &err) < 0)
		return command_fail(&err);
	if (call->values[JSON] != NULL)
		status = print_as_json(&count);
	else
		print_count(&count, directory);
	if (conf->group.key_file != NULL)
		warn_of_the_others(&count);
	return status;
}

static int recover(const struct conf *conf, const struct call *call)
{
	struct backup_count count;
	struct err err = ERR_INIT;
	uint64_t node;
	int status = 0;

	if (backup_recover(call->operands[0], conf->node.store, keep_file_restart, &node, &count, &err) < 0)
		return command_fail(&err);
	if (call->values[JSON] != NULL) {
		status = print_as_json(&count);
	} else {
		print_count(&count, conf->node.store);
		printf("it is node %016" PRIx64 " now%s\n", node,
		       conf->node.id == 0 ? ", and may be started" : "");
	}
	local_say_id(conf, call->values[CONF], node);
	return status;
}

static int run_with(const struct call *call, int (*what)(const struct conf *, const struct call *))
{
	struct conf conf = CONF_INIT;
	int status = local_conf(&conf, call->values[CONF]);

	if (status == 0)
		status = what(&conf, call);
	conf_clear(&conf);
	return status;
}

static int run_backup(const struct call *call)
{
	return run_with(call, make);
}

static int run_recover(const struct call *call)
{
	return run_with(call, recover);
}

static const struct command_option options[] = {
	[CONF] = OPTION_CONF,
	[JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_backup = {
	.name = "backup",
	.operands = "DIR",
	.summary = "Copy this machine's store, with all its versions, to a directory",
	.details = "The node may run meanwhile. Said again, it copies what has changed, and removes what\n"
		   "the store has no more. In a group it is what this node has, not what the group has:\n"
		   "back up each node, to a directory of its own. covey recover makes a store of it.",
	.options = options,
	.least = 1,
	.most = 1,
	.run = run_backup,
};

const struct command command_recover = {
	.name = "recover",
	.operands = "DIR",
	.summary = "Make this machine's store of a backup",
	.details = "Of a directory that covey backup made, where no store is yet, and while no program of\n"
		   "the node runs. It is another node then, as after covey node renew, and all that it\n"
		   "knows goes to its group when it is started. When the group was lost, recover each\n"
		   "node before the first is started.",
	.options = options,
	.least = 1,
	.most = 1,
	.run = run_recover,
};
