/* check_sum - what the answers to a check say */
#include "check_inside.h"

#include "storing.h"

_Static_assert(HOLDERS_MAX <= CHECK_ROWS_MAX, "holders are among the rows");

static bool is_newer(const struct record *record, const struct record *than)
{
	return !version_is_none(record->version) &&
	       (than == NULL || version_cmp(record->version, than->version) > 0);
}

struct newest check_newest(const struct check *check)
{
	struct newest newest = { NULL, "" };

	if (check->own_known && is_newer(&check->own.record, NULL))
		newest = (struct newest){ &check->own.record, check->own.type };
	for (size_t i = 0; i < check->row_count; i++)
		if (check->rows[i].answered && is_newer(&check->rows[i].record, newest.record))
			newest = (struct newest){ &check->rows[i].record, check->rows[i].type };
	return newest;
}

/* Entries are kept by homes alone: what others have is told only when a majority does not answer. */
struct record check_entry(const struct check *check)
{
	bool homes = check_asks_homes(check) && quorum_reached(&check->phase.quorum);
	struct record entry = { .version = VERSION_NONE };

	if (check->own_known && (!homes || (check_own_counts(check) &&
					    quorum_has(&check->phase.quorum, check_self(check)))))
		entry = check->own.entry;
	for (size_t i = 0; i < check->row_count; i++) {
		const struct check_row *row = &check->rows[i];

		if (row->answered && (row->counted || !homes) && is_newer(&row->entry, &entry))
			entry = row->entry;
	}
	return entry;
}

/* Of the directory above, as far as homes told. */
static struct version newest_gate(const struct check *check)
{
	struct version gate = check_own_counts(check) ? check->own.gate : VERSION_NONE;

	for (size_t i = 0; i < check->row_count; i++)
		if (check->rows[i].counted && version_cmp(check->rows[i].gate, gate) > 0)
			gate = check->rows[i].gate;
	return gate;
}

static bool holds(const struct record *held, const struct record *newest)
{
	return version_cmp(held->version, newest != NULL ? newest->version : VERSION_NONE) == 0;
}

struct quorum check_holding(const struct check *check, const struct record *newest)
{
	struct quorum quorum = check->phase.quorum;

	quorum_again(&quorum);
	if (check_own_counts(check) && holds(&check->own.record, newest))
		quorum_answered(&quorum, check_self(check));
	for (size_t i = 0; i < check->row_count; i++)
		if (check->rows[i].counted && holds(&check->rows[i].record, newest))
			quorum_answered(&quorum, check->rows[i].id);
	return quorum;
}

struct quorum check_holding_entry(const struct check *check, const struct record *entry)
{
	struct quorum quorum = check->phase.quorum;

	quorum_again(&quorum);
	if (check_own_counts(check) && holds(&check->own.entry, entry))
		quorum_answered(&quorum, check_self(check));
	for (size_t i = 0; i < check->row_count; i++)
		if (check->rows[i].counted && holds(&check->rows[i].entry, entry))
			quorum_answered(&quorum, check->rows[i].id);
	return quorum;
}

bool check_is_safe(const struct check *check, const struct record *newest)
{
	if (!record_has_content(newest))
		return true;
	if (check->own_known && check->own.content && record_eq(&check->own.record, newest))
		return true;
	for (size_t i = 0; i < check->row_count; i++)
		if (check->rows[i].answered && check->rows[i].content &&
		    record_eq(&check->rows[i].record, newest))
			return true;
	return false;
}

static int by_clock(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median_clock(const struct check *check)
{
	struct asker *asker = check->phase.asker;
	uint64_t clocks[CHECK_ROWS_MAX + 1] = { asker->wall(asker->data) };
	size_t count = 1;

	for (size_t i = 0; i < check->row_count; i++)
		if (check->rows[i].answered)
			clocks[count++] = check->rows[i].clock;
	qsort(clocks, count, sizeof clocks[0], by_clock);
	return clocks[(count - 1) / 2];
}

static void add_holders(const struct check *check, const struct record *newest,
			struct newest_answer *ret)
{
	for (unsigned order = 0; order < check->answered; order++) {
		for (size_t i = 0; i < check->row_count; i++) {
			const struct check_row *row = &check->rows[i];

			if (row->answered && row->order == order && row->content &&
			    record_eq(&row->record, newest) && ret->holder_count < HOLDERS_MAX)
				ret->holders[ret->holder_count++] = row->id;
		}
	}
}

void check_sum_up(const struct check *check, enum standing standing, struct check_result *ret)
{
	struct newest newest = check_newest(check);
	struct newest_answer *answer = &ret->answer;

	*ret = (struct check_result){ .rows = check->rows, .row_count = check->row_count,
				      .own_known = check->own_known, .own = &check->own };
	answer->standing = standing;
	answer->type = str_of(newest.type);
	answer->entry = check_entry(check);
	answer->above = standing == STANDING_CONFIRMED && check_asks_homes(check) &&
			storing_is_settled(check->phase.asker, path_parent(check_path(check)),
					   newest_gate(check));
	if (newest.record != NULL) {
		answer->record = *newest.record;
		add_holders(check, newest.record, answer);
	}
	quorum_tell(&check->phase.quorum, &answer->counts.homes_answered, &answer->counts.homes);
	answer->counts.peers = (uint32_t)asker_peers(check->phase.asker);
	answer->counts.peers_answered = check->answered;
	if (answer->counts.peers < check->answered)
		answer->counts.peers = check->answered;	/* one that was said to have left */
	answer->clock = median_clock(check);
	answer->epoch = check->phase.epoch;
}
