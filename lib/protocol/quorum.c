/* quorum - counting the answers of homes */
#include "quorum.h"

void quorum_begin(struct quorum *quorum)
{
	*quorum = (struct quorum){ .set_count = 0 };
}

static void add_set(struct quorum *quorum, const struct layout *layout, enum layout_set set,
		    unsigned partition)
{
	struct layout_order homes;

	if (quorum->set_count == QUORUM_SETS_MAX)
		return;
	layout_homes(layout, set, partition, &homes);
	memcpy(quorum->sets[quorum->set_count].ids, homes.ids, homes.count * sizeof homes.ids[0]);
	quorum->sets[quorum->set_count].count = homes.count;
	quorum->sets[quorum->set_count].answered = 0;
	quorum->sets[quorum->set_count++].who = 0;
}

void quorum_add(struct quorum *quorum, const struct layout *layout, unsigned partition)
{
	if (layout->epoch == 0)
		return;
	add_set(quorum, layout, LAYOUT_A, partition);
	if (layout_is_joint(layout))
		add_set(quorum, layout, LAYOUT_B, partition);
}

void quorum_again(struct quorum *quorum)
{
	for (size_t s = 0; s < quorum->set_count; s++) {
		quorum->sets[s].answered = 0;
		quorum->sets[s].who = 0;
	}
}

/* Every set the home is in has the same to say about it. */
static bool look_up(const struct quorum *quorum, uint64_t id, bool *ret_answered)
{
	for (size_t s = 0; s < quorum->set_count; s++) {
		for (size_t i = 0; i < quorum->sets[s].count; i++) {
			if (quorum->sets[s].ids[i] != id)
				continue;
			*ret_answered = quorum->sets[s].who & 1u << i;
			return true;
		}
	}
	return false;
}

bool quorum_has(const struct quorum *quorum, uint64_t id)
{
	bool answered;

	return look_up(quorum, id, &answered);
}

bool quorum_is_answered(const struct quorum *quorum, uint64_t id)
{
	bool answered;

	return look_up(quorum, id, &answered) && answered;
}

size_t quorum_homes(const struct quorum *quorum, uint64_t ret[QUORUM_HOMES_MAX])
{
	size_t count = 0;

	for (size_t s = 0; s < quorum->set_count; s++) {
		for (size_t i = 0; i < quorum->sets[s].count; i++) {
			uint64_t id = quorum->sets[s].ids[i];
			size_t k = 0;

			while (k < count && ret[k] != id)
				k++;
			if (k == count)
				ret[count++] = id;
		}
	}
	return count;
}

void quorum_answered(struct quorum *quorum, uint64_t id)
{
	for (size_t s = 0; s < quorum->set_count; s++) {
		for (size_t i = 0; i < quorum->sets[s].count; i++) {
			if (quorum->sets[s].ids[i] != id || quorum->sets[s].who & 1u << i)
				continue;
			quorum->sets[s].who |= 1u << i;
			quorum->sets[s].answered++;
		}
	}
}

bool quorum_reached(const struct quorum *quorum)
{
	for (size_t s = 0; s < quorum->set_count; s++)
		if (quorum->sets[s].answered <= quorum->sets[s].count / 2)
			return false;
	return quorum->set_count > 0;
}

bool quorum_all(const struct quorum *quorum)
{
	for (size_t s = 0; s < quorum->set_count; s++)
		if (quorum->sets[s].answered < quorum->sets[s].count)
			return false;
	return quorum->set_count > 0;
}

bool quorum_some(const struct quorum *quorum)
{
	for (size_t s = 0; s < quorum->set_count; s++)
		if (quorum->sets[s].answered > quorum->sets[s].count / 2)
			return true;
	return false;
}

void quorum_tell(const struct quorum *quorum, uint32_t *ret_answered, uint32_t *ret_homes)
{
	size_t answered = 0, homes = 0;

	for (size_t s = 0; s < quorum->set_count; s++) {
		size_t a = quorum->sets[s].answered, h = quorum->sets[s].count;

		/* a / h < answered / homes */
		if (s == 0 || a * homes < answered * h) {
			answered = a;
			homes = h;
		}
	}
	*ret_answered = (uint32_t)answered;
	*ret_homes = (uint32_t)homes;
}
