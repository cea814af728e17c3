/* check_whom - the nodes that a check asks, and a row for the answer of each */
#include "check_inside.h"

static void add_row(struct check *check, const struct peer_target *target)
{
	if (phase_add(&check->phase, target) == check->row_count)
		check->rows[check->row_count++] = (struct check_row){ .id = target->id };
}

static void add_member(struct check *check, uint64_t id)
{
	struct peer_target target;

	if (check->row_count < CHECK_ROWS_MAX && id != check_self(check) &&
	    peers_target(&check->phase.asker->peers, id, &target))
		add_row(check, &target);
}

void check_add_everybody(struct check *check)
{
	struct peer_target targets[PEERS_ASKED_MAX];
	size_t count = peers_choose(&check->phase.asker->peers, check->hash, targets);

	for (size_t i = 0; i < count && check->row_count < CHECK_ROWS_MAX; i++)
		add_row(check, &targets[i]);
}

/* Homes and keepers and the origin, as nodes that may know the version. */
static void add_who_may_know(struct check *check)
{
	const struct layout *layout = &check->phase.asker->home->layout;
	size_t copies = layout_copies(layout);
	uint64_t homes[QUORUM_HOMES_MAX];
	struct layout_order keepers;
	struct quorum quorum;

	add_member(check, check->version.node);
	quorum_begin(&quorum);
	quorum_add(&quorum, layout, path_partition(check_path(check)));
	for (size_t i = 0, count = quorum_homes(&quorum, homes); i < count; i++)
		add_member(check, homes[i]);
	layout_keepers(layout, check_path(check), &keepers);
	for (size_t i = 0; i < copies && i < keepers.count; i++)
		add_member(check, keepers.ids[i]);
}

/* This node among them, which has answered already. */
static void add_homes(struct check *check)
{
	struct phase *phase = &check->phase;

	quorum_add(&phase->quorum, &phase->asker->home->layout, path_partition(check_path(check)));
	if (check_own_counts(check))
		quorum_answered(&phase->quorum, check_self(check));
	phase_add_homes(phase);
	for (; check->row_count < phase->count; check->row_count++)
		check->rows[check->row_count] =
			(struct check_row){ .id = phase->peers[check->row_count].target.id };
}

void check_add_wanted(struct check *check)
{
	if (check_asks_homes(check))
		add_homes(check);
	else if (check->purpose != CHECK_LOOK)
		add_who_may_know(check);
	if (check->purpose == CHECK_LOOK || check->purpose == CHECK_HOLDERS)
		check_add_everybody(check);
}
