/* behind - what stands in a directory whose gate is kept here */
#include "behind.h"

#include "container.h"
#include "path.h"
#include "quorum.h"

static void end(struct behind *behind, bool settled)
{
	behind_clear(behind);
	behind->done(behind, settled);
}

static void stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct behind *behind = CONTAINER_OF(wait, struct behind, store);

	storing_cancel(wait);
	if (!answer->settled)
		end(behind, false);
	else if (storing_is_settled(behind->asker, buf_str(&behind->directory), behind->gate))
		end(behind, true);
	else
		behind->next(behind);
}

static void store(struct behind *behind, const struct newest_answer *found)
{
	struct store_ask ask = { .path = buf_str(&behind->name),
				 .record = *record_current(&found->record, &found->entry) };

	if (record_has_content(&ask.record))
		ask.type = found->type;
	behind->store.done = stored;
	storing_start(behind->asker, &behind->store, &ask, behind->asker->now);
}

/* Nobody can keep it after this without being told of the gate. */
static bool all_tell_gate(const struct behind *behind, const struct check_result *result)
{
	const struct newest_answer *answer = &result->answer;
	const struct layout *layout = &behind->asker->home->layout;
	struct quorum homes;
	bool told = true;

	quorum_begin(&homes);
	quorum_add(&homes, layout, path_partition(buf_str(&behind->name)));
	if (homes.set_count != 1 || answer->epoch != layout->epoch ||
	    answer->counts.homes_answered != answer->counts.homes)
		return false;
	for (size_t i = 0; i < result->row_count; i++)
		told = told && (!result->rows[i].counted ||
				version_cmp(result->rows[i].gate, behind->gate) >= 0);
	return told;
}

static void name_read(struct check_wait *wait, const struct check_result *result);

static void read_name(struct behind *behind, enum check_purpose purpose, struct version below)
{
	behind->check.done = name_read;
	check_start(behind->asker, &behind->check, buf_str(&behind->name), purpose, below,
		    behind->asker->now);
}

static void name_read(struct check_wait *wait, const struct check_result *result)
{
	struct behind *behind = CONTAINER_OF(wait, struct behind, check);
	const struct newest_answer *answer = &result->answer;

	if (answer->standing == STANDING_UNSETTLED && all_tell_gate(behind, result))
		read_name(behind, CHECK_BELOW, answer->record.version);
	else if (answer->standing != STANDING_CONFIRMED)
		end(behind, false);
	else if (record_name_kind(&answer->record, &answer->entry) == NAME_ABSENT)
		behind->next(behind);
	else
		store(behind, answer);
}

void behind_found(struct behind *behind, struct str path, uint64_t now)
{
	if (path.n == 0) {
		end(behind, true);
		return;
	}
	buf_reset(&behind->name);
	buf_addstr(&behind->name, path);
	behind->asker->now = now;
	read_name(behind, CHECK_READ, VERSION_NONE);
}

void behind_start(struct behind *behind, struct asker *asker, struct str gate_path,
		  struct version gate)
{
	behind->directory = behind->name = (struct buf)BUF_INIT;
	behind->asker = asker;
	behind->gate = gate;
	behind->check = (struct check_wait){ .check = NULL };
	behind->store = (struct store_wait){ .storing = NULL };
	buf_addstr(&behind->directory, path_parent(gate_path));
	behind->next(behind);
}

void behind_clear(struct behind *behind)
{
	check_cancel(&behind->check);
	storing_cancel(&behind->store);
	buf_clear(&behind->directory);
	buf_clear(&behind->name);
}
