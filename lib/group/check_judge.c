/* check_judge - what a check does next, by the answers so far and the time */
#include "check_inside.h"

#define ENTRIES_MAX 4			/* newer ones, one after the other, that a check stores */

/*
 * What a majority of one set holds may have been confirmed before the layout
 * became joint: it is stored at the other set's homes whether its content is
 * found or not, and never passed over.
 */
static enum verdict judge_file(const struct check *check, uint64_t now)
{
	const struct record *newest = check_newest(check).record;
	struct quorum holding = check_holding(check, newest);

	if (check_wants_entry_alone(check) || newest == NULL || quorum_reached(&holding))
		return CONFIRMED;
	if (check_is_safe(check, newest) || quorum_some(&holding))
		return STORE_IT;
	return phase_until(&check->phase) <= now ? UNSETTLED : GO_ON;
}

/*
 * A directory that is coming, or going, is relied on by whoever is told of it,
 * and be it by a refusal: a majority has to have it first.
 */
static enum verdict judge_majority(const struct check *check, uint64_t now)
{
	struct record entry = check_entry(check);
	struct quorum holding = check_holding_entry(check, &entry);

	if (version_is_none(entry.version) || quorum_reached(&holding))
		return judge_file(check, now);
	return check->entries < ENTRIES_MAX ? STORE_ENTRY : UNCONFIRMED;
}

bool check_wants_entry_alone(const struct check *check)
{
	const struct record *newest = check_newest(check).record;
	struct record entry = check_entry(check);

	/* Who asks BELOW may ask for a history, which tells of what is hidden, too. */
	return check->purpose == CHECK_WRITE ||
	       (check->purpose == CHECK_READ && newest != NULL && record_is_live(newest) &&
		record_name_kind(newest, &entry) != NAME_FILE);
}

/* Somebody has told of the one version, and of somebody who has its content, if it has any. */
static bool is_found(const struct check *check)
{
	const struct record *record = check_newest(check).record;

	return record != NULL && check_is_safe(check, record);
}

static enum verdict judge_one(const struct check *check, uint64_t now)
{
	uint64_t until = phase_until(&check->phase);

	if (is_found(check))
		return until <= now || check->widen_at <= now ? UNCONFIRMED : GO_ON;
	if (!check->widened && (until <= now || check->widen_at <= now))
		return ASK_EVERYBODY;
	return until <= now ? UNCONFIRMED : GO_ON;
}

enum verdict check_judge(const struct check *check, uint64_t now)
{
	uint64_t until = phase_until(&check->phase);

	if (check->purpose == CHECK_ONE)
		return judge_one(check, now);
	if (check_asks_homes(check)) {
		if (quorum_reached(&check->phase.quorum))
			return judge_majority(check, now);
		if (!check->widened && (until <= now || check->widen_at <= now))
			return ASK_EVERYBODY;
	}
	return until <= now ? UNCONFIRMED : GO_ON;
}

uint64_t check_look_again_at(const struct check *check, uint64_t now)
{
	uint64_t next = phase_next(&check->phase, now);

	if (check_judge(check, now) != GO_ON)
		return now;
	return !check->widened && check->widen_at > now && check->widen_at < next ?
		       check->widen_at : next;
}
