/* covey node renew - give this machine's node a new identity */
#include "local.h"

#include "layout_file.h"

#include <inttypes.h>

enum { CONF };

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

static int renew(const struct conf *conf, const char *conf_file)
{
	struct store *store = NULL;
	struct outbox *outbox = NULL;
	struct err err = ERR_INIT;
	uint64_t owed = 0, was;
	int status = local_open(&store, conf);

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
		local_say_id(conf, conf_file, store_node(store));
	outbox_close(outbox);
	store_close(store);
	return status;
}

static int run(const struct call *call)
{
	struct conf conf = CONF_INIT;
	int status;

	if (strcmp(call->operands[0], "renew") != 0)
		return command_misused(call->command, "%s: only \"renew\" is known",
				       call->operands[0]);
	status = local_conf(&conf, call->values[CONF]);
	if (status == 0)
		status = renew(&conf, call->values[CONF]);
	conf_clear(&conf);
	return status;
}

static const struct command_option options[] = {
	[CONF] = OPTION_CONF,
	OPTION_END,
};

const struct command command_node = {
	.name = "node",
	.operands = "renew",
	.summary = "Give this machine's node a new identity",
	.details = "For a store that was put back from a backup or a snapshot, or that was copied: what\n"
		   "others remember of the node that it was is no more true of it. covey status says so\n"
		   "of a node that is silent for this reason. All records and contents stay, and go to\n"
		   "the group once more when the node is started. It must not run meanwhile.",
	.options = options,
	.least = 1,
	.most = 1,
	.run = run,
};
