/* gate_confirm - may a home tell that it has a gate? */
#include "gate_confirm.h"

#include "container.h"
#include "path.h"
#include "quorum.h"

static void gate_confirm_end(struct gate_confirm *g, bool confirmed)
{
	gate_confirm_clear(g);
	g->done(g, confirmed);
}

static void gate_confirm_stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct gate_confirm *g = CONTAINER_OF(wait, struct gate_confirm, store);

	storing_cancel(wait);
	if (!answer->confirmed)
		gate_confirm_end(g, false);
	else if (storing_parent_known(g->asker, buf_str(&g->directory), g->gate))
		gate_confirm_end(g, true);
	else
		g->next(g);
}

static void gate_confirm_store(struct gate_confirm *g, const struct newest_answer *found)
{
	struct store_ask ask = { .path = buf_str(&g->name),
				 .record = *record_current(&found->record, &found->entry) };

	if (record_has_content(&ask.record))
		ask.type = found->type;
	g->store.done = gate_confirm_stored;
	storing_start(g->asker, &g->store, &ask, g->asker->now);
}

/* Nobody can keep it after this without being told of the gate. */
static bool all_tell_gate(const struct gate_confirm *g, const struct check_result *result)
{
	const struct newest_answer *answer = &result->answer;
	const struct layout *layout = &g->asker->home->layout;
	struct quorum homes;
	bool told = true;

	quorum_begin(&homes);
	quorum_add(&homes, layout, path_partition(buf_str(&g->name)));
	if (homes.set_count != 1 || answer->epoch != layout->epoch ||
	    answer->counts.homes_answered != answer->counts.homes)
		return false;
	for (size_t i = 0; i < result->row_count; i++)
		told = told && (!result->rows[i].counted ||
				version_cmp(result->rows[i].gate, g->gate) >= 0);
	return told;
}

static void gate_confirm_name_read(struct check_wait *wait, const struct check_result *result);

static void gate_confirm_read(struct gate_confirm *g, enum check_purpose purpose, struct version below)
{
	g->check.done = gate_confirm_name_read;
	check_start(g->asker, &g->check, buf_str(&g->name), purpose, below,
		    g->asker->now);
}

static void gate_confirm_name_read(struct check_wait *wait, const struct check_result *result)
{
	struct gate_confirm *g = CONTAINER_OF(wait, struct gate_confirm, check);
	const struct newest_answer *answer = &result->answer;

	if (answer->certainty == CERTAINTY_UNDECIDED && all_tell_gate(g, result))
		gate_confirm_read(g, CHECK_BELOW, answer->record.version);
	else if (answer->certainty != CERTAINTY_CONFIRMED)
		gate_confirm_end(g, false);
	else if (record_name_kind(&answer->record, &answer->entry) == NAME_ABSENT)
		g->next(g);
	else
		gate_confirm_store(g, answer);
}

void gate_confirm_found(struct gate_confirm *g, struct str path, uint64_t now)
{
	if (path.n == 0) {
		gate_confirm_end(g, true);
		return;
	}
	buf_reset(&g->name);
	buf_addstr(&g->name, path);
	g->asker->now = now;
	gate_confirm_read(g, CHECK_READ, VERSION_NONE);
}

void gate_confirm_start(struct gate_confirm *g, struct asker *asker, struct str gate_path,
			struct version gate)
{
	g->directory = g->name = (struct buf)BUF_INIT;
	g->asker = asker;
	g->gate = gate;
	g->check = (struct check_wait){ .check = NULL };
	g->store = (struct store_wait){ .storing = NULL };
	buf_addstr(&g->directory, path_parent(gate_path));
	g->next(g);
}

void gate_confirm_clear(struct gate_confirm *g)
{
	check_cancel(&g->check);
	storing_cancel(&g->store);
	buf_clear(&g->directory);
	buf_clear(&g->name);
}
