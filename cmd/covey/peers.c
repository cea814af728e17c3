/* covey peers - the other nodes of the group, as one node sees them */
#include "ask.h"
#include "table.h"

enum { NODE, JSON };

static void print_table(const json_t *peers)
{
	struct table table = TABLE_INIT(4, 0);
	json_t *peer;
	size_t i;

	table_add(&table, "NODE");
	table_add(&table, "NAME");
	table_add(&table, "ADDRESS");
	table_add(&table, "STATE");
	json_array_foreach(peers, i, peer) {
		table_add(&table, json_text(peer, "node"));
		table_add(&table, json_text(peer, "name"));
		table_add(&table, json_text(peer, "address"));
		table_add(&table, json_text(peer, "state"));
	}
	table_print(&table);
}

static int run(const struct call *call)
{
	json_t *answer, *peers;
	int status = ask_json(call->values[NODE], STR("/.covey/status"), "status", &answer);

	if (status != 0)
		return status;
	peers = json_object_get(json_object_get(answer, "group"), "peers");
	if (!json_is_array(peers)) {
		fprintf(stderr, "covey: the node's status names no peers\n");
		status = EX_PROTOCOL;
	} else if (call->values[JSON]) {
		status = print_json(peers);
	} else if (json_array_size(peers) == 0) {
		fprintf(stderr, "covey: this node knows no others\n");
	} else {
		print_table(peers);
	}
	json_decref(answer);
	return status;
}

static const struct command_option options[] = {
	[NODE] = OPTION_NODE, [JSON] = OPTION_JSON, OPTION_END,
};

const struct command command_peers = {
	.name = "peers",
	.operands = "",
	.summary = "List the other nodes of the group, as one node sees them",
	.details = "The state is up, suspect, down, left or incompatible.",
	.options = options,
	.run = run,
};
