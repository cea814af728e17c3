/* covey layout show - the layout as people read it */
#include "layout_show.h"

#include "ask.h"
#include "table.h"

#include <inttypes.h>

const char *layout_role(const json_t *layout, const json_t *member)
{
	bool in_a = json_flag(member, "in_a"), in_b = json_flag(member, "in_b");
	const char *lineage = json_text(member, "lineage"), *ours = json_text(layout, "lineage");

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

const char *or_dash(const char *text)
{
	return text[0] ? text : "-";
}

static void add_number(struct table *table, const json_t *member, const char *key)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, json_number(member, key));
	table_add(table, text);
}

static void print_members(const json_t *layout)
{
	static const char *const heads[] = {
		"NODE", "NAME", "ADDRESS", "STATE", "ROLE", "REGION", "WEIGHT", "EPOCH",
	};
	struct table table = TABLE_INIT(8, 1u << 6 | 1u << 7);
	json_t *member;
	size_t i;

	for (i = 0; i < 8; i++)
		table_add(&table, heads[i]);
	json_array_foreach(json_object_get(layout, "members"), i, member) {
		table_add(&table, json_text(member, "node"));
		table_add(&table, or_dash(json_text(member, "name")));
		table_add(&table, or_dash(json_text(member, "address")));
		table_add(&table, or_dash(json_text(member, "state")));
		table_add(&table, layout_role(layout, member));
		table_add(&table, or_dash(json_text(member, "region")));
		add_number(&table, member, "weight");
		add_number(&table, member, "epoch");
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

/* Each other group, once: where its first member is. */
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

void layout_show(const json_t *layout)
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
	print_members(layout);
	print_apart(layout);
}
