/* covey peers - the other nodes of the group, as one node sees them */
#include "ask.h"
#include "layout_show.h"
#include "table.h"

#include <inttypes.h>

enum { NODE, JSON };

static void print_table(const json_t *layout, const json_t *peers)
{
	static const char *const heads[] = { "NODE", "NAME", "ADDRESS", "STATE", "ROLE", "EPOCH" };
	struct table table = TABLE_INIT(6, 1u << 5);
	json_t *peer;
	size_t i;

	for (i = 0; i < 6; i++)
		table_add(&table, heads[i]);
	json_array_foreach(peers, i, peer) {
		char epoch[24];

		snprintf(epoch, sizeof epoch, "%" PRIu64, json_number(peer, "epoch"));
		table_add(&table, json_text(peer, "node"));
		table_add(&table, or_dash(json_text(peer, "name")));
		table_add(&table, or_dash(json_text(peer, "address")));
		table_add(&table, or_dash(json_text(peer, "state")));
		table_add(&table, layout_role(layout, peer));
		table_add(&table, epoch);
	}
	table_print(&table);
}

/* The members of the layout's page but the node itself. */
static json_t *peers_of(const json_t *layout)
{
	json_t *peers = json_array(), *member;
	size_t i;

	json_array_foreach(json_object_get(layout, "members"), i, member)
		if (!json_flag(member, "self"))
			json_array_append(peers, member);
	return peers;
}

static int run(const struct call *call)
{
	json_t *layout, *peers;
	int status = ask_json(call->values[NODE], STR("/.covey/layout"), "layout", &layout);

	if (status != 0)
		return status;
	peers = peers_of(layout);
	if (call->values[JSON])
		status = print_json(peers);
	else if (json_array_size(peers) == 0)
		fprintf(stderr, "covey: this node knows no others\n");
	else
		print_table(layout, peers);
	json_decref(peers);
	json_decref(layout);
	return status;
}

static const struct command_option options[] = {
	[NODE] = OPTION_NODE, [JSON] = OPTION_JSON, OPTION_END,
};

const struct command command_peers = {
	.name = "peers",
	.operands = "",
	.summary = "List the other nodes of the group, as one node sees them",
	.details = "The state is up, suspect, down, stopped, left (for good) or incompatible; the role\n"
		   "is what a node is in the layout: a silent one forgot something (covey node renew),\n"
		   "or has just started and waits for another home to tell what it remembers;\n"
		   "one of another group with the same key stays apart; the epoch is of the newest layout it has.",
	.options = options,
	.run = run,
};
