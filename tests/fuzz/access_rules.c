/* Any rules and any path: what is shown is read or listed, or lies above a rule; the longest path decides. */
#include "access.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Lines PATH TAB WHO TAB RIGHTS, the first of them the path and the user that are judged. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str rest = { (const char *)data, n }, line, path, name, who;
	struct access_rules rules = ACCESS_RULES_INIT;
	struct access_asker asker = ACCESS_ANYONE_ASKS;
	size_t deepest = 0;
	unsigned rights;

	if (n == 0 || !str_cut(&rest, '\n', &line))
		return 0;
	str_cut(&line, '\t', &path);
	if (line.s != NULL)
		asker.user = line;
	while (rules.count < 20 && str_cut(&rest, '\n', &line)) {
		struct access_rule *rule = access_rules_add(&rules, 1);

		str_cut(&line, '\t', &name);
		if (!str_cut(&line, '\t', &who))
			who = STR("anyone");
		if (access_rule_set_path(rule, name) < 0)
			access_rule_set_path(rule, STR("/"));
		access_rule_add_who(rule, who);
		rule->rights = (unsigned)line.n & 0x1ff;
	}
	rights = access_rights(&rules, &asker, path);
	for (size_t i = 0; i < rules.count; i++)
		if (access_rule_contains(&rules.list[i], &asker, path) && rules.list[i].depth > deepest)
			deepest = rules.list[i].depth;
	for (size_t i = 0; i < rules.count; i++)
		if (access_rule_contains(&rules.list[i], &asker, path) && rules.list[i].depth == deepest &&
		    access_rule_names(&rules.list[i], &asker) &&
		    rules.list[i].rights & (ACCESS_WRITE | ACCESS_DELETE) &&
		    !str_starts(path, STR(".covey")) &&
		    (rights & rules.list[i].rights & (ACCESS_WRITE | ACCESS_DELETE)) == 0)
			abort();
	if (!access_varies_below(&rules, path) && access_gives_below(&rules, &asker, path, 0x1ff))
		abort();
	access_shows(&rules, &asker, path);
	access_rules_clear(&rules);
	return 0;
}
